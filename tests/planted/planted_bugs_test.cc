// What: every bug planted in the store is caught by the workload that watches its rule, and the
// same
//       workload is silent without it. Row 20 of the scorecard.
// How:  this program is linked with the store's sources compiled with FLAGSTONE_WITH_PLANTED_BUGS.
#include <gtest/gtest.h>

#include <cstdio>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "lib/base/manual_clock.h"
#include "lib/base/planted_bug.h"
#include "tests/support/append_workload.h"
#include "tests/support/scorecard.h"
#include "tests/support/store_subjects.h"
#include "tests/support/store_workloads.h"

namespace flagstone::testkit {
namespace {

using base::PlantedBug;

// --- workloads: "" or what was wrong
// --------------------------------------------------------------

std::string Schedules() { return RunStoreSchedules(IsolationLevel::kSnapshot).failure; }

std::string PinnedHistories() {
  for (uint64_t seed = 1; seed <= 60; ++seed) {
    PinnedHistoryOptions options;
    options.seed = seed;
    options.commits_per_scan = 20;
    if (const std::string failure = RunPinnedHistory(options).failure; !failure.empty()) {
      return failure;
    }
  }
  return "";
}

std::string LongPinnedHistories() {
  for (uint64_t seed = 1; seed <= 10; ++seed) {
    PinnedHistoryOptions options;
    options.seed = seed;
    options.lengths = RecordLengths::kAll;
    if (const std::string failure = RunPinnedHistory(options).failure; !failure.empty()) {
      return failure;
    }
  }
  return "";
}

std::string AppendHistories() {
  for (uint64_t seed = 1; seed <= 3; ++seed) {
    AppendHistoryOptions options;
    options.seed = seed;
    if (const std::string failure = RunStoreAppendHistory(options).failure; !failure.empty()) {
      return failure;
    }
  }
  return "";
}

std::string Transfers() { return RunTransferWatch(5'000).failure; }

void Settle(Store& store) {
  for (int idle = 0; idle < 3;) idle = store.Maintain() ? 0 : idle + 1;
}

// A reader that stands in the middle of a call keeps what it may look at.
std::string PinnedReader() {
  Store store = *Store::OpenInMemory(TestStoreOptions());
  Session session = *store.NewSession();
  Reader reader = *store.NewReader();
  const auto table = *store.CreateTableOf<int64_t>("table");
  const RecordId id = *session.Insert(table, int64_t{1});
  Settle(store);
  static_cast<void>(session.UpdateTo(table, id, int64_t{2}));
  reader.core().participant().Pin();
  for (int i = 0; i < 4; ++i) static_cast<void>(store.Maintain());
  const uint64_t done = store.Statistics().maintenance.homecomings;
  reader.core().participant().Unpin();
  Settle(store);
  if (store.Statistics().maintenance.homecomings == 0) return "nothing came home at all";
  return done == 0 ? "" : "a payload was overwritten under a pinned reader";
}

// A guard on a version that is not at home keeps the version's slot from being used again.
std::string GuardOnAVersion() {
  Store store = *Store::OpenInMemory(TestStoreOptions());
  Session session = *store.NewSession();
  const auto table = *store.CreateTableOf<int64_t>("table");
  const RecordId id = *session.Insert(table, int64_t{1});
  static_cast<void>(session.UpdateTo(table, id, int64_t{2}));
  const TypedGuard<int64_t> guard = session.Get(table, id);
  for (int64_t i = 0; i < 1'000; ++i) {
    static_cast<void>(session.UpdateTo(table, id, i + 3));
    if (i % 10 == 0) Settle(store);
    if (*guard != 2) return "a guarded version was overwritten after " + std::to_string(i);
  }
  return "";
}

// IDs are never issued twice, by slots that are freed one by one or with their extent.
std::string IdsWithinOneTick() {
  base::ManualClock clock(1'800'000'000);
  StoreOptions options = TestStoreOptions();
  options.clock = &clock;
  Store store = *Store::OpenInMemory(options);
  Session session = *store.NewSession();
  const auto table = *store.CreateTableOf<int64_t>("table");
  std::map<uint64_t, int> seen;
  for (int round = 0; round < 4; ++round) {
    std::vector<RecordId> ids;
    for (int i = 0; i < 1'000; ++i) {
      ids.push_back(*session.Insert(table, int64_t{i}));
      if (++seen[ids.back().value()] > 1) return ids.back().ToString() + " was issued twice";
    }
    for (const RecordId id : ids) static_cast<void>(session.Delete(table, id));
    Settle(store);
  }
  return "";
}
std::string IdsOfReturnedExtents() {
  base::ManualClock clock(1'800'000'000);
  StoreOptions options = TestStoreOptions();
  options.clock = &clock;
  Store store = *Store::OpenInMemory(options);
  const auto table = *store.CreateTableOf<int64_t>("table");
  std::map<uint64_t, int> seen;
  for (int round = 0; round < 3; ++round) {
    Session session = *store.NewSession();
    std::vector<RecordId> ids;
    for (int i = 0; i < 10'000; ++i) {
      ids.push_back(*session.Insert(table, int64_t{i}));
      if (++seen[ids.back().value()] > 1) return ids.back().ToString() + " was issued twice";
    }
    for (const RecordId id : ids) static_cast<void>(session.Delete(table, id));
    Settle(store);
    { Session ended = std::move(session); }
    static_cast<void>(store.CompactStorage());
  }
  return "";
}

// At the memory limit there is always a version slot for a delete.
std::string DeletesOfAFullStore() {
  StoreOptions options = TestStoreOptions();
  options.memory.limit_bytes = 16 << 20;
  Store store = *Store::OpenInMemory(options);
  Session session = *store.NewSession();
  Session other = *store.NewSession();
  const RecordTable table = *store.CreateTable("table", {1000, std::nullopt});
  const std::vector<std::byte> record(1000);
  std::vector<RecordId> ids;
  for (;;) {
    Result<RecordId> id = session.Insert(table, record);
    if (!id.ok()) break;
    ids.push_back(*id);
  }
  Transaction snapshot = *other.Begin();
  // Until several refusals: a session may hold a few slots more.
  for (size_t i = 0; session.UpdateTo(table, ids[i % 64], record).ok(); ++i) {
  }
  for (int i = 0; i < 100; ++i) {
    const Result<bool> deleted = session.Delete(table, ids[100 + i]);
    if (!deleted.ok()) return "delete " + std::to_string(i) + ": " + deleted.status().ToString();
  }
  return "";
}

// A snapshot over its age is told so at its next read.
std::string CutSnapshots() {
  base::ManualClock clock(1'800'000'000);
  StoreOptions options = TestStoreOptions();
  options.clock = &clock;
  options.snapshots.age_max = std::chrono::seconds(10);
  Store store = *Store::OpenInMemory(options);
  Session session = *store.NewSession();
  Session other = *store.NewSession();
  const auto table = *store.CreateTableOf<int64_t>("table");
  const RecordId id = *session.Insert(table, int64_t{0});
  Transaction snapshot = *other.Begin();
  for (int64_t i = 1; i <= 30; ++i) {
    static_cast<void>(session.UpdateTo(table, id, i));
    static_cast<void>(store.Maintain());
    clock.AdvanceSeconds(1);
    Result<TypedGuard<int64_t>> seen = snapshot.Get(table, id);
    if (!seen.ok()) return seen.code() == StatusCode::kSnapshotTooOld ? "" : "another error";
    if (!*seen || **seen != 0) return "a snapshot that was given up reads on and sees later states";
  }
  return "a snapshot thirty seconds old reads on";
}

struct Plant {
  PlantedBug bug;
  uint32_t row;  // of the scorecard, whose proof it is besides row 20; 0: none
  const char* name;
  std::function<std::string()> watch;
};
const std::vector<Plant>& Plants() {
  static const std::vector<Plant> plants = {
      {PlantedBug::kNoSnapshotCheck, 6, "no snapshot check", Schedules},
      {PlantedBug::kOldestSnapshotForgotten, 8, "oldest snapshot forgotten", PinnedHistories},
      {PlantedBug::kHomecomingIgnoresGuards, 8, "homecoming ignores guards", PinnedHistories},
      {PlantedBug::kGuardedVersionFreed, 8, "guarded version freed", GuardOnAVersion},
      {PlantedBug::kPinsIgnored, 8, "pins ignored", PinnedReader},
      {PlantedBug::kNoCopyAside, 8, "no copy aside", PinnedHistories},
      {PlantedBug::kHorizonTooEarly, 6, "horizon too early", Transfers},
      {PlantedBug::kRollbackKeepsLock, 6, "rollback keeps lock", PinnedHistories},
      {PlantedBug::kRollbackLeavesInsert, 6, "rollback leaves insert", PinnedHistories},
      {PlantedBug::kSlotReusedWithinItsTick, 0, "slot reused within its tick", IdsWithinOneTick},
      {PlantedBug::kReturnedExtentForgetsTick, 0, "returned extent forgets its tick",
       IdsOfReturnedExtents},
      {PlantedBug::kNoDeleteReserve, 0, "no delete reserve", DeletesOfAFullStore},
      {PlantedBug::kCutSnapshotReadsOn, 8, "cut snapshot reads on", CutSnapshots},
      {PlantedBug::kTombstoneReclaimedEarly, 8, "tombstone reclaimed early", PinnedHistories},
      {PlantedBug::kInsideOfRunIsRead, 0, "inside of a long record is read", LongPinnedHistories},
  };
  return plants;
}

TEST(PlantedBugsTest, EveryPlantedBugIsCaughtByItsWorkload) {
  ScorecardRow row;
  row.number = 20;
  row.name = "planted bugs";
  row.unit = "bugs";
  row.seed = 1;
  // Their counts are those of tests/isolation, which runs the same workloads without the bugs.
  ScorecardRow isolation;
  isolation.number = 6;
  isolation.name = "isolation on records";
  isolation.unit = "transactions";
  isolation.seed = 1;
  ScorecardRow reclamation;
  reclamation.number = 8;
  reclamation.name = "snapshots against reclamation";
  reclamation.unit = "runs";
  reclamation.seed = 1;
  for (const Plant& plant : Plants()) {
    SCOPED_TRACE(plant.name);
    base::planted_bug.store(plant.bug);
    const std::string found = plant.watch();
    base::planted_bug.store(PlantedBug::kNone);
    ++row.count;
    ScorecardRow& watched = plant.row == 6 ? isolation : reclamation;
    if (found.empty()) {
      row.Missed(plant.name);
      if (plant.row != 0) watched.Missed(plant.name);
    } else {
      row.Caught(plant.name);
      if (plant.row != 0) watched.Caught(plant.name);
      std::printf("%s: %.120s\n", plant.name, found.c_str());
    }
    EXPECT_NE(found, "");
  }
  EXPECT_EQ(row.count + 1, static_cast<uint64_t>(PlantedBug::kCount));
  row.Record();
  isolation.Record();
  reclamation.Record();
}

TEST(PlantedBugsTest, TheWorkloadsAreSilentWithoutThem) {
  EXPECT_EQ(Schedules(), "");
  EXPECT_EQ(PinnedHistories(), "");
  EXPECT_EQ(LongPinnedHistories(), "");
  EXPECT_EQ(AppendHistories(), "");
  EXPECT_EQ(Transfers(), "");
  EXPECT_EQ(PinnedReader(), "");
  EXPECT_EQ(GuardOnAVersion(), "");
  EXPECT_EQ(IdsWithinOneTick(), "");
  EXPECT_EQ(IdsOfReturnedExtents(), "");
  EXPECT_EQ(DeletesOfAFullStore(), "");
  EXPECT_EQ(CutSnapshots(), "");
}

}  // namespace
}  // namespace flagstone::testkit
