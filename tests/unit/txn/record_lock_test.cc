#include "lib/txn/record_lock.h"

#include <gtest/gtest.h>

#include <thread>

namespace flagstone::txn {
namespace {

using internal::kLocked;
using internal::kQueued;
using internal::kTidying;
using internal::LinkWord;
using internal::SlotHeader;
using internal::StdAtomics;

class RecordLockTest : public testing::Test {
 protected:
  RecordLockTest() { home_.link.store(kBefore); }
  static constexpr uint64_t kBefore = LinkWord(5, 6, kQueued);
  SlotHeader home_{};
};

TEST_F(RecordLockTest, AChangeTakesTheLockAndLearnsTheWordBeforeIt) {
  EXPECT_EQ(TryLockForChange<StdAtomics>(home_), kBefore);
  EXPECT_EQ(home_.link.load(), kBefore | kLocked);
  Unlock<StdAtomics>(home_, LinkWord(7, 6));
  EXPECT_EQ(home_.link.load(), LinkWord(7, 6));
}

TEST_F(RecordLockTest, TheFirstWinsAndTheOthersAreTold) {
  ASSERT_TRUE(TryLockForChange<StdAtomics>(home_).has_value());
  EXPECT_EQ(TryLockForChange<StdAtomics>(home_), std::nullopt);
  EXPECT_EQ(TryLockForTidying<StdAtomics>(home_), std::nullopt);
  EXPECT_EQ(home_.link.load(), kBefore | kLocked);  // nothing was disturbed
}

TEST_F(RecordLockTest, MaintenanceIsWaitedForByChangesAndSkippedByItself) {
  ASSERT_EQ(TryLockForTidying<StdAtomics>(home_), kBefore);
  EXPECT_EQ(home_.link.load(), kBefore | kTidying);
  EXPECT_EQ(TryLockForTidying<StdAtomics>(home_), std::nullopt);
  std::thread visit_ends([this] {
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
    Unlock<StdAtomics>(home_, LinkWord(0, 0));
  });
  // The word is the one that the visit left, not the one before it.
  EXPECT_EQ(TryLockForChange<StdAtomics>(home_), LinkWord(0, 0));
  visit_ends.join();
}

}  // namespace
}  // namespace flagstone::txn
