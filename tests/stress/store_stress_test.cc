// What: a store under everything at once, for the sanitizers to watch and for these invariants:
//       a guard shows one record's whole payload, unchanged for as long as it is held; the sum over
//       all accounts is the same in every snapshot; deleted records stay deleted; threads that come
//       and go leave nothing behind.
// How:  for some seconds, on real threads, with seeded choices: readers that keep guards one by one
//       and in batches across cycles of maintenance, writers (updates, deletes, inserts,
//       transfers), snapshot readers, short-lived threads with sessions of their own and with
//       one-call reads, new tables, the store's own maintenance and CompactStorage(). Every read
//       checks the record's checksum and the ID in it. Part of row 18 of the scorecard.
#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <deque>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "flagstone/store.h"
#include "tests/support/scorecard.h"
#include "tests/support/seeded_random.h"
#include "tests/support/test_scale.h"

namespace flagstone {
namespace {

constexpr uint64_t kRecords = 64;
constexpr uint64_t kMilliseconds = 5'000;
constexpr uint64_t kMillisecondsLong = 60'000;
// Each takes a slab of 64 KiB.
constexpr uint64_t kNewTablesMax = 400;

// The end of the run, for all threads.
class Bell {
 public:
  bool rang() const { return rang_.load(std::memory_order_relaxed); }
  void Ring() { rang_.store(true, std::memory_order_relaxed); }

 private:
  std::atomic<bool> rang_{false};
};

void RunFor(Bell& bell, std::vector<std::thread>& threads) {
  std::this_thread::sleep_for(
      std::chrono::milliseconds(tests::RowCount(kMilliseconds, kMillisecondsLong)));
  bell.Ring();
  for (std::thread& thread : threads) thread.join();
}

// Every word follows from the first two and the record's ID.
template <uint64_t kWords>
struct NoteOf {
  uint64_t id;  // 0 until the record knows its ID
  uint64_t value;
  uint64_t words[kWords];

  void Set(uint64_t new_id, uint64_t new_value) {
    id = new_id;
    value = new_value;
    for (uint64_t i = 0; i < kWords; ++i) words[i] = Word(i);
  }
  uint64_t Word(uint64_t i) const { return (id * 31 + value + i) * 0x9e3779b97f4a7c15; }
  bool Whole() const {
    for (uint64_t i = 0; i < kWords; ++i) {
      if (words[i] != Word(i)) return false;
    }
    return true;
  }
};
using Note = NoteOf<6>;
// One slot of the largest class, and runs of 2 and of 6.
using FullNote = NoteOf<850>;
using LongNote = NoteOf<1'000>;
using LongerNote = NoteOf<5'000>;
static_assert(RecordType<LongerNote> && sizeof(LongNote) > kStrideBytesMax);

struct Account {
  int64_t balance;
  int64_t negative;  // -balance
};

StoreOptions Options() {
  StoreOptions options;
  options.memory.limit_bytes = 256 << 20;
  options.pages.page_kind = PageKind::k4KiB;
  options.maintenance.interval = std::chrono::microseconds(100);
  return options;
}

// What the writers of the notes share: where the records are now.
template <typename Record>
struct Notes {
  explicit Notes(Store& store)
      : table(*store.CreateTableOf<Record>("notes of " + std::to_string(sizeof(Record)))),
        ids(kRecords) {
    Session session = *store.NewSession();
    for (auto& id : ids) id.store(Insert(session).value());
  }
  RecordId Insert(Session& session) const {
    static thread_local Record note;
    note.Set(0, 0);
    return *session.Insert(table, note);
  }
  RecordTableOf<Record> table;
  std::vector<std::atomic<uint64_t>> ids;
};

template <typename Record>
void CheckNote(const TypedGuard<Record>& guard, RecordId id) {
  ASSERT_TRUE(guard->Whole()) << "torn payload of " << id.ToString();
  ASSERT_EQ(guard.id().value(), id.value()) << "another record";
  ASSERT_TRUE(guard->id == 0 || guard->id == id.value()) << "another record's payload";
}

template <typename Record>
void ReadNotes(Store& store, const Notes<Record>& notes, uint64_t seed, const Bell& bell) {
  Reader reader = *store.NewReader();
  testkit::SeededRandom random(seed);
  struct Held {
    TypedGuard<Record> guard;
    RecordId id;
    uint64_t value;
    uint64_t timestamp;
  };
  std::deque<Held> held;
  while (!bell.rang()) {
    const RecordId id(notes.ids[random.Below(kRecords)].load(std::memory_order_acquire));
    if constexpr (sizeof(Record) > kStrideBytesMax) {
      ASSERT_FALSE(reader.Get(notes.table, RecordId(id.value() + 1))) << "inside of a record";
    }
    TypedGuard<Record> guard = reader.Get(notes.table, id);
    if (guard) {
      CheckNote(guard, id);
      const uint64_t value = guard->value;
      const uint64_t timestamp = guard.timestamp();
      held.push_back({std::move(guard), id, value, timestamp});
    }
    if (held.size() < 32) continue;
    // Held over many changes of the record, and as often over its end.
    const Held& oldest = held.front();
    CheckNote(oldest.guard, oldest.id);
    ASSERT_EQ(oldest.guard->value, oldest.value) << "the payload changed under a guard";
    ASSERT_EQ(oldest.guard.timestamp(), oldest.timestamp);
    held.pop_front();
  }
}

// Batches of guards, each held while maintenance runs several times.
void ReadBatches(Store& store, const Notes<Note>& notes, uint64_t seed, const Bell& bell) {
  constexpr size_t kBatch = 32;
  Reader reader = *store.NewReader();
  testkit::SeededRandom random(seed);
  std::array<RecordId, kBatch> ids;
  std::array<RecordGuard, kBatch> guards;
  std::array<Note, kBatch> copies;
  while (!bell.rang()) {
    for (RecordId& id : ids) {
      id = RecordId(notes.ids[random.Below(kRecords)].load(std::memory_order_acquire));
    }
    reader.MultiGet(notes.table.untyped(), ids, guards);
    const auto note_of = [&guards](size_t i) {
      return *reinterpret_cast<const Note*>(guards[i].bytes().data());
    };
    for (size_t i = 0; i < kBatch; ++i) {
      if (guards[i]) copies[i] = note_of(i);
    }
    for (int cycle = 0; cycle < 3; ++cycle) static_cast<void>(store.Maintain());
    for (size_t i = 0; i < kBatch; ++i) {
      if (!guards[i]) continue;
      const Note note = note_of(i);
      ASSERT_TRUE(note.Whole()) << "torn payload of " << ids[i].ToString();
      ASSERT_TRUE(note.id == 0 || note.id == ids[i].value()) << "another record's payload";
      ASSERT_EQ(note.value, copies[i].value) << "the payload changed under a guard";
      guards[i] = RecordGuard();
    }
  }
}

template <typename Record>
void WriteNotes(Store& store, Notes<Record>& notes, uint64_t seed, const Bell& bell) {
  Session session = *store.NewSession();
  testkit::SeededRandom random(seed);
  while (!bell.rang()) {
    std::atomic<uint64_t>& place = notes.ids[random.Below(kRecords)];
    const RecordId id(place.load(std::memory_order_acquire));
    if (!random.OneIn(8)) {
      Result<bool> updated = session.Update(notes.table, id, [&](Record& note) {
        EXPECT_TRUE(note.Whole());
        note.Set(id.value(), note.value + 1);
      });
      ASSERT_TRUE(updated.ok() || updated.code() == StatusCode::kConflict);
      continue;
    }
    Result<bool> deleted = session.Delete(notes.table, id);
    if (!deleted.ok() || !*deleted) continue;
    ASSERT_FALSE(session.Get(notes.table, id)) << "a deleted record is read";
    place.store(notes.Insert(session).value(), std::memory_order_release);
    ASSERT_FALSE(session.Get(notes.table, id)) << "a deleted record came back";
    // The null ID names nothing, whatever lies in the first slot.
    ASSERT_FALSE(session.Get(notes.table, RecordId(0)));
    Result<bool> nothing = session.Delete(notes.table, RecordId(0));
    ASSERT_TRUE(nothing.ok() && !*nothing);
  }
}

struct Bank {
  explicit Bank(Store& store) : table(*store.CreateTableOf<Account>("bank")) {
    Session session = *store.NewSession();
    for (uint64_t i = 0; i < kRecords; ++i) {
      ids.push_back(*session.Insert(table, Account{100, -100}));
    }
  }
  RecordTableOf<Account> table;
  std::vector<RecordId> ids;
};

void Transfer(Store& store, const Bank& bank, uint64_t seed, const Bell& bell) {
  Session session = *store.NewSession();
  testkit::SeededRandom random(seed);
  while (!bell.rang()) {
    const uint32_t from = random.Below(kRecords);
    const uint32_t to = (from + 1 + random.Below(kRecords - 1)) % kRecords;
    Result<Transaction> transaction = session.Begin();
    ASSERT_TRUE(transaction.ok());
    const auto add = [&](RecordId id, int64_t amount) {
      Result<bool> changed = transaction->Update(bank.table, id, [amount](Account& account) {
        account.balance += amount;
        account.negative -= amount;
      });
      return changed.ok() && *changed;
    };
    if (add(bank.ids[from], -1) && add(bank.ids[to], 1)) {
      ASSERT_TRUE(transaction->Commit().ok());
    } else {
      transaction->Rollback();
    }
  }
}

void AddUp(Store& store, const Bank& bank, const Bell& bell) {
  Session session = *store.NewSession();
  uint64_t last = 0;
  while (!bell.rang()) {
    Result<Transaction> transaction = session.Begin();
    ASSERT_TRUE(transaction.ok());
    ASSERT_GE(transaction->snapshot_timestamp(), last);
    last = transaction->snapshot_timestamp();
    int64_t sum = 0;
    for (const RecordId id : bank.ids) {
      Result<TypedGuard<Account>> guard = transaction->Get(bank.table, id);
      ASSERT_TRUE(guard.ok() && *guard);
      ASSERT_EQ((*guard)->balance, -(*guard)->negative) << "torn payload";
      sum += (*guard)->balance;
    }
    ASSERT_EQ(sum, static_cast<int64_t>(kRecords) * 100) << "a snapshot saw half of a transfer";
    transaction->Rollback();
  }
}

// What a thread does that lives for a moment: reads without a session, and a session for one
// record.
void LiveForAMoment(Store& store, const Notes<Note>& notes, uint64_t seed) {
  testkit::SeededRandom random(seed);
  for (int i = 0; i < 20; ++i) {
    const RecordId id(notes.ids[random.Below(kRecords)].load(std::memory_order_acquire));
    Result<bool> found =
        store.Read(notes.table.untyped(), id, [id](std::span<const std::byte> bytes) {
          const Note note = *reinterpret_cast<const Note*>(bytes.data());
          EXPECT_TRUE(note.Whole()) << "torn payload of " << id.ToString();
          EXPECT_TRUE(note.id == 0 || note.id == id.value()) << "another record's payload";
        });
    ASSERT_TRUE(found.ok()) << found.status().ToString();
  }
  Session session = *store.NewSession();
  const RecordId own = notes.Insert(session);
  ASSERT_TRUE(*session.Update(notes.table, own, [&](Note& note) { note.Set(own.value(), seed); }));
  {
    const TypedGuard<Note> guard = session.Get(notes.table, own);
    ASSERT_TRUE(guard && guard->Whole() && guard->id == own.value() && guard->value == seed);
  }
  ASSERT_TRUE(*session.Delete(notes.table, own));
  ASSERT_FALSE(session.Get(notes.table, own)) << "a deleted record is read";
}

uint64_t ComeAndGo(Store& store, const Notes<Note>& notes, const Bell& bell) {
  uint64_t lived = 0;
  while (!bell.rang()) {
    std::vector<std::thread> group;
    for (int i = 0; i < 4; ++i) {
      group.emplace_back(
          [&store, &notes, seed = 1'000 + lived++] { LiveForAMoment(store, notes, seed); });
    }
    for (std::thread& thread : group) thread.join();
  }
  return lived;
}

// Makes tables in the class of the others, beside their readers, and uses them.
uint64_t MakeTables(Store& store, const Bell& bell) {
  uint64_t made = 0;
  for (; made < kNewTablesMax && !bell.rang(); ++made) {
    const auto table = *store.CreateTableOf<Note>("table " + std::to_string(made));
    Session session = *store.NewSession();
    Note note;
    note.Set(0, made);
    const RecordId id = *session.Insert(table, note);
    const TypedGuard<Note> guard = session.Get(table, id);
    EXPECT_TRUE(guard && guard->Whole() && guard->value == made);
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return made;
}

// Gives memory back all the while.
class Compaction {
 public:
  explicit Compaction(Store& store)
      : thread_([this, &store] {
          while (!over_.load(std::memory_order_relaxed)) {
            EXPECT_TRUE(store.CompactStorage().ok());
            ++count_;
            std::this_thread::sleep_for(std::chrono::milliseconds(1));
          }
        }) {}
  uint64_t End() {
    over_.store(true, std::memory_order_relaxed);
    thread_.join();
    return count_;
  }

 private:
  std::atomic<bool> over_{false};
  uint64_t count_ = 0;
  std::thread thread_;
};

// What is left is what the shared table says, whole.
template <typename Record>
void CheckAll(Store& store, const Notes<Record>& notes) {
  Reader reader = *store.NewReader();
  for (const auto& id : notes.ids) {
    const RecordId note_id(id.load());
    const TypedGuard<Record> guard = reader.Get(notes.table, note_id);
    ASSERT_TRUE(guard);
    CheckNote(guard, note_id);
  }
}

TEST(StoreStressTest, GuardsSnapshotsWritersAndCompactionLeaveEveryInvariantAlone) {
  Store store = *Store::OpenInMemory(Options());
  Notes<Note> notes(store);
  const Bank bank(store);
  Bell bell;
  std::vector<std::thread> threads;
  for (uint64_t seed = 1; seed <= 2; ++seed) {
    threads.emplace_back([&, seed] { ReadNotes(store, notes, seed, bell); });
    threads.emplace_back([&, seed] { WriteNotes(store, notes, 100 + seed, bell); });
    threads.emplace_back([&, seed] { Transfer(store, bank, 200 + seed, bell); });
  }
  threads.emplace_back([&] { ReadBatches(store, notes, 300, bell); });
  threads.emplace_back([&] { AddUp(store, bank, bell); });
  uint64_t lived = 0;
  threads.emplace_back([&] { lived = ComeAndGo(store, notes, bell); });
  uint64_t tables_made = 0;
  threads.emplace_back([&] { tables_made = MakeTables(store, bell); });
  Compaction compaction(store);
  RunFor(bell, threads);
  const uint64_t compactions = compaction.End();
  EXPECT_GT(compactions, 0u);
  EXPECT_GT(tables_made, 0u);
  EXPECT_GT(lived, 0u);

  CheckAll(store, notes);
  EXPECT_TRUE(store.CompactStorage().ok());
  const StoreStatistics statistics = store.Statistics();
  EXPECT_EQ(statistics.tables[0].slots_used, kRecords);
  EXPECT_EQ(statistics.tables[1].slots_used, kRecords);
  EXPECT_EQ(statistics.operations.inserts - statistics.operations.deletes,
            2 * kRecords + tables_made);
  testkit::ScorecardRow row;
  row.number = 18;
  row.name = "stalled readers, thread churn";
  row.unit = "readers and threads";
  row.count = lived;
  row.failures = HasFailure() ? 1 : 0;
  row.seed = 1;
  row.Record();
  std::printf("%llu changes, %llu short-lived threads, %llu tables, %llu compactions\n",
              static_cast<unsigned long long>(statistics.operations.commits),
              static_cast<unsigned long long>(lived), static_cast<unsigned long long>(tables_made),
              static_cast<unsigned long long>(compactions));
}

// A long table and its neighbours in the class take each other's extents, version runs come and go.
TEST(StoreStressTest, LongRecordsAreNeverTornNorReadFromTheirInside) {
  Store store = *Store::OpenInMemory(Options());
  Notes<FullNote> full(store);
  Notes<LongNote> longs(store);
  Notes<LongerNote> longer(store);
  Bell bell;
  std::vector<std::thread> threads;
  const auto watch = [&](auto& notes, uint64_t seed) {
    threads.emplace_back([&store, &notes, &bell, seed] { ReadNotes(store, notes, seed, bell); });
    threads.emplace_back([&store, &notes, &bell, seed] { WriteNotes(store, notes, seed, bell); });
  };
  watch(full, 1);
  watch(longs, 2);
  watch(longer, 3);
  watch(longer, 4);
  Compaction compaction(store);
  RunFor(bell, threads);
  EXPECT_GT(compaction.End(), 0u);
  CheckAll(store, full);
  CheckAll(store, longs);
  CheckAll(store, longer);
}

}  // namespace
}  // namespace flagstone
