// What: what one visit does to one record, for every state it may be in.
// How:  a record whose home slot began at 1 and whose versions began at 2, 3, ... in slots 1, 2,
// ...
#include "lib/txn/version_chain.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <optional>
#include <vector>

namespace flagstone::txn {
namespace {

using internal::BeginOf;
using internal::kDeferred;
using internal::kLive;
using internal::kLookCloser;
using internal::kTombstone;
using internal::LinkWord;
using internal::NewestOf;
using internal::OlderOf;
using internal::SlotHeader;
using internal::StdAtomics;
using internal::Timestamp;
using internal::VersionLink;
using internal::VersionWord;
using testing::ElementsAre;
using testing::IsEmpty;

constexpr uint64_t kId = 77;

// The payload is the timestamp at which it became true.
struct PayloadSlot : SlotHeader {
  Timestamp payload = 0;
};

class VersionChainTest : public testing::Test {
 protected:
  VersionChainTest() {
    home_.id.store(kId);
    home_.version.store(VersionWord(1, kLive));
    home_.payload = 1;
  }

  // Another version on top.
  void Change(uint64_t state = kLive) {
    const VersionLink link = next_version_++;
    const Timestamp at = link + 1;
    PayloadSlot& version = slots_.at(link);
    version.payload = at;
    version.version.store(VersionWord(at, state));
    version.link.store(LinkWord(0, NewestOf(link_)));
    link_ = LinkWord(link, OlderOf(link_));
    home_.id.store(kId | kLookCloser);
  }
  void SnapshotAt(Timestamp at) {
    participant_.snapshot.store(internal::SnapshotWord(at, ++serial_));
  }
  // One visit in a cycle of its own.
  Visit Tidy(Timestamp settled) {
    copied_ = false;
    retired_.clear();
    std::array<internal::Participant*, 1> participants{&participant_};
    needed_.Collect(participants, settled);
    return chain_.Tidy(*this, static_cast<SlotHeader&>(home_), settled, needed_, &link_);
  }
  void ExpectAtHome(Timestamp at) {
    EXPECT_EQ(home_.payload, at);
    EXPECT_EQ(home_.version.load(), VersionWord(at, kLive));
    EXPECT_EQ(home_.id.load(), kId);
    EXPECT_EQ(NewestOf(link_), 0u);
  }

 public:
  // What VersionChain asks of what surrounds a record.
  SlotHeader* At(VersionLink link) { return &slots_.at(link); }
  void CopyPayload(SlotHeader* to, const SlotHeader* from) {
    static_cast<PayloadSlot*>(to)->payload = static_cast<const PayloadSlot*>(from)->payload;
  }
  void MakeRoomToRetire(size_t) {}
  VersionLink TakeVersionSlot() { return memory_is_left_ ? next_version_++ : 0; }
  void Retire(VersionLink link) { retired_.push_back(link); }
  void RetireHome() { home_is_retired_ = true; }
  bool HomeIsGuarded() const { return guarded_; }
  bool HomeWasCopied() const { return copied_; }
  void NoteHomeCopied() { copied_ = true; }
  void NoteHomecoming() { ++homecomings_; }
  void Defer(Timestamp until) { deferred_until_ = until; }

 protected:
  PayloadSlot home_;
  std::array<PayloadSlot, 16> slots_{};
  uint64_t link_ = 0;
  VersionLink next_version_ = 1;
  internal::Participant participant_{};
  uint64_t serial_ = 0;
  epoch::NeededTimestamps needed_;
  VersionChain<StdAtomics> chain_;
  std::vector<VersionLink> retired_;
  bool home_is_retired_ = false;
  bool guarded_ = false;
  bool copied_ = false;
  bool memory_is_left_ = true;
  int homecomings_ = 0;
  std::optional<Timestamp> deferred_until_;
};

TEST_F(VersionChainTest, TheNewestComesHomeAndTheOthersAreRetired) {
  Change();
  Change();
  EXPECT_EQ(Tidy(3), Visit::kDone);
  ExpectAtHome(3);
  EXPECT_EQ(link_, 0u);
  EXPECT_THAT(retired_, ElementsAre(2, 1));
  EXPECT_EQ(homecomings_, 1);
  EXPECT_EQ(Tidy(3), Visit::kDone);
  EXPECT_THAT(retired_, IsEmpty());
}

TEST_F(VersionChainTest, WhatTheBarrierMayHaveMissedIsLeftAlone) {
  Change();
  const uint64_t before = link_;
  EXPECT_EQ(Tidy(1), Visit::kAgain);
  EXPECT_EQ(link_, before);
  EXPECT_EQ(home_.payload, 1u);
  EXPECT_THAT(retired_, IsEmpty());
}

TEST_F(VersionChainTest, AGuardedPayloadIsNotOverwritten) {
  Change();
  guarded_ = true;
  EXPECT_EQ(Tidy(2), Visit::kAgain);
  EXPECT_EQ(home_.payload, 1u);
  EXPECT_EQ(home_.id.load(), kId | kLookCloser);
  EXPECT_EQ(NewestOf(link_), 1u);
  guarded_ = false;
  EXPECT_EQ(Tidy(2), Visit::kDone);
  ExpectAtHome(2);
}

TEST_F(VersionChainTest, APayloadThatASnapshotReadsIsCopiedAsideFirstAndOverwrittenACycleLater) {
  Change();
  SnapshotAt(1);
  EXPECT_EQ(Tidy(2), Visit::kAgain);
  EXPECT_EQ(home_.payload, 1u);  // readers may be on their way to it
  const VersionLink copy = OlderOf(slots_[1].link.load());
  ASSERT_EQ(copy, 2u);
  EXPECT_EQ(slots_[copy].payload, 1u);
  EXPECT_EQ(slots_[copy].version.load(), VersionWord(1, kLive));

  EXPECT_EQ(Tidy(2), Visit::kDeferred);
  ExpectAtHome(2);
  EXPECT_EQ(OlderOf(link_), copy);
  EXPECT_THAT(retired_, ElementsAre(1));
  EXPECT_EQ(deferred_until_, 2u);

  participant_.EndSnapshot();
  EXPECT_EQ(Tidy(2), Visit::kDone);
  EXPECT_EQ(link_, 0u);
  EXPECT_THAT(retired_, ElementsAre(copy));
}

TEST_F(VersionChainTest, WithoutMemoryForTheCopyNothingChanges) {
  Change();
  SnapshotAt(1);
  memory_is_left_ = false;
  const uint64_t before = link_;
  EXPECT_EQ(Tidy(2), Visit::kAgain);
  EXPECT_EQ(link_, before);
  EXPECT_EQ(home_.payload, 1u);
  EXPECT_THAT(retired_, IsEmpty());
}

TEST_F(VersionChainTest, OnlyTheVersionsThatSomeoneReadsAreKept) {
  for (int i = 0; i < 4; ++i) Change();  // 2, 3, 4, 5
  SnapshotAt(3);
  EXPECT_EQ(Tidy(5), Visit::kDeferred);
  ExpectAtHome(5);
  const VersionLink kept = OlderOf(link_);
  EXPECT_EQ(slots_[kept].payload, 3u);
  EXPECT_EQ(OlderOf(slots_[kept].link.load()), 0u);
  EXPECT_THAT(retired_, testing::UnorderedElementsAre(1, 3, 4));
}

TEST_F(VersionChainTest, ARetentionWindowKeepsWhatWasTrueInIt) {
  for (int i = 0; i < 3; ++i) Change();  // 2, 3, 4
  std::array<internal::Participant*, 0> nobody{};
  needed_.Collect(nobody, 3);  // from 3 on
  EXPECT_EQ(chain_.Tidy(*this, static_cast<SlotHeader&>(home_), 4, needed_, &link_),
            Visit::kDeferred);
  ExpectAtHome(4);
  EXPECT_EQ(slots_[OlderOf(link_)].payload, 3u);
  EXPECT_THAT(retired_, testing::UnorderedElementsAre(1, 3));
}

TEST_F(VersionChainTest, ADeletedRecordThatNobodyReadsGoesAsAWhole) {
  Change();
  Change(kTombstone);
  EXPECT_EQ(Tidy(3), Visit::kDone);
  EXPECT_TRUE(home_is_retired_);
  EXPECT_EQ(home_.id.load(), 0u);
  EXPECT_EQ(home_.version.load(), VersionWord(3, kTombstone));  // not live for who comes late
  EXPECT_EQ(link_, 0u);
  EXPECT_THAT(retired_, ElementsAre(2, 1));
}

TEST_F(VersionChainTest, ADeletedRecordStaysForASnapshotAndForAGuard) {
  Change(kTombstone);
  SnapshotAt(1);
  EXPECT_EQ(Tidy(2), Visit::kDeferred);
  EXPECT_FALSE(home_is_retired_);
  EXPECT_EQ(home_.payload, 1u);
  EXPECT_EQ(BeginOf(home_.version.load()), 1u);
  participant_.EndSnapshot();
  guarded_ = true;
  EXPECT_EQ(Tidy(2), Visit::kAgain);
  EXPECT_FALSE(home_is_retired_);
  guarded_ = false;
  EXPECT_EQ(Tidy(2), Visit::kDone);
  EXPECT_TRUE(home_is_retired_);
}

TEST_F(VersionChainTest, ARecordIsDeferredOnce) {
  Change();
  SnapshotAt(1);
  EXPECT_EQ(Tidy(2), Visit::kAgain);
  link_ |= kDeferred;
  EXPECT_EQ(Tidy(2), Visit::kDeferred);
  EXPECT_EQ(deferred_until_, std::nullopt);
}

}  // namespace
}  // namespace flagstone::txn
