#include "tests/support/fiber.h"

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <vector>

#if defined(__SANITIZE_ADDRESS__)
#define FLAGSTONE_FIBER_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define FLAGSTONE_FIBER_ASAN 1
#endif
#endif
#if defined(__SANITIZE_THREAD__)
#define FLAGSTONE_FIBER_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define FLAGSTONE_FIBER_TSAN 1
#endif
#endif

#if defined(FLAGSTONE_FIBER_ASAN)
#include <sanitizer/common_interface_defs.h>
#endif
#if defined(FLAGSTONE_FIBER_TSAN)
#include <sanitizer/tsan_interface.h>
#endif

#if defined(__x86_64__) && !defined(FLAGSTONE_FIBER_ASAN) && !defined(FLAGSTONE_FIBER_TSAN)
#define FLAGSTONE_FIBER_ASSEMBLY 1
#else
#include <ucontext.h>
#endif

#if defined(FLAGSTONE_FIBER_ASSEMBLY)
// Saves what the System V ABI lets a callee keep, stores the stack pointer, takes the other one.
// Signal masks and floating point modes are shared by all fibers of a thread.
extern "C" void flagstone_fiber_switch(void** save, void* load);
asm(R"(
.text
.p2align 4
.type flagstone_fiber_switch,@function
flagstone_fiber_switch:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
.size flagstone_fiber_switch,.-flagstone_fiber_switch
)");
#endif

namespace flagstone::testkit {
namespace {

#if defined(FLAGSTONE_FIBER_ASSEMBLY)
constexpr size_t kStackBytes = 64 << 10;
#else
// Sanitizers make frames several times larger.
constexpr size_t kStackBytes = 256 << 10;
#endif

}  // namespace

struct Fiber::Machine {
  // Empty for the thread's own stack.
  std::unique_ptr<std::byte[]> stack;
#if defined(FLAGSTONE_FIBER_ASSEMBLY)
  void* stack_pointer = nullptr;
#else
  ucontext_t context = {};
#endif
#if defined(FLAGSTONE_FIBER_ASAN)
  void* fake_stack = nullptr;
  const void* bottom = nullptr;
  size_t bytes = 0;
#endif
#if defined(FLAGSTONE_FIBER_TSAN)
  void* tsan_fiber = nullptr;
  ~Machine() {
    if (stack != nullptr && tsan_fiber != nullptr) __tsan_destroy_fiber(tsan_fiber);
  }
#endif
};

namespace {

#if defined(FLAGSTONE_FIBER_ASAN)
// Who switched last: its stack's bounds become known when the next fiber arrives.
thread_local Fiber* switching_from = nullptr;
#endif

// Leak checkers follow pointers from here into the stacks that were given up.
std::vector<std::byte*>& AbandonedStacks() {
  static auto* const stacks = new std::vector<std::byte*>;
  return *stacks;
}

}  // namespace

Fiber::Fiber() : machine_(std::make_unique<Machine>()) {}
Fiber::~Fiber() = default;
Fiber::Fiber(Fiber&&) noexcept = default;
Fiber& Fiber::operator=(Fiber&&) noexcept = default;

void Fiber::Start(void (*entry)()) {
  machine_->stack = std::make_unique<std::byte[]>(kStackBytes);
  std::byte* const bottom = machine_->stack.get();
#if defined(FLAGSTONE_FIBER_ASSEMBLY)
  // From the top: a null return address for the entry (which also gives it the stack alignment of a
  // called function), the entry as the address flagstone_fiber_switch returns to, six registers.
  auto top = (reinterpret_cast<uintptr_t>(bottom) + kStackBytes) & ~uintptr_t{15};
  auto* words = reinterpret_cast<void**>(top);
  *--words = nullptr;
  const auto address = reinterpret_cast<uintptr_t>(entry);
  std::memcpy(--words, &address, sizeof(address));
  for (int i = 0; i < 6; ++i) *--words = nullptr;
  machine_->stack_pointer = words;
#else
  getcontext(&machine_->context);
  machine_->context.uc_stack.ss_sp = bottom;
  machine_->context.uc_stack.ss_size = kStackBytes;
  machine_->context.uc_link = nullptr;
  makecontext(&machine_->context, entry, 0);
#endif
#if defined(FLAGSTONE_FIBER_ASAN)
  machine_->bottom = bottom;
  machine_->bytes = kStackBytes;
#endif
#if defined(FLAGSTONE_FIBER_TSAN)
  machine_->tsan_fiber = __tsan_create_fiber(0);
#endif
  started_ = true;
}

void Fiber::Abandon() {
  if (!started_) return;
  AbandonedStacks().push_back(machine_->stack.release());
  machine_ = std::make_unique<Machine>();
  started_ = false;
}

void FiberEntered() {
#if defined(FLAGSTONE_FIBER_ASAN)
  Fiber::Machine& left = *switching_from->machine_;
  __sanitizer_finish_switch_fiber(nullptr, &left.bottom, &left.bytes);
#endif
}

void SwitchFiber(Fiber& from, Fiber& to) {
#if defined(FLAGSTONE_FIBER_TSAN)
  if (from.machine_->tsan_fiber == nullptr) from.machine_->tsan_fiber = __tsan_get_current_fiber();
  __tsan_switch_to_fiber(to.machine_->tsan_fiber, 0);
#endif
#if defined(FLAGSTONE_FIBER_ASAN)
  switching_from = &from;
  __sanitizer_start_switch_fiber(&from.machine_->fake_stack, to.machine_->bottom,
                                 to.machine_->bytes);
#endif
#if defined(FLAGSTONE_FIBER_ASSEMBLY)
  flagstone_fiber_switch(&from.machine_->stack_pointer, to.machine_->stack_pointer);
#else
  swapcontext(&from.machine_->context, &to.machine_->context);
#endif
#if defined(FLAGSTONE_FIBER_ASAN)
  Fiber::Machine& left = *switching_from->machine_;
  __sanitizer_finish_switch_fiber(from.machine_->fake_stack, &left.bottom, &left.bytes);
#endif
}

}  // namespace flagstone::testkit
