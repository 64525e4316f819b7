// A store of a few slots over ModelAtomics: the kernels of the real one with nothing around them.
//
// Sessions read, change and commit with participant.h, slot.h, record_lock.h, publish.h and
// commit_clock.h; maintenance runs grace.h and version_chain.h. What the real sessions and the real
// tidier add (look-ups, lists, caches) is replaced by the shortest code that keeps the same order
// of steps; Defect breaks one step of that order.
#ifndef FLAGSTONE_TESTS_MODEL_MODEL_STORE_H_
#define FLAGSTONE_TESTS_MODEL_MODEL_STORE_H_

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "flagstone/internal/newest_version.h"
#include "flagstone/internal/participant.h"
#include "flagstone/internal/slot.h"
#include "lib/epoch/grace.h"
#include "lib/txn/commit_clock.h"
#include "lib/txn/publish.h"
#include "lib/txn/record_lock.h"
#include "lib/txn/version_chain.h"
#include "tests/support/model_scheduler.h"

namespace flagstone::model {

using internal::BarrierKind;
using internal::Timestamp;
using internal::VersionLink;
using testkit::ModelAssert;
using testkit::ModelAtomics;
using testkit::ModelCell;

enum class Defect : uint8_t {
  kNone,
  kGuardAfterLoad,          // a reader announces its guard when it has already looked
  kNoHeavyBarrier,          // maintenance scans without the barrier
  kBarrierBeforeUnlink,     // what is unlinked is freed in the same cycle
  kGuardsIgnored,           // freed or overwritten under a guard
  kPinsIgnored,             // the cycle goes on while a reader is pinned
  kIdNotRechecked,          // a record reclaimed between the look and the lock is changed
  kHorizonTooEarly,         // the horizon covers a commit that has not linked its versions
  kNoCycleAfterCopy,        // the newest comes home in the cycle that copied the payload aside
  kLinkedBeforePayload,     // a version is visible before its payload is written
  kDeletionNotBroughtHome,  // a reclaimed slot says live until it is used again
  kConflictIgnored,         // a snapshot's change goes on top of what it has not seen
  kNoFloorCheck,            // a snapshot begins below the floor
  kCutNotAsked,             // a snapshot that was given up reads on
  kVersionNotRechecked,     // a version is read whose link was not looked at again
  kVersionGuardedLate,      // its guard is announced after the second look
  kHomeReadUnbounded,       // a snapshot reads what is at home whatever its timestamp
  kUncoveredVersionRead,    // a version is read that the horizon does not cover
  kChangedBeforeSettled,    // an update does not wait until the insert has settled the ID word
  kCount,
};

inline const char* DefectName(Defect defect) {
  switch (defect) {
    case Defect::kNone: return "none";
    case Defect::kGuardAfterLoad: return "guard announced after the load";
    case Defect::kNoHeavyBarrier: return "no heavy barrier";
    case Defect::kBarrierBeforeUnlink: return "barrier before unlinking";
    case Defect::kGuardsIgnored: return "freed without looking at guards";
    case Defect::kPinsIgnored: return "cycle does not wait for pins";
    case Defect::kIdNotRechecked: return "ID not rechecked after lock";
    case Defect::kHorizonTooEarly: return "horizon advanced before versions stored";
    case Defect::kNoCycleAfterCopy: return "homecoming in the cycle that copied aside";
    case Defect::kLinkedBeforePayload: return "newest visible before payload written";
    case Defect::kDeletionNotBroughtHome: return "reclaimed slot still says live";
    case Defect::kConflictIgnored: return "second updater wins";
    case Defect::kNoFloorCheck: return "snapshot without floor check";
    case Defect::kCutNotAsked: return "cut-off snapshot reads on";
    case Defect::kVersionNotRechecked: return "version's link not looked at again";
    case Defect::kVersionGuardedLate: return "version guarded after the second look";
    case Defect::kHomeReadUnbounded: return "snapshot reads at home unasked";
    case Defect::kUncoveredVersionRead: return "version read before the horizon covers it";
    case Defect::kChangedBeforeSettled: return "changed before its insert was settled";
    case Defect::kCount: break;
  }
  return "?";
}

// A slot: header and a payload of two words that must belong together.
struct ModelSlot : internal::BasicSlotHeader<ModelAtomics> {
  ModelCell<uint64_t> low;
  ModelCell<uint64_t> high;
};
using Header = internal::BasicSlotHeader<ModelAtomics>;

inline uint64_t ReadPayload(const Header& header) {
  const auto& slot = static_cast<const ModelSlot&>(header);
  const uint64_t low = slot.low.Read();
  ModelAssert(slot.high.Read() == ~low, "torn payload");
  return low;
}
inline void WritePayload(Header& header, uint64_t value) {
  auto& slot = static_cast<ModelSlot&>(header);
  slot.low.Write(value);
  slot.high.Write(~value);
}

inline constexpr int kRecords = 2;
inline constexpr VersionLink kVersions = 7;  // numbers 1 to 7; the last is maintenance's own

struct ModelStore {
  using ModelParticipant = internal::BasicParticipant<ModelAtomics, 2>;
  using Clock = txn::BasicCommitClock<ModelAtomics, 4, 1>;

  ModelStore(BarrierKind kind, Defect broken) : defect(broken), clock(1) {
    for (int i = 0; i < kParticipants; ++i) {
      participants.at(i).barrier_kind = kind;
      participant_list.at(i) = &participants.at(i);
    }
    for (int i = 0; i < kRecords; ++i) {
      homes[i].id.store(IdOf(i));
      homes[i].version.store(internal::VersionWord(1, internal::kLive));
      WritePayload(homes[i], 100);
    }
    for (VersionLink link = kVersions; link > 0; --link) free_versions.push_back(link);
  }

  static uint64_t IdOf(int record, uint64_t tick = 1) { return tick << 8 | uint64_t(record); }
  static int RecordOf(uint64_t id) { return static_cast<int>(id & 0xff); }
  Header* At(VersionLink link) { return &versions.at(link); }
  struct Slots {
    ModelStore& store;
    Header* At(VersionLink link) const { return store.At(link); }
  };

  static constexpr int kParticipants = 3;
  const Defect defect;
  std::array<ModelSlot, kRecords> homes;
  std::array<ModelSlot, kVersions + 1> versions;
  std::array<ModelParticipant, kParticipants> participants{};
  std::array<ModelParticipant*, kParticipants> participant_list{};
  Clock clock;
  ModelAtomics::Atomic<uint64_t> floor{0};

  // The pool and the list of free homes stand under a mutex in the real store. Here fibers only
  // change hands at modelled operations, so they are plain; what the mutex orders, this word does.
  ModelAtomics::Atomic<uint64_t> lists_mutex{0};
  void LockLists() { lists_mutex.fetch_add(1, std::memory_order_acq_rel); }
  std::vector<VersionLink> free_versions;
  std::vector<int> free_homes;
  uint64_t next_tick = 2;
};

// What one thread does. Every call is the shortest form of its namesake in SessionCore.
class ModelSession {
 public:
  ModelSession(ModelStore& store, int number)
      : store_(store), self_(store.participants.at(static_cast<size_t>(number))) {}

  ModelStore::ModelParticipant& participant() { return self_; }

  // The latest state, as Reader::Get(); what is returned is guarded until Release().
  Header* Get(uint64_t id) {
    Header& home = HomeOf(id);
    const auto address = reinterpret_cast<uint64_t>(&home);
    if (store_.defect == Defect::kGuardAfterLoad) {
      if (internal::ReadableAtHome(home, id)) {
        self_.Guard(self_.guards[0], address);
        return &home;
      }
    } else {
      self_.Guard(self_.guards[0], address);
      const uint64_t found = home.id.load(std::memory_order_acquire);
      if (found == id) return &home;
      Header* version = found == (id | internal::kLookCloser) ? GuardNewest(home) : nullptr;
      self_.ReleaseGuard(self_.guards[0]);
      if (version != nullptr) return version;
    }
    internal::PinScope pin(self_);
    return GuardFound(internal::FindVisible<ModelAtomics>(home, id, store_.clock.horizon(),
                                                          ModelStore::Slots{store_}));
  }
  void Release() {
    for (auto& guard : self_.guards) self_.ReleaseGuard(guard);
  }

  // As Transaction::Get(): at home by a guard alone, else under a pin. `cut` says that the snapshot
  // was given up.
  Header* GetAt(uint64_t id, Timestamp at, bool* cut = nullptr) {
    Header& home = HomeOf(id);
    self_.Guard(self_.guards[0], reinterpret_cast<uint64_t>(&home));
    if (internal::ReadableAtHome(home, id) &&
        (store_.defect == Defect::kHomeReadUnbounded ||
         internal::BeginOf(home.version.load(std::memory_order_acquire)) <= at) &&
        (store_.defect == Defect::kCutNotAsked || !self_.SnapshotIsCut())) {
      return &home;
    }
    self_.ReleaseGuard(self_.guards[0]);
    internal::PinScope pin(self_);
    if (store_.defect != Defect::kCutNotAsked && self_.SnapshotIsCut()) {
      if (cut != nullptr) *cut = true;
      return nullptr;
    }
    return GuardFound(internal::FindVisible<ModelAtomics>(home, id, at, ModelStore::Slots{store_}));
  }
  Timestamp Begin() {
    if (store_.defect == Defect::kNoFloorCheck) {
      const Timestamp at = store_.clock.horizon();
      self_.BeginSnapshotAt(at, no_floor_);
      return at;
    }
    return self_.BeginSnapshot(store_.clock.horizon_word(), store_.floor);
  }
  void End() { self_.EndSnapshot(); }

  struct Change {
    Header* home;
    Header* version;
    VersionLink version_link;
    uint64_t link_before;
    uint64_t id;
  };
  enum class LockResult : uint8_t { kLocked, kAbsent, kConflict };

  LockResult Lock(uint64_t id, std::optional<Timestamp> snapshot, Change* change) {
    internal::PinScope pin(self_);
    Header& home = HomeOf(id);
    if (internal::IdOf(home.id.load(std::memory_order_acquire)) != id) return LockResult::kAbsent;
    const std::optional<uint64_t> before = txn::TryLockForChange<ModelAtomics>(home);
    if (!before.has_value()) return LockResult::kConflict;
    if (store_.defect != Defect::kChangedBeforeSettled) {
      txn::AwaitSettled<ModelAtomics>(home, *before);
    }
    const VersionLink newest = internal::NewestOf(*before);
    Header* top = newest != 0 ? store_.At(newest) : &home;
    const uint64_t version = top->version.load(std::memory_order_acquire);
    if (store_.defect != Defect::kIdNotRechecked &&
        internal::IdOf(home.id.load(std::memory_order_acquire)) != id) {
      txn::Unlock(home, *before);
      return LockResult::kAbsent;
    }
    if (snapshot.has_value() && internal::BeginOf(version) > *snapshot &&
        store_.defect != Defect::kConflictIgnored) {
      txn::Unlock(home, *before);
      return LockResult::kConflict;
    }
    if ((version & internal::kLive) == 0 && store_.defect != Defect::kIdNotRechecked) {
      txn::Unlock(home, *before);
      return LockResult::kAbsent;
    }
    *change = {&home, top, newest, *before, id};
    return LockResult::kLocked;
  }
  // Gives a locked record its new version with `value`; the old payload is returned.
  uint64_t PrepareVersion(Change* change, std::optional<uint64_t> value, uint64_t add = 0) {
    uint64_t before = 0;
    if (!value.has_value()) {
      before = ReadPayload(*change->version);
      value = before + add;
    }
    store_.LockLists();
    change->version_link = store_.free_versions.back();
    store_.free_versions.pop_back();
    change->version = store_.At(change->version_link);
    if (store_.defect != Defect::kLinkedBeforePayload) WritePayload(*change->version, *value);
    late_payload_ = *value;
    return before;
  }
  Timestamp Commit(Change* changes, int count, uint64_t state = internal::kLive) {
    const auto publish = [&](Timestamp at) {
      for (int i = 0; i < count; ++i) {
        txn::PublishVersion(*changes[i].home, *changes[i].version, changes[i].version_link,
                            changes[i].link_before, changes[i].id, at, state);
      }
    };
    if (store_.defect == Defect::kHorizonTooEarly) {
      const Timestamp at = store_.clock.Reserve();
      store_.clock.Complete(at);
      publish(at);
      return at;
    }
    const Timestamp at = txn::CommitInOrder(store_.clock, publish);
    if (store_.defect == Defect::kLinkedBeforePayload) {
      for (int i = 0; i < count; ++i) WritePayload(*changes[i].version, late_payload_);
    }
    return at;
  }
  // False: conflict or absent.
  bool Add(uint64_t id, uint64_t add) {
    Change change;
    if (Lock(id, std::nullopt, &change) != LockResult::kLocked) return false;
    PrepareVersion(&change, std::nullopt, add);
    Commit(&change, 1);
    return true;
  }
  bool Delete(uint64_t id) {
    Change change;
    if (Lock(id, std::nullopt, &change) != LockResult::kLocked) return false;
    PrepareVersion(&change, 0);
    Commit(&change, 1, internal::kTombstone);
    return true;
  }
  // Into a free home slot, under an ID of a later tick; 0: none is free.
  uint64_t Insert(uint64_t value) {
    store_.LockLists();
    if (store_.free_homes.empty()) return 0;
    const int record = store_.free_homes.back();
    store_.free_homes.pop_back();
    Header& home = store_.homes.at(static_cast<size_t>(record));
    const uint64_t id = ModelStore::IdOf(record, store_.next_tick++);
    WritePayload(home, value);
    txn::CommitInOrder(store_.clock, [&](Timestamp at) { txn::PublishInsert(home, id, at); });
    txn::SettleInsert(home, id);
    return id;
  }

 private:
  Header& HomeOf(uint64_t id) {
    return store_.homes.at(static_cast<size_t>(ModelStore::RecordOf(id)));
  }
  // As internal::GuardNewest(), which it is unless the defect is one of that.
  Header* GuardNewest(const Header& home) {
    auto& guard = self_.guards[1];
    const ModelStore::Slots slots{store_};
    const bool unchecked = store_.defect == Defect::kVersionNotRechecked;
    const bool late = store_.defect == Defect::kVersionGuardedLate;
    if (!unchecked && !late && store_.defect != Defect::kUncoveredVersionRead) {
      return internal::GuardNewest(self_, guard, home, store_.clock.horizon_word(), slots);
    }
    const VersionLink newest = internal::NewestOf(home.link.load(std::memory_order_acquire));
    if (newest == 0) return nullptr;
    Header* version = slots.At(newest);
    const auto address = reinterpret_cast<uint64_t>(version);
    if (!late) self_.Guard(guard, address);
    if (unchecked || internal::NewestOf(home.link.load(std::memory_order_acquire)) == newest) {
      if (late) self_.Guard(guard, address);
      const uint64_t word = version->version.load(std::memory_order_acquire);
      const bool covered = store_.defect == Defect::kUncoveredVersionRead ||
                           internal::BeginOf(word) <= store_.clock.horizon();
      if ((word & internal::kLive) != 0 && covered) return version;
    }
    self_.ReleaseGuard(guard);
    return nullptr;
  }
  Header* GuardFound(Header* found) {
    if (found == nullptr || !(found->version.load(std::memory_order_relaxed) & internal::kLive)) {
      return nullptr;
    }
    self_.Guard(self_.guards[0], reinterpret_cast<uint64_t>(found));
    return found;
  }

  ModelStore& store_;
  ModelStore::ModelParticipant& self_;
  ModelAtomics::Atomic<uint64_t> no_floor_{0};
  uint64_t late_payload_ = 0;
};

// The cycle of Tidier::RunLocked(): every record is visited in each.
class ModelTidier {
 public:
  ModelTidier(ModelStore& store, BarrierKind kind) : store_(store), kind_(kind) {}

  void RunCycle() {
    settled_ = store_.clock.horizon();
    store_.floor.store(settled_, std::memory_order_release);
    if (cut_next_) CutSnapshots();
    if (store_.defect == Defect::kNoHeavyBarrier) {
      grace_.Start(store_.participant_list, kind_);  // its barrier does nothing: see below
    } else {
      real_grace_.Start(store_.participant_list, kind_);
    }
    if (store_.defect != Defect::kPinsIgnored) {
      for (uint32_t spin = 0;
           !(store_.defect == Defect::kNoHeavyBarrier ? grace_.Passed() : real_grace_.Passed());
           ++spin) {
        ModelAtomics::Pause(spin);
      }
    }
    guarded_.Collect(store_.participant_list);
    needed_.Collect(store_.participant_list, settled_);
    copied_ = {};
    if (store_.defect != Defect::kBarrierBeforeUnlink) FreeRetired();
    for (int record = 0; record < kRecords; ++record) VisitRecord(record);
    if (store_.defect == Defect::kBarrierBeforeUnlink) FreeRetired();
  }
  // The next cycle gives all older snapshots up.
  void CutInNextCycle() { cut_next_ = true; }
  int homecomings() const { return homecomings_; }

 private:
  struct NoBarrierAtomics : ModelAtomics {
    static void HeavyBarrier(BarrierKind) {}
  };
  struct VisitedRecord {
    ModelTidier& tidier;
    int record;
    Header& home;
    Header* At(VersionLink link) { return tidier.store_.At(link); }
    void CopyPayload(Header* to, const Header* from) { WritePayload(*to, ReadPayload(*from)); }
    VersionLink TakeVersionSlot() {
      tidier.store_.LockLists();
      if (tidier.store_.free_versions.empty()) return 0;
      const VersionLink link = tidier.store_.free_versions.back();
      tidier.store_.free_versions.pop_back();
      return link;
    }
    void Retire(VersionLink link) { tidier.retired_versions_.push_back(link); }
    void RetireHome() {
      tidier.retired_homes_.push_back(record);
      if (tidier.store_.defect == Defect::kDeletionNotBroughtHome) {
        home.version.store(internal::VersionWord(1, internal::kLive), std::memory_order_release);
      }
    }
    bool HomeIsGuarded() { return tidier.Guarded(home); }
    bool HomeWasCopied() {
      return tidier.copied_.at(static_cast<size_t>(record)) &&
             tidier.store_.defect != Defect::kNoCycleAfterCopy;
    }
    void NoteHomeCopied() { tidier.copied_.at(static_cast<size_t>(record)) = true; }
    void MakeRoomToRetire(size_t) {}
    void NoteHomecoming() { ++tidier.homecomings_; }
    void Defer(Timestamp) {}
  };

  bool Guarded(const Header& slot) const {
    return store_.defect != Defect::kGuardsIgnored &&
           guarded_.Holds(reinterpret_cast<uint64_t>(&slot));
  }
  void CutSnapshots() {
    for (auto* participant : store_.participant_list) {
      const uint64_t word = participant->snapshot.load(std::memory_order_acquire);
      if (word != 0) participant->snapshot_cut.store(word, std::memory_order_release);
    }
  }
  void VisitRecord(int record) {
    Header& home = store_.homes.at(static_cast<size_t>(record));
    if (home.id.load(std::memory_order_acquire) == 0) return;
    const std::optional<uint64_t> before = txn::TryLockForTidying<ModelAtomics>(home);
    if (!before.has_value()) return;
    uint64_t link = *before & ~internal::kDeferred;
    VisitedRecord visited{*this, record, home};
    chain_.Tidy(visited, home, settled_, needed_, &link);
    txn::Unlock(home, link & ~internal::kQueued);
  }
  // A freed slot is poisoned: whoever still reads it, reads garbage of no value ever written, and
  // the access is a race.
  void FreeRetired() {
    std::erase_if(retired_versions_, [&](VersionLink link) {
      Header& slot = *store_.At(link);
      if (Guarded(slot)) return false;
      Poison(slot);
      store_.LockLists();
      store_.free_versions.push_back(link);
      return true;
    });
    std::erase_if(retired_homes_, [&](int record) {
      Header& slot = store_.homes.at(static_cast<size_t>(record));
      if (Guarded(slot)) return false;
      Poison(slot);
      slot.link.store(internal::LinkWord(0, 1), std::memory_order_relaxed);
      store_.LockLists();
      store_.free_homes.push_back(record);
      return true;
    });
  }
  static void Poison(Header& slot) {
    slot.id.store(0, std::memory_order_relaxed);
    slot.version.store(internal::VersionWord(1, 0), std::memory_order_relaxed);
    static_cast<ModelSlot&>(slot).low.Write(0xdead);
    static_cast<ModelSlot&>(slot).high.Write(0xdead);
  }

  ModelStore& store_;
  const BarrierKind kind_;
  Timestamp settled_ = 0;
  bool cut_next_ = false;
  int homecomings_ = 0;
  std::array<bool, kRecords> copied_{};
  std::vector<VersionLink> retired_versions_;
  std::vector<int> retired_homes_;
  epoch::GracePeriod<NoBarrierAtomics> grace_;
  epoch::GracePeriod<ModelAtomics> real_grace_;
  epoch::GuardedSlots guarded_;
  epoch::NeededTimestamps needed_;
  txn::VersionChain<ModelAtomics> chain_;
};

}  // namespace flagstone::model

#endif  // FLAGSTONE_TESTS_MODEL_MODEL_STORE_H_
