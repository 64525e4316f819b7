// What: bugs that the store once had do not come back; store_fears.h says which.
#include "tests/support/store_fears.h"

#include <gtest/gtest.h>

namespace flagstone::testkit {
namespace {

TEST(StoreFearsTest, CompactionEndsWhileWritersAndReadersGoOn) {
  EXPECT_EQ(CompactBesideWriters(std::chrono::minutes(1)), "");
  EXPECT_EQ(CompactBesideAPinnedReader(std::chrono::minutes(1)), "");
}

TEST(StoreFearsTest, NoStateOfTheRetentionWindowIsReclaimed) {
  EXPECT_EQ(ReadStatesOfThePast(), "");
}

TEST(StoreFearsTest, AFreshSnapshotDoesNotPayForAnOldOne) {
  EXPECT_EQ(BeginWhileAnOldSnapshotIsCut(), "");
  EXPECT_EQ(BeginAgainAtTheSameTimestamp(), "");
}

TEST(StoreFearsTest, AnExtentIsNotGivenBackUnderAGuard) {
  EXPECT_EQ(GuardASlotOfAnEmptySlab(), "");
}

TEST(StoreFearsTest, SparseExtentsGiveTheirEmptyPagesBackAndNothingElse) {
  EXPECT_EQ(SplitSparseExtents(PageKind::k4KiB), "");
  EXPECT_EQ(SplitSparseExtents(PageKind::kTransparent2MiB), "");
}

TEST(StoreFearsTest, SessionsThatEndLeaveNothingBehind) { EXPECT_EQ(EndManySessions(), ""); }

}  // namespace
}  // namespace flagstone::testkit
