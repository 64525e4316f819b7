#include "lib/txn/changed_ring.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

namespace flagstone::txn {
namespace {

using testing::ElementsAre;
using SmallRing = BasicChangedRing<internal::StdAtomics, uint64_t, 4>;

std::vector<uint64_t> Drain(SmallRing& ring, uint64_t count_max) {
  std::vector<uint64_t> ids;
  const uint64_t count = ring.Drain(count_max, [&](uint64_t id) { ids.push_back(id); });
  EXPECT_EQ(count, ids.size());
  return ids;
}

TEST(ChangedRingTest, EntriesComeOutInOrderAndAtMostAsManyAsAskedFor) {
  SmallRing ring;
  for (const uint64_t id : {7, 8, 9}) ring.Push(id);
  EXPECT_EQ(ring.waiting_count(), 3u);
  EXPECT_THAT(Drain(ring, 2), ElementsAre(7, 8));
  EXPECT_EQ(ring.waiting_count(), 1u);
  EXPECT_THAT(Drain(ring, 2), ElementsAre(9));
  EXPECT_THAT(Drain(ring, 2), ElementsAre());
}

TEST(ChangedRingTest, RoomIsWhatIsLeftAndComesBackWhenEntriesAreTaken) {
  SmallRing ring;
  EXPECT_EQ(ring.room(), 4u);
  for (uint64_t id = 1; id <= 4; ++id) {
    EXPECT_EQ(ring.room(), 5 - id);
    ring.Push(id);
  }
  EXPECT_EQ(ring.room(), 0u);
  EXPECT_THAT(Drain(ring, 1), ElementsAre(1));
  EXPECT_EQ(ring.room(), 1u);
}

TEST(ChangedRingTest, ItGoesRoundManyTimes) {
  SmallRing ring;
  uint64_t pushed = 0;
  uint64_t popped = 0;
  for (int round = 0; round < 1000; ++round) {
    while (ring.room() > 0) ring.Push(++pushed);
    for (const uint64_t id : Drain(ring, 3)) ASSERT_EQ(id, ++popped);
  }
  EXPECT_EQ(ring.waiting_count(), pushed - popped);
}

}  // namespace
}  // namespace flagstone::txn
