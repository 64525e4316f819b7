#include "flagstone/status.h"

#include <gtest/gtest.h>

namespace flagstone {
namespace {

TEST(StatusTest, DefaultIsOkAndSaysNothing) {
  const Status status;
  EXPECT_TRUE(status.ok());
  EXPECT_EQ(status.message(), "");
  EXPECT_EQ(status.ToString(), "OK");
}

TEST(StatusTest, ErrorKeepsCodeAndMessageThroughCopies) {
  const Status status = Status::Error(StatusCode::kResourceExhausted, "memory limit 4 MiB");
  const Status copy = status;
  EXPECT_EQ(copy.code(), StatusCode::kResourceExhausted);
  EXPECT_EQ(copy.ToString(), "RESOURCE_EXHAUSTED: memory limit 4 MiB");
}

TEST(StatusTest, WhatIsMovedFromKeepsItsCode) {
  Status status = Status::Error(StatusCode::kIoError, "read of x");
  Status other = std::move(status);
  EXPECT_EQ(other.message(), "read of x");
  EXPECT_EQ(status.code(), StatusCode::kIoError);  // NOLINT(bugprone-use-after-move)
  EXPECT_EQ(status.message(), "");
  other = Status::Ok();
  EXPECT_TRUE(other.ok());
  Result<int> failed = Status::Error(StatusCode::kNoSpace, "disk");
  EXPECT_EQ(std::move(failed).status().message(), "disk");
  EXPECT_FALSE(failed.ok());  // NOLINT(bugprone-use-after-move)
}

TEST(StatusTest, EveryCodeComesBack) {
  for (int code = 1; code <= static_cast<int>(StatusCode::kReadOnlyAfterFailure); ++code) {
    EXPECT_EQ(Status::Error(static_cast<StatusCode>(code), "x").code(),
              static_cast<StatusCode>(code));
  }
  EXPECT_EQ(Status::Conflict((uint64_t{1} << 52) - 1).conflict_timestamp(),
            (uint64_t{1} << 52) - 1);
  EXPECT_EQ(Status::Conflict(7).code(), StatusCode::kConflict);
}

TEST(StatusTest, ConflictNamesTheTimestampToWaitFor) {
  const Status status = Status::Conflict(42);
  EXPECT_EQ(status.conflict_timestamp(), 42u);
  EXPECT_NE(status.message().find("timestamp 42"), std::string::npos);
  EXPECT_NE(Status::Conflict(0).message().find("not ended"), std::string::npos);
}

TEST(StatusTest, ResultHoldsEitherAValueOrAStatus) {
  const Result<int> seven = 7;
  EXPECT_TRUE(seven.ok());
  EXPECT_EQ(*seven, 7);
  const Result<int> none = Status::Error(StatusCode::kInvalidArgument, "x");
  EXPECT_FALSE(none.ok());
  EXPECT_EQ(none.code(), StatusCode::kInvalidArgument);
}

TEST(StatusDeathTest, ReadingAMissingValueStopsWithTheReason) {
  const Result<int> none = Status::Error(StatusCode::kInvalidArgument, "slot 9");
  EXPECT_DEATH(static_cast<void>(none.value()), "slot 9");
}

}  // namespace
}  // namespace flagstone
