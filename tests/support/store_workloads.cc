#include "tests/support/store_workloads.h"

#include <atomic>
#include <cstring>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "lib/base/manual_clock.h"
#include "tests/support/append_workload.h"
#include "tests/support/black_box_checker.h"
#include "tests/support/hermitage.h"
#include "tests/support/model_history.h"
#include "tests/support/seeded_random.h"
#include "tests/support/store_subjects.h"
#include "tests/support/white_box_checker.h"

namespace flagstone::testkit {

ScorecardRow IsolationRow() {
  ScorecardRow row;
  row.number = 6;
  row.name = "isolation on records";
  row.unit = "transactions";
  row.seed = 1;
  return row;
}

ScorecardRow ReclamationRow() {
  ScorecardRow row;
  row.number = 8;
  row.name = "snapshots against reclamation";
  row.unit = "runs";
  row.seed = 1;
  return row;
}

// --- histories of appends
// -------------------------------------------------------------------------

WorkloadVerdict RunStoreAppendHistory(const AppendHistoryOptions& options) {
  AppendWorkloadOptions workload;
  workload.level = options.level;
  workload.appends_per_key = options.appends_per_key;
  workload.txns = options.txns;
  workload.seed = options.seed;
  StoreOptions store_options = TestStoreOptions();
  store_options.maintenance.mode = MaintenanceMode::kBackground;
  store_options.maintenance.interval = std::chrono::microseconds(100);
  Store store = *Store::OpenInMemory(store_options);
  // Keys are counted from 1; half of the operations append at most.
  const uint32_t key_count =
      workload.txns * workload.ops_per_txn_max / options.appends_per_key + workload.active_keys + 2;
  const GatedTable<AppendList> table(store, key_count);
  const AppendWorkloadResult result = RunAppendWorkload(
      workload, [&](uint32_t) { return std::make_unique<StoreAppendSession>(store, table); });

  WorkloadVerdict verdict;
  verdict.count = result.history.txns.size();
  if (!result.error.empty()) {
    verdict.failure = result.description + ": " + result.error;
    return verdict;
  }
  BlackBoxOptions black;
  black.level = options.level;
  const BlackBoxReport seen = CheckBlackBox(result.history, black);
  WhiteBoxOptions white;
  white.level = options.level;
  const WhiteBoxReport stamped = CheckWhiteBox(result.history, white);
  verdict.write_skews = seen.count(AnomalyKind::kG2Item) + seen.count(AnomalyKind::kG2ItemRealtime);
  if (!seen.ok()) verdict.failure += result.description + ": " + seen.ToString();
  if (!stamped.ok()) verdict.failure += result.description + ": " + stamped.ToString();
  if (result.committed < workload.txns / 4) {
    verdict.failure += result.description + ": too few transactions committed to say anything";
  }
  return verdict;
}

// --- fixed schedules
// ------------------------------------------------------------------------------

WorkloadVerdict RunStoreSchedules(IsolationLevel level) {
  const auto open = [] { return std::make_unique<StoreSubject>(); };
  WorkloadVerdict verdict;
  verdict.failure = DescribeFailures(RunHermitage(open, level));
  InterleavingReport total;
  for (const SessionScripts& scripts : StandardScripts()) {
    total.Add(RunAllInterleavings(open, scripts, level));
  }
  verdict.count = total.interleavings;
  if (!total.ok()) verdict.failure += total.ToString();
  return verdict;
}

// --- histories with pinned snapshots and guards
// ---------------------------------------------------

namespace {

using Bytes = std::vector<std::byte>;

// Every byte of a record follows from its value: a torn or recycled payload shows.
Bytes BytesOfValue(uint64_t value, uint32_t record_bytes) {
  Bytes bytes(record_bytes);
  for (uint32_t at = 0; at < record_bytes; at += 8) {
    const uint64_t word = at == 0 ? value : value * 0x9e3779b97f4a7c15 + at;
    std::memcpy(bytes.data() + at, &word, std::min<uint32_t>(8, record_bytes - at));
  }
  return bytes;
}

class PinnedHistory {
 public:
  explicit PinnedHistory(const PinnedHistoryOptions& options)
      : options_(options),
        random_(options.seed),
        clock_(1'800'000'000),
        store_(*Store::OpenInMemory(Options())),
        writer_(*store_.NewSession()) {
    tables_.push_back(*store_.CreateTable("first", {16, std::nullopt}));
    tables_.push_back(*store_.CreateTable("same class", {16, std::nullopt}));
    tables_.push_back(*store_.CreateTable("odd bytes", {29, std::nullopt}));
    tables_.push_back(*store_.CreateTable("roomy", {100, 14}));
    if (options_.lengths == RecordLengths::kAll) {
      for (const uint32_t bytes : {7'000u, 7'145u, 20'000u, 40'000u, 300'000u}) {
        tables_.push_back(*store_.CreateTable(std::to_string(bytes), {bytes, std::nullopt}));
      }
    }
    model_.resize(tables_.size());
    ids_.resize(tables_.size());
  }

  WorkloadVerdict Run() {
    while (commits_ < options_.commits && failure_.empty()) {
      ChangeSomething();
      LookAtOne();
      MoveSnapshots();
      MoveGuards();
      static_cast<void>(store_.Maintain({1 + random_.Below(64)}));
      if (random_.OneIn(20)) clock_.AdvanceSeconds(1);
      if (random_.OneIn(100)) static_cast<void>(store_.CompactStorage());
      if (commits_ >= next_scan_) {
        next_scan_ = commits_ + options_.commits_per_scan;
        CompareEverything();
      }
    }
    CompareEverything();
    guards_.clear();
    while (!snapshots_.empty()) CloseSnapshot(0);
    for (int i = 0; i < 20; ++i) static_cast<void>(store_.Maintain());
    CompareEverything();
    WorkloadVerdict verdict;
    verdict.count = commits_;
    verdict.failure = failure_;
    return verdict;
  }

 private:
  using Rows = std::map<uint64_t, uint64_t>;  // ID to value
  using State = std::vector<Rows>;
  struct Snapshot {
    std::unique_ptr<Session> session;
    std::unique_ptr<Transaction> txn;
    State state;
    bool of_the_past = false;
  };
  struct Held {
    RecordGuard guard;
    uint64_t id;
    uint64_t timestamp;
    Bytes bytes;
  };
  struct Past {
    uint64_t timestamp;
    State state;
  };

  StoreOptions Options() {
    StoreOptions options = TestStoreOptions();
    options.clock = &clock_;
    keeps_history_ = random_.OneIn(4);
    if (options_.lengths == RecordLengths::kAll) options.memory.limit_bytes = 256 << 20;
    if (keeps_history_) options.snapshots.history_retention = std::chrono::hours(1);
    return options;
  }

  void Fail(const std::string& what) {
    if (!failure_.empty()) return;
    failure_ = "pinned history, seed " + std::to_string(options_.seed) + ", commit " +
               std::to_string(commits_) + ": " + what;
  }
  void FailWith(const std::string& what, const Status& status) {
    Fail(what + ": " + status.ToString());
  }

  // --- drawing
  uint32_t DrawTable() { return random_.Below(static_cast<uint32_t>(tables_.size())); }
  // An ID that is or was a record's; the null ID when there was none.
  uint64_t DrawId(uint32_t table) {
    if (ids_[table].empty()) return 0;
    return ids_[table][random_.Below(static_cast<uint32_t>(ids_[table].size()))];
  }
  Bytes NextBytes(uint32_t table) { return PayloadOf(++value_, table); }
  // What a record of this value holds. Long ones may be aimed at a record: at the places of the
  // slots inside of it they have the headers of settled records, under the IDs that lead there.
  Bytes PayloadOf(uint64_t value, uint32_t table) const {
    Bytes bytes = BytesOfValue(value, tables_[table].record_bytes());
    const auto aimed = aimed_.find(value);
    if (aimed == aimed_.end()) return bytes;
    for (uint32_t i = 1; i < tables_[table].view().run_slots; ++i) {
      const uint64_t header[] = {aimed->second + i, internal::VersionWord(1, internal::kLive), 0};
      const size_t at = size_t{i} * kStrideBytesMax - internal::kSlotHeaderBytes;
      std::memcpy(bytes.data() + at, header, std::min(sizeof(header), bytes.size() - at));
    }
    return bytes;
  }
  Bytes NextBytesAimedAt(uint64_t id, uint32_t table) {
    if (tables_[table].view().run_slots > 1 && random_.OneIn(2)) aimed_[value_ + 1] = id;
    return NextBytes(table);
  }

  // --- the latest state
  void Committed() {
    ++commits_;
    if (!keeps_history_) return;
    past_.push_back({store_.core().engine().commits().horizon(), model_});
    if (past_.size() > 40) past_.pop_front();
  }
  void Inserted(State& state, uint32_t table, RecordId id) {
    if (state[table].contains(id.value())) Fail("ID " + id.ToString() + " was issued twice");
    for (const Rows& rows : model_) {
      if (rows.contains(id.value())) Fail("ID " + id.ToString() + " is another record's");
    }
    if (&state == &model_ && Known(table, id.value())) {
      Fail("ID " + id.ToString() + " was a record's before");
    }
    state[table][id.value()] = value_;
  }
  bool Known(uint32_t table, uint64_t id) const { return known_.contains({table, id}); }
  void Learn(uint32_t table, RecordId id) {
    if (!known_.insert({{table, id.value()}, true}).second) {
      Fail("ID " + id.ToString() + " was issued twice");
    }
    ids_[table].push_back(id.value());
  }

  void ChangeSomething() {
    const uint32_t table = DrawTable();
    switch (random_.Below(12)) {
      case 0:
      case 1: return InsertOne(table);
      case 2: return InsertBatch(table);
      case 3: return InsertGiven(table);
      case 4:
      case 5: return UpdateOne(table);
      case 6: return DeleteOne(table);
      case 7: return UndeleteOne(table);
      case 8: return ApplyBatch();
      default: return RunTransaction();
    }
  }
  void InsertOne(uint32_t table) {
    const Bytes bytes = NextBytes(table);
    const auto draw_class = [this] {
      const bool beside_runs = options_.lengths == RecordLengths::kAll && random_.OneIn(4);
      return beside_runs ? kSizeClassCount - 1 : 12 + random_.Below(4);
    };
    Result<RecordId> id = random_.OneIn(3)
                              ? writer_.InsertInClass(tables_[table], bytes, draw_class())
                              : writer_.Insert(tables_[table], bytes);
    if (!id.ok()) {
      // Class 12 to 15 hold all but the records of the roomy table.
      if (id.code() == StatusCode::kInvalidArgument) return;
      return FailWith("insert", id.status());
    }
    Inserted(model_, table, *id);
    Learn(table, *id);
    Committed();
  }
  void InsertBatch(uint32_t table) {
    std::vector<RecordId> ids(1 + random_.Below(5));
    const uint64_t first = value_ + 1;
    Bytes all;
    for (size_t i = 0; i < ids.size(); ++i) {
      const Bytes one = NextBytes(table);
      all.insert(all.end(), one.begin(), one.end());
    }
    if (Status status = writer_.InsertMany(tables_[table], all, ids); !status.ok()) {
      return FailWith("batch", status);
    }
    for (size_t i = 0; i < ids.size(); ++i) {
      model_[table][ids[i].value()] = first + i;
      Learn(table, ids[i]);
    }
    Committed();
  }
  // An ID of our own making: the slot of an earlier record or one nearby, at a tick about now.
  void InsertGiven(uint32_t table) {
    if (ids_[table].empty()) return;
    const IdCodec& codec = store_.core().engine().codec();
    IdFields fields = codec.fields(RecordId(DrawId(table)));
    fields.slot ^= random_.Below(128);
    fields.tick = codec.tick(RecordId(ids_[table].back())) + random_.Below(2);
    const RecordId id = codec.Encode(fields);
    const Bytes bytes = NextBytes(table);
    if (!writer_.InsertWithId(tables_[table], id, bytes).ok()) return;
    Inserted(model_, table, id);
    Learn(table, id);
    Committed();
  }
  void UpdateOne(uint32_t table) {
    const uint64_t id = DrawId(table);
    const Bytes bytes = NextBytesAimedAt(id, table);
    Result<bool> found =
        random_.OneIn(2)
            ? writer_.UpdateTo(tables_[table], RecordId(id), bytes)
            : writer_.Update(tables_[table], RecordId(id), [&](std::span<std::byte> payload) {
                CheckBefore(table, id, payload);
                std::memcpy(payload.data(), bytes.data(), bytes.size());
              });
    if (!Agree("update", found, model_[table].contains(id))) return;
    model_[table][id] = value_;
    Committed();
  }
  void CheckBefore(uint32_t table, uint64_t id, std::span<const std::byte> payload) {
    const auto row = model_[table].find(id);
    if (row == model_[table].end() ||
        PayloadOf(row->second, table) != Bytes(payload.begin(), payload.end())) {
      Fail("an updater was shown other bytes than the newest version's");
    }
  }
  void DeleteOne(uint32_t table) {
    const uint64_t id = DrawId(table);
    Result<bool> found = writer_.Delete(tables_[table], RecordId(id));
    if (!Agree("delete", found, model_[table].contains(id))) return;
    deleted_[{table, id}] = model_[table][id];
    model_[table].erase(id);
    Committed();
  }
  // May be too late, but brings back exactly what was deleted.
  void UndeleteOne(uint32_t table) {
    const uint64_t id = DrawId(table);
    Result<bool> found = writer_.Undelete(tables_[table], RecordId(id));
    if (!found.ok()) return FailWith("undelete", found.status());
    if (!*found) return;
    if (model_[table].contains(id)) return Fail("undelete of a record that is there");
    const auto row = deleted_.find({table, id});
    if (row == deleted_.end()) return Fail("undelete of what was never deleted");
    model_[table][id] = row->second;
    Committed();
  }
  // True when the change was made.
  bool Agree(const char* what, const Result<bool>& found, bool expected) {
    if (!found.ok()) {
      FailWith(what, found.status());
      return false;
    }
    if (*found != expected) {
      Fail(std::string(what) + (expected ? " did not find a record" : " found an absent record"));
      return false;
    }
    return expected;
  }

  // A few changes in one transaction, committed or rolled back.
  void RunTransaction() {
    TransactionOptions options;
    options.isolation = random_.OneIn(3) ? flagstone::IsolationLevel::kReadCommitted
                                         : flagstone::IsolationLevel::kSnapshot;
    Result<Transaction> begun = writer_.Begin(options);
    if (!begun.ok()) return FailWith("begin", begun.status());
    Transaction txn = *std::move(begun);
    State state = model_;
    std::vector<std::pair<uint32_t, uint64_t>> deleted;
    std::vector<std::pair<uint32_t, RecordId>> inserted;
    const uint32_t changes = random_.OneIn(8) ? 40 : 1 + random_.Below(6);
    for (uint32_t i = 0; i < changes && failure_.empty(); ++i) {
      const uint32_t table = DrawTable();
      const RecordTable& handle = tables_[table];
      const uint64_t id =
          !inserted.empty() && random_.OneIn(3)
              ? inserted[random_.Below(static_cast<uint32_t>(inserted.size()))].second.value()
              : DrawId(table);
      switch (random_.Below(4)) {
        case 0: {
          Result<RecordId> made = txn.Insert(handle, NextBytes(table));
          if (!made.ok()) return FailWith("insert in a transaction", made.status());
          Inserted(state, table, *made);
          inserted.emplace_back(table, *made);
          break;
        }
        case 1: {
          Result<bool> found = txn.UpdateTo(handle, RecordId(id), NextBytes(table));
          if (Agree("update in a transaction", found, state[table].contains(id))) {
            state[table][id] = value_;
          }
          break;
        }
        case 2: {
          Result<bool> found = txn.Delete(handle, RecordId(id));
          if (Agree("delete in a transaction", found, state[table].contains(id))) {
            deleted.emplace_back(table, id);
            state[table].erase(id);
          }
          break;
        }
        default: ComparePlace("own read", txn, state, table, id);
      }
    }
    for (const auto& [table, id] : inserted) Learn(table, id);
    if (random_.OneIn(4)) {
      txn.Rollback();
      return;
    }
    Result<uint64_t> at = txn.Commit();
    if (!at.ok()) return FailWith("commit", at.status());
    CommittedState(std::move(state), deleted);
  }
  // The changes of a transaction, of which some are deletions.
  void CommittedState(State state, const std::vector<std::pair<uint32_t, uint64_t>>& deleted) {
    for (const auto& [table, id] : deleted) {
      // What Undelete() brings back is the last value others could see, not one of this
      // transaction.
      const auto row = model_[table].find(id);
      if (row != model_[table].end()) {
        deleted_[{table, id}] = row->second;
      }
    }
    model_ = std::move(state);
    Committed();
  }

  // A few changes that are collected first. Every fourth batch fails at its end, if not before, and
  // changes nothing.
  void ApplyBatch() {
    struct Expected {
      uint32_t table;
      uint64_t id;  // 0: of an insert
      uint64_t value;
      OperationOutcome outcome;
    };
    batch_.Clear();
    State state = model_;
    std::vector<std::pair<uint32_t, uint64_t>> deleted;
    std::vector<Expected> expected;
    const uint32_t changes = random_.OneIn(8) ? 40 : 1 + random_.Below(6);
    for (uint32_t i = 0; i < changes; ++i) {
      const uint32_t table = DrawTable();
      const uint64_t id = DrawId(table);
      const bool there = state[table].contains(id);
      const auto outcome = there ? OperationOutcome::kDone : OperationOutcome::kAbsent;
      switch (random_.Below(3)) {
        case 0:
          batch_.Insert(tables_[table], NextBytes(table));
          expected.push_back({table, 0, value_, OperationOutcome::kDone});
          break;
        case 1:
          batch_.UpdateTo(tables_[table], RecordId(id), NextBytes(table));
          expected.push_back({table, id, value_, outcome});
          if (there) state[table][id] = value_;
          break;
        default:
          batch_.Delete(tables_[table], RecordId(id));
          expected.push_back({table, id, 0, outcome});
          if (!there) break;
          deleted.emplace_back(table, id);
          state[table].erase(id);
      }
    }
    const bool fails = random_.OneIn(4);
    if (fails) batch_.Delete(tables_[0], RecordId());  // names no record
    ApplyOptions options;
    options.isolation = random_.OneIn(3) ? flagstone::IsolationLevel::kReadCommitted
                                         : flagstone::IsolationLevel::kSnapshot;
    options.absent = fails ? AbsentRecord::kFailBatch : AbsentRecord::kReport;
    const Status status = writer_.Apply(batch_, applied_, options);
    if (fails) {
      if (status.code() != StatusCode::kFailedPrecondition) FailWith("failing batch", status);
      return;
    }
    if (!status.ok()) return FailWith("batch", status);
    for (size_t i = 0; i < expected.size(); ++i) {
      const auto& [table, id, value, outcome] = expected[i];
      const OperationResult& found = applied_.operations()[i];
      if (found.outcome != outcome || (id != 0 && found.id.value() != id)) {
        return Fail("operation " + std::to_string(i) + " of a batch on " + found.id.ToString() +
                    " had another outcome than the model");
      }
      if (id != 0 || value == 0 || outcome == OperationOutcome::kAbsent) continue;
      Inserted(state, table, found.id);
      state[table][found.id.value()] = value;
      Learn(table, found.id);
    }
    CommittedState(std::move(state), deleted);
  }

  // --- comparing
  template <typename From>
  void ComparePlace(const char* what, From& from, const State& state, uint32_t table, uint64_t id) {
    if constexpr (std::is_same_v<From, Transaction>) {
      Result<RecordGuard> guard = from.Get(tables_[table], RecordId(id));
      if (!guard.ok()) return FailWith(what, guard.status());
      Compare(what, *guard, state, table, id);
    } else {
      RecordGuard guard = from.Get(tables_[table], RecordId(id));
      if (guard.code() != StatusCode::kOk) return FailWith(what, guard.status());
      Compare(what, guard, state, table, id);
    }
  }
  void Compare(const char* what, const RecordGuard& guard, const State& state, uint32_t table,
               uint64_t id) {
    const auto row = state[table].find(id);
    if (static_cast<bool>(guard) != (row != state[table].end())) {
      return Fail(std::string(what) + ": " + RecordId(id).ToString() + " of table " +
                  std::to_string(table) +
                  (guard ? " is there and should not be" : " is not there and should be"));
    }
    if (!guard) return;
    const std::span<const std::byte> bytes = guard.bytes();
    if (Bytes(bytes.begin(), bytes.end()) != PayloadOf(row->second, table)) {
      uint64_t found = 0;
      std::memcpy(&found, bytes.data(), sizeof(found));
      Fail(std::string(what) + ": " + RecordId(id).ToString() + " of table " +
           std::to_string(table) + " has value " + std::to_string(found) + ", expected " +
           std::to_string(row->second));
    }
  }
  void LookAtOne() {
    const uint32_t table = DrawTable();
    // Also IDs of other tables, which are absent here.
    const uint64_t id = DrawId(random_.OneIn(8) ? DrawTable() : table);
    ComparePlace("read", writer_, model_, table, id);
    if (tables_[table].view().run_slots > 1) LookInside(table, DrawId(table));
  }
  // An ID that leads into a long record: no operation finds anything there.
  void LookInside(uint32_t table, uint64_t id) {
    if (id == 0) return;
    const uint64_t inside = id + 1 + random_.Below(tables_[table].view().run_slots - 1);
    ComparePlace("read inside of a long record", writer_, model_, table, inside);
    if (random_.OneIn(8)) {
      static_cast<void>(Agree("delete inside of a long record",
                              writer_.Delete(tables_[table], RecordId(inside)), false));
    }
    if (!snapshots_.empty()) {
      ComparePlace("snapshot inside of a long record", *snapshots_[0].txn, model_, table, inside);
    }
  }
  template <typename From>
  void CompareAll(const char* what, From& from, const State& state) {
    for (uint32_t table = 0; table < tables_.size() && failure_.empty(); ++table) {
      for (const uint64_t id : ids_[table]) ComparePlace(what, from, state, table, id);
    }
  }
  void CompareEverything() {
    CompareAll("latest state", writer_, model_);
    for (Snapshot& snapshot : snapshots_) {
      CompareAll(snapshot.of_the_past ? "state of the past" : "snapshot", *snapshot.txn,
                 snapshot.state);
    }
    for (const Held& held : guards_) CompareGuard(held);
  }
  void CompareGuard(const Held& held) {
    const std::span<const std::byte> bytes = held.guard.bytes();
    if (Bytes(bytes.begin(), bytes.end()) != held.bytes) Fail("a guarded payload has changed");
    if (held.guard.id().value() != held.id) Fail("a guard has another ID");
    if (held.guard.timestamp() != held.timestamp) Fail("a guarded version has another timestamp");
  }

  // --- what is held over many commits
  void MoveSnapshots() {
    if (snapshots_.size() < 4 && random_.OneIn(12)) OpenSnapshot();
    if (!snapshots_.empty() && random_.OneIn(25)) {
      CloseSnapshot(random_.Below(static_cast<uint32_t>(snapshots_.size())));
    }
    if (!snapshots_.empty()) {
      Snapshot& snapshot = snapshots_[random_.Below(static_cast<uint32_t>(snapshots_.size()))];
      const uint32_t table = DrawTable();
      ComparePlace("snapshot", *snapshot.txn, snapshot.state, table, DrawId(table));
    }
  }
  void OpenSnapshot() {
    Snapshot snapshot;
    snapshot.session = std::make_unique<Session>(*store_.NewSession());
    TransactionOptions options;
    snapshot.state = model_;
    if (!past_.empty() && random_.OneIn(2)) {
      const Past& past = past_[random_.Below(static_cast<uint32_t>(past_.size()))];
      options.as_of_timestamp = past.timestamp;
      snapshot.state = past.state;
      snapshot.of_the_past = true;
    }
    Result<Transaction> begun = snapshot.session->Begin(options);
    if (!begun.ok()) return FailWith("begin of a snapshot", begun.status());
    snapshot.txn = std::make_unique<Transaction>(*std::move(begun));
    snapshots_.push_back(std::move(snapshot));
  }
  // Half of them try a change first: it must fail exactly when the record changed meanwhile.
  void CloseSnapshot(size_t index) {
    Snapshot snapshot = std::move(snapshots_[index]);
    snapshots_.erase(snapshots_.begin() + static_cast<long>(index));
    if (snapshot.of_the_past || random_.OneIn(2)) return;
    const uint32_t table = DrawTable();
    const uint64_t id = DrawId(table);
    const auto seen = snapshot.state[table].find(id);
    const auto now = model_[table].find(id);
    const bool unchanged =
        seen != snapshot.state[table].end() && now != model_[table].end() && *seen == *now;
    // Deleted and brought back since: the value is the same, the version is not.
    if (unchanged && deleted_.contains({table, id})) return;
    Result<bool> found = snapshot.txn->UpdateTo(tables_[table], RecordId(id), NextBytes(table));
    if (seen == snapshot.state[table].end()) {
      if (found.ok() && *found) Fail("a snapshot updated a record it does not see");
      return;
    }
    if (!unchanged) {
      if (found.ok() || found.code() != StatusCode::kConflict) {
        Fail("a snapshot updated a record that was changed after it began: " +
             (found.ok() ? std::string(*found ? "done" : "absent") : found.status().ToString()));
      }
      return;
    }
    if (!Agree("update by a snapshot", found, true)) return;
    if (Result<uint64_t> at = snapshot.txn->Commit(); !at.ok()) {
      return FailWith("commit of a snapshot", at.status());
    }
    model_[table][id] = value_;
    Committed();
  }
  void MoveGuards() {
    if (guards_.size() < 12 && random_.OneIn(4)) {
      const uint32_t table = DrawTable();
      RecordGuard guard = writer_.Get(tables_[table], RecordId(DrawId(table)));
      if (guard) {
        const std::span<const std::byte> bytes = guard.bytes();
        const uint64_t id = guard.id().value();
        const uint64_t timestamp = guard.timestamp();
        guards_.push_back({std::move(guard), id, timestamp, Bytes(bytes.begin(), bytes.end())});
      }
    }
    if (!guards_.empty() && random_.OneIn(6)) {
      const size_t index = random_.Below(static_cast<uint32_t>(guards_.size()));
      CompareGuard(guards_[index]);
      std::swap(guards_[index], guards_.back());
      guards_.pop_back();
    }
  }

  const PinnedHistoryOptions options_;
  SeededRandom random_;
  base::ManualClock clock_;
  bool keeps_history_ = false;
  Store store_;
  Session writer_;
  WriteBatch batch_;
  ApplyResult applied_;
  std::vector<RecordTable> tables_;
  State model_;
  std::vector<std::vector<uint64_t>> ids_;  // by table, of all records there ever were
  std::map<std::pair<uint32_t, uint64_t>, bool> known_;
  std::map<std::pair<uint32_t, uint64_t>, uint64_t> deleted_;
  std::map<uint64_t, uint64_t> aimed_;  // value to the ID of a long record
  std::deque<Past> past_;
  std::vector<Snapshot> snapshots_;
  std::vector<Held> guards_;
  uint64_t value_ = 0;
  uint64_t commits_ = 0;
  uint64_t next_scan_ = 0;
  std::string failure_;
};

}  // namespace

WorkloadVerdict RunPinnedHistory(const PinnedHistoryOptions& options) {
  return PinnedHistory(options).Run();
}

// --- the kit's model histories
// --------------------------------------------------------------------

namespace {

class StoreModelSubject : public ModelSubject {
 public:
  explicit StoreModelSubject(uint32_t tables)
      : store_(*Store::OpenInMemory(TestStoreOptions())), session_(*store_.NewSession()) {
    for (uint32_t i = 0; i < tables; ++i) {
      tables_.push_back(*store_.CreateTableOf<int64_t>("table " + std::to_string(i)));
    }
  }

  StepOutcome Change(const ModelChange& change) override {
    const auto& table = tables_[change.table];
    if (change.kind == ModelOpKind::kInsert) {
      if (Read(change.table, change.key).has_value()) return StepOutcome::kExists;
      Result<RecordId> id = session_.Insert(table, change.value);
      if (!id.ok()) return OutcomeOf(id.status());
      Note(change, *id);
      return StepOutcome::kOk;
    }
    for (const RecordId id : IdsOf(change.table, change.key)) {
      Result<bool> found = change.kind == ModelOpKind::kUpdate
                               ? session_.UpdateTo(table, id, change.value)
                               : session_.Delete(table, id);
      if (!found.ok()) return OutcomeOf(found.status());
      if (*found) return StepOutcome::kOk;
    }
    return StepOutcome::kAbsent;
  }
  std::vector<StepOutcome> RunTxn(const std::vector<ModelChange>& changes,
                                  ModelOp::TxnEnd end) override {
    Transaction txn = *session_.Begin();
    std::vector<StepOutcome> outcomes;
    for (const ModelChange& change : changes) {
      outcomes.push_back(ChangeIn(txn, change));
    }
    if (end == ModelOp::TxnEnd::kAbort) {
      txn.Rollback();
    } else if (!txn.Commit().ok()) {
      outcomes.push_back(StepOutcome::kError);
    }
    return outcomes;
  }
  std::optional<Value> Read(uint32_t table, uint64_t key) override {
    for (const RecordId id : IdsOf(table, key)) {
      if (TypedGuard<int64_t> guard = session_.Get(tables_[table], id)) return *guard;
    }
    return std::nullopt;
  }
  ModelRows Scan(uint32_t table) override {
    ModelRows rows;
    for (const auto& [place, ids] : ids_) {
      if (place.first != table) continue;
      if (const auto value = Read(table, place.second)) rows.emplace_back(place.second, *value);
    }
    return rows;
  }
  uint64_t OpenSnapshot() override {
    Snapshot& snapshot = snapshots_[++handles_];
    snapshot.session.emplace(*store_.NewSession());
    snapshot.txn.emplace(*snapshot.session->Begin());
    return handles_;
  }
  ModelRows ScanSnapshot(uint64_t snapshot, uint32_t table) override {
    ModelRows rows;
    for (const auto& [place, ids] : ids_) {
      if (place.first != table) continue;
      if (const auto value = ReadSnapshot(snapshot, table, place.second)) {
        rows.emplace_back(place.second, *value);
      }
    }
    return rows;
  }
  std::optional<Value> ReadSnapshot(uint64_t snapshot, uint32_t table, uint64_t key) override {
    for (const RecordId id : IdsOf(table, key)) {
      Result<TypedGuard<int64_t>> guard = snapshots_.at(snapshot).txn->Get(tables_[table], id);
      if (guard.ok() && *guard) return **guard;
    }
    return std::nullopt;
  }
  void CloseSnapshot(uint64_t snapshot) override { snapshots_.erase(snapshot); }
  void Maintain() override {
    static_cast<void>(store_.Maintain());
    if (++maintained_ % 16 == 0) static_cast<void>(store_.CompactStorage());
  }
  std::string Reopen() override { return "a store in memory cannot be reopened"; }

 private:
  struct Snapshot {
    std::optional<Session> session;
    std::optional<Transaction> txn;
  };
  // Newest first.
  const std::deque<RecordId>& IdsOf(uint32_t table, uint64_t key) { return ids_[{table, key}]; }
  void Note(const ModelChange& change, RecordId id) {
    ids_[{change.table, change.key}].push_front(id);
  }
  StepOutcome ChangeIn(Transaction& txn, const ModelChange& change) {
    const auto& table = tables_[change.table];
    for (const RecordId id : IdsOf(change.table, change.key)) {
      if (change.kind == ModelOpKind::kInsert) {
        Result<TypedGuard<int64_t>> guard = txn.Get(table, id);
        if (!guard.ok()) return OutcomeOf(guard.status());
        if (*guard) return StepOutcome::kExists;
        continue;
      }
      Result<bool> found = change.kind == ModelOpKind::kUpdate
                               ? txn.UpdateTo(table, id, change.value)
                               : txn.Delete(table, id);
      if (!found.ok()) return OutcomeOf(found.status());
      if (*found) return StepOutcome::kOk;
    }
    if (change.kind != ModelOpKind::kInsert) return StepOutcome::kAbsent;
    Result<RecordId> id = txn.Insert(table, change.value);
    if (!id.ok()) return OutcomeOf(id.status());
    Note(change, *id);
    return StepOutcome::kOk;
  }

  Store store_;
  Session session_;
  std::vector<RecordTableOf<int64_t>> tables_;
  std::map<std::pair<uint32_t, uint64_t>, std::deque<RecordId>> ids_;
  std::map<uint64_t, Snapshot> snapshots_;
  uint64_t handles_ = 0;
  uint64_t maintained_ = 0;
};

}  // namespace

WorkloadVerdict RunStoreModelHistory(uint64_t seed) {
  ModelHistoryOptions options;
  options.seed = seed;
  options.ops = 600;
  options.never = {ModelOpKind::kReopen};
  const ModelReport report = RunModelHistory(
      options, [](uint32_t tables) { return std::make_unique<StoreModelSubject>(tables); });
  WorkloadVerdict verdict;
  verdict.count = report.steps;
  if (!report.ok()) {
    verdict.failure = "model history, seed " + std::to_string(seed) + ": " + report.failure + "\n" +
                      report.ops_text;
  }
  return verdict;
}

// --- transfers under a watch
// ----------------------------------------------------------------------

WorkloadVerdict RunTransferWatch(uint64_t transfers) {
  constexpr uint32_t kRecords = 64;
  constexpr int64_t kEach = 1000;
  StoreOptions options = TestStoreOptions();
  options.maintenance.mode = MaintenanceMode::kBackground;
  options.maintenance.interval = std::chrono::microseconds(100);
  Store store = *Store::OpenInMemory(options);
  const auto table = *store.CreateTableOf<int64_t>("amounts");
  Session writer = *store.NewSession();
  std::vector<RecordId> ids;
  for (uint32_t i = 0; i < kRecords; ++i) ids.push_back(*writer.Insert(table, kEach));

  std::atomic<bool> done{false};
  WorkloadVerdict verdict;
  std::thread watcher([&] {
    Session session = *store.NewSession();
    while (!done.load(std::memory_order_relaxed) && verdict.failure.empty()) {
      Result<Transaction> txn = session.Begin();
      int64_t sum = 0;
      // From the end: the writer publishes from the front.
      for (auto id = ids.rbegin(); id != ids.rend(); ++id) sum += **txn->Get(table, *id);
      if (sum != kEach * kRecords) {
        verdict.failure = "a snapshot saw a part of a transaction: the sum is " +
                          std::to_string(sum) + ", not " + std::to_string(kEach * kRecords);
      }
      ++verdict.count;
    }
  });
  for (uint64_t i = 0; i < transfers; ++i) {
    Transaction txn = *writer.Begin();
    for (uint32_t at = 0; at < kRecords; ++at) {
      static_cast<void>(txn.Update(table, ids[at],
                                   [&](int64_t& amount) { amount += at < kRecords / 2 ? -1 : 1; }));
    }
    static_cast<void>(txn.Commit());
  }
  done.store(true, std::memory_order_relaxed);
  watcher.join();
  return verdict;
}

}  // namespace flagstone::testkit
