// What: at the memory limit a transaction is rolled back with a clear error, everything else is
//       intact, deletes still work, and after them there is room again.
#include <chrono>
#include <optional>
#include <thread>
#include <vector>

#include "tests/weather/store_weather.h"

namespace flagstone::testkit {
namespace {

constexpr uint32_t kRecordBytes = 1000;

class MemoryLimitTest : public testing::Test {
 protected:
  MemoryLimitTest()
      : store_(*Store::OpenInMemory(Options())),
        session_(*store_.NewSession()),
        table_(*store_.CreateTable("records", {kRecordBytes, std::nullopt})) {}

  static StoreOptions Options() {
    StoreOptions options = TestStoreOptions();
    options.memory.limit_bytes = 24 << 20;
    return options;
  }
  std::vector<std::byte> Record(int value) {
    return std::vector<std::byte>(kRecordBytes, static_cast<std::byte>(value));
  }
  std::vector<RecordId> FillUp() {
    std::vector<RecordId> ids;
    for (;;) {
      Result<RecordId> id = session_.Insert(table_, Record(static_cast<int>(ids.size() % 100)));
      if (!id.ok()) {
        ExpectError(id.status(), StatusCode::kResourceExhausted, {"class 1024", "limit_bytes"});
        return ids;
      }
      ids.push_back(*id);
    }
  }
  void ExpectIntact(const std::vector<RecordId>& ids) {
    for (size_t i = 0; i < ids.size(); ++i) {
      const RecordGuard guard = session_.Get(table_, ids[i]);
      ASSERT_TRUE(guard) << i;
      ASSERT_EQ(guard.bytes()[kRecordBytes - 1], static_cast<std::byte>(i % 100)) << i;
    }
  }

  Store store_;
  Session session_;
  RecordTable table_;
};

TEST_F(MemoryLimitTest, ATransactionThatMeetsTheLimitIsRolledBackAndNothingElse) {
  std::vector<RecordId> ids = FillUp();
  ASSERT_GT(ids.size(), 10'000u);
  for (int i = 0; i < 100; ++i) {
    ASSERT_TRUE(*session_.Delete(table_, ids.back()));
    ids.pop_back();
  }
  Settle(store_);
  Transaction txn = *session_.Begin();
  ASSERT_TRUE(*txn.UpdateTo(table_, ids[0], Record(200)));
  std::vector<RecordId> made;
  Status refused;
  while (refused.ok()) {
    Result<RecordId> id = txn.Insert(table_, Record(201));
    refused = id.status();
    if (id.ok()) made.push_back(*id);
  }
  ExpectError(refused, StatusCode::kResourceExhausted, {"class 1024", "limit_bytes"});
  EXPECT_FALSE(txn.running());
  EXPECT_EQ(txn.Commit().code(), StatusCode::kResourceExhausted);
  for (const RecordId id : made) ASSERT_FALSE(session_.Get(table_, id));
  ExpectIntact(ids);
  EXPECT_TRUE(*session_.UpdateTo(table_, ids[0], Record(0)));
}

TEST_F(MemoryLimitTest, VersionsAtTheLimitFailUpdatesNeverDeletes) {
  const std::vector<RecordId> ids = FillUp();
  // A snapshot keeps every version, until the updates have used all there are.
  Session other = *store_.NewSession();
  Transaction snapshot = *other.Begin();
  Status refused;
  size_t updated = 0;
  for (; refused.ok(); ++updated) {
    refused = session_.UpdateTo(table_, ids[updated % 100], Record(static_cast<int>(updated % 100)))
                  .status();
    ASSERT_LT(updated, 100'000u);
  }
  ExpectError(refused, StatusCode::kResourceExhausted, {"limit_bytes"});
  // Half of them, with the snapshot still there: what deletes are promised is kept for them.
  for (int i = 0; i < 200; ++i) {
    const Result<bool> deleted = session_.Delete(table_, ids[1000 + i]);
    ASSERT_TRUE(deleted.ok() && *deleted) << i << ": " << deleted.status().ToString();
  }
  snapshot.Rollback();
  Settle(store_);
  EXPECT_TRUE(*session_.UpdateTo(table_, ids[0], Record(1)));
  for (int i = 0; i < 200; ++i) ASSERT_TRUE(session_.Insert(table_, Record(1)).ok()) << i;
}

TEST_F(MemoryLimitTest, ATableThatFindsNoMemoryLeavesNoTrace) {
  FillUp();
  for (int i = 0; i < 3; ++i) {
    ExpectError(store_.CreateTable("late", {3000, std::nullopt}).status(),
                StatusCode::kResourceExhausted, {"class 3072", "limit_bytes"});
    EXPECT_FALSE(store_.FindTable("late").has_value());
  }
  const StoreStatistics statistics = store_.Statistics();
  EXPECT_EQ(statistics.tables.size(), 1u);
  EXPECT_EQ(statistics.size_classes.size(), 1u);
  EXPECT_TRUE(store_.CreateTable("same class", {kRecordBytes, std::nullopt}).ok());
  EXPECT_EQ(store_.Statistics().tables.size(), 2u);
}

TEST_F(MemoryLimitTest, ABatchThatDoesNotFitInsertsNothing) {
  std::vector<RecordId> ids = FillUp();
  for (int i = 0; i < 50; ++i) {
    ASSERT_TRUE(*session_.Delete(table_, ids.back()));
    ids.pop_back();
  }
  Settle(store_);
  const uint64_t used = store_.Statistics().tables[0].slots_used;
  std::vector<RecordId> batch(3000);
  const std::vector<std::byte> records(3000 * size_t{kRecordBytes});
  for (int i = 0; i < 3; ++i) {
    ExpectError(session_.InsertMany(table_, records, batch), StatusCode::kResourceExhausted,
                {"limit_bytes"});
  }
  ExpectIntact(ids);
  // What the session holds ready may differ, and no more.
  EXPECT_NEAR(static_cast<double>(store_.Statistics().tables[0].slots_used),
              static_cast<double>(used), 128.0);
  EXPECT_TRUE(session_
                  .InsertMany(table_, std::span(records).first(20 * kRecordBytes),
                              std::span(batch).first(20))
                  .ok());
}

TEST_F(MemoryLimitTest, AWriteBatchThatMeetsTheLimitIsUndoneAndAppliedWhenThereIsRoom) {
  std::vector<RecordId> ids = FillUp();
  for (int i = 0; i < 100; ++i) {
    ASSERT_TRUE(*session_.Delete(table_, ids.back()));
    ids.pop_back();
  }
  Settle(store_);
  WriteBatch batch;
  for (int i = 0; i < 50; ++i) batch.UpdateTo(table_, ids[i], Record(200));
  for (int i = 0; i < 300; ++i) batch.Insert(table_, Record(201));
  ApplyResult result;
  for (int attempt = 0; attempt < 3; ++attempt) {
    ExpectError(session_.Apply(batch, result), StatusCode::kResourceExhausted,
                {"batch operation index ", " of 350 (insert into table 'records'): ", "class 1024",
                 "limit_bytes"});
    ASSERT_TRUE(result.failed_index().has_value());
    EXPECT_GT(*result.failed_index(), 50u);
    ExpectIntact(ids);
    Settle(store_);
  }
  for (int i = 0; i < 400; ++i) {
    ASSERT_TRUE(*session_.Delete(table_, ids.back()));
    ids.pop_back();
  }
  Settle(store_);
  const Status applied = session_.Apply(batch, result);
  ASSERT_TRUE(applied.ok()) << applied.ToString();
  EXPECT_EQ(session_.Get(table_, ids[0]).bytes()[0], std::byte{200});
  EXPECT_EQ(session_.Get(table_, result.operations().back().id).bytes()[0], std::byte{201});
}

// What: a reader that loses its processor in the middle of a call does not make a full store out of
//       one whose versions only wait for maintenance.
TEST_F(MemoryLimitTest, AReaderHeldUpInACallDoesNotMakeAnUpdateFail) {
  const RecordId id = *session_.Insert(table_, Record(0));
  Reader reader = *store_.NewReader();
  for (int round = 0; round < 3; ++round) {
    reader.core().participant().Pin();
    std::thread scheduler([&reader] {
      std::this_thread::sleep_for(std::chrono::milliseconds(30));
      reader.core().participant().Unpin();
    });
    // Twice as many versions as fit the limit.
    Status failed;
    for (int i = 0; i < 50'000 && failed.ok(); ++i) {
      failed = session_.UpdateTo(table_, id, Record(i % 100)).status();
    }
    scheduler.join();
    EXPECT_TRUE(failed.ok()) << failed.ToString();
  }
}

// What: what sessions hold is within the limit: the one that does not fit is refused, and names the
//       option; what ended sessions held is there for others.
TEST(MemoryLimitOfSessionsTest, TheSmallestStoreHoldsRecordsAndOneThatIsFullIsReadByNewThreads) {
  StoreOptions options = TestStoreOptions();
  options.memory.limit_bytes = (5 << 20) + options.memory.delete_reserve_bytes;
  Store store = *Store::OpenInMemory(options);
  const auto table = *store.CreateTableOf<int64_t>("table");
  Session session = *store.NewSession();
  const RecordId id = *session.Insert(table, int64_t{1});
  ASSERT_TRUE(*session.UpdateTo(table, id, int64_t{2}));
  while (session.Insert(table, int64_t{3}).ok()) {
  }
  std::thread other([&] {
    const Result<std::optional<int64_t>> value = store.GetCopy(table, id);
    ASSERT_TRUE(value.ok()) << value.status().ToString();
    EXPECT_EQ(*value, std::optional<int64_t>(2));
    Result<Session> deleting = store.NewSession();
    ASSERT_TRUE(deleting.ok()) << deleting.status().ToString();
    EXPECT_TRUE(*deleting->Delete(table, id));
  });
  other.join();
  --options.memory.limit_bytes;
  ExpectError(Store::OpenInMemory(options).status(), StatusCode::kInvalidArgument,
              {"limit_bytes", "5242880 more than delete_reserve_bytes"});
}

TEST(MemoryLimitOfSessionsTest, ASessionThatDoesNotFitIsRefused) {
  StoreOptions options = TestStoreOptions();
  options.memory.limit_bytes = 16 << 20;
  Store store = *Store::OpenInMemory(options);
  std::vector<Session> sessions;
  for (int i = 0; i < 200; ++i) {
    Result<Session> session = store.NewSession();
    if (!session.ok()) {
      ExpectError(session.status(), StatusCode::kResourceExhausted,
                  {"a session does not fit", "limit_bytes (16777216)"});
      break;
    }
    sessions.push_back(*std::move(session));
  }
  EXPECT_GT(sessions.size(), 90u);
  EXPECT_LT(sessions.size(), 130u);
  const uint64_t used = store.Statistics().memory.component_used_bytes[MemoryComponent::kOther];
  EXPECT_GE(used, sessions.size() * (128 << 10));
  EXPECT_EQ(used, store.Statistics().memory.used_bytes);
  sessions.pop_back();
  EXPECT_TRUE(store.NewSession().ok());
  sessions.clear();
  EXPECT_EQ(store.Statistics().memory.used_bytes, 0u);
}

// What: the list of a long transaction is charged while it runs; one that does not fit rolls it
// back.
TEST(MemoryLimitOfSessionsTest, TheListOfALongTransactionIsCounted) {
  StoreOptions options = TestStoreOptions();
  options.memory.limit_bytes = 24 << 20;
  Store store = *Store::OpenInMemory(options);
  const auto table = *store.CreateTableOf<int64_t>("numbers");
  Session session = *store.NewSession();
  const auto other = [&store] {
    return store.Statistics().memory.component_used_bytes[MemoryComponent::kOther];
  };
  const uint64_t before = other();
  {
    Transaction transaction = *session.Begin();
    for (int64_t i = 0; i < 1'000; ++i) ASSERT_TRUE(transaction.Insert(table, i).ok());
    EXPECT_EQ(other(), before);
    for (int64_t i = 0; i < 9'000; ++i) ASSERT_TRUE(transaction.Insert(table, i).ok());
    EXPECT_GE(other(), before + 10'000 * 64);
    ASSERT_TRUE(transaction.Commit().ok());
  }
  EXPECT_EQ(other(), before);
  Transaction transaction = *session.Begin();
  Status failed;
  for (int64_t i = 0; i < 1'000'000 && failed.ok(); ++i) {
    failed = transaction.Insert(table, i).status();
  }
  ExpectError(failed, StatusCode::kResourceExhausted,
              {"the list of a transaction of", "limit_bytes", "commit in parts"});
  EXPECT_FALSE(transaction.running());
  EXPECT_EQ(other(), before);
}

// What: a record that is changed again and again, in a store whose service calls no maintenance,
//       keeps the versions of one stretch of changes and not all of them.
TEST_F(MemoryLimitTest, OneHotRecordDoesNotFillTheStore) {
  StoreOptions options = TestStoreOptions();
  options.memory.limit_bytes = 1 << 30;
  Store store = *Store::OpenInMemory(options);
  const RecordTableOf<int64_t> table = *store.CreateTableOf<int64_t>("counters");
  Session session = *store.NewSession();
  const RecordId id = *session.Insert(table, int64_t{0});
  for (int i = 0; i < 500'000; ++i) {
    ASSERT_TRUE(*session.Update(table, id, [](int64_t& count) { ++count; }));
  }
  EXPECT_EQ(*session.Get(table, id), 500'000);
  EXPECT_LT(store.Statistics().memory.used_bytes, 16u << 20);
}

}  // namespace
}  // namespace flagstone::testkit
