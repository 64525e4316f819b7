// What: the public API of a store in memory, one fact each.
// How:  caller-driven maintenance, so that every test decides when records come home.
#include "flagstone/store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <stdexcept>
#include <vector>

#include "tests/support/store_subjects.h"

namespace flagstone {
namespace {

struct Account {
  uint64_t owner;
  int64_t balance;
};

class StoreTest : public testing::Test {
 protected:
  StoreTest() : store_(*Store::OpenInMemory(Options())), session_(*store_.NewSession()) {}

  static StoreOptions Options() {
    StoreOptions options = testkit::TestStoreOptions();
    options.memory.limit_bytes = 256 << 20;
    return options;
  }
  void Settle() {
    while (store_.Maintain()) {
    }
  }
  RecordTableOf<Account> Accounts() { return *store_.CreateTableOf<Account>("accounts"); }
  int64_t Balance(const RecordTableOf<Account>& table, RecordId id) {
    TypedGuard<Account> guard = session_.Get(table, id);
    EXPECT_TRUE(guard);
    return guard ? guard->balance : -1;
  }

  Store store_;
  Session session_;
};

TEST_F(StoreTest, TheNullIdNamesNoRecordEvenWhereTheFirstSlotIsFree) {
  const auto accounts = Accounts();
  std::vector<RecordId> ids;
  for (int i = 0; i < 100; ++i) ids.push_back(*session_.Insert(accounts, Account{7, 100}));
  for (const RecordId id : ids) ASSERT_TRUE(*session_.Delete(accounts, id));
  for (int round = 0; round < 8; ++round) {
    EXPECT_FALSE(session_.Get(accounts, RecordId(0)));
    EXPECT_FALSE(*session_.Update(accounts, RecordId(0), [](Account&) {}));
    EXPECT_FALSE(*session_.Delete(accounts, RecordId(0)));
    store_.Maintain();
  }
}

TEST_F(StoreTest, AGuardKeepsItsIdWhenItsRecordIsDeletedAndReclaimed) {
  const auto accounts = Accounts();
  const RecordId id = *session_.Insert(accounts, Account{7, 100});
  const TypedGuard<Account> guard = session_.Get(accounts, id);
  const uint64_t timestamp = guard.timestamp();
  ASSERT_TRUE(*session_.Delete(accounts, id));
  for (int round = 0; round < 8; ++round) store_.Maintain();
  EXPECT_EQ(guard.id(), id);
  EXPECT_EQ(guard.timestamp(), timestamp);
  EXPECT_EQ(guard->balance, 100);
}

TEST_F(StoreTest, ASnapshotThatChangesWhatWasDeletedAfterItGetsAConflict) {
  const auto accounts = Accounts();
  const RecordId id = *session_.Insert(accounts, Account{7, 100});
  Session other = *store_.NewSession();
  Transaction transaction = *session_.Begin();
  ASSERT_TRUE(*transaction.Get(accounts, id));
  ASSERT_TRUE(*other.Delete(accounts, id));
  Result<bool> updated = transaction.Update(accounts, id, [](Account& a) { a.balance = 1; });
  ASSERT_FALSE(updated.ok());
  EXPECT_EQ(updated.code(), StatusCode::kConflict);
}

TEST_F(StoreTest, AnInsertedRecordIsReadByItsId) {
  const auto accounts = Accounts();
  const RecordId id = *session_.Insert(accounts, Account{7, 100});
  const TypedGuard<Account> guard = session_.Get(accounts, id);
  ASSERT_TRUE(guard);
  EXPECT_EQ(guard->owner, 7u);
  EXPECT_EQ(guard->balance, 100);
  EXPECT_EQ(guard.id(), id);
}

TEST_F(StoreTest, AnUpdateIsSeenAtOnceAndAfterHomecoming) {
  const auto accounts = Accounts();
  const RecordId id = *session_.Insert(accounts, Account{7, 100});
  for (int i = 0; i < 10; ++i) {
    ASSERT_TRUE(*session_.Update(accounts, id, [](Account& account) { ++account.balance; }));
    EXPECT_EQ(Balance(accounts, id), 101 + i);
  }
  Settle();
  EXPECT_EQ(Balance(accounts, id), 110);
  EXPECT_EQ(store_.Statistics().maintenance.homecomings, 1u);
  EXPECT_EQ(store_.Statistics().maintenance.versions_freed, 10u);
}

TEST_F(StoreTest, AGuardKeepsItsVersionThroughUpdatesAndDeletion) {
  const auto accounts = Accounts();
  const RecordId id = *session_.Insert(accounts, Account{7, 100});
  const TypedGuard<Account> guard = session_.Get(accounts, id);
  for (int i = 0; i < 1000; ++i) {
    ASSERT_TRUE(*session_.UpdateTo(accounts, id, Account{7, i}));
    if (i % 10 == 0) Settle();
  }
  ASSERT_TRUE(*session_.Delete(accounts, id));
  Settle();
  EXPECT_EQ(guard->balance, 100);
  EXPECT_FALSE(session_.Get(accounts, id));
}

TEST_F(StoreTest, ADeletedRecordIsGoneAndItsSlotIsUsedAgainUnderALaterId) {
  const auto accounts = Accounts();
  const RecordId id = *session_.Insert(accounts, Account{7, 100});
  ASSERT_TRUE(*session_.Delete(accounts, id));
  EXPECT_FALSE(session_.Get(accounts, id));
  Settle();
  EXPECT_EQ(*store_.Explain(accounts.untyped(), id), AbsenceReason::kGone);
  EXPECT_FALSE(*session_.Delete(accounts, id));
  EXPECT_EQ(store_.Statistics().maintenance.records_reclaimed, 1u);
}

TEST_F(StoreTest, ATransactionIsSeenWhollyOrNotAtAll) {
  const auto accounts = Accounts();
  const RecordId a = *session_.Insert(accounts, Account{1, 100});
  const RecordId b = *session_.Insert(accounts, Account{2, 100});
  Session other = *store_.NewSession();
  Transaction transfer = *session_.Begin();
  ASSERT_TRUE(*transfer.Update(accounts, a, [](Account& account) { account.balance -= 30; }));
  ASSERT_TRUE(*transfer.Update(accounts, b, [](Account& account) { account.balance += 30; }));
  EXPECT_EQ((*transfer.Get(accounts, a))->balance, 70);
  EXPECT_EQ(other.Get(accounts, a)->balance, 100);
  ASSERT_TRUE(transfer.Commit().ok());
  EXPECT_EQ(other.Get(accounts, a)->balance, 70);
  EXPECT_EQ(other.Get(accounts, b)->balance, 130);
}

TEST_F(StoreTest, ASnapshotDoesNotMoveWhileOthersWriteAndMaintenanceRuns) {
  const auto accounts = Accounts();
  const RecordId id = *session_.Insert(accounts, Account{1, 100});
  Session other = *store_.NewSession();
  Transaction snapshot = *other.Begin();
  for (int i = 0; i < 50; ++i) {
    ASSERT_TRUE(*session_.UpdateTo(accounts, id, Account{1, i}));
    if (i % 7 == 0) Settle();
    EXPECT_EQ((*snapshot.Get(accounts, id))->balance, 100);
  }
  ASSERT_TRUE(*session_.Delete(accounts, id));
  Settle();
  EXPECT_EQ((*snapshot.Get(accounts, id))->balance, 100);
  snapshot.Rollback();
  Settle();
  EXPECT_EQ(store_.Statistics().maintenance.records_reclaimed, 1u);
}

TEST_F(StoreTest, TheSecondUpdaterIsToldConflictAtOnce) {
  const auto accounts = Accounts();
  const RecordId id = *session_.Insert(accounts, Account{1, 100});
  Session other = *store_.NewSession();
  Transaction first = *session_.Begin();
  Transaction second = *other.Begin();
  ASSERT_TRUE(*first.UpdateTo(accounts, id, Account{1, 1}));
  const Result<bool> locked = second.UpdateTo(accounts, id, Account{1, 2});
  EXPECT_EQ(locked.code(), StatusCode::kConflict);
  EXPECT_EQ(second.Commit().code(), StatusCode::kConflict);
  Transaction third = *other.Begin();
  const uint64_t committed = *first.Commit();
  const Result<bool> late = third.UpdateTo(accounts, id, Account{1, 3});
  EXPECT_EQ(late.code(), StatusCode::kConflict);
  EXPECT_EQ(late.status().conflict_timestamp(), committed);
}

TEST_F(StoreTest, AnUpdaterThatThrowsLeavesTheRecordAsItWas) {
  const auto accounts = Accounts();
  const RecordId id = *session_.Insert(accounts, Account{1, 100});
  const auto failing = [](Account& account) {
    account.balance = 0;
    throw std::runtime_error("no");
  };
  EXPECT_THROW(static_cast<void>(session_.Update(accounts, id, failing)), std::runtime_error);
  EXPECT_EQ(Balance(accounts, id), 100);
  EXPECT_TRUE(*session_.UpdateTo(accounts, id, Account{1, 5}));
}

TEST_F(StoreTest, UndeleteBringsBackWhatTheDeletionHid) {
  const auto accounts = Accounts();
  const RecordId id = *session_.Insert(accounts, Account{1, 100});
  ASSERT_TRUE(*session_.UpdateTo(accounts, id, Account{1, 200}));
  ASSERT_TRUE(*session_.Delete(accounts, id));
  ASSERT_TRUE(*session_.Undelete(accounts, id));
  EXPECT_EQ(Balance(accounts, id), 200);
  EXPECT_FALSE(*session_.Undelete(accounts, id));
}

TEST_F(StoreTest, UndeleteGoesBackToBeforeTheTransactionThatDeleted) {
  const auto accounts = Accounts();
  const auto others = *store_.CreateTableOf<Account>("others");
  const RecordId id = *session_.Insert(accounts, Account{1, 100});
  Transaction txn = *session_.Begin();
  ASSERT_TRUE(*txn.Update(accounts, id, [](Account& account) { account.balance = 200; }));
  ASSERT_TRUE(*txn.Delete(accounts.untyped(), id));
  EXPECT_EQ(txn.Undelete(accounts.untyped(), id).code(), StatusCode::kFailedPrecondition);
  EXPECT_FALSE(*txn.Undelete(others.untyped(), id));
  ASSERT_TRUE(txn.Commit().ok());
  ASSERT_TRUE(*session_.Undelete(accounts, id));
  EXPECT_EQ(Balance(accounts, id), 100);
}

TEST_F(StoreTest, TypedRecordsGoIntoALargerClassAndUnderGivenIds) {
  const auto accounts = Accounts();
  const uint32_t larger = accounts.untyped().size_class() + 3;
  const RecordId id = *session_.InsertInClass(accounts, Account{1, 100}, larger);
  Transaction txn = *session_.Begin();
  const RecordId second = *txn.InsertInClass(accounts, Account{2, 200}, larger);
  ASSERT_TRUE(txn.Commit().ok());
  for (const RecordId made : {id, second}) EXPECT_EQ(*store_.SizeClassOf(made), larger);

  Store copy = *Store::OpenInMemory(Options());
  const auto accounts_of_copy = *copy.CreateTableOf<Account>("accounts");
  Session session = *copy.NewSession();
  Transaction import = *session.Begin();
  ASSERT_TRUE(import.InsertWithId(accounts_of_copy, second, Account{2, 200}).ok());
  ASSERT_TRUE(import.Commit().ok());
  EXPECT_EQ(session.Get(accounts_of_copy, second)->balance, 200);
  EXPECT_FALSE(session.Get(accounts_of_copy, id));
}

TEST_F(StoreTest, ReservedRecordsTakeNoMemoryWhenTheyComeAndTheRestIsGivenBack) {
  const auto accounts = Accounts();
  ASSERT_TRUE(store_.ReserveRecords(accounts, 300'000).ok());
  const uint64_t used = store_.Statistics().memory.used_bytes;
  EXPECT_GE(used, 300'000u * 40);
  ASSERT_TRUE(store_.ReserveRecords(accounts, 300'000).ok());  // there is room
  EXPECT_EQ(store_.Statistics().memory.used_bytes, used);
  std::vector<RecordId> ids;
  for (int i = 0; i < 300'000; ++i) ids.push_back(*session_.Insert(accounts, Account{1, i}));
  EXPECT_EQ(store_.Statistics().memory.used_bytes, used);
  for (int i = 0; i < 300'000; ++i) ASSERT_EQ(session_.Get(accounts, ids[i])->balance, i);
  for (const RecordId id : ids) ASSERT_TRUE(*session_.Delete(accounts, id));
  EXPECT_GT(*store_.CompactStorage(), used / 2);
  // Long records are reserved as runs.
  const auto longer = *store_.CreateTable("longer", {20'000, std::nullopt});
  ASSERT_TRUE(store_.ReserveRecords(longer, 500).ok());
  const uint64_t before = store_.Statistics().memory.used_bytes;
  const std::vector<std::byte> bytes(20'000);
  for (int i = 0; i < 500; ++i) ASSERT_TRUE(session_.Insert(longer, bytes).ok());
  EXPECT_EQ(store_.Statistics().memory.used_bytes, before);
}

TEST_F(StoreTest, ReservingMoreThanTheLimitSaysSoAndKeepsWhatItTook) {
  const auto accounts = Accounts();
  const Status refused = store_.ReserveRecords(accounts, uint64_t{1} << 40);
  EXPECT_EQ(refused.code(), StatusCode::kResourceExhausted);
  EXPECT_THAT(refused.message(), testing::HasSubstr("limit_bytes"));
  const uint64_t used = store_.Statistics().memory.used_bytes;
  EXPECT_GT(used, uint64_t{240} << 20);
  const RecordId id = *session_.Insert(accounts, Account{1, 100});
  EXPECT_EQ(store_.Statistics().memory.used_bytes, used);
  EXPECT_EQ(Balance(accounts, id), 100);
  EXPECT_GT(*store_.CompactStorage(), uint64_t{200} << 20);

  Store other = *Store::OpenInMemory(Options());
  EXPECT_EQ(other.ReserveRecords(accounts, 1).code(), StatusCode::kInvalidArgument);
}

TEST_F(StoreTest, ManyRecordsGrowOverExtentsAndComeBackByCompaction) {
  const auto accounts = Accounts();
  std::vector<RecordId> ids;
  for (int i = 0; i < 200'000; ++i) ids.push_back(*session_.Insert(accounts, Account{1, i}));
  for (int i = 0; i < 200'000; ++i) ASSERT_EQ(session_.Get(accounts, ids[i])->balance, i);
  const uint64_t used = store_.Statistics().memory.used_bytes;
  for (const RecordId id : ids) ASSERT_TRUE(*session_.Delete(accounts, id));
  EXPECT_GT(*store_.CompactStorage(), 0u);
  EXPECT_LT(store_.Statistics().memory.used_bytes, used / 2);
  for (const RecordId id : ids) ASSERT_FALSE(session_.Get(accounts, id));
  const RecordId again = *session_.Insert(accounts, Account{1, 5});
  EXPECT_EQ(Balance(accounts, again), 5);
}

TEST_F(StoreTest, AtTheMemoryLimitInsertsFailDeletesWorkAndRoomComesBack) {
  const RecordTable table = *store_.CreateTable("big", {4000, std::nullopt});
  const std::vector<std::byte> record(4000);
  std::vector<RecordId> ids;
  for (;;) {
    Result<RecordId> id = session_.Insert(table, record);
    if (!id.ok()) {
      EXPECT_EQ(id.code(), StatusCode::kResourceExhausted) << id.status().ToString();
      break;
    }
    ids.push_back(*id);
  }
  ASSERT_GT(ids.size(), 40'000u);
  for (const RecordId id : ids) ASSERT_TRUE(*session_.Delete(table, id));
  EXPECT_TRUE(session_.Insert(table, record).ok());
}

TEST_F(StoreTest, ReadsAsOfAnEarlierTimestampWithinTheRetentionWindow) {
  StoreOptions options = Options();
  options.snapshots.history_retention = std::chrono::hours(1);
  Store store = *Store::OpenInMemory(options);
  Session session = *store.NewSession();
  const auto accounts = *store.CreateTableOf<Account>("accounts");
  const RecordId id = *session.Insert(accounts, Account{1, 0});
  std::vector<uint64_t> timestamps;
  for (int i = 1; i < 20; ++i) {
    timestamps.push_back(session.Get(accounts, id).timestamp());
    ASSERT_TRUE(*session.UpdateTo(accounts, id, Account{1, i}));
    while (store.Maintain()) {
    }
  }
  for (int i = 0; i < 19; ++i) {
    TransactionOptions as_of;
    as_of.as_of_timestamp = timestamps[i];
    Transaction past = *session.Begin(as_of);
    EXPECT_EQ((*past.Get(accounts, id))->balance, i);
  }
}

}  // namespace
}  // namespace flagstone
