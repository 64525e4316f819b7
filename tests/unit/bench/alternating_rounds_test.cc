// What: contestants take turns, each round begins with another one, and each value ends up where it
//       belongs.
#include "bench/kit/alternating_rounds.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <string>
#include <thread>

namespace flagstone::bench {
namespace {

using testing::ElementsAre;

TEST(AlternatingRoundsTest, EachRoundBeginsWithTheNextContestant) {
  std::string order;
  AlternatingRounds rounds({.round_count = 4, .turn_seconds = 0.5});
  for (const char letter : {'a', 'b', 'c'}) {
    rounds.Add(std::string(1, letter), Turn([&order, letter](double seconds) -> Series {
                 EXPECT_EQ(seconds, 0.5);
                 order += letter;
                 return {static_cast<double>(order.size())};
               }));
  }
  rounds.Run();
  EXPECT_EQ(order, "abcbcacababc");
  EXPECT_THAT(rounds.series(0), ElementsAre(1, 6, 8, 10));
  EXPECT_THAT(rounds.series(2), ElementsAre(3, 5, 7, 12));
  EXPECT_EQ(rounds.median(0), 7);
  EXPECT_EQ(rounds.name(1), "b");
}

TEST(AlternatingRoundsTest, EveryMetricOfATurnHasItsOwnSeries) {
  AlternatingRounds rounds({.round_count = 2, .turn_seconds = 1});
  double value = 0;
  rounds.Add("percentiles", Turn([&](double) -> Series {
               value += 1;
               return {value, value * 10};
             }));
  rounds.Run();
  EXPECT_THAT(rounds.series(0, 0), ElementsAre(1, 2));
  EXPECT_THAT(rounds.series(0, 1), ElementsAre(10, 20));
}

TEST(AlternatingRoundsTest, ABlockIsRepeatedForTheLengthOfATurnAndTimedPerOperation) {
  uint64_t calls = 0;
  const Turn turn = TurnOf([&]() -> uint64_t {
    ++calls;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
    return 1000;
  });
  const Series values = turn(0.02);
  ASSERT_EQ(values.size(), 1u);
  EXPECT_GE(values[0], 1000);  // a sleep is never shorter than asked for
  EXPECT_LT(values[0], 1e6);   // and a busy machine makes it longer
  EXPECT_GE(calls, 2u);
}

TEST(AlternatingRoundsTest, ThreadsOfATurnRunTogetherAndAddUp) {
  std::atomic<int> together{0};
  std::atomic<bool> met{false};
  const auto block = [&]() -> uint64_t {
    if (together.fetch_add(1) == 1) met = true;
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
    together.fetch_sub(1);
    return 1000;
  };
  const Series one = ParallelTurnOf({block})(0.02);
  EXPECT_FALSE(met);
  const Series two = ParallelTurnOf({block, block})(0.02);
  EXPECT_TRUE(met);
  // Sleeping threads do not share a processor: both together take half the time per operation. A
  // machine that wakes them late takes longer, but not as long as one after the other.
  EXPECT_LT(two[0], one[0]);
}

}  // namespace
}  // namespace flagstone::bench
