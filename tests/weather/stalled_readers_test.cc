// What: readers that stall, snapshots that are forgotten and sessions that come and go never stop
//       writers and never hold more memory than promised. Row 18 of the scorecard.
#include <atomic>
#include <thread>
#include <vector>

#include "tests/support/aging_store.h"
#include "tests/support/scorecard.h"
#include "tests/support/test_scale.h"
#include "tests/weather/store_weather.h"

namespace flagstone::testkit {
namespace {

struct Row {
  uint64_t values[12];
};
Row RowOf(uint64_t value) {
  Row row;
  for (uint64_t& word : row.values) word = value;
  return row;
}
bool Whole(const Row& row) {
  for (const uint64_t word : row.values) {
    if (word != row.values[0]) return false;
  }
  return true;
}

ScorecardRow ReadersRow(uint64_t count) {
  ScorecardRow row;
  row.number = 18;
  row.name = "stalled readers, thread churn";
  row.unit = "readers and threads";
  row.count = count;
  row.seed = 1;
  return row;
}

// What: a held guard pins its version alone: a million updates beside it and of the record itself
//       stay within the memory budget.
TEST(StalledReadersTest, AGuardPinsOneVersionWhateverIsWritten) {
  StoreOptions options = TestStoreOptions();
  options.memory.limit_bytes = 16 << 20;
  Store store = *Store::OpenInMemory(options);
  Session writer = *store.NewSession();
  Reader reader = *store.NewReader();
  const auto table = *store.CreateTableOf<Row>("rows");
  std::vector<RecordId> ids;
  for (uint64_t i = 0; i < 100; ++i) ids.push_back(*writer.Insert(table, RowOf(i)));
  const TypedGuard<Row> guard = reader.Get(table, ids[0]);
  const uint64_t updates = tests::ScaledCount(1'000'000);
  for (uint64_t i = 0; i < updates; ++i) {
    const Result<bool> done = writer.UpdateTo(table, ids[i % 2 == 0 ? 0 : i % 100], RowOf(i));
    ASSERT_TRUE(done.ok() && *done) << i << ": " << done.status().ToString();
    if (i % 512 == 0) static_cast<void>(store.Maintain());
  }
  EXPECT_EQ(guard->values[0], 0u);
  EXPECT_TRUE(Whole(*guard));
  Settle(store);
  const StoreStatistics statistics = store.Statistics();
  EXPECT_LE(statistics.memory.used_bytes_peak, uint64_t{12} << 20);
  // The guarded payload is home's; the newest version waits beside it.
  EXPECT_LT(statistics.size_classes[0].version_slots_used, 300u);
  ReadersRow(1).Record();
}

TEST(StalledReadersTest, ASnapshotOverItsAgeFailsAtItsNextReadAndWritersGoOn) {
  AgingStore<Row> aging(RowOf(0));
  Transaction snapshot = *aging.reader.Begin();
  const TypedGuard<Row> guard = *snapshot.Get(aging.table, aging.id);
  uint64_t round = 0;
  for (; snapshot.running() && round < 60; ++round) {
    ASSERT_TRUE(*aging.writer.UpdateTo(aging.table, aging.id, RowOf(round + 1)));
    aging.Pass(1);
    Result<TypedGuard<Row>> seen = snapshot.Get(aging.table, aging.id);
    if (seen.ok()) {
      ASSERT_EQ((*seen)->values[0], 0u);
    } else {
      ExpectError(seen.status(), StatusCode::kSnapshotTooOld, {"snapshot at timestamp", "age_max"});
    }
  }
  EXPECT_GE(round, 10u);
  EXPECT_LE(round, 14u);
  EXPECT_EQ(snapshot.Commit().code(), StatusCode::kSnapshotTooOld);
  EXPECT_EQ(guard->values[0], 0u);  // a guard outlives its transaction
  EXPECT_EQ(aging.store.Statistics().maintenance.snapshots_cut, 1u);
  EXPECT_TRUE(aging.reader.Begin().ok());
  ReadersRow(1).Record();
}

TEST(StalledReadersTest, ASnapshotThatKeepsTooManyBytesIsGivenUpAndWritersGoOn) {
  StoreOptions options = TestStoreOptions();
  options.snapshots.version_bytes_max = 2 << 20;
  Store store = *Store::OpenInMemory(options);
  Session writer = *store.NewSession();
  Session old_session = *store.NewSession();
  Session young_session = *store.NewSession();
  const auto table = *store.CreateTableOf<Row>("rows");
  std::vector<RecordId> ids;
  for (uint64_t i = 0; i < 40'000; ++i) ids.push_back(*writer.Insert(table, RowOf(i)));
  Transaction old_one = *old_session.Begin();
  for (uint64_t i = 0; i < 40'000; ++i) {
    ASSERT_TRUE(*writer.UpdateTo(table, ids[i], RowOf(i + 1)));
    if (i % 1'000 == 0) static_cast<void>(store.Maintain());
  }
  Settle(store);
  ExpectError(old_one.Get(table, ids[0]).status(), StatusCode::kSnapshotTooOld,
              {"snapshot at timestamp", "begin again"});
  Transaction young = *young_session.Begin();
  EXPECT_EQ((*young.Get(table, ids[0]))->values[0], 1u);
  Settle(store);
  EXPECT_LT(store.Statistics().size_classes[0].version_slots_used * 128, uint64_t{2} << 20);
  ReadersRow(1).Record();
}

TEST(StalledReadersTest, AReaderThreadThatStallsOnAGuardStopsNobody) {
  StoreOptions options = TestStoreOptions();
  options.maintenance.mode = MaintenanceMode::kBackground;
  Store store = *Store::OpenInMemory(options);
  const auto table = *store.CreateTableOf<Row>("rows");
  Session writer = *store.NewSession();
  const RecordId id = *writer.Insert(table, RowOf(7));
  std::atomic<int> stage{0};
  std::thread stalled([&] {
    Reader reader = *store.NewReader();
    const TypedGuard<Row> guard = reader.Get(table, id);
    stage.store(1);
    while (stage.load() != 2) std::this_thread::yield();
    EXPECT_EQ(guard->values[0], 7u);
    EXPECT_TRUE(Whole(*guard));
  });
  while (stage.load() != 1) std::this_thread::yield();
  for (uint64_t i = 0; i < 20'000; ++i) ASSERT_TRUE(*writer.UpdateTo(table, id, RowOf(i)));
  ASSERT_TRUE(*writer.Delete(table, id));
  EXPECT_FALSE(writer.Get(table, id));
  stage.store(2);
  stalled.join();
  ReadersRow(1).Record();
}

TEST(StalledReadersTest, ThreadsThatComeAndGoLeaveNothingBehind) {
  StoreOptions options = TestStoreOptions();
  options.sessions_max = 16;
  options.maintenance.mode = MaintenanceMode::kBackground;
  Store store = *Store::OpenInMemory(options);
  const auto table = *store.CreateTableOf<Row>("rows");
  const uint64_t threads = tests::RowCount(10'000, 10'000'000);  // an hour
  std::atomic<uint64_t> done{0};
  for (uint64_t begun = 0; begun < threads;) {
    std::vector<std::thread> group;
    for (int i = 0; i < 8 && begun < threads; ++i, ++begun) {
      group.emplace_back([&store, &table, &done, begun] {
        Session session = *store.NewSession();
        const RecordId id = *session.Insert(table, RowOf(begun));
        if (!*session.UpdateTo(table, id, RowOf(begun + 1))) return;
        if (session.Get(table, id)->values[3] != begun + 1) return;
        if (*store.GetCopy(table, id) == std::nullopt) return;
        if (!*session.Delete(table, id)) return;
        done.fetch_add(1);
      });
    }
    for (std::thread& thread : group) thread.join();
  }
  EXPECT_EQ(done.load(), threads);
  EXPECT_GT(*store.CompactStorage() + 1, 0u);
  const StoreStatistics statistics = store.Statistics();
  EXPECT_EQ(statistics.tables[0].slots_used, 0u);
  EXPECT_EQ(statistics.maintenance.records_reclaimed, threads);
  EXPECT_LE(statistics.memory.used_bytes_peak, uint64_t{16} << 20);
  EXPECT_TRUE(store.Close().ok());
  ReadersRow(threads).Record();
}

// What: under readers, writers and maintenance on threads of their own no guard ever shows torn or
//       recycled bytes.
TEST(StalledReadersTest, NoGuardShowsTornOrRecycledBytes) {
  StoreOptions options = TestStoreOptions();
  options.maintenance.mode = MaintenanceMode::kBackground;
  options.maintenance.interval = std::chrono::microseconds(100);
  Store store = *Store::OpenInMemory(options);
  const auto table = *store.CreateTableOf<Row>("rows");
  std::vector<std::atomic<uint64_t>> ids(64);
  Session filler = *store.NewSession();
  for (uint64_t i = 0; i < ids.size(); ++i) ids[i] = filler.Insert(table, RowOf(i))->value();
  std::atomic<bool> stop{false};
  std::atomic<uint64_t> reads{0};
  std::vector<std::thread> readers;
  for (int r = 0; r < 2; ++r) {
    readers.emplace_back([&] {
      Reader reader = *store.NewReader();
      std::vector<std::pair<TypedGuard<Row>, uint64_t>> held;
      for (uint64_t i = 0; !stop.load(std::memory_order_relaxed); ++i) {
        const RecordId id(ids[i * 7 % ids.size()].load());
        TypedGuard<Row> guard = reader.Get(table, id);
        if (!guard) continue;
        ASSERT_TRUE(Whole(*guard));
        ASSERT_EQ(guard.id(), id);
        reads.fetch_add(1, std::memory_order_relaxed);
        const uint64_t value = guard->values[0];
        held.emplace_back(std::move(guard), value);
        if (held.size() < 32) continue;
        for (const auto& [old_guard, old_value] : held) {
          ASSERT_TRUE(Whole(*old_guard));
          ASSERT_EQ(old_guard->values[0], old_value);
        }
        held.clear();
      }
    });
  }
  std::vector<std::thread> writers;
  for (uint64_t w = 0; w < 2; ++w) {
    writers.emplace_back([&, w] {
      Session session = *store.NewSession();
      const uint64_t changes = tests::ScaledCount(60'000);
      for (uint64_t i = 0; i < changes; ++i) {
        std::atomic<uint64_t>& place = ids[(i * 5 + w) % ids.size()];
        const RecordId id(place.load());
        if (i % 16 == 0) {
          // Only who deleted it puts another one in its place.
          const Result<bool> deleted = session.Delete(table, id);
          if (deleted.ok() && *deleted) place = session.Insert(table, RowOf(i))->value();
        } else {
          static_cast<void>(session.UpdateTo(table, id, RowOf(i << 1 | w)));
        }
      }
    });
  }
  for (std::thread& writer : writers) writer.join();
  stop.store(true);
  for (std::thread& reader : readers) reader.join();
  EXPECT_GT(reads.load(), 0u);
  ReadersRow(4).Record();
}

}  // namespace
}  // namespace flagstone::testkit
