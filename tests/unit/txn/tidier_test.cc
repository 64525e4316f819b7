// What: a cycle takes on what its budget allows, stops at a pinned reader, and costs nothing when
//       there is nothing to do.
#include "lib/txn/tidier.h"

#include <gtest/gtest.h>

#include <vector>

#include "tests/support/store_subjects.h"

namespace flagstone::txn {
namespace {

class TidierTest : public testing::Test {
 protected:
  TidierTest()
      : store_(*Store::OpenInMemory(testkit::TestStoreOptions())),
        session_(*store_.NewSession()),
        table_(*store_.CreateTableOf<int64_t>("table")) {
    for (int64_t i = 0; i < 100; ++i) ids_.push_back(*session_.Insert(table_, i));
  }
  void UpdateAll() {
    for (const RecordId id : ids_) ASSERT_TRUE(*session_.UpdateTo(table_, id, int64_t{7}));
  }
  MaintenanceStatistics Counts() const { return store_.Statistics().maintenance; }

  Store store_;
  Session session_;
  RecordTableOf<int64_t> table_;
  std::vector<RecordId> ids_;
};

TEST_F(TidierTest, ACycleVisitsAsManyRecordsAsItsBudgetAllows) {
  UpdateAll();
  EXPECT_EQ(Counts().waiting_records, 100u);
  for (uint64_t cycle = 1; cycle <= 10; ++cycle) {
    EXPECT_TRUE(store_.Maintain({.records_max = 10}));
    EXPECT_EQ(Counts().visits, 10 * cycle);
    EXPECT_EQ(Counts().homecomings, 10 * cycle);
    EXPECT_EQ(Counts().waiting_records, 100 - 10 * cycle);
  }
  // What the visits unlinked comes free after the next barrier.
  EXPECT_EQ(Counts().versions_freed, 90u);
  EXPECT_TRUE(store_.Maintain({.records_max = 10}));
  EXPECT_EQ(Counts().versions_freed, 100u);
}

TEST_F(TidierTest, ARecordThatChangedManyTimesIsVisitedOnce) {
  for (int i = 0; i < 20; ++i) ASSERT_TRUE(*session_.UpdateTo(table_, ids_[0], int64_t{i}));
  EXPECT_EQ(Counts().waiting_records, 1u);
  EXPECT_TRUE(store_.Maintain());
  EXPECT_EQ(Counts().visits, 1u);
}

TEST_F(TidierTest, NothingToDoIsNoCycle) {
  UpdateAll();
  while (store_.Maintain()) {
  }
  const uint64_t cycles = Counts().cycles;
  for (int i = 0; i < 5; ++i) EXPECT_FALSE(store_.Maintain());
  EXPECT_EQ(Counts().cycles, cycles);
}

TEST_F(TidierTest, APinnedReaderPutsTheWorkOffAndLosesNone) {
  Reader reader = *store_.NewReader();
  UpdateAll();
  reader.core().participant().Pin();
  static_cast<void>(store_.Maintain());
  EXPECT_EQ(Counts().visits, 0u);
  EXPECT_EQ(Counts().cycles_blocked, 1u);
  EXPECT_EQ(Counts().waiting_records, 100u);
  reader.core().participant().Unpin();
  EXPECT_TRUE(store_.Maintain());
  EXPECT_EQ(Counts().homecomings, 100u);
}

// What: a cycle that a reader's call holds up waits for that call, not for the ones that follow it,
// and
//       pays for one barrier.
TEST_F(TidierTest, ACycleThatIsHeldUpWaitsForTheCallsThatHeldItUp) {
  Reader reader = *store_.NewReader();
  UpdateAll();
  reader.core().participant().Pin();
  for (int i = 0; i < 5; ++i) EXPECT_TRUE(store_.Maintain());
  EXPECT_EQ(Counts().cycles, 1u);
  EXPECT_EQ(Counts().cycles_blocked, 1u);
  reader.core().participant().Unpin();
  reader.core().participant().Pin();
  EXPECT_TRUE(store_.Maintain());
  EXPECT_EQ(Counts().homecomings, 100u);
  reader.core().participant().Unpin();
}

// What: a record that changes between the barrier and the end of the calls it waits for is visited
// by the
//       cycle after.
TEST_F(TidierTest, WhatChangesWhileACycleIsHeldUpIsLeftToTheNext) {
  Reader reader = *store_.NewReader();
  UpdateAll();
  reader.core().participant().Pin();
  EXPECT_TRUE(store_.Maintain());
  UpdateAll();
  reader.core().participant().Unpin();
  static_cast<void>(store_.Maintain());
  EXPECT_EQ(Counts().visits, 100u);
  EXPECT_EQ(Counts().homecomings, 0u);
  EXPECT_TRUE(store_.Maintain());
  EXPECT_EQ(Counts().homecomings, 100u);
}

// What: a read beside other guards of its session holds no cycle up: it is answered without a pin,
// at
//       home and by the newest version.
TEST_F(TidierTest, AReadBesideAGuardTakesNoPin) {
  ASSERT_TRUE(*session_.UpdateTo(table_, ids_[2], int64_t{7}));
  Reader reader = *store_.NewReader();
  const auto& pin = reader.core().participant().pin;
  const uint64_t before = pin.load();
  const TypedGuard<int64_t> first = reader.Get(table_, ids_[0]);
  const TypedGuard<int64_t> second = reader.Get(table_, ids_[1]);
  const TypedGuard<int64_t> third = reader.Get(table_, ids_[2]);
  EXPECT_EQ(*second, 1);
  EXPECT_EQ(*third, 7);
  EXPECT_EQ(pin.load(), before);
}

TEST_F(TidierTest, TheOldestSnapshotIsTheHorizonUntilAnOlderOneIsRead) {
  EXPECT_EQ(store_.Statistics().oldest_snapshot, store_.Statistics().horizon);
  Session other = *store_.NewSession();
  Transaction snapshot = *other.Begin();
  UpdateAll();
  EXPECT_EQ(store_.Statistics().oldest_snapshot, snapshot.snapshot_timestamp());
  EXPECT_LT(store_.Statistics().oldest_snapshot, store_.Statistics().horizon);
  snapshot.Rollback();
  EXPECT_EQ(store_.Statistics().oldest_snapshot, store_.Statistics().horizon);
}

TEST_F(TidierTest, VersionsKeptForASnapshotAreVisitedAgainWhenItEnds) {
  Session other = *store_.NewSession();
  Transaction snapshot = *other.Begin();
  UpdateAll();
  while (store_.Maintain()) {
  }
  EXPECT_EQ(Counts().deferred_records, 100u);
  const uint64_t visits = Counts().visits;
  for (int i = 0; i < 3; ++i) EXPECT_FALSE(store_.Maintain());
  EXPECT_EQ(Counts().visits, visits);
  snapshot.Rollback();
  while (store_.Maintain()) {
  }
  EXPECT_EQ(Counts().deferred_records, 0u);
  // But for what the session and maintenance hold in advance.
  EXPECT_LE(store_.Statistics().size_classes[0].version_slots_used, 3 * slab::kVersionBatchMax);
}

}  // namespace
}  // namespace flagstone::txn
