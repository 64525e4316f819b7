#include "lib/slab/table_slots.h"

#include <algorithm>
#include <set>

#include "tests/unit/slab/slab_fixture.h"

namespace flagstone::slab {
namespace {

class TableSlotsTest : public SlabTest {
 protected:
  TableSlotsTest() : slots_({1}, *space_, Owned(), *ticks_, IdCodec(kLayout).tick_max()) {}
  static OwnedExtents Owned() { return *OwnedExtents::Map(64, 0, OwnedExtentsUse::kByReaders); }
  TableSlots slots_;
};

TEST_F(TableSlotsTest, EverySlotIsHandedOutOnceAndCounted) {
  const std::vector<uint32_t> taken = Take(slots_, 10'000);
  EXPECT_EQ(std::set<uint32_t>(taken.begin(), taken.end()).size(), 10'000u);
  const SlotOccupancy occupancy = slots_.occupancy();
  EXPECT_EQ(occupancy.used, 10'000u);
  EXPECT_EQ(occupancy.retired, 0u);
  EXPECT_GT(occupancy.unused, 0u);
}

TEST_F(TableSlotsTest, AFreedSlotWaitsForALaterTickAndThenTheOldestIsFirst) {
  const std::vector<uint32_t> taken = Take(slots_, 100);
  const uint32_t tick = ticks_->Current();
  Give(slots_, taken, tick);
  for (const uint32_t slot : Take(slots_, 20)) {
    EXPECT_EQ(std::count(taken.begin(), taken.end(), slot), 0) << slot;
  }
  NextTick();
  const std::vector<uint32_t> again = Take(slots_, 50);
  EXPECT_TRUE(std::equal(again.begin(), again.end(), taken.begin()));
}

TEST_F(TableSlotsTest, WhenOnlyTheTickIsInTheWayItRunsAhead) {
  const size_t all = 12 * size_t{SizeClassSlotsPerExtent(kClass)};
  const std::vector<uint32_t> taken = Take(slots_, all - kSlabsPerSharedExtent);
  const uint32_t tick = ticks_->Current();
  Give(slots_, {taken.begin(), taken.begin() + 500}, tick);
  const std::vector<uint32_t> again = Take(slots_, 400);
  EXPECT_EQ(again.size(), 400u);
  EXPECT_GT(ticks_->Current(), tick);
  EXPECT_GT(ticks_->stats().run_ahead_count, 0u);
}

TEST_F(TableSlotsTest, ASlotOfTheLastTickIsRetired) {
  const std::vector<uint32_t> taken = Take(slots_, 10);
  Give(slots_, {taken[0]}, IdCodec(kLayout).tick_max());
  EXPECT_EQ(slots_.occupancy().retired, 1u);
  EXPECT_EQ(slots_.occupancy().used, 9u);
  NextTick();
  for (const uint32_t slot : Take(slots_, 200)) EXPECT_NE(slot, taken[0]);
}

TEST_F(TableSlotsTest, AGivenSlotIsTakenOnceAndOnlyForALaterTick) {
  const uint32_t tick = ticks_->Current();
  const uint32_t slot = 3u << space_->geometry().index_bits | 77;
  ASSERT_TRUE(slots_.TakeAt(slot, tick).ok());
  EXPECT_EQ(slots_.TakeAt(slot, tick + 1).code(), StatusCode::kInvalidArgument);
  Give(slots_, {slot}, tick);
  const Status same = slots_.TakeAt(slot, tick);
  EXPECT_EQ(same.code(), StatusCode::kInvalidArgument);
  EXPECT_NE(same.message().find("tick " + std::to_string(tick)), std::string::npos);
  EXPECT_TRUE(slots_.TakeAt(slot, tick + 1).ok());
  // The slots before it are free.
  EXPECT_TRUE(slots_.TakeAt(slot - 1, tick).ok());
}

TEST_F(TableSlotsTest, EmptySlabsAreReturnedAndUsedAgainAtLaterTicksOnly) {
  const std::vector<uint32_t> taken = Take(slots_, 9'000);
  const uint32_t tick = ticks_->Current();
  Give(slots_, taken, tick);
  EXPECT_GT(GiveBackEmptySlabs(slots_), 2u);
  EXPECT_EQ(slots_.occupancy().slab_count, 0u);
  EXPECT_EQ(space_->counts().home_owned, 0u);
  EXPECT_EQ(space_->counts().home_shared, 0u);
  const std::set<uint32_t> before(taken.begin(), taken.end());
  for (const uint32_t slot : Take(slots_, 3'000)) EXPECT_FALSE(before.contains(slot)) << slot;
  NextTick();
  TableSlots other({2}, *space_, Owned(), *ticks_, IdCodec(kLayout).tick_max());
  EXPECT_EQ(Take(other, 9'000).size(), 9'000u);
}

TEST_F(TableSlotsTest, AGuardedSlabIsNotReturned) {
  const std::vector<uint32_t> taken = Take(slots_, 10);
  Give(slots_, taken, ticks_->Current());
  ASSERT_EQ(slots_.RetractEmptySlabs(), 1u);
  slots_.ReturnRetracted([](uint64_t, uint64_t) { return true; });
  EXPECT_EQ(space_->counts().home_shared, 1u);
  slots_.ReturnRetracted([](uint64_t, uint64_t) { return false; });
  EXPECT_EQ(space_->counts().home_shared, 0u);
}

}  // namespace
}  // namespace flagstone::slab
