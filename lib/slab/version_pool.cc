#include "lib/slab/version_pool.h"

#include <algorithm>
#include <utility>

#include "lib/base/check.h"
#include "lib/base/planted_bug.h"

namespace flagstone::slab {

Status VersionPool::Prepare(uint32_t run_slots) {
  base::MutexLock lock(&mutex_);
  FLAGSTONE_RETURN_IF_ERROR(AddShelf(1));  // first: link 0 means none, and is one of a single slot
  return AddShelf(run_slots);
}

Status VersionPool::AddShelf(uint32_t run_slots) {
  if (shelves_.size() < run_slots) shelves_.resize(run_slots);
  std::unique_ptr<Shelf>& place = shelves_[run_slots - 1];
  if (place != nullptr) return Status::Ok();
  auto shelf = std::make_unique<Shelf>();
  shelf->run_slots = run_slots;
  FLAGSTONE_RETURN_IF_ERROR(Grow(*shelf));
  shelf->first_extent = shelf->with_room.back()->extent;
  place = std::move(shelf);
  return Status::Ok();
}

Status VersionPool::Grow(Shelf& shelf) {
  // Room for all that follows, so that what is taken cannot be lost, and Give() never needs any.
  by_extent_.reserve(by_extent_.size() + 1);
  shelf.with_room.reserve(by_extent_.size() + 1);
  Result<Slab*> slab = space_.TakeVersionExtent(shelf.run_slots);
  if (!slab.ok()) return slab.status();
  if (by_extent_.size() <= (*slab)->extent) by_extent_.resize((*slab)->extent + 1);
  by_extent_[(*slab)->extent] = *slab;
  shelf.with_room.push_back(*slab);
  (*slab)->queued = true;
  shelf.free_count += (*slab)->unused_count();
  return Status::Ok();
}

internal::VersionLink VersionPool::TakeOne(Shelf& shelf) {
  Slab& slab = *shelf.with_room.back();
  const uint32_t index = slab.free_count > 0
                             ? PopFreeVersion(slab)
                             : std::exchange(slab.next_unused, slab.next_unused + slab.run_slots);
  if (slab.free_count == 0 && !slab.has_unused()) {
    slab.queued = false;
    shelf.with_room.pop_back();
  }
  --shelf.free_count;
  ++shelf.used_count;
  return slab.extent << space_.geometry().index_bits | index;
}

Status VersionPool::Refill(VersionSlotCache& cache, VersionUse use) {
  base::MutexLock lock(&mutex_);
  Shelf& shelf = ShelfOf(1);
  // A class of large slots has fewer in an extent than are reserved of small ones.
  const uint64_t reserved =
      base::Planted(base::PlantedBug::kNoDeleteReserve)
          ? 0
          : std::min<uint64_t>(kReservedForDeletes, space_.geometry().slots_per_extent / 2);
  if (shelf.free_count <= reserved) {
    const Status grown = Grow(shelf);
    if (!grown.ok() && (use == VersionUse::kUpdate || shelf.free_count == 0)) return grown;
  }
  // Of the reserve, a delete takes only what it needs.
  const uint64_t wanted = shelf.free_count > reserved
                              ? std::min<uint64_t>(shelf.free_count - reserved, kVersionBatchMax)
                              : 1;
  for (uint64_t taken = 0; taken < wanted; ++taken) cache.links[cache.count++] = TakeOne(shelf);
  return Status::Ok();
}

Result<internal::VersionLink> VersionPool::TakeRun(uint32_t run_slots) {
  base::MutexLock lock(&mutex_);
  Shelf& shelf = ShelfOf(run_slots);
  if (shelf.free_count == 0) FLAGSTONE_RETURN_IF_ERROR(Grow(shelf));
  return TakeOne(shelf);
}

void VersionPool::Give(std::span<const internal::VersionLink> links) {
  for (; links.size() > kGivenAtOnceMax; links = links.subspan(kGivenAtOnceMax)) {
    GiveAtOnce(links.first(kGivenAtOnceMax));
    // A mutex that is taken again at once is never free for who tries meanwhile.
    for (int pause = 0; pause < kPausesBetween; ++pause) internal::StdAtomics::Pause(0);
  }
  GiveAtOnce(links);
}

void VersionPool::GiveAtOnce(std::span<const internal::VersionLink> links) {
  base::MutexLock lock(&mutex_);
  const internal::SlotGeometry& geometry = space_.geometry();
  // Links come in stretches of one extent, and sessions wait meanwhile.
  Slab* slab = nullptr;
  Shelf* shelf = nullptr;
  for (const internal::VersionLink link : links) {
    const uint32_t extent = link >> geometry.index_bits;
    if (slab == nullptr || slab->extent != extent) {
      slab = by_extent_[extent];
      shelf = &ShelfOf(slab->run_slots);
    }
    PushFreeVersion(*slab, link & geometry.index_mask);
    if (!slab->queued) {
      slab->queued = true;
      shelf->with_room.push_back(slab);
    }
    ++shelf->free_count;
    --shelf->used_count;
  }
}

void VersionPool::GiveBack(VersionSlotCache& cache) {
  Give(std::span(cache.links, cache.count));
  cache.count = 0;
}

size_t VersionPool::ReturnEmptyExtents() {
  size_t returned = 0;
  for (size_t extent = 0;; ++extent) {
    bool given_back = false;
    {
      base::MutexLock lock(&mutex_);
      if (extent >= by_extent_.size()) return returned;
      given_back = ReturnIfEmpty(by_extent_[extent]);
    }
    if (!given_back) continue;
    ++returned;
    mutex_.LetWaitersIn();
  }
}

bool VersionPool::ReturnIfEmpty(Slab*& slab) {
  if (slab == nullptr || !slab->empty()) return false;
  Shelf& shelf = ShelfOf(slab->run_slots);
  if (slab->extent == shelf.first_extent) return false;
  const bool queued = slab->queued;
  const auto free_count = slab->free_count + slab->unused_count();
  space_.ReturnVersionExtent(slab);  // may throw, before it has done anything
  if (queued) std::erase(shelf.with_room, slab);
  shelf.free_count -= free_count;
  slab = nullptr;
  return true;
}

uint64_t VersionPool::used_count() const {
  base::MutexLock lock(&mutex_);
  uint64_t slots = 0;
  for (const auto& shelf : shelves_) {
    if (shelf != nullptr) slots += shelf->used_count * shelf->run_slots;
  }
  return slots;
}

uint64_t VersionPool::free_count() const {
  base::MutexLock lock(&mutex_);
  uint64_t slots = 0;
  for (const auto& shelf : shelves_) {
    if (shelf != nullptr) slots += shelf->free_count * shelf->run_slots;
  }
  return slots;
}

}  // namespace flagstone::slab
