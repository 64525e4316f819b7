// What: when the n-th allocation of a call fails, the call answers with a Status or lets
//       std::bad_alloc pass, and everything is as if it had not been made. Row 21 of the scorecard.
// How:  operator new of this program fails once, at the n-th allocation of this thread, for every n
//       that the call reaches; afterwards the store is compared with what it held before, and used.
//       First call by call on small stores, then in random scripts (allocation_script.h).
#include <functional>
#include <string>
#include <vector>

#include "tests/support/allocation_script.h"
#include "tests/support/failing_allocator.h"
#include "tests/support/scorecard.h"
#include "tests/support/test_scale.h"
#include "tests/weather/store_weather.h"

namespace flagstone::testkit {
namespace {

struct Row {
  int64_t values[16];
};
Row RowOf(int64_t value) {
  Row row{};
  row.values[0] = row.values[15] = value;
  return row;
}

class AllocationFailureTest : public testing::Test {
 protected:
  void TearDown() override {
    ScorecardRow row;
    row.number = 21;
    row.name = "out of memory at the n-th allocation";
    row.unit = "failures";
    row.count = failures_;
    row.failures = HasFailure() ? 1 : 0;
    row.Record();
  }

  using Outcome = AllocationOutcome;
  Outcome FailAt(uint64_t n, const std::function<Status()>& call) {
    const Outcome outcome = FailAllocation(n, call);
    failures_ += outcome == Outcome::kNoFailure ? 0 : 1;
    return outcome;
  }
  // One store with a table and a few records for each n.
  struct Bench {
    Bench()
        : store(*Store::OpenInMemory(TestStoreOptions())),
          session(*store.NewSession()),
          table(*store.CreateTableOf<Row>("rows")) {
      for (int64_t i = 0; i < 20; ++i) ids.push_back(*session.Insert(table, RowOf(i)));
    }
    void ExpectAsBefore(uint64_t n, size_t records) {
      for (size_t i = 0; i < ids.size(); ++i) {
        const TypedGuard<Row> guard = session.Get(table, ids[i]);
        ASSERT_TRUE(guard) << "n " << n;
        ASSERT_EQ(guard->values[0], static_cast<int64_t>(i)) << "n " << n;
        ASSERT_EQ(guard->values[15], static_cast<int64_t>(i)) << "n " << n;
      }
      // Nothing is locked, nothing is lost, and the store goes on.
      for (size_t i = 0; i < ids.size(); ++i) {
        const Result<bool> updated = session.UpdateTo(table, ids[i], RowOf(100));
        ASSERT_TRUE(updated.ok() && *updated) << "n " << n << ": " << updated.status().ToString();
      }
      Session other = *store.NewSession();
      const RecordId made = *other.Insert(table, RowOf(7));
      ASSERT_EQ(other.Get(table, made)->values[0], 7);
      Settle(store);
      ASSERT_TRUE(*other.Delete(table, made));
      { Session ended = std::move(other); }
      { Session ended = std::move(session); }
      Settle(store);
      const StoreStatistics statistics = store.Statistics();
      ASSERT_EQ(statistics.tables[0].slots_used, records) << "n " << n;
      ASSERT_EQ(statistics.sessions, 0u) << "n " << n;
      ASSERT_EQ(statistics.size_classes[0].version_slots_used, 0u) << "n " << n;
      ASSERT_TRUE(store.Close().ok()) << "n " << n;
    }
    Store store;
    Session session;
    RecordTableOf<Row> table;
    std::vector<RecordId> ids;
  };
  // Every n that the call reaches.
  void Sweep(const std::function<Status(Bench&)>& call) {
    for (uint64_t n = 1;; ++n) {
      Bench bench;
      const Outcome outcome = FailAt(n, [&] { return call(bench); });
      if (outcome == Outcome::kNoFailure) return;
      if (outcome == Outcome::kDone) continue;  // it did without
      bench.ExpectAsBefore(n, bench.ids.size());
      if (HasFatalFailure()) return;
    }
  }

  uint64_t failures_ = 0;
};

TEST_F(AllocationFailureTest, OpeningAStore) {
  for (uint64_t n = 1;; ++n) {
    std::optional<Store> store;
    const Outcome outcome = FailAt(n, [&] {
      Result<Store> opened = Store::OpenInMemory(TestStoreOptions());
      if (!opened.ok()) return opened.status();
      store.emplace(*std::move(opened));
      return Status::Ok();
    });
    if (outcome == Outcome::kNoFailure) break;
    EXPECT_TRUE(!store.has_value() || outcome == Outcome::kDone);
  }
  EXPECT_GT(failures_, 3u);
  EXPECT_TRUE(Store::OpenInMemory(TestStoreOptions()).ok());
}

TEST_F(AllocationFailureTest, CreatingATable) {
  for (const uint32_t record_bytes : {3'000u, 20'000u}) {
    const TableOptions options{record_bytes, std::nullopt};
    const uint64_t failures_before = failures_;
    for (uint64_t n = 1;; ++n) {
      Bench bench;
      const Outcome outcome =
          FailAt(n, [&] { return bench.store.CreateTable("late", options).status(); });
      if (outcome == Outcome::kNoFailure) break;
      static_cast<void>(bench.store.Statistics());
      if (outcome != Outcome::kDone) {
        EXPECT_FALSE(bench.store.FindTable("late").has_value()) << n;
        Result<RecordTable> again = bench.store.CreateTable("late", options);
        ASSERT_TRUE(again.ok()) << n << ": " << again.status().ToString();
        const std::vector<std::byte> record(record_bytes);
        const Result<RecordId> made = bench.session.Insert(*again, record);
        EXPECT_TRUE(made.ok()) << n;
        EXPECT_TRUE(*bench.session.UpdateTo(*again, *made, record)) << n;
        EXPECT_EQ(bench.store.Statistics().tables.size(), 2u) << n;
      }
    }
    EXPECT_GT(failures_ - failures_before, 5u);
  }
}

TEST_F(AllocationFailureTest, TheFirstChangesOfALongRecord) {
  for (uint64_t n = 1;; ++n) {
    Bench bench;
    const RecordTable table = *bench.store.CreateTable("long", {20'000, std::nullopt});
    const std::vector<std::byte> first(20'000, std::byte{1});
    const std::vector<std::byte> second(20'000, std::byte{2});
    const RecordId id = *bench.session.Insert(table, first);
    Session fresh = *bench.store.NewSession();
    bool updated = false;
    const Outcome outcome = FailAt(n, [&] {
      Result<bool> changed = fresh.UpdateTo(table, id, second);
      if (!changed.ok()) return changed.status();
      updated = *changed;
      Result<RecordId> made = fresh.Insert(table, first);
      if (!made.ok()) return made.status();
      return fresh.Delete(table, *made).status();
    });
    if (outcome == Outcome::kNoFailure) break;
    const std::byte expected = (updated ? second : first)[0];
    ASSERT_EQ(bench.session.Get(table, id).bytes()[19'999], expected) << n;
    ASSERT_TRUE(*fresh.UpdateTo(table, id, second)) << n;
    { Session ended = std::move(fresh); }
    ASSERT_TRUE(*bench.session.Delete(table, id)) << n;
    Settle(bench.store);
    { Session ended = std::move(bench.session); }
    const StoreStatistics statistics = bench.store.Statistics();
    ASSERT_EQ(statistics.size_classes[1].version_slots_used, 0u) << n;
    // What a call that threw had inserted before it is there still.
    ASSERT_LE(statistics.tables[1].slots_used, 3u) << n;
  }
  EXPECT_GT(failures_, 1u);
}

TEST_F(AllocationFailureTest, OpeningASession) {
  Sweep([](Bench& bench) { return bench.store.NewSession().status(); });
  EXPECT_GT(failures_, 1u);
}

TEST_F(AllocationFailureTest, TheFirstInsertOfASession) {
  for (uint64_t n = 1;; ++n) {
    Bench bench;
    Session fresh = *bench.store.NewSession();
    const Outcome outcome = FailAt(n, [&] { return fresh.Insert(bench.table, RowOf(1)).status(); });
    if (outcome == Outcome::kNoFailure) break;
    { Session ended = std::move(fresh); }
    if (outcome != Outcome::kDone) bench.ExpectAsBefore(n, bench.ids.size());
  }
  EXPECT_GT(failures_, 0u);
}

TEST_F(AllocationFailureTest, ABatchThatGrowsTheTable) {
  Sweep([](Bench& bench) {
    std::vector<std::byte> records(sizeof(Row) * 2'000);
    std::vector<RecordId> ids(2'000);
    return bench.session.InsertMany(bench.table.untyped(), records, ids);
  });
  EXPECT_GT(failures_, 3u);
}

TEST_F(AllocationFailureTest, TheFirstUpdateAndDeleteOfASession) {
  Sweep([](Bench& bench) {
    Result<bool> updated = bench.session.UpdateTo(bench.table, bench.ids[3], RowOf(3));
    return updated.status();
  });
  EXPECT_GT(failures_, 0u);
}

TEST_F(AllocationFailureTest, ATransactionOfManyWritesAndItsCommit) {
  Sweep([](Bench& bench) {
    Result<Transaction> txn = bench.session.Begin();
    if (!txn.ok()) return txn.status();
    for (size_t i = 0; i < bench.ids.size(); ++i) {
      Result<bool> updated =
          txn->UpdateTo(bench.table, bench.ids[i], RowOf(static_cast<int64_t>(i)));
      if (!updated.ok()) return updated.status();
    }
    for (int64_t i = 0; i < 400; ++i) {
      Result<RecordId> id = txn->Insert(bench.table, RowOf(i));
      if (!id.ok()) return id.status();
      if (i % 2 == 0) {
        if (Result<bool> deleted = txn->Delete(bench.table, *id); !deleted.ok()) {
          return deleted.status();
        }
      }
    }
    return txn->Commit().status();
  });
  EXPECT_GT(failures_, 5u);
}

// What: a batch is collected, applied and freed as if the call that found no memory had not been.
TEST_F(AllocationFailureTest, ABatchThatIsCollectedAndApplied) {
  const std::string text(100, 'x');
  Sweep([&text](Bench& bench) {
    WriteBatch batch;
    for (size_t i = 0; i < bench.ids.size(); ++i) {
      batch.UpdateTo(bench.table, bench.ids[i], RowOf(static_cast<int64_t>(i)));
      // An updater that allocates when it is copied.
      batch.Update(bench.table, bench.ids[i],
                   [text](Row& row) { row.values[1] = static_cast<int64_t>(text.size()); });
    }
    for (int64_t i = 0; i < 100; ++i) batch.Insert(bench.table, RowOf(i));
    for (const RecordId id : bench.ids) batch.Undelete(bench.table, RecordId(id.value() + 100));
    ApplyResult result;
    return bench.session.Apply(batch, result);
  });
  EXPECT_GT(failures_, 20u);
}

// What: a batch that could not take one more operation is as it was, and applies.
TEST_F(AllocationFailureTest, ABatchThatCouldNotGrowIsAsItWas) {
  Bench bench;
  WriteBatch batch;
  size_t refused = 0;
  for (int64_t i = 0; i < 1000; ++i) {
    const size_t count = batch.operation_count();
    const Outcome outcome = FailAt(1, [&] {
      batch.Insert(bench.table, RowOf(i));
      return Status::Ok();
    });
    if (outcome == Outcome::kThrown) {
      ++refused;
      ASSERT_EQ(batch.operation_count(), count);
      batch.Insert(bench.table, RowOf(i));
    }
    ASSERT_EQ(batch.operation_count(), count + 1);
  }
  EXPECT_GT(refused, 5u);
  ApplyResult result;
  ASSERT_TRUE(bench.session.Apply(batch, result).ok());
  for (size_t i = 0; i < 1000; ++i) {
    ASSERT_EQ(bench.session.Get(bench.table, result.operations()[i].id)->values[15],
              static_cast<int64_t>(i));
  }
}

// Every call, in the states that random scripts lead to.
TEST_F(AllocationFailureTest, RollbackNeedsNoMemoryWhateverGuardsItsSessionHolds) {
  Bench bench;
  {
    Transaction txn = *bench.session.Begin();
    const RecordId made = *txn.Insert(bench.table, RowOf(7));
    const RecordId dropped = *txn.Insert(bench.table, RowOf(8));
    ASSERT_TRUE(*txn.UpdateTo(bench.table, bench.ids[0], RowOf(9)));
    ASSERT_TRUE(*txn.UpdateTo(bench.table, bench.ids[1], RowOf(9)));
    std::vector<TypedGuard<Row>> guards;
    for (const RecordId id : {made, dropped, bench.ids[0], bench.ids[1]}) {
      guards.push_back(*txn.Get(bench.table, id));
    }
    ASSERT_TRUE(*txn.Delete(bench.table, dropped));
    EXPECT_EQ(FailAt(1,
                     [&txn] {
                       txn.Rollback();
                       return Status::Ok();
                     }),
              Outcome::kNoFailure);
    EXPECT_FALSE(txn.running());
    EXPECT_EQ(guards[0]->values[0], 7);
    EXPECT_EQ(guards[2]->values[0], 9);
    // What the guards are on is not given to anybody else meanwhile.
    for (int i = 0; i < 100; ++i) {
      const RecordId other = *bench.session.Insert(bench.table, RowOf(10));
      ASSERT_TRUE(*bench.session.UpdateTo(bench.table, other, RowOf(11)));
      ASSERT_TRUE(*bench.session.Delete(bench.table, other));
    }
    EXPECT_EQ(guards[1]->values[15], 8);
    EXPECT_EQ(guards[3]->values[15], 9);
  }
  bench.ExpectAsBefore(0, bench.ids.size());
}

TEST_F(AllocationFailureTest, ACommitThatHasBegunIsWholeWhateverGuardsItsSessionHolds) {
  Bench bench;
  Transaction txn = *bench.session.Begin();
  const RecordId dropped = *txn.Insert(bench.table, RowOf(8));
  const TypedGuard<Row> guard = *txn.Get(bench.table, dropped);
  ASSERT_TRUE(*txn.Delete(bench.table, dropped));
  ASSERT_TRUE(*txn.UpdateTo(bench.table, bench.ids[1], RowOf(99)));
  EXPECT_EQ(FailAt(1, [&txn] { return txn.Commit().status(); }), Outcome::kNoFailure);
  EXPECT_EQ(bench.session.Get(bench.table, bench.ids[1])->values[0], 99);
  EXPECT_EQ(guard->values[0], 8);
  EXPECT_FALSE(bench.session.Get(bench.table, dropped));
}

TEST_F(AllocationFailureTest, AnUpdaterThatRunsOutOfMemoryRollsBackAndItsExceptionPasses) {
  Bench bench;
  {
    Transaction txn = *bench.session.Begin();
    const auto allocate = [](Row& row) {
      row.values[0] = 1000;
      row.values[1] = static_cast<int64_t>(std::vector<int>(100).size());
    };
    uint64_t thrown_at = 0;
    for (uint64_t n = 1; n < 10 && thrown_at == 0; ++n) {
      if (FailAt(n, [&] { return txn.Update(bench.table, bench.ids[0], allocate).status(); }) ==
          Outcome::kThrown) {
        thrown_at = n;
      }
      if (txn.running()) txn.Rollback();
      const Status ended = txn.Delete(bench.table, bench.ids[0]).status();
      EXPECT_EQ(ended.code(), StatusCode::kFailedPrecondition);
    }
    EXPECT_GT(thrown_at, 0u);
  }
  bench.ExpectAsBefore(0, bench.ids.size());
}

TEST_F(AllocationFailureTest, RandomScriptsLoseNothingWhereverAnAllocationFails) {
  const uint64_t wanted = tests::RowCount(5'000, 200'000);
  for (uint64_t seed = 1; failures_ < wanted; ++seed) {
    const WorkloadVerdict verdict = RunAllocationScript(seed);
    ASSERT_EQ(verdict.failure, "");
    failures_ += verdict.count;
  }
}

TEST_F(AllocationFailureTest, CompactionOfManyEmptyExtents) {
  // Two small tables that share an extent, and a large one with several of its own.
  struct Large {
    int64_t values[100];
  };
  for (uint64_t n = 1; n < 200; ++n) {
    StoreOptions options = TestStoreOptions();
    options.memory.limit_bytes = 64 << 20;
    Store store = *Store::OpenInMemory(options);
    Session session = *store.NewSession();
    const auto small = *store.CreateTableOf<Row>("small");
    const auto other = *store.CreateTableOf<Row>("other");
    const auto large = *store.CreateTableOf<Large>("large");
    const auto fill = [&] {
      size_t count = 0;
      std::vector<RecordId> ids;
      for (int64_t i = 0; i < 3000; ++i) {
        ids.push_back(*session.Insert(i % 2 == 0 ? small : other, RowOf(i)));
      }
      for (const RecordId id : ids) {
        count += *session.Delete(small, id) || *session.Delete(other, id) ? 1 : 0;
      }
      std::vector<RecordId> large_ids;
      for (int64_t i = 0; i < 12'000; ++i) large_ids.push_back(*session.Insert(large, Large{}));
      for (const RecordId id : large_ids) count += *session.Delete(large, id) ? 1 : 0;
      return count;
    };
    ASSERT_EQ(fill(), 15'000u);
    Settle(store);
    const Outcome outcome = FailAt(n, [&] { return store.CompactStorage().status(); });
    ASSERT_TRUE(store.CompactStorage().ok()) << n;
    static_cast<void>(store.Statistics());
    EXPECT_LE(store.Statistics().pages.bytes_by_kind[static_cast<size_t>(PageKind::k4KiB)],
              uint64_t{16} << 20)
        << n;
    ASSERT_EQ(fill(), 15'000u) << n;
    if (outcome == Outcome::kNoFailure) break;
  }
  EXPECT_GT(failures_, 5u);
}

TEST_F(AllocationFailureTest, Maintenance) {
  // A snapshot makes copies, deferred records and retirement necessary.
  for (uint64_t n = 1; n < tests::ScaledCount(400) + 1; ++n) {
    Bench bench;
    Session other = *bench.store.NewSession();
    std::optional<Transaction> snapshot(*other.Begin());
    for (const RecordId id : bench.ids)
      ASSERT_TRUE(*bench.session.UpdateTo(bench.table, id, RowOf(1)));
    ASSERT_TRUE(*bench.session.Delete(bench.table, bench.ids[0]));
    const Outcome outcome = FailAt(n, [&] {
      for (int i = 0; i < 6; ++i) static_cast<void>(bench.store.Maintain());
      return Status::Ok();
    });
    ASSERT_NE(outcome, Outcome::kThrown) << n;
    for (size_t i = 0; i < bench.ids.size(); ++i) {
      ASSERT_EQ((*snapshot->Get(bench.table, bench.ids[i]))->values[0], static_cast<int64_t>(i));
    }
    snapshot.reset();
    Settle(bench.store);
    for (size_t i = 1; i < bench.ids.size(); ++i) {
      ASSERT_EQ(bench.session.Get(bench.table, bench.ids[i])->values[0], 1) << n;
    }
    ASSERT_FALSE(bench.session.Get(bench.table, bench.ids[0]));
    EXPECT_EQ(bench.store.Statistics().maintenance.records_reclaimed, 1u) << n;
    if (outcome == Outcome::kNoFailure) break;
  }
  EXPECT_GT(failures_, 3u);
}

}  // namespace
}  // namespace flagstone::testkit
