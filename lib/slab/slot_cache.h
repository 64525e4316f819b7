// What one session holds in advance of a table's home slots and of a class's version slots, so that
// allocation in steady state takes no lock.
//
// Threads     Owned by the session's user.
#ifndef FLAGSTONE_LIB_SLAB_SLOT_CACHE_H_
#define FLAGSTONE_LIB_SLAB_SLOT_CACHE_H_

#include <cstdint>
#include <optional>
#include <utility>

#include "flagstone/internal/slot.h"

namespace flagstone::slab {

inline constexpr uint32_t kHomeBatchMax = 64;
inline constexpr uint32_t kVersionBatchMax = 64;

// Home slots are named by their slot number in the class: extent << index_bits | index; runs by
// that of their first slot.
struct HomeSlotCache {
  // A stretch of never-used slots, in order: what makes a bulk load write memory sequentially.
  uint32_t unused_next = 0;
  uint32_t unused_end = 0;
  uint32_t run_slots = 1;  // from one record's first slot to the next one's
  // Slots that held records before.
  uint32_t recycled_count = 0;
  uint32_t recycled[kHomeBatchMax];

  bool empty() const { return unused_next == unused_end && recycled_count == 0; }
  // The cache is not empty. Recycled slots first: they were waited for longest.
  uint32_t Take() {
    if (recycled_count > 0) return recycled[--recycled_count];
    return std::exchange(unused_next, unused_next + run_slots);
  }
  // The slot that will be taken in a while, to be fetched meanwhile, if it is known.
  static constexpr uint32_t kAhead = 8;
  std::optional<uint32_t> Ahead() const {
    if (recycled_count > kAhead) return recycled[recycled_count - 1 - kAhead];
    const uint32_t ahead = unused_next + kAhead * run_slots;
    if (recycled_count == 0 && ahead < unused_end) return ahead;
    return std::nullopt;
  }
};

// Single slots. Runs for the versions of long records are not cached: beside copying their payloads
// a lock costs nothing, and memory that lies idle in sessions would be much.
struct VersionSlotCache {
  uint32_t count = 0;
  // Twice a batch: half is given back when it overflows, half is asked for when it is empty.
  internal::VersionLink links[2 * kVersionBatchMax];
};

}  // namespace flagstone::slab

#endif  // FLAGSTONE_LIB_SLAB_SLOT_CACHE_H_
