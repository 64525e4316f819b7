// Latencies: many short durations, and what share of them was below which.
//
// Place       Under `demo`. A histogram of fixed size: taking a sample allocates nothing.
// Invariants  A percentile is at most 3.2 % (1/32) above the sample it stands for, never below it.
// Threads     One.
#ifndef FLAGSTONE_TOOLS_FLAGSTONE_LATENCIES_H_
#define FLAGSTONE_TOOLS_FLAGSTONE_LATENCIES_H_

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

namespace flagstone::tool {

class Latencies {
 public:
  void Add(uint64_t nanos) {
    ++buckets_[BucketOf(nanos)];
    ++count_;
    if (nanos > max_nanos_) max_nanos_ = nanos;
  }
  uint64_t count() const { return count_; }
  uint64_t max_nanos() const { return max_nanos_; }
  // The smallest bound that at least `share` (0 to 1) of the samples reach at most; 0 without
  // samples.
  uint64_t NanosAt(double share) const;

 private:
  // 32 steps per doubling; below 32 ns one bucket each.
  static constexpr uint32_t kStepBits = 5;
  static constexpr size_t kBucketCount = (64 - kStepBits + 1) << kStepBits;

  static size_t BucketOf(uint64_t nanos) {
    if (nanos < (uint64_t{1} << kStepBits)) return nanos;
    const auto shift = static_cast<uint32_t>(std::bit_width(nanos)) - kStepBits - 1;
    return (uint64_t{shift} << kStepBits) + (nanos >> shift);
  }
  // The largest value of the bucket.
  static uint64_t BoundOf(size_t bucket);

  std::array<uint64_t, kBucketCount> buckets_{};
  uint64_t count_ = 0;
  uint64_t max_nanos_ = 0;
};

}  // namespace flagstone::tool

#endif  // FLAGSTONE_TOOLS_FLAGSTONE_LATENCIES_H_
