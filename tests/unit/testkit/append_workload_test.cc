#include "tests/support/append_workload.h"

#include <gtest/gtest.h>

#include "tests/support/black_box_checker.h"
#include "tests/support/white_box_checker.h"
#include "tests/unit/testkit/toy_mvcc.h"

namespace flagstone::testkit {
namespace {

struct Verdict {
  BlackBoxReport black;
  WhiteBoxReport white;
};

Verdict Judge(ToyBug bug, AppendWorkloadOptions options) {
  ToyMvcc store(bug);
  const AppendWorkloadResult result = RunAppendWorkload(
      options, [&](uint32_t) { return std::make_unique<ToyAppendSession>(store); });
  EXPECT_EQ(result.error, "") << result.description;
  EXPECT_TRUE(result.history.ends_with_full_read);
  BlackBoxOptions black;
  black.level = options.level;
  WhiteBoxOptions white;
  white.level = options.level;
  return {CheckBlackBox(result.history, black), CheckWhiteBox(result.history, white)};
}

constexpr uint32_t kKeyLives[] = {kShortKeyLife, kLongKeyLife};
constexpr IsolationLevel kLevels[] = {IsolationLevel::kReadCommitted, IsolationLevel::kSnapshot,
                                      IsolationLevel::kSerializable};

// What: correct engines are never accused, and the weaker level shows that it is weaker.
TEST(AppendWorkloadTest, CorrectEnginesPassUnderThreads) {
  for (const IsolationLevel level : kLevels) {
    for (const uint32_t key_life : kKeyLives) {
      for (uint64_t seed = 1; seed <= 3; ++seed) {
        AppendWorkloadOptions options;
        options.level = level;
        options.appends_per_key = key_life;
        options.seed = seed;
        const Verdict verdict = Judge(ToyBug::kNone, options);
        EXPECT_TRUE(verdict.black.ok()) << verdict.black.ToString();
        EXPECT_TRUE(verdict.white.ok()) << verdict.white.ToString();
        EXPECT_GT(verdict.white.reads_checked, 2'560u);
      }
    }
  }
}

TEST(AppendWorkloadTest, SnapshotShowsWriteSkewAndSerializableDoesNot) {
  for (const uint32_t key_life : kKeyLives) {
    for (uint64_t seed = 1; seed <= 5; ++seed) {
      AppendWorkloadOptions options;
      options.scheduling = SessionScheduling::kInterleaved;
      options.appends_per_key = key_life;
      options.seed = seed;
      const Verdict snapshot = Judge(ToyBug::kNone, options);
      EXPECT_TRUE(snapshot.black.ok()) << snapshot.black.ToString();
      EXPECT_GT(snapshot.black.count(AnomalyKind::kG2Item), 0u) << "seed " << seed;
      options.level = IsolationLevel::kSerializable;
      const Verdict serializable = Judge(ToyBug::kNone, options);
      EXPECT_TRUE(serializable.black.ok()) << serializable.black.ToString();
      EXPECT_EQ(serializable.black.count(AnomalyKind::kG2Item), 0u);
    }
  }
}

TEST(AppendWorkloadTest, InterleavedHistoriesFollowFromTheSeed) {
  const auto run = [](uint64_t seed) {
    AppendWorkloadOptions options;
    options.scheduling = SessionScheduling::kInterleaved;
    options.txns = 200;
    options.seed = seed;
    ToyMvcc store(ToyBug::kNone);
    const History history = RunAppendWorkload(options, [&](uint32_t) {
                              return std::make_unique<ToyAppendSession>(store);
                            }).history;
    std::string text;
    for (const HistoryTxn& txn : history.txns) {
      text += std::to_string(txn.start_ts) + ":" + std::to_string(txn.commit_ts) + ":" +
              std::to_string(txn.ops.size()) + " ";
    }
    return text;
  };
  EXPECT_EQ(run(7), run(7));
  EXPECT_NE(run(7), run(8));
}

TEST(AppendWorkloadTest, EngineErrorsAreReportedWithTheirPlace) {
  class Failing : public ToyAppendSession {
   public:
    using ToyAppendSession::ToyAppendSession;
    StepOutcome Commit() override { return StepOutcome::kError; }
  };
  ToyMvcc store(ToyBug::kNone);
  AppendWorkloadOptions options;
  options.txns = 100;
  const AppendWorkloadResult result =
      RunAppendWorkload(options, [&](uint32_t) { return std::make_unique<Failing>(store); });
  EXPECT_NE(result.error.find("commit of k=0 answered error"), std::string::npos) << result.error;
}

struct BugCase {
  const char* name;
  ToyBug bug;
  IsolationLevel level;
};

class AppendWorkloadBugTest : public testing::TestWithParam<BugCase> {};

INSTANTIATE_TEST_SUITE_P(
    Toys, AppendWorkloadBugTest,
    testing::Values(
        BugCase{"NoFirstCommitterWins", ToyBug::kNoFirstCommitterWins, IsolationLevel::kSnapshot},
        BugCase{"ChecksFirstKeyOnly", ToyBug::kChecksFirstKeyOnly, IsolationLevel::kSnapshot},
        BugCase{"ReadsLatest", ToyBug::kReadsLatest, IsolationLevel::kSnapshot},
        BugCase{"DirtyReads", ToyBug::kDirtyReads, IsolationLevel::kSnapshot},
        BugCase{"ReclaimsTooEarly", ToyBug::kReclaimsTooEarly, IsolationLevel::kSnapshot},
        BugCase{"ValidateThenInstall", ToyBug::kValidateThenInstall, IsolationLevel::kSnapshot},
        BugCase{"ValidateThenInstallSerializable", ToyBug::kValidateThenInstall,
                IsolationLevel::kSerializable},
        BugCase{"NoReadValidation", ToyBug::kNoReadValidation, IsolationLevel::kSerializable},
        BugCase{"AbsentKeysNotTracked", ToyBug::kAbsentKeysNotTracked,
                IsolationLevel::kSerializable},
        BugCase{"StaleSnapshot", ToyBug::kStaleSnapshot, IsolationLevel::kSnapshot},
        BugCase{"LosesWrites", ToyBug::kLosesWrites, IsolationLevel::kSnapshot}),
    [](const auto& info) { return info.param.name; });

// What: each checker alone finds each planted bug within one history of 2,560 transactions.
// How:  both key lives, a few seeds; the bug must show in at least one history per checker. A race
//       needs real threads, everything else runs interleaved and is the same every time.
TEST_P(AppendWorkloadBugTest, BothCheckersFindIt) {
  const BugCase& planted = GetParam();
  uint32_t black = 0;
  uint32_t white = 0;
  uint32_t histories = 0;
  for (const uint32_t key_life : kKeyLives) {
    for (uint64_t seed = 1; seed <= 3; ++seed) {
      AppendWorkloadOptions options;
      options.level = planted.level;
      options.appends_per_key = key_life;
      options.seed = seed;
      if (planted.bug != ToyBug::kValidateThenInstall) {
        options.scheduling = SessionScheduling::kInterleaved;
      }
      const Verdict verdict = Judge(planted.bug, options);
      ++histories;
      black += verdict.black.ok() ? 0 : 1;
      white += verdict.white.ok() ? 0 : 1;
      if (seed == 1 && !verdict.black.ok()) {
        std::printf("%s\n", verdict.black.forbidden[0].substr(0, 160).c_str());
      }
    }
  }
  std::printf("caught in %u (black box) and %u (white box) of %u histories\n", black, white,
              histories);
  EXPECT_GT(black, 0u);
  EXPECT_GT(white, 0u);
}

}  // namespace
}  // namespace flagstone::testkit
