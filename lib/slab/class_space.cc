#include "lib/slab/class_space.h"

#include <sys/mman.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string>
#include <utility>

#include "lib/base/check.h"
#include "lib/base/planted_bug.h"
#include "lib/id/slot_generation.h"

namespace flagstone::slab {
namespace {

using internal::kExtentShared;
using internal::kExtentUnowned;

// Zero pages that cost nothing until an entry is written.
Result<std::atomic<uint16_t>*> MapOwnerTable(uint64_t count) {
  void* pages = mmap(nullptr, count * sizeof(uint16_t), PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (pages == MAP_FAILED) {
    return Status::Error(StatusCode::kResourceExhausted,
                         "extent table: mmap of " + std::to_string(count * sizeof(uint16_t)) +
                             " bytes failed: " + std::strerror(errno) +
                             "; raise the limits of address space and data (ulimit -v, ulimit -d)");
  }
  return static_cast<std::atomic<uint16_t>*>(pages);
}

// A free extent before it is used again: mapped, all zeros.
Status MakeUsable(page::ExtentRange& range, uint32_t extent) {
  if (range.state(extent) == page::ExtentState::kMapped) {
    FLAGSTONE_RETURN_IF_ERROR(range.RestoreAllPages(extent));
    std::memset(static_cast<void*>(range.extent_address(extent)), 0, kExtentBytes);
    return Status::Ok();
  }
  return range.Map(extent, 1).status();
}

// Where the system does not take memory back, the extent stays mapped (and charged) until it is
// used again.
void GiveBack(page::ExtentRange& range, uint32_t extent) {
  static_cast<void>(range.Return(extent, 1));
}

}  // namespace

ClassSpace::ClassSpace(uint32_t size_class, uint32_t slot_bits)
    : size_class_(size_class),
      layout_extents_(
          uint64_t{1} << (slot_bits - std::min(slot_bits, SizeClassIndexBits(size_class)))) {
  geometry_.stride = SizeClassStrideBytes(size_class);
  geometry_.index_bits = SizeClassIndexBits(size_class);
  geometry_.index_mask = (uint32_t{1} << geometry_.index_bits) - 1;
  geometry_.slots_per_extent = SizeClassSlotsPerExtent(size_class);
}

ClassSpace::~ClassSpace() {
  if (extent_owner_ != nullptr) munmap(extent_owner_, layout_extents_ * sizeof(uint16_t));
  if (shared_owner_ != nullptr) {
    munmap(shared_owner_, layout_extents_ * kSlabsPerSharedExtent * sizeof(uint16_t));
  }
}

Status ClassSpace::MapTables() {
  Result<std::atomic<uint16_t>*> owners = MapOwnerTable(layout_extents_);
  if (!owners.ok()) return owners.status();
  extent_owner_ = *owners;
  Result<std::atomic<uint16_t>*> shared = MapOwnerTable(layout_extents_ * kSlabsPerSharedExtent);
  if (!shared.ok()) return shared.status();
  shared_owner_ = *shared;
  return Status::Ok();
}

Result<std::unique_ptr<ClassSpace>> ClassSpace::Create(uint32_t size_class, uint32_t slot_bits,
                                                       uint64_t extents_max,
                                                       const RangeFactory& reserve) {
  FLAGSTONE_CHECK(slot_bits >= SizeClassIndexBits(size_class) && slot_bits <= internal::kLinkBits);
  std::unique_ptr<ClassSpace> space(new ClassSpace(size_class, slot_bits));
  FLAGSTONE_RETURN_IF_ERROR(space->MapTables());
  const std::string name = "class " + std::to_string(SizeClassStrideBytes(size_class));
  space->home_extents_max_ = std::min(extents_max, space->layout_extents_);
  Result<std::unique_ptr<page::ExtentRange>> home =
      reserve(name, space->home_extents_max_, MemoryComponent::kSlabs);
  if (!home.ok()) return home.status();
  space->home_ = std::move(*home);
  const uint64_t link_extents = uint64_t{1}
                                << (internal::kLinkBits - SizeClassIndexBits(size_class));
  space->version_extents_max_ = std::min(extents_max, link_extents);
  Result<std::unique_ptr<page::ExtentRange>> versions =
      reserve(name + " versions", space->version_extents_max_, MemoryComponent::kVersions);
  if (!versions.ok()) return versions.status();
  space->versions_ = std::move(*versions);
  space->geometry_.base = reinterpret_cast<char*>(space->home_->base());
  space->geometry_.version_base = reinterpret_cast<char*>(space->versions_->base());
  base::MutexLock lock(&space->mutex_);
  space->extents_.resize(space->home_extents_max_);
  return space;
}

Status ClassSpace::OutOfExtents(const char* what, uint64_t extents_max) const {
  return Status::Error(
      StatusCode::kResourceExhausted,
      "size class of " + std::to_string(SizeClassStrideBytes(size_class_)) + " bytes: all " +
          std::to_string(extents_max) + " extents of " + what +
          " that the ID layout and the memory limit allow are in use; delete records, raise "
          "StoreOptions::memory.limit_bytes or use a layout with more slot bits");
}

// Extent 0 is short of its slot 0.
bool ClassSpace::HasRoomForRun(uint32_t extent, uint32_t run_slots) const {
  return extent > 0 || 2 * run_slots <= geometry_.slots_per_extent;
}

Result<uint32_t> ClassSpace::TakeFreeExtent(SlabOwner owner, uint32_t current_tick) {
  for (size_t tried = free_home_extents_.size(); tried > 0; --tried) {
    const uint32_t extent = free_home_extents_.front();
    free_home_extents_.pop_front();
    if (!id::MayIssue(extents_[extent].tick_floor, current_tick) ||
        !HasRoomForRun(extent, owner.run_slots)) {
      free_home_extents_.push_back(extent);
      continue;
    }
    // Mapping what was returned may fail at the memory limit; the extent then stays free.
    if (Status usable = MakeUsable(*home_, extent); !usable.ok()) {
      free_home_extents_.push_front(extent);
      return usable;
    }
    --counts_.home_returned;
    return extent;
  }
  if (home_next_ == 0 && !HasRoomForRun(0, owner.run_slots)) {
    // Left, without memory, to the first table that has room there.
    free_home_extents_.push_back(home_next_++);
    home_mapped_end_ = home_next_;
    ++counts_.home_mapped;
    ++counts_.home_returned;
  }
  if (home_next_ == home_mapped_end_) {
    if (home_mapped_end_ == home_extents_max_) {
      return OutOfExtents("records", home_extents_max_);
    }
    Result<uint32_t> mapped = home_->Map(home_mapped_end_, 1);
    if (!mapped.ok()) return mapped.status();
    home_mapped_end_ += *mapped;
    counts_.home_mapped += *mapped;
  }
  return home_next_++;
}

// Slot 0 of extent 0 is never used, and its ID word is no ID: a free slot's ID word is 0, and the
// ID 0 names this slot.
void ClassSpace::LayOutHome(Slab& slab, uint32_t run_slots, IndexRange slots) {
  if (slab.extent == 0 && slots.begin == 0) {
    slots.begin = 1;
    geometry_.HomeAt(0, 0)->id.store(~uint64_t{0}, std::memory_order_relaxed);
  }
  LayOut(slab, run_slots, slots);
}

Slab* ClassSpace::OwnWhole(SlabOwner owner, uint32_t extent, std::unique_ptr<Slab> slab) {
  Extent& state = extents_[extent];
  state.whole = std::move(slab);
  state.whole->extent = extent;
  LayOutHome(*state.whole, owner.run_slots, {0, geometry_.slots_per_extent});
  state.whole->tick_floor = state.tick_floor;
  ++counts_.home_owned;
  owner_of(extent).store(owner.table, std::memory_order_release);
  return state.whole.get();
}

Result<Slab*> ClassSpace::TakeSharedSlab(SlabOwner owner, uint32_t current_tick) {
  if (shared_with_room_.empty() ||
      !id::MayIssue(extents_[shared_with_room_.back()].shared_tick_floor, current_tick)) {
    auto slabs = std::make_unique<std::unique_ptr<Slab>[]>(kSlabsPerSharedExtent);
    shared_with_room_.reserve(shared_with_room_.size() + 1);
    Result<uint32_t> extent = TakeFreeExtent(owner, current_tick);
    if (!extent.ok()) return extent.status();
    Extent& state = extents_[*extent];
    state.shared = std::move(slabs);
    state.shared_tick_floor = state.tick_floor;
    ++counts_.home_shared;
    owner_of(*extent).store(kExtentShared, std::memory_order_release);
    shared_with_room_.push_back(*extent);
  }
  const uint32_t extent = shared_with_room_.back();
  Extent& state = extents_[extent];
  uint32_t number = 0;
  while (state.shared[number] != nullptr) ++number;
  state.shared[number] = std::make_unique<Slab>();
  Slab& slab = *state.shared[number];
  slab.extent = extent;
  LayOutHome(slab, owner.run_slots,
             {number * slots_per_shared_slab(), (number + 1) * slots_per_shared_slab()});
  slab.tick_floor = state.shared_tick_floor;
  if (++state.shared_taken == kSlabsPerSharedExtent) shared_with_room_.pop_back();
  shared_owner_[size_t{extent} * kSlabsPerSharedExtent + number].store(owner.table,
                                                                       std::memory_order_release);
  // Reads of an extent that only one table uses need not look at its slabs.
  if (state.shared_taken == kSlabsPerSharedExtent && IsOneTables(extent, owner.table)) {
    owner_of(extent).store(owner.table, std::memory_order_release);
  }
  return &slab;
}

bool ClassSpace::IsOneTables(uint32_t extent, uint16_t table) const {
  const std::atomic<uint16_t>* owners = shared_owner_ + size_t{extent} * kSlabsPerSharedExtent;
  return std::all_of(owners, owners + kSlabsPerSharedExtent, [table](const auto& owner) {
    return owner.load(std::memory_order_relaxed) == table;
  });
}

// Runs begin at multiples of their length, slabs do not: of any 2 * length - 1 adjacent slots a run
// has room for sure, so half a slab is what every slab holds, the first one without slot 0
// included.
bool ClassSpace::SharesExtents(SlabOwner owner, uint32_t slabs_owned) const {
  return slabs_owned < kSlabsPerSharedExtent &&
         (owner.run_slots == 1 || owner.run_slots <= slots_per_shared_slab() / 2);
}

Result<Slab*> ClassSpace::TakeHomeSlab(SlabOwner owner, uint32_t slabs_owned,
                                       uint32_t current_tick) {
  base::MutexLock lock(&mutex_);
  if (SharesExtents(owner, slabs_owned)) return TakeSharedSlab(owner, current_tick);
  auto slab = std::make_unique<Slab>();
  Result<uint32_t> extent = TakeFreeExtent(owner, current_tick);
  if (!extent.ok()) return extent.status();
  return OwnWhole(owner, *extent, std::move(slab));
}

bool ClassSpace::WaitsForLaterTick(uint32_t current_tick) const {
  base::MutexLock lock(&mutex_);
  const auto waits = [current_tick](uint32_t tick_floor) {
    return !id::MayIssue(tick_floor, current_tick);
  };
  return std::any_of(free_home_extents_.begin(), free_home_extents_.end(),
                     [&](uint32_t extent) ABSL_NO_THREAD_SAFETY_ANALYSIS {
                       return waits(extents_[extent].tick_floor);
                     }) ||
         std::any_of(shared_with_room_.begin(), shared_with_room_.end(),
                     [&](uint32_t extent) ABSL_NO_THREAD_SAFETY_ANALYSIS {
                       return waits(extents_[extent].shared_tick_floor);
                     });
}

Result<Slab*> ClassSpace::TakeHomeSlabAt(SlabOwner owner, uint32_t extent, uint32_t index) {
  base::MutexLock lock(&mutex_);
  if (extent >= home_extents_max_ || index >= geometry_.slots_per_extent) {
    return Status::Error(StatusCode::kInvalidArgument,
                         "extent " + std::to_string(extent) + ", index " + std::to_string(index) +
                             " lies outside the " + std::to_string(home_extents_max_) +
                             " extents of size class " +
                             std::to_string(SizeClassStrideBytes(size_class_)) +
                             "; the ID belongs to a store with a higher memory limit");
  }
  if (!StartsRun(index, owner.run_slots, geometry_.slots_per_extent) || (extent | index) == 0) {
    return Status::Error(StatusCode::kInvalidArgument,
                         "extent " + std::to_string(extent) + ", index " + std::to_string(index) +
                             " names no slot of records that take " +
                             std::to_string(owner.run_slots) +
                             " slots: they begin at multiples of that, end within the " +
                             std::to_string(geometry_.slots_per_extent) +
                             " slots of an extent, and the very first slot is never used");
  }
  // Extents are mapped in order; what lies between is free for whoever comes next.
  while (home_next_ <= extent) {
    if (home_next_ == home_mapped_end_) {
      Result<uint32_t> mapped = home_->Map(home_mapped_end_, 1);
      if (!mapped.ok()) return mapped.status();
      home_mapped_end_ += *mapped;
      counts_.home_mapped += *mapped;
    }
    ++counts_.home_returned;  // free extents count as returned until they are taken
    free_home_extents_.push_back(home_next_++);
  }
  Extent& state = extents_[extent];
  const auto free = std::find(free_home_extents_.begin(), free_home_extents_.end(), extent);
  if (free != free_home_extents_.end()) {
    auto slab = std::make_unique<Slab>();
    FLAGSTONE_RETURN_IF_ERROR(MakeUsable(*home_, extent));
    free_home_extents_.erase(free);
    --counts_.home_returned;
    return OwnWhole(owner, extent, std::move(slab));
  }
  if (state.whole != nullptr && owner_of(extent).load(std::memory_order_relaxed) == owner.table) {
    return state.whole.get();
  }
  if (state.shared != nullptr) {
    const uint32_t number = index / slots_per_shared_slab();
    const size_t entry = size_t{extent} * kSlabsPerSharedExtent + number;
    if (number < kSlabsPerSharedExtent && state.shared[number] != nullptr &&
        shared_owner_[entry].load(std::memory_order_relaxed) == owner.table) {
      return state.shared[number].get();
    }
  }
  return Status::Error(StatusCode::kInvalidArgument,
                       "the slot of this ID (extent " + std::to_string(extent) + ", index " +
                           std::to_string(index) +
                           ") belongs to another table or to a slab shared by small tables");
}

void ClassSpace::RetractHomeSlab(const Slab& slab) {
  base::MutexLock lock(&mutex_);
  if (extents_[slab.extent].whole != nullptr) {
    owner_of(slab.extent).store(kExtentUnowned, std::memory_order_release);
  } else {
    owner_of(slab.extent).store(kExtentShared, std::memory_order_release);
    const uint32_t number = slab.first_index / slots_per_shared_slab();
    shared_owner_[size_t{slab.extent} * kSlabsPerSharedExtent + number].store(
        kExtentUnowned, std::memory_order_release);
  }
}

void ClassSpace::ReturnHomeSlab(Slab* slab, uint32_t highest_tick) {
  if (base::Planted(base::PlantedBug::kReturnedExtentForgetsTick)) highest_tick = 0;
  base::MutexLock lock(&mutex_);
  const uint32_t extent = slab->extent;
  Extent& state = extents_[extent];
  if (state.whole != nullptr) {
    state.tick_floor = std::max(state.tick_floor, highest_tick);
    state.whole.reset();
    --counts_.home_owned;
  } else {
    state.shared_tick_floor = std::max(state.shared_tick_floor, highest_tick);
    // The next owner's never-used slots must read as never used.
    for (uint32_t index = slab->first_index; index < slab->end_index; ++index) {
      if (base::Planted(base::PlantedBug::kSharedSlabNotWiped)) break;
      std::memset(static_cast<void*>(geometry_.HomeAt(extent, index)), 0, geometry_.stride);
    }
    state.shared[slab->first_index / slots_per_shared_slab()].reset();
    if (state.shared_taken-- == kSlabsPerSharedExtent) shared_with_room_.push_back(extent);
    if (state.shared_taken > 0) return;
    state.tick_floor = std::max(state.tick_floor, state.shared_tick_floor);
    state.shared.reset();
    --counts_.home_shared;
    shared_with_room_.erase(std::find(shared_with_room_.begin(), shared_with_room_.end(), extent));
    owner_of(extent).store(kExtentUnowned, std::memory_order_release);
  }
  GiveBack(*home_, extent);
  ++counts_.home_returned;
  free_home_extents_.push_back(extent);
}

Slab* ClassSpace::SlabOf(uint32_t extent, uint32_t index) {
  base::MutexLock lock(&mutex_);
  if (extent >= extents_.size()) return nullptr;
  Extent& state = extents_[extent];
  if (state.whole != nullptr) return state.whole.get();
  if (state.shared == nullptr) return nullptr;
  const uint32_t number = index / slots_per_shared_slab();
  return number < kSlabsPerSharedExtent ? state.shared[number].get() : nullptr;
}

Result<Slab*> ClassSpace::TakeVersionExtent(uint32_t run_slots) {
  base::MutexLock lock(&mutex_);
  auto taken = std::make_unique<Slab>();
  taken->free_stack =
      std::make_unique_for_overwrite<uint16_t[]>(geometry_.slots_per_extent / run_slots);
  version_slabs_.reserve(version_next_ + size_t{1});
  uint32_t extent = 0;
  if (!free_version_extents_.empty()) {
    extent = free_version_extents_.back();
    FLAGSTONE_RETURN_IF_ERROR(MakeUsable(*versions_, extent));
    free_version_extents_.pop_back();
  } else {
    if (version_next_ == version_mapped_end_) {
      if (version_mapped_end_ == version_extents_max_) {
        return OutOfExtents("versions", version_extents_max_);
      }
      Result<uint32_t> mapped = versions_->Map(version_mapped_end_, 1);
      if (!mapped.ok()) return mapped.status();
      version_mapped_end_ += *mapped;
    }
    extent = version_next_++;
  }
  ++counts_.version_mapped;
  if (version_slabs_.size() <= extent) version_slabs_.resize(extent + 1);
  version_slabs_[extent] = std::move(taken);
  Slab& slab = *version_slabs_[extent];
  slab.extent = extent;
  // Link 0 means none.
  LayOut(slab, run_slots, {extent == 0 ? 1u : 0u, geometry_.slots_per_extent});
  return &slab;
}

void ClassSpace::ReturnVersionExtent(Slab* slab) {
  base::MutexLock lock(&mutex_);
  const uint32_t extent = slab->extent;
  version_slabs_[extent].reset();
  GiveBack(*versions_, extent);
  --counts_.version_mapped;
  free_version_extents_.push_back(extent);
}

ExtentCounts ClassSpace::counts() const {
  base::MutexLock lock(&mutex_);
  ExtentCounts counts = counts_;
  counts.home_bytes_returned_in_parts = home_->bytes_returned_in_parts();
  return counts;
}

}  // namespace flagstone::slab
