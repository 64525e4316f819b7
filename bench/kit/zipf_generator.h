// ZipfGenerator: which of n items comes next when few are popular.
//
// Ranks follow Zipf's law with exponent theta: rank k (from 0) comes with probability
// (k + 1)^-theta / zeta(n, theta), exactly (up to rounding), by rejection-inversion: Hoermann and
// Derflinger, "Rejection-inversion to generate variates from monotone discrete distributions"
// (ACM TOMACS 1996). YCSB draws by the method of Gray et al. (SIGMOD 1994), a continuous
// approximation that gives the ranks after the second up to 6 % too much or too little; 0.99 is the
// theta of its core workloads. Scrambled: a hash spreads the ranks over the items, so that popular
// items are not neighbours (two ranks may fall on one item, as in YCSB).
//
// Threads     Next() is const: one generator serves any number of threads, each with its Random.
// Cost        Construction: one pow() for each of the first 100,000 items, about 20 ns each.
//             Next(): two to three pow(), about 60 ns; so requests are drawn before the clock
//             starts.
// See         tests/unit/bench/zipf_generator_test.cc
#ifndef FLAGSTONE_BENCH_KIT_ZIPF_GENERATOR_H_
#define FLAGSTONE_BENCH_KIT_ZIPF_GENERATOR_H_

#include <cstdint>

#include "lib/base/random.h"

namespace flagstone::bench {

class ZipfGenerator {
 public:
  // `item_count` >= 1, 0 < `theta` < 1.
  ZipfGenerator(uint64_t item_count, double theta);

  // In [0, item_count): 0 is the most popular.
  uint64_t NextRank(base::Random& random) const;
  // In [0, item_count), ranks scattered.
  uint64_t Next(base::Random& random) const { return Scatter(NextRank(random)); }
  // Where a rank goes: FNV-1a of its eight bytes, modulo the number of items.
  uint64_t Scatter(uint64_t rank) const;

  // Probability of a rank.
  double Probability(uint64_t rank) const;

 private:
  // The weight of x as if it were continuous, its integral, and the inverse of that.
  double Weight(double x) const;
  double Integral(double x) const;
  double InverseIntegral(double area) const;

  const uint64_t item_count_;
  const double theta_;
  const double zeta_n_;
  // The areas between which a draw falls, and how close to a whole number it needs no test.
  const double area_first_;
  const double area_end_;
  const double surely_within_;
};

}  // namespace flagstone::bench

#endif  // FLAGSTONE_BENCH_KIT_ZIPF_GENERATOR_H_
