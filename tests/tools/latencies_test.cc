// What: percentiles are right to one step of the histogram, for any values.
#include "tools/flagstone/latencies.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <vector>

#include "lib/base/random.h"

namespace flagstone::tool {
namespace {

TEST(LatenciesTest, WithoutSamplesEverythingIsZero) {
  EXPECT_EQ(Latencies().NanosAt(0.99), 0u);
  EXPECT_EQ(Latencies().max_nanos(), 0u);
}

TEST(LatenciesTest, SmallValuesAreExact) {
  Latencies latencies;
  for (uint64_t i = 1; i <= 10; ++i) latencies.Add(i);
  EXPECT_EQ(latencies.NanosAt(0), 1u);
  EXPECT_EQ(latencies.NanosAt(0.5), 5u);
  EXPECT_EQ(latencies.NanosAt(1), 10u);
  EXPECT_EQ(latencies.count(), 10u);
}

TEST(LatenciesTest, TheLargestValueThereIsHasABucket) {
  Latencies latencies;
  latencies.Add(UINT64_MAX);
  latencies.Add(0);
  EXPECT_EQ(latencies.NanosAt(1), UINT64_MAX);
  EXPECT_EQ(latencies.NanosAt(0.5), 0u);
}

TEST(LatenciesTest, PercentilesAreAtMostAStepAboveTheSampleTheyStandFor) {
  base::Random random(3);
  std::vector<uint64_t> samples;
  const auto latencies = std::make_unique<Latencies>();
  for (int i = 0; i < 100'000; ++i) {
    samples.push_back(random.Next() >> random.Below(64));
    latencies->Add(samples.back());
  }
  std::sort(samples.begin(), samples.end());
  for (const double share : {0.001, 0.1, 0.5, 0.9, 0.99, 0.999, 1.0}) {
    const auto rank = static_cast<size_t>(std::ceil(share * 100'000)) - 1;
    const uint64_t sample = samples[rank];
    EXPECT_GE(latencies->NanosAt(share), sample) << share;
    EXPECT_LE(latencies->NanosAt(share) - sample, sample / 32) << share;
  }
}

}  // namespace
}  // namespace flagstone::tool
