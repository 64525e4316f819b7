// Grace periods: when has every reader left what it may have seen before?
//
// Place       Between the participants (who announce pins, guards, snapshots) and reclamation
//             (which reuses slots).
// Life        Start() runs one heavy barrier and notes who is pinned. Passed() is polled until
//             those pins have ended. Then what was unlinked before Start() can only be held by a
//             guard, and GuardsHeld() says by which.
// Invariants  1. A reader that announced before the barrier is seen; one that announces after it
//                loads links that were stored before Start().
//             2. Guards are read after the pins were seen to end: a guard announced under a pin
//                counts.
// Threads     One maintenance thread at a time.
// Cost        One membarrier (0.4 us alone, about 14 us when another core has to be interrupted)
//             and a scan of the participants in use; nothing is allocated once the vectors have
//             grown.
#ifndef FLAGSTONE_LIB_EPOCH_GRACE_H_
#define FLAGSTONE_LIB_EPOCH_GRACE_H_

#include <algorithm>
#include <cstdint>
#include <utility>
#include <vector>

#include "flagstone/internal/participant.h"

namespace flagstone::epoch {

// `Participants` is a range of pointers to participants; it is walked after the barrier, so that
// one that joined before it is seen.
template <typename A>
class GracePeriod {
 public:
  template <typename Participants>
  void Start(const Participants& participants, internal::BarrierKind kind) {
    A::HeavyBarrier(kind);
    waiting_.clear();
    for (auto* participant : participants) {
      const uint64_t pin = participant->pin.load(std::memory_order_acquire);
      if (pin % 2 == 1) waiting_.emplace_back(&participant->pin, pin);
    }
  }

  // Once started, however often and late it is asked, by whoever is the maintenance thread then.
  bool Passed() {
    while (!waiting_.empty()) {
      auto& [pin, seen] = waiting_.back();
      if (pin->load(std::memory_order_acquire) == seen) return false;
      waiting_.pop_back();
    }
    return true;
  }

 private:
  std::vector<std::pair<typename A::template Atomic<uint64_t>*, uint64_t>> waiting_;
};

// The addresses of all guarded slots, sorted, for look-ups by many candidates.
class GuardedSlots {
 public:
  template <typename Participants>
  void Collect(const Participants& participants) {
    addresses_.clear();
    for (auto* participant : participants) {
      for (auto& guard : participant->guards) {
        const uint64_t address = guard.load(std::memory_order_acquire);
        if (internal::NamesSlot(address)) addresses_.push_back(address);
      }
    }
    std::sort(addresses_.begin(), addresses_.end());
  }

  bool Holds(uint64_t address) const {
    return !addresses_.empty() && std::binary_search(addresses_.begin(), addresses_.end(), address);
  }
  // True when a guard names any slot in [from, to).
  bool HoldsAnyIn(uint64_t from, uint64_t to) const {
    const auto first = std::lower_bound(addresses_.begin(), addresses_.end(), from);
    return first != addresses_.end() && *first < to;
  }
  size_t count() const { return addresses_.size(); }

 private:
  std::vector<uint64_t> addresses_;
};

// Which timestamps are still read at, besides everything from `newest` on (the latest state and
// every snapshot yet to begin) and everything from `floor` on where a retention window keeps
// history.
class NeededTimestamps {
 public:
  template <typename Participants>
  void Collect(const Participants& participants, internal::Timestamp floor) {
    floor_ = floor;
    snapshots_.clear();
    for (auto* participant : participants) {
      const uint64_t word = participant->snapshot.load(std::memory_order_acquire);
      if (word == 0) continue;
      if (word == participant->snapshot_cut.load(std::memory_order_relaxed)) continue;
      const internal::Timestamp at = internal::TimestampOf(word);
      if (at < floor_) snapshots_.push_back(at);
    }
    std::sort(snapshots_.begin(), snapshots_.end());
  }

  // Is a version that was true from `begin` until `end` (its successor's begin) read by anyone?
  bool Needs(internal::Timestamp begin, internal::Timestamp end) const {
    if (end > floor_) return true;
    if (snapshots_.empty()) return false;
    const auto first = std::lower_bound(snapshots_.begin(), snapshots_.end(), begin);
    return first != snapshots_.end() && *first < end;
  }
  // No reader needs anything that ended at or before this.
  internal::Timestamp oldest() const { return snapshots_.empty() ? floor_ : snapshots_.front(); }
  internal::Timestamp floor() const { return floor_; }

 private:
  internal::Timestamp floor_ = 0;
  std::vector<internal::Timestamp> snapshots_;  // sorted, all below floor_
};

}  // namespace flagstone::epoch

#endif  // FLAGSTONE_LIB_EPOCH_GRACE_H_
