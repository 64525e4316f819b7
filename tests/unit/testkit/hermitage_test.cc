#include "tests/support/hermitage.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>

#include "tests/unit/testkit/toy_mvcc.h"

namespace flagstone::testkit {
namespace {

IsolationSubjectFactory Toy(ToyBug bug) {
  return [bug] { return std::make_unique<ToySubject>(bug); };
}

IsolationSubjectFactory UniqueToy(ToyBug bug) {
  return [bug] { return std::make_unique<ToySubject>(bug, ToySubject::Values::kUnique); };
}

InterleavingReport RunAllScripts(ToyBug bug, IsolationLevel level) {
  InterleavingReport total;
  for (const SessionScripts& scripts : StandardScripts()) {
    total.Add(RunAllInterleavings(Toy(bug), scripts, level));
  }
  return total;
}

TEST(HermitageTest, CorrectEnginePassesEverySchedule) {
  for (const IsolationLevel level :
       {IsolationLevel::kReadCommitted, IsolationLevel::kSnapshot, IsolationLevel::kSerializable}) {
    const auto results = RunHermitage(Toy(ToyBug::kNone), level);
    ASSERT_EQ(results.size(), kHermitageSchedules);
    EXPECT_EQ(DescribeFailures(results), "") << IsolationLevelName(level);
    std::printf("%s:\n%s", std::string(IsolationLevelName(level)).c_str(),
                DescribeSchedules(results).c_str());
  }
}

TEST(HermitageTest, EveryScheduleRunsWhereEveryCapabilityIsThere) {
  for (const IsolationLevel level : {IsolationLevel::kSnapshot, IsolationLevel::kSerializable}) {
    for (const ScheduleResult& result : RunHermitage(UniqueToy(ToyBug::kNone), level)) {
      EXPECT_EQ(result.verdict, ScheduleResult::Verdict::kPassed)
          << result.number << " " << result.name << ": " << result.detail;
    }
  }
}

TEST(HermitageTest, WhatDidNotRunSaysWhy) {
  const auto results = RunHermitage(Toy(ToyBug::kNone), IsolationLevel::kSerializable);
  uint32_t not_run = 0;
  for (const ScheduleResult& result : results) {
    if (result.verdict != ScheduleResult::Verdict::kNotRun) continue;
    ++not_run;
    EXPECT_NE(result.detail.find("needs "), std::string::npos);
  }
  EXPECT_EQ(not_run, 1u);  // unique value
}

struct BugCase {
  ToyBug bug;
  IsolationLevel level;
  std::vector<uint32_t> schedules;  // at least these fail
};

TEST(HermitageTest, PlantedBugsFailTheirSchedules) {
  constexpr auto kSi = IsolationLevel::kSnapshot;
  constexpr auto kSer = IsolationLevel::kSerializable;
  const std::vector<BugCase> cases = {
      {ToyBug::kNoFirstCommitterWins, kSi, {5, 7, 8, 11, 16, 21}},
      {ToyBug::kReadsLatest, kSi, {3, 6, 9, 10, 19}},
      {ToyBug::kDirtyReads, kSi, {2, 3, 4}},
      {ToyBug::kNoReadValidation, kSer, {4, 12, 13, 14, 15, 17}},
      {ToyBug::kAbsentKeysNotTracked, kSer, {15}},
      {ToyBug::kScansNotTracked, kSer, {13, 17}},
      {ToyBug::kInstallsHalf, kSi, {24}},
      {ToyBug::kUniqueNotChecked, kSi, {20}},
      {ToyBug::kAbortLeaks, kSi, {2, 23}},
  };
  for (const BugCase& planted : cases) {
    const auto results = RunHermitage(UniqueToy(planted.bug), planted.level);
    for (const uint32_t number : planted.schedules) {
      EXPECT_EQ(results[number - 1].verdict, ScheduleResult::Verdict::kFailed)
          << "bug " << static_cast<int>(planted.bug) << " was not found by schedule " << number;
    }
  }
}

TEST(InterleavingsTest, CorrectEnginePassesAllOfThem) {
  for (const IsolationLevel level :
       {IsolationLevel::kReadCommitted, IsolationLevel::kSnapshot, IsolationLevel::kSerializable}) {
    const InterleavingReport report = RunAllScripts(ToyBug::kNone, level);
    EXPECT_TRUE(report.ok()) << report.ToString();
    std::printf("%s: %s\n", std::string(IsolationLevelName(level)).c_str(),
                report.ToString().c_str());
  }
}

TEST(InterleavingsTest, TheirNumberIsTheBinomialCoefficient) {
  const auto& scripts = StandardScripts();
  const auto find = [&](const char* name) {
    return *std::find_if(scripts.begin(), scripts.end(),
                         [&](const SessionScripts& s) { return s.name == name; });
  };
  const auto count = [&](const char* name) {
    return RunAllInterleavings(Toy(ToyBug::kNone), find(name), IsolationLevel::kSnapshot)
        .interleavings;
  };
  EXPECT_EQ(count("lost update"), 70u);  // 4 + 4 steps
  EXPECT_EQ(count("write skew"), 252u);  // 5 + 5 steps
}

TEST(InterleavingsTest, WriteSkewShowsUnderSnapshotOnly) {
  EXPECT_GT(RunAllScripts(ToyBug::kNone, IsolationLevel::kSnapshot).not_serializable, 0u);
  EXPECT_EQ(RunAllScripts(ToyBug::kNone, IsolationLevel::kSerializable).not_serializable, 0u);
}

TEST(InterleavingsTest, PlantedBugsAreFound) {
  constexpr auto kSi = IsolationLevel::kSnapshot;
  constexpr auto kSer = IsolationLevel::kSerializable;
  for (const auto& [bug, level] : std::initializer_list<std::pair<ToyBug, IsolationLevel>>{
           {ToyBug::kNoFirstCommitterWins, kSi},
           {ToyBug::kChecksFirstKeyOnly, kSi},
           {ToyBug::kReadsLatest, kSi},
           {ToyBug::kDirtyReads, kSi},
           {ToyBug::kDirtyReads, IsolationLevel::kReadCommitted},
           {ToyBug::kNoReadValidation, kSer},
           {ToyBug::kAbsentKeysNotTracked, kSer}}) {
    EXPECT_FALSE(RunAllScripts(bug, level).ok()) << static_cast<int>(bug);
  }
}

}  // namespace
}  // namespace flagstone::testkit
