#include "lib/base/memory_account.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>
#include <vector>

namespace flagstone::base {
namespace {

using ::testing::HasSubstr;

constexpr uint64_t kMiB = 1 << 20;

MemoryOptions Options() {
  MemoryOptions options;
  options.limit_bytes = 100 * kMiB;
  options.delete_reserve_bytes = 10 * kMiB;
  options.component_limit_bytes[MemoryComponent::kCaches] = 20 * kMiB;
  return options;
}

TEST(MemoryAccountTest, ChargesAreRefusedAtTheLimitAndNameEverything) {
  MemoryAccount account(Options());
  ASSERT_TRUE(account.Charge(MemoryComponent::kSlabs, 90 * kMiB).ok());
  const Status status = account.Charge(MemoryComponent::kIndexes, 1);
  EXPECT_EQ(status.code(), StatusCode::kResourceExhausted);
  EXPECT_THAT(status.message(), HasSubstr("indexes"));
  EXPECT_THAT(status.message(), HasSubstr("asked for 1 bytes"));
  EXPECT_THAT(status.message(), HasSubstr("94371840 of 94371840"));
  EXPECT_THAT(status.message(), HasSubstr("raise limit_bytes (104857600)"));
  EXPECT_EQ(account.Usage().component_used_bytes[MemoryComponent::kIndexes], 0u);
  EXPECT_EQ(account.Usage().refused_charge_count, 1u);
}

TEST(MemoryAccountTest, DeletesMayUseTheReserveAndNoMore) {
  MemoryAccount account(Options());
  ASSERT_TRUE(account.Charge(MemoryComponent::kSlabs, 90 * kMiB).ok());
  EXPECT_TRUE(
      account.Charge(MemoryComponent::kVersions, 10 * kMiB, MemoryPool::kDeleteReserve).ok());
  EXPECT_FALSE(account.Charge(MemoryComponent::kVersions, 1, MemoryPool::kDeleteReserve).ok());
  account.Release(MemoryComponent::kSlabs, 20 * kMiB);
  EXPECT_TRUE(account.Charge(MemoryComponent::kSlabs, 10 * kMiB).ok());
}

TEST(MemoryAccountTest, AComponentsOwnLimitHoldsBelowTheTotal) {
  MemoryAccount account(Options());
  ASSERT_TRUE(account.Charge(MemoryComponent::kCaches, 20 * kMiB).ok());
  const Status status = account.Charge(MemoryComponent::kCaches, 1);
  EXPECT_THAT(status.message(), HasSubstr("component_limit_bytes[caches]"));
  EXPECT_TRUE(account.Charge(MemoryComponent::kOther, 1).ok());
  EXPECT_TRUE(account.Charge(MemoryComponent::kCaches, 1, MemoryPool::kDeleteReserve).ok());
}

TEST(MemoryAccountTest, HugeRequestsDoNotWrapAround) {
  MemoryAccount account(Options());
  ASSERT_TRUE(account.Charge(MemoryComponent::kSlabs, 5).ok());
  EXPECT_FALSE(account.Charge(MemoryComponent::kSlabs, UINT64_MAX).ok());
  EXPECT_FALSE(account.Charge(MemoryComponent::kSlabs, UINT64_MAX - 4).ok());
  EXPECT_EQ(account.used_bytes(), 5u);
}

TEST(MemoryAccountTest, AChargeEndsWithItsHolder) {
  MemoryAccount account(Options());
  {
    MemoryCharge charge = MemoryCharge::Take(account, MemoryComponent::kOther, 100).value();
    MemoryCharge moved = std::move(charge);
    moved.ShrinkTo(40);
    EXPECT_EQ(account.used_bytes(), 40u);
  }
  EXPECT_EQ(account.used_bytes(), 0u);
  EXPECT_EQ(account.Usage().used_bytes_peak, 100u);
}

TEST(MemoryAccountTest, ThreadsNeverPassTheLimitAndLeaveNothingBehind) {
  MemoryAccount account(Options());
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&account, t] {
      const auto component = static_cast<MemoryComponent>(t % 2);
      for (int i = 0; i < 20000; ++i) {
        if (account.Charge(component, 40 * kMiB).ok()) {
          EXPECT_LE(account.used_bytes(), 90 * kMiB);
          account.Release(component, 40 * kMiB);
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(account.used_bytes(), 0u);
  EXPECT_LE(account.Usage().used_bytes_peak, 80 * kMiB);
}

TEST(MemoryAccountDeathTest, ReleasingMoreThanWasChargedStops) {
  MemoryAccount account(Options());
  EXPECT_DEATH(account.Release(MemoryComponent::kSlabs, 1), "check failed");
}

TEST(MemoryOptionsTest, EachBadFieldIsNamedWithItsRange) {
  EXPECT_TRUE(MemoryOptions{}.Validate().ok());
  MemoryOptions options = Options();
  options.limit_bytes = 5;
  EXPECT_THAT(options.Validate().message(), HasSubstr("limit_bytes is 5"));
  options = Options();
  options.delete_reserve_bytes = 60 * kMiB;
  EXPECT_THAT(options.Validate().message(), HasSubstr("delete_reserve_bytes"));
  options = Options();
  options.component_limit_bytes[MemoryComponent::kSlabs] = 200 * kMiB;
  EXPECT_THAT(options.Validate().message(), HasSubstr("component_limit_bytes[slabs]"));
}

}  // namespace
}  // namespace flagstone::base
