// What: a store under everything at once, for the sanitizers to watch and for these invariants:
//       a guard shows one record's whole payload, unchanged for as long as it is held; the sum over
//       all accounts is the same in every snapshot; deleted records stay deleted.
// How:  readers that keep guards, writers (updates, deletes, inserts, transfers), snapshot readers,
//       the store's own maintenance and CompactStorage() in a loop; real threads, seeded choices.
#include <gtest/gtest.h>

#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "flagstone/store.h"
#include "tests/support/seeded_random.h"
#include "tests/support/test_scale.h"

namespace flagstone {
namespace {

constexpr uint64_t kRecords = 64;
constexpr uint64_t kStepsPerThread = 30'000;

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
void ReadNotes(Store& store, const Notes<Record>& notes, uint64_t seed, uint64_t steps) {
  Reader reader = *store.NewReader();
  testkit::SeededRandom random(seed);
  struct Held {
    TypedGuard<Record> guard;
    RecordId id;
    uint64_t value;
    uint64_t timestamp;
  };
  std::deque<Held> held;
  for (uint64_t step = 0; step < steps; ++step) {
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

template <typename Record>
void WriteNotes(Store& store, Notes<Record>& notes, uint64_t seed, uint64_t steps) {
  Session session = *store.NewSession();
  testkit::SeededRandom random(seed);
  for (uint64_t step = 0; step < steps; ++step) {
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

void Transfer(Store& store, const Bank& bank, uint64_t seed, uint64_t steps) {
  Session session = *store.NewSession();
  testkit::SeededRandom random(seed);
  for (uint64_t step = 0; step < steps; ++step) {
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

void AddUp(Store& store, const Bank& bank, uint64_t steps) {
  Session session = *store.NewSession();
  uint64_t last = 0;
  for (uint64_t step = 0; step < steps; ++step) {
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
  const uint64_t steps = tests::ScaledCount(kStepsPerThread);
  std::vector<std::thread> threads;
  for (uint64_t seed = 1; seed <= 2; ++seed) {
    threads.emplace_back([&, seed] { ReadNotes(store, notes, seed, 10 * steps); });
    threads.emplace_back([&, seed] { WriteNotes(store, notes, 100 + seed, steps); });
    threads.emplace_back([&, seed] { Transfer(store, bank, 200 + seed, steps); });
  }
  threads.emplace_back([&] { AddUp(store, bank, 1 + steps / 20); });
  Compaction compaction(store);
  for (std::thread& thread : threads) thread.join();
  const uint64_t compactions = compaction.End();
  EXPECT_GT(compactions, 0u);
  CheckAll(store, notes);
  RecordProperty("compactions", static_cast<int>(compactions));
}

// A long table and its neighbours in the class take each other's extents, version runs come and go.
TEST(StoreStressTest, LongRecordsAreNeverTornNorReadFromTheirInside) {
  Store store = *Store::OpenInMemory(Options());
  Notes<FullNote> full(store);
  Notes<LongNote> longs(store);
  Notes<LongerNote> longer(store);
  const uint64_t steps = tests::ScaledCount(kStepsPerThread / 10);
  std::vector<std::thread> threads;
  const auto watch = [&](auto& notes, uint64_t seed) {
    threads.emplace_back(
        [&store, &notes, seed, steps] { ReadNotes(store, notes, seed, 4 * steps); });
    threads.emplace_back([&store, &notes, seed, steps] { WriteNotes(store, notes, seed, steps); });
  };
  watch(full, 1);
  watch(longs, 2);
  watch(longer, 3);
  watch(longer, 4);
  Compaction compaction(store);
  for (std::thread& thread : threads) thread.join();
  EXPECT_GT(compaction.End(), 0u);
  CheckAll(store, full);
  CheckAll(store, longs);
  CheckAll(store, longer);
}

}  // namespace
}  // namespace flagstone
