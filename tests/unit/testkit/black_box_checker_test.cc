#include "tests/support/black_box_checker.h"

#include <gtest/gtest.h>

#include <vector>

namespace flagstone::testkit {
namespace {

// Keys and transactions of the hand-built histories. Times overlap unless a test says otherwise.
constexpr uint64_t kX = 1;
constexpr uint64_t kY = 2;

HistoryOp R(uint64_t key, std::vector<uint32_t> list) {
  return HistoryOp::Read(key, std::move(list));
}
HistoryOp A(uint64_t key, uint32_t value) { return HistoryOp::Append(key, value); }

class BlackBoxCheckerTest : public testing::Test {
 public:
  BlackBoxCheckerTest& Txn(std::vector<HistoryOp> ops,
                           TxnOutcome outcome = TxnOutcome::kCommitted) {
    return TxnAt(0, 100, std::move(ops), outcome);
  }
  BlackBoxCheckerTest& TxnAt(uint64_t begin, uint64_t end, std::vector<HistoryOp> ops,
                             TxnOutcome outcome = TxnOutcome::kCommitted) {
    HistoryTxn txn;
    txn.begin_time = begin;
    txn.end_time = end;
    txn.ops = std::move(ops);
    txn.outcome = outcome;
    history_.txns.push_back(std::move(txn));
    return *this;
  }
  BlackBoxCheckerTest& FinalRead(std::vector<HistoryOp> ops) {
    history_.ends_with_full_read = true;
    return TxnAt(200, 300, std::move(ops));
  }

  BlackBoxReport At(IsolationLevel level) {
    BlackBoxOptions options;
    options.level = level;
    return CheckBlackBox(history_, options);
  }
  // The kind is found, and forbidden from `weakest` on.
  void ExpectFound(AnomalyKind kind, IsolationLevel weakest) {
    for (const IsolationLevel level : {IsolationLevel::kReadCommitted, IsolationLevel::kSnapshot,
                                       IsolationLevel::kSerializable}) {
      const BlackBoxReport report = At(level);
      EXPECT_GT(report.count(kind), 0u) << AnomalyName(kind) << "\n" << report.ToString();
      EXPECT_EQ(report.ok(), level < weakest) << IsolationLevelName(level) << "\n"
                                              << report.ToString();
    }
  }

  History history_;
};

TEST_F(BlackBoxCheckerTest, CleanHistoryPassesAtEveryLevel) {
  TxnAt(0, 10, {A(kX, 1), R(kX, {1}), A(kY, 1)});
  TxnAt(20, 30, {R(kX, {1}), A(kX, 2), R(kX, {1, 2})});
  TxnAt(25, 35, {R(kX, {1}), R(kY, {1})});
  TxnAt(40, 50, {R(kX, {1, 2}), A(kX, 9)}, TxnOutcome::kAborted);
  FinalRead({R(kX, {1, 2}), R(kY, {1})});
  EXPECT_TRUE(At(IsolationLevel::kSerializable).ok())
      << At(IsolationLevel::kSerializable).ToString();
  EXPECT_EQ(At(IsolationLevel::kSerializable).ToString(), "clean");
}

TEST_F(BlackBoxCheckerTest, WriteCycleIsG0) {
  Txn({A(kX, 1), A(kY, 1)}).Txn({A(kX, 2), A(kY, 2)});
  FinalRead({R(kX, {1, 2}), R(kY, {2, 1})});
  ExpectFound(AnomalyKind::kG0, IsolationLevel::kReadCommitted);
}

TEST_F(BlackBoxCheckerTest, ReadOfAnAbortedWriteIsG1a) {
  Txn({A(kX, 1)}, TxnOutcome::kAborted).Txn({R(kX, {1})});
  ExpectFound(AnomalyKind::kG1a, IsolationLevel::kReadCommitted);
}

TEST_F(BlackBoxCheckerTest, ReadOfAnIntermediateWriteIsG1b) {
  Txn({A(kX, 1), A(kX, 2)}).Txn({R(kX, {1})});
  ExpectFound(AnomalyKind::kG1b, IsolationLevel::kReadCommitted);
}

TEST_F(BlackBoxCheckerTest, CircularInformationFlowIsG1c) {
  Txn({A(kX, 1), R(kY, {1})}).Txn({A(kY, 1), R(kX, {1})});
  ExpectFound(AnomalyKind::kG1c, IsolationLevel::kReadCommitted);
}

TEST_F(BlackBoxCheckerTest, ObservedTransactionVanishes) {
  // T2 sees T1's write of y but then T0's state of x, which T1 had replaced.
  Txn({A(kX, 1), A(kY, 1)}).Txn({A(kX, 2), A(kY, 2)}).Txn({R(kY, {1, 2}), R(kX, {1})});
  FinalRead({R(kX, {1, 2}), R(kY, {1, 2})});
  ExpectFound(AnomalyKind::kGSingle, IsolationLevel::kSnapshot);
}

TEST_F(BlackBoxCheckerTest, LostUpdateIsAnIncompatibleOrder) {
  Txn({R(kX, {}), A(kX, 1), R(kX, {1})}).Txn({R(kX, {}), A(kX, 2)});
  Txn({R(kX, {1})});
  FinalRead({R(kX, {2})});
  ExpectFound(AnomalyKind::kIncompatibleOrder, IsolationLevel::kSnapshot);
}

TEST_F(BlackBoxCheckerTest, ReadSkewIsGSingle) {
  Txn({R(kX, {}), R(kY, {1})}).Txn({A(kX, 1), A(kY, 1)});
  FinalRead({R(kX, {1}), R(kY, {1})});
  ExpectFound(AnomalyKind::kGSingle, IsolationLevel::kSnapshot);
}

TEST_F(BlackBoxCheckerTest, LongForkIsGNonadjacent) {
  Txn({A(kX, 1)}).Txn({A(kY, 1)});
  Txn({R(kX, {1}), R(kY, {})}).Txn({R(kX, {}), R(kY, {1})});
  FinalRead({R(kX, {1}), R(kY, {1})});
  ExpectFound(AnomalyKind::kGNonadjacent, IsolationLevel::kSnapshot);
}

TEST_F(BlackBoxCheckerTest, WriteSkewIsG2ItemAndAllowedUnderSnapshot) {
  Txn({R(kX, {}), R(kY, {}), A(kX, 1)}).Txn({R(kX, {}), R(kY, {}), A(kY, 1)});
  FinalRead({R(kX, {1}), R(kY, {1})});
  ExpectFound(AnomalyKind::kG2Item, IsolationLevel::kSerializable);
  const BlackBoxReport report = At(IsolationLevel::kSerializable);
  EXPECT_EQ(report.forbidden[0],
            "G2-item: T0 -rw(k=2 saw nothing, next 1)-> T1 -rw(k=1 saw nothing, next 1)-> T0");
}

TEST_F(BlackBoxCheckerTest, FeketesReadOnlyAnomalyIsG2Item) {
  // T0 withdraws from x having seen y before T1's deposit; the reader T2 sees only the deposit.
  Txn({R(kX, {}), R(kY, {}), A(kX, 1)}).Txn({R(kY, {}), A(kY, 1)});
  Txn({R(kX, {}), R(kY, {1})});
  FinalRead({R(kX, {1}), R(kY, {1})});
  ExpectFound(AnomalyKind::kG2Item, IsolationLevel::kSerializable);
}

TEST_F(BlackBoxCheckerTest, OwnAppendsMustBeSeen) {
  Txn({A(kX, 1), R(kX, {})});
  ExpectFound(AnomalyKind::kInternal, IsolationLevel::kReadCommitted);
}

TEST_F(BlackBoxCheckerTest, ValuesNobodyWroteAreGarbage) {
  Txn({R(kX, {77})});
  ExpectFound(AnomalyKind::kGarbage, IsolationLevel::kReadCommitted);
}

TEST_F(BlackBoxCheckerTest, ValuesTwiceInAListAreDuplicates) {
  Txn({A(kX, 1)}).Txn({R(kX, {1, 1})});
  ExpectFound(AnomalyKind::kDuplicate, IsolationLevel::kReadCommitted);
}

TEST_F(BlackBoxCheckerTest, ReadsOfOneTransactionMustRepeatUnderSnapshot) {
  Txn({A(kX, 1)}).Txn({R(kX, {}), R(kX, {1})});
  FinalRead({R(kX, {1})});
  ExpectFound(AnomalyKind::kNonRepeatable, IsolationLevel::kSnapshot);
}

TEST_F(BlackBoxCheckerTest, CommittedAppendsMustBeInTheFinalRead) {
  Txn({A(kX, 1)}).Txn({A(kX, 2)});
  FinalRead({R(kX, {2})});
  ExpectFound(AnomalyKind::kLostWrite, IsolationLevel::kSnapshot);
}

TEST_F(BlackBoxCheckerTest, IndeterminateIsAllOrNothing) {
  Txn({A(kX, 1), A(kY, 1)}, TxnOutcome::kIndeterminate);
  const History both_legal = history_;
  FinalRead({R(kX, {1}), R(kY, {1})});
  EXPECT_TRUE(At(IsolationLevel::kSerializable).ok());
  history_ = both_legal;
  FinalRead({R(kX, {}), R(kY, {})});
  EXPECT_TRUE(At(IsolationLevel::kSerializable).ok());
  history_ = both_legal;
  FinalRead({R(kX, {1}), R(kY, {})});
  ExpectFound(AnomalyKind::kSplitOutcome, IsolationLevel::kReadCommitted);
}

TEST_F(BlackBoxCheckerTest, StaleReadsAreFoundOnlyWithRealTime) {
  TxnAt(0, 10, {A(kX, 1)}).TxnAt(20, 30, {R(kX, {})});
  FinalRead({R(kX, {1})});
  ExpectFound(AnomalyKind::kGSingleRealtime, IsolationLevel::kSnapshot);
  BlackBoxOptions options;
  options.level = IsolationLevel::kSerializable;
  options.real_time = RealTime::kIgnored;
  EXPECT_TRUE(CheckBlackBox(history_, options).ok());
}

TEST_F(BlackBoxCheckerTest, RealTimeReachesThroughTransactionsInBetween) {
  // The frontier keeps no edge T0 -> T3; the path over T1 or T2 must do.
  TxnAt(0, 10, {A(kX, 1)});
  TxnAt(20, 30, {R(kY, {})}).TxnAt(15, 60, {R(kY, {})});
  TxnAt(40, 50, {R(kX, {})});
  FinalRead({R(kX, {1}), R(kY, {})});
  ExpectFound(AnomalyKind::kGSingleRealtime, IsolationLevel::kSnapshot);
}

}  // namespace
}  // namespace flagstone::testkit
