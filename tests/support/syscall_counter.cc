#include "tests/support/syscall_counter.h"

#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>

namespace flagstone::testkit {

std::string SyscallReport::ToString() const {
  if (!counted) return "system calls were not counted: " + not_counted_because;
  std::string text = std::to_string(count) + " system calls";
  if (!numbers.empty()) text += ":";
  for (const int number : numbers) text += " " + std::to_string(number);
  return text;
}

#if defined(__x86_64__)

// The gate: the only instructions whose system calls the kernel lets through. The second entry is
// what the signal handler returns to: the return from a signal is a system call as well.
extern "C" {
long flagstone_syscall_gate(long number, const long* arguments);
void flagstone_signal_return();
extern const char flagstone_syscall_gate_end[];
}
asm(R"(
.text
.p2align 4
.type flagstone_syscall_gate,@function
flagstone_syscall_gate:
  movq %rdi, %rax
  movq %rsi, %r11
  movq 0(%r11), %rdi
  movq 8(%r11), %rsi
  movq 16(%r11), %rdx
  movq 24(%r11), %r10
  movq 32(%r11), %r8
  movq 40(%r11), %r9
  syscall
  ret
.type flagstone_signal_return,@function
flagstone_signal_return:
  movl $15, %eax
  syscall
  hlt
flagstone_syscall_gate_end:
.size flagstone_syscall_gate,.-flagstone_syscall_gate
)");

namespace {

constexpr int kSetDispatch = 59;  // PR_SET_SYSCALL_USER_DISPATCH, newer than some headers
constexpr unsigned long kDispatchOff = 0;
constexpr unsigned long kDispatchOn = 1;
constexpr unsigned long kRestorerFlag = 0x04000000;  // SA_RESTORER
constexpr char kAllow = 0;
constexpr char kBlock = 1;
constexpr size_t kNumbersKept = 32;

// As the kernel takes it; libc's sigaction would bring its own way to return.
struct KernelSigaction {
  void (*handler)(int, siginfo_t*, void*);
  unsigned long flags;
  void (*restorer)();
  uint64_t mask;
};

struct Counting {
  volatile char selector = kAllow;
  uint64_t count = 0;
  std::array<int, kNumbersKept> numbers{};
};
constinit thread_local Counting counting;

long Gate(long number, long a = 0, long b = 0, long c = 0, long d = 0, long e = 0) {
  const std::array<long, 6> arguments = {a, b, c, d, e, 0};
  return flagstone_syscall_gate(number, arguments.data());
}

bool LeavesTheThread(long number) {
  return number == SYS_clone || number == SYS_clone3 || number == SYS_fork || number == SYS_vfork ||
         number == SYS_execve || number == SYS_execveat;
}

// Runs instead of each system call. Makes none except through the gate.
__attribute__((no_sanitize("address", "thread", "undefined"))) void OnSyscall(int, siginfo_t*,
                                                                              void* context) {
  auto& registers = static_cast<ucontext_t*>(context)->uc_mcontext.gregs;
  const long number = registers[REG_RAX];
  if (counting.count < kNumbersKept) {
    counting.numbers[counting.count] = static_cast<int>(number);
  }
  ++counting.count;
  if (LeavesTheThread(number)) {
    registers[REG_RAX] = -ENOSYS;
    return;
  }
  const long arguments[6] = {registers[REG_RDI], registers[REG_RSI], registers[REG_RDX],
                             registers[REG_R10], registers[REG_R8],  registers[REG_R9]};
  registers[REG_RAX] = flagstone_syscall_gate(number, arguments);
}

}  // namespace

SyscallReport CountSyscalls(const std::function<void()>& code) {
  SyscallReport report;
  const auto gate = reinterpret_cast<uintptr_t>(&flagstone_syscall_gate);
  const size_t gate_bytes = reinterpret_cast<uintptr_t>(flagstone_syscall_gate_end) - gate;

  KernelSigaction action = {};
  KernelSigaction former = {};
  action.handler = &OnSyscall;
  action.flags = SA_SIGINFO | kRestorerFlag;
  action.restorer = &flagstone_signal_return;
  action.mask = ~uint64_t{0};
  uint64_t former_mask = 0;
  const uint64_t all_but_sigsys = ~(uint64_t{1} << (SIGSYS - 1));
  const auto address = [](auto* pointer) { return reinterpret_cast<long>(pointer); };

  Gate(SYS_rt_sigprocmask, SIG_SETMASK, address(&all_but_sigsys), address(&former_mask), 8);
  Gate(SYS_rt_sigaction, SIGSYS, address(&action), address(&former), 8);
  counting.count = 0;
  counting.selector = kAllow;
  const long on =
      Gate(SYS_prctl, kSetDispatch, static_cast<long>(kDispatchOn), static_cast<long>(gate),
           static_cast<long>(gate_bytes), reinterpret_cast<long>(&counting.selector));
  if (on == 0) {
    counting.selector = kBlock;
    code();
    counting.selector = kAllow;
    Gate(SYS_prctl, kSetDispatch, static_cast<long>(kDispatchOff), 0, 0, 0);
  }
  Gate(SYS_rt_sigaction, SIGSYS, address(&former), 0, 8);
  Gate(SYS_rt_sigprocmask, SIG_SETMASK, address(&former_mask), 0, 8);

  if (on != 0) {
    report.not_counted_because = "PR_SET_SYSCALL_USER_DISPATCH answered " +
                                 std::string(std::strerror(static_cast<int>(-on))) +
                                 " (needs Linux 5.11 and no filter against it)";
    code();
    return report;
  }
  report.counted = true;
  report.count = counting.count;
  report.numbers.assign(counting.numbers.begin(),
                        counting.numbers.begin() +
                            static_cast<long>(std::min<uint64_t>(counting.count, kNumbersKept)));
  return report;
}

#else

SyscallReport CountSyscalls(const std::function<void()>& code) {
  SyscallReport report;
  report.not_counted_because = "Syscall User Dispatch is only used on x86-64";
  code();
  return report;
}

#endif

}  // namespace flagstone::testkit
