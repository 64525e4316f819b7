#include "lib/slab/version_pool.h"

#include <iterator>
#include <map>

#include "lib/base/random.h"
#include "tests/unit/slab/slab_fixture.h"

namespace flagstone::slab {
namespace {

class VersionPoolTest : public SlabTest {
 protected:
  VersionPoolTest() : small_(OpenSpace(kClass, 1)), pool_(*small_) {
    EXPECT_TRUE(pool_.Prepare(1).ok());
  }
  std::unique_ptr<ClassSpace> small_;  // one extent of version slots
  VersionPool pool_;
};

TEST_F(VersionPoolTest, TheSlotGivenLastIsTakenFirst) {
  VersionSlotCache cache;
  ASSERT_TRUE(pool_.Refill(cache, VersionUse::kUpdate).ok());
  ASSERT_GT(cache.count, 1u);
  const internal::VersionLink given[] = {cache.links[0], cache.links[1]};
  pool_.Give(given);
  VersionSlotCache next;
  ASSERT_TRUE(pool_.Refill(next, VersionUse::kUpdate).ok());
  EXPECT_EQ(next.links[0], given[1]);
  EXPECT_EQ(next.links[1], given[0]);
}

TEST_F(VersionPoolTest, NoLinkIsZeroAndNoneIsHandedOutTwice) {
  std::vector<bool> seen(SizeClassSlotsPerExtent(kClass));
  for (VersionSlotCache cache; pool_.Refill(cache, VersionUse::kDelete).ok(); cache.count = 0) {
    for (uint32_t i = 0; i < cache.count; ++i) {
      ASSERT_NE(cache.links[i], 0u);
      ASSERT_FALSE(seen.at(cache.links[i]));
      seen[cache.links[i]] = true;
    }
  }
  EXPECT_EQ(pool_.free_count(), 0u);
  EXPECT_EQ(pool_.used_count(), SizeClassSlotsPerExtent(kClass) - 1);
}

TEST_F(VersionPoolTest, TheReserveIsForDeletes) {
  VersionSlotCache cache;
  Status status;
  for (; status.ok(); cache.count = 0) status = pool_.Refill(cache, VersionUse::kUpdate);
  EXPECT_EQ(status.code(), StatusCode::kResourceExhausted);
  EXPECT_EQ(pool_.free_count(), VersionPool::kReservedForDeletes);
  for (uint64_t i = 0; i < VersionPool::kReservedForDeletes; ++i) {
    cache.count = 0;
    ASSERT_TRUE(pool_.Refill(cache, VersionUse::kDelete).ok());
    ASSERT_EQ(cache.count, 1u);
  }
  cache.count = 0;
  EXPECT_FALSE(pool_.Refill(cache, VersionUse::kDelete).ok());
}

TEST_F(VersionPoolTest, EmptyExtentsAreReturnedButTheFirst) {
  VersionPool pool(*space_);
  ASSERT_TRUE(pool.Prepare(1).ok());
  std::vector<internal::VersionLink> taken;
  while (taken.size() < 10'000) {
    VersionSlotCache cache;
    ASSERT_TRUE(pool.Refill(cache, VersionUse::kUpdate).ok());
    taken.insert(taken.end(), cache.links, cache.links + cache.count);
  }
  EXPECT_EQ(space_->counts().version_mapped, 3u);
  pool.Give(taken);
  EXPECT_EQ(pool.used_count(), 0u);
  EXPECT_EQ(pool.ReturnEmptyExtents(), 2u);
  EXPECT_EQ(space_->counts().version_mapped, 1u);
  VersionSlotCache cache;
  EXPECT_TRUE(pool.Refill(cache, VersionUse::kUpdate).ok());
}

// --- runs: versions of long records

class VersionRunsTest : public SlabTest {
 protected:
  static constexpr uint32_t kLengths[] = {2, 3, 40, 147, kRunSlotsMax};

  VersionRunsTest() : largest_(OpenSpace(kSizeClassCount - 1, 24)), pool_(*largest_) {
    for (const uint32_t run_slots : kLengths) EXPECT_TRUE(pool_.Prepare(run_slots).ok());
  }
  std::unique_ptr<ClassSpace> largest_;
  VersionPool pool_;
};

TEST_F(VersionRunsTest, RunsOfAllLengthsAndSingleSlotsDoNotOverlapWhateverComesBack) {
  const internal::SlotGeometry& geometry = largest_->geometry();
  std::map<uint32_t, uint32_t> held;  // link to length
  uint64_t held_slots = 0;
  const auto take = [&](uint32_t link, uint32_t run_slots) {
    ASSERT_TRUE(StartsRun(link & geometry.index_mask, run_slots, kRunSlotsMax)) << link;
    ASSERT_NE(link, 0u);
    const auto next = held.lower_bound(link);
    ASSERT_TRUE(next == held.end() || next->first >= link + run_slots) << link;
    ASSERT_TRUE(next == held.begin() || std::prev(next)->first + std::prev(next)->second <= link);
    held[link] = run_slots;
    held_slots += run_slots;
  };
  base::Random random(7);
  for (int step = 0; step < 20'000; ++step) {
    const uint32_t run_slots = kLengths[random.Below(std::size(kLengths))];
    if (random.Below(3) == 0) {
      VersionSlotCache cache;
      if (!pool_.Refill(cache, VersionUse::kUpdate).ok()) continue;
      for (uint32_t i = 0; i < cache.count; ++i) take(cache.links[i], 1);
    } else if (random.Below(2) == 0) {
      const Result<internal::VersionLink> run = pool_.TakeRun(run_slots);
      if (run.ok()) take(*run, run_slots);
    } else {
      for (uint32_t i = 0; i < 40 && !held.empty(); ++i) {
        auto given = held.lower_bound(static_cast<uint32_t>(random.Below(24u << 9)));
        if (given == held.end()) given = held.begin();
        const internal::VersionLink link = given->first;
        held_slots -= given->second;
        held.erase(given);
        pool_.Give(std::span(&link, 1));
      }
    }
    if (step % 100 == 0) pool_.ReturnEmptyExtents();
    ASSERT_EQ(pool_.used_count(), held_slots);
  }
}

TEST_F(VersionRunsTest, DeletesHaveTheirReserveWhenRunsHaveTakenAllMemory) {
  std::vector<internal::VersionLink> taken;
  for (const uint32_t run_slots : kLengths) {
    for (;;) {
      const Result<internal::VersionLink> run = pool_.TakeRun(run_slots);
      if (!run.ok()) {
        EXPECT_EQ(run.code(), StatusCode::kResourceExhausted);
        break;
      }
      taken.push_back(*run);
    }
  }
  VersionSlotCache cache;
  Status status;
  for (; status.ok(); cache.count = 0) status = pool_.Refill(cache, VersionUse::kUpdate);
  for (uint32_t i = 0; i < kRunSlotsMax / 2; ++i) {
    cache.count = 0;
    ASSERT_TRUE(pool_.Refill(cache, VersionUse::kDelete).ok()) << i;
    ASSERT_EQ(cache.count, 1u);
  }
  // Given back, a run is there for the next update.
  pool_.Give(std::span(taken).last(1));
  EXPECT_EQ(*pool_.TakeRun(kLengths[std::size(kLengths) - 1]), taken.back());
}

TEST_F(VersionRunsTest, EmptyExtentsAreReturnedButTheFirstOfEachLength) {
  const uint64_t prepared = 1 + std::size(kLengths);
  EXPECT_EQ(largest_->counts().version_mapped, prepared);
  EXPECT_TRUE(pool_.Prepare(40).ok());
  EXPECT_EQ(largest_->counts().version_mapped, prepared);
  std::vector<internal::VersionLink> taken;
  for (int i = 0; i < 5; ++i) {
    taken.push_back(*pool_.TakeRun(kRunSlotsMax));
    taken.push_back(*pool_.TakeRun(147));
  }
  EXPECT_EQ(largest_->counts().version_mapped, prepared + 8);
  EXPECT_EQ(pool_.used_count(), 5 * (kRunSlotsMax + 147));
  pool_.Give(taken);
  EXPECT_EQ(pool_.ReturnEmptyExtents(), 8u);
  EXPECT_EQ(largest_->counts().version_mapped, prepared);
  EXPECT_EQ(pool_.used_count(), 0u);
  // The extents that came back are cut anew: 97 runs of 3 each, beyond the one that is kept.
  for (uint32_t i = 0; i < 3 * 97; ++i) EXPECT_TRUE(pool_.TakeRun(3).ok());
  EXPECT_EQ(largest_->counts().version_mapped, prepared + 2);
}

}  // namespace
}  // namespace flagstone::slab
