// When a home slot may carry another ID: the steps of TableSlots that this rests on, as templates.
//
// Place       TableSlots runs them under its mutex; tests/model runs them on modelled slots.
// Invariants  1. A slot leaves the list of free slots for a tick that may_issue() allows after its
//                last ID's: a later one.
//             2. An extent that changes hands keeps the highest tick of all IDs its slots had.
// Threads     Under the mutex of the owner of the slabs.
// See         lib/id/slot_generation.h, docs/format/record_id.md
#ifndef FLAGSTONE_LIB_SLAB_SLOT_REUSE_H_
#define FLAGSTONE_LIB_SLAB_SLOT_REUSE_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "lib/slab/slab.h"
#include "lib/slab/slot_cache.h"

namespace flagstone::slab {

// Moves free slots into an empty cache, up to `batch`, those freed first first; true when there was
// one. at(slab, index) gives the slot; may_issue(last_tick) says whether it may be used now.
template <typename At, typename MayIssue>
bool TakeFreeSlots(SlabQueue& with_free, HomeSlotCache& cache, uint32_t batch, uint32_t index_bits,
                   At&& at, MayIssue&& may_issue) {
  for (size_t tried = with_free.size(); tried > 0; --tried) {
    Slab& slab = with_free.front();
    const auto slot_at = [&](uint32_t index) { return at(slab, index); };
    while (slab.free_count > 0 && cache.recycled_count < batch &&
           may_issue(FreeSlotTick(*slot_at(slab.free_head - 1)))) {
      const uint32_t index = PopFree(slab, slot_at);
      cache.recycled[cache.recycled_count++] = slab.extent << index_bits | index;
    }
    const bool full = cache.recycled_count == batch;
    if (slab.free_count == 0) {
      with_free.PopFront();
    } else if (!full) {
      // Its oldest free slot is of this tick: the next slab may have an older one.
      with_free.PushBack(with_free.PopFront());
    }
    if (full) break;
  }
  // Take() pops from the end; the slot freed first is to be used first.
  std::reverse(cache.recycled, cache.recycled + cache.recycled_count);
  return cache.recycled_count > 0;
}

// Of all IDs that the slots of an empty slab had.
template <typename At>
uint32_t HighestTick(const Slab& slab, At&& at) {
  uint32_t highest = slab.tick_floor;
  if (slab.returned != nullptr) highest = std::max(highest, slab.returned->tick_floor);
  for (uint32_t here = slab.free_head; here != 0; here = NextFree(*at(slab, here - 1))) {
    highest = std::max(highest, FreeSlotTick(*at(slab, here - 1)));
  }
  return highest;
}

}  // namespace flagstone::slab

#endif  // FLAGSTONE_LIB_SLAB_SLOT_REUSE_H_
