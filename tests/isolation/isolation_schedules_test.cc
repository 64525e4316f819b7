// What: the store gives each level what the level promises and nothing less.
// How:  the fixed schedules of the kit (Hermitage and ours) and every order of the steps of its
//       scripted pairs of transactions, by record ID, maintenance after every step.
#include <gtest/gtest.h>

#include <cstdio>

#include "tests/support/hermitage.h"
#include "tests/support/store_subjects.h"
#include "tests/support/store_workloads.h"

namespace flagstone::testkit {
namespace {

TEST(IsolationSchedulesTest, ReadCommittedHoldsInEveryScheduleAndInterleaving) {
  const WorkloadVerdict verdict = RunStoreSchedules(IsolationLevel::kReadCommitted);
  EXPECT_EQ(verdict.failure, "");
  EXPECT_GT(verdict.count, 1'000u);
}

TEST(IsolationSchedulesTest, SnapshotHoldsInEveryScheduleAndInterleaving) {
  const WorkloadVerdict verdict = RunStoreSchedules(IsolationLevel::kSnapshot);
  EXPECT_EQ(verdict.failure, "");
  EXPECT_GT(verdict.count, 1'000u);
}

// What a store without indexes cannot be asked is listed, and is nothing but scans, unique values,
// comparisons of indexes and sync points.
TEST(IsolationSchedulesTest, SchedulesThatDoNotRunSayWhy) {
  const auto results =
      RunHermitage([] { return std::make_unique<StoreSubject>(); }, IsolationLevel::kSnapshot);
  uint32_t passed = 0;
  for (const ScheduleResult& result : results) {
    if (result.verdict == ScheduleResult::Verdict::kPassed) {
      ++passed;
    } else {
      EXPECT_EQ(result.verdict, ScheduleResult::Verdict::kNotRun) << result.name;
      EXPECT_NE(result.detail, "") << result.name;
    }
  }
  EXPECT_GE(passed, 12u) << DescribeSchedules(results);
  std::printf("%s", DescribeSchedules(results).c_str());
}

TEST(IsolationSchedulesTest, SerializableIsRefusedWithTheWayOut) {
  Store store = *Store::OpenInMemory(TestStoreOptions());
  Session session = *store.NewSession();
  TransactionOptions options;
  options.isolation = flagstone::IsolationLevel::kSerializable;
  const Result<Transaction> begun = session.Begin(options);
  EXPECT_EQ(begun.code(), StatusCode::kUnsupported);
  EXPECT_NE(begun.status().message().find("kSnapshot"), std::string::npos);
}

}  // namespace
}  // namespace flagstone::testkit
