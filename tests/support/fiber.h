// Fibers: stacks of their own that hand the processor to each other, on one thread.
//
// Life        Start() prepares a stack; SwitchFiber() runs it from where it last stopped. A fiber's
//             entry never returns. Abandon() gives the stack up as it is: its memory is kept for
//             ever, so that what lies on it still counts as reachable to leak checkers.
// Threads     All fibers of a group stay on one thread.
// Cost        A switch is a dozen instructions on x86-64, and swapcontext (a system call) elsewhere
//             and under the sanitizers, which are told of each switch.
#ifndef FLAGSTONE_TESTS_SUPPORT_FIBER_H_
#define FLAGSTONE_TESTS_SUPPORT_FIBER_H_

#include <cstddef>
#include <memory>

namespace flagstone::testkit {

class Fiber {
 public:
  Fiber();
  ~Fiber();
  Fiber(Fiber&&) noexcept;
  Fiber& operator=(Fiber&&) noexcept;

  bool started() const { return started_; }
  void Start(void (*entry)());
  void Abandon();

 private:
  friend void SwitchFiber(Fiber& from, Fiber& to);
  friend void FiberEntered();
  struct Machine;
  std::unique_ptr<Machine> machine_;
  bool started_ = false;
};

// `from` must be the running fiber (or the one that stands for the thread's own stack).
void SwitchFiber(Fiber& from, Fiber& to);
// The first statement of an entry.
void FiberEntered();

}  // namespace flagstone::testkit

#endif  // FLAGSTONE_TESTS_SUPPORT_FIBER_H_
