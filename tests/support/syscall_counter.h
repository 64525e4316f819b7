// Counts the system calls a piece of code makes: the proof that a path makes none.
//
// Method      Syscall User Dispatch (Linux 5.11, x86-64): the kernel turns each system call of this
//             thread into SIGSYS; the handler notes it and performs it from the one address range
//             that is let through. Needs no privilege, no child and no tracer.
// Threads     Only the calling thread is counted. All signals except SIGSYS wait meanwhile. Limits
//             The code must not fork, clone, execute or exit. Where the kernel lacks or forbids the
//             feature, the report says so and the code runs uncounted.
// Cost        Nothing for code without system calls; about a microsecond for each one made.
#ifndef FLAGSTONE_TESTS_SUPPORT_SYSCALL_COUNTER_H_
#define FLAGSTONE_TESTS_SUPPORT_SYSCALL_COUNTER_H_

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace flagstone::testkit {

struct SyscallReport {
  bool counted = false;
  std::string not_counted_because;  // empty when counted
  uint64_t count = 0;
  std::vector<int> numbers;  // of the first 32 calls, in order

  // "2 system calls: 39 1", or why they were not counted.
  std::string ToString() const;
};

SyscallReport CountSyscalls(const std::function<void()>& code);

}  // namespace flagstone::testkit

#endif  // FLAGSTONE_TESTS_SUPPORT_SYSCALL_COUNTER_H_
