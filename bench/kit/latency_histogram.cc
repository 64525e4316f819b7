#include "bench/kit/latency_histogram.h"

#include <algorithm>
#include <cmath>

namespace flagstone::bench {

void LatencyHistogram::Add(const LatencyHistogram& other) {
  for (size_t i = 0; i < counts_.size(); ++i) counts_[i] += other.counts_[i];
  total_ += other.total_;
}

void LatencyHistogram::Clear() {
  std::fill(counts_.begin(), counts_.end(), 0);
  total_ = 0;
}

uint64_t LatencyHistogram::ValueAt(double fraction) const {
  if (total_ == 0) return 0;
  const double wanted = std::ceil(fraction * static_cast<double>(total_));
  const uint64_t rank =
      std::clamp<uint64_t>(static_cast<uint64_t>(std::max(wanted, 1.0)), 1, total_);
  uint64_t seen = 0;
  for (size_t bucket = 0; bucket < counts_.size(); ++bucket) {
    seen += counts_[bucket];
    if (seen >= rank) return UpperEndOf(bucket);
  }
  return UpperEndOf(counts_.size() - 1);
}

}  // namespace flagstone::bench
