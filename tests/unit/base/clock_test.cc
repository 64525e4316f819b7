#include "flagstone/clock.h"

#include <gtest/gtest.h>

#include "lib/base/manual_clock.h"

namespace flagstone {
namespace {

using base::ManualClock;

constexpr int64_t kNanosPerSecond = 1'000'000'000;

TEST(SystemClockTest, WallClocksAgreeAndStandAfterThisWasWritten) {
  constexpr int64_t kNovember2025 = 1'762'000'000;
  const int64_t before = SystemClock().UnixSecondsCoarse();
  const int64_t nanos = SystemClock().UnixNanos();
  EXPECT_GT(before, kNovember2025);
  // The coarse clock lags by at most a scheduler tick, so a second's edge may lie between the two.
  EXPECT_GE(nanos / kNanosPerSecond, before);
  EXPECT_LE(nanos / kNanosPerSecond, before + 60);
}

TEST(SystemClockTest, MonotonicTimeNeverGoesBack) {
  int64_t last = SystemClock().MonotonicNanos();
  for (int i = 0; i < 10'000; ++i) {
    const int64_t now = SystemClock().MonotonicNanos();
    ASSERT_GE(now, last);
    last = now;
  }
}

TEST(ManualClockTest, TimePassesOnBothClocks) {
  ManualClock clock(1000);
  clock.AdvanceNanos(1'500'000'000);
  EXPECT_EQ(clock.UnixNanos(), 1001 * kNanosPerSecond + 500'000'000);
  EXPECT_EQ(clock.UnixSecondsCoarse(), 1001);
  EXPECT_EQ(clock.MonotonicNanos(), 1'500'000'000);
}

TEST(ManualClockTest, SettingTheWallClockTakesNoTime) {
  ManualClock clock(1000);
  clock.StepWallSeconds(-400);
  EXPECT_EQ(clock.UnixSecondsCoarse(), 600);
  clock.SetWallSeconds(5);
  EXPECT_EQ(clock.UnixSecondsCoarse(), 5);
  EXPECT_EQ(clock.MonotonicNanos(), 0);
}

TEST(ManualClockTest, AFrozenWallClockStandsWhileTimePasses) {
  ManualClock clock(1000);
  clock.AdvanceFrozenSeconds(7);
  EXPECT_EQ(clock.UnixSecondsCoarse(), 1000);
  EXPECT_EQ(clock.MonotonicNanos(), 7 * kNanosPerSecond);
}

TEST(ManualClockTest, SecondsBefore1970RoundTowardsThePast) {
  ManualClock clock(0);
  clock.StepWallSeconds(-2);
  clock.AdvanceNanos(500'000'000);
  EXPECT_EQ(clock.UnixSecondsCoarse(), -2);
}

}  // namespace
}  // namespace flagstone
