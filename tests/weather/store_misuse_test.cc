// What: sizes, layouts and handles that cannot work are refused with thing, number and way out, and
//       nothing is changed by them.
#include <chrono>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "lib/base/manual_clock.h"
#include "tests/weather/store_weather.h"

namespace flagstone::testkit {
namespace {

using ::testing::Test;

struct Pair {
  int64_t a;
  int64_t b;
};

class StoreMisuseTest : public Test {
 protected:
  StoreMisuseTest()
      : store_(*Store::OpenInMemory(TestStoreOptions())), session_(*store_.NewSession()) {}

  Store store_;
  Session session_;
};

TEST_F(StoreMisuseTest, RecordSizesOfZeroAndOverTheLimitAreRefused) {
  ExpectError(store_.CreateTable("none", {0, std::nullopt}).status(), StatusCode::kInvalidArgument,
              {"table 'none'", "record_bytes is 0", "1 to 2093032"});
  ExpectError(store_.CreateTable("huge", {2'093'033, std::nullopt}).status(),
              StatusCode::kInvalidArgument,
              {"table 'huge'", "record_bytes is 2093033", "1 to 2093032"});
  ExpectError(store_.CreateTable("small class", {100, 2}).status(), StatusCode::kInvalidArgument,
              {"table 'small class'", "size_class is 2", "100 bytes need"});
  EXPECT_FALSE(store_.FindTable("none").has_value());
  const RecordTable smallest = *store_.CreateTable("one byte", {1, std::nullopt});
  const RecordTable largest = *store_.CreateTable("all bytes", {2'093'032, std::nullopt});
  const std::vector<std::byte> bytes(2'093'032, std::byte{0x5a});
  const RecordId one = *session_.Insert(smallest, std::span(bytes).first(1));
  const RecordId all = *session_.Insert(largest, bytes);
  EXPECT_EQ(session_.Get(smallest, one).bytes()[0], std::byte{0x5a});
  EXPECT_EQ(session_.Get(largest, all).bytes()[2'093'031], std::byte{0x5a});
}

TEST_F(StoreMisuseTest, RecordsOfAnotherSizeThanTheTablesAreRefused) {
  const RecordTable table = *store_.CreateTable("pairs", {sizeof(Pair), std::nullopt});
  const std::vector<std::byte> bytes(64);
  const auto wrong = std::span(bytes).first(15);
  const RecordId id = *session_.Insert(table, std::span(bytes).first(16));
  const auto refused = {"table 'pairs'", "16 bytes", "15"};
  ExpectError(session_.Insert(table, wrong).status(), StatusCode::kInvalidArgument, refused);
  ExpectError(session_.UpdateTo(table, id, wrong).status(), StatusCode::kInvalidArgument, refused);
  ExpectError(session_.InsertWithId(table, id, wrong), StatusCode::kInvalidArgument, refused);
  std::vector<RecordId> ids(2);
  ExpectError(session_.InsertMany(table, wrong, ids), StatusCode::kInvalidArgument, refused);
  Transaction txn = *session_.Begin();
  ExpectError(txn.Insert(table, wrong).status(), StatusCode::kInvalidArgument, refused);
  ExpectError(txn.UpdateTo(table, id, wrong).status(), StatusCode::kInvalidArgument, refused);
  EXPECT_TRUE(txn.running());
  txn.Rollback();
  ExpectError(session_.InsertInClass(table, std::span(bytes).first(16), 0).status(),
              StatusCode::kInvalidArgument, {"table 'pairs'", "size class 0", "largest 31"});
  ExpectError(session_.InsertInClass(table, std::span(bytes).first(16), 32).status(),
              StatusCode::kInvalidArgument, {"size class 32"});
  ExpectError(store_.OpenTableOf<int64_t>("pairs").status(), StatusCode::kFailedPrecondition,
              {"table 'pairs'", "16 bytes", "not 8"});
  ExpectError(store_.OpenTableOf<int64_t>("nowhere").status(), StatusCode::kFailedPrecondition,
              {"table 'nowhere'", "create it"});
}

TEST_F(StoreMisuseTest, NamesAreCheckedAndUnique) {
  ASSERT_TRUE(store_.CreateTable("taken", {8, std::nullopt}).ok());
  ExpectError(store_.CreateTable("taken", {8, std::nullopt}).status(), StatusCode::kInvalidArgument,
              {"table 'taken'", "another name"});
  ExpectError(store_.CreateTable("", {8, std::nullopt}).status(), StatusCode::kInvalidArgument,
              {"0 bytes", "1 to 128"});
  ExpectError(store_.CreateTable("a\nb", {8, std::nullopt}).status(), StatusCode::kInvalidArgument,
              {"control characters"});
  ExpectError(store_.CreateTable(std::string(129, 'x'), {8, std::nullopt}).status(),
              StatusCode::kInvalidArgument, {"129 bytes"});
}

TEST_F(StoreMisuseTest, ALayoutWithNoTimeLeftIsRefusedAtOpen) {
  base::ManualClock clock(IdLayout::kDefaultEpochUnixSeconds + (int64_t{1} << 30) - 1000);
  StoreOptions options = TestStoreOptions();
  options.clock = &clock;
  const Status refused = Store::OpenInMemory(options).status();
  ExpectError(refused, StatusCode::kInvalidArgument, {"tick"});
}

TEST_F(StoreMisuseTest, WhenTheLastTickIsUsedInsertsAreRefusedAndAllElseWorks) {
  IdLayout layout;
  layout.tick_bits = 20;
  layout.slot_bits = 30;
  layout.node_bits = 8;
  layout.tick_seconds = 3600;
  layout.epoch_unix_seconds = 1'700'000'000;
  base::ManualClock clock(1'700'000'000);
  StoreOptions options = TestStoreOptions();
  options.clock = &clock;
  options.ids.layout = layout;
  options.ids.clock_jumps = ClockJumps::kFollowAll;
  Store store = *Store::OpenInMemory(options);
  Session session = *store.NewSession();
  const auto table = *store.CreateTableOf<int64_t>("table");
  const RecordId id = *session.Insert(table, int64_t{1});
  // An ID of the last tick but one brings the store to the last; of that none can be given, because
  // the store could not but issue it too.
  const IdCodec codec(layout);
  const auto give = [&](uint32_t tick) {
    const RecordId given = codec.Encode({tick, codec.size_class(id), 0, uint32_t{3} << 16});
    return session.InsertWithId(table, given, int64_t{2});
  };
  ExpectError(give(codec.tick_max()), StatusCode::kResourceExhausted, {"tick", "the last"});
  ASSERT_TRUE(give(codec.tick_max() - 1).ok());
  Session last = *store.NewSession();
  const RecordId id_of_last_tick = *last.Insert(table, int64_t{2});
  EXPECT_EQ(codec.tick(id_of_last_tick), codec.tick_max());
  EXPECT_TRUE(*session.Delete(table, id_of_last_tick));
  Settle(store);
  uint64_t retired = 0;
  for (const TableStatistics& statistics : store.Statistics().tables) {
    retired += statistics.slots_retired;
  }
  EXPECT_EQ(retired, 1u);
  EXPECT_TRUE(*session.UpdateTo(table, id, int64_t{3}));
  EXPECT_TRUE(*session.Delete(table, id));
}

TEST_F(StoreMisuseTest, ExhaustedSlotSpaceNamesTheClassAndRoomComesBack) {
  IdLayout layout;
  layout.tick_bits = 30;
  layout.node_bits = 12;
  layout.slot_bits = 16;
  StoreOptions options = TestStoreOptions();
  options.ids.layout = layout;
  options.memory.limit_bytes = 256 << 20;
  Store store = *Store::OpenInMemory(options);
  Session session = *store.NewSession();
  const RecordTable table = *store.CreateTable("full", {1000, std::nullopt});
  const std::vector<std::byte> record(1000);
  std::vector<RecordId> ids;
  Status refused;
  while (refused.ok()) {
    Result<RecordId> id = session.Insert(table, record);
    if (id.ok()) {
      ids.push_back(*id);
    } else {
      refused = id.status();
    }
    ASSERT_LT(ids.size(), 1'000'000u);
  }
  ExpectError(refused, StatusCode::kResourceExhausted, {"extents", "slot bits"});
  for (const RecordId id : ids) ASSERT_TRUE(session.Get(table, id));
  ASSERT_TRUE(*session.Delete(table, ids[5]));
  EXPECT_TRUE(session.Insert(table, record).ok());
}

TEST_F(StoreMisuseTest, AClosedStoreRefusesWhatFollows) {
  Store store = *Store::OpenInMemory(TestStoreOptions());
  const RecordTableOf<Pair> table = *store.CreateTableOf<Pair>("pairs");
  ASSERT_TRUE(store.Close().ok());
  const auto refused = {"closed"};
  ExpectError(store.NewSession().status(), StatusCode::kFailedPrecondition, refused);
  ExpectError(store.NewReader().status(), StatusCode::kFailedPrecondition, refused);
  ExpectError(store.CreateTable("more", {8, std::nullopt}).status(),
              StatusCode::kFailedPrecondition, refused);
  ExpectError(store.GetCopy(table, RecordId(1)).status(), StatusCode::kFailedPrecondition, refused);
  ExpectError(store.CompactStorage().status(), StatusCode::kFailedPrecondition, refused);
  ExpectError(store.ReserveRecords(table, 1), StatusCode::kFailedPrecondition, refused);
  EXPECT_FALSE(store.Maintain());
  EXPECT_TRUE(store.Close().ok());
}

TEST_F(StoreMisuseTest, AnUpdaterCannotUseItsOwnTransaction) {
  const RecordTableOf<Pair> table = *store_.CreateTableOf<Pair>("pairs");
  const RecordId id = *session_.Insert(table, Pair{1, 2});
  const RecordId other = *session_.Insert(table, Pair{3, 4});
  Transaction txn = *session_.Begin();
  ASSERT_TRUE(*txn.Update(table, id, [&](Pair& pair) {
    const auto refused = {"updater", "Update() has returned"};
    ExpectError(txn.Commit().status(), StatusCode::kFailedPrecondition, refused);
    ExpectError(txn.Get(table, other).status(), StatusCode::kFailedPrecondition, refused);
    ExpectError(txn.Update(table, other, [](Pair&) {}).status(), StatusCode::kFailedPrecondition,
                refused);
    txn.Rollback();
    pair.a = 100;
  }));
  EXPECT_TRUE(txn.running());
  EXPECT_EQ((*txn.Get(table, other))->a, 3);
  ASSERT_TRUE(txn.Commit().ok());
  EXPECT_EQ(session_.Get(table, id)->a, 100);
  EXPECT_EQ(session_.Get(table, other)->b, 4);
}

TEST_F(StoreMisuseTest, TimesAndLevelsThatAreNoneAreRefused) {
  const RecordTableOf<Pair> table = *store_.CreateTableOf<Pair>("pairs");
  const RecordId id = *session_.Insert(table, Pair{1, 2});
  ExpectError(session_.Delete(table, id, {.lock_wait = std::chrono::nanoseconds(-1)}).status(),
              StatusCode::kInvalidArgument, {"lock_wait", "-1"});
  TransactionOptions options;
  options.isolation = static_cast<flagstone::IsolationLevel>(17);
  ExpectError(session_.Begin(options).status(), StatusCode::kInvalidArgument, {"17"});
  StoreOptions forever = TestStoreOptions();
  forever.snapshots.history_retention = std::chrono::milliseconds::max();
  ExpectError(Store::OpenInMemory(forever).status(), StatusCode::kInvalidArgument,
              {"history_retention", "ten years"});
}

// The object of an ended transaction may live on while its session runs the next one.
TEST_F(StoreMisuseTest, AnEndedTransactionHasNoPartInTheNextOneOfItsSession) {
  const RecordTableOf<Pair> table = *store_.CreateTableOf<Pair>("pairs");
  const RecordId id = *session_.Insert(table, Pair{1, 2});
  std::optional<Transaction> next;
  {
    Transaction ended = *session_.Begin();
    ASSERT_TRUE(ended.Commit().ok());
    next.emplace(*session_.Begin());
    ASSERT_TRUE(*next->Update(table, id, [](Pair& pair) { pair.a = 7; }));
    const auto refused = {"has ended", "begun another"};
    ExpectError(ended.Get(table, id).status(), StatusCode::kFailedPrecondition, refused);
    ExpectError(ended.Insert(table, Pair{}).status(), StatusCode::kFailedPrecondition, refused);
    ExpectError(ended.Update(table, id, [](Pair&) {}).status(), StatusCode::kFailedPrecondition,
                refused);
    ExpectError(ended.Delete(table, id).status(), StatusCode::kFailedPrecondition, refused);
    ExpectError(ended.SetIsolationLevel(flagstone::IsolationLevel::kSnapshot),
                StatusCode::kFailedPrecondition, refused);
    ExpectError(ended.Commit().status(), StatusCode::kFailedPrecondition, refused);
    EXPECT_FALSE(ended.running());
    ended.Rollback();
    EXPECT_TRUE(next->running());
  }
  EXPECT_TRUE(next->running()) << "rolled back by the destructor of another transaction";
  EXPECT_EQ((*next->Get(table, id))->a, 7);
  ASSERT_TRUE(next->Commit().ok());
  EXPECT_EQ(session_.Get(table, id)->a, 7);
  Transaction moved = std::move(*next);
  ExpectError(next->Get(table, id).status(), StatusCode::kFailedPrecondition, {"moved from"});
}

TEST_F(StoreMisuseTest, AnUpdaterThatThrowsInATransactionRollsItBack) {
  const auto table = *store_.CreateTableOf<Pair>("pairs");
  const RecordId a = *session_.Insert(table, Pair{1, 1});
  const RecordId b = *session_.Insert(table, Pair{2, 2});
  {
    Transaction txn = *session_.Begin();
    ASSERT_TRUE(*txn.UpdateTo(table, a, Pair{9, 9}));
    const RecordId made = *txn.Insert(table, Pair{3, 3});
    EXPECT_THROW(static_cast<void>(txn.Update(table, b,
                                              [](Pair& pair) {
                                                pair.a = 7;
                                                throw std::runtime_error("no");
                                              })),
                 std::runtime_error);
    EXPECT_FALSE(txn.running());
    ExpectError(txn.Commit().status(), StatusCode::kFailedPrecondition, {"threw", "begin another"});
    EXPECT_FALSE(session_.Get(table, made));
  }
  EXPECT_EQ(session_.Get(table, a)->a, 1);
  EXPECT_EQ(session_.Get(table, b)->a, 2);
  EXPECT_TRUE(*session_.UpdateTo(table, a, Pair{4, 4}));
  EXPECT_TRUE(*session_.UpdateTo(table, b, Pair{4, 4}));
}

TEST_F(StoreMisuseTest, LimitsOfSessionsGuardsAndWritesNameTheOptionToRaise) {
  StoreOptions options = TestStoreOptions();
  options.sessions_max = 2;
  options.guards_per_session = 3;
  options.transaction_writes_max = 5;
  Store store = *Store::OpenInMemory(options);
  Session session = *store.NewSession();
  Session second = *store.NewSession();
  ExpectError(store.NewReader().status(), StatusCode::kResourceExhausted,
              {"all 2 sessions", "sessions_max"});
  const auto table = *store.CreateTableOf<int64_t>("table");
  const RecordId id = *session.Insert(table, int64_t{1});
  std::vector<TypedGuard<int64_t>> guards;
  for (int i = 0; i < 3; ++i) guards.push_back(session.Get(table, id));
  const TypedGuard<int64_t> one_more = session.Get(table, id);
  EXPECT_FALSE(one_more);
  ExpectError(one_more.status(), StatusCode::kResourceExhausted, {"guards_per_session"});
  guards.clear();
  EXPECT_TRUE(session.Get(table, id));
  Transaction txn = *session.Begin();
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(txn.Insert(table, int64_t{i}).ok());
  ExpectError(txn.Insert(table, int64_t{5}).status(), StatusCode::kResourceExhausted,
              {"6 writes", "at most 5", "transaction_writes_max"});
  EXPECT_FALSE(txn.running());
  const std::vector<int64_t> six(6);
  std::vector<RecordId> ids(6);
  ExpectError(session.InsertMany(table, std::span(six), ids), StatusCode::kResourceExhausted,
              {"6 writes", "at most 5", "transaction_writes_max"});
  EXPECT_TRUE(session.InsertMany(table, std::span(six).first(5), std::span(ids).first(5)).ok());
  TransactionOptions negative;
  negative.lock_wait = std::chrono::nanoseconds(-1);
  ExpectError(session.Begin(negative).status(), StatusCode::kInvalidArgument, {"lock_wait", "-1"});
  Transaction first = *session.Begin();
  ExpectError(session.Begin().status(), StatusCode::kFailedPrecondition,
              {"running transaction", "another session"});
  ASSERT_TRUE(*first.UpdateTo(table, id, int64_t{8}));
  const Result<bool> waited =
      second.UpdateTo(table, id, int64_t{9}, {.lock_wait = std::chrono::microseconds(200)});
  ExpectError(waited.status(), StatusCode::kDeadlineExceeded, {"table 'table'", "200 us", "retry"});
}

TEST_F(StoreMisuseTest, ATransactionThatHasNoPartAnyMoreSaysNothingOfTheNext) {
  Transaction first = *session_.Begin({.isolation = flagstone::IsolationLevel::kReadCommitted});
  ASSERT_TRUE(first.Commit().ok());
  EXPECT_EQ(first.isolation_level(), flagstone::IsolationLevel::kReadCommitted);
  const auto table = *store_.CreateTableOf<int64_t>("table");
  ASSERT_TRUE(session_.Insert(table, int64_t{1}).ok());
  Transaction second = *session_.Begin({.isolation = flagstone::IsolationLevel::kReadCommitted});
  EXPECT_EQ(first.snapshot_timestamp(), 0u);
  EXPECT_EQ(first.isolation_level(), flagstone::IsolationLevel::kSnapshot);
  EXPECT_EQ(second.snapshot_timestamp(), 1u);
  const Transaction moved = std::move(second);
  EXPECT_EQ(second.snapshot_timestamp(), 0u);  // NOLINT(bugprone-use-after-move)
  EXPECT_FALSE(second.running());
  EXPECT_EQ(moved.isolation_level(), flagstone::IsolationLevel::kReadCommitted);
}

TEST_F(StoreMisuseTest, TheLongestWaitIsForEver) {
  const auto table = *store_.CreateTableOf<int64_t>("table");
  const RecordId id = *session_.Insert(table, int64_t{1});
  Session holder = *store_.NewSession();
  Transaction holding = *holder.Begin();
  ASSERT_TRUE(*holding.UpdateTo(table, id, int64_t{2}));
  std::thread release([&holding] {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    EXPECT_TRUE(holding.Commit().ok());
  });
  const Result<bool> updated =
      session_.UpdateTo(table, id, int64_t{3}, {.lock_wait = std::chrono::nanoseconds::max()});
  release.join();
  ASSERT_TRUE(updated.ok()) << updated.status().ToString();
  EXPECT_EQ(*session_.Get(table, id), 3);
}

TEST_F(StoreMisuseTest, ExplainNeedsASessionAndSaysSo) {
  StoreOptions options = TestStoreOptions();
  options.sessions_max = 1;
  Store store = *Store::OpenInMemory(options);
  const auto table = *store.CreateTableOf<int64_t>("table");
  RecordId id;
  {
    Session only = *store.NewSession();
    id = *only.Insert(table, int64_t{1});
    ExpectError(store.Explain(table.untyped(), id).status(), StatusCode::kResourceExhausted,
                {"all 1 sessions", "sessions_max"});
  }
  EXPECT_EQ(*store.Explain(table.untyped(), id), std::nullopt);
}

TEST_F(StoreMisuseTest, OptionsThatAreNoneAreRefusedAndTheLargestMemoryLimitIsNot) {
  StoreOptions options = TestStoreOptions();
  options.maintenance.mode = static_cast<MaintenanceMode>(9);
  ExpectError(Store::OpenInMemory(options).status(), StatusCode::kInvalidArgument,
              {"maintenance.mode is 9", "MaintenanceMode"});
  options = TestStoreOptions();
  options.memory.limit_bytes = ~uint64_t{0};
  Result<Store> store = Store::OpenInMemory(options);
  if (store.ok()) {
    const Result<RecordTable> table = store->CreateTable("table", {8, std::nullopt});
    EXPECT_TRUE(table.ok()) << table.status().ToString();
  } else {
    EXPECT_NE(store.status().message().find("limit_bytes"), std::string::npos);
  }
}

TEST_F(StoreMisuseTest, NamesAndNumbersThatAreNoneInOptionsAreRefused) {
  StoreOptions options = TestStoreOptions();
  options.ids.clock_jumps = static_cast<ClockJumps>(9);
  ExpectError(Store::OpenInMemory(options).status(), StatusCode::kInvalidArgument,
              {"clock_jumps is 9"});
  options = TestStoreOptions();
  options.maintenance.thread_name = std::string("a\0b", 3);
  ExpectError(Store::OpenInMemory(options).status(), StatusCode::kInvalidArgument,
              {"thread_name", "none of them NUL"});
}

TEST_F(StoreMisuseTest, TableNamesThatAreNoTextAreRefused) {
  for (const auto& [name, why] : {std::pair(std::string(), "is empty"),
                                  std::pair(std::string(129, 'n'), "of 129 bytes is too long"),
                                  std::pair(std::string("a\nb"), "control character at byte 1"),
                                  std::pair(std::string("caf\xe9"), "is not UTF-8"),
                                  std::pair(std::string("\xed\xa0\x80"), "is not UTF-8")}) {
    ExpectError(store_.CreateTable(name, {8, std::nullopt}).status(), StatusCode::kInvalidArgument,
                {"table name", why, "1 to 128 bytes of UTF-8"});
  }
  EXPECT_TRUE(store_.CreateTable("caf\xc3\xa9", {8, std::nullopt}).ok());
}

TEST_F(StoreMisuseTest, AHandleOfAnotherStoresTableIsRefusedAndItsRecordsStay) {
  Store other = *Store::OpenInMemory(TestStoreOptions());
  Session other_session = *other.NewSession();
  const auto own = *store_.CreateTableOf<int64_t>("own");
  const auto foreign = *other.CreateTableOf<int64_t>("foreign");
  const RecordId id = *session_.Insert(own, int64_t{1});
  const RecordId foreign_id = *other_session.Insert(foreign, int64_t{2});
  const auto is_refused = [](const Status& status) {
    ExpectError(status, StatusCode::kInvalidArgument, {"'foreign'", "another store", "OpenTable"});
  };
  const auto change = [](int64_t& value) { value = 3; };
  std::vector<RecordId> ids(2);
  const std::vector<int64_t> two = {3, 3};
  is_refused(session_.Insert(foreign, int64_t{3}).status());
  is_refused(session_.InsertWithId(foreign, id, int64_t{3}));
  is_refused(session_.InsertMany(foreign, std::span(two), std::span(ids)));
  is_refused(session_.Update(foreign, foreign_id, change).status());
  is_refused(session_.UpdateTo(foreign, foreign_id, int64_t{3}).status());
  is_refused(session_.Delete(foreign, foreign_id).status());
  is_refused(session_.Undelete(foreign, foreign_id).status());
  Transaction txn = *session_.Begin();
  ASSERT_TRUE(*txn.UpdateTo(own, id, int64_t{4}));
  is_refused(txn.Insert(foreign, int64_t{3}).status());
  is_refused(txn.InsertWithId(foreign.untyped(), id, std::as_bytes(std::span(two).first(1))));
  is_refused(txn.Update(foreign, id, change).status());
  is_refused(txn.Delete(foreign, id).status());
  is_refused(txn.Undelete(foreign, foreign_id).status());
  EXPECT_TRUE(txn.running());
  ASSERT_TRUE(txn.Commit().ok());
  EXPECT_EQ(*session_.Get(own, id), 4);
  EXPECT_EQ(*other_session.Get(foreign, foreign_id), 2);
}

using StoreLifeDeathTest = StoreMisuseTest;

TEST_F(StoreLifeDeathTest, ASessionThatEndsUnderItsTransactionOrAGuardStopsAtTheCulprit) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  const auto table = *store_.CreateTableOf<int64_t>("table");
  const RecordId id = *session_.Insert(table, int64_t{1});
  EXPECT_DEATH(
      {
        Transaction txn = *session_.Begin();
        session_ = *store_.NewSession();
      },
      "ended while its transaction runs: commit it or roll it back");
  EXPECT_DEATH(
      {
        const TypedGuard<int64_t> guard = session_.Get(table, id);
        session_ = *store_.NewSession();
      },
      "ended while guards of it are alive: release them");
}

#ifndef NDEBUG
TEST_F(StoreLifeDeathTest, ReadsThroughForeignHandlesAndMovedSessionsStopDebugBuilds) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  Store other = *Store::OpenInMemory(TestStoreOptions());
  const auto foreign = *other.CreateTableOf<int64_t>("foreign");
  const RecordId id = *(*other.NewSession()).Insert(foreign, int64_t{1});
  EXPECT_DEATH(static_cast<void>(session_.Get(foreign, id)), "another store's table");
  EXPECT_DEATH(
      {
        Transaction txn = *session_.Begin();
        static_cast<void>(txn.Get(foreign, id));
      },
      "another store's table");
  EXPECT_DEATH(
      {
        Session moved = std::move(session_);
        static_cast<void>(session_.Get(foreign, id));
      },
      "used after it was moved from");
}
#endif

TEST_F(StoreLifeDeathTest, AGuardThatOutlivesItsStoreStopsDebugBuildsAtTheCulprit) {
  const auto leave_early = [] {
    std::optional<Store> store(*Store::OpenInMemory(TestStoreOptions()));
    Session session = *store->NewSession();
    const auto table = *store->CreateTableOf<int64_t>("table");
    const RecordId id = *session.Insert(table, int64_t{42});
    const TypedGuard<int64_t> guard = session.Get(table, id);
    ExpectError(store->Close(), StatusCode::kFailedPrecondition,
                {"1 sessions", "1 guards", "end them first"});
    store.reset();
    return *guard;  // release builds keep the memory
  };
#ifdef NDEBUG
  EXPECT_EQ(leave_early(), 42);
#else
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_DEATH(static_cast<void>(leave_early()), "sessions or guards of it are alive");
#endif
}

}  // namespace
}  // namespace flagstone::testkit
