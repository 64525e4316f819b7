// What: an ID names one record for ever, also while sessions, maintenance and readers work on the
//       same slots: no ID is issued twice, no tick beyond the lease on disk, and an extent that
//       changes hands is never answered for its former table or under an old ID.
// How:  see model_slots.h, which says what of it is the real code.
#include <gtest/gtest.h>

#include "tests/model/model_run.h"
#include "tests/model/model_slots.h"

namespace flagstone::model {
namespace {

// --- ticks and their lease

enum class TickDefect : uint8_t { kNone, kIssuedBeforeLease, kMutexIdle, kCount };

struct IssuesBeforeLease : ModelTickRules {
  static constexpr id::LeaseOrder kLeaseOrder = id::LeaseOrder::kPublishThenPersist;
};
struct IdleMutex {
  void lock() {}
  bool try_lock() { return true; }
  void unlock() {}
};
struct WithIdleMutex : ModelTickRules {
  using Mutex = IdleMutex;
};

template <typename Rules>
void IssueAcrossALease(testkit::Execution& e) {
  auto& ticks = e.Make<ModelTicks<Rules>>();
  const auto issue = [&ticks](uint32_t least) {
    const uint32_t tick = ticks.source->Current();
    ModelAssert(tick >= least, "the tick went back");
    ModelAssert(tick < ticks.storage.on_disk, "a tick beyond the lease on disk");
    return tick;
  };
  e.Spawn([&ticks, issue] {
    const uint32_t first = issue(1);
    ticks.clock.AdvanceSeconds(40);
    const uint32_t second = ticks.source->Refresh();
    ticks.clock.AdvanceSeconds(40);  // beyond the first lease
    issue(std::max(first, second));
    ticks.source->Refresh();
    issue(second);
  });
  e.Spawn([&ticks, issue] {
    const uint32_t first = issue(1);
    ModelAssert(ticks.source->Renew().ok(), "the lease could not be renewed");
    issue(first);
  });
  e.Spawn([&ticks, issue] {
    const uint32_t first = issue(1);
    const Result<uint32_t> later = ticks.source->RunAhead(first);
    ModelAssert(later.ok() && *later > first, "no later tick");
    issue(*later);
  });
}

TEST(SlotReuseModelTest, NoTickIsIssuedBeyondTheLeaseOnDiskOrGoesBack) {
  ProveModel<TickDefect>(
      "tick lease", 60'000, {TickDefect::kIssuedBeforeLease, TickDefect::kMutexIdle},
      [](TickDefect defect) {
        return defect == TickDefect::kIssuedBeforeLease ? "tick issued before its lease"
                                                        : "tick advanced without its mutex";
      },
      [](testkit::Execution& e, BarrierKind, TickDefect defect) {
        switch (defect) {
          case TickDefect::kIssuedBeforeLease: return IssueAcrossALease<IssuesBeforeLease>(e);
          case TickDefect::kMutexIdle: return IssueAcrossALease<WithIdleMutex>(e);
          default: return IssueAcrossALease<ModelTickRules>(e);
        }
      });
}

// --- slots

TEST(SlotReuseModelTest, NoIdIsIssuedTwiceWhoeverTakesAndGivesBack) {
  ProveModel<SlotDefect>("slot free list", 100'000,
                         {SlotDefect::kReusedWithinTick, SlotDefect::kTickReadBeforeTake,
                          SlotDefect::kLastTickForgotten, SlotDefect::kListWithoutMutex},
                         SlotDefectName,
                         [](testkit::Execution& e, BarrierKind kind, SlotDefect defect) {
                           ModelSlots& slots = e.Make<ModelSlots>(kind, defect);
                           slots.Add(1, 0);
                           for (int i = 0; i < 2; ++i) {
                             ModelIssuer& issuer = e.Make<ModelIssuer>(slots);
                             e.Spawn([&] {
                               for (int round = 0; round < 3; ++round) {
                                 // None: the other one holds both slots of this moment.
                                 if (const uint64_t id = issuer.Insert(); id != 0)
                                   issuer.Delete(id);
                               }
                             });
                           }
                           e.Spawn([&] {
                             slots.ticks.clock.AdvanceSeconds(1);
                             slots.ticks.source->Refresh();
                           });
                         });
}

// An extent that table 1 has emptied. Its record of tick `old` was deleted long ago.
struct EmptiedExtent {
  EmptiedExtent(testkit::Execution& e, BarrierKind kind, SlotDefect defect)
      : slots(e.Make<ModelSlots>(kind, defect)), giver(e.Make<ModelExtentGiver>(slots)) {
    slots.Add(1, 0);
    ModelIssuer issuer(slots);
    old_id = issuer.Insert();
    issuer.Delete(old_id);
  }
  void SpawnReaderOfTable1(testkit::Execution& e, uint64_t id, const char* wrong) {
    ModelSlotReader& reader = e.Make<ModelSlotReader>(slots, uint16_t{1}, size_t{0});
    e.Spawn([&reader, id, wrong] {
      for (int i = 0; i < 2; ++i) ModelAssert(!reader.GetInlined(id), wrong);
      ModelAssert(!reader.GetPinned(id), wrong);
    });
  }
  void SpawnGivingBack(testkit::Execution& e) {
    e.Spawn([this] {
      giver.Retract();
      for (int i = 0; i < 2 && !giver.Return(); ++i) {
      }
      giver.ClearLate();
    });
  }

  ModelSlots& slots;
  ModelExtentGiver& giver;
  uint64_t old_id = 0;
};

TEST(SlotReuseModelTest, AnExtentThatChangesHandsIsNotAnsweredForItsFormerTable) {
  ProveModel<SlotDefect>(
      "extent changes hands", 120'000,
      {SlotDefect::kOwnedClearedLate, SlotDefect::kOwnerClearedLate, SlotDefect::kNoHeavyBarrier,
       SlotDefect::kGuardsIgnored, SlotDefect::kPinsIgnored, SlotDefect::kGuardAfterOwned},
      SlotDefectName, [](testkit::Execution& e, BarrierKind kind, SlotDefect defect) {
        EmptiedExtent& extent = e.Make<EmptiedExtent>(e, kind, defect);
        ModelSlots& slots = extent.slots;
        // Of the record that table 2 will put into the same slot: known before it is there.
        const uint64_t next_id = slots.IdAt(ModelCodec().tick(RecordId(extent.old_id)) + 1, 0);
        extent.SpawnReaderOfTable1(e, next_id, "table 1 answers for a record of table 2");
        extent.SpawnGivingBack(e);
        ModelIssuer& issuer = e.Make<ModelIssuer>(slots);
        ModelSlotReader& own = e.Make<ModelSlotReader>(slots, uint16_t{2}, size_t{1});
        e.Spawn([&, next_id] {
          for (int i = 0; i < 2; ++i) {
            const uint64_t id = TakeExtentAndInsert(slots, 2, issuer);
            if (id == 0) continue;
            ModelAssert(id == next_id, "another ID");
            ModelAssert(own.GetInlined(id) && own.GetPinned(id), "the new table's own read");
            return;
          }
        });
      });
}

TEST(SlotReuseModelTest, AnOldIdIsNotAnsweredAfterItsExtentWasUsedAgain) {
  ProveModel<SlotDefect>(
      "extent used again", 80'000, {SlotDefect::kExtentForgetsTick, SlotDefect::kOwnedClearedLate},
      SlotDefectName, [](testkit::Execution& e, BarrierKind kind, SlotDefect defect) {
        EmptiedExtent& extent = e.Make<EmptiedExtent>(e, kind, defect);
        ModelSlots& slots = extent.slots;
        extent.SpawnReaderOfTable1(e, extent.old_id, "an old ID is answered");
        extent.SpawnGivingBack(e);
        ModelIssuer& issuer = e.Make<ModelIssuer>(slots);
        e.Spawn([&] {
          for (int i = 0; i < 2 && TakeExtentAndInsert(slots, 1, issuer) == 0; ++i) {
          }
        });
        // A byte that stays 0 costs the inlined read for ever, one that stays 1 an answer.
        e.Finally([&slots] {
          ModelAssert((slots.owned.at(1).load() != 0) == (slots.owner.load() == 1),
                      "owned byte and owner disagree");
        });
      });
}

}  // namespace
}  // namespace flagstone::model
