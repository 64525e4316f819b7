// What: bugs that the store once had do not come back; store_fears.h says which.
#include "tests/support/store_fears.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <string>

namespace flagstone::testkit {
namespace {

TEST(StoreFearsTest, CompactionEndsWhileWritersAndReadersGoOn) {
  EXPECT_EQ(CompactBesideWriters(std::chrono::minutes(1)), "");
  EXPECT_EQ(CompactBesideAPinnedReader(std::chrono::minutes(1)), "");
}

TEST(StoreFearsTest, CompactionClosesTheStoreToNobody) {
  // Three times: this thread may lose its processor for as long as a compaction takes.
  std::string wrong = "not tried";
  for (int attempt = 0; attempt < 3 && !wrong.empty(); ++attempt) {
    std::string text;
    wrong = CompactBesideNewSessions(&text);
    std::printf("%s\n", text.c_str());
  }
  EXPECT_EQ(wrong, "");
}

TEST(StoreFearsTest, NoStateOfTheRetentionWindowIsReclaimed) {
  EXPECT_EQ(ReadStatesOfThePast(), "");
}

TEST(StoreFearsTest, AFreshSnapshotDoesNotPayForAnOldOne) {
  EXPECT_EQ(BeginWhileAnOldSnapshotIsCut(), "");
  EXPECT_EQ(BeginAgainAtTheSameTimestamp(), "");
  EXPECT_EQ(BeginOftenAfterACut(), "");
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
