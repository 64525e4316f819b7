// What: which version a reader sees, while writers link, maintenance moves and snapshots hold.
// How:  the kernels of the store over ModelAtomics; see model_store.h.
#include <gtest/gtest.h>

#include "tests/model/model_run.h"
#include "tests/model/model_store.h"

namespace flagstone::model {
namespace {

const uint64_t kFirst = ModelStore::IdOf(0);
const uint64_t kSecond = ModelStore::IdOf(1);

uint64_t Value(ModelSession& session, Header* found) {
  ModelAssert(found != nullptr, "a record that was never deleted is absent");
  const uint64_t value = ReadPayload(*found);
  session.Release();
  return value;
}

TEST(VersionChainModelTest, BothRecordsOfACommitAppearAtOnceAndReadsNeverGoBack) {
  ProveModel<Defect>(
      "atomic visibility", 120'000, {Defect::kHorizonTooEarly, Defect::kUncoveredVersionRead},
      DefectName, [](testkit::Execution& e, BarrierKind kind, Defect defect) {
        ModelStore& store = e.Make<ModelStore>(kind, defect);
        ModelSession& reader = e.Make<ModelSession>(store, 0);
        ModelSession& writer = e.Make<ModelSession>(store, 1);
        ModelTidier& tidier = e.Make<ModelTidier>(store, kind);
        e.Spawn([&] {
          const uint64_t first = Value(reader, reader.Get(kFirst));
          const uint64_t second = Value(reader, reader.Get(kSecond));
          ModelAssert(second >= first, "half of a commit was seen");
          ModelAssert(Value(reader, reader.Get(kFirst)) >= first, "a read went back");
          const Timestamp at = reader.Begin();
          const uint64_t then = Value(reader, reader.GetAt(kSecond, at));
          ModelAssert(then >= second, "a snapshot is older than a read before it");
          ModelAssert(Value(reader, reader.GetAt(kFirst, at)) == then, "a snapshot saw half");
          reader.End();
        });
        e.Spawn([&] {
          ModelSession::Change changes[2];
          writer.Lock(kSecond, std::nullopt, &changes[1]);
          writer.PrepareVersion(&changes[1], std::nullopt, 1);
          writer.Lock(kFirst, std::nullopt, &changes[0]);
          writer.PrepareVersion(&changes[0], std::nullopt, 1);
          writer.Commit(changes, 2);
        });
        e.Spawn([&] { tidier.RunCycle(); });
      });
}

TEST(VersionChainModelTest, TheFirstUpdaterWins) {
  ProveModel<Defect>(
      "first updater wins", 100'000, {Defect::kConflictIgnored}, DefectName,
      [](testkit::Execution& e, BarrierKind kind, Defect defect) {
        ModelStore& store = e.Make<ModelStore>(kind, defect);
        uint64_t& added = e.Make<uint64_t>(0);
        for (int i = 0; i < 2; ++i) {
          ModelSession& writer = e.Make<ModelSession>(store, i);
          e.Spawn([&, i] {
            // Reads at its snapshot, writes what it read plus its own.
            const uint64_t own = i == 0 ? 1 : 16;
            const Timestamp at = writer.Begin();
            const uint64_t seen = Value(writer, writer.GetAt(kFirst, at));
            ModelSession::Change change;
            if (writer.Lock(kFirst, at, &change) == ModelSession::LockResult::kLocked) {
              writer.PrepareVersion(&change, seen + own);
              writer.Commit(&change, 1);
              added += own;
            }
            writer.End();
          });
        }
        ModelTidier& tidier = e.Make<ModelTidier>(store, kind);
        e.Spawn([&] { tidier.RunCycle(); });
        ModelSession& last = e.Make<ModelSession>(store, 2);
        e.Finally([&] {
          ModelAssert(added != 0, "both updaters lost");
          ModelAssert(ReadPayload(*last.Get(kFirst)) == 100 + added, "an update was lost");
        });
      });
}

TEST(VersionChainModelTest, HomecomingLeavesAnOldSnapshotItsPayload) {
  ProveModel<Defect>("homecoming in two cycles", 150'000,
                     {Defect::kNoCycleAfterCopy, Defect::kNoHeavyBarrier, Defect::kPinsIgnored,
                      Defect::kHomeReadUnbounded},
                     DefectName, [](testkit::Execution& e, BarrierKind kind, Defect defect) {
                       ModelStore& store = e.Make<ModelStore>(kind, defect);
                       ModelSession& reader = e.Make<ModelSession>(store, 0);
                       ModelSession& writer = e.Make<ModelSession>(store, 1);
                       ModelTidier& tidier = e.Make<ModelTidier>(store, kind);
                       // The snapshot is older than the update: it needs the payload in the home
                       // slot.
                       const Timestamp at = reader.Begin();
                       writer.Add(kFirst, 1);
                       e.Spawn([&, at] {
                         for (int i = 0; i < 2; ++i) {
                           ModelAssert(Value(reader, reader.GetAt(kFirst, at)) == 100,
                                       "the snapshot's state changed");
                         }
                         reader.End();
                       });
                       e.Spawn([&] {
                         for (int i = 0; i < 3; ++i) tidier.RunCycle();
                       });
                       e.Finally([&] {
                         ModelAssert(ReadPayload(*writer.Get(kFirst)) == 101,
                                     "the newest version was lost");
                       });
                     });
}

TEST(VersionChainModelTest, ASnapshotThatBeginsWhileVersionsAreTrimmedFindsItsState) {
  ProveModel<Defect>("snapshot and floor", 120'000,
                     {Defect::kNoFloorCheck, Defect::kNoHeavyBarrier}, DefectName,
                     [](testkit::Execution& e, BarrierKind kind, Defect defect) {
                       ModelStore& store = e.Make<ModelStore>(kind, defect);
                       ModelSession& reader = e.Make<ModelSession>(store, 0);
                       ModelSession& writer = e.Make<ModelSession>(store, 1);
                       ModelTidier& tidier = e.Make<ModelTidier>(store, kind);
                       e.Spawn([&] {
                         const Timestamp at = reader.Begin();
                         // Each commit adds one, the first timestamp is 1.
                         for (int i = 0; i < 2; ++i) {
                           ModelAssert(Value(reader, reader.GetAt(kFirst, at)) == 99 + at,
                                       "the snapshot's version is gone");
                         }
                         reader.End();
                       });
                       e.Spawn([&] {
                         writer.Add(kFirst, 1);
                         writer.Add(kFirst, 1);
                       });
                       e.Spawn([&] {
                         for (int i = 0; i < 2; ++i) tidier.RunCycle();
                       });
                     });
}

TEST(VersionChainModelTest, ASnapshotThatWasCutOffIsToldAndNeverReadsAnotherState) {
  ProveModel<Defect>("cut-off snapshots", 80'000, {Defect::kCutNotAsked}, DefectName,
                     [](testkit::Execution& e, BarrierKind kind, Defect defect) {
                       ModelStore& store = e.Make<ModelStore>(kind, defect);
                       ModelSession& reader = e.Make<ModelSession>(store, 0);
                       ModelSession& writer = e.Make<ModelSession>(store, 1);
                       ModelTidier& tidier = e.Make<ModelTidier>(store, kind);
                       const Timestamp at = reader.Begin();
                       writer.Add(kFirst, 1);
                       tidier.CutInNextCycle();
                       e.Spawn([&, at] {
                         for (int i = 0; i < 2; ++i) {
                           bool cut = false;
                           Header* found = reader.GetAt(kFirst, at, &cut);
                           if (cut) break;
                           ModelAssert(Value(reader, found) == 100,
                                       "a cut snapshot read another state");
                         }
                         reader.End();
                       });
                       e.Spawn([&] {
                         for (int i = 0; i < 2; ++i) tidier.RunCycle();
                       });
                     });
}

}  // namespace
}  // namespace flagstone::model
