#include "lib/slab/table_slots.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <set>

#include "tests/support/seeded_random.h"
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

// The fear: a table is emptied, compacted and filled again within one tick, and finds no room
// though all of the memory is free.
TEST_F(TableSlotsTest, MemoryThatWasGivenBackInThisTickIsUsedAgainAheadOfTime) {
  const size_t all = 12 * size_t{SizeClassSlotsPerExtent(kClass)} - kSlabsPerSharedExtent;
  const std::vector<uint32_t> taken = Take(slots_, all);
  const uint32_t tick = ticks_->Current();
  Give(slots_, taken, tick);
  ASSERT_GT(GiveBackEmptySlabs(slots_), 0u);
  EXPECT_EQ(Take(slots_, all).size(), all);
  EXPECT_GT(ticks_->Current(), tick);
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
  EXPECT_EQ(slots_.TakeAt(slot, tick + 1).code(), StatusCode::kFailedPrecondition);
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

// --- pages out of extents in use

// The table's shared extent and three of its own, in which every 97th slot stays taken in the
// first half, and all of them in the second.
class SparseSlotsTest : public TableSlotsTest {
 protected:
  SparseSlotsTest() {
    taken_ = Take(slots_, 4 * size_t{SizeClassSlotsPerExtent(kClass)} - kSlabsPerSharedExtent);
    for (const uint32_t slot : taken_) {
      const uint32_t index = slot & space_->geometry().index_mask;
      const bool stays = ExtentOf(slot) == 0 || index % 97 == 0 || index >= 3'000;
      (stays ? kept_ : freed_).push_back(slot);
      std::memset(static_cast<void*>(At(slot)), 0x5a, space_->geometry().stride);
    }
    tick_ = ticks_->Current();
    Give(slots_, freed_, tick_);
    used_bytes_ = account_.used_bytes();
    occupancy_ = slots_.occupancy();
    slots_.ReturnSparsePages();
  }
  internal::SlotHeader* At(uint32_t slot) const {
    return space_->geometry().HomeAt(ExtentOf(slot), slot & space_->geometry().index_mask);
  }
  void ExpectKeptSlotsIntact() const {
    for (const uint32_t slot : kept_) {
      const auto* bytes = reinterpret_cast<const unsigned char*>(At(slot));
      for (uint32_t i = 0; i < space_->geometry().stride; ++i) ASSERT_EQ(bytes[i], 0x5a) << slot;
    }
  }
  uint64_t returned_bytes() const { return space_->counts().home_bytes_returned_in_parts; }

  std::vector<uint32_t> taken_, kept_, freed_;
  uint32_t tick_ = 0;
  uint64_t used_bytes_ = 0;
  SlotOccupancy occupancy_;
};

TEST_F(SparseSlotsTest, PagesWithoutARecordGoBackAndTheAccountSaysSo) {
  // 3,000 slots of 512 bytes lie on 375 pages, of which 31 have one that stays.
  EXPECT_EQ(returned_bytes(), 3 * 344 * page::kSmallPageBytes);
  EXPECT_EQ(account_.used_bytes(), used_bytes_ - returned_bytes());
  EXPECT_EQ(slots_.occupancy().used, occupancy_.used);
  EXPECT_EQ(slots_.occupancy().free, occupancy_.free);
  ExpectKeptSlotsIntact();
  // Who comes by with a stale ID reads zeros.
  for (const uint32_t slot : freed_) ASSERT_EQ(At(slot)->id.load(), 0u);
  // Another time there is nothing more to return.
  const uint64_t returned = returned_bytes();
  slots_.ReturnSparsePages();
  EXPECT_EQ(returned_bytes(), returned);
}

TEST_F(SparseSlotsTest, TheirSlotsAreTakenAgainOnceEachForALaterTickOnlyAndCharged) {
  const std::set<uint32_t> freed(freed_.begin(), freed_.end());
  // At this tick another extent is taken, all of it.
  const uint64_t others = occupancy_.unused + SizeClassSlotsPerExtent(kClass);
  for (const uint32_t slot : Take(slots_, others)) {
    ASSERT_FALSE(freed.contains(slot)) << slot;
  }
  NextTick();
  const uint64_t before = account_.used_bytes();
  const std::vector<uint32_t> again = Take(slots_, freed_.size());
  EXPECT_EQ(std::set<uint32_t>(again.begin(), again.end()).size(), again.size());
  size_t reused = 0;
  for (const uint32_t slot : again) reused += freed.contains(slot) ? 1 : 0;
  EXPECT_EQ(reused, freed_.size());
  EXPECT_EQ(returned_bytes(), 0u);
  EXPECT_EQ(account_.used_bytes() - before, 3 * 344 * page::kSmallPageBytes);
  for (const uint32_t slot : again) std::memset(static_cast<void*>(At(slot)), 1, 512);
  ExpectKeptSlotsIntact();
}

TEST_F(SparseSlotsTest, ASlotOnAReturnedPageIsTakenByItsNumberForALaterTick) {
  const uint32_t slot = 2u << space_->geometry().index_bits | 8;
  ASSERT_EQ(At(slot)->version.load(), 0u);  // its page is gone
  const Status same = slots_.TakeAt(slot, tick_);
  EXPECT_EQ(same.code(), StatusCode::kInvalidArgument);
  EXPECT_NE(same.message().find("tick " + std::to_string(tick_)), std::string::npos);
  EXPECT_TRUE(slots_.TakeAt(slot, tick_ + 1).ok());
  EXPECT_EQ(slots_.TakeAt(slot, tick_ + 2).code(), StatusCode::kFailedPrecondition);
  EXPECT_EQ(slots_.occupancy().used, occupancy_.used + 1);
  ExpectKeptSlotsIntact();
}

TEST_F(SparseSlotsTest, AnExtentThatIsEmptiedLaterGoesBackWithItsHighestTick) {
  std::vector<uint32_t> rest;
  for (const uint32_t slot : kept_) {
    if (ExtentOf(slot) != 0) rest.push_back(slot);
  }
  // Their last tick is lower than that of the slots on returned pages.
  Give(slots_, rest, tick_ - 1);
  EXPECT_EQ(GiveBackEmptySlabs(slots_), 3u);
  EXPECT_EQ(returned_bytes(), 0u);
  EXPECT_EQ(account_.used_bytes(), kExtentBytes);
  for (const uint32_t slot : Take(slots_, 100)) EXPECT_GT(ExtentOf(slot), 3u) << slot;
  NextTick();
  EXPECT_EQ(Take(slots_, taken_.size()).size(), taken_.size());
}

TEST_F(SparseSlotsTest, AtTheMemoryLimitTheErrorSaysSoAndNothingIsLost) {
  NextTick();
  base::MemoryCharge other = *base::MemoryCharge::Take(account_, MemoryComponent::kOther,
                                                       Memory().limit_bytes - account_.used_bytes(),
                                                       base::MemoryPool::kDeleteReserve);
  // Slots that are free without a page going in come first.
  HomeSlotCache cache;
  Status refilled;
  for (;;) {
    refilled = slots_.Refill(cache);
    if (!refilled.ok()) break;
    while (!cache.empty()) cache.Take();
  }
  EXPECT_EQ(refilled.code(), StatusCode::kResourceExhausted);
  EXPECT_EQ(returned_bytes(), 3 * 344 * page::kSmallPageBytes);
  other.Release();
  EXPECT_TRUE(slots_.Refill(cache).ok());
}

TEST_F(SparseSlotsTest, WhenOnlyReturnedPagesAreLeftTheTickRunsAhead) {
  base::MemoryCharge other =
      *base::MemoryCharge::Take(account_, MemoryComponent::kOther,
                                Memory().limit_bytes - account_.Usage().delete_reserve_bytes -
                                    account_.used_bytes() - kExtentBytes + page::kSmallPageBytes);
  EXPECT_EQ(Take(slots_, 3'000).size(), 3'000u);
  EXPECT_GT(ticks_->Current(), tick_);
}

// The fear: restored slots stand behind those that came free in this tick, and another extent is
// taken though there is room.
TEST_F(SparseSlotsTest, RestoredSlotsComeBeforeThoseThatWaitForALaterTick) {
  NextTick();
  const uint64_t others = slots_.occupancy().unused;
  const std::vector<uint32_t> some = Take(slots_, others + 500);
  Give(slots_, some, ticks_->Current());
  const uint64_t mapped = space_->counts().home_mapped;
  EXPECT_EQ(Take(slots_, 2'000).size(), 2'000u);
  EXPECT_EQ(space_->counts().home_mapped, mapped);
  EXPECT_LT(returned_bytes(), 3 * 344 * page::kSmallPageBytes);
}

// What: whatever is taken, given and returned in which order, no slot is in two hands, none is
//       lost, no ID is issued twice, what is in use stays as it is, and the account agrees.
TEST_F(TableSlotsTest, ManyRoundsOfTakingGivingAndReturningKeepEverySlotAndTick) {
  testkit::SeededRandom random(7);
  std::map<uint32_t, uint32_t> taken;      // slot -> the tick it was taken at
  std::map<uint32_t, uint32_t> last_tick;  // of every slot ever taken
  uint64_t returned_peak = 0;
  const auto word = [&](uint32_t slot) {
    return space_->geometry().HomeAt(ExtentOf(slot), slot & space_->geometry().index_mask);
  };
  for (int round = 0; round < 40; ++round) {
    const uint32_t tick = random.OneIn(3) ? ticks_->Current() : NextTick();
    for (const uint32_t slot : Take(slots_, random.Below(9'000))) {
      const uint32_t now = ticks_->Current();
      ASSERT_TRUE(taken.emplace(slot, now).second) << slot;
      ASSERT_TRUE(!last_tick.contains(slot) || last_tick[slot] < now) << slot;
      last_tick[slot] = now;
      word(slot)->id.store(uint64_t{slot} + 1);
    }
    ASSERT_GE(ticks_->Current(), tick);
    // A stretch, or all but a few.
    const uint32_t stay = random.OneIn(2) ? 300 : 3;
    std::vector<std::pair<uint32_t, uint32_t>> given;
    for (const auto& [slot, at] : taken) {
      if (random.Below(stay) != 0 && (stay == 300 || ExtentOf(slot) % 2 == 0)) {
        given.push_back({slot, at});
      }
    }
    for (const auto& [slot, at] : given) {
      Give(slots_, {slot}, at);
      taken.erase(slot);
    }
    if (random.OneIn(2)) GiveBackEmptySlabs(slots_);
    slots_.ReturnSparsePages();
    const ExtentCounts counts = space_->counts();
    returned_peak = std::max(returned_peak, counts.home_bytes_returned_in_parts);
    ASSERT_EQ(account_.used_bytes(), (counts.home_mapped - counts.home_returned) * kExtentBytes -
                                         counts.home_bytes_returned_in_parts);
    ASSERT_EQ(slots_.occupancy().used, taken.size());
    for (const auto& [slot, at] : taken) ASSERT_EQ(word(slot)->id.load(), uint64_t{slot} + 1);
  }
  EXPECT_GT(returned_peak, kExtentBytes);
}

// --- runs: records longer than a slot

class TableRunsTest : public SlabTest, public testing::WithParamInterface<uint32_t> {
 protected:
  TableRunsTest()
      : largest_(OpenSpace(kSizeClassCount - 1, 30)),
        slots_({1, GetParam()}, *largest_, Owned(), *ticks_, IdCodec(kLayout).tick_max()) {}
  static OwnedExtents Owned() { return *OwnedExtents::Map(64, 0, OwnedExtentsUse::kNone); }
  // Each begins at a multiple of the length, ends in its extent, and has its slots for itself.
  void ExpectRuns(const std::vector<uint32_t>& runs) {
    const internal::SlotGeometry& geometry = largest_->geometry();
    std::set<uint32_t> slots;
    for (const uint32_t run : runs) {
      const uint32_t index = run & geometry.index_mask;
      ASSERT_TRUE(StartsRun(index, GetParam(), kRunSlotsMax)) << run;
      for (uint32_t i = 0; i < GetParam(); ++i) ASSERT_TRUE(slots.insert(run + i).second) << run;
    }
    ASSERT_FALSE(slots.contains(0u));
  }
  std::unique_ptr<ClassSpace> largest_;
  TableSlots slots_;
};
INSTANTIATE_TEST_SUITE_P(Lengths, TableRunsTest,
                         testing::Values(2u, 3u, 4u, 5u, 9u, 40u, 146u, 147u, kRunSlotsMax));

TEST_P(TableRunsTest, RunsDoNotOverlapAndAreCountedInSlots) {
  // Until the memory ends, so that shared extents and whole ones are in it.
  std::vector<uint32_t> runs;
  HomeSlotCache cache;
  for (;;) {
    if (cache.empty() && !slots_.Refill(cache).ok()) break;
    runs.push_back(cache.Take());
  }
  ASSERT_GE(runs.size(), 29u);
  ExpectRuns(runs);
  SlotOccupancy occupancy = slots_.occupancy();
  EXPECT_EQ(occupancy.used, runs.size() * GetParam());
  EXPECT_EQ(occupancy.unused, 0u);
  Give(slots_, {runs.begin(), runs.begin() + 10}, ticks_->Current());
  occupancy = slots_.occupancy();
  EXPECT_EQ(occupancy.used, (runs.size() - 10) * GetParam());
  EXPECT_EQ(occupancy.free, 10 * GetParam());
}

TEST_P(TableRunsTest, AFreedRunWaitsForALaterTickAndThenTheOldestIsFirst) {
  const std::vector<uint32_t> taken = Take(slots_, 12);
  Give(slots_, taken, ticks_->Current());
  for (const uint32_t run : Take(slots_, 3)) {
    EXPECT_EQ(std::count(taken.begin(), taken.end(), run), 0) << run;
  }
  NextTick();
  const std::vector<uint32_t> again = Take(slots_, 6);
  ExpectRuns(again);
  EXPECT_TRUE(std::equal(again.begin(), again.end(), taken.begin()));
}

TEST_P(TableRunsTest, ARunOfTheLastTickIsRetired) {
  const std::vector<uint32_t> taken = Take(slots_, 3);
  Give(slots_, {taken[0]}, IdCodec(kLayout).tick_max());
  EXPECT_EQ(slots_.occupancy().retired, GetParam());
  EXPECT_EQ(slots_.occupancy().used, 2 * GetParam());
  NextTick();
  for (const uint32_t run : Take(slots_, 10)) EXPECT_NE(run, taken[0]);
}

TEST_P(TableRunsTest, EmptySlabsAreReturnedAndUsedAgainAtLaterTicksOnly) {
  // Keeps an extent that is shared from being given back: then its slabs are wiped.
  TableSlots neighbour({3, GetParam()}, *largest_, Owned(), *ticks_, IdCodec(kLayout).tick_max());
  ASSERT_EQ(Take(neighbour, 1).size(), 1u);
  const uint64_t before = account_.used_bytes();
  const std::vector<uint32_t> taken = Take(slots_, 14);
  const uint32_t tick = ticks_->Current();
  for (const uint32_t run : taken) {
    // A record has been there: its payload must not be found by the next owner of the slots.
    char* bytes = reinterpret_cast<char*>(largest_->geometry().HomeAt(
        run >> largest_->geometry().index_bits, run & largest_->geometry().index_mask));
    std::fill_n(bytes + internal::kSlotHeaderBytes,
                GetParam() * kStrideBytesMax - internal::kSlotHeaderBytes, '\xff');
  }
  Give(slots_, taken, tick);
  EXPECT_GE(GiveBackEmptySlabs(slots_), 1u);
  EXPECT_EQ(slots_.occupancy().slab_count, 0u);
  EXPECT_EQ(account_.used_bytes(), before);
  const std::set<uint32_t> gone(taken.begin(), taken.end());
  for (const uint32_t run : Take(slots_, 5)) EXPECT_FALSE(gone.contains(run)) << run;
  NextTick();
  // Single slots may have the memory now: all of it reads as never used.
  TableSlots other({2}, *largest_, Owned(), *ticks_, IdCodec(kLayout).tick_max());
  for (const uint32_t slot : Take(other, 29 * size_t{kRunSlotsMax} / 2)) {
    const internal::SlotHeader& header = *largest_->geometry().HomeAt(
        slot >> largest_->geometry().index_bits, slot & largest_->geometry().index_mask);
    ASSERT_EQ(header.id.load(), 0u) << slot;
    ASSERT_EQ(header.version.load(), 0u) << slot;
  }
}

TEST_P(TableRunsTest, PagesOfFreeRunsGoBackAndComeAgain) {
  std::vector<uint32_t> runs = Take(slots_, 8 * size_t{kRunSlotsMax} / GetParam());
  const auto bytes_of = [&](uint32_t run) {
    return reinterpret_cast<unsigned char*>(largest_->geometry().HomeAt(
        run >> largest_->geometry().index_bits, run & largest_->geometry().index_mask));
  };
  std::vector<uint32_t> freed, kept;
  for (const uint32_t run : runs) {
    std::fill_n(bytes_of(run), GetParam() * kStrideBytesMax, uint8_t{0x5a});
    const uint32_t index = run & largest_->geometry().index_mask;
    (index >= 40 && index + GetParam() < 292 ? freed : kept).push_back(run);
  }
  const uint64_t used = account_.used_bytes();
  Give(slots_, freed, ticks_->Current());
  slots_.ReturnSparsePages();
  const uint64_t returned = largest_->counts().home_bytes_returned_in_parts;
  EXPECT_EQ(account_.used_bytes(), used - returned);
  // Shorter runs than half an extent leave enough of it empty.
  if (GetParam() <= 40) {
    EXPECT_GT(returned, 4 * kExtentBytes);
  }
  NextTick();
  const SlotOccupancy occupancy = slots_.occupancy();
  const std::vector<uint32_t> again =
      Take(slots_, (occupancy.free + occupancy.unused) / GetParam());
  ExpectRuns(again);
  for (const uint32_t run : again) {
    std::fill_n(bytes_of(run), GetParam() * kStrideBytesMax, uint8_t{0x11});
  }
  EXPECT_EQ(largest_->counts().home_bytes_returned_in_parts, 0u);
  for (const uint32_t run : kept) {
    ASSERT_EQ(std::count(bytes_of(run), bytes_of(run) + GetParam() * kStrideBytesMax, 0x5a),
              GetParam() * kStrideBytesMax);
  }
}

TEST_P(TableRunsTest, AGivenRunIsTakenOnceOnlyAtItsStartAndTheRunsBeforeItAreFree) {
  const uint32_t tick = ticks_->Current();
  const uint32_t extent = 3u << largest_->geometry().index_bits;
  const uint32_t last = kRunSlotsMax / GetParam() * GetParam() - GetParam();
  ASSERT_TRUE(slots_.TakeAt(extent | last, tick).ok());
  EXPECT_EQ(slots_.TakeAt(extent | last, tick + 1).code(), StatusCode::kFailedPrecondition);
  EXPECT_EQ(slots_.TakeAt(extent | (last + 1), tick).code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(slots_.occupancy().used, GetParam());
  EXPECT_EQ(slots_.occupancy().free, last);
  if (last > 0) {
    EXPECT_TRUE(slots_.TakeAt(extent | (last - GetParam()), tick).ok());
  }
}

TEST_F(TableSlotsTest, ARunAcrossTwoSlabsIsTakenWhereTheExtentCanBeTheTables) {
  const auto largest = OpenSpace(kSizeClassCount - 1, 4);
  TableSlots runs({1, 2}, *largest, Owned(), *ticks_, IdCodec(kLayout).tick_max());
  TableSlots others({2, 2}, *largest, Owned(), *ticks_, IdCodec(kLayout).tick_max());
  const std::vector<uint32_t> taken = Take(runs, 1);  // in the first slab: slots 1 to 8
  ASSERT_EQ(taken[0], 2u);
  const uint32_t tick = ticks_->Current();
  EXPECT_TRUE(runs.TakeAt(6, tick).ok());
  EXPECT_EQ(runs.TakeAt(0, tick).code(), StatusCode::kInvalidArgument);
  const uint32_t second = 1u << largest->geometry().index_bits;
  EXPECT_TRUE(runs.TakeAt(second | 6, tick).ok());
  EXPECT_TRUE(others.TakeAt(second | 10, tick).ok());
  EXPECT_EQ(runs.TakeAt(second | 8, tick).code(), StatusCode::kInvalidArgument);
  EXPECT_TRUE(runs.TakeAt(8, tick).ok());
  EXPECT_EQ(others.TakeAt(40, tick).code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(runs.occupancy().slab_count, 2u);
  EXPECT_EQ(runs.occupancy().used, 8u);
}

// What: whichever slots are taken by their number, in which order, out of extents in whatever
//       state, each is taken once, and all the others can be had.
TEST_F(TableSlotsTest, SlotsTakenByTheirNumbersInAnyOrderAreTakenOnce) {
  const uint32_t bits = space_->geometry().index_bits;
  const uint32_t per_extent = SizeClassSlotsPerExtent(kClass);
  testkit::SeededRandom random(11);
  std::vector<uint32_t> numbers;
  for (uint32_t extent : {0u, 5u, 2u}) {
    for (uint32_t index = extent == 0 ? 1 : 0; index < per_extent; ++index) {
      numbers.push_back(extent << bits | index);
    }
  }
  for (size_t i = numbers.size(); i > 1; --i) {
    std::swap(numbers[i - 1], numbers[random.Below(i)]);
  }
  std::set<uint32_t> taken;
  for (const uint32_t slot : Take(slots_, 700)) taken.insert(slot);  // in extent 0
  const uint32_t tick = ticks_->Current();
  for (int round = 0; round < 3; ++round) {
    const uint32_t now = tick + static_cast<uint32_t>(round) + 1;
    size_t count = 0;
    for (const uint32_t slot : numbers) {
      if (++count > numbers.size() * 2 / 3 && round < 2) break;
      ASSERT_EQ(slots_.TakeAt(slot, now).ok(), taken.insert(slot).second) << slot;
    }
    ASSERT_EQ(slots_.occupancy().used, taken.size());
    // Some come back; at their tick they are refused.
    for (auto slot = taken.begin(); slot != taken.end();) {
      if (random.OneIn(3)) {
        ++slot;
        continue;
      }
      Give(slots_, {*slot}, now);
      ASSERT_EQ(slots_.TakeAt(*slot, now).code(), StatusCode::kInvalidArgument);
      slot = taken.erase(slot);
    }
    ASSERT_EQ(slots_.occupancy().used, taken.size());
  }
  // All of it is in extents of the table's own, and the rest is handed out once each.
  EXPECT_EQ(slots_.occupancy().slab_count, 3u);
  EXPECT_EQ(space_->counts().home_owned, 3u);
  clock_.AdvanceSeconds(10);
  for (const uint32_t slot : Take(slots_, 3 * size_t{per_extent} - 1 - taken.size())) {
    ASSERT_TRUE(taken.insert(slot).second) << slot;
  }
  EXPECT_EQ(taken.size(), 3 * size_t{per_extent} - 1);
  EXPECT_EQ(account_.used_bytes(), 3 * uint64_t{kExtentBytes});
}

// The fear: slots that sessions hold ready are lost when the slabs they came from become one.
TEST_F(TableSlotsTest, WhatSessionsHoldReadyIsKeptWhenSlabsBecomeOne) {
  const uint32_t per_extent = SizeClassSlotsPerExtent(kClass);
  const uint32_t per_slab = space_->slots_per_shared_slab();
  HomeSlotCache cache;
  ASSERT_TRUE(slots_.Refill(cache).ok());
  const uint32_t held = cache.Take();
  const uint32_t tick = ticks_->Current() + 1;
  for (uint32_t number = 1; number < kSlabsPerSharedExtent; ++number) {
    ASSERT_TRUE(slots_.TakeAt(number * per_slab + 3, tick).ok());
  }
  EXPECT_EQ(slots_.occupancy().slab_count, 1u);
  EXPECT_EQ(slots_.TakeAt(cache.unused_next, tick).code(), StatusCode::kFailedPrecondition);
  slots_.GiveBackUnissued(cache);
  EXPECT_EQ(slots_.occupancy().used, kSlabsPerSharedExtent);
  EXPECT_EQ(slots_.TakeAt(held, tick).code(), StatusCode::kFailedPrecondition);
  NextTick();
  EXPECT_EQ(Take(slots_, per_extent - 1 - kSlabsPerSharedExtent).size(),
            per_extent - 1 - kSlabsPerSharedExtent);
  EXPECT_EQ(space_->counts().home_mapped, 1u);
}

// The fear: a refused ID leaves pages charged that nobody asked for.
TEST_F(SparseSlotsTest, ARefusedNumberRestoresNoPages) {
  const uint64_t returned = returned_bytes();
  const uint32_t slot = 2u << space_->geometry().index_bits | 8;
  EXPECT_EQ(slots_.TakeAt(slot, tick_).code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(returned_bytes(), returned);
}

}  // namespace
}  // namespace flagstone::slab
