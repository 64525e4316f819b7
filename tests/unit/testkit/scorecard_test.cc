#include "tests/support/scorecard.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <sstream>

#include "tests/support/planted_bugs.h"

namespace flagstone::testkit {
namespace {

ScorecardRow Kernels() {
  ScorecardRow row;
  row.number = 17;
  row.name = "lock-free kernels";
  row.unit = "executions";
  row.count = 1'000;
  row.seed = 7;
  row.Caught("no barrier");
  return row;
}

TEST(ScorecardTest, GradesAskForEvidence) {
  ScorecardRow row = Kernels();
  EXPECT_EQ(row.grade(), ScorecardGrade::kGreen);
  row.Missed("no release");
  EXPECT_EQ(row.grade(), ScorecardGrade::kRed);
  row = Kernels();
  row.failures = 1;
  EXPECT_EQ(row.grade(), ScorecardGrade::kRed);
  row = Kernels();
  row.bugs_caught.clear();
  EXPECT_EQ(row.grade(), ScorecardGrade::kAmber);
  row = Kernels();
  row.count = 0;
  EXPECT_EQ(row.grade(), ScorecardGrade::kAmber);
}

TEST(ScorecardTest, RowsOfManyProgramsAreAddedUp) {
  ScorecardRow other = Kernels();
  other.count = 500;
  other.bugs_caught = {"no release"};
  other.bugs_missed = {"no barrier"};
  ScorecardRow earlier = Kernels();
  earlier.number = 6;
  earlier.name = "isolation on records";
  earlier.unit = "transactions";
  earlier.bugs_caught.clear();
  const Scorecard card = ParseScorecard(EncodeScorecardRow(Kernels()) +
                                        EncodeScorecardRow(earlier) + EncodeScorecardRow(other));
  EXPECT_EQ(card.error, "");
  EXPECT_EQ(
      FormatScorecard(card),
      "6 isolation on records: amber, 1000 transactions, seed 7, planted bugs 0/0\n"
      "17 lock-free kernels: green, 1500 executions, seed 7, planted bugs 2/2 (no barrier, no "
      "release)\n");
}

TEST(ScorecardTest, ForeignLinesAreErrors) {
  EXPECT_NE(ParseScorecard("hello\n").error, "");
  EXPECT_NE(ParseScorecard("x\ta\tb\t1\t0\t1\t\t\n").error, "");
  EXPECT_EQ(ParseScorecard("").error, "");
}

TEST(ScorecardTest, RecordAppendsToTheFileOfTheEnvironment) {
  std::string path = testing::TempDir() + "scorecard_XXXXXX";
  const int file = mkstemp(path.data());
  ASSERT_GE(file, 0);
  close(file);
  const char* const former = std::getenv("FLAGSTONE_SCORECARD");
  const std::string restored = former == nullptr ? "" : former;
  setenv("FLAGSTONE_SCORECARD", path.c_str(), 1);
  Kernels().Record();
  Kernels().Record();
  if (former == nullptr) {
    unsetenv("FLAGSTONE_SCORECARD");
  } else {
    setenv("FLAGSTONE_SCORECARD", restored.c_str(), 1);
  }
  std::ifstream in(path);
  std::ostringstream text;
  text << in.rdbuf();
  unlink(path.c_str());
  const Scorecard card = ParseScorecard(text.str());
  ASSERT_EQ(card.rows.size(), 1u);
  EXPECT_EQ(card.rows[0].count, 2'000u);
}

enum class SumBug : uint8_t { kNone, kOffByOne, kHarmless, kCount };

TEST(PlantedBugsTest, MissedBugsAreNamed) {
  ScorecardRow row = Kernels();
  row.bugs_caught.clear();
  const std::string problems = ProveByPlantedBugs<SumBug>(
      row, [](SumBug bug) { return bug == SumBug::kOffByOne ? "off by one" : "harmless"; },
      [](SumBug bug) {
        const int sum = WithPlantedBug(bug, [](auto constant) {
          return 2 + 2 + (decltype(constant)::value == SumBug::kOffByOne ? 1 : 0);
        });
        return CheckVerdict{1, sum == 4 ? "" : "the sum is wrong"};
      });
  EXPECT_EQ(problems, "planted bug not caught: harmless\n");
  EXPECT_EQ(row.bugs_caught, std::vector<std::string>{"off by one"});
  EXPECT_EQ(row.bugs_missed, std::vector<std::string>{"harmless"});
  EXPECT_EQ(row.grade(), ScorecardGrade::kRed);
}

}  // namespace
}  // namespace flagstone::testkit
