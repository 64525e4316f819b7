#include "lib/slab/class_space.h"

#include <algorithm>

#include "tests/unit/slab/slab_fixture.h"

namespace flagstone::slab {
namespace {

using ClassSpaceTest = SlabTest;

TEST_F(ClassSpaceTest, GeometryFollowsFromTheSizeClass) {
  for (const uint32_t size_class : {0u, 5u, 16u, 31u}) {
    const auto space = OpenSpace(size_class, 2);
    const internal::SlotGeometry& geometry = space->geometry();
    EXPECT_EQ(geometry.stride, SizeClassStrideBytes(size_class));
    EXPECT_EQ(geometry.slots_per_extent, SizeClassSlotsPerExtent(size_class));
    EXPECT_LE(geometry.slots_per_extent, geometry.index_mask + 1);
    EXPECT_EQ(space->slots_per_shared_slab(), geometry.slots_per_extent / kSlabsPerSharedExtent);
    const char* last =
        reinterpret_cast<const char*>(geometry.HomeAt(1, geometry.slots_per_extent - 1));
    EXPECT_LE(last + geometry.stride, geometry.base + 2 * size_t{kExtentBytes});
  }
}

TEST_F(ClassSpaceTest, SmallTablesShareAnExtentAndLargeOnesOwnWholeOnes) {
  for (uint16_t table = 1; table <= 3; ++table) {
    Slab* slab = *space_->TakeHomeSlab({table}, 0, 5);
    EXPECT_EQ(slab->extent, 0u);
    // Slot 0 of extent 0 is never used: the ID 0 names it.
    EXPECT_EQ(slab->first_index, table == 1 ? 1 : (table - 1) * space_->slots_per_shared_slab());
    EXPECT_EQ(slab->unused_count(), space_->slots_per_shared_slab() - (table == 1 ? 1 : 0));
    EXPECT_EQ(space_->shared_owner()[table - 1].load(), table);
    EXPECT_EQ(space_->SlabOf(0, slab->first_index), slab);
  }
  EXPECT_EQ(space_->extent_owner()[0].load(), internal::kExtentShared);
  Slab* whole = *space_->TakeHomeSlab({7}, kSlabsPerSharedExtent, 5);
  EXPECT_EQ(whole->extent, 1u);
  EXPECT_EQ(whole->unused_count(), space_->geometry().slots_per_extent);
  EXPECT_EQ(space_->extent_owner()[1].load(), 7u);
  EXPECT_EQ(space_->counts().home_owned, 1u);
  EXPECT_EQ(space_->counts().home_shared, 1u);
}

TEST_F(ClassSpaceTest, WhenAllExtentsAreOwnedTheErrorNamesTheWayOut) {
  for (int i = 0; i < 12; ++i) {
    ASSERT_TRUE(space_->TakeHomeSlab({1}, kSlabsPerSharedExtent, 5).ok());
  }
  const Status full = space_->TakeHomeSlab({1}, kSlabsPerSharedExtent, 5).status();
  EXPECT_EQ(full.code(), StatusCode::kResourceExhausted);
  EXPECT_NE(full.message().find("12 extents"), std::string::npos) << full.message();
  EXPECT_NE(full.message().find("slot bits"), std::string::npos) << full.message();
}

TEST_F(ClassSpaceTest, AReturnedExtentKeepsItsHighestTickAndReadsAsZeros) {
  Slab* slab = *space_->TakeHomeSlab({1}, kSlabsPerSharedExtent, 5);
  const uint32_t extent = slab->extent;
  internal::SlotHeader* slot = space_->geometry().HomeAt(extent, 9);
  slot->id.store(77);
  space_->RetractHomeSlab(*slab);
  EXPECT_EQ(space_->extent_owner()[extent].load(), internal::kExtentUnowned);
  space_->ReturnHomeSlab(slab, /*highest_tick=*/40);
  EXPECT_EQ(space_->counts().home_returned, 1u);
  EXPECT_EQ(slot->id.load(), 0u);
  // At tick 40 it cannot be used, another one can; later it is the first.
  EXPECT_NE((*space_->TakeHomeSlab({2}, kSlabsPerSharedExtent, 40))->extent, extent);
  Slab* again = *space_->TakeHomeSlab({2}, kSlabsPerSharedExtent, 41);
  EXPECT_EQ(again->extent, extent);
  EXPECT_EQ(again->tick_floor, 40u);
  EXPECT_EQ(slot->id.load(), 0u);
}

TEST_F(ClassSpaceTest, ASlabForAGivenIdIsTakenOnceAndOnlyByItsTable) {
  using Holding = GivenSlab::Holding;
  const uint32_t per_slab = space_->slots_per_shared_slab();
  const GivenSlab taken = *space_->TakeHomeSlabAt({3}, {4, 100, 5});
  EXPECT_EQ(taken.holding, Holding::kTaken);
  EXPECT_EQ(taken.slab->extent, 4u);
  EXPECT_EQ(taken.slab->first_index, 0u);
  EXPECT_EQ(taken.slab->end_index, per_slab);
  const GivenSlab held = *space_->TakeHomeSlabAt({3}, {4, per_slab - 1, 5});
  EXPECT_EQ(held.holding, Holding::kHeld);
  EXPECT_EQ(held.slab, taken.slab);
  EXPECT_EQ(space_->TakeHomeSlabAt({2}, {4, 100, 5}).code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(space_->TakeHomeSlabAt({2}, {12, 0, 5}).code(), StatusCode::kInvalidArgument);
  // Another table's slab lies beside it, and the extent is nobody's alone.
  EXPECT_EQ((*space_->TakeHomeSlabAt({2}, {4, per_slab, 5})).holding, Holding::kTaken);
  EXPECT_EQ(space_->extent_owner()[4].load(), internal::kExtentShared);
  EXPECT_EQ(space_->JoinHomeSlabs({3}, 4).code(), StatusCode::kInvalidArgument);
  // One extent is mapped; those before it are free for whoever comes next.
  EXPECT_EQ(account_.used_bytes(), uint64_t{kExtentBytes});
  for (uint32_t extent : {0u, 1u, 2u, 3u, 5u}) {
    EXPECT_EQ((*space_->TakeHomeSlab({1}, kSlabsPerSharedExtent, 5))->extent, extent);
  }
  EXPECT_EQ(space_->counts().home_mapped, 6u);
  EXPECT_EQ(space_->counts().home_returned, 0u);
}

TEST_F(ClassSpaceTest, WhatEarlierLivesOfTheMemoryIssuedIsRefusedBeforeAnythingIsTaken) {
  Slab* slab = *space_->TakeHomeSlab({1}, kSlabsPerSharedExtent, 5);
  ASSERT_EQ(slab->extent, 0u);
  space_->RetractHomeSlab(*slab);
  space_->ReturnHomeSlab(slab, /*highest_tick=*/40);
  EXPECT_EQ(space_->TakeHomeSlabAt({2}, {0, 9, 40}).code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(account_.used_bytes(), 0u);
  EXPECT_EQ((*space_->TakeHomeSlabAt({2}, {0, 9, 41})).slab->tick_floor, 40u);
}

TEST_F(ClassSpaceTest, TheSlabsOfOneTableBecomeOneAndAnotherTableMayShareTheExtentLater) {
  const uint32_t per_slab = space_->slots_per_shared_slab();
  ASSERT_TRUE(space_->TakeHomeSlabAt({3}, {4, 100, 5}).ok());
  ASSERT_TRUE(space_->TakeHomeSlabAt({3}, {4, 7 * per_slab, 5}).ok());
  JoinedSlabs joined = *space_->JoinHomeSlabs({3}, 4);
  EXPECT_EQ(joined.whole->unused_count(), space_->geometry().slots_per_extent);
  EXPECT_EQ(joined.parts[7]->first_index, 7 * per_slab);
  EXPECT_EQ(joined.parts[1], nullptr);
  EXPECT_EQ(space_->extent_owner()[4].load(), 3u);
  EXPECT_EQ(space_->SlabOf(4, 3 * per_slab), joined.whole);
  EXPECT_EQ(space_->counts().home_owned, 1u);
  EXPECT_EQ(space_->counts().home_shared, 0u);
  space_->RetractHomeSlab(*joined.whole);
  space_->ReturnHomeSlab(joined.whole, /*highest_tick=*/6);
  ASSERT_TRUE(space_->TakeHomeSlabAt({2}, {4, 0, 7}).ok());
  // Nothing is left of the first owner.
  EXPECT_EQ(space_->shared_owner()[4 * kSlabsPerSharedExtent + 7].load(), internal::kExtentUnowned);
}

constexpr uint32_t kLargest = kSizeClassCount - 1;

TEST_F(ClassSpaceTest, RunsOfUpToHalfASharedSlabShareExtentsAndEverySlabHoldsOne) {
  for (const uint32_t run_slots : {2u, 3u, 4u}) {
    SCOPED_TRACE(run_slots);
    const auto space = OpenSpace(kLargest, 4);
    const uint32_t per_slab = space->slots_per_shared_slab();
    for (uint32_t number = 0; number < kSlabsPerSharedExtent; ++number) {
      const Slab& slab = **space->TakeHomeSlab({1, run_slots}, number, 5);
      EXPECT_EQ(slab.extent, 0u);
      EXPECT_GE(slab.unused_count(), 1u);
      EXPECT_EQ(slab.first_index % run_slots, 0u);
      EXPECT_EQ((slab.end_index - slab.first_index) % run_slots, 0u);
      EXPECT_GE(slab.first_index, std::max(1u, number * per_slab));
      EXPECT_LE(slab.end_index, (number + 1) * per_slab);
      EXPECT_EQ(space->SlabOf(0, slab.first_index), &slab);
    }
    EXPECT_EQ((*space->TakeHomeSlab({1, run_slots}, kSlabsPerSharedExtent, 5))->extent, 1u);
    EXPECT_EQ(space->counts().home_owned, 1u);
  }
}

TEST_F(ClassSpaceTest, LongerRunsOwnWholeExtents) {
  const auto space = OpenSpace(kLargest, 8);
  for (const uint32_t run_slots : {5u, 9u, 14u, 100u}) {
    const Slab& slab = **space->TakeHomeSlab({1, run_slots}, 0, 5);
    EXPECT_EQ(space->extent_owner()[slab.extent].load(), 1u);
    // In extent 0 the run that slot 0 would belong to is missing.
    const uint32_t missing = slab.extent == 0 ? 1 : 0;
    EXPECT_EQ(slab.unused_count(), kRunSlotsMax / run_slots - missing) << run_slots;
    EXPECT_EQ(slab.first_index, missing * run_slots);
  }
  EXPECT_EQ(space->counts().home_shared, 0u);
}

TEST_F(ClassSpaceTest, RunsOfMoreThanHalfAnExtentLeaveExtentZeroToOthersAndPayNothingForIt) {
  const auto space = OpenSpace(kLargest, 4);
  EXPECT_EQ((*space->TakeHomeSlab({1, 147}, 0, 5))->extent, 1u);
  const Slab& longest = **space->TakeHomeSlab({2, kRunSlotsMax}, 0, 5);
  EXPECT_EQ(longest.extent, 2u);
  EXPECT_EQ(longest.unused_count(), 1u);
  EXPECT_EQ(longest.end_index, kRunSlotsMax);
  EXPECT_EQ(account_.used_bytes(), 2 * uint64_t{kExtentBytes});
  EXPECT_EQ(space->counts().home_mapped - space->counts().home_returned, 2u);
  const Slab& half = **space->TakeHomeSlab({3, kRunSlotsMax / 2}, 0, 5);
  EXPECT_EQ(half.extent, 0u);
  EXPECT_EQ(half.first_index, kRunSlotsMax / 2);
  EXPECT_EQ(half.unused_count(), 1u);
  EXPECT_EQ(account_.used_bytes(), 3 * uint64_t{kExtentBytes});
  EXPECT_EQ((*space->TakeHomeSlab({1, 147}, 1, 5))->extent, 3u);
  EXPECT_EQ(space->TakeHomeSlab({1, 147}, 2, 5).code(), StatusCode::kResourceExhausted);
}

TEST_F(ClassSpaceTest, AGivenPlaceInsideOfARunIsRefusedBeforeAnythingIsTaken) {
  const auto space = OpenSpace(kLargest, 4);
  for (const uint32_t index : {1u, 2u, 4u, 290u, 291u}) {
    EXPECT_EQ(space->TakeHomeSlabAt({1, 3}, {1, index, 5}).code(), StatusCode::kInvalidArgument);
  }
  EXPECT_EQ(space->TakeHomeSlabAt({1, kRunSlotsMax}, {0, 0, 5}).code(),
            StatusCode::kInvalidArgument);
  EXPECT_EQ(account_.used_bytes(), 0u);
  // In no slab of a shared extent: the extent was one table's.
  EXPECT_EQ((*space->TakeHomeSlabAt({1, 3}, {1, 288, 5})).slab->unused_count(), 97u);
}

}  // namespace
}  // namespace flagstone::slab
