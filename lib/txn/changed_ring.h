// The records a session changed, for maintenance to visit: bring the newest version home, reclaim.
//
// Invariants  1. An entry is pushed after its change was published; it is popped in the same order.
// Threads     Push(), full(): the session's user. Drain(): maintenance, one thread at a time.
// Cost        Push(): one store to a line of its own, one release store. No read-modify-write.
#ifndef FLAGSTONE_LIB_TXN_CHANGED_RING_H_
#define FLAGSTONE_LIB_TXN_CHANGED_RING_H_

#include <cstdint>
#include <memory>

#include "flagstone/internal/atomics.h"

namespace flagstone::txn {

// Over the atomics policy; `Entry` is what a place in the ring is made of: tests see its accesses.
template <typename A, typename Entry = uint64_t, uint64_t kEntryCount = 16384>
class BasicChangedRing {
 public:
  // Room for what a writer changes in a millisecond, the pause between two visits of maintenance.
  static constexpr uint64_t kCapacity = kEntryCount;
  static constexpr uint64_t kMask = kCapacity - 1;
  static_assert((kCapacity & kMask) == 0);

  // Its memory is touched when it is used: readers never do.
  BasicChangedRing() : ids_(std::make_unique_for_overwrite<Entry[]>(kCapacity)) {}

  // Entries that fit for sure. The other end is only looked at when few seem to be left.
  uint64_t room() {
    if (pushed_ - popped_seen_ > kCapacity / 2) {
      popped_seen_ = popped_.load(std::memory_order_acquire);
    }
    return kCapacity - (pushed_ - popped_seen_);
  }
  // room() > 0.
  void Push(uint64_t id) {
    ids_[pushed_ & kMask] = id;
    ++pushed_;
    published_.store(pushed_, std::memory_order_release);
  }

  // Calls `visit(id)` for at most `count_max` entries; returns how many.
  template <typename Visit>
  uint64_t Drain(uint64_t count_max, Visit&& visit) {
    const uint64_t from = popped_.load(std::memory_order_relaxed);
    const uint64_t published = published_.load(std::memory_order_acquire);
    const uint64_t to = published - from < count_max ? published : from + count_max;
    for (uint64_t i = from; i != to; ++i) visit(ids_[i & kMask]);
    popped_.store(to, std::memory_order_release);
    return to - from;
  }
  uint64_t waiting_count() const {
    return published_.load(std::memory_order_acquire) - popped_.load(std::memory_order_acquire);
  }

 private:
  const std::unique_ptr<Entry[]> ids_;
  // owned by the session's user
  uint64_t pushed_ = 0;
  uint64_t popped_seen_ = 0;
  // atomic: session to maintenance
  alignas(64) typename A::template Atomic<uint64_t> published_{0};
  // atomic: maintenance to session
  alignas(64) typename A::template Atomic<uint64_t> popped_{0};
};

using ChangedRing = BasicChangedRing<internal::StdAtomics>;

}  // namespace flagstone::txn

#endif  // FLAGSTONE_LIB_TXN_CHANGED_RING_H_
