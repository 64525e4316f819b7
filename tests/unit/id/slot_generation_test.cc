#include "lib/id/slot_generation.h"

#include <gtest/gtest.h>

namespace flagstone::id {
namespace {

TEST(SlotGenerationTest, ASlotIssuesOnlyLaterTicksThanItsLast) {
  EXPECT_TRUE(MayIssue(kNoTick, 1));
  EXPECT_TRUE(MayIssue(7, 8));
  EXPECT_FALSE(MayIssue(7, 7));
  EXPECT_FALSE(MayIssue(8, 7));
}

TEST(SlotGenerationTest, NoSlotIssuesWhileThereIsNoTick) {
  EXPECT_FALSE(MayIssue(kNoTick, kNoTick));
  EXPECT_FALSE(MayIssue(7, kNoTick));
}

TEST(SlotGenerationTest, ASlotRetiresWithTheLastTickOfItsLayout) {
  constexpr IdCodec kCodec(id_layouts::kFleet);
  EXPECT_FALSE(IsRetired(kCodec.tick_max() - 1, kCodec));
  EXPECT_TRUE(MayIssue(kCodec.tick_max() - 1, kCodec.tick_max()));
  EXPECT_TRUE(IsRetired(kCodec.tick_max(), kCodec));
}

TEST(SlotGenerationTest, AnExtentKeepsTheHighestOfItsSlots) {
  EXPECT_EQ(HigherGeneration(3, 9), 9u);
  EXPECT_EQ(HigherGeneration(9, 3), 9u);
  EXPECT_FALSE(MayIssue(HigherGeneration(3, 9), 9));
}

}  // namespace
}  // namespace flagstone::id
