// What: snapshots, guards, the retained past and the latest state agree with a model, whatever
//       reclamation does in between. Row 8 of the scorecard.
// How:  seeded histories on one thread, maintenance after each commit; see store_workloads.h.
#include <gtest/gtest.h>

#include "tests/support/scorecard.h"
#include "tests/support/store_workloads.h"
#include "tests/support/test_scale.h"

namespace flagstone::testkit {
namespace {

TEST(PinnedHistoryTest, SnapshotsAndGuardsAgreeWithTheModelUnderReclamation) {
  ScorecardRow row = ReclamationRow();
  const uint64_t runs = tests::RowCount(2'000, 500'000);
  uint64_t commits = 0;
  for (; row.count < runs; ++row.count) {
    PinnedHistoryOptions options;
    options.seed = row.seed + row.count;
    const WorkloadVerdict verdict = RunPinnedHistory(options);
    commits += verdict.count;
    if (!verdict.failure.empty()) {
      ++row.failures;
      ADD_FAILURE() << verdict.failure;
      break;
    }
  }
  EXPECT_GE(commits, row.count * 300);
  row.Record();
}

TEST(PinnedHistoryTest, LongHistoriesAgreeToo) {
  for (uint64_t seed = 1; seed <= tests::ScaledCount(4); ++seed) {
    PinnedHistoryOptions options;
    options.seed = 1'000'000 + seed;
    options.commits = 5'000;
    options.commits_per_scan = 500;
    const WorkloadVerdict verdict = RunPinnedHistory(options);
    EXPECT_EQ(verdict.failure, "");
    EXPECT_GE(verdict.count, 5'000u);
  }
}

// Runs of slots of several lengths beside single slots of their class, and payloads that pretend to
// be records.
TEST(PinnedHistoryTest, HistoriesWithLongRecordsAgreeToo) {
  for (uint64_t seed = 1; seed <= tests::ScaledCount(20); ++seed) {
    PinnedHistoryOptions options;
    options.seed = 2'000'000 + seed;
    options.lengths = RecordLengths::kAll;
    const WorkloadVerdict verdict = RunPinnedHistory(options);
    ASSERT_EQ(verdict.failure, "");
    EXPECT_GE(verdict.count, 300u);
  }
}

TEST(StoreModelHistoryTest, RandomHistoriesAgreeWithAMap) {
  const uint64_t runs = tests::ScaledCount(150);
  for (uint64_t seed = 1; seed <= runs; ++seed) {
    const WorkloadVerdict verdict = RunStoreModelHistory(seed);
    ASSERT_EQ(verdict.failure, "");
    ASSERT_GT(verdict.count, 0u);
  }
}

}  // namespace
}  // namespace flagstone::testkit
