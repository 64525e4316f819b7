// What: blocks do not overlap, are aligned, and big ones go back to the system.
#include "bench/kit/huge_page_allocator.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>
#include <vector>

namespace flagstone::bench {
namespace {

TEST(HugePageAllocatorTest, SmallBlocksKeepWhatIsWrittenAndAreAligned) {
  HugePageArena arena;
  std::vector<unsigned char*> blocks;
  for (size_t i = 0; i < 20'000; ++i) {
    const size_t alignment = size_t{1} << (i % 7);
    auto* const block = static_cast<unsigned char*>(arena.Allocate(100 + i % 300, alignment));
    EXPECT_EQ(reinterpret_cast<uintptr_t>(block) % alignment, 0u);
    std::memset(block, static_cast<int>(i % 251), 100 + i % 300);
    blocks.push_back(block);
  }
  for (size_t i = 0; i < blocks.size(); ++i) {
    for (size_t k = 0; k < 100 + i % 300; ++k) ASSERT_EQ(blocks[i][k], i % 251) << i;
  }
}

TEST(HugePageAllocatorTest, BigBlocksBeginOnAHugePageAndCanBeFreed) {
  HugePageArena arena;
  for (int i = 0; i < 100; ++i) {
    constexpr size_t kBytes = (size_t{5} << 20) + 123;
    void* const block = arena.Allocate(kBytes, 64);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(block) % (2u << 20), 0u);
    std::memset(block, i, kBytes);
    arena.Free(block, kBytes);
  }
}

TEST(HugePageAllocatorTest, ServesAVector) {
  HugePageArena arena;
  std::vector<uint64_t, HugePageAllocator<uint64_t>> numbers{HugePageAllocator<uint64_t>(arena)};
  for (uint64_t i = 0; i < 1'000'000; ++i) numbers.push_back(i);
  for (uint64_t i = 0; i < 1'000'000; ++i) ASSERT_EQ(numbers[i], i);
}

}  // namespace
}  // namespace flagstone::bench
