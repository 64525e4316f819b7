#include "flagstone/size_class.h"

#include <gtest/gtest.h>

#include <array>

namespace flagstone {
namespace {

TEST(SizeClassTest, StridesAreTheThirtyTwoOfTheFormat) {
  constexpr std::array<uint32_t, kSizeClassCount> kStrides = {
      32,  40,  48,  56,  64,   80,   96,   112,  128,  160,  192,  224,  256,  320,  384,  448,
      512, 640, 768, 896, 1024, 1280, 1536, 1792, 2048, 2560, 3072, 3584, 4096, 5120, 6144, 7168};
  for (uint32_t size_class = 0; size_class < kSizeClassCount; ++size_class) {
    EXPECT_EQ(SizeClassStrideBytes(size_class), kStrides[size_class]) << size_class;
  }
}

TEST(SizeClassTest, EverySizeGetsTheSmallestStrideThatHoldsIt) {
  uint32_t expected = 0;
  for (uint32_t bytes = 0; bytes <= kStrideBytesMax; ++bytes) {
    if (bytes > SizeClassStrideBytes(expected)) ++expected;
    ASSERT_EQ(SizeClassFor(bytes), expected) << bytes;
  }
  EXPECT_EQ(SizeClassFor(kStrideBytesMax + 1), kSizeClassCount);
  EXPECT_EQ(SizeClassFor(UINT64_MAX), kSizeClassCount);
}

TEST(SizeClassTest, IndexBitsAreJustEnoughForOneExtent) {
  for (uint32_t size_class = 0; size_class < kSizeClassCount; ++size_class) {
    const uint32_t slots = SizeClassSlotsPerExtent(size_class);
    const uint32_t bits = SizeClassIndexBits(size_class);
    EXPECT_LE(slots, 1u << bits) << size_class;
    EXPECT_GT(slots, 1u << (bits - 1)) << size_class;
    EXPECT_LE(uint64_t{slots} * SizeClassStrideBytes(size_class), kExtentBytes) << size_class;
  }
}

TEST(SizeClassTest, RunsTakeTheFewestSlotsOfTheLargestClassThatHoldThem) {
  constexpr uint32_t kLargest = kSizeClassCount - 1;
  for (uint64_t bytes = 1; bytes <= kExtentBytes; bytes += 97) {
    const uint64_t slots = RunSlotsIn(kLargest, bytes);
    if (bytes > uint64_t{kRunSlotsMax} * kStrideBytesMax) {
      ASSERT_EQ(slots, 0u) << bytes;
      continue;
    }
    ASSERT_GE(slots * kStrideBytesMax, bytes);
    ASSERT_LT((slots - 1) * kStrideBytesMax, bytes);
  }
  EXPECT_EQ(RunSlotsIn(kLargest, 7'168), 1u);
  EXPECT_EQ(RunSlotsIn(kLargest, 7'169), 2u);
  EXPECT_EQ(RunSlotsIn(kLargest, 2'093'056), 292u);
  EXPECT_EQ(RunSlotsIn(kLargest, 2'093'057), 0u);
  EXPECT_EQ(RunSlotsIn(kLargest, UINT64_MAX), 0u);
  for (uint32_t size_class = 0; size_class < kLargest; ++size_class) {
    EXPECT_EQ(RunSlotsIn(size_class, SizeClassStrideBytes(size_class)), 1u);
    EXPECT_EQ(RunSlotsIn(size_class, SizeClassStrideBytes(size_class) + 1), 0u);
  }
}

TEST(SizeClassTest, AnIndexStartsARunWhenItIsAMultipleAndTheRunEndsInTheExtent) {
  for (uint32_t run_slots = 1; run_slots <= kRunSlotsMax; ++run_slots) {
    uint32_t starts = 0;
    for (uint32_t index = 0; index < 512; ++index) {
      if (!StartsRun(index, run_slots, kRunSlotsMax)) continue;
      ASSERT_EQ(index, starts * run_slots);
      ++starts;
    }
    ASSERT_EQ(starts, kRunSlotsMax / run_slots);
  }
}

}  // namespace
}  // namespace flagstone
