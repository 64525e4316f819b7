// What: who has begun to complete its number is waited for by nobody, even if it never runs again.
// How:  pausing is a call of the test: the thread that pauses stands still while later numbers
//       complete inside of its pause.
#include "lib/base/ordered_completion.h"

#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <utility>

namespace flagstone::base {
namespace {

struct StoppedAtPause {
  template <typename T>
  using Atomic = std::atomic<T>;
  static void Pause(uint32_t) {
    ASSERT_TRUE(during_pause) << "a number waits for one that has begun to complete";
    std::exchange(during_pause, nullptr)();
  }
  static inline std::function<void()> during_pause;
};

using Completion = BasicOrderedCompletion<StoppedAtPause, 4, 0>;

TEST(OrderedCompletionTest, InTurnNobodyPauses) {
  Completion completion(10);
  for (uint64_t number = 11; number <= 30; ++number) {
    completion.Complete(number);
    EXPECT_EQ(completion.done(), number);
  }
}

TEST(OrderedCompletionTest, ANumberThatStandsStillBehindItsMarkIsPassed) {
  Completion completion;
  StoppedAtPause::during_pause = [&completion] {
    EXPECT_EQ(completion.done(), 0u);
    completion.Complete(1);
    completion.Complete(3);
    completion.Complete(4);
    EXPECT_EQ(completion.done(), 4u);
  };
  completion.Complete(2);
  EXPECT_FALSE(StoppedAtPause::during_pause);
  EXPECT_EQ(completion.done(), 4u);
}

TEST(OrderedCompletionTest, ANumberFarAheadWaitsForTheRoomOfItsMark) {
  Completion completion;
  StoppedAtPause::during_pause = [&completion] {
    EXPECT_EQ(completion.done(), 0u);
    completion.Complete(1);
    StoppedAtPause::during_pause = [&completion] {
      EXPECT_EQ(completion.done(), 1u);
      for (uint64_t number = 2; number <= 4; ++number) completion.Complete(number);
    };
  };
  completion.Complete(5);  // 1's mark, if it had one, would stand in its place
  EXPECT_EQ(completion.done(), 5u);
}

}  // namespace
}  // namespace flagstone::base
