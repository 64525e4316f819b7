// LatencyHistogram: counts of durations in buckets that are at most 1/64 wide of their value.
//
// Log-linear: values below 64 have a bucket each; above, every doubling is cut into 64 equal ones.
//
//   value     0 .. 63   64 .. 127 step 1   128 .. 255 step 2   256 .. 511 step 4   ...
//
// Invariants  1. A percentile is at or above the true one, by less than 1/64 of it.
// Threads     One at a time; Add() joins histograms of several threads.
// Cost        Record(): one increment. 30 KiB, so that it stays in the first-level cache's reach
//             where values are alike.
// See         tests/unit/bench/latency_histogram_test.cc
#ifndef FLAGSTONE_BENCH_KIT_LATENCY_HISTOGRAM_H_
#define FLAGSTONE_BENCH_KIT_LATENCY_HISTOGRAM_H_

#include <bit>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace flagstone::bench {

class LatencyHistogram {
 public:
  static constexpr int kSubBucketBits = 6;
  static constexpr uint64_t kSubBuckets = uint64_t{1} << kSubBucketBits;

  LatencyHistogram() : counts_(kBucketCount) {}

  void Record(uint64_t value) {
    ++counts_[BucketOf(value)];
    ++total_;
  }
  void Add(const LatencyHistogram& other);
  void Clear();

  uint64_t total() const { return total_; }
  // The smallest recordable value such that at least `fraction` (0 to 1) of all values are at or
  // below its bucket: the bucket's upper end. 0 when nothing was recorded.
  uint64_t ValueAt(double fraction) const;

  static constexpr size_t BucketOf(uint64_t value) {
    if (value < kSubBuckets) return static_cast<size_t>(value);
    const int shift = std::bit_width(value) - 1 - kSubBucketBits;
    return (static_cast<size_t>(shift) << kSubBucketBits) + static_cast<size_t>(value >> shift);
  }
  // The largest value of the bucket.
  static constexpr uint64_t UpperEndOf(size_t bucket) {
    if (bucket < 2 * kSubBuckets) return bucket;
    const size_t shift = (bucket >> kSubBucketBits) - 1;
    const uint64_t leading = bucket - (shift << kSubBucketBits);
    return ((leading + 1) << shift) - 1;
  }

 private:
  static constexpr size_t kBucketCount = (64 - kSubBucketBits + 1) << kSubBucketBits;

  std::vector<uint64_t> counts_;
  uint64_t total_ = 0;
};

}  // namespace flagstone::bench

#endif  // FLAGSTONE_BENCH_KIT_LATENCY_HISTOGRAM_H_
