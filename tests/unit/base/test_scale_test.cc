#include "tests/support/test_scale.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <string>

namespace flagstone::tests {
namespace {

class TestScaleTest : public testing::Test {
 protected:
  TestScaleTest() {
    if (const char* text = std::getenv(kVariable)) before_ = text;
  }
  ~TestScaleTest() override { setenv(kVariable, before_.c_str(), 1); }

  static uint64_t CountWithScale(const char* scale) {
    setenv(kVariable, scale, 1);
    return ScaledCount(1000);
  }

  static constexpr const char* kVariable = "FLAGSTONE_TEST_SCALE";
  std::string before_;
};

TEST_F(TestScaleTest, CountsFollowTheScaleAndStayAboveZero) {
  EXPECT_EQ(CountWithScale("1"), 1000u);
  EXPECT_EQ(CountWithScale("50"), 50'000u);
  EXPECT_EQ(CountWithScale("0.2"), 200u);
  EXPECT_EQ(CountWithScale("0.00001"), 1u);
}

// What: a mistyped scale never turns a randomized test into one that runs nothing.
TEST_F(TestScaleTest, WhatIsNoPositiveNumberCountsAsOne) {
  for (const char* scale : {"", "many", "0", "-3", "nan"}) {
    SCOPED_TRACE(scale);
    EXPECT_EQ(CountWithScale(scale), 1000u);
  }
}

}  // namespace
}  // namespace flagstone::tests
