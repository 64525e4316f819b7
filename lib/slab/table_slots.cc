#include "lib/slab/table_slots.h"

#include <algorithm>
#include <string>
#include <utility>

#include "lib/base/check.h"
#include "lib/base/planted_bug.h"
#include "lib/slab/slot_reuse.h"

namespace flagstone::slab {
namespace {

// A session takes at most this much memory at once, so that idle sessions of large records cost
// little; but at least one record's.
constexpr uint32_t kBatchBytesMax = 64 * 1024;

}  // namespace

Status TicksUsedUp() {
  return Status::Error(StatusCode::kResourceExhausted,
                       "the ticks of this store's ID layout are used up: no ID can be issued any "
                       "more; copy the records to a store with a later epoch or longer ticks");
}

SlotOccupancy& SlotOccupancy::operator+=(const SlotOccupancy& other) {
  slab_count += other.slab_count;
  used += other.used;
  free += other.free;
  unused += other.unused;
  retired += other.retired;
  return *this;
}

TableSlots::TableSlots(SlabOwner owner, ClassSpace& space, OwnedExtents owned,
                       id::TickSource& ticks, uint32_t tick_max)
    : owner_(owner),
      space_(space),
      ticks_(ticks),
      tick_max_(tick_max),
      batch_(std::clamp(kBatchBytesMax / (space.geometry().stride * owner.run_slots), uint32_t{1},
                        kHomeBatchMax)),
      owned_(std::move(owned)) {}

Status TableSlots::Refill(HomeSlotCache& cache) {
  ticks_.Refresh();
  base::MutexLock lock(&mutex_);
  for (;;) {
    const uint32_t tick = ticks_.Current();
    if (tick == id::kNoTick) return TicksUsedUp();
    if (TakeFree(cache, tick) || TakeUnused(cache, tick)) return Status::Ok();
    const Result<bool> restored = TakeReturned(cache, tick);
    if (!restored.ok()) return restored.status();
    if (*restored) return Status::Ok();
    Status grown = Grow(tick);
    if (grown.ok()) continue;
    // All memory is in use. If free slots, or memory that was given back, only wait for the next
    // tick, let it come early.
    if (with_free_.empty() && !ReturnedWaitForLaterTick(tick) && !space_.WaitsForLaterTick(tick)) {
      return grown;
    }
    if (Result<uint32_t> later = ticks_.RunAhead(tick); !later.ok()) return later.status();
  }
}

Status TableSlots::Reserve(uint64_t record_count) {
  uint64_t room = 0;
  {
    base::MutexLock lock(&mutex_);
    for (const Slab* slab : slabs_) room += uint64_t{slab->free_count} + slab->unused_count();
  }
  while (room < record_count) {
    // One slab at a time: sessions that come for slots meanwhile wait for one.
    base::MutexLock lock(&mutex_);
    const uint32_t tick = ticks_.Current();
    if (tick == id::kNoTick) return TicksUsedUp();
    FLAGSTONE_RETURN_IF_ERROR(Grow(tick));
    room += slabs_.back()->unused_count();
  }
  return Status::Ok();
}

bool TableSlots::TakeFree(HomeSlotCache& cache, uint32_t current_tick) {
  return TakeFreeSlots(
      with_free_, cache, batch_, space_.geometry().index_bits,
      [this](const Slab& slab, uint32_t index) { return SlotAt(slab)(index); },
      [current_tick](uint32_t last_tick) {
        return id::MayIssue(last_tick, current_tick) ||
               base::Planted(base::PlantedBug::kSlotReusedWithinItsTick);
      });
}

bool TableSlots::TakeUnused(HomeSlotCache& cache, uint32_t current_tick) {
  for (size_t i = with_unused_.size(); i > 0; --i) {
    Slab& slab = *with_unused_[i - 1];
    if (!id::MayIssue(slab.tick_floor, current_tick)) continue;
    const uint32_t count = std::min(batch_, slab.unused_count());
    cache.run_slots = owner_.run_slots;
    cache.unused_next = slab.extent << space_.geometry().index_bits | slab.next_unused;
    cache.unused_end = cache.unused_next + count * owner_.run_slots;
    slab.next_unused += count * owner_.run_slots;
    if (!slab.has_unused()) with_unused_.erase(with_unused_.begin() + static_cast<long>(i) - 1);
    return true;
  }
  return false;
}

void TableSlots::ReserveSlab() {
  if (slabs_.size() == slabs_.capacity()) slabs_.reserve(2 * slabs_.size() + 1);
  with_unused_.reserve(slabs_.capacity());
  with_returned_.reserve(slabs_.capacity());
}

Status TableSlots::Grow(uint32_t current_tick) {
  ReserveSlab();
  Result<Slab*> slab =
      space_.TakeHomeSlab(owner_, static_cast<uint32_t>(slabs_.size()), current_tick);
  if (!slab.ok()) return slab.status();
  Add(*slab);
  return Status::Ok();
}

void TableSlots::Add(Slab* slab) {
  slabs_.push_back(slab);
  with_unused_.push_back(slab);
  if (IsWholeExtent(*slab)) owned_.Set(slab->extent);
}

Result<Slab*> TableSlots::SlabAt(const GivenPlace& place) {
  ReserveSlab();
  const Result<GivenSlab> given = space_.TakeHomeSlabAt(owner_, place);
  if (!given.ok()) return given.status();
  if (given->holding == GivenSlab::Holding::kHeld) return given->slab;
  if (given->holding == GivenSlab::Holding::kToBeOne) return JoinSlabs(place.extent);
  Add(given->slab);
  // The last one of a shared extent: a large table is brought in slab by slab.
  if (IsWholeExtent(*given->slab) && !space_.CoversExtent(*given->slab)) {
    return JoinSlabs(place.extent);
  }
  return given->slab;
}

Result<Slab*> TableSlots::JoinSlabs(uint32_t extent) {
  const auto in_extent = [extent](const Slab& slab) { return slab.extent == extent; };
  // 1. What can fail: the free slots, those of the earliest ticks first.
  size_t free_count = 0;
  for (const Slab* slab : slabs_) free_count += in_extent(*slab) ? slab->free_count : 0;
  std::vector<FreeSlot> free;
  free.reserve(free_count);
  for (const Slab* slab : slabs_) {
    if (!in_extent(*slab)) continue;
    const auto at = SlotAt(*slab);
    for (uint32_t here = slab->free_head; here != 0; here = NextFree(*at(here - 1))) {
      free.push_back({here - 1, FreeSlotTick(*at(here - 1))});
    }
  }
  std::sort(free.begin(), free.end(), [](const FreeSlot& a, const FreeSlot& b) {
    return a.last_tick != b.last_tick ? a.last_tick < b.last_tick : a.index < b.index;
  });
  const Result<JoinedSlabs> joined = space_.JoinHomeSlabs(owner_, extent);
  if (!joined.ok()) return joined.status();
  // 2. One slab takes the place of the others.
  std::erase_if(slabs_, [&](const Slab* slab) { return in_extent(*slab); });
  std::erase_if(with_unused_, [&](const Slab* slab) { return in_extent(*slab); });
  with_free_.RemoveIf(in_extent);
  slabs_.push_back(joined->whole);
  FillJoined(*joined, free);
  if (joined->whole->has_unused()) with_unused_.push_back(joined->whole);
  owned_.Set(extent);
  return joined->whole;
}

void TableSlots::FillJoined(const JoinedSlabs& joined, const std::vector<FreeSlot>& free) {
  Slab& whole = *joined.whole;
  const uint32_t per_slab = space_.slots_per_shared_slab();
  const auto part_of = [&](uint32_t index) -> const Slab* {
    const uint32_t number = index / per_slab;
    const Slab* part = number < kSlabsPerSharedExtent ? joined.parts[number].get() : nullptr;
    return part != nullptr && part->Has(index) ? part : nullptr;
  };
  // Never used are those behind the last used one, if what they issued before is one number.
  uint32_t used_end = whole.first_index;
  for (uint32_t number = 0; number < kSlabsPerSharedExtent; ++number) {
    const Slab* part = joined.parts[number].get();
    if (part == nullptr) continue;
    if (part->next_unused > part->first_index) used_end = std::max(used_end, part->next_unused);
    if (part->tick_floor != whole.tick_floor) used_end = whole.end_index;
  }
  whole.next_unused = used_end;
  for (uint32_t index = whole.first_index; index < used_end; index += whole.run_slots) {
    const Slab* part = part_of(index);
    if (part != nullptr && index < part->next_unused) continue;
    GiveOne(whole, index, part != nullptr ? part->tick_floor : whole.tick_floor);
  }
  for (const FreeSlot& slot : free) {
    PushFreeAtTail(whole, slot.index, slot.last_tick, SlotAt(whole));
    Enqueue(whole);
  }
}

Status TableSlots::TakeAt(uint32_t slot, uint32_t tick) {
  const uint32_t extent = slot >> space_.geometry().index_bits;
  const uint32_t index = slot & space_.geometry().index_mask;
  base::MutexLock lock(&mutex_);
  Result<Slab*> found = SlabAt({extent, index, tick});
  if (!found.ok()) return found.status();
  Slab& slab = **found;
  const auto at = SlotAt(slab);
  const auto too_old = [&](uint64_t last_tick) {
    return Status::Error(StatusCode::kInvalidArgument,
                         "slot " + std::to_string(slot) + " issued an ID at tick " +
                             std::to_string(last_tick) +
                             "; it takes only later ones than that, not " + std::to_string(tick));
  };
  if (index >= slab.next_unused) {
    if (!id::MayIssue(slab.tick_floor, tick)) return too_old(slab.tick_floor);
    while (slab.next_unused < index) {
      GiveOne(slab, std::exchange(slab.next_unused, slab.next_unused + owner_.run_slots),
              slab.tick_floor);
    }
    slab.next_unused += owner_.run_slots;
    if (!slab.has_unused()) std::erase(with_unused_, &slab);
    return Status::Ok();
  }
  const page::PageSpan pages = PagesOfSlot(slab, space_.geometry().stride, index);
  if (AnyReturned(slab, pages) && !id::MayIssue(slab.returned->tick_floor, tick)) {
    return too_old(slab.returned->tick_floor);
  }
  while (AnyReturned(slab, pages)) FLAGSTONE_RETURN_IF_ERROR(RestorePagesAt(slab, pages.first));
  if (!IsInFreeList(*at(index))) {
    return Status::Error(
        StatusCode::kFailedPrecondition,
        "slot " + std::to_string(slot) +
            " is not free: it holds a record, or a deleted one that a snapshot or a guard still "
            "needs, or another session holds it in advance; delete the record, end those, and "
            "try again");
  }
  if (const uint32_t last_tick = FreeSlotTick(*at(index)); !id::MayIssue(last_tick, tick)) {
    return too_old(last_tick);
  }
  RemoveFree(slab, index, at);
  return Status::Ok();
}

void TableSlots::GiveOne(Slab& slab, uint32_t index, uint32_t last_tick) {
  if (last_tick >= tick_max_) {
    WriteFreeSlot(*SlotAt(slab)(index), last_tick);
    ++retired_count_;
    return;
  }
  PushFreeAtTail(slab, index, last_tick, SlotAt(slab));
  Enqueue(slab);
}

void TableSlots::Enqueue(Slab& slab) {
  if (!slab.queued) with_free_.PushBack(slab);
}

void TableSlots::Give(std::span<const FreedSlot> slots) {
  base::MutexLock lock(&mutex_);
  Slab* slab = nullptr;
  for (const FreedSlot& freed : slots) {
    const uint32_t extent = freed.slot >> space_.geometry().index_bits;
    const uint32_t index = freed.slot & space_.geometry().index_mask;
    if (slab == nullptr || slab->extent != extent || index < slab->first_index ||
        index >= slab->end_index) {
      slab = space_.SlabOf(extent, index);
    }
    FLAGSTONE_CHECK(slab != nullptr);
    GiveOne(*slab, index, freed.last_tick);
  }
}

void TableSlots::GiveBackUnissued(HomeSlotCache& cache) {
  base::MutexLock lock(&mutex_);
  const uint32_t bits = space_.geometry().index_bits;
  const uint32_t mask = space_.geometry().index_mask;
  if (cache.unused_next != cache.unused_end) {
    Slab& slab = *space_.SlabOf(cache.unused_next >> bits, cache.unused_next & mask);
    if (slab.next_unused == ((cache.unused_end - 1) & mask) + 1) {
      if (!slab.has_unused()) with_unused_.push_back(&slab);
      slab.next_unused = cache.unused_next & mask;
    } else {
      for (uint32_t slot = cache.unused_next; slot < cache.unused_end; slot += owner_.run_slots) {
        GiveOne(slab, slot & mask, slab.tick_floor);
      }
    }
  }
  for (uint32_t i = 0; i < cache.recycled_count; ++i) {
    const uint32_t slot = cache.recycled[i];
    Slab& slab = *space_.SlabOf(slot >> bits, slot & mask);
    GiveOne(slab, slot & mask, FreeSlotTick(*SlotAt(slab)(slot & mask)));
  }
  cache.unused_next = cache.unused_end = cache.recycled_count = 0;
}

size_t TableSlots::RetractEmptySlabs() {
  base::MutexLock lock(&mutex_);
  retracted_.reserve(retracted_.size() + slabs_.size());  // what can fail comes first
  std::erase_if(slabs_, [&](Slab* slab) {
    if (!slab->empty()) return false;
    if (slab->queued) with_free_.Remove(*slab);
    std::erase(with_unused_, slab);
    std::erase(with_returned_, slab);
    if (IsWholeExtent(*slab)) owned_.Clear(slab->extent);
    space_.RetractHomeSlab(*slab);
    retracted_.push_back(slab);
    return true;
  });
  return retracted_.size();
}

void TableSlots::ReturnRetracted(const std::function<bool(uint64_t, uint64_t)>& guarded) {
  base::MutexLock lock(&mutex_);
  // Returning one may throw, before it has done anything: it stays then, with those behind it.
  for (size_t i = retracted_.size(); i-- > 0;) {
    Slab* const slab = retracted_[i];
    const auto at = SlotAt(*slab);
    const auto from = reinterpret_cast<uint64_t>(at(slab->first_index));
    const auto to = reinterpret_cast<uint64_t>(at(slab->end_index - 1)) + 1;
    if (guarded(from, to) && !base::Planted(base::PlantedBug::kGuardedExtentReturned)) continue;
    space_.ReturnHomeSlab(
        slab, HighestTick(*slab, [this](const Slab& of, uint32_t i) { return SlotAt(of)(i); }));
    retracted_[i] = retracted_.back();
    retracted_.pop_back();
  }
}

// --- pages out of extents in use

void TableSlots::ReturnSparsePages() {
  for (size_t i = 0;; ++i) {
    {
      base::MutexLock lock(&mutex_);  // anew for each slab, so that an insert waits for one at most
      if (i >= slabs_.size()) return;
      ReturnPagesOf(*slabs_[i]);
    }
    mutex_.LetWaitersIn();
  }
}

void TableSlots::ReturnPagesOf(Slab& slab) {
  const uint32_t stride = space_.geometry().stride;
  const auto at = SlotAt(slab);
  // What this skips would be found out below, after a walk over all slots.
  const uint64_t used_bytes = uint64_t{slab.used_count()} * slab.run_slots * stride;
  const bool may_be_sparse = slab.free_count > 0 && used_bytes <= kExtentBytes / 2;
  page::ExtentRange& range = space_.home_pages();
  if (!may_be_sparse || !space_.CoversExtent(slab) || !range.CanReturnPages(slab.extent)) return;
  std::vector<FreeSlot> free;
  free.reserve(slab.free_count);
  for (uint32_t here = slab.free_head; here != 0; here = NextFree(*at(here - 1))) {
    free.push_back({here - 1, FreeSlotTick(*at(here - 1))});
  }
  PageSet empty = EmptyPages(slab, stride, free);
  if (empty.count() < kSparsePagesMin) return;
  const bool first = slab.returned == nullptr;
  if (first) slab.returned = std::make_unique<ReturnedPages>();
  ReturnedPages& returned = *slab.returned;
  empty &= ~returned.pages;
  for (page::PageSpan next = NextStretch(empty, 0); next.count > 0;
       next = NextStretch(empty, next.end())) {
    if (!range.ReturnPages(slab.extent, next)) break;  // the others stay, as they were
    for (uint32_t page = next.first; page < next.end(); ++page) returned.pages.set(page);
  }
  if (first && returned.pages.none()) {
    slab.returned.reset();
    return;
  }
  if (first) with_returned_.push_back(&slab);
  // The list led through the slots that are gone. A slab without free slots may stay queued.
  slab.free_head = slab.free_tail = slab.free_count = 0;
  for (const FreeSlot& slot : free) {
    if (!AnyReturned(slab, PagesOfSlot(slab, stride, slot.index))) {
      PushFreeAtTail(slab, slot.index, slot.last_tick, at);
      continue;
    }
    ++returned.slot_count;
    if (!base::Planted(base::PlantedBug::kReturnedPagesForgetTick)) {
      returned.tick_floor = std::max(returned.tick_floor, slot.last_tick);
    }
  }
}

bool TableSlots::ReturnedWaitForLaterTick(uint32_t current_tick) const {
  return std::any_of(with_returned_.begin(), with_returned_.end(), [&](const Slab* slab) {
    return !id::MayIssue(slab->returned->tick_floor, current_tick);
  });
}

Result<bool> TableSlots::TakeReturned(HomeSlotCache& cache, uint32_t current_tick) {
  const auto usable = std::find_if(with_returned_.rbegin(), with_returned_.rend(),
                                   [current_tick](const Slab* slab) {
                                     return id::MayIssue(slab->returned->tick_floor, current_tick);
                                   });
  if (usable == with_returned_.rend()) return false;
  Slab& slab = **usable;
  const uint32_t free_before = slab.free_count;
  while (slab.returned != nullptr && slab.free_count - free_before < batch_) {
    const Status restored = RestorePagesAt(slab, 0);
    if (!restored.ok() && slab.free_count == free_before) return restored;
    if (!restored.ok()) break;
  }
  return TakeFree(cache, current_tick);
}

Status TableSlots::RestorePagesAt(Slab& slab, uint32_t page) {
  const uint32_t stride = space_.geometry().stride;
  ReturnedPages& returned = *slab.returned;
  page::PageSpan pages = NextStretch(returned.pages, page);
  const IndexRange first = SlotsOnPages(slab, stride, {pages.first, 1});
  pages.count = std::min(pages.count, PagesOfSlot(slab, stride, first.begin).end() - pages.first);
  FLAGSTONE_RETURN_IF_ERROR(space_.home_pages().RestorePages(slab.extent, pages));
  for (uint32_t i = pages.first; i < pages.end(); ++i) returned.pages.reset(i);
  const IndexRange slots = SlotsOnPages(slab, stride, pages);
  // Before those that came free since then, which may wait for a later tick; in order of index.
  for (uint32_t index = slots.end; index > slots.begin;) {
    index -= slab.run_slots;
    if (AnyReturned(slab, PagesOfSlot(slab, stride, index))) continue;
    --returned.slot_count;
    PushFreeAtHead(slab, index, returned.tick_floor, SlotAt(slab));
    Enqueue(slab);
  }
  if (returned.pages.none()) {
    std::erase(with_returned_, &slab);
    slab.returned.reset();
  }
  return Status::Ok();
}

SlotOccupancy TableSlots::occupancy() const {
  base::MutexLock lock(&mutex_);
  SlotOccupancy sum;
  sum.slab_count = slabs_.size();
  sum.retired = retired_count_ * owner_.run_slots;
  for (const Slab* slab : slabs_) {
    sum.used += uint64_t{slab->used_count()} * owner_.run_slots;
    sum.free += uint64_t{slab->free_count + slab->returned_count()} * owner_.run_slots;
    sum.unused += uint64_t{slab->unused_count()} * owner_.run_slots;
  }
  sum.used -= sum.retired;
  return sum;
}

}  // namespace flagstone::slab
