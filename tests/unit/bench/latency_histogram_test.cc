// What: the histogram's percentiles are at or above the true ones, by less than 1/64.
// How:  against a sorted list of the same values.
#include "bench/kit/latency_histogram.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "lib/base/random.h"

namespace flagstone::bench {
namespace {

TEST(LatencyHistogramTest, EveryValueLiesInABucketThatEndsLessThanA64thAboveIt) {
  std::vector<uint64_t> values = {0, 1, 63, 64, 65, 127, 128, 129, 255, 256, ~uint64_t{0}};
  base::Random random(7);
  for (int i = 0; i < 10'000; ++i) values.push_back(random.Next() >> random.Below(64));
  for (const uint64_t value : values) {
    SCOPED_TRACE(value);
    const size_t bucket = LatencyHistogram::BucketOf(value);
    const uint64_t end = LatencyHistogram::UpperEndOf(bucket);
    EXPECT_GE(end, value);
    EXPECT_LE(end - value, value / 64);
    if (bucket > 0) {
      EXPECT_LT(LatencyHistogram::UpperEndOf(bucket - 1), value);
    }
  }
}

TEST(LatencyHistogramTest, PercentilesAreThoseOfTheSortedValues) {
  base::Random random(11);
  LatencyHistogram histogram;
  std::vector<uint64_t> values;
  for (int i = 0; i < 100'000; ++i) {
    values.push_back(100 + (random.Next() >> (40 + random.Below(20))));
    histogram.Record(values.back());
  }
  std::sort(values.begin(), values.end());
  for (const double fraction : {0.0, 0.001, 0.5, 0.9, 0.99, 0.999, 1.0}) {
    SCOPED_TRACE(fraction);
    const double rank = std::max(1.0, std::ceil(fraction * static_cast<double>(values.size())));
    const uint64_t exact = values[static_cast<size_t>(rank) - 1];
    EXPECT_GE(histogram.ValueAt(fraction), exact);
    EXPECT_LE(histogram.ValueAt(fraction) - exact, exact / 64);
  }
}

TEST(LatencyHistogramTest, OneOutlierInAThousandIsP999sAndNotP99s) {
  LatencyHistogram histogram;
  for (int i = 0; i < 998; ++i) histogram.Record(50);
  histogram.Record(1'000'000);
  histogram.Record(1'000'000);
  EXPECT_EQ(histogram.ValueAt(0.99), 50u);
  EXPECT_GE(histogram.ValueAt(0.999), 1'000'000u);
}

TEST(LatencyHistogramTest, AddJoinsAndClearForgets) {
  LatencyHistogram one;
  LatencyHistogram other;
  EXPECT_EQ(one.ValueAt(0.5), 0u);
  one.Record(10);
  other.Record(20);
  other.Record(30);
  one.Add(other);
  EXPECT_EQ(one.total(), 3u);
  EXPECT_EQ(one.ValueAt(0.5), 20u);
  one.Clear();
  EXPECT_EQ(one.total(), 0u);
  EXPECT_EQ(one.ValueAt(0.5), 0u);
}

}  // namespace
}  // namespace flagstone::bench
