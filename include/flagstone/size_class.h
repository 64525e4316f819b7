// Size classes: the 32 slot sizes of the slabs, and how a slot number names an extent and an index
// in it.
//
//   class       0   1   2   3   4   5   6    7    8  ...   28    29    30    31
//   stride     32  40  48  56  64  80  96  112  128  ... 4096  5120  6144  7168
//
// in bytes, four per doubling.
//
//   slot number = | extent | index |    the index has 16 - class / 4 bits: just enough for the
//                                       slots of one 2 MiB extent, so some of its values name no
//                                       slot unless the stride is a power of two
//
// Part of what an ID means (docs/format/record_id.md), therefore fixed for ever.
#ifndef FLAGSTONE_SIZE_CLASS_H_
#define FLAGSTONE_SIZE_CLASS_H_

#include <bit>
#include <cstdint>

namespace flagstone {

inline constexpr uint32_t kSizeClassCount = 32;
inline constexpr uint32_t kSizeClassBits = 5;
inline constexpr uint32_t kExtentBytes = 2u << 20;
inline constexpr uint32_t kStrideBytesMin = 32;
inline constexpr uint32_t kStrideBytesMax = 7168;

static_assert(kSizeClassCount == 1u << kSizeClassBits);

// Bytes from one slot of the class to the next. `size_class` < kSizeClassCount, here and below.
constexpr uint32_t SizeClassStrideBytes(uint32_t size_class) noexcept {
  return (4 + size_class % 4) << (3 + size_class / 4);
}

// Slots in one extent; what is left at its end is less than a stride and unused.
constexpr uint32_t SizeClassSlotsPerExtent(uint32_t size_class) noexcept {
  return kExtentBytes / SizeClassStrideBytes(size_class);
}

// Low bits of a slot number that are the index in the extent.
constexpr uint32_t SizeClassIndexBits(uint32_t size_class) noexcept { return 16 - size_class / 4; }

// The smallest class whose stride holds `bytes`; kSizeClassCount when none does.
constexpr uint32_t SizeClassFor(uint64_t bytes) noexcept {
  if (bytes <= kStrideBytesMin) return 0;
  if (bytes > kStrideBytesMax) return kSizeClassCount;
  // With 2^p the highest power of two below `bytes`, its doubling is cut into four steps of
  // 2^(p-2).
  const uint32_t power = static_cast<uint32_t>(std::bit_width(bytes - 1)) - 1;
  const uint32_t step = static_cast<uint32_t>((bytes - 1) >> (power - 2)) - 3;
  return (power - 5) * 4 + step;
}

static_assert(SizeClassStrideBytes(0) == kStrideBytesMin);
static_assert(SizeClassStrideBytes(kSizeClassCount - 1) == kStrideBytesMax);

// A record that one slot of the largest class does not hold takes a run: adjacent slots of that
// class in one extent, the first at an index that is a multiple of their number.
inline constexpr uint32_t kRunSlotsMax = SizeClassSlotsPerExtent(kSizeClassCount - 1);

// Adjacent slots of the class that hold `bytes`; 0 when none do. Above 1 in the largest class only.
constexpr uint32_t RunSlotsIn(uint32_t size_class, uint64_t bytes) noexcept {
  const uint64_t stride = SizeClassStrideBytes(size_class);
  if (bytes <= stride) return 1;
  if (size_class != kSizeClassCount - 1 || bytes > kRunSlotsMax * stride) return 0;
  return static_cast<uint32_t>((bytes + stride - 1) / stride);
}

// True when `index` is the first slot of a run of `run_slots` in an extent of `slots_per_extent`.
constexpr bool StartsRun(uint32_t index, uint32_t run_slots, uint32_t slots_per_extent) noexcept {
  if (run_slots == 1) return index < slots_per_extent;
  return index % run_slots == 0 && index + run_slots <= slots_per_extent;
}

}  // namespace flagstone

#endif  // FLAGSTONE_SIZE_CLASS_H_
