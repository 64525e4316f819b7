// The version slots of one size class: last in, first out, because the slot used last is in the
// cache.
//
// Versions of long records take runs: adjacent slots of one extent, named by the first one's link.
// An extent of version slots is cut for one run length at a time; those of a length are a shelf.
//
// Place       Below transactions (updates take a slot each, through the session's cache, or a run)
//             and reclamation (gives them back after a grace period); above ClassSpace.
// Invariants  1. kReservedForDeletes single slots are only handed out to deletes, so that at the
//                memory limit room can still be made. A tombstone has no payload: that of a long
//                record is a single slot too.
//             2. Each run length in use keeps an extent, so that an update is possible whatever
//                records have filled the memory up to its limit.
// Threads     Any; one mutex per class, taken once for a batch of single slots or for one run.
// Errors      RESOURCE_EXHAUSTED from ClassSpace at the memory limit.
#ifndef FLAGSTONE_LIB_SLAB_VERSION_POOL_H_
#define FLAGSTONE_LIB_SLAB_VERSION_POOL_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "flagstone/status.h"
#include "lib/base/mutex.h"
#include "lib/slab/class_space.h"
#include "lib/slab/slot_cache.h"

namespace flagstone::slab {

enum class VersionUse : uint8_t { kUpdate, kDelete };

class VersionPool {
 public:
  // Enough for the deletes of several sessions between two passes of reclamation.
  static constexpr uint64_t kReservedForDeletes = 256;

  explicit VersionPool(ClassSpace& space) : space_(space) {}
  VersionPool(const VersionPool&) = delete;
  VersionPool& operator=(const VersionPool&) = delete;

  // Maps the first extents: of single slots, with the reserve, and of runs of `run_slots` if that
  // is more than 1. What is there is kept. Called before the first record of such a table.
  Status Prepare(uint32_t run_slots);
  // Adds up to a batch of single slots to the cache, at least one.
  Status Refill(VersionSlotCache& cache, VersionUse use);
  // The link of one run for an updated version. Prepare(run_slots) was called, `run_slots` > 1.
  Result<internal::VersionLink> TakeRun(uint32_t run_slots);
  // Single slots and runs alike: the extent of a link says which it is.
  void Give(std::span<const internal::VersionLink> links);
  void GiveBack(VersionSlotCache& cache);

  // Gives the memory of extents without a used slot back, but for the first of each shelf. No
  // reader can reach a slot of the pool, so there is nothing to wait for. A session that comes for
  // slots meanwhile waits for one extent at most.
  size_t ReturnEmptyExtents();

  // In slots: a run counts as many as it has.
  uint64_t used_count() const;  // outside the pool, those in session caches included
  uint64_t free_count() const;

 private:
  // Under the mutex in one go, and the gap before the next one: a session that comes for slots
  // meanwhile waits for about a microsecond and so without sleeping (base/mutex.h).
  static constexpr size_t kGivenAtOnceMax = 64;
  static constexpr int kPausesBetween = 16;
  void GiveAtOnce(std::span<const internal::VersionLink> links);

  // The extents of one run length. Counts are of runs.
  struct Shelf {
    uint32_t run_slots = 1;
    uint32_t first_extent = 0;     // is kept
    std::vector<Slab*> with_room;  // stack
    uint64_t free_count = 0;
    uint64_t used_count = 0;
  };

  // False: it has a used slot, or is kept.
  bool ReturnIfEmpty(Slab*& slab) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  Shelf& ShelfOf(uint32_t run_slots) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return *shelves_[run_slots - 1];
  }
  Status AddShelf(uint32_t run_slots) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  Status Grow(Shelf& shelf) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // The shelf has a free slot or run.
  internal::VersionLink TakeOne(Shelf& shelf) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  ClassSpace& space_;
  mutable base::Mutex mutex_;
  std::vector<Slab*> by_extent_ ABSL_GUARDED_BY(mutex_);
  // [run_slots - 1]; nullptr where no table has runs of that length.
  std::vector<std::unique_ptr<Shelf>> shelves_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace flagstone::slab

#endif  // FLAGSTONE_LIB_SLAB_VERSION_POOL_H_
