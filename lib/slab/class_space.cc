#include "lib/slab/class_space.h"

#include <sys/mman.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <new>
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
  try {
    static_cast<void>(range.Return(extent, 1));
  } catch (const std::bad_alloc&) {
    // As if the system had refused.
  }
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
    if (!id::MayIssue(extents_[extent].tick_floor, current_tick) ||
        !HasRoomForRun(extent, owner.run_slots)) {
      free_home_extents_.push_back(extent);
      free_home_extents_.pop_front();
      continue;
    }
    // Mapping what was returned may fail at the memory limit; the extent then stays free.
    FLAGSTONE_RETURN_IF_ERROR(MakeUsable(*home_, extent));
    free_home_extents_.pop_front();
    extents_[extent].use = ExtentUse::kInUse;
    --counts_.home_returned;
    return extent;
  }
  for (; home_next_ < home_extents_max_; ++home_next_) {
    Extent& next = extents_[home_next_];
    if (next.use != ExtentUse::kNeverUsed) continue;
    if (!HasRoomForRun(home_next_, owner.run_slots)) {
      // Left, without memory, to the first table that has room there.
      AddFreeExtent(home_next_);
      ++counts_.home_mapped;
      continue;
    }
    FLAGSTONE_RETURN_IF_ERROR(MapFirstTime(home_next_));
    next.use = ExtentUse::kInUse;
    return home_next_++;
  }
  return OutOfExtents("records", home_extents_max_);
}

Status ClassSpace::TakeUnusedExtent(uint32_t extent) {
  Extent& state = extents_[extent];
  if (state.use == ExtentUse::kNeverUsed) {
    FLAGSTONE_RETURN_IF_ERROR(MapFirstTime(extent));
  } else {
    FLAGSTONE_RETURN_IF_ERROR(MakeUsable(*home_, extent));
    free_home_extents_.erase(
        std::find(free_home_extents_.begin(), free_home_extents_.end(), extent));
    --counts_.home_returned;
  }
  state.use = ExtentUse::kInUse;
  return Status::Ok();
}

// With a 1 GiB page come the extents behind it, which then need no memory any more.
Status ClassSpace::MapFirstTime(uint32_t extent) {
  if (home_->state(extent) == page::ExtentState::kMapped) return Status::Ok();
  Result<uint32_t> mapped = home_->Map(extent, 1);
  if (!mapped.ok()) return mapped.status();
  counts_.home_mapped += *mapped;
  return Status::Ok();
}

void ClassSpace::AddFreeExtent(uint32_t extent) {
  free_home_extents_.push_back(extent);
  extents_[extent].use = ExtentUse::kFree;
  ++counts_.home_returned;
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
  auto slab = std::make_unique<Slab>();
  if (shared_with_room_.empty() ||
      !id::MayIssue(extents_[shared_with_room_.back()].shared_tick_floor, current_tick)) {
    auto slabs = std::make_unique<std::unique_ptr<Slab>[]>(kSlabsPerSharedExtent);
    shared_with_room_.reserve(shared_with_room_.size() + 1);
    Result<uint32_t> extent = TakeFreeExtent(owner, current_tick);
    if (!extent.ok()) return extent.status();
    ShareExtent(*extent, std::move(slabs));
  }
  const uint32_t extent = shared_with_room_.back();
  uint32_t number = 0;
  while (extents_[extent].shared[number] != nullptr) ++number;
  return OwnShared(owner, extent, number, std::move(slab));
}

void ClassSpace::ShareExtent(uint32_t extent, std::unique_ptr<std::unique_ptr<Slab>[]> slabs) {
  Extent& state = extents_[extent];
  state.shared = std::move(slabs);
  state.shared_tick_floor = state.tick_floor;
  ++counts_.home_shared;
  owner_of(extent).store(kExtentShared, std::memory_order_release);
  shared_with_room_.push_back(extent);
}

Slab* ClassSpace::OwnShared(SlabOwner owner, uint32_t extent, uint32_t number,
                            std::unique_ptr<Slab> taken) {
  Extent& state = extents_[extent];
  state.shared[number] = std::move(taken);
  Slab& slab = *state.shared[number];
  slab.extent = extent;
  LayOutHome(slab, owner.run_slots,
             {number * slots_per_shared_slab(), (number + 1) * slots_per_shared_slab()});
  slab.tick_floor = state.shared_tick_floor;
  if (++state.shared_taken == kSlabsPerSharedExtent) std::erase(shared_with_room_, extent);
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

bool ClassSpace::HasNoOthersSlab(uint32_t extent, uint16_t table) const {
  for (uint32_t number = 0; number < kSlabsPerSharedExtent; ++number) {
    const auto& owner = shared_owner_[size_t{extent} * kSlabsPerSharedExtent + number];
    if (extents_[extent].shared[number] != nullptr &&
        owner.load(std::memory_order_relaxed) != table) {
      return false;
    }
  }
  return true;
}

// Runs begin at multiples of their length, slabs do not: of any 2 * length - 1 adjacent slots a run
// has room for sure, so half a slab is what every slab holds, the first one without slot 0
// included.
bool ClassSpace::FitsSharedSlabs(uint32_t run_slots) const {
  return run_slots == 1 || run_slots <= slots_per_shared_slab() / 2;
}

Result<Slab*> ClassSpace::TakeHomeSlab(SlabOwner owner, uint32_t slabs_owned,
                                       uint32_t current_tick) {
  base::MutexLock lock(&mutex_);
  if (slabs_owned < kSlabsPerSharedExtent && FitsSharedSlabs(owner.run_slots)) {
    return TakeSharedSlab(owner, current_tick);
  }
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

// --- places of IDs made elsewhere

Status ClassSpace::CheckPlace(uint32_t size_class, uint64_t extents_max, SlabOwner owner,
                              const GivenPlace& place) {
  const uint32_t slots_per_extent = SizeClassSlotsPerExtent(size_class);
  if (place.extent >= extents_max || place.index >= slots_per_extent) {
    return Status::Error(StatusCode::kInvalidArgument,
                         "extent " + std::to_string(place.extent) + ", index " +
                             std::to_string(place.index) + " lies outside the " +
                             std::to_string(extents_max) + " extents of size class " +
                             std::to_string(SizeClassStrideBytes(size_class)) +
                             "; the ID belongs to a store with a higher memory limit");
  }
  if (!StartsRun(place.index, owner.run_slots, slots_per_extent) ||
      (place.extent | place.index) == 0) {
    return Status::Error(StatusCode::kInvalidArgument,
                         "extent " + std::to_string(place.extent) + ", index " +
                             std::to_string(place.index) + " names no slot of records that take " +
                             std::to_string(owner.run_slots) +
                             " slots: they begin at multiples of that, end within the " +
                             std::to_string(slots_per_extent) +
                             " slots of an extent, and the very first slot is never used");
  }
  return Status::Ok();
}

bool ClassSpace::HasPlaceInSharedSlab(SlabOwner owner, const GivenPlace& place) const {
  const uint32_t per_slab = slots_per_shared_slab();
  return FitsSharedSlabs(owner.run_slots) && place.index / per_slab < kSlabsPerSharedExtent &&
         place.index % per_slab + owner.run_slots <= per_slab;
}

Result<ClassSpace::Taking> ClassSpace::HowToTake(SlabOwner owner, const GivenPlace& place) const {
  FLAGSTONE_RETURN_IF_ERROR(CheckPlace(size_class_, home_extents_max_, owner, place));
  const Extent& state = extents_[place.extent];
  const bool in_shared_slab = HasPlaceInSharedSlab(owner, place);
  const uint32_t number = place.index / slots_per_shared_slab();
  const auto from_floor = [&](uint32_t tick_floor, Taking taking) -> Result<Taking> {
    if (id::MayIssue(tick_floor, place.tick)) return taking;
    return Status::Error(
        StatusCode::kInvalidArgument,
        "extent " + std::to_string(place.extent) + ", index " + std::to_string(place.index) +
            " issued an ID at tick " + std::to_string(tick_floor) +
            "; it takes only later ones than that, not " + std::to_string(place.tick));
  };
  if (state.use != ExtentUse::kInUse) {
    return from_floor(state.tick_floor,
                      in_shared_slab ? Taking::kSharedExtent : Taking::kWholeExtent);
  }
  if (state.whole != nullptr) {
    const auto& owned_by = extent_owner_[place.extent];
    if (owned_by.load(std::memory_order_relaxed) == owner.table) return Taking::kHeld;
  } else if (in_shared_slab) {
    if (state.shared[number] == nullptr) {
      return from_floor(state.shared_tick_floor, Taking::kSharedSlab);
    }
    const auto& owned_by = shared_owner_[size_t{place.extent} * kSlabsPerSharedExtent + number];
    if (owned_by.load(std::memory_order_relaxed) == owner.table) return Taking::kHeld;
  } else if (HasNoOthersSlab(place.extent, owner.table)) {
    return from_floor(state.shared_tick_floor, Taking::kToBeOne);
  }
  return Status::Error(StatusCode::kInvalidArgument,
                       "the slot of this ID (extent " + std::to_string(place.extent) + ", index " +
                           std::to_string(place.index) +
                           ") belongs to another table, or CompactStorage() is about to give its "
                           "memory back");
}

Status ClassSpace::CheckHomeSlabAt(SlabOwner owner, const GivenPlace& place) const {
  base::MutexLock lock(&mutex_);
  return HowToTake(owner, place).status();
}

Result<GivenSlab> ClassSpace::TakeHomeSlabAt(SlabOwner owner, const GivenPlace& place) {
  using Holding = GivenSlab::Holding;
  base::MutexLock lock(&mutex_);
  Result<Taking> taking = HowToTake(owner, place);
  if (!taking.ok()) return taking.status();
  Extent& state = extents_[place.extent];
  const uint32_t number = place.index / slots_per_shared_slab();
  if (*taking == Taking::kToBeOne) return GivenSlab{Holding::kToBeOne, nullptr};
  if (*taking == Taking::kHeld) {
    Slab* held = state.whole != nullptr ? state.whole.get() : state.shared[number].get();
    return GivenSlab{Holding::kHeld, held};
  }
  auto slab = std::make_unique<Slab>();  // what can fail comes first
  if (*taking == Taking::kWholeExtent) {
    FLAGSTONE_RETURN_IF_ERROR(TakeUnusedExtent(place.extent));
    return GivenSlab{Holding::kTaken, OwnWhole(owner, place.extent, std::move(slab))};
  }
  if (*taking == Taking::kSharedExtent) {
    auto slabs = std::make_unique<std::unique_ptr<Slab>[]>(kSlabsPerSharedExtent);
    shared_with_room_.reserve(shared_with_room_.size() + 1);
    FLAGSTONE_RETURN_IF_ERROR(TakeUnusedExtent(place.extent));
    ShareExtent(place.extent, std::move(slabs));
  }
  return GivenSlab{Holding::kTaken, OwnShared(owner, place.extent, number, std::move(slab))};
}

Result<JoinedSlabs> ClassSpace::JoinHomeSlabs(SlabOwner owner, uint32_t extent) {
  auto whole = std::make_unique<Slab>();
  base::MutexLock lock(&mutex_);
  Extent& state = extents_[extent];
  if (state.shared == nullptr || !HasNoOthersSlab(extent, owner.table)) {
    return Status::Error(StatusCode::kInvalidArgument,
                         "a slot of extent " + std::to_string(extent) +
                             " between the slabs of small tables: another table has one of them");
  }
  JoinedSlabs joined;
  joined.parts = std::move(state.shared);
  state.tick_floor = std::max(state.tick_floor, state.shared_tick_floor);
  if (state.shared_taken < kSlabsPerSharedExtent) std::erase(shared_with_room_, extent);
  state.shared_taken = 0;
  --counts_.home_shared;
  // The owners of its slabs stay written until it is given back: a reader that saw the extent
  // shared may be about to look there.
  joined.whole = OwnWhole(owner, extent, std::move(whole));
  return joined;
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
  const bool is_last = state.whole != nullptr || state.shared_taken == 1;
  // What needs memory comes first: when there is none, nothing has changed.
  shared_with_room_.reserve(shared_with_room_.size() + 1);
  if (is_last) AddFreeExtent(extent);
  if (state.whole != nullptr) {
    state.tick_floor = std::max(state.tick_floor, highest_tick);
    state.whole.reset();
    --counts_.home_owned;
    // What JoinHomeSlabs() left; no reader is on the way any more.
    for (uint32_t number = 0; number < kSlabsPerSharedExtent; ++number) {
      auto& owner = shared_owner_[size_t{extent} * kSlabsPerSharedExtent + number];
      if (owner.load(std::memory_order_relaxed) == kExtentUnowned) continue;
      owner.store(kExtentUnowned, std::memory_order_release);
    }
  } else {
    state.shared_tick_floor = std::max(state.shared_tick_floor, highest_tick);
    // The next owner's never-used slots must read as never used.
    for (uint32_t index = slab->first_index; index < slab->end_index; ++index) {
      if (base::Planted(base::PlantedBug::kSharedSlabNotWiped)) break;
      std::memset(static_cast<void*>(geometry_.HomeAt(extent, index)), 0, geometry_.stride);
    }
    state.shared[slab->first_index / slots_per_shared_slab()].reset();
    if (state.shared_taken-- == kSlabsPerSharedExtent) shared_with_room_.push_back(extent);
    if (!is_last) return;
    state.tick_floor = std::max(state.tick_floor, state.shared_tick_floor);
    state.shared.reset();
    --counts_.home_shared;
    std::erase(shared_with_room_, extent);
    owner_of(extent).store(kExtentUnowned, std::memory_order_release);
  }
  GiveBack(*home_, extent);
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
  free_version_extents_.push_back(extent);  // may throw; nothing has happened then
  version_slabs_[extent].reset();
  GiveBack(*versions_, extent);
  --counts_.version_mapped;
}

ExtentCounts ClassSpace::counts() const {
  base::MutexLock lock(&mutex_);
  ExtentCounts counts = counts_;
  counts.home_bytes_returned_in_parts = home_->bytes_returned_in_parts();
  return counts;
}

}  // namespace flagstone::slab
