// What: blocks do not overlap, the account holds exactly what the arena holds, limits are errors.
// How:  this file is built twice: into a program with jemalloc linked, and one without.
#include "lib/page/huge_arena.h"

#include <gtest/gtest.h>

#include <cstring>
#include <random>
#include <vector>

namespace flagstone::page {
namespace {

constexpr uint64_t kMiB = 1 << 20;

#ifdef FLAGSTONE_TEST_WITH_JEMALLOC
constexpr ArenaKind kExpectedKind = ArenaKind::kJemalloc;
#else
constexpr ArenaKind kExpectedKind = ArenaKind::kOperatorNew;
#endif

class HugeArenaTest : public testing::Test {
 protected:
  std::unique_ptr<HugeArena> Open() {
    HugeArenaOptions options;
    options.bytes_max = 256 * kMiB;
    options.name = "index nodes";
    Result<std::unique_ptr<HugeArena>> arena = HugeArena::Create(options, account_);
    EXPECT_TRUE(arena.ok()) << arena.status().ToString();
    return arena.ok() ? std::move(*arena) : nullptr;
  }
  static MemoryOptions Limits() {
    MemoryOptions options;
    options.limit_bytes = 64 * kMiB;
    return options;
  }
  base::MemoryAccount account_{Limits()};
};

TEST_F(HugeArenaTest, TheProcessOffersTheExpectedKind) {
  EXPECT_EQ(HugeArena::ProbeKind(), kExpectedKind);
  EXPECT_EQ(Open()->kind(), kExpectedKind);
}

TEST_F(HugeArenaTest, BlocksKeepTheirBytesThroughARandomHistory) {
  struct Block {
    unsigned char* address;
    size_t bytes;
    size_t alignment;
    unsigned char mark;
  };
  const auto arena = Open();
  std::mt19937_64 random(20);
  std::vector<Block> blocks;
  for (int step = 0; step < 20000; ++step) {
    if (blocks.size() < 300 || random() % 2 == 0) {
      const size_t bytes = random() % 100 == 0 ? random() % (3 * kMiB) + 1 : random() % 4096 + 1;
      const size_t alignment = size_t{1} << (random() % 13);
      const Result<void*> got = arena->Allocate(bytes, alignment);
      if (!got.ok()) {
        ASSERT_EQ(got.code(), StatusCode::kResourceExhausted);
        ASSERT_FALSE(blocks.empty());
      } else {
        ASSERT_EQ(reinterpret_cast<uintptr_t>(*got) % alignment, 0u);
        const auto mark = static_cast<unsigned char>(random());
        std::memset(*got, mark, bytes);
        blocks.push_back({static_cast<unsigned char*>(*got), bytes, alignment, mark});
        EXPECT_EQ(account_.used_bytes(), arena->charged_bytes());
        continue;
      }
    }
    std::swap(blocks[random() % blocks.size()], blocks.back());
    const Block block = blocks.back();
    blocks.pop_back();
    ASSERT_EQ(block.address[0], block.mark);
    ASSERT_EQ(block.address[block.bytes / 2], block.mark);
    ASSERT_EQ(block.address[block.bytes - 1], block.mark);
    arena->Deallocate(block.address, block.bytes, block.alignment);
  }
  for (const Block& block : blocks) {
    arena->Deallocate(block.address, block.bytes, block.alignment);
  }
}

TEST_F(HugeArenaTest, TheLimitIsAnErrorAndRoomComesBack) {
  {
    const auto arena = Open();
    std::vector<void*> blocks;
    Result<void*> got = arena->Allocate(kMiB, 64);
    while (got.ok()) {
      blocks.push_back(*got);
      got = arena->Allocate(kMiB, 64);
    }
    EXPECT_EQ(got.code(), StatusCode::kResourceExhausted);
    EXPECT_GE(blocks.size(), 30u);
    EXPECT_LE(account_.used_bytes(), 62 * kMiB);
    for (void* block : blocks) arena->Deallocate(block, kMiB, 64);
    got = arena->Allocate(kMiB, 64);
    ASSERT_TRUE(got.ok());
    arena->Deallocate(*got, kMiB, 64);
  }
  EXPECT_EQ(account_.used_bytes(), 0u);
}

TEST_F(HugeArenaTest, NonsenseIsRefused) {
  const auto arena = Open();
  EXPECT_EQ(arena->Allocate(0, 8).code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(arena->Allocate(8, 3).code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(arena->Allocate(8, 8192).code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(arena->Allocate(SIZE_MAX, 8).code(), StatusCode::kInvalidArgument);
}

TEST_F(HugeArenaTest, TheHostsOwnAllocationsStayOutside) {
  const auto arena = Open();
  const uint64_t before = arena->charged_bytes();
  std::vector<std::vector<char>> host;
  for (int i = 0; i < 1000; ++i) host.emplace_back(10000, 'x');
  EXPECT_EQ(arena->charged_bytes(), before);
}

}  // namespace
}  // namespace flagstone::page
