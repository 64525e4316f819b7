// TickSource rule by rule; tick_script_test.cc plays random lives, tick_source_stress_test.cc
// threads.
#include "lib/id/tick_source.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>

#include "lib/base/manual_clock.h"
#include "tests/unit/id/scripted_lease_storage.h"

namespace flagstone::id {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

constexpr int64_t kNow = 1'795'249'000;  // 2026-11-21
constexpr int64_t kDay = 86400;

class TickSourceTest : public ::testing::Test {
 protected:
  void Open(StoreOrigin origin = StoreOrigin::kOwnFiles, ClockJumps jumps = ClockJumps::kBounded) {
    source_.reset();
    Result<std::unique_ptr<TickSource>> opened = TryOpen(origin, jumps);
    ASSERT_TRUE(opened.ok()) << opened.status().ToString();
    source_ = *std::move(opened);
  }
  Result<std::unique_ptr<TickSource>> TryOpen(StoreOrigin origin = StoreOrigin::kOwnFiles,
                                              ClockJumps jumps = ClockJumps::kBounded) {
    return TickSource::Open({codec_, clock_, storage_, origin, jumps});
  }
  void Crash() {
    source_.reset();
    storage_.Restart();
  }
  uint32_t WallTick() { return codec_.TickAt(clock_.UnixSecondsCoarse()); }
  void RefreshAndRenew() {
    source_->Refresh();
    if (source_->RenewalDue()) {
      ASSERT_TRUE(source_->Renew().ok());
    }
  }

  IdCodec codec_{id_layouts::kStandalone};
  base::ManualClock clock_{kNow};
  ScriptedLeaseStorage storage_;
  std::unique_ptr<TickSource> source_;
};

TEST_F(TickSourceTest, ANewStoreStartsNowWithALeaseOnDisk) {
  Open();
  EXPECT_EQ(source_->Current(), WallTick());
  EXPECT_EQ(storage_.lease_end, uint64_t{WallTick()} + kLeaseTicks);
}

TEST_F(TickSourceTest, TheFirstTickComesAfterTheFirstLeaseOrNotAtAll) {
  for (const WriteEnds ends :
       {WriteEnds::kFailedUnwritten, WriteEnds::kFailedWritten, WriteEnds::kNoSpace}) {
    storage_.next_write = ends;
    EXPECT_FALSE(TryOpen().ok());
  }
  storage_.load_error = Status::Error(StatusCode::kCorruption, "lease file: bad checksum");
  EXPECT_EQ(TryOpen().code(), StatusCode::kCorruption);
}

TEST_F(TickSourceTest, TicksFollowTheClock) {
  Open();
  for (int second = 0; second < 1000; ++second) {
    clock_.AdvanceSeconds(1);
    RefreshAndRenew();
    ASSERT_EQ(source_->Current(), WallTick());
  }
}

TEST_F(TickSourceTest, TheLeaseIsRenewedAtHalfAndNotBefore) {
  Open();
  clock_.AdvanceSeconds(kLeaseTicks / 2 - 1);
  source_->Refresh();
  EXPECT_FALSE(source_->RenewalDue());
  EXPECT_TRUE(source_->Renew().ok());
  EXPECT_EQ(storage_.asked.size(), 1u);
  clock_.AdvanceSeconds(1);
  source_->Refresh();
  EXPECT_TRUE(source_->RenewalDue());
  EXPECT_TRUE(source_->Renew().ok());
  EXPECT_FALSE(source_->RenewalDue());
  EXPECT_EQ(storage_.asked.size(), 2u);
  EXPECT_EQ(storage_.lease_end, uint64_t{source_->Current()} + kLeaseTicks);
}

TEST_F(TickSourceTest, NoTickLiesBeyondTheLeaseHoweverLateItsRenewal) {
  Open();
  clock_.AdvanceSeconds(10'000);
  EXPECT_EQ(source_->Refresh(), storage_.lease_end - 1);
  ASSERT_TRUE(source_->Renew().ok());
  EXPECT_EQ(source_->Current(), WallTick());
}

TEST_F(TickSourceTest, RefreshGoesOnWhileARenewalIsOnItsWayToDisk) {
  Open();
  const uint64_t first_end = storage_.lease_end;
  clock_.AdvanceSeconds(kLeaseTicks / 2);
  storage_.meanwhile = [&] {
    clock_.AdvanceSeconds(1000);
    EXPECT_EQ(source_->Refresh(), first_end - 1);
  };
  ASSERT_TRUE(source_->Renew().ok());
  EXPECT_EQ(source_->Current(), storage_.lease_end - 1);
}

TEST_F(TickSourceTest, ACrashCostsTheRestOfTheLeaseAndNoTickReturns) {
  Open();
  const uint64_t lease_end = storage_.lease_end;
  Crash();
  Open();
  EXPECT_EQ(source_->Current(), lease_end);
}

TEST_F(TickSourceTest, ACleanCloseCostsOneTick) {
  Open();
  const uint32_t last = source_->Current();
  ASSERT_TRUE(source_->Close().ok());
  EXPECT_EQ(storage_.lease_end, uint64_t{last} + 1);
  Open();
  EXPECT_EQ(source_->Current(), last + 1);
}

TEST_F(TickSourceTest, AClosedSourceStandsStill) {
  Open();
  const uint32_t last = source_->Current();
  ASSERT_TRUE(source_->Close().ok());
  clock_.AdvanceSeconds(100);
  EXPECT_EQ(source_->Refresh(), last);
  EXPECT_EQ(source_->RunAhead(last).code(), StatusCode::kFailedPrecondition);
  EXPECT_EQ(source_->Renew().code(), StatusCode::kFailedPrecondition);
  EXPECT_TRUE(source_->Close().ok());
  EXPECT_EQ(storage_.asked.size(), 2u);
}

TEST_F(TickSourceTest, ACloseThatFailsLeavesALeaseThatCoversAll) {
  for (const WriteEnds ends : {WriteEnds::kFailedUnwritten, WriteEnds::kFailedWritten}) {
    Open();
    const uint32_t last = source_->Current();
    storage_.next_write = ends;
    EXPECT_EQ(source_->Close().code(), StatusCode::kIoError);
    EXPECT_GT(storage_.lease_end, last);
    Crash();
  }
}

TEST_F(TickSourceTest, AFailedRenewalIsFinalAndTheOldLeaseHolds) {
  for (const WriteEnds ends : {WriteEnds::kFailedUnwritten, WriteEnds::kFailedWritten}) {
    Open();
    const uint64_t lease_end = storage_.lease_end;
    clock_.AdvanceSeconds(500);
    storage_.next_write = ends;
    EXPECT_EQ(source_->Renew().code(), StatusCode::kIoError);
    const size_t asked = storage_.asked.size();
    clock_.AdvanceSeconds(500);
    EXPECT_EQ(source_->Refresh(), lease_end - 1);
    EXPECT_EQ(source_->Renew().code(), StatusCode::kIoError);
    EXPECT_EQ(source_->RunAhead(source_->Current()).code(), StatusCode::kIoError);
    EXPECT_EQ(source_->Close().code(), StatusCode::kIoError);
    EXPECT_EQ(storage_.asked.size(), asked) << "a failed sync was tried again";
    EXPECT_EQ(source_->stats().lease_failure_count, 3u);
    Crash();
  }
}

TEST_F(TickSourceTest, AFullDiskMayBeTriedAgain) {
  Open();
  clock_.AdvanceSeconds(500);
  storage_.next_write = WriteEnds::kNoSpace;
  EXPECT_EQ(source_->Renew().code(), StatusCode::kNoSpace);
  EXPECT_TRUE(source_->Renew().ok());
  EXPECT_EQ(source_->Current(), WallTick());
}

TEST_F(TickSourceTest, AClockSetBackSlowsTicksAndNeverTurnsThem) {
  Open();
  const uint32_t before = source_->Current();
  clock_.StepWallSeconds(-3600);
  EXPECT_EQ(source_->Refresh(), before);
  for (int second = 1; second <= 3000; ++second) {
    clock_.AdvanceSeconds(1);
    RefreshAndRenew();
    ASSERT_EQ(source_->Current(), before + second / 2);
  }
}

TEST_F(TickSourceTest, ALeadOverTheClockMeltsAway) {
  Open();
  clock_.StepWallSeconds(-3600);
  for (int second = 0; second < 2 * 3600; ++second) {
    clock_.AdvanceSeconds(1);
    RefreshAndRenew();
  }
  EXPECT_EQ(source_->Current(), WallTick());
}

TEST_F(TickSourceTest, AFrozenClockDoesNotFreezeTicks) {
  Open();
  const uint32_t before = source_->Current();
  for (int second = 0; second < 1000; ++second) {
    clock_.AdvanceFrozenSeconds(1);
    RefreshAndRenew();
  }
  EXPECT_EQ(source_->Current(), before + 500);
}

TEST_F(TickSourceTest, ARestartWithAnEarlierClockStartsBeyondTheLease) {
  Open();
  const uint64_t lease_end = storage_.lease_end;
  Crash();
  for (const int64_t wall : {kNow - 3600, kNow - 300 * kDay, int64_t{0}}) {
    clock_.SetWallSeconds(wall);
    Open();
    EXPECT_GE(source_->Current(), lease_end);
    EXPECT_LT(source_->Current(), lease_end + 3 * kLeaseTicks);
    Crash();
  }
}

TEST_F(TickSourceTest, AForwardStepWithinTheBoundIsFollowed) {
  Open();
  clock_.StepWallSeconds(kClockJumpSecondsMax);
  RefreshAndRenew();
  EXPECT_EQ(source_->Current(), WallTick());
  EXPECT_EQ(source_->stats().clock_disbelieved_count, 0u);
}

TEST_F(TickSourceTest, AForwardStepBeyondTheBoundIsNotBelievedAndTimeGoesOn) {
  Open();
  const uint32_t before = source_->Current();
  clock_.StepWallSeconds(kClockJumpSecondsMax + 1);
  for (int second = 1; second <= 1000; ++second) {
    clock_.AdvanceSeconds(1);
    RefreshAndRenew();
    ASSERT_EQ(source_->Current(), before + second);
  }
  EXPECT_GT(source_->stats().clock_disbelieved_count, 0u);
  EXPECT_LT(source_->stats().ahead_of_clock_ticks, -kClockJumpSecondsMax / 2);
  clock_.StepWallSeconds(-kClockJumpSecondsMax - 1);
  clock_.AdvanceSeconds(1);
  RefreshAndRenew();
  EXPECT_EQ(source_->Current(), WallTick());
}

// What: many steps that each keep the bound do not add up to more than it.
TEST_F(TickSourceTest, ForwardStepsCountTogetherThroughOneLife) {
  Open();
  const uint32_t before = source_->Current();
  for (int step = 0; step < 50; ++step) {
    clock_.StepWallSeconds(100 * kDay);
    clock_.AdvanceSeconds(1);
    RefreshAndRenew();
  }
  EXPECT_LE(source_->Current(), before + kClockJumpSecondsMax + 50);
}

TEST_F(TickSourceTest, RunningAheadIsBoundedAlsoWhenTheClockIsNotBelieved) {
  Open();
  clock_.StepWallSeconds(kClockJumpSecondsMax + kDay);
  const uint32_t before = source_->Refresh();
  int gained = 0;
  while (gained < 1000 && source_->RunAhead(source_->Current()).ok()) ++gained;
  EXPECT_EQ(source_->Current(), before + kRunAheadTicksMax);
}

TEST_F(TickSourceTest, OpeningFarBeyondTheLastLeaseNeedsTheOverride) {
  Open();
  ASSERT_TRUE(source_->Close().ok());
  const uint64_t lease_end = storage_.lease_end;
  clock_.StepWallSeconds(kClockJumpSecondsMax + 2);
  const Result<std::unique_ptr<TickSource>> refused = TryOpen();
  EXPECT_EQ(refused.code(), StatusCode::kFailedPrecondition);
  EXPECT_THAT(refused.status().message(),
              AllOf(HasSubstr("2027-11-22"), HasSubstr("366 days"), HasSubstr("kFollowAll")));
  EXPECT_EQ(storage_.lease_end, lease_end) << "a refusal must burn nothing";
  Open(StoreOrigin::kOwnFiles, ClockJumps::kFollowAll);
  EXPECT_EQ(source_->Current(), WallTick());
  clock_.StepWallSeconds(2 * kClockJumpSecondsMax);
  RefreshAndRenew();
  EXPECT_EQ(source_->Current(), WallTick());
}

TEST_F(TickSourceTest, OpeningWithinTheBoundFollowsTheClock) {
  Open();
  ASSERT_TRUE(source_->Close().ok());
  clock_.StepWallSeconds(kClockJumpSecondsMax);
  Open();
  EXPECT_EQ(source_->Current(), WallTick());
}

TEST_F(TickSourceTest, RunningAheadGivesSixtyTicksAndThenSaysWhatToDo) {
  Open();
  const uint32_t before = source_->Current();
  for (uint32_t ahead = 0; ahead < kRunAheadTicksMax; ++ahead) {
    const Result<uint32_t> tick = source_->RunAhead(before + ahead);
    ASSERT_TRUE(tick.ok()) << tick.status().ToString();
    ASSERT_EQ(*tick, before + ahead + 1);
  }
  const Result<uint32_t> refused = source_->RunAhead(source_->Current());
  EXPECT_EQ(refused.code(), StatusCode::kResourceExhausted);
  EXPECT_THAT(refused.status().message(),
              AllOf(HasSubstr(std::to_string(before + 60)), HasSubstr("60 ahead of the clock"),
                    HasSubstr("limit is 60"), HasSubstr("wait for the next one")));
  EXPECT_EQ(source_->stats().run_ahead_count, kRunAheadTicksMax);
  clock_.AdvanceSeconds(1);
  EXPECT_EQ(*source_->RunAhead(source_->Current()), before + 61);
}

TEST_F(TickSourceTest, TwoCallersWhoFoundTheSameTickExhaustedGainOneTick) {
  Open();
  const uint32_t exhausted = source_->Current();
  const uint32_t first = *source_->RunAhead(exhausted);
  EXPECT_EQ(*source_->RunAhead(exhausted), first);
  EXPECT_EQ(source_->stats().run_ahead_count, 1u);
}

TEST_F(TickSourceTest, TimeThatHasPassedIsTakenBeforeRunningAhead) {
  Open();
  const uint32_t exhausted = source_->Current();
  clock_.AdvanceSeconds(10);
  EXPECT_EQ(*source_->RunAhead(exhausted), exhausted + 10);
  EXPECT_EQ(source_->stats().run_ahead_count, 0u);
}

TEST_F(TickSourceTest, RunningAheadExtendsTheLeaseFirst) {
  Open();
  clock_.AdvanceSeconds(kLeaseTicks - 1);
  const uint32_t last_covered = source_->Refresh();
  ASSERT_EQ(last_covered + 1, storage_.lease_end);
  storage_.meanwhile = [&] { EXPECT_EQ(source_->Current(), last_covered); };
  EXPECT_EQ(*source_->RunAhead(last_covered), last_covered + 1);
  EXPECT_GT(storage_.lease_end, last_covered + 1);
}

TEST_F(TickSourceTest, AnExhaustedLeaseIsExtendedEvenFarAheadOfTheClock) {
  Open();
  clock_.StepWallSeconds(-10 * kDay);
  clock_.AdvanceSeconds(1000);
  const uint32_t covered = source_->Refresh();
  ASSERT_EQ(covered + 1, storage_.lease_end);
  const Result<uint32_t> later = source_->RunAhead(covered);
  ASSERT_TRUE(later.ok()) << later.status().ToString();
  EXPECT_GT(*later, covered);
}

TEST_F(TickSourceTest, ARestoredStoreStartsAboveAllThatAnotherLifeCanHaveIssued) {
  Open();
  const uint64_t backup = storage_.lease_end;
  clock_.AdvanceSeconds(5000);
  RefreshAndRenew();
  while (source_->RunAhead(source_->Current()).ok()) continue;
  const uint32_t last_of_origin = source_->Current();
  Crash();
  storage_.lease_end = backup;
  Open(StoreOrigin::kRestored);
  EXPECT_GT(source_->Current(), last_of_origin);
  EXPECT_EQ(source_->Current(), WallTick() + kRunAheadTicksMax + 1);
}

TEST_F(TickSourceTest, ARewoundStoreAlsoStartsAboveTheLeaseOfItsDiscardedTail) {
  storage_.lease_end = WallTick() + 5000;
  Open(StoreOrigin::kRestored);
  EXPECT_EQ(source_->Current(), WallTick() + 5000);
}

// What: an imported ID is not issued again by this life, nor by a later one, whose slots have
//       forgotten it.
TEST_F(TickSourceTest, AGivenTickIsPassedAndCoveredByTheLease) {
  Open();
  const uint32_t given = source_->Current() + 3000;
  storage_.meanwhile = [&] { EXPECT_LT(source_->Current(), given); };
  ASSERT_TRUE(source_->RaiseAbove(given).ok());
  storage_.meanwhile = nullptr;
  EXPECT_EQ(source_->Current(), given + 1);
  EXPECT_GT(storage_.lease_end, given + 1);
  EXPECT_TRUE(source_->RaiseAbove(given - 100).ok());
  EXPECT_EQ(source_->Current(), given + 1);
  EXPECT_TRUE(source_->RaiseAbove(given + 1).ok());
  EXPECT_EQ(source_->Current(), given + 2);
  ASSERT_TRUE(source_->Close().ok());
  Open();
  EXPECT_GT(source_->Current(), given + 2);
}

TEST_F(TickSourceTest, AGivenTickFarAheadIsRefusedHoweverManyCameBefore) {
  Open();
  const uint32_t before = source_->Current();
  const uint32_t ahead_max = kRunAheadTicksMax + kGivenAheadSecondsMax;
  const Status refused = source_->RaiseAbove(codec_.tick_max());
  EXPECT_EQ(refused.code(), StatusCode::kInvalidArgument);
  EXPECT_THAT(refused.message(),
              AllOf(HasSubstr("2059-01-10"),
                    HasSubstr("ticks (" + std::to_string(codec_.tick_max() - before) + " s) ahead"),
                    HasSubstr("kFollowAll")));
  EXPECT_EQ(source_->RaiseAbove(before + ahead_max + 1).code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(source_->Current(), before);
  EXPECT_TRUE(source_->RaiseAbove(before + ahead_max).ok());
  EXPECT_EQ(source_->RaiseAbove(before + ahead_max + 1).code(), StatusCode::kInvalidArgument);
  // As time goes on so does the limit, and what led is not waited for.
  clock_.AdvanceSeconds(100);
  EXPECT_TRUE(source_->RaiseAbove(before + ahead_max + 100).ok());
  EXPECT_EQ(source_->RaiseAbove(before + ahead_max + 101).code(), StatusCode::kInvalidArgument);
  ASSERT_TRUE(source_->Close().ok());
  EXPECT_EQ(source_->RaiseAbove(codec_.tick_max()).code(), StatusCode::kFailedPrecondition);
}

// What: where the clock was set back, a store's own time is where it had brought it.
TEST_F(TickSourceTest, AGivenTickIsMeasuredAgainstWhereTimeHasBroughtTheStore) {
  Open();
  clock_.SetWallSeconds(clock_.UnixSecondsCoarse() - 100 * kDay);
  const uint32_t current = source_->Refresh();
  EXPECT_TRUE(source_->RaiseAbove(current).ok());
  EXPECT_TRUE(source_->RaiseAbove(current + 3000).ok());
  EXPECT_FALSE(source_->RaiseAbove(current + 4000).ok());
}

TEST_F(TickSourceTest, AStoreThatFollowsAllTakesAnyGivenTickButTheLast) {
  Open(StoreOrigin::kOwnFiles, ClockJumps::kFollowAll);
  EXPECT_EQ(source_->RaiseAbove(codec_.tick_max()).code(), StatusCode::kResourceExhausted);
  EXPECT_TRUE(source_->RaiseAbove(codec_.tick_max() - 1).ok());
  EXPECT_EQ(source_->Current(), codec_.tick_max());
}

TEST_F(TickSourceTest, AGivenTickBeyondALeaseThatCannotBeWrittenIsRefused) {
  Open();
  const uint32_t given = source_->Current() + 3000;
  storage_.next_write = WriteEnds::kFailedUnwritten;
  EXPECT_EQ(source_->RaiseAbove(given).code(), StatusCode::kIoError);
  EXPECT_LT(source_->Current(), storage_.lease_end);
}

TEST_F(TickSourceTest, TheLastTicksAreUsedAndNoneIsWrapped) {
  const int64_t end = id_layouts::kStandalone.end_unix_seconds();
  clock_.SetWallSeconds(end - 10);
  Open();
  uint32_t last = source_->Current();
  EXPECT_EQ(last, codec_.tick_max() - 9);
  EXPECT_EQ(storage_.lease_end, id_layouts::kStandalone.tick_count());
  for (int i = 0; i < 9; ++i) {
    const Result<uint32_t> tick = source_->RunAhead(last);
    ASSERT_TRUE(tick.ok());
    ASSERT_EQ(*tick, last + 1);
    last = *tick;
  }
  EXPECT_EQ(last, codec_.tick_max());
  const Result<uint32_t> none = source_->RunAhead(last);
  EXPECT_EQ(none.code(), StatusCode::kResourceExhausted);
  EXPECT_THAT(none.status().message(),
              AllOf(HasSubstr("1073741823"), HasSubstr("2059-01-10T13:37:03Z"),
                    HasSubstr("retired"), HasSubstr("export")));
  clock_.AdvanceSeconds(100 * 365 * kDay);
  RefreshAndRenew();
  EXPECT_EQ(source_->Current(), codec_.tick_max());
  EXPECT_FALSE(source_->RenewalDue());
  EXPECT_EQ(source_->stats().ticks_left, 0u);
}

TEST_F(TickSourceTest, AStoreWhoseTicksAreUsedUpOpensAndIssuesNothing) {
  storage_.lease_end = id_layouts::kStandalone.tick_count();
  Open();
  EXPECT_EQ(source_->Current(), kNoTick);
  EXPECT_EQ(source_->Refresh(), kNoTick);
  EXPECT_FALSE(source_->RenewalDue());
  EXPECT_TRUE(source_->Renew().ok());
  EXPECT_EQ(source_->RunAhead(kNoTick).code(), StatusCode::kResourceExhausted);
  EXPECT_TRUE(source_->RaiseAbove(codec_.tick_max()).ok());
  EXPECT_EQ(source_->stats().ticks_left, 0u);
  EXPECT_TRUE(source_->Close().ok());
  EXPECT_TRUE(storage_.asked.empty());
  EXPECT_EQ(storage_.lease_end, id_layouts::kStandalone.tick_count());
}

TEST_F(TickSourceTest, ALeaseOfNonsenseOpensAsUsedUp) {
  for (const uint64_t lease_end : {UINT64_MAX, uint64_t{1} << 40}) {
    storage_.lease_end = lease_end;
    Open();
    EXPECT_EQ(source_->Current(), kNoTick);
  }
}

TEST_F(TickSourceTest, LongTicksKeepTheSameRules) {
  codec_ = IdCodec(id_layouts::kFleet);
  Open();
  const uint32_t before = source_->Current();
  clock_.AdvanceSeconds(160);
  EXPECT_EQ(source_->Refresh(), before + 10);
  clock_.StepWallSeconds(-1600);
  clock_.AdvanceSeconds(320);
  EXPECT_EQ(source_->Refresh(), before + 20);
  clock_.StepWallSeconds(1600 + kClockJumpSecondsMax + 32);
  EXPECT_EQ(source_->Refresh(), before + 20);
  EXPECT_EQ(source_->stats().clock_disbelieved_count, 1u);
}

TEST_F(TickSourceTest, StatisticsSayHowFarTicksLeadTheClock) {
  Open();
  ASSERT_TRUE(source_->RunAhead(source_->Current()).ok());
  const TickSourceStats stats = source_->stats();
  EXPECT_EQ(stats.current_tick, source_->Current());
  EXPECT_EQ(stats.lease_end, storage_.lease_end);
  EXPECT_EQ(stats.ahead_of_clock_ticks, 1);
  EXPECT_EQ(stats.run_ahead_count, 1u);
  EXPECT_EQ(stats.lease_written_count, 1u);
  EXPECT_EQ(stats.ticks_left, codec_.tick_max() - source_->Current());
}

TEST(VolatileLeaseStorageTest, AStoreInMemoryIssuesTicksWithoutADisk) {
  base::ManualClock clock(kNow);
  VolatileLeaseStorage storage;
  Result<std::unique_ptr<TickSource>> source =
      TickSource::Open({IdCodec(id_layouts::kStandalone), clock, storage});
  ASSERT_TRUE(source.ok());
  clock.AdvanceSeconds(1000);
  ASSERT_TRUE((*source)->Renew().ok());
  EXPECT_EQ((*source)->Current(), IdCodec(id_layouts::kStandalone).TickAt(kNow + 1000));
  EXPECT_TRUE((*source)->Close().ok());
}

TEST(SystemTickSourceTest, TheHostsClockGivesTodaysTick) {
  VolatileLeaseStorage storage;
  const IdCodec codec(id_layouts::kStandalone);
  Result<std::unique_ptr<TickSource>> source = TickSource::Open({codec, SystemClock(), storage});
  ASSERT_TRUE(source.ok());
  const uint32_t tick = (*source)->Refresh();
  EXPECT_LE(codec.TickStart(tick), SystemClock().UnixSecondsCoarse());
  EXPECT_GE(codec.TickStart(tick) + 5, SystemClock().UnixSecondsCoarse());
}

}  // namespace
}  // namespace flagstone::id
