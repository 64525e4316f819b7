// The address space of one size class: its extents of home slots and of version slots.
//
// Place       Between page (which maps extents) and the allocators of slots (table_slots.h,
//             version_pool.h), which own slabs that are cut here.
// Life        Ranges are reserved when the first table of the class is created. Extents are mapped
//             one by one, the lowest first or where a given ID asks for one; owned, emptied,
//             returned to the system and mapped again.
// Invariants  1. extent_owner(e) is the table that owns extent e, kExtentShared, or kExtentUnowned;
//                it is set (release) before any slot of the extent is published.
//             2. An extent that was returned reads as zeros, and is only used again for IDs with
//                ticks above every one issued from it before.
// Threads     Any; one mutex, taken when a table needs another slab.
// See         docs/format/slab.md
#ifndef FLAGSTONE_LIB_SLAB_CLASS_SPACE_H_
#define FLAGSTONE_LIB_SLAB_CLASS_SPACE_H_

#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "flagstone/internal/table_view.h"
#include "flagstone/size_class.h"
#include "flagstone/status.h"
#include "lib/base/mutex.h"
#include "lib/page/extent_range.h"
#include "lib/slab/slab.h"

namespace flagstone::slab {

using internal::kSlabsPerSharedExtent;

// Reserves an address range: for `extents_max` extents whose memory is charged to `component`.
using RangeFactory = std::function<Result<std::unique_ptr<page::ExtentRange>>(
    const std::string& name, uint64_t extents_max, MemoryComponent component)>;

// Who takes a home slab, and what for.
struct SlabOwner {
  uint16_t table = 0;      // from 1
  uint32_t run_slots = 1;  // of each record; above 1 in the largest class only
};

// Where an ID that was made elsewhere wants its record, and its tick.
struct GivenPlace {
  uint32_t extent = 0;
  uint32_t index = 0;
  uint32_t tick = 0;
};

struct GivenSlab {
  enum class Holding : uint8_t {
    kHeld,     // the table had it
    kTaken,    // it is the table's from now on
    kToBeOne,  // no slab has the place: JoinHomeSlabs() makes the one that does
  };
  Holding holding;
  Slab* slab;  // nullptr: kToBeOne
};

// What became of the slabs of a shared extent: one slab, laid out as never used, and they
// themselves by number, nullptr where nobody had one.
struct JoinedSlabs {
  Slab* whole = nullptr;
  std::unique_ptr<std::unique_ptr<Slab>[]> parts;
};

struct ExtentCounts {
  uint64_t home_mapped = 0;
  uint64_t version_mapped = 0;
  uint64_t home_owned = 0;
  uint64_t home_shared = 0;
  uint64_t home_returned = 0;
  uint64_t home_bytes_returned_in_parts = 0;  // out of extents that are mapped
};

class ClassSpace {
 public:
  // `slot_bits` of the ID layout; `extents_max` bounds each of the two reservations.
  static Result<std::unique_ptr<ClassSpace>> Create(uint32_t size_class, uint32_t slot_bits,
                                                    uint64_t extents_max,
                                                    const RangeFactory& reserve);
  ~ClassSpace();
  ClassSpace(const ClassSpace&) = delete;
  ClassSpace& operator=(const ClassSpace&) = delete;

  uint32_t size_class() const { return size_class_; }
  const internal::SlotGeometry& geometry() const { return geometry_; }
  const std::atomic<uint16_t>* extent_owner() const { return extent_owner_; }
  const std::atomic<uint16_t>* shared_owner() const { return shared_owner_; }
  uint32_t slots_per_shared_slab() const {
    return geometry_.slots_per_extent / kSlabsPerSharedExtent;
  }
  uint64_t home_extents_max() const { return home_extents_max_; }
  const page::ExtentRange& home_range() const { return *home_; }
  const page::ExtentRange& version_range() const { return *versions_; }
  // To return pages out of extents in use, and restore them.
  page::ExtentRange& home_pages() { return *home_; }

  // A slab for the table: shared ones first, as long as it owns few and its runs are at most half a
  // shared slab, then whole extents. It holds at least one run, and its tick floor is below
  // `current_tick`. RESOURCE_EXHAUSTED names what ran out.
  Result<Slab*> TakeHomeSlab(SlabOwner owner, uint32_t slabs_owned, uint32_t current_tick);
  // True when memory that was given back waits for a tick later than `current_tick`: TakeHomeSlab()
  // failed for the tick, and a later one may find room.
  bool WaitsForLaterTick(uint32_t current_tick) const;
  // The slab that holds the place of an ID made elsewhere. Where nobody has the place the table
  // takes one slab of a shared extent: in the store that the ID comes from other tables may have
  // the others, and their IDs come later. It takes the whole extent only where no shared slab has
  // the place. INVALID_ARGUMENT, and nothing taken: the place is another table's, or out of range,
  // or its memory issued an ID of this tick or a later one. RESOURCE_EXHAUSTED: no memory; nothing
  // taken.
  Result<GivenSlab> TakeHomeSlabAt(SlabOwner owner, const GivenPlace& place);
  // What TakeHomeSlabAt() would say, memory aside.
  Status CheckHomeSlabAt(SlabOwner owner, const GivenPlace& place) const;
  // The part of it that holds for any class, also before there is a space for it.
  static Status CheckPlace(uint32_t size_class, uint64_t extents_max, SlabOwner owner,
                           const GivenPlace& place);
  // Makes the slabs of a shared extent, all of them the table's, one that covers it: the table
  // then reads it as an extent of its own, and keeps one slab instead of many. INVALID_ARGUMENT
  // when another table has one of them. The caller moves what is in the parts.
  Result<JoinedSlabs> JoinHomeSlabs(SlabOwner owner, uint32_t extent);
  // Takes back an empty slab. `highest_tick` is of the IDs it issued. The caller has waited for a
  // grace period after RetractHomeSlab().
  void ReturnHomeSlab(Slab* slab, uint32_t highest_tick);
  // First half of returning: readers are told that the slab's extent holds nothing.
  void RetractHomeSlab(const Slab& slab);

  // False for a slab of a shared extent, also where one table has all of them.
  bool CoversExtent(const Slab& slab) const {
    return slab.end_index - slab.first_index > slots_per_shared_slab();
  }
  // The slab that holds this slot; nullptr when the extent is not in use.
  Slab* SlabOf(uint32_t extent, uint32_t index);

  // Another extent of version slots, cut into runs. RESOURCE_EXHAUSTED at the memory limit.
  Result<Slab*> TakeVersionExtent(uint32_t run_slots);
  void ReturnVersionExtent(Slab* slab);

  ExtentCounts counts() const;

 private:
  enum class ExtentUse : uint8_t {
    kNeverUsed,
    kFree,  // in free_home_extents_
    kInUse,
  };
  struct Extent {
    ExtentUse use = ExtentUse::kNeverUsed;
    uint32_t tick_floor = 0;      // highest tick of earlier lives
    std::unique_ptr<Slab> whole;  // the one slab of an owned extent
    // The slabs of a shared extent, nullptr where free.
    std::unique_ptr<std::unique_ptr<Slab>[]> shared;
    uint32_t shared_taken = 0;
    uint32_t shared_tick_floor = 0;  // highest tick of slabs returned to this shared extent
  };

  ClassSpace(uint32_t size_class, uint32_t slot_bits);
  Status MapTables();

  // How TakeHomeSlabAt() gets at a place.
  enum class Taking : uint8_t { kHeld, kSharedSlab, kSharedExtent, kWholeExtent, kToBeOne };

  // An extent that no one uses and that has room for a run of the owner's, mapped and readable.
  Result<uint32_t> TakeFreeExtent(SlabOwner owner, uint32_t current_tick)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // This one, which is not in use.
  Status TakeUnusedExtent(uint32_t extent) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  Status MapFirstTime(uint32_t extent) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void AddFreeExtent(uint32_t extent) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  Result<Taking> HowToTake(SlabOwner owner, const GivenPlace& place) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // False: the run lies on no slab of a shared extent, or its table does not share any.
  bool HasPlaceInSharedSlab(SlabOwner owner, const GivenPlace& place) const;
  bool HasRoomForRun(uint32_t extent, uint32_t run_slots) const;
  void LayOutHome(Slab& slab, uint32_t run_slots, IndexRange slots);
  bool FitsSharedSlabs(uint32_t run_slots) const;
  // True when all slabs of a shared extent are `table`'s.
  bool IsOneTables(uint32_t extent, uint16_t table) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // True when no slab of a shared extent is another's, or is being given back.
  bool HasNoOthersSlab(uint32_t extent, uint16_t table) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  Slab* OwnWhole(SlabOwner owner, uint32_t extent, std::unique_ptr<Slab> slab)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  Result<Slab*> TakeSharedSlab(SlabOwner owner, uint32_t current_tick)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // A mapped extent that is no one's becomes a shared one; `slabs` is empty.
  void ShareExtent(uint32_t extent, std::unique_ptr<std::unique_ptr<Slab>[]> slabs)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  Slab* OwnShared(SlabOwner owner, uint32_t extent, uint32_t number, std::unique_ptr<Slab> slab)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  Status OutOfExtents(const char* what, uint64_t extents_max) const;
  std::atomic<uint16_t>& owner_of(uint32_t extent) { return extent_owner_[extent]; }

  // set at open
  const uint32_t size_class_;
  const uint64_t layout_extents_;  // as many as the slot field can number
  uint64_t home_extents_max_ = 0;
  uint64_t version_extents_max_ = 0;
  internal::SlotGeometry geometry_{};
  std::unique_ptr<page::ExtentRange> home_;
  std::unique_ptr<page::ExtentRange> versions_;

  // atomic: written under mutex_, read by every reader. Lazily touched, one entry for each extent
  // (and each slab of a shared one) that the slot field of an ID can name, so that no bound is
  // checked.
  std::atomic<uint16_t>* extent_owner_ = nullptr;
  std::atomic<uint16_t>* shared_owner_ = nullptr;

  mutable base::Mutex mutex_;
  std::vector<Extent> extents_ ABSL_GUARDED_BY(mutex_);
  // None below this was never used. Above it are those that given IDs have taken, and between
  // them extents without memory.
  uint32_t home_next_ ABSL_GUARDED_BY(mutex_) = 0;
  std::deque<uint32_t> free_home_extents_ ABSL_GUARDED_BY(mutex_);
  std::vector<uint32_t> shared_with_room_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::unique_ptr<Slab>> version_slabs_ ABSL_GUARDED_BY(mutex_);
  std::vector<uint32_t> free_version_extents_ ABSL_GUARDED_BY(mutex_);
  uint32_t version_mapped_end_ ABSL_GUARDED_BY(mutex_) = 0;
  uint32_t version_next_ ABSL_GUARDED_BY(mutex_) = 0;
  ExtentCounts counts_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace flagstone::slab

#endif  // FLAGSTONE_LIB_SLAB_CLASS_SPACE_H_
