#include "tests/support/allocation_script.h"

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "lib/slab/slot_cache.h"
#include "tests/support/failing_allocator.h"
#include "tests/support/seeded_random.h"
#include "tests/support/store_subjects.h"

namespace flagstone::testkit {
namespace {

constexpr uint32_t kSteps = 40;
constexpr size_t kTablesMax = 5;

class AllocationScript {
 public:
  explicit AllocationScript(uint64_t seed)
      : seed_(seed), random_(seed), store_(*Store::OpenInMemory(TestStoreOptions())) {}

  WorkloadVerdict Play() {
    Try("session", [this] { return NewSession(); });
    Try("table", [this] { return NewTable(); });
    for (uint32_t step = 0; step < kSteps && verdict_.failure.empty(); ++step) Step();
    End();
    return verdict_;
  }

 private:
  using Records = std::map<uint64_t, int64_t>;
  struct Table {
    RecordTable table;
    Records records;  // committed
  };

  void Step() {
    switch (random_.Below(11)) {
      case 0: return Try("session", [this] { return NewSession(); });
      case 1: return Try("table", [this] { return NewTable(); });
      case 2: return Try("insert", [this] { return Insert(); });
      case 3: return Try("batch", [this] { return InsertMany(); });
      case 4: return Try("update", [this] { return Change(Kind::kUpdate); });
      case 5: return Try("delete", [this] { return Change(Kind::kDelete); });
      case 6:
      case 7: return Try("transaction", [this] { return Transact(); });
      case 8: return Try("snapshot", [this] { return BeginOrEndSnapshot(); });
      case 9: return Try("one-call read", [this] { return ReadOnce(); });
      default: return Maintain();
    }
  }

  // `call` changes the model only when it succeeds, and makes the same random choices each time.
  void Try(const char* what, const std::function<Status()>& call) {
    const SeededRandom before = random_;
    for (uint64_t n = 1; verdict_.failure.empty(); ++n) {
      random_ = before;
      const AllocationOutcome outcome = FailAllocation(n, call);
      if (outcome == AllocationOutcome::kNoFailure) return;
      ++verdict_.count;
      if (outcome == AllocationOutcome::kDone) return;
      Compare(std::string(what) + ", allocation " + std::to_string(n));
    }
  }

  Status NewSession() {
    Result<Session> session = store_.NewSession();
    if (!session.ok()) return std::move(session).status();
    session_.reset();
    session_.emplace(*std::move(session));
    return Status::Ok();
  }
  Status NewTable() {
    if (tables_.size() == kTablesMax) return Status::Ok();
    const uint32_t bytes = 8u << (2 * random_.Below(5));
    const std::string name = "table " + std::to_string(tables_.size());
    Result<RecordTable> table = store_.CreateTable(name, {bytes, std::nullopt});
    if (!table.ok()) return std::move(table).status();
    const OwnAllocations own;
    tables_.push_back({*table, {}});
    return Status::Ok();
  }
  Status Insert() {
    Table& table = AnyTable();
    const int64_t value = Value();
    Result<RecordId> id = session_->Insert(table.table, Bytes(table, value));
    if (!id.ok()) return std::move(id).status();
    return Note(table.records, id->value(), value);
  }
  Status InsertMany() {
    Table& table = AnyTable();
    const size_t count = 1 + random_.Below(500);
    const int64_t value = Value();
    std::optional<OwnAllocations> own(std::in_place);
    const std::vector<std::byte> one = Bytes(table, value);
    std::vector<std::byte> records;
    for (size_t i = 0; i < count; ++i) records.insert(records.end(), one.begin(), one.end());
    std::vector<RecordId> ids(count);
    own.reset();
    if (Status done = session_->InsertMany(table.table, records, ids); !done.ok()) return done;
    for (const RecordId id : ids) static_cast<void>(Note(table.records, id.value(), value));
    return Status::Ok();
  }
  enum class Kind : uint8_t { kUpdate, kDelete };
  Status Change(Kind kind) {
    Table& table = AnyTable();
    if (table.records.empty()) return Status::Ok();
    const uint64_t id = AnyRecord(table.records);
    const int64_t value = Value();
    Result<bool> done = kind == Kind::kUpdate
                            ? session_->UpdateTo(table.table, RecordId(id), Bytes(table, value))
                            : session_->Delete(table.table, RecordId(id));
    if (!done.ok()) return std::move(done).status();
    if (!*done) Expect(false, "a record that is there was not found");
    if (kind == Kind::kUpdate) return Note(table.records, id, value);
    table.records.erase(id);
    return Status::Ok();
  }
  Status Transact() {
    Table& table = AnyTable();
    const uint32_t writes = 1 + random_.Below(60);
    std::optional<OwnAllocations> own(std::in_place);
    Records after = table.records;
    own.reset();
    Result<Transaction> txn = session_->Begin();
    if (!txn.ok()) return std::move(txn).status();
    for (uint32_t i = 0; i < writes; ++i) {
      const int64_t value = Value();
      const uint32_t choice = random_.Below(4);
      if (choice < 2 || after.empty()) {
        Result<RecordId> id = txn->Insert(table.table, Bytes(table, value));
        if (!id.ok()) return std::move(id).status();
        static_cast<void>(Note(after, id->value(), value));
        continue;
      }
      const uint64_t id = AnyRecord(after);
      Result<bool> done = choice == 2
                              ? txn->UpdateTo(table.table, RecordId(id), Bytes(table, value))
                              : txn->Delete(table.table, RecordId(id));
      if (!done.ok()) return std::move(done).status();
      if (choice == 2) {
        after[id] = value;
      } else {
        after.erase(id);
      }
    }
    if (random_.OneIn(4)) return Status::Ok();  // the destructor rolls it back
    Result<uint64_t> committed = txn->Commit();
    if (!committed.ok()) return std::move(committed).status();
    table.records.swap(after);
    return Status::Ok();
  }
  Status BeginOrEndSnapshot() {
    if (snapshot_.has_value()) {
      snapshot_.reset();
      reader_.reset();
      return Status::Ok();
    }
    Result<Session> session = store_.NewSession();
    if (!session.ok()) return std::move(session).status();
    reader_.emplace(*std::move(session));
    Result<Transaction> begun = reader_->Begin();
    if (!begun.ok()) {
      reader_.reset();
      return std::move(begun).status();
    }
    snapshot_.emplace(*std::move(begun));
    return Status::Ok();
  }
  Status ReadOnce() {
    Table& table = AnyTable();
    if (table.records.empty()) return Status::Ok();
    const uint64_t id = AnyRecord(table.records);
    Result<bool> found = store_.Read(table.table, RecordId(id), [](std::span<const std::byte>) {});
    if (found.ok() && !*found) Expect(false, "a one-call read finds nothing");
    static_cast<void>(store_.Statistics());
    return std::move(found).status();
  }
  void Maintain() {
    const bool compact = random_.OneIn(3);
    const uint64_t n = 1 + random_.Below(6);
    const AllocationOutcome outcome = FailAllocation(n, [&] {
      if (compact) return store_.CompactStorage().status();
      for (int i = 0; i < 4; ++i) static_cast<void>(store_.Maintain());
      return Status::Ok();
    });
    verdict_.count += outcome == AllocationOutcome::kNoFailure ? 0 : 1;
    Expect(compact || outcome != AllocationOutcome::kThrown, "Maintain() throws");
    Compare(compact ? "compaction" : "maintenance");
  }

  void End() {
    snapshot_.reset();
    reader_.reset();
    session_.reset();
    for (int idle = 0; idle < 3;) idle = store_.Maintain() ? 0 : idle + 1;
    if (!verdict_.failure.empty()) return;
    const StoreStatistics statistics = store_.Statistics();
    for (size_t i = 0; i < tables_.size(); ++i) {
      const uint64_t used = statistics.tables.at(i).slots_used;
      Expect(used == tables_[i].records.size(),
             "table " + std::to_string(i) + " uses " + std::to_string(used) + " slots for " +
                 std::to_string(tables_[i].records.size()) + " records");
    }
    for (const SizeClassStatistics& size_class : statistics.size_classes) {
      // Maintenance itself keeps up to a batch to copy payloads aside to.
      Expect(size_class.version_slots_used <= slab::kVersionBatchMax,
             std::to_string(size_class.version_slots_used) + " version slots were lost");
    }
    // Close() ends the readers that one-call reads have pooled, one for a processor, and is refused
    // where any other session is left.
    Expect(store_.Close().ok(), "a session was lost: the store does not close");
  }

  void Compare(const std::string& when) {
    if (!session_.has_value()) return;
    for (Table& table : tables_) {
      for (const auto& [id, value] : table.records) {
        const RecordGuard guard = session_->Get(table.table, RecordId(id));
        const bool same =
            guard && Bytes(table, value) ==
                         std::vector<std::byte>(guard.bytes().begin(), guard.bytes().end());
        Expect(same, "a record changed after " + when);
        if (!same) return;
      }
    }
    Expect(session_->Begin().ok(), "no transaction can begin after " + when);
  }
  void Expect(bool held, const std::string& what) {
    if (held || !verdict_.failure.empty()) return;
    verdict_.failure = "seed " + std::to_string(seed_) + ": " + what;
  }
  static Status Note(Records& records, uint64_t id, int64_t value) {
    const OwnAllocations own;
    records[id] = value;
    return Status::Ok();
  }

  Table& AnyTable() { return tables_[random_.Below(static_cast<uint32_t>(tables_.size()))]; }
  uint64_t AnyRecord(const Records& records) {
    auto place = records.lower_bound(random_.Next() >> 1);
    return place == records.end() ? records.begin()->first : place->first;
  }
  int64_t Value() { return random_.Below(100); }
  static std::vector<std::byte> Bytes(const Table& table, int64_t value) {
    const OwnAllocations own;
    return std::vector<std::byte>(table.table.record_bytes(), static_cast<std::byte>(value));
  }

  const uint64_t seed_;
  SeededRandom random_;
  Store store_;
  std::optional<Session> session_;
  std::optional<Session> reader_;
  std::optional<Transaction> snapshot_;
  std::vector<Table> tables_;
  WorkloadVerdict verdict_;
};

}  // namespace

WorkloadVerdict RunAllocationScript(uint64_t seed) { return AllocationScript(seed).Play(); }

}  // namespace flagstone::testkit
