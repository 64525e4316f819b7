#include "tests/support/white_box_checker.h"

#include <gtest/gtest.h>

namespace flagstone::testkit {
namespace {

HistoryOp ReadVersion(uint64_t key, uint64_t version_ts) {
  HistoryOp op = HistoryOp::Read(key, {});
  op.version_ts = version_ts;
  return op;
}
HistoryOp Write(uint64_t key) { return HistoryOp::Append(key, 1); }

class WhiteBoxCheckerTest : public testing::Test {
 protected:
  void Txn(uint64_t start_ts, uint64_t commit_ts, std::vector<HistoryOp> ops,
           TxnOutcome outcome = TxnOutcome::kCommitted) {
    HistoryTxn txn;
    txn.begin_time = 0;
    txn.end_time = 1'000;
    txn.start_ts = start_ts;
    txn.commit_ts = commit_ts;
    txn.ops = std::move(ops);
    txn.outcome = outcome;
    history_.txns.push_back(std::move(txn));
  }
  std::string Check(IsolationLevel level) {
    options_.level = level;
    return CheckWhiteBox(history_, options_).ToString();
  }
  void ExpectRule(const std::string& rule, IsolationLevel level = IsolationLevel::kSnapshot) {
    EXPECT_NE(Check(level).find(rule), std::string::npos) << Check(level);
  }

  History history_;
  WhiteBoxOptions options_;
};

TEST_F(WhiteBoxCheckerTest, CleanHistoryPasses) {
  Txn(0, 1, {ReadVersion(1, 0), Write(1)});
  Txn(1, 2, {ReadVersion(1, 1), Write(1), ReadVersion(1, 0)});  // its own write is not compared
  Txn(1, 0, {ReadVersion(1, 1)});
  Txn(2, 0, {ReadVersion(1, 2), Write(1)}, TxnOutcome::kAborted);
  options_.log_order = {1, 2};
  EXPECT_EQ(Check(IsolationLevel::kSerializable), "clean, 4 reads");
}

TEST_F(WhiteBoxCheckerTest, OldNewAndInventedVersionsBreakVisibility) {
  for (const uint64_t seen : {uint64_t{0}, uint64_t{3}, uint64_t{7}}) {
    history_ = History();
    Txn(0, 1, {Write(1)});
    Txn(1, 3, {Write(1)});
    Txn(2, 0, {ReadVersion(1, seen)});
    ExpectRule("rule 1");
  }
}

TEST_F(WhiteBoxCheckerTest, ReadsOfAbortedTransactionsAreCheckedToo) {
  Txn(0, 1, {Write(1)});
  Txn(1, 0, {ReadVersion(1, 0)}, TxnOutcome::kAborted);
  ExpectRule("rule 1");
}

TEST_F(WhiteBoxCheckerTest, ConcurrentWritersOfOneKeyBreakFirstCommitterWins) {
  Txn(0, 1, {Write(1)});
  Txn(0, 2, {Write(1)});
  ExpectRule("rule 2");
  EXPECT_EQ(Check(IsolationLevel::kReadCommitted), "clean, 0 reads");
}

TEST_F(WhiteBoxCheckerTest, BeginMustCoverAcknowledgedCommits) {
  Txn(0, 5, {Write(1)});
  history_.txns.back().end_time = 10;
  Txn(4, 0, {ReadVersion(2, 0)});
  history_.txns.back().begin_time = 20;
  ExpectRule("rule 3");
  history_.txns.back().begin_time = 10;  // not after: concurrent
  EXPECT_EQ(Check(IsolationLevel::kSnapshot), "clean, 1 reads");
}

TEST_F(WhiteBoxCheckerTest, CommitTimestampsAreUniqueAfterTheStartAndInTheLog) {
  Txn(0, 1, {Write(1)});
  Txn(0, 1, {Write(2)});
  ExpectRule("rule 4");
  history_ = History();
  Txn(3, 2, {Write(1)});
  ExpectRule("rule 4");
  history_ = History();
  Txn(0, 1, {Write(1)});
  options_.log_order = {2, 3};
  ExpectRule("not in the log");
  options_.log_order = {1, 3, 2};
  ExpectRule("the log holds 3 before 2");
}

TEST_F(WhiteBoxCheckerTest, ReplacedReadsBreakSerializability) {
  Txn(0, 1, {ReadVersion(2, 0), Write(1)});
  Txn(0, 2, {ReadVersion(1, 0), Write(2)});
  ExpectRule("rule 5", IsolationLevel::kSerializable);
  EXPECT_EQ(Check(IsolationLevel::kSnapshot), "clean, 2 reads");
}

TEST(IndexComparisonTest, SaysWhatIsMissingAndWhatIsTooMuch) {
  EXPECT_EQ(CompareIndexWithRecords({{"b", 2}, {"a", 1}}, {{"a", 1}, {"b", 2}}), "");
  EXPECT_EQ(CompareIndexWithRecords({{"a", 1}, {"a", 1}}, {{"a", 1}, {"b", 2}}),
            "1 records not in the index: (b, 2); 1 entries without a record: (a, 1)");
}

}  // namespace
}  // namespace flagstone::testkit
