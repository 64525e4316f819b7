// What: items come as often as Zipf's law says, scattered over the whole range.
// How:  two million draws against the law's probabilities, by tests whose tolerance follows from
// the
//       number of draws; the sum of all probabilities is one.
#include "bench/kit/zipf_generator.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

namespace flagstone::bench {
namespace {

constexpr double kTheta = 0.99;

TEST(ZipfGeneratorTest, ProbabilitiesAddUpToOneAlsoWhereTheSumIsAnIntegral) {
  for (const uint64_t count : {uint64_t{1}, uint64_t{2}, uint64_t{1000}, uint64_t{500'000}}) {
    const ZipfGenerator zipf(count, kTheta);
    double sum = 0;
    for (uint64_t rank = count; rank-- > 0;) sum += zipf.Probability(rank);
    EXPECT_NEAR(sum, 1, 1e-8) << count;
  }
}

// The sum of squared deviations from the law, each in units of its variance, has the distribution
// chi-square: its mean is the number of free counts, its variance twice that.
TEST(ZipfGeneratorTest, RanksComeAsOftenAsTheLawSays) {
  constexpr uint64_t kItems = 10'000;
  constexpr double kDraws = 2'000'000;
  for (const double theta : {0.5, kTheta}) {
    const ZipfGenerator zipf(kItems, theta);
    base::Random random(3);
    std::vector<double> counts(kItems);
    for (int i = 0; i < static_cast<int>(kDraws); ++i) ++counts[zipf.NextRank(random)];
    double chi_square = 0;
    double expected_up_to = 0;
    double found_up_to = 0;
    for (uint64_t rank = 0; rank < kItems; ++rank) {
      const double expected = zipf.Probability(rank) * kDraws;
      ASSERT_GT(expected, 5) << "too few draws for the approximation";
      chi_square += (counts[rank] - expected) * (counts[rank] - expected) / expected;
      expected_up_to += expected;
      found_up_to += counts[rank];
      // All ranks up to here: a binomial count.
      if (rank == 0 || rank == 1 || rank == 9 || rank == 99 || rank == 999) {
        const double sigma = std::sqrt(expected_up_to * (1 - expected_up_to / kDraws));
        EXPECT_NEAR(found_up_to, expected_up_to, 4 * sigma) << rank;
      }
    }
    const double free_counts = kItems - 1;
    EXPECT_NEAR(chi_square, free_counts, 4 * std::sqrt(2 * free_counts)) << theta;
  }
}

TEST(ZipfGeneratorTest, TheFavouritesAreScatteredOverTheItems) {
  constexpr uint64_t kItems = 1'000'000;
  const ZipfGenerator zipf(kItems, kTheta);
  std::vector<uint64_t> items;
  for (uint64_t rank = 0; rank < 1000; ++rank) items.push_back(zipf.Scatter(rank));
  std::vector<int> tenths(10);
  for (const uint64_t item : items) {
    ASSERT_LT(item, kItems);
    ++tenths[item / (kItems / 10)];
  }
  EXPECT_GT(*std::min_element(tenths.begin(), tenths.end()), 50);
  EXPECT_LT(*std::max_element(tenths.begin(), tenths.end()), 150);
}

TEST(ZipfGeneratorTest, EqualSeedsDrawEqualItemsWithinTheRange) {
  for (const uint64_t count : {uint64_t{1}, uint64_t{2}, uint64_t{3}, uint64_t{40'000'000}}) {
    const ZipfGenerator zipf(count, kTheta);
    base::Random one(5);
    base::Random other(5);
    for (int i = 0; i < 1000; ++i) {
      const uint64_t item = zipf.Next(one);
      ASSERT_LT(item, count);
      ASSERT_EQ(item, zipf.Next(other));
    }
  }
}

}  // namespace
}  // namespace flagstone::bench
