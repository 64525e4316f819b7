#include "tests/support/store_fears.h"

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <future>
#include <optional>
#include <thread>
#include <unordered_set>
#include <vector>

#include "lib/base/manual_clock.h"
#include "lib/store/store_core.h"
#include "tests/support/aging_store.h"
#include "tests/support/store_subjects.h"

namespace flagstone::testkit {
namespace {

constexpr int64_t kStart = 1'800'000'000;

struct Row {
  uint64_t values[12];
};
Row RowOf(uint64_t value) {
  Row row;
  for (uint64_t& word : row.values) word = value;
  return row;
}

}  // namespace

std::string CompactBesideWriters(std::chrono::milliseconds limit) {
  Store store = *Store::OpenInMemory(TestStoreOptions());
  const auto table = *store.CreateTableOf<Row>("rows");
  std::vector<RecordId> ids;
  {
    Session session = *store.NewSession();
    for (uint64_t i = 0; i < 20'000; ++i) ids.push_back(*session.Insert(table, RowOf(i)));
  }
  std::atomic<bool> stop{false};
  std::atomic<uint64_t> updates{0};
  std::vector<std::thread> writers;
  for (uint64_t w = 0; w < 2; ++w) {
    writers.emplace_back([&, w] {
      Session session = *store.NewSession();
      for (uint64_t i = w; !stop.load(std::memory_order_relaxed); i += 7) {
        static_cast<void>(session.UpdateTo(table, ids[i % ids.size()], RowOf(i)));
        updates.fetch_add(1, std::memory_order_relaxed);
      }
    });
  }
  while (updates.load(std::memory_order_relaxed) < 1'000) std::this_thread::yield();
  std::future<bool> compacted =
      std::async(std::launch::async, [&store] { return store.CompactStorage().ok(); });
  const bool ended = compacted.wait_for(limit) == std::future_status::ready;
  stop.store(true);
  for (std::thread& writer : writers) writer.join();
  if (!compacted.get()) return "CompactStorage() failed beside writers";
  return ended ? "" : "CompactStorage() goes on as long as writers do";
}

std::string CompactBesideAPinnedReader(std::chrono::milliseconds limit) {
  Store store = *Store::OpenInMemory(TestStoreOptions());
  const auto table = *store.CreateTableOf<Row>("rows");
  Session writer = *store.NewSession();
  Reader reader = *store.NewReader();
  const RecordId id = *writer.Insert(table, RowOf(1));
  if (!*writer.UpdateTo(table, id, RowOf(2))) return "the record is gone";
  reader.core().participant().Pin();
  std::future<bool> compacted =
      std::async(std::launch::async, [&store] { return store.CompactStorage().ok(); });
  const bool ended = compacted.wait_for(limit) == std::future_status::ready;
  reader.core().participant().Unpin();
  if (!compacted.get()) return "CompactStorage() failed beside a reader";
  return ended ? "" : "CompactStorage() goes on as long as a reader does";
}

std::string CompactBesideNewSessions(std::string* text) {
  StoreOptions options = TestStoreOptions();
  options.memory.limit_bytes = 512 << 20;
  Store store = *Store::OpenInMemory(options);
  const auto table = *store.CreateTableOf<Row>("rows");
  std::vector<RecordId> ids;
  {
    Session session = *store.NewSession();
    std::vector<RecordId> gone;
    for (uint64_t i = 0; i < 2'500'000; ++i) {
      const RecordId id = *session.Insert(table, RowOf(i));
      (i % 500 == 0 ? ids : gone).push_back(id);
    }
    for (const RecordId id : gone) static_cast<void>(session.Delete(table, id));
  }
  Settle(store);
  Session writer = *store.NewSession();
  std::atomic<bool> begun{false};
  std::atomic<bool> ended{false};
  std::thread compaction([&] {
    begun.store(true);
    static_cast<void>(store.CompactStorage());
    ended.store(true);
  });
  while (!begun.load()) std::this_thread::yield();
  uint64_t sessions = 0;
  uint64_t updates = 0;
  int64_t longest_wait_ns = 0;
  const int64_t start = SystemClock().MonotonicNanos();
  int64_t before = start;
  while (!ended.load()) {
    const Session session = *store.NewSession();
    for (int i = 0; i < 256; ++i, ++updates) {
      static_cast<void>(writer.UpdateTo(table, ids[updates % ids.size()], RowOf(updates)));
    }
    const int64_t now = SystemClock().MonotonicNanos();
    longest_wait_ns = std::max(longest_wait_ns, now - before);
    before = now;
    if (!ended.load()) ++sessions;
  }
  const int64_t took_ns = SystemClock().MonotonicNanos() - start;
  compaction.join();
  const uint64_t returned = store.Statistics().pages.bytes_returned_in_parts;
  *text = std::to_string(sessions) + " sessions and " + std::to_string(updates) +
          " updates beside a compaction of " + std::to_string(took_ns / 1'000'000) + " ms, " +
          std::to_string(returned >> 20) + " MiB; the longest wait " +
          std::to_string(longest_wait_ns / 1'000) + " us";
  if (returned < uint64_t{200} << 20) return "too little to compact: " + *text;
  // One session and 16,384 updates are what a store that is closed meanwhile lets through.
  if (sessions < 100 || updates < 3 * 16'384) return "closed meanwhile: " + *text;
  return "";
}

std::string ReadStatesOfThePast() {
  base::ManualClock clock(kStart);
  StoreOptions options = TestStoreOptions();
  options.clock = &clock;
  options.snapshots.history_retention = std::chrono::seconds(10);
  Store store = *Store::OpenInMemory(options);
  Session writer = *store.NewSession();
  Session reader = *store.NewSession();
  const auto table = *store.CreateTableOf<Row>("rows");
  const RecordId id = *writer.Insert(table, RowOf(0));
  std::vector<uint64_t> state_at{store.Statistics().horizon};  // by second
  uint64_t refused = 0;
  for (uint64_t second = 1; second <= 40; ++second) {
    clock.AdvanceSeconds(1);
    if (!*writer.UpdateTo(table, id, RowOf(second))) return "the record is gone";
    state_at.push_back(store.Statistics().horizon);
    for (int i = 0; i < 4; ++i) static_cast<void>(store.Maintain());
    for (uint64_t at = 0; at <= second; ++at) {
      TransactionOptions past;
      past.as_of_timestamp = state_at[at];
      Result<Transaction> txn = reader.Begin(past);
      const std::string when =
          "second " + std::to_string(at) + " as of second " + std::to_string(second) + ": ";
      if (!txn.ok()) {
        if (txn.code() != StatusCode::kSnapshotTooOld) return when + txn.status().ToString();
        if (second - at < 10) return when + "refused within the retention window";
        ++refused;
        continue;
      }
      Result<TypedGuard<Row>> seen = txn->Get(table, id);
      if (!seen.ok()) return when + seen.status().ToString();
      if (!*seen) return when + "the version is gone";
      if ((*seen)->values[0] != at) return when + "read " + std::to_string((*seen)->values[0]);
    }
  }
  return refused > 0 ? "" : "nothing was ever reclaimed";
}

std::string BeginWhileAnOldSnapshotIsCut() {
  StoreOptions options = TestStoreOptions();
  options.snapshots.version_bytes_max = 256 << 10;
  Store store = *Store::OpenInMemory(options);
  Session writer = *store.NewSession();
  Session old_session = *store.NewSession();
  Session fresh_session = *store.NewSession();
  const auto table = *store.CreateTableOf<Row>("rows");
  std::vector<RecordId> ids;
  for (uint64_t i = 0; i < 10'000; ++i) ids.push_back(*writer.Insert(table, RowOf(i)));
  Transaction old_one = *old_session.Begin();
  for (uint64_t i = 0; i < ids.size(); ++i) {
    if (!*writer.UpdateTo(table, ids[i], RowOf(i + 1))) return "a record is gone";
  }
  Transaction fresh = *fresh_session.Begin();
  // The bytes come free some cycles after the old one was given up.
  for (int cycle = 0; cycle < 8; ++cycle) {
    static_cast<void>(store.Maintain({.records_max = 1'000}));
    Result<TypedGuard<Row>> seen = fresh.Get(table, ids[7]);
    if (!seen.ok()) return "the fresh snapshot was given up: " + seen.status().ToString();
    if (!*seen || (*seen)->values[0] != 8) return "the fresh snapshot reads another state";
  }
  if (old_one.Get(table, ids[7]).code() != StatusCode::kSnapshotTooOld) {
    return "the old snapshot was not given up";
  }
  return "";
}

std::string BeginAgainAtTheSameTimestamp() {
  AgingStore<Row> aging(RowOf(7));
  uint64_t timestamp = 0;
  for (int life = 0; life < 3; ++life) {
    Transaction txn = *aging.reader.Begin();
    if (timestamp != 0 && txn.snapshot_timestamp() != timestamp) return "another timestamp";
    timestamp = txn.snapshot_timestamp();
    for (int second = 0; second < 9; ++second) {
      aging.Pass(1);
      Result<TypedGuard<Row>> seen = txn.Get(aging.table, aging.id);
      if (!seen.ok()) return "given up after " + std::to_string(second) + " s of 10";
    }
    txn.Rollback();
  }
  return "";
}

std::string BeginOftenAfterACut() {
  AgingStore<Row> aging(RowOf(7));
  Transaction cut = *aging.reader.Begin();
  const uint64_t timestamp = cut.snapshot_timestamp();
  for (int i = 0; i < 3; ++i) aging.Pass(8);
  if (cut.Get(aging.table, aging.id).code() != StatusCode::kSnapshotTooOld) return "not given up";
  uint64_t refused = 0;
  // The serial tells apart so many snapshots of one timestamp: as many again, and again.
  for (int i = 0; i < 3 << internal::kSnapshotSerialBits; ++i) {
    Transaction txn = *aging.reader.Begin();
    if (txn.snapshot_timestamp() != timestamp) return "another timestamp";
    if (txn.Get(aging.table, aging.id).code() == StatusCode::kSnapshotTooOld) ++refused;
    txn.Rollback();
  }
  return refused == 0 ? "" : std::to_string(refused) + " fresh snapshots were too old at once";
}

std::string GuardASlotOfAnEmptySlab() {
  Store store = *Store::OpenInMemory(TestStoreOptions());
  const auto table = *store.CreateTableOf<Row>("rows");
  Reader reader = *store.NewReader();
  std::vector<RecordId> ids;
  // One extent is cut into small slabs; the ones after it are the table's as a whole.
  {
    Session writer = *store.NewSession();
    for (uint64_t i = 0; i < 60'000; ++i) ids.push_back(*writer.Insert(table, RowOf(i)));
    const TypedGuard<Row> guard = reader.Get(table, ids.back());
    for (const RecordId id : ids) {
      if (!*writer.Delete(table, id)) return "a record is gone";
    }
    Settle(store);
    static_cast<void>(store.CompactStorage());
    if (guard->values[0] != 59'999 || guard->values[11] != 59'999) {
      return "a guarded record changed when its neighbours were given back";
    }
  }
  Settle(store);
  // As an inlined read announces it, before it looks whether the extent is the table's.
  const internal::SlotHeader* slot = table.places().SlotOf(ids.back().value());
  internal::Participant& participant = reader.core().participant();
  participant.Guard(participant.guards[3], reinterpret_cast<uint64_t>(slot));
  const IdCodec codec(store.id_layout());
  const slab::ClassSpace& space =
      *store.core().engine().class_state(codec.size_class(ids.back()))->space;
  const uint32_t extent = codec.slot(ids.back()) >> space.geometry().index_bits;
  bool stayed = true;
  for (int i = 0; i < 3; ++i) {
    static_cast<void>(store.CompactStorage());
    stayed = stayed && space.home_range().state(extent) == page::ExtentState::kMapped;
  }
  participant.ReleaseGuard(participant.guards[3]);
  if (!stayed) return "an extent was given back under a guard";
  static_cast<void>(store.CompactStorage());
  if (space.home_range().state(extent) == page::ExtentState::kMapped) {
    return "an empty extent without guard was not given back";
  }
  Session writer = *store.NewSession();
  for (const RecordId id : ids) {
    if (reader.Get(table, id)) return "a deleted record came back";
  }
  return writer.Insert(table, RowOf(1)).ok() ? "" : "no record can be inserted";
}

std::string EndManySessions() {
  Store store = *Store::OpenInMemory(TestStoreOptions());
  const auto table = *store.CreateTableOf<Row>("rows");
  for (uint64_t i = 0; i < 100; ++i) {
    Session session = *store.NewSession();
    if (!session.Insert(table, RowOf(i)).ok()) return "no record can be inserted";
  }
  const uint64_t used = store.Statistics().tables[0].slots_used;
  return used == 100 ? "" : std::to_string(used) + " slots are in use by 100 records";
}

namespace {

uint64_t Resident(const Store& store) {
  uint64_t sum = 0;
  const Result<PageReport> report = store.VerifyPages();
  if (!report.ok()) return 0;
  for (const uint64_t bytes : report->bytes_by_kind) sum += bytes;
  return sum;
}

}  // namespace

std::string SplitSparseExtents(PageKind kind) {
  base::ManualClock clock(kStart);
  StoreOptions options = TestStoreOptions();
  options.clock = &clock;
  options.pages.page_kind = kind;
  Store store = *Store::OpenInMemory(options);
  const auto table = *store.CreateTableOf<Row>("rows");
  Session session = *store.NewSession();
  std::unordered_set<uint64_t> issued;
  std::vector<RecordId> kept, gone;
  const auto insert = [&](uint64_t value) -> std::optional<RecordId> {
    const Result<RecordId> id = session.Insert(table, RowOf(value));
    if (!id.ok() || !issued.insert(id->value()).second) return std::nullopt;
    return *id;
  };
  for (uint64_t i = 0; i < 120'000; ++i) {
    const std::optional<RecordId> id = insert(i);
    if (!id.has_value()) return "record " + std::to_string(i) + " has no ID of its own";
    (i % 1'000 == 0 ? kept : gone).push_back(*id);
  }
  for (const RecordId id : gone) {
    if (!*session.Delete(table, id)) return "a record is gone";
  }
  Settle(store);
  const uint64_t used = store.Statistics().memory.used_bytes;
  const uint64_t resident = Resident(store);
  const uint64_t returned = *store.CompactStorage();
  const StoreStatistics statistics = store.Statistics();
  // Ten extents and more with about twelve records each.
  if (statistics.pages.bytes_returned_in_parts < 10 * (1 << 20)) {
    return "only " + std::to_string(statistics.pages.bytes_returned_in_parts) +
           " bytes of sparse extents went back";
  }
  if (returned < statistics.pages.bytes_returned_in_parts) return "CompactStorage() says less";
  if (used - statistics.memory.used_bytes != returned) return "the account says something else";
  if (Resident(store) + statistics.pages.bytes_returned_in_parts > resident) {
    return "the system has not got " + std::to_string(returned) + " bytes";
  }
  const auto look = [&]() -> std::string {
    for (size_t i = 0; i < kept.size(); ++i) {
      const TypedGuard<Row> row = session.Get(table, kept[i]);
      if (!row) return "a record that stayed is absent";
      if (row->values[0] != i * 1'000 || row->values[11] != i * 1'000) {
        return "a record that stayed has other bytes";
      }
    }
    for (const RecordId id : gone) {
      if (session.Get(table, id)) return "a deleted record came back";
    }
    return "";
  };
  if (std::string wrong = look(); !wrong.empty()) return wrong;
  // Within their tick, and after it, until the pages are needed again.
  for (uint64_t i = 0; i < 118'000; ++i) {
    if (i == 40'000) clock.AdvanceSeconds(1);
    if (!insert(i).has_value()) return "an ID is issued twice, or none at all";
  }
  const StoreStatistics full = store.Statistics();
  if (full.pages.bytes_returned_in_parts == statistics.pages.bytes_returned_in_parts) {
    return "the slots of returned pages are not used again";
  }
  uint64_t mapped = 0;
  for (const uint64_t bytes : full.pages.bytes_by_kind) mapped += bytes;
  mapped += full.memory.component_used_bytes[MemoryComponent::kOther];
  if (full.memory.used_bytes != mapped) return "pages in use are not charged";
  return look();
}

}  // namespace flagstone::testkit
