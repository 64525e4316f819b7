// What: medians, the interval that holds them, and when a goal counts as met.
#include "bench/kit/estimate.h"

#include <gtest/gtest.h>

#include <cmath>

#include "lib/base/random.h"

namespace flagstone::bench {
namespace {

TEST(EstimateTest, TheMedianIsTheMiddleOrTheMeanOfTheTwoMiddles) {
  EXPECT_EQ(MedianOf({3, 1, 2}), 2);
  EXPECT_EQ(MedianOf({4, 1, 3, 2}), 2.5);
  EXPECT_EQ(MedianOf({7}), 7);
}

TEST(EstimateTest, QuotientsAreTakenRoundByRound) {
  EXPECT_EQ(Quotient({2, 9}, {1, 3}), (Series{2, 3}));
}

TEST(EstimateTest, FewRoundsSpanFromTheSmallestToTheLargest) {
  const Estimate estimate = EstimateOf({5, 1, 4, 2, 3});
  EXPECT_EQ(estimate.low, 1);
  EXPECT_EQ(estimate.median, 3);
  EXPECT_EQ(estimate.high, 5);
  EXPECT_EQ(estimate.rounds, 5u);
  EXPECT_DOUBLE_EQ(estimate.spread(), 2.0 / 3);
}

TEST(EstimateTest, MoreRoundsLeaveTheOutermostOnesOut) {
  // Two-sided 90 % of the sign test: nothing to leave out up to 7, one at each end from 8, two from
  // 11, three from 13.
  const auto low_of = [](size_t n) {
    Series values;
    for (size_t i = 0; i < n; ++i) values.push_back(static_cast<double>(i));
    const Estimate estimate = EstimateOf(values);
    EXPECT_EQ(estimate.low + estimate.high, static_cast<double>(n - 1));
    return estimate.low;
  };
  EXPECT_EQ(low_of(7), 0);
  EXPECT_EQ(low_of(8), 1);
  EXPECT_EQ(low_of(10), 1);
  EXPECT_EQ(low_of(11), 2);
  EXPECT_EQ(low_of(13), 3);
}

TEST(EstimateTest, TheIntervalHoldsTheTrueMedianNineTimesInTen) {
  base::Random random(17);
  constexpr int kTrials = 20'000;
  int held = 0;
  for (int trial = 0; trial < kTrials; ++trial) {
    Series values;
    // Skewed, as timings are; its median is 0.25.
    for (int i = 0; i < 11; ++i) values.push_back(std::pow(random.Fraction(), 2));
    const Estimate estimate = EstimateOf(values);
    if (estimate.low <= 0.25 && 0.25 <= estimate.high) ++held;
  }
  EXPECT_GT(held, kTrials * 9 / 10);
}

Estimate Between(double low, double high, size_t rounds = 5) {
  return {(low + high) / 2, low, high, rounds};
}

TEST(EstimateTest, AGoalIsMetOrMissedByTheWholeIntervalOnly) {
  EXPECT_EQ(Judge(Between(1.1, 1.3), AtMost(1.35)), Verdict::kMet);
  EXPECT_EQ(Judge(Between(1.1, 1.35), AtMost(1.35)), Verdict::kMet);
  EXPECT_EQ(Judge(Between(1.3, 1.4), AtMost(1.35)), Verdict::kUndecidable);
  EXPECT_EQ(Judge(Between(1.36, 1.4), AtMost(1.35)), Verdict::kMissed);
  EXPECT_EQ(Judge(Between(1.36, 1.4), AtLeast(1.3)), Verdict::kMet);
  EXPECT_EQ(Judge(Between(1.2, 1.4), AtLeast(1.3)), Verdict::kUndecidable);
  EXPECT_EQ(Judge(Between(1.1, 1.2), AtLeast(1.3)), Verdict::kMissed);
}

TEST(EstimateTest, NothingIsJudgedWithoutAGoalOrByFewerThanFiveRounds) {
  EXPECT_EQ(Judge(Between(1, 2), std::nullopt), Verdict::kNotJudged);
  EXPECT_EQ(Judge(Between(1, 1.1, 4), AtMost(2)), Verdict::kNotJudged);
  EXPECT_EQ(Judge(Exactly(0), AtMost(0)), Verdict::kMet);
  EXPECT_EQ(Judge(Exactly(1), AtMost(0)), Verdict::kMissed);
}

TEST(EstimateTest, AChangeCountsWhenTheIntervalsDoNotTouch) {
  using Side = Goal::Side;
  EXPECT_EQ(Compare(Between(1.0, 1.2), Between(1.1, 1.3), Side::kAtMost), Change::kWithinSpread);
  EXPECT_EQ(Compare(Between(1.0, 1.1), Between(1.2, 1.3), Side::kAtMost), Change::kBetter);
  EXPECT_EQ(Compare(Between(1.4, 1.5), Between(1.2, 1.3), Side::kAtMost), Change::kWorse);
  EXPECT_EQ(Compare(Between(1.4, 1.5), Between(1.2, 1.3), Side::kAtLeast), Change::kBetter);
  EXPECT_EQ(Compare(Between(1.0, 1.1), Between(1.2, 1.3), Side::kAtLeast), Change::kWorse);
  EXPECT_EQ(Compare(Between(1.0, 1.1, 2), Between(1.2, 1.3), Side::kAtLeast), Change::kNotJudged);
  EXPECT_EQ(Compare(Exactly(2), Exactly(1), Side::kAtMost), Change::kWorse);
}

}  // namespace
}  // namespace flagstone::bench
