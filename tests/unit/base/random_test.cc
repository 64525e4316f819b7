#include "lib/base/random.h"

#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <limits>

namespace flagstone::base {
namespace {

// SplitMix64 of seed 0 as its author published it, and xoshiro256** on a state filled by it.
TEST(RandomTest, SequencesAreFixedForEver) {
  uint64_t state = 0;
  EXPECT_EQ(SplitMix64(state), 0xe220a8397b1dcdafu);
  EXPECT_EQ(SplitMix64(state), 0x6e789e6aa1b965f4u);
  EXPECT_EQ(SplitMix64(state), 0x06c45d188009454fu);

  Random random(42);
  for (const uint64_t expected :
       {0x15780b2e0c2ec716u, 0x6104d9866d113a7eu, 0xae17533239e499a1u, 0xecb8ad4703b360a1u})
    EXPECT_EQ(random.Next(), expected);
}

TEST(RandomTest, EqualSeedsGiveEqualSequencesAndOthersDoNot) {
  Random a(42);
  Random b(42);
  Random c(43);
  int differing = 0;
  for (int i = 0; i < 1000; ++i) {
    const uint64_t from_a = a.Next();
    ASSERT_EQ(from_a, b.Next());
    differing += from_a != c.Next() ? 1 : 0;
  }
  EXPECT_EQ(differing, 1000);
}

TEST(RandomTest, BelowStaysBelowAndReachesEveryValueEvenly) {
  Random random(7);
  std::array<int, 10> count{};
  for (int i = 0; i < 100'000; ++i) ++count.at(random.Below(10));
  // Ten thousand each; 5 sigma is about 475.
  for (const int n : count) EXPECT_NEAR(n, 10'000, 475);
  EXPECT_EQ(random.Below(0), 0u);
  EXPECT_EQ(random.Below(1), 0u);
  constexpr uint64_t kHuge = (uint64_t{1} << 63) + 1;
  for (int i = 0; i < 1000; ++i) ASSERT_LT(random.Below(kHuge), kHuge);
}

TEST(RandomTest, BetweenIncludesBothEndsAndTheWholeRange) {
  Random random(8);
  bool first = false;
  bool last = false;
  for (int i = 0; i < 1000; ++i) {
    const int64_t value = random.Between(-3, 3);
    ASSERT_GE(value, -3);
    ASSERT_LE(value, 3);
    first |= value == -3;
    last |= value == 3;
  }
  EXPECT_TRUE(first && last);
  EXPECT_EQ(random.Between(5, 5), 5);
  bool negative = false;
  bool positive = false;
  for (int i = 0; i < 64; ++i) {
    const int64_t any =
        random.Between(std::numeric_limits<int64_t>::min(), std::numeric_limits<int64_t>::max());
    negative |= any < 0;
    positive |= any > 0;
  }
  EXPECT_TRUE(negative && positive);
}

TEST(RandomTest, OneInAndFractionKeepTheirRates) {
  Random random(9);
  int hits = 0;
  double sum = 0;
  for (int i = 0; i < 100'000; ++i) {
    hits += random.OneIn(100) ? 1 : 0;
    const double fraction = random.Fraction();
    ASSERT_GE(fraction, 0.0);
    ASSERT_LT(fraction, 1.0);
    sum += fraction;
  }
  EXPECT_NEAR(hits, 1000, 160);
  EXPECT_NEAR(sum / 100'000, 0.5, 0.005);
  EXPECT_FALSE(random.OneIn(0));
  EXPECT_TRUE(random.OneIn(1));
}

TEST(RandomTest, AForkIsAnotherSequence) {
  Random random(10);
  Random fork = random.Fork();
  for (int i = 0; i < 100; ++i) ASSERT_NE(random.Next(), fork.Next());
}

TEST(RandomTest, TheKernelsSeedsDiffer) {
  const Result<uint64_t> a = SeedFromKernel();
  const Result<uint64_t> b = SeedFromKernel();
  ASSERT_TRUE(a.ok()) << a.status().ToString();
  ASSERT_TRUE(b.ok()) << b.status().ToString();
  EXPECT_NE(*a, *b);
}

}  // namespace
}  // namespace flagstone::base
