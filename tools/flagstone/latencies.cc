#include "tools/flagstone/latencies.h"

#include <algorithm>
#include <cmath>

namespace flagstone::tool {

uint64_t Latencies::BoundOf(size_t bucket) {
  constexpr uint64_t kSteps = uint64_t{1} << kStepBits;
  if (bucket < 2 * kSteps) return bucket;
  const auto shift = static_cast<uint32_t>((bucket >> kStepBits) - 1);
  const uint64_t top = bucket - (uint64_t{shift} << kStepBits);
  return (top << shift) + ((uint64_t{1} << shift) - 1);
}

uint64_t Latencies::NanosAt(double share) const {
  if (count_ == 0) return 0;
  const double wanted = std::ceil(share * static_cast<double>(count_));
  const uint64_t rank = std::max<uint64_t>(1, static_cast<uint64_t>(wanted));
  uint64_t seen = 0;
  for (size_t bucket = 0; bucket < kBucketCount; ++bucket) {
    seen += buckets_[bucket];
    if (seen >= rank) return std::min(BoundOf(bucket), max_nanos_);
  }
  return max_nanos_;
}

}  // namespace flagstone::tool
