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
