// The home slots of one table in one size class: which are free, which may be used again when. Of
// records longer than a slot, the same for runs: a slot number is that of a run's first slot.
//
// Place       Below transactions (which take slots through a session's cache) and reclamation
//             (which gives them back after a grace period); above ClassSpace, which has the slabs.
// Invariants  1. A slot is handed out for a tick later than that of any ID it had before (DESIGN of
//                IDs: docs/format/record_id.md): an ID names one record for ever.
//             2. Slabs with free slots are used first in, first out, and so are the slots in each:
//                the time until a slot is used again is as long as the churn allows.
//             3. A slot whose last ID has the last tick of the layout is retired.
// Threads     Any; one mutex per table and class, taken once for a batch of slots.
// Errors      RESOURCE_EXHAUSTED: memory limit or slots (from ClassSpace), or ticks (from
//             TickSource).
#ifndef FLAGSTONE_LIB_SLAB_TABLE_SLOTS_H_
#define FLAGSTONE_LIB_SLAB_TABLE_SLOTS_H_

#include <cstdint>
#include <span>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "flagstone/status.h"
#include "lib/base/mutex.h"
#include "lib/id/tick_source.h"
#include "lib/slab/class_space.h"
#include "lib/slab/owned_extents.h"
#include "lib/slab/slab.h"
#include "lib/slab/slot_cache.h"
#include "lib/slab/sparse_pages.h"

namespace flagstone::slab {

// How full a table is. used + free + unused = slots in its slabs; retired ones are in neither. Of a
// run all slots count.
struct SlotOccupancy {
  uint64_t slab_count = 0;
  uint64_t used =
      0;  // handed out: records, records of running transactions, slots cached by sessions
  uint64_t free = 0;    // those on returned pages included
  uint64_t unused = 0;  // never used since the slab was taken
  uint64_t retired = 0;

  SlotOccupancy& operator+=(const SlotOccupancy& other);
};

// A slot that comes back: its number and the tick of the last ID it had.
struct FreedSlot {
  uint32_t slot;
  uint32_t last_tick;
};

// RESOURCE_EXHAUSTED: the layout has no tick left, for ever.
Status TicksUsedUp();

class TableSlots {
 public:
  TableSlots(SlabOwner owner, ClassSpace& space, OwnedExtents owned, id::TickSource& ticks,
             uint32_t tick_max);
  TableSlots(const TableSlots&) = delete;
  TableSlots& operator=(const TableSlots&) = delete;

  // Fills an empty cache with at least one slot: free ones of earlier ticks, else never-used ones,
  // else a new slab, else the logical tick runs ahead.
  Status Refill(HomeSlotCache& cache);
  // Takes slabs until `record_count` more records find a free or a never-used slot.
  // RESOURCE_EXHAUSTED keeps what was taken.
  Status Reserve(uint64_t record_count);
  // Takes the slot of an ID that was made elsewhere. Nothing changes with INVALID_ARGUMENT (the
  // slot is another table's, or its last tick is not before `tick`) and FAILED_PRECONDITION
  // (somebody has it). In any order of IDs a slot costs the same.
  Status TakeAt(uint32_t slot, uint32_t tick);
  // Slots whose records are gone and that no reader can reach.
  void Give(std::span<const FreedSlot> slots);
  // What a closing session still held. Nothing was issued from these slots.
  void GiveBackUnissued(HomeSlotCache& cache);

  // Slabs without a used slot leave the table and are told to readers as unowned; after a grace
  // period ReturnRetracted() gives their memory back.
  size_t RetractEmptySlabs();
  void ReturnRetracted(const std::function<bool(uint64_t from, uint64_t to)>& guarded);

  // Gives back the pages without a record of extents that are the table's own and hardly used
  // (kSparsePagesMin); their slots can be taken again at any time, for later ticks. Nobody is on
  // them: a slot is free only after a grace period and without a guard, and who comes by with a
  // stale ID finds ID 0 there before and after.
  void ReturnSparsePages();

  SlotOccupancy occupancy() const;
  ClassSpace& space() { return space_; }

 private:
  auto SlotAt(const Slab& slab) const {
    return [this, extent = slab.extent](uint32_t index) {
      return space_.geometry().HomeAt(extent, index);
    };
  }
  bool TakeFree(HomeSlotCache& cache, uint32_t current_tick) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool TakeUnused(HomeSlotCache& cache, uint32_t current_tick)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Restores pages whose slots may issue the tick, and takes from them. False: there are none.
  Result<bool> TakeReturned(HomeSlotCache& cache, uint32_t current_tick)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool ReturnedWaitForLaterTick(uint32_t current_tick) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void ReturnPagesOf(Slab& slab) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // The first returned pages from `page` on, as far as one slot reaches; their slots are free
  // again.
  Status RestorePagesAt(Slab& slab, uint32_t page) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Room for one more slab, so that what is taken cannot be lost.
  void ReserveSlab() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  Status Grow(uint32_t current_tick) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void GiveOne(Slab& slab, uint32_t index, uint32_t last_tick)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Enqueue(Slab& slab) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // The slab with the place, taken for the table if it is nobody's.
  Result<Slab*> SlabAt(const GivenPlace& place) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Makes the table's slabs of a shared extent, which is nobody else's, the one of an extent of its
  // own.
  Result<Slab*> JoinSlabs(uint32_t extent) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void FillJoined(const JoinedSlabs& joined, const std::vector<FreeSlot>& free)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Takes a slab into the table; tells readers when it is a whole extent.
  void Add(Slab* slab) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool IsWholeExtent(const Slab& slab) const {
    return space_.extent_owner()[slab.extent].load(std::memory_order_relaxed) == owner_.table;
  }

  // set at open
  const SlabOwner owner_;
  ClassSpace& space_;
  id::TickSource& ticks_;
  const uint32_t tick_max_;
  const uint32_t batch_;  // what a session takes at once: 64 KiB of slots at most, or one run

  mutable base::Mutex mutex_;
  OwnedExtents owned_ ABSL_GUARDED_BY(mutex_);
  std::vector<Slab*> slabs_ ABSL_GUARDED_BY(mutex_);
  SlabQueue with_free_ ABSL_GUARDED_BY(mutex_);
  std::vector<Slab*> with_unused_ ABSL_GUARDED_BY(mutex_);    // has room for all of slabs_
  std::vector<Slab*> with_returned_ ABSL_GUARDED_BY(mutex_);  // has room for all of slabs_
  std::vector<Slab*> retracted_ ABSL_GUARDED_BY(mutex_);
  uint64_t retired_count_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace flagstone::slab

#endif  // FLAGSTONE_LIB_SLAB_TABLE_SLOTS_H_
