#include "lib/base/mutex.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <thread>

namespace flagstone::base {
namespace {

constexpr uint64_t kIncrements = 20'000;

struct Counter {
  Mutex mutex;
  uint64_t value ABSL_GUARDED_BY(mutex) = 0;
};

// What: sections under one mutex exclude each other, and ThreadSanitizer can see that they do.
// How:  two threads increment a plain counter; without the lock increments are lost, and the tool
// objects.
TEST(MutexTest, SectionsExcludeEachOther) {
  Counter counter;
  const auto increment = [&counter] {
    for (uint64_t i = 0; i < kIncrements; ++i) {
      MutexLock lock(&counter.mutex);
      ++counter.value;
    }
  };
  std::thread other(increment);
  increment();
  other.join();
  MutexLock lock(&counter.mutex);
  EXPECT_EQ(counter.value, 2 * kIncrements);
}

TEST(MutexTest, TryLockFailsWhileAnotherThreadHoldsIt) {
  Mutex mutex;
  const auto other_gets_it = [&mutex] {
    bool got = false;
    std::thread([&mutex, &got] {
      if (mutex.TryLock()) {
        got = true;
        mutex.Unlock();
      }
    }).join();
    return got;
  };
  {
    MutexLock lock(&mutex);
    EXPECT_FALSE(other_gets_it());
  }
  EXPECT_TRUE(other_gets_it());
}

}  // namespace
}  // namespace flagstone::base
