#include "lib/slab/sparse_pages.h"

#include <gtest/gtest.h>

#include <memory>

#include "tests/support/seeded_random.h"

namespace flagstone::slab {
namespace {

struct Shape {
  uint32_t stride;
  uint32_t run_slots;
  uint32_t first_index;
  uint32_t end_index;
};
Slab SlabOf(const Shape& shape) {
  Slab slab;
  LayOut(slab, shape.run_slots, {shape.first_index, shape.end_index});
  slab.next_unused = slab.end_index;
  return slab;
}
std::vector<FreeSlot> AllSlots(const Slab& slab) {
  std::vector<FreeSlot> all;
  for (uint32_t i = slab.first_index; i < slab.next_unused; i += slab.run_slots) {
    all.push_back({i, 1});
  }
  return all;
}

TEST(SparsePagesTest, ASlotKeepsEveryPageItReachesInto) {
  // Slot 5 of stride 768 lies on bytes 3840 to 4608: on pages 0 and 1.
  const Slab slab = SlabOf({768, 1, 0, 2730});
  EXPECT_EQ(PagesOfSlot(slab, 768, 5).first, 0u);
  EXPECT_EQ(PagesOfSlot(slab, 768, 5).count, 2u);
  std::vector<FreeSlot> free = AllSlots(slab);
  EXPECT_EQ(EmptyPages(slab, 768, free).count(), 2730u * 768 / 4096);
  std::erase_if(free, [](const FreeSlot& slot) { return slot.index == 5; });
  const PageSet empty = EmptyPages(slab, 768, free);
  EXPECT_FALSE(empty[0]);
  EXPECT_FALSE(empty[1]);
  EXPECT_TRUE(empty[2]);
}

TEST(SparsePagesTest, TheFirstSlotOfAllAndTheNeverUsedOnesKeepTheirPages) {
  Slab slab = SlabOf({64, 1, 1, 32'768});
  slab.next_unused = 6'401;
  const PageSet empty = EmptyPages(slab, 64, AllSlots(slab));
  EXPECT_FALSE(empty[0]);  // slot 0, whose ID word is no ID
  EXPECT_TRUE(empty[1]);
  EXPECT_TRUE(empty[99]);
  EXPECT_FALSE(empty[100]);  // slots 6,400 to 6,463
}

// What: slots on pages and pages of slots say the same of each other, for strides and runs that
//       divide no page.
TEST(SparsePagesTest, PagesAndSlotsAgree) {
  for (const Shape& shape :
       {Shape{32, 1, 0, 65'536}, Shape{40, 1, 1, 52'428}, Shape{6144, 1, 0, 341},
        Shape{7168, 3, 0, 292}, Shape{7168, 147, 0, 292}, Shape{7168, 292, 0, 292}}) {
    SCOPED_TRACE(shape.stride * shape.run_slots);
    const Slab slab = SlabOf(shape);
    testkit::SeededRandom random(shape.stride + shape.run_slots);
    for (int i = 0; i < 30; ++i) {
      const uint32_t first = random.Below(page::kPagesPerExtent);
      const page::PageSpan pages{first, 1 + random.Below(page::kPagesPerExtent - first)};
      const IndexRange slots = SlotsOnPages(slab, shape.stride, pages);
      for (uint32_t index = slab.first_index; index < slab.end_index; index += slab.run_slots) {
        const page::PageSpan own = PagesOfSlot(slab, shape.stride, index);
        const bool meet = own.first < pages.end() && pages.first < own.end();
        ASSERT_EQ(meet, index >= slots.begin && index < slots.end) << index;
      }
    }
  }
}

TEST(SparsePagesTest, StretchesAreAsLongAsTheyCanBe) {
  PageSet pages;
  pages.set(3).set(4).set(511);
  EXPECT_EQ(NextStretch(pages, 0).first, 3u);
  EXPECT_EQ(NextStretch(pages, 0).count, 2u);
  EXPECT_EQ(NextStretch(pages, 5).first, 511u);
  EXPECT_EQ(NextStretch(pages, 5).count, 1u);
  EXPECT_EQ(NextStretch(pages, 512).count, 0u);
}

}  // namespace
}  // namespace flagstone::slab
