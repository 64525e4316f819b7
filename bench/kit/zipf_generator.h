// ZipfGenerator: which of n items comes next when few are popular, as YCSB draws them.
//
// Ranks follow Zipf's law with exponent theta: rank k (from 0) comes with probability
// (k + 1)^-theta / zeta(n, theta). The method is that of Gray et al., "Quickly generating
// billion-record synthetic databases" (SIGMOD 1994), which YCSB uses; its 0.99 is the theta of the
// YCSB core workloads. Scrambled: a hash spreads the ranks over the items, so that popular items
// are not neighbours (two ranks may fall on one item, as in YCSB).
//
// Threads     Next() is const: one generator serves any number of threads, each with its Random.
// Cost        Construction: one pow() for each item, about 20 ns. Next(): one pow(), about 30 ns;
//             so requests are drawn before the clock starts.
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
  const uint64_t item_count_;
  const double theta_;
  const double zeta_n_;
  const double alpha_;
  const double eta_;
};

}  // namespace flagstone::bench

#endif  // FLAGSTONE_BENCH_KIT_ZIPF_GENERATOR_H_
