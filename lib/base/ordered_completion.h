// OrderedCompletion: pieces of work that have dense numbers end in any order, and count in theirs.
//
// Place       The commit clock's horizon stands on it.
// Invariants  1. done() advances only over numbers whose Complete() has begun: whoever loads it
// sees
//                all that was done before.
//             2. Complete() returns when done() covers its number.
//             3. A thread that has begun Complete() is waited for by nobody: those behind it
//             advance
//                done() over its number. (Were each number to wait for its turn, as a ticket lock
//                does, every commit would wait for the scheduler wherever threads outnumber
//                processors.)
// Threads     Any.
// Cost        In its turn: one load and one store. Otherwise a line of the marks, and a
//             compare-and-swap.
// See         docs/internals/concurrency.md, tests/model/commit_clock_model_test.cc
#ifndef FLAGSTONE_LIB_BASE_ORDERED_COMPLETION_H_
#define FLAGSTONE_LIB_BASE_ORDERED_COMPLETION_H_

#include <array>
#include <cstddef>
#include <cstdint>

#include "flagstone/internal/atomics.h"

namespace flagstone::base {

template <typename A, size_t kMarks = 512, uint32_t kPausesBeforeMark = 16>
class BasicOrderedCompletion {
 public:
  // Everything up to `last` is done.
  explicit BasicOrderedCompletion(uint64_t last = 0) : done_(last) {}

  void Complete(uint64_t number) {
    // Nobody passes a number that has no mark: in our turn we are alone.
    if (done_.load(std::memory_order_acquire) == number - 1) [[likely]] {
      done_.store(number, std::memory_order_release);
    } else {
      CompleteOutOfTurn(number);
    }
  }

  uint64_t done() const { return done_.load(std::memory_order_acquire); }
  const typename A::template Atomic<uint64_t>& done_word() const { return done_; }

 private:
  [[gnu::noinline]] void CompleteOutOfTurn(uint64_t number) {
    uint32_t spin = 0;
    // Where no thread lacks a processor the turn comes soon, and is cheaper than a mark.
    for (; spin < kPausesBeforeMark; ++spin) {
      A::Pause(spin);
      if (done_.load(std::memory_order_acquire) != number - 1) continue;
      done_.store(number, std::memory_order_release);
      return;
    }
    // Its mark's place may still tell of an earlier number, which is then not done.
    while (done() + kMarks < number) {
      if (!Advance()) A::Pause(spin++);
    }
    marks_[number % kMarks].store(number, std::memory_order_release);
    while (done() < number) {
      if (!Advance()) A::Pause(spin++);
    }
  }

  // Over all marks that follow. False: the next number has none.
  bool Advance() {
    uint64_t done = done_.load(std::memory_order_acquire);
    uint64_t next = done;
    while (marks_[(next + 1) % kMarks].load(std::memory_order_acquire) == next + 1) ++next;
    if (next == done) return false;
    // Fails when others advanced, which is as good.
    done_.compare_exchange_strong(done, next, std::memory_order_acq_rel);
    return true;
  }

  // atomic: written by whoever completes the next number, and those who wait behind it
  typename A::template Atomic<uint64_t> done_;
  // atomic: a number stands in its place once it was completed out of turn
  alignas(64) std::array<typename A::template Atomic<uint64_t>, kMarks> marks_{};
};

}  // namespace flagstone::base

#endif  // FLAGSTONE_LIB_BASE_ORDERED_COMPLETION_H_
