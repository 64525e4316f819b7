#include "lib/txn/commit_clock.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>
#include <vector>

#include "lib/txn/publish.h"

namespace flagstone::txn {
namespace {

using internal::StdAtomics;
using internal::Timestamp;

TEST(CommitClockTest, TimestampsAreDenseFromTheOneAfterTheLast) {
  CommitClock clock(41);
  EXPECT_EQ(clock.horizon(), 41u);
  EXPECT_EQ(clock.Reserve(), 42u);
  EXPECT_EQ(clock.Reserve(), 43u);
  EXPECT_EQ(clock.horizon(), 41u);  // a reservation makes nothing visible
  clock.Complete(42);
  EXPECT_EQ(clock.horizon(), 42u);
  clock.Complete(43);
  EXPECT_EQ(clock.horizon(), 43u);
}

TEST(CommitClockTest, ACommitIsVisibleAfterThoseBeforeIt) {
  CommitClock clock;
  const Timestamp first = clock.Reserve();
  const Timestamp second = clock.Reserve();
  std::atomic<bool> completed{false};
  std::thread later([&] {
    clock.Complete(second);
    completed.store(true);
  });
  std::this_thread::sleep_for(std::chrono::milliseconds(5));
  EXPECT_FALSE(completed.load());
  EXPECT_EQ(clock.horizon(), 0u);
  clock.Complete(first);
  later.join();
  EXPECT_EQ(clock.horizon(), second);
}

TEST(CommitClockTest, ManyThreadsLeaveNoGap) {
  CommitClock clock;
  constexpr int kThreads = 4;
  constexpr uint64_t kCommits = 2'000;
  std::vector<std::atomic<int>> published(kThreads * kCommits + 1);
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&] {
      for (uint64_t commit = 0; commit < kCommits; ++commit) {
        const Timestamp at = CommitInOrder(
            clock, [&](Timestamp now) { published[now].fetch_add(1, std::memory_order_relaxed); });
        ASSERT_GE(clock.horizon(), at);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(clock.horizon(), kThreads * kCommits);
  for (uint64_t at = 1; at < published.size(); ++at) ASSERT_EQ(published[at].load(), 1) << at;
}

}  // namespace
}  // namespace flagstone::txn
