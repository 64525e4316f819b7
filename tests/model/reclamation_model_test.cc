// What: no reader ever sees a payload that is being overwritten or was given to someone else.
// How:  slots, pins, guards and the cycle of maintenance under the model-checking scheduler;
// payload
//       words are plain cells, so an unordered access is a failure by itself.
#include <gtest/gtest.h>

#include "tests/model/model_run.h"
#include "tests/model/model_store.h"

namespace flagstone::model {
namespace {

void Check(Header* found, ModelSession& session, uint64_t least, uint64_t most) {
  ModelAssert(found != nullptr, "a record that was never deleted is absent");
  const uint64_t value = ReadPayload(*found);
  ModelAssert(value >= least && value <= most, "a value that was never written");
  ModelAssert(ReadPayload(*found) == value, "the payload changed under a guard");
  session.Release();
}

TEST(ReclamationModelTest, AReaderOfTheLatestStateNeverSeesRecycledOrTornBytes) {
  ProveModel<Defect>("guards, homecoming", 150'000,
                     {Defect::kGuardAfterLoad, Defect::kNoHeavyBarrier, Defect::kGuardsIgnored,
                      Defect::kPinsIgnored, Defect::kLinkedBeforePayload},
                     DefectName, [](testkit::Execution& e, BarrierKind kind, Defect defect) {
                       ModelStore& store = e.Make<ModelStore>(kind, defect);
                       ModelSession& reader = e.Make<ModelSession>(store, 0);
                       ModelSession& writer = e.Make<ModelSession>(store, 1);
                       ModelTidier& tidier = e.Make<ModelTidier>(store, kind);
                       e.Spawn([&] {
                         for (int i = 0; i < 2; ++i)
                           Check(reader.Get(ModelStore::IdOf(0)), reader, 100, 102);
                       });
                       e.Spawn([&] {
                         writer.Add(ModelStore::IdOf(0), 1);
                         writer.Add(ModelStore::IdOf(0), 1);
                       });
                       e.Spawn([&] {
                         for (int i = 0; i < 3; ++i) tidier.RunCycle();
                       });
                     });
}

TEST(ReclamationModelTest, AVersionIsFreedWhenNobodyCanReachIt) {
  ProveModel<Defect>(
      "retire and free", 120'000,
      {Defect::kBarrierBeforeUnlink, Defect::kNoHeavyBarrier, Defect::kVersionNotRechecked,
       Defect::kVersionGuardedLate, Defect::kGuardsIgnored},
      DefectName, [](testkit::Execution& e, BarrierKind kind, Defect defect) {
        ModelStore& store = e.Make<ModelStore>(kind, defect);
        // The record starts with a version that is not at home: readers go by the
        // chain.
        ModelSession& set_up = e.Make<ModelSession>(store, 1);
        ModelSession& reader = e.Make<ModelSession>(store, 0);
        ModelTidier& tidier = e.Make<ModelTidier>(store, kind);
        set_up.Add(ModelStore::IdOf(0), 1);
        e.Spawn([&] {
          for (int i = 0; i < 2; ++i) Check(reader.Get(ModelStore::IdOf(0)), reader, 101, 101);
        });
        e.Spawn([&] {
          for (int i = 0; i < 2; ++i) tidier.RunCycle();
        });
      });
}

// The insert's last store takes kLookCloser away: it must not take away the one of a later update,
// or the one-load read would answer with the old payload for ever.
TEST(ReclamationModelTest, AnUpdateWaitsUntilTheInsertIsSettled) {
  ProveModel<Defect>("insert settled before it is changed", 80'000, {Defect::kChangedBeforeSettled},
                     DefectName, [](testkit::Execution& e, BarrierKind kind, Defect defect) {
                       ModelStore& store = e.Make<ModelStore>(kind, defect);
                       ModelSession& inserter = e.Make<ModelSession>(store, 0);
                       ModelSession& updater = e.Make<ModelSession>(store, 1);
                       store.homes[1].id.store(0);
                       store.homes[1].version.store(0);
                       store.free_homes.push_back(1);
                       const uint64_t id = ModelStore::IdOf(1, store.next_tick);
                       e.Spawn([&, id] { ModelAssert(inserter.Insert(7) == id, "another ID"); });
                       e.Spawn([&, id] {
                         for (int i = 0; i < 3; ++i) updater.Add(id, 1);
                       });
                       e.Finally([&, id] {
                         const Header& home = store.homes[1];
                         const bool newer = internal::NewestOf(home.link.load()) != 0;
                         ModelAssert(internal::ReadableAtHome(home, id) == !newer,
                                     "the ID word and the link disagree");
                       });
                     });
}

// The record dies, its slot is reused by another: a reader by the old ID finds nothing or the old
// record, never the new one; once the deletion is done it finds nothing.
TEST(ReclamationModelTest, ADeletedRecordStaysDeletedAndItsSlotIsReusedUnderALaterId) {
  ProveModel<Defect>("tombstone, reclaim, reuse", 150'000,
                     {Defect::kDeletionNotBroughtHome, Defect::kNoHeavyBarrier,
                      Defect::kPinsIgnored, Defect::kGuardsIgnored},
                     DefectName, [](testkit::Execution& e, BarrierKind kind, Defect defect) {
                       ModelStore& store = e.Make<ModelStore>(kind, defect);
                       ModelSession& reader = e.Make<ModelSession>(store, 0);
                       ModelSession& writer = e.Make<ModelSession>(store, 1);
                       ModelTidier& tidier = e.Make<ModelTidier>(store, kind);
                       auto& deleted = e.Make<ModelAtomics::Atomic<uint64_t>>(0);
                       const uint64_t id = ModelStore::IdOf(0);
                       e.Spawn([&, id] {
                         for (int i = 0; i < 2; ++i) {
                           const bool before = deleted.load(std::memory_order_acquire) != 0;
                           Header* found = reader.Get(id);
                           if (found == nullptr) continue;
                           ModelAssert(!before, "a deleted record came back");
                           ModelAssert(
                               internal::IdOf(found->id.load(std::memory_order_relaxed)) == id,
                               "guard shows another ID");
                           ModelAssert(ReadPayload(*found) == 100, "another record's payload");
                           reader.Release();
                         }
                       });
                       e.Spawn([&, id] {
                         writer.Delete(id);
                         deleted.store(1, std::memory_order_release);
                       });
                       e.Spawn([&] {
                         for (int i = 0; i < 3; ++i) tidier.RunCycle();
                         ModelSession(store, 2).Insert(555);
                       });
                     });
}

TEST(ReclamationModelTest, AWriterByAnOldIdNeverChangesTheSlotsNextRecord) {
  ProveModel<Defect>(
      "lock and reuse", 100'000, {Defect::kIdNotRechecked}, DefectName,
      [](testkit::Execution& e, BarrierKind kind, Defect defect) {
        ModelStore& store = e.Make<ModelStore>(kind, defect);
        ModelSession& set_up = e.Make<ModelSession>(store, 1);
        ModelSession& writer = e.Make<ModelSession>(store, 0);
        ModelTidier& tidier = e.Make<ModelTidier>(store, kind);
        uint64_t& id = e.Make<uint64_t>(0);
        set_up.Delete(ModelStore::IdOf(0));
        e.Spawn([&] {
          ModelAssert(!writer.Add(ModelStore::IdOf(0), 1), "a deleted record was changed");
        });
        e.Spawn([&] {
          for (int i = 0; i < 2; ++i) tidier.RunCycle();
          id = set_up.Insert(500);
        });
        e.Finally([&] {
          if (id == 0) return;
          Header* found = set_up.Get(id);
          ModelAssert(found != nullptr && ReadPayload(*found) == 500, "the new record is damaged");
        });
      });
}

}  // namespace
}  // namespace flagstone::model
