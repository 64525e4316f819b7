// The version slots of one size class: last in, first out, because the slot used last is in the
// cache.
//
// Place       Below transactions (updates take a slot each, through the session's cache) and
// reclamation
//             (gives them back after a grace period); above ClassSpace.
// Invariants  1. kReservedForDeletes slots are only handed out to deletes, so that at the memory
// limit
//                room can still be made.
// Threads     Any; one mutex per class, taken once for a batch.
// Errors      RESOURCE_EXHAUSTED from ClassSpace at the memory limit.
#ifndef FLAGSTONE_LIB_SLAB_VERSION_POOL_H_
#define FLAGSTONE_LIB_SLAB_VERSION_POOL_H_

#include <cstdint>
#include <functional>
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

  // Maps the first extent, which holds the reserve. Called before the first record of the class.
  Status Prepare();
  // Adds up to a batch to the cache, at least one slot.
  Status Refill(VersionSlotCache& cache, VersionUse use);
  void Give(std::span<const internal::VersionLink> links);
  void GiveBack(VersionSlotCache& cache);

  // Gives the memory of extents without a used slot back, but for the one that holds the reserve.
  // No reader can reach a slot of the pool, so there is nothing to wait for.
  size_t ReturnEmptyExtents();

  uint64_t used_count() const;  // slots outside the pool, those in session caches included
  uint64_t free_count() const;

 private:
  auto SlotAt(const Slab& slab) const {
    return [this, extent = slab.extent](uint32_t index) {
      return space_.geometry().At(extent << space_.geometry().index_bits | index);
    };
  }
  Status Grow() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  ClassSpace& space_;
  mutable base::Mutex mutex_;
  std::vector<Slab*> by_extent_ ABSL_GUARDED_BY(mutex_);
  std::vector<Slab*> with_room_ ABSL_GUARDED_BY(mutex_);  // stack
  uint64_t free_count_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t used_count_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace flagstone::slab

#endif  // FLAGSTONE_LIB_SLAB_VERSION_POOL_H_
