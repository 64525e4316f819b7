#include "lib/epoch/grace.h"

#include <gtest/gtest.h>

#include "lib/epoch/registry.h"

namespace flagstone::epoch {
namespace {

using internal::Participant;
using internal::StdAtomics;

class GraceTest : public testing::Test {
 protected:
  GraceTest()
      : registry_(*Registry::Create(4, 64)), a_(**registry_->Join()), b_(**registry_->Join()) {}
  ~GraceTest() override {
    registry_->Leave(&a_);
    registry_->Leave(&b_);
  }

  std::unique_ptr<Registry> registry_;
  Participant& a_;
  Participant& b_;
};

TEST_F(GraceTest, PassesAtOnceWhenNobodyIsPinned) {
  GracePeriod<StdAtomics> grace;
  grace.Start(registry_->in_use(), registry_->barrier_kind());
  EXPECT_TRUE(grace.Passed());
}

TEST_F(GraceTest, WaitsForPinsThatWereThereAndNotForLaterOnes) {
  a_.Pin();
  a_.Pin();  // nested pins end with the outermost
  GracePeriod<StdAtomics> grace;
  grace.Start(registry_->in_use(), registry_->barrier_kind());
  EXPECT_FALSE(grace.Passed());
  b_.Pin();
  a_.Unpin();
  EXPECT_FALSE(grace.Passed());
  a_.Unpin();
  a_.Pin();  // a pin of a later call does not count
  EXPECT_TRUE(grace.Passed());
  a_.Unpin();
  b_.Unpin();
}

TEST_F(GraceTest, GuardedSlotsAreFoundByAddressAndByRange) {
  a_.Guard(a_.guards[0], 4096);
  a_.Guard(a_.guards[63], 8192);
  b_.Guard(b_.guards[5], 4096);
  GuardedSlots guarded;
  guarded.Collect(registry_->in_use());
  EXPECT_EQ(guarded.count(), 3u);
  EXPECT_TRUE(guarded.Holds(4096));
  EXPECT_TRUE(guarded.Holds(8192));
  EXPECT_FALSE(guarded.Holds(4097));
  EXPECT_TRUE(guarded.HoldsAnyIn(8000, 8193));
  EXPECT_FALSE(guarded.HoldsAnyIn(8000, 8192));
  EXPECT_FALSE(guarded.HoldsAnyIn(8193, 1 << 20));
  a_.ReleaseGuard(a_.guards[0]);
  b_.ReleaseGuard(b_.guards[5]);
  guarded.Collect(registry_->in_use());
  EXPECT_FALSE(guarded.Holds(4096));
  a_.ReleaseGuard(a_.guards[63]);
}

TEST_F(GraceTest, AVersionIsNeededByTheFloorAndByTheSnapshotsInItsTime) {
  const std::atomic<uint64_t> floor{0};
  ASSERT_TRUE(a_.BeginSnapshotAt(10, floor));
  ASSERT_TRUE(b_.BeginSnapshotAt(20, floor));
  NeededTimestamps needed;
  needed.Collect(registry_->in_use(), /*floor=*/30);
  EXPECT_EQ(needed.oldest(), 10u);
  EXPECT_TRUE(needed.Needs(25, 31));   // true when the floor was
  EXPECT_FALSE(needed.Needs(25, 30));  // ended at the floor, no snapshot in between
  EXPECT_TRUE(needed.Needs(10, 11));
  EXPECT_TRUE(needed.Needs(5, 11));
  EXPECT_FALSE(needed.Needs(5, 10));
  EXPECT_FALSE(needed.Needs(11, 20));
  EXPECT_TRUE(needed.Needs(11, 21));
  // A snapshot that was cut is not needed any more, and knows it.
  a_.snapshot_cut.store(a_.snapshot.load());
  EXPECT_TRUE(a_.SnapshotIsCut());
  EXPECT_FALSE(b_.SnapshotIsCut());
  needed.Collect(registry_->in_use(), 30);
  EXPECT_EQ(needed.oldest(), 20u);
  EXPECT_FALSE(needed.Needs(10, 11));
  a_.EndSnapshot();
  // Another snapshot of the same timestamp is not the one that was cut.
  ASSERT_TRUE(a_.BeginSnapshotAt(10, floor));
  EXPECT_FALSE(a_.SnapshotIsCut());
  a_.EndSnapshot();
  b_.EndSnapshot();
  needed.Collect(registry_->in_use(), 30);
  EXPECT_EQ(needed.oldest(), 30u);
}

TEST_F(GraceTest, NoSnapshotBeginsBelowTheFloor) {
  std::atomic<uint64_t> floor{15};
  EXPECT_FALSE(a_.BeginSnapshotAt(14, floor));
  EXPECT_EQ(a_.snapshot.load(), 0u);
  EXPECT_TRUE(a_.BeginSnapshotAt(15, floor));
  a_.EndSnapshot();
  const std::atomic<uint64_t> horizon{40};
  EXPECT_EQ(a_.BeginSnapshot(horizon, floor), 40u);
  EXPECT_EQ(internal::TimestampOf(a_.snapshot.load()), 40u);
  a_.EndSnapshot();
}

}  // namespace
}  // namespace flagstone::epoch
