#include "lib/slab/version_pool.h"

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

}  // namespace
}  // namespace flagstone::slab
