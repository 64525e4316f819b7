#include "lib/slab/version_pool.h"

#include <algorithm>

#include "lib/base/check.h"
#include "lib/base/planted_bug.h"

namespace flagstone::slab {

Status VersionPool::Prepare() {
  base::MutexLock lock(&mutex_);
  if (!by_extent_.empty()) return Status::Ok();
  return Grow();
}

Status VersionPool::Grow() {
  // Room for all that follows, so that what is taken cannot be lost, and Give() never needs any.
  by_extent_.reserve(by_extent_.size() + 1);
  with_room_.reserve(by_extent_.size() + 1);
  Result<Slab*> slab = space_.TakeVersionExtent();
  if (!slab.ok()) return slab.status();
  if (by_extent_.size() <= (*slab)->extent) by_extent_.resize((*slab)->extent + 1);
  by_extent_[(*slab)->extent] = *slab;
  with_room_.push_back(*slab);
  (*slab)->queued = true;
  free_count_ += (*slab)->unused_count();
  return Status::Ok();
}

Status VersionPool::Refill(VersionSlotCache& cache, VersionUse use) {
  base::MutexLock lock(&mutex_);
  // A class of large slots has fewer in an extent than are reserved of small ones.
  const uint64_t reserved =
      base::Planted(base::PlantedBug::kNoDeleteReserve)
          ? 0
          : std::min<uint64_t>(kReservedForDeletes, space_.geometry().slots_per_extent / 2);
  if (free_count_ <= reserved) {
    const Status grown = Grow();
    if (!grown.ok() && (use == VersionUse::kUpdate || free_count_ == 0)) return grown;
  }
  // Of the reserve, a delete takes only what it needs.
  const uint64_t wanted =
      free_count_ > reserved ? std::min<uint64_t>(free_count_ - reserved, kVersionBatchMax) : 1;
  for (uint64_t taken = 0; taken < wanted; ++taken) {
    Slab& slab = *with_room_.back();
    const uint32_t index = slab.free_count > 0 ? PopFree(slab, SlotAt(slab)) : slab.next_unused++;
    cache.links[cache.count++] = slab.extent << space_.geometry().index_bits | index;
    if (slab.free_count == 0 && slab.unused_count() == 0) {
      slab.queued = false;
      with_room_.pop_back();
    }
  }
  free_count_ -= wanted;
  used_count_ += wanted;
  return Status::Ok();
}

void VersionPool::Give(std::span<const internal::VersionLink> links) {
  base::MutexLock lock(&mutex_);
  for (const internal::VersionLink link : links) {
    Slab& slab = *by_extent_[link >> space_.geometry().index_bits];
    PushFreeAtHead(slab, link & space_.geometry().index_mask, SlotAt(slab));
    if (!slab.queued) {
      slab.queued = true;
      with_room_.push_back(&slab);
    }
  }
  free_count_ += links.size();
  used_count_ -= links.size();
}

void VersionPool::GiveBack(VersionSlotCache& cache) {
  Give(std::span(cache.links, cache.count));
  cache.count = 0;
}

size_t VersionPool::ReturnEmptyExtents() {
  base::MutexLock lock(&mutex_);
  size_t returned = 0;
  for (size_t extent = 1; extent < by_extent_.size(); ++extent) {
    Slab* slab = by_extent_[extent];
    if (slab == nullptr || !slab->empty()) continue;
    if (slab->queued) std::erase(with_room_, slab);
    free_count_ -= slab->free_count + slab->unused_count();
    by_extent_[extent] = nullptr;
    space_.ReturnVersionExtent(slab);
    ++returned;
  }
  return returned;
}

uint64_t VersionPool::used_count() const {
  base::MutexLock lock(&mutex_);
  return used_count_;
}

uint64_t VersionPool::free_count() const {
  base::MutexLock lock(&mutex_);
  return free_count_;
}

}  // namespace flagstone::slab
