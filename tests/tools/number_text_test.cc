// What: numbers as people read them.
#include "tools/flagstone/number_text.h"

#include <gtest/gtest.h>

#include <cstdint>

namespace flagstone::tool {
namespace {

TEST(NumberTextTest, CountsHaveGroups) {
  EXPECT_EQ(CountText(0), "0");
  EXPECT_EQ(CountText(999), "999");
  EXPECT_EQ(CountText(1000), "1,000");
  EXPECT_EQ(CountText(385602), "385,602");
  EXPECT_EQ(CountText(UINT64_MAX), "18,446,744,073,709,551,615");
}

TEST(NumberTextTest, BytesHaveTheLargestUnitOfWhichThereIsOne) {
  EXPECT_EQ(BytesText(0), "0 B");
  EXPECT_EQ(BytesText(1023), "1023 B");
  EXPECT_EQ(BytesText(1024), "1 KiB");
  EXPECT_EQ(BytesText(1536), "1.50 KiB");
  EXPECT_EQ(BytesText(uint64_t{512} << 20), "512 MiB");
  EXPECT_EQ(BytesText(uint64_t{1} << 63), "8 EiB");
}

TEST(NumberTextTest, DurationsToo) {
  EXPECT_EQ(NanosText(0.5), "0.50 ns");
  EXPECT_EQ(NanosText(76.8), "76.8 ns");
  EXPECT_EQ(NanosText(999.4), "999 ns");
  EXPECT_EQ(NanosText(1900), "1.90 us");
  EXPECT_EQ(NanosText(2.5e9), "2.50 s");
  EXPECT_EQ(NanosText(4e12), "4000 s");
}

TEST(NumberTextTest, RoundNumbersHaveWords) {
  EXPECT_EQ(RoundText(9999), "9,999");
  EXPECT_EQ(RoundText(12'300), "12.3 thousand");
  EXPECT_EQ(RoundText(5.3e6), "5.30 million");
  EXPECT_EQ(RoundText(1.2e10), "12.0 billion");
}

}  // namespace
}  // namespace flagstone::tool
