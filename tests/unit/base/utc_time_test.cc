#include "lib/base/utc_time.h"

#include <gtest/gtest.h>

#include <limits>

namespace flagstone::base {
namespace {

TEST(UtcTimeTest, MomentsReadAsIso8601) {
  EXPECT_EQ(FormatUtc(0), "1970-01-01T00:00:00Z");
  EXPECT_EQ(FormatUtc(1'735'689'600), "2025-01-01T00:00:00Z");
  EXPECT_EQ(FormatUtc(951'827'696), "2000-02-29T12:34:56Z");
  EXPECT_EQ(FormatUtc(2'809'431'424), "2059-01-10T13:37:04Z");
  EXPECT_EQ(FormatUtc(-1), "1969-12-31T23:59:59Z");
}

TEST(UtcTimeTest, MomentsBeyondTheCalendarStayNumbers) {
  EXPECT_EQ(FormatUtc(std::numeric_limits<int64_t>::max()), "unix 9223372036854775807");
  EXPECT_EQ(FormatUtc(std::numeric_limits<int64_t>::min()), "unix -9223372036854775808");
}

}  // namespace
}  // namespace flagstone::base
