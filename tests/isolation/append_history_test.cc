// What: under real threads and background maintenance every history is what its level allows.
// How:  random transactions that append to lists, judged by dependency cycles and by timestamps,
// for
//       short and long lives of keys. Row 6 of the scorecard.
#include <gtest/gtest.h>

#include <chrono>
#include <cstdio>

#include "tests/support/append_workload.h"
#include "tests/support/scorecard.h"
#include "tests/support/store_workloads.h"
#include "tests/support/test_scale.h"

namespace flagstone::testkit {
namespace {

constexpr uint32_t kTxnsPerHistory = 2'560;
// The 512,000 transactions of a submission, the 100 million of a long run.
constexpr uint64_t kHistories = 200;
constexpr uint64_t kHistoriesLong = 39'063;

TEST(AppendHistoryTest, EveryHistoryIsWhatItsLevelAllows) {
  ScorecardRow row = IsolationRow();
  const uint64_t histories = tests::RowCount(kHistories, kHistoriesLong);
  uint64_t snapshot_histories = 0;
  uint64_t write_skews = 0;
  const auto begin = std::chrono::steady_clock::now();
  for (uint64_t i = 0; i < histories; ++i) {
    AppendHistoryOptions options;
    options.level = i % 4 == 3 ? IsolationLevel::kReadCommitted : IsolationLevel::kSnapshot;
    options.appends_per_key = i % 2 == 0 ? kShortKeyLife : kLongKeyLife;
    options.txns = kTxnsPerHistory;
    options.seed = row.seed + i;
    const WorkloadVerdict verdict = RunStoreAppendHistory(options);
    row.count += verdict.count;
    if (!verdict.failure.empty()) {
      ++row.failures;
      ADD_FAILURE() << verdict.failure;
      break;
    }
    if (options.level == IsolationLevel::kSnapshot) {
      ++snapshot_histories;
      write_skews += verdict.write_skews;
    }
  }
  // Without write skew a run under snapshot isolation was too tame to prove anything.
  if (snapshot_histories >= 8) {
    EXPECT_GT(write_skews, 0u);
  }
  const double seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  std::printf("%llu transactions in %.1f s, %llu write skews\n",
              static_cast<unsigned long long>(row.count), seconds,
              static_cast<unsigned long long>(write_skews));
  row.Record();
}

TEST(AppendHistoryTest, ASnapshotSeesTransactionsWhole) {
  const WorkloadVerdict verdict = RunTransferWatch(tests::ScaledCount(20'000));
  EXPECT_EQ(verdict.failure, "");
  EXPECT_GT(verdict.count, 0u);
}

}  // namespace
}  // namespace flagstone::testkit
