// What: a batch is applied whole or not at all, says what each operation did or which one was to
//       blame, and may be applied again.
// How:  every operation on typed and untyped tables; a second session that is in the way; updaters
//       that throw; what the session's reads say afterwards.
#include "flagstone/write_batch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <vector>

#include "flagstone/store.h"
#include "tests/support/store_subjects.h"

namespace flagstone {
namespace {

using testing::HasSubstr;
using testkit::Settle;
using testkit::TestStoreOptions;

struct Account {
  uint64_t owner;
  int64_t balance;
};

// An updater that remembers would make a second attempt another change.
template <typename Updater>
concept Accepted = requires(WriteBatch& batch, const RecordTableOf<Account>& table,
                            Updater updater) {
  batch.Update(table, RecordId(), updater);
};
static_assert(!Accepted<decltype([turns = 0](Account&) mutable { ++turns; })>);
static_assert(Accepted<decltype([](Account&) {})>);
static_assert(std::is_nothrow_move_constructible_v<WriteBatch>);
static_assert(!std::is_copy_constructible_v<WriteBatch>);

class WriteBatchTest : public testing::Test {
 protected:
  WriteBatchTest()
      : store_(*Store::OpenInMemory(TestStoreOptions())),
        session_(*store_.NewSession()),
        other_(*store_.NewSession()),
        accounts_(*store_.CreateTableOf<Account>("accounts")),
        blobs_(*store_.CreateTable("blobs", {.record_bytes = 100, .size_class = std::nullopt})) {
    for (int i = 0; i < 40; ++i) ids_.push_back(*session_.Insert(accounts_, Account{7, 100}));
  }

  int64_t Balance(RecordId id) {
    const auto guard = session_.Get(accounts_, id);
    return guard ? guard->balance : -1;
  }
  static std::vector<std::byte> Blob(int value) {
    return std::vector<std::byte>(100, static_cast<std::byte>(value));
  }
  static auto Add(int64_t amount) {
    return [amount](Account& account) { account.balance += amount; };
  }
  // Everything as the fixture made it.
  void ExpectUntouched(const ApplyResult& result) {
    for (const RecordId id : ids_) ASSERT_EQ(Balance(id), 100);
    EXPECT_TRUE(result.operations().empty());
    EXPECT_EQ(result.absent_count(), 0u);
    EXPECT_EQ(result.commit_timestamp(), 0u);
    // No lock is left, and the session may begin another transaction.
    WriteBatch all;
    for (const RecordId id : ids_) all.Update(accounts_, id, Add(0));
    ApplyResult again;
    EXPECT_TRUE(session_.Apply(all, again).ok());
    // Every slot is back, once the sessions that hold some ready have ended.
    session_ = *store_.NewSession();
    other_ = *store_.NewSession();
    Settle(store_);
    EXPECT_EQ(store_.Statistics().tables[0].slots_used, ids_.size());
  }

  Store store_;
  Session session_;
  Session other_;
  RecordTableOf<Account> accounts_;
  RecordTable blobs_;
  std::vector<RecordId> ids_;
};

TEST_F(WriteBatchTest, EveryOperationIsDoneAtOneTimestamp) {
  const RecordId gone = *session_.Insert(accounts_, Account{7, 55});
  ASSERT_TRUE(*session_.Delete(accounts_, gone));
  const RecordId given(ids_[0].value() + 1000);

  WriteBatch batch;
  const size_t typed = batch.Insert(accounts_, Account{1, 1});
  const size_t untyped = batch.Insert(blobs_, Blob(2));
  const size_t roomy = batch.InsertInClass(blobs_, Blob(3), blobs_.size_class() + 1);
  const size_t roomy_typed =
      batch.InsertInClass(accounts_, Account{4, 4}, accounts_.untyped().size_class() + 2);
  const size_t with_id = batch.InsertWithId(accounts_, given, Account{5, 5});
  const size_t to_value = batch.UpdateTo(accounts_, ids_[0], Account{6, 6});
  const size_t updated = batch.Update(accounts_, ids_[1], Add(7));
  const size_t untyped_update =
      batch.Update(accounts_.untyped(), ids_[2],
                   [](std::span<std::byte> payload) { payload[8] = std::byte{8}; });
  const size_t deleted = batch.Delete(accounts_, ids_[3]);
  const size_t undeleted = batch.Undelete(accounts_, gone);
  ASSERT_EQ(batch.operation_count(), 10u);

  ApplyResult result;
  const Status status = session_.Apply(batch, result);
  ASSERT_TRUE(status.ok()) << status.ToString();
  ASSERT_EQ(result.operations().size(), 10u);
  for (const OperationResult& operation : result.operations()) {
    EXPECT_EQ(operation.outcome, OperationOutcome::kDone);
  }
  const auto id_of = [&](size_t index) { return result.operations()[index].id; };
  EXPECT_EQ(id_of(with_id), given);
  EXPECT_EQ(id_of(to_value), ids_[0]);
  EXPECT_EQ(id_of(deleted), ids_[3]);
  EXPECT_EQ(id_of(undeleted), gone);
  EXPECT_EQ(result.absent_count(), 0u);
  EXPECT_FALSE(result.failed_index().has_value());

  const uint64_t at = result.commit_timestamp();
  EXPECT_GT(at, 0u);
  const std::array<std::pair<size_t, int64_t>, 7> expected = {{{typed, 1},
                                                               {roomy_typed, 4},
                                                               {with_id, 5},
                                                               {to_value, 6},
                                                               {updated, 107},
                                                               {untyped_update, 8},
                                                               {undeleted, 55}}};
  for (const auto& [index, balance] : expected) {
    const auto guard = session_.Get(accounts_, id_of(index));
    ASSERT_TRUE(guard) << index;
    EXPECT_EQ(guard->balance, balance) << index;
    EXPECT_EQ(guard.timestamp(), at) << index;
  }
  EXPECT_EQ(session_.Get(blobs_, id_of(untyped)).bytes()[99], std::byte{2});
  EXPECT_EQ(session_.Get(blobs_, id_of(roomy)).bytes()[99], std::byte{3});
  EXPECT_EQ(*store_.SizeClassOf(id_of(roomy)), blobs_.size_class() + 1);
  EXPECT_EQ(*store_.SizeClassOf(id_of(roomy_typed)), accounts_.untyped().size_class() + 2);
  EXPECT_FALSE(session_.Get(accounts_, ids_[3]));
}

TEST_F(WriteBatchTest, OperationsSeeThoseBeforeThem) {
  WriteBatch batch;
  batch.UpdateTo(accounts_, ids_[0], Account{7, 10});
  batch.Update(accounts_, ids_[0], [](Account& account) { account.balance *= 3; });
  batch.Delete(accounts_, ids_[1]);
  batch.Update(accounts_, ids_[1], Add(1));
  ApplyResult result;
  ASSERT_TRUE(session_.Apply(batch, result).ok());
  EXPECT_EQ(Balance(ids_[0]), 30);
  EXPECT_EQ(result.operations()[3].outcome, OperationOutcome::kAbsent);
  EXPECT_EQ(result.absent_count(), 1u);
}

TEST_F(WriteBatchTest, AbsentRecordsAreReportedAndTheOthersChanged) {
  ASSERT_TRUE(*session_.Delete(accounts_, ids_[1]));
  WriteBatch batch;
  batch.Update(accounts_, ids_[0], Add(1));
  batch.Update(accounts_, ids_[1], Add(1));
  batch.UpdateTo(accounts_, ids_[1], Account{});
  batch.Delete(accounts_, RecordId());
  batch.Undelete(accounts_, ids_[2]);  // is there
  ApplyResult result;
  ASSERT_TRUE(session_.Apply(batch, result).ok());
  EXPECT_EQ(result.absent_count(), 4u);
  EXPECT_EQ(result.operations()[0].outcome, OperationOutcome::kDone);
  for (size_t i = 1; i < 5; ++i) {
    EXPECT_EQ(result.operations()[i].outcome, OperationOutcome::kAbsent) << i;
  }
  EXPECT_EQ(Balance(ids_[0]), 101);
}

TEST_F(WriteBatchTest, AnAbsentRecordFailsTheBatchWhenAsked) {
  WriteBatch batch;
  batch.Insert(accounts_, Account{});
  batch.Update(accounts_, ids_[0], Add(1));
  batch.Delete(accounts_, RecordId(ids_[0].value() + 1000));
  ApplyResult result;
  const Status status = session_.Apply(batch, result, {.absent = AbsentRecord::kFailBatch});
  EXPECT_EQ(status.code(), StatusCode::kFailedPrecondition);
  EXPECT_THAT(status.message(), HasSubstr("batch operation index 2 of 3 (delete of record r"));
  EXPECT_THAT(status.message(), HasSubstr("of table 'accounts')"));
  EXPECT_THAT(status.message(), HasSubstr("AbsentRecord::kReport"));
  EXPECT_EQ(result.failed_index(), 2u);
  ExpectUntouched(result);
  EXPECT_TRUE(session_.Apply(batch, result).ok());
  EXPECT_EQ(Balance(ids_[0]), 101);
}

TEST_F(WriteBatchTest, AConflictInTheMiddleChangesNothingAndTheBatchIsAppliedAgain) {
  WriteBatch batch;
  for (int i = 0; i < 20; ++i) batch.Update(accounts_, ids_[i], Add(1));
  const size_t made = batch.Insert(accounts_, Account{7, 9});
  const RecordId given(ids_[0].value() + 1000);
  batch.InsertWithId(accounts_, given, Account{7, 11});
  for (int i = 20; i < 40; ++i) batch.Update(accounts_, ids_[i], Add(1));

  for (const IsolationLevel level : {IsolationLevel::kSnapshot, IsolationLevel::kReadCommitted}) {
    std::optional<Transaction> in_the_way(*other_.Begin());
    ASSERT_TRUE(*in_the_way->Update(accounts_, ids_[30], Add(1000)));
    ApplyResult result;
    const Status status = session_.Apply(batch, result, {.isolation = level});
    EXPECT_EQ(status.code(), StatusCode::kConflict);
    EXPECT_THAT(status.message(), HasSubstr("batch operation index 32 of 42 (update of record " +
                                            ids_[30].ToString() + " of table 'accounts'): "));
    EXPECT_EQ(result.failed_index(), 32u);
    in_the_way.reset();
    ExpectUntouched(result);
    EXPECT_FALSE(session_.Get(accounts_, given));
  }
  ApplyResult result;
  const Status status = session_.Apply(batch, result);
  ASSERT_TRUE(status.ok()) << status.ToString();
  for (const RecordId id : ids_) ASSERT_EQ(Balance(id), 101);
  EXPECT_EQ(Balance(result.operations()[made].id), 9);
  EXPECT_EQ(Balance(given), 11);
}

TEST_F(WriteBatchTest, AConflictWithACommitNamesTheTimestampToWaitFor) {
  WriteBatch batch;
  uint64_t committed = 0;
  // While the batch is under way, another session changes the record that it comes to last.
  batch.Update(accounts_, ids_[0], [&](Account&) {
    Transaction quick = *other_.Begin();
    ASSERT_TRUE(*quick.Update(accounts_, ids_[1], Add(1)));
    committed = *quick.Commit();
  });
  batch.Update(accounts_, ids_[1], Add(1));
  ApplyResult result;
  const Status status = session_.Apply(batch, result);
  EXPECT_EQ(status.code(), StatusCode::kConflict);
  EXPECT_EQ(status.conflict_timestamp(), committed);
  EXPECT_EQ(result.failed_index(), 1u);
  // Read committed goes on top of it.
  ASSERT_TRUE(session_.Apply(batch, result, {.isolation = IsolationLevel::kReadCommitted}).ok());
  EXPECT_EQ(Balance(ids_[1]), 103);
}

TEST_F(WriteBatchTest, WaitingEndsWithTheDeadline) {
  std::optional<Transaction> in_the_way(*other_.Begin());
  ASSERT_TRUE(*in_the_way->Update(accounts_, ids_[1], Add(1000)));
  WriteBatch batch;
  batch.Update(accounts_, ids_[0], Add(1));
  batch.Delete(accounts_, ids_[1]);
  ApplyResult result;
  const Status status = session_.Apply(batch, result, {.lock_wait = std::chrono::milliseconds(2)});
  EXPECT_EQ(status.code(), StatusCode::kDeadlineExceeded);
  EXPECT_THAT(status.message(), HasSubstr("batch operation index 1 of 2 (delete of record "));
  in_the_way.reset();
  ExpectUntouched(result);
}

TEST_F(WriteBatchTest, AnUpdaterThatThrowsLeavesNoTrace) {
  WriteBatch batch;
  bool throws = true;
  batch.Insert(accounts_, Account{});
  batch.Update(accounts_, ids_[0], Add(1));
  batch.Update(accounts_, ids_[1], [&throws](Account& account) {
    account.balance = 0;
    if (throws) throw std::runtime_error("no");
  });
  batch.Update(accounts_, ids_[2], Add(1));
  ApplyResult result;
  EXPECT_THROW(static_cast<void>(session_.Apply(batch, result)), std::runtime_error);
  EXPECT_EQ(result.failed_index(), 2u);
  ExpectUntouched(result);
  throws = false;
  ASSERT_TRUE(session_.Apply(batch, result).ok());
  EXPECT_FALSE(result.failed_index().has_value());
  EXPECT_EQ(Balance(ids_[1]), 0);
}

TEST_F(WriteBatchTest, MistakesAreFoundByApplyAndNamed) {
  const std::vector<std::byte> wrong(99);
  const auto refused = [&](WriteBatch& batch, const char* part,
                           StatusCode code = StatusCode::kInvalidArgument) {
    ApplyResult result;
    const Status status = session_.Apply(batch, result);
    EXPECT_EQ(status.code(), code) << status.ToString();
    EXPECT_THAT(status.message(), HasSubstr("batch operation index 1 of 2 ("));
    EXPECT_THAT(status.message(), HasSubstr(part));
    EXPECT_EQ(result.failed_index(), 1u);
    ExpectUntouched(result);
    batch.Clear();
    batch.Update(accounts_, ids_[0], Add(1));
  };
  WriteBatch batch;
  batch.Update(accounts_, ids_[0], Add(1));
  batch.Insert(blobs_, wrong);
  refused(batch, "insert into table 'blobs'): table 'blobs': a record has 100 bytes, not 99");
  batch.UpdateTo(blobs_, ids_[0], {});
  refused(batch, "100 bytes, not 0");
  batch.InsertInClass(blobs_, Blob(1), 99);
  refused(batch, "size class 99");
  batch.InsertWithId(accounts_, ids_[5], Account{});
  refused(batch, "holds a record", StatusCode::kFailedPrecondition);
}

TEST_F(WriteBatchTest, OptionsAreCheckedBeforeAnyOperation) {
  WriteBatch batch;
  batch.Update(accounts_, ids_[0], Add(1));
  ApplyResult result;
  EXPECT_EQ(session_.Apply(batch, result, {.isolation = IsolationLevel::kSerializable}).code(),
            StatusCode::kUnsupported);
  EXPECT_EQ(session_.Apply(batch, result, {.lock_wait = std::chrono::nanoseconds(-1)}).code(),
            StatusCode::kInvalidArgument);
  EXPECT_FALSE(result.failed_index().has_value());
  ExpectUntouched(result);
}

TEST_F(WriteBatchTest, ARunningTransactionOfTheSessionIsInTheWay) {
  WriteBatch batch;
  batch.Update(accounts_, ids_[0], Add(1));
  ApplyResult result;
  Transaction running = *session_.Begin();
  ASSERT_TRUE(*running.Update(accounts_, ids_[5], Add(1)));
  const Status status = session_.Apply(batch, result);
  EXPECT_EQ(status.code(), StatusCode::kFailedPrecondition);
  EXPECT_THAT(status.message(), HasSubstr("already has a running transaction"));
  EXPECT_FALSE(result.failed_index().has_value());
  // It goes on as if nothing had been asked.
  EXPECT_TRUE(running.running());
  ASSERT_TRUE(running.Commit().ok());
  EXPECT_EQ(Balance(ids_[5]), 101);
  EXPECT_TRUE(session_.Apply(batch, result).ok());
}

TEST_F(WriteBatchTest, AnEmptyBatchAndOneOfAbsentRecordsHaveNoTimestamp) {
  WriteBatch batch;
  ApplyResult result;
  EXPECT_TRUE(batch.empty());
  EXPECT_TRUE(session_.Apply(batch, result).ok());
  batch.Delete(accounts_, RecordId(ids_[0].value() + 1000));
  ASSERT_TRUE(session_.Apply(batch, result).ok());
  EXPECT_EQ(result.absent_count(), 1u);
  EXPECT_EQ(result.commit_timestamp(), 0u);
  // A result forgets the one before.
  batch.Clear();
  ASSERT_TRUE(session_.Apply(batch, result).ok());
  EXPECT_EQ(result.absent_count(), 0u);
  EXPECT_TRUE(result.operations().empty());
}

// What: updaters of every kind end once, when the batch forgets them, wherever it was moved.
TEST_F(WriteBatchTest, UpdatersEndOnceWithTheirBatch) {
  const auto held = std::make_shared<int64_t>(5);
  const auto updater = [held](Account& account) { account.balance += *held; };
  {
    WriteBatch first;
    // Enough for several blocks, so that their places must not move.
    for (int round = 0; round < 30; ++round) {
      for (const RecordId id : ids_) {
        first.Update(accounts_, id, updater);
        first.UpdateTo(blobs_, RecordId(), Blob(1));
      }
    }
    EXPECT_GT(held.use_count(), 1200);
    WriteBatch second(std::move(first));
    first.Update(accounts_, ids_[0], updater);  // a batch that was moved from is an empty one
    WriteBatch third;
    third.Update(accounts_, ids_[0], updater);
    third = std::move(second);
    ApplyResult result;
    ASSERT_TRUE(session_.Apply(third, result).ok());
    EXPECT_EQ(result.absent_count(), 1200u);
    for (const RecordId id : ids_) ASSERT_EQ(Balance(id), 100 + 30 * 5);
    third.Clear();
    EXPECT_EQ(held.use_count(), 3);  // ours, the updater's, the one in `first`
    ASSERT_TRUE(session_.Apply(first, result).ok());
    EXPECT_EQ(Balance(ids_[0]), 100 + 31 * 5);
  }
  EXPECT_EQ(held.use_count(), 2);
}

TEST_F(WriteBatchTest, RecordsOfEverySizeKeepTheirBytes) {
  const RecordTable large =
      *store_.CreateTable("large", {.record_bytes = 7000, .size_class = std::nullopt});
  const RecordTable small = *store_.CreateTable("small", {.record_bytes = 1, .size_class = {}});
  WriteBatch batch;
  ApplyResult result;
  for (int round = 0; round < 2; ++round) {
    batch.Clear();
    for (int i = 0; i < 200; ++i) {
      const auto value = static_cast<std::byte>(i + round);
      batch.Insert(i % 3 == 0 ? large : small,
                   std::vector<std::byte>(i % 3 == 0 ? 7000 : 1, value));
    }
    ASSERT_TRUE(session_.Apply(batch, result).ok());
    for (int i = 0; i < 200; ++i) {
      const RecordGuard guard = session_.Get(i % 3 == 0 ? large : small, result.operations()[i].id);
      ASSERT_TRUE(guard);
      for (const std::byte byte : guard.bytes()) {
        ASSERT_EQ(byte, static_cast<std::byte>(i + round));
      }
    }
  }
}

// What: an insert under a given ID that was rolled back may be tried again; one that was committed
//       and deleted may not, whatever became of later tries.
TEST_F(WriteBatchTest, AGivenIdIsUsedUpByItsCommitOnly) {
  const RecordId given(ids_[0].value() + 1000);
  ApplyResult result;
  for (int i = 0; i < 3; ++i) {
    Transaction transaction = *session_.Begin();
    ASSERT_TRUE(transaction
                    .InsertWithId(accounts_.untyped(), given,
                                  std::as_bytes(std::span<const Account>(
                                      std::array<Account, 1>{Account{1, 2}})))
                    .ok());
    if (i == 1) {
      ASSERT_TRUE(*transaction.Delete(accounts_, given));
    }
    transaction.Rollback();
  }
  WriteBatch batch;
  batch.InsertWithId(accounts_, given, Account{7, 1});
  ASSERT_TRUE(session_.Apply(batch, result).ok());
  EXPECT_EQ(Balance(given), 1);
  ASSERT_TRUE(*session_.Delete(accounts_, given));
  Settle(store_);
  const Status again = session_.Apply(batch, result);
  EXPECT_EQ(again.code(), StatusCode::kInvalidArgument);
  EXPECT_THAT(again.message(), HasSubstr("only later ones"));
  // Inserted and deleted in one transaction, and committed: used up as well.
  const RecordId brief(ids_[0].value() + 1001);
  batch.Clear();
  batch.InsertWithId(accounts_, brief, Account{7, 1});
  batch.Delete(accounts_, brief);
  ASSERT_TRUE(session_.Apply(batch, result).ok());
  EXPECT_EQ(session_.Apply(batch, result).code(), StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace flagstone
