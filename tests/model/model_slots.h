// Home slots of one size class over ModelAtomics: who may have which slot, when and under which ID.
//
// Real code: the list of free slots (slab.h), the tick rule and the highest tick of an extent
// (slot_reuse.h), the session's cache (slot_cache.h), the logical clock with its lease
// (tick_source_inl.h), participants, grace periods, the insert's stores (publish.h). TableSlots,
// ClassSpace and the giving back in Tidier::CompactStorage() stand under mutexes and are no
// lock-free kernels; here the shortest code with their order of steps stands in for them, with
// ModelMutex for the mutex, because their callers and the readers are not under it. SlotDefect
// breaks one step.
#ifndef FLAGSTONE_TESTS_MODEL_MODEL_SLOTS_H_
#define FLAGSTONE_TESTS_MODEL_MODEL_SLOTS_H_

#include <array>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <unordered_set>

#include "flagstone/internal/participant.h"
#include "flagstone/internal/slot.h"
#include "flagstone/internal/table_view.h"
#include "lib/base/manual_clock.h"
#include "lib/epoch/grace.h"
#include "lib/id/tick_source_inl.h"
#include "lib/slab/slot_reuse.h"
#include "lib/txn/publish.h"
#include "tests/support/model_scheduler.h"

namespace flagstone::model {

using internal::BarrierKind;
using testkit::ModelAssert;
using testkit::ModelAtomics;
using testkit::ModelCell;
using testkit::ModelMutex;

// The tick source as the store runs it, on modelled words.
struct ModelTickRules : id::TickRules {
  template <typename T>
  using Atomic = ModelAtomics::Atomic<T>;
  using Mutex = ModelMutex;
};

// What is on the disk is the truth of the moment: no fiber changes hands while it is looked at.
class ModelLeaseStorage final : public id::LeaseStorage {
 public:
  Result<uint64_t> Load() override { return on_disk; }
  Status Persist(uint64_t lease_end) override {
    in_flight_.fetch_add(1, std::memory_order_acq_rel);  // the disk takes its time
    on_disk = lease_end;
    return Status::Ok();
  }
  Status PersistAtClose(uint64_t lease_end) override { return Persist(lease_end); }

  uint64_t on_disk = 0;

 private:
  ModelAtomics::Atomic<uint64_t> in_flight_{0};
};

inline constexpr int64_t kModelStart = 1'800'000'000;
inline const IdCodec& ModelCodec() {
  static const IdCodec codec(id_layouts::kStandalone);
  return codec;
}

template <typename Rules>
struct ModelTicks {
  ModelTicks()
      : source(*id::BasicTickSource<Rules>::Open(
            {.codec = ModelCodec(), .clock = clock, .storage = storage})) {}
  base::ManualClock clock{kModelStart};
  ModelLeaseStorage storage;
  std::unique_ptr<id::BasicTickSource<Rules>> source;
};

enum class SlotDefect : uint8_t {
  kNone,
  // issuing
  kReusedWithinTick,    // a free slot is handed out in the tick of its last ID
  kTickReadBeforeTake,  // an ID carries the tick that was current before its slot was taken
  kLastTickForgotten,   // a slot comes back without the tick of its last ID
  kListWithoutMutex,    // two sessions take from the list at the same time
  kExtentForgetsTick,   // an extent that was given back starts over
  // changing hands
  kOwnedClearedLate,  // readers are told after the extent was given away
  kOwnerClearedLate,  // the same of the longer path
  kNoHeavyBarrier,    // giving back scans without the barrier
  kGuardsIgnored,     // an extent with a guard in it is given back
  kPinsIgnored,       // giving back does not wait for pins
  kGuardAfterOwned,   // a reader announces its guard when it has looked at the owner
  kCount,
};

inline const char* SlotDefectName(SlotDefect defect) {
  switch (defect) {
    case SlotDefect::kNone: return "none";
    case SlotDefect::kReusedWithinTick: return "slot reused within its tick (kernel)";
    case SlotDefect::kTickReadBeforeTake: return "tick read before the slot was taken";
    case SlotDefect::kLastTickForgotten: return "last tick of a slot forgotten";
    case SlotDefect::kListWithoutMutex: return "free list without its mutex";
    case SlotDefect::kExtentForgetsTick: return "returned extent forgets its tick (kernel)";
    case SlotDefect::kOwnedClearedLate: return "owned byte cleared after the extent was given away";
    case SlotDefect::kOwnerClearedLate: return "owner cleared after the extent was given away";
    case SlotDefect::kNoHeavyBarrier: return "extent given back without barrier";
    case SlotDefect::kGuardsIgnored: return "extent given back under a guard";
    case SlotDefect::kPinsIgnored: return "extent given back under a pin";
    case SlotDefect::kGuardAfterOwned: return "guard announced after the owner was looked at";
    case SlotDefect::kCount: break;
  }
  return "?";
}

// A home slot; the payload is the ID it belongs to.
struct ModelHome : internal::BasicSlotHeader<ModelAtomics> {
  ModelCell<uint64_t> payload;
};
using ModelHeader = internal::BasicSlotHeader<ModelAtomics>;

inline constexpr uint32_t kModelIndexBits = 1;
inline constexpr uint32_t kModelSlots = 1u << kModelIndexBits;  // in the one extent there is
inline constexpr uint16_t kModelTables = 2;                     // numbers 1 and 2

struct ModelSlots {
  using Participant = internal::BasicParticipant<ModelAtomics, 2>;

  ModelSlots(BarrierKind barrier, SlotDefect broken) : kind(barrier), defect(broken) {
    for (size_t i = 0; i < participants.size(); ++i) {
      participants.at(i).Open(2, barrier);
      participant_list.at(i) = &participants.at(i);
    }
  }

  uint64_t IdAt(uint32_t tick, uint32_t slot) const {
    return ModelCodec().Encode({.tick = tick, .size_class = 0, .node = 0, .slot = slot}).value();
  }
  // Any ID names a slot of the one extent.
  ModelHome& HomeOf(uint64_t id) { return homes.at(id & (kModelSlots - 1)); }
  auto At() {
    return [this](const slab::Slab&, uint32_t index) -> ModelHeader* { return &homes.at(index); };
  }

  // --- of TableSlots, in its order

  // The extent becomes `table`'s.
  void Add(uint16_t table, uint32_t tick_floor) {
    slab = slab::Slab();
    slab.end_index = kModelSlots;
    slab.tick_floor = tick_floor;
    with_free = slab::SlabQueue();
    owner.store(table, std::memory_order_release);
    owned.at(table).store(1, std::memory_order_release);
  }
  bool TakeUnused(slab::HomeSlotCache& cache, uint32_t tick) {
    if (slab.unused_count() == 0 || !id::MayIssue(slab.tick_floor, tick)) return false;
    cache.unused_next = slab.next_unused++;
    cache.unused_end = cache.unused_next + 1;
    return true;
  }
  bool Refill(slab::HomeSlotCache& cache) {
    std::unique_lock lock(mutex, std::defer_lock);
    if (defect != SlotDefect::kListWithoutMutex) lock.lock();
    for (;;) {
      const uint32_t tick = ticks.source->Current();
      const bool taken = slab::TakeFreeSlots(
          with_free, cache, /*batch=*/1, kModelIndexBits, At(), [&](uint32_t last_tick) {
            return id::MayIssue(last_tick, tick) || defect == SlotDefect::kReusedWithinTick;
          });
      if (taken || TakeUnused(cache, tick)) return true;
      if (with_free.empty() || !ticks.source->RunAhead(tick).ok()) return false;
    }
  }
  void Give(uint32_t slot, uint32_t last_tick) {
    const std::lock_guard lock(mutex);
    if (defect == SlotDefect::kLastTickForgotten) last_tick = 0;
    slab::PushFreeAtTail(slab, slot, last_tick,
                         [this](uint32_t index) -> ModelHeader* { return &homes.at(index); });
    if (!slab.queued) with_free.PushBack(slab);
  }

  const BarrierKind kind;
  const SlotDefect defect;
  ModelTicks<ModelTickRules> ticks;
  std::array<ModelHome, kModelSlots> homes;
  // As view.owned and extent_owner; by table.
  std::array<ModelAtomics::Atomic<uint8_t>, kModelTables + 1> owned{};
  ModelAtomics::Atomic<uint16_t> owner{internal::kExtentUnowned};
  std::array<Participant, 3> participants{};
  std::array<Participant*, 3> participant_list{};

  ModelMutex mutex;  // guards what follows
  slab::Slab slab;
  slab::SlabQueue with_free;
  bool given_back = false;
  uint32_t tick_floor = 0;  // of the extent while nobody owns it
  std::unordered_set<uint64_t> issued;
};

// Inserts and deletes without readers: as SessionCore::PrepareInsert() and GiveHomeSlot().
class ModelIssuer {
 public:
  explicit ModelIssuer(ModelSlots& slots) : slots_(slots) {}

  // 0: no slot is to be had.
  uint64_t Insert() {
    const uint32_t early = slots_.ticks.source->Current();
    if (cache_.empty() && !slots_.Refill(cache_)) return 0;
    const uint32_t slot = cache_.Take();
    const bool early_tick = slots_.defect == SlotDefect::kTickReadBeforeTake;
    const uint64_t id = slots_.IdAt(early_tick ? early : slots_.ticks.source->Current(), slot);
    ModelHome& home = slots_.homes.at(slot);
    home.payload.Write(id);
    txn::PublishInsert<ModelAtomics>(home, id, 1);
    txn::SettleInsert<ModelAtomics>(home, id);
    ModelAssert(slots_.issued.insert(id).second, "an ID was issued twice");
    return id;
  }
  void Delete(uint64_t id) {
    slots_.homes.at(ModelCodec().slot(RecordId(id))).id.store(0, std::memory_order_release);
    slots_.Give(ModelCodec().slot(RecordId(id)), ModelCodec().tick(RecordId(id)));
  }

 private:
  ModelSlots& slots_;
  slab::HomeSlotCache cache_;
};

// Reads through one table's view: the inlined read first, then the longer path.
class ModelSlotReader {
 public:
  ModelSlotReader(ModelSlots& slots, uint16_t table, size_t number)
      : slots_(slots), table_(table), self_(slots.participants.at(number)) {}

  // As Reader::Get() up to where it goes the longer path; what is found must be the ID's.
  bool GetInlined(uint64_t id) {
    ModelHome& home = slots_.HomeOf(id);
    const auto address = reinterpret_cast<uint64_t>(static_cast<ModelHeader*>(&home));
    const bool late = slots_.defect == SlotDefect::kGuardAfterOwned;
    if (!late) self_.Guard(self_.guards[0], address);
    const bool mine = slots_.owned.at(table_).load(std::memory_order_acquire) != 0;
    if (late) self_.Guard(self_.guards[0], address);
    const bool found = mine && internal::ReadableAtHome<ModelAtomics>(home, id);
    if (found) ModelAssert(home.payload.Read() == id, "another record's payload");
    self_.ReleaseGuard(self_.guards[0]);
    return found;
  }
  // As SessionCore::Read(), which locates the slot under the pin.
  bool GetPinned(uint64_t id) {
    internal::PinScope pin(self_);
    if (slots_.owner.load(std::memory_order_acquire) != table_) return false;
    ModelHome& home = slots_.HomeOf(id);
    struct NoVersions {
      ModelHeader* At(internal::VersionLink) const { return nullptr; }
    };
    ModelHeader* const found =
        internal::FindVisible<ModelAtomics>(home, id, internal::kTimestampMax, NoVersions());
    if (found == nullptr) return false;
    self_.Guard(self_.guards[0], reinterpret_cast<uint64_t>(found));
    ModelAssert(home.payload.Read() == id, "another record's payload");
    self_.ReleaseGuard(self_.guards[0]);
    return true;
  }

 private:
  ModelSlots& slots_;
  const uint16_t table_;
  ModelSlots::Participant& self_;
};

// The extent leaves table 1, as in Tidier::CompactStorage(), and is taken by `next_table`, as in
// ClassSpace::TakeHomeSlab().
class ModelExtentGiver {
 public:
  explicit ModelExtentGiver(ModelSlots& slots) : slots_(slots) {}

  // The slab is empty.
  void Retract() {
    const std::lock_guard lock(slots_.mutex);
    if (slots_.defect != SlotDefect::kOwnedClearedLate) ClearOwned();
    if (slots_.defect != SlotDefect::kOwnerClearedLate) ClearOwner();
  }
  // False: a guard is in the way, and a later call tries again.
  bool Return() {
    if (slots_.defect == SlotDefect::kNoHeavyBarrier) {
      Await(grace_without_barrier_);
    } else {
      Await(grace_);
    }
    guarded_.Collect(slots_.participant_list);
    const std::lock_guard lock(slots_.mutex);
    const auto from = reinterpret_cast<uint64_t>(static_cast<ModelHeader*>(&slots_.homes.front()));
    const auto to = reinterpret_cast<uint64_t>(static_cast<ModelHeader*>(&slots_.homes.back())) + 1;
    if (guarded_.HoldsAnyIn(from, to) && slots_.defect != SlotDefect::kGuardsIgnored) return false;
    slots_.tick_floor = slots_.defect == SlotDefect::kExtentForgetsTick
                            ? 0
                            : slab::HighestTick(slots_.slab, slots_.At());
    // Returned memory reads as zeros.
    for (ModelHome& home : slots_.homes) {
      home.id.store(0, std::memory_order_relaxed);
      home.version.store(0, std::memory_order_relaxed);
      home.link.store(0, std::memory_order_relaxed);
      home.payload.Write(0);
    }
    slots_.given_back = true;
    return true;
  }
  // What a defect has put off.
  void ClearLate() {
    const std::lock_guard lock(slots_.mutex);
    if (slots_.defect == SlotDefect::kOwnedClearedLate) ClearOwned();
    if (slots_.defect == SlotDefect::kOwnerClearedLate &&
        slots_.owner.load(std::memory_order_relaxed) == 1) {
      ClearOwner();
    }
  }

 private:
  struct NoBarrierAtomics : ModelAtomics {
    static void HeavyBarrier(BarrierKind) {}
  };
  template <typename Grace>
  void Await(Grace& grace) {
    grace.Start(slots_.participant_list, slots_.kind);
    if (slots_.defect == SlotDefect::kPinsIgnored) return;
    for (uint32_t spin = 0; !grace.Passed(); ++spin) ModelAtomics::Pause(spin);
  }
  void ClearOwned() { slots_.owned.at(1).store(0, std::memory_order_release); }
  void ClearOwner() { slots_.owner.store(internal::kExtentUnowned, std::memory_order_release); }

  ModelSlots& slots_;
  epoch::GracePeriod<ModelAtomics> grace_;
  epoch::GracePeriod<NoBarrierAtomics> grace_without_barrier_;
  epoch::GuardedSlots guarded_;
};

// Gives the extent to `table` once it was given back, at a tick that its floor allows, and inserts.
// 0: it was not given back.
inline uint64_t TakeExtentAndInsert(ModelSlots& slots, uint16_t table, ModelIssuer& issuer) {
  {
    const std::lock_guard lock(slots.mutex);
    if (!slots.given_back) return 0;
    const uint32_t tick = slots.ticks.source->Current();
    if (!id::MayIssue(slots.tick_floor, tick) && !slots.ticks.source->RunAhead(tick).ok()) return 0;
    slots.Add(table, slots.tick_floor);
  }
  return issuer.Insert();
}

}  // namespace flagstone::model

#endif  // FLAGSTONE_TESTS_MODEL_MODEL_SLOTS_H_
