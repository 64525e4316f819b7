#include "lib/txn/publish.h"

#include <gtest/gtest.h>

#include <thread>

namespace flagstone::txn {
namespace {

using internal::kDeferred;
using internal::kLive;
using internal::kLookCloser;
using internal::kQueued;
using internal::kTombstone;
using internal::LinkWord;
using internal::ReadableAtHome;
using internal::SlotHeader;
using internal::StdAtomics;
using internal::VersionWord;

constexpr uint64_t kId = 0x1234'5678'9abc;

TEST(PublishTest, AnInsertIsReadByOneLoadWhenItIsSettled) {
  SlotHeader home{};
  home.link.store(LinkWord(0, 9));  // of the free list
  PublishInsert<StdAtomics>(home, kId, 17);
  EXPECT_EQ(home.version.load(), VersionWord(17, kLive));
  EXPECT_EQ(home.link.load(), 0u);
  EXPECT_EQ(home.id.load(), kId | kLookCloser);
  EXPECT_FALSE(ReadableAtHome<StdAtomics>(home, kId));
  SettleInsert<StdAtomics>(home, kId);
  EXPECT_TRUE(ReadableAtHome<StdAtomics>(home, kId));
}

TEST(PublishTest, AVersionGoesOnTopOfTheChainAndUnlocksTheRecord) {
  SlotHeader home{};
  home.id.store(kId);
  home.version.store(VersionWord(3, kLive));
  const uint64_t before = LinkWord(4, 2, kDeferred);
  home.link.store(before | internal::kLocked);
  SlotHeader version{};
  PublishVersion<StdAtomics>(home, version, 8, before, kId, 21, kTombstone);
  EXPECT_EQ(version.id.load(), kId);
  EXPECT_EQ(version.version.load(), VersionWord(21, kTombstone));
  EXPECT_EQ(version.link.load(), LinkWord(0, 4));  // the newest before it
  EXPECT_EQ(home.link.load(), LinkWord(8, 2, kQueued | kDeferred));
  EXPECT_EQ(home.id.load(), kId | kLookCloser);
  EXPECT_EQ(home.version.load(), VersionWord(3, kLive));  // the payload at home is as it was
}

TEST(PublishTest, AChangeWaitsForTheInsertToBeSettledAndForNothingElse) {
  SlotHeader home{};
  home.id.store(kId);
  AwaitSettled<StdAtomics>(home, 0);
  home.id.store(kId | kLookCloser);
  AwaitSettled<StdAtomics>(home, LinkWord(5, 0));  // there is a newer version: the insert is over
  std::thread inserter([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
    SettleInsert<StdAtomics>(home, kId);
  });
  AwaitSettled<StdAtomics>(home, 0);
  EXPECT_EQ(home.id.load(), kId);
  inserter.join();
}

}  // namespace
}  // namespace flagstone::txn
