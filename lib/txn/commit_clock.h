// The commit clock: one order of all commits, and the horizon up to which they are visible.
//
// Place       Every commit reserves its timestamp here and completes here; snapshots begin at
//             horizon().
// Invariants  1. Timestamps are dense: each one is reserved once and completed once.
//             2. The horizon advances by one and only when the commit at its new value has stored
//                all of its versions: whoever loads it sees everything at or below it.
//                Complete() returns with that store made, as a lock's release is: who learns of the
//                commit through memory sees it. Two clocks compared across processors may be faster
//                than the store, by what a store buffer holds.
//             3. Between Reserve() and Complete() a thread does not allocate, wait or call out.
// Threads     Any. Complete() waits for earlier commits that have not begun their own, each of
// which
//             is a few stores from it.
// Cost        One fetch_add and one store, on two cache lines.
#ifndef FLAGSTONE_LIB_TXN_COMMIT_CLOCK_H_
#define FLAGSTONE_LIB_TXN_COMMIT_CLOCK_H_

#include <cstddef>
#include <cstdint>

#include "flagstone/internal/atomics.h"
#include "flagstone/internal/slot.h"
#include "lib/base/ordered_completion.h"

namespace flagstone::txn {

template <typename A, size_t kMarks = 512, uint32_t kPausesBeforeMark = 16>
class BasicCommitClock {
 public:
  // Before the first commit: the horizon is at `last`.
  explicit BasicCommitClock(internal::Timestamp last = 0) : next_(last + 1), completed_(last) {}

  internal::Timestamp Reserve() { return next_.fetch_add(1, std::memory_order_acq_rel); }

  // Every version of commit `at` is stored. Returns when the horizon covers it.
  void Complete(internal::Timestamp at) { completed_.Complete(at); }

  internal::Timestamp horizon() const { return completed_.done(); }
  const typename A::template Atomic<uint64_t>& horizon_word() const {
    return completed_.done_word();
  }

 private:
  // No read of a settled record touches either.
  alignas(64) typename A::template Atomic<uint64_t> next_;
  base::BasicOrderedCompletion<A, kMarks, kPausesBeforeMark> completed_;
};

using CommitClock = BasicCommitClock<internal::StdAtomics>;

}  // namespace flagstone::txn

#endif  // FLAGSTONE_LIB_TXN_COMMIT_CLOCK_H_
