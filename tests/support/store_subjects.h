// The store behind the faces of the isolation tests, reached by record ID.
//
// Keys        A logical key has a gate: a record, always there, that holds the ID of the key's
//             record (0: never inserted). Gates make absence and insertion of a key transactional:
//             two inserts of one key meet at its gate.
// Threads     As the faces: StoreSubject on one thread, one StoreAppendSession for each.
#ifndef FLAGSTONE_TESTS_SUPPORT_STORE_SUBJECTS_H_
#define FLAGSTONE_TESTS_SUPPORT_STORE_SUBJECTS_H_

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "flagstone/store.h"
#include "lib/store/store_core.h"
#include "tests/support/isolation_subject.h"

namespace flagstone::testkit {

// A store in memory for tests: small pages, no threads of its own.
inline StoreOptions TestStoreOptions() {
  StoreOptions options;
  options.memory.limit_bytes = 64 << 20;
  options.pages.page_kind = PageKind::k4KiB;
  options.maintenance.mode = MaintenanceMode::kCallerDriven;
  return options;
}

// Maintenance until there is none left to do.
inline void Settle(Store& store) {
  for (int idle = 0; idle < 3;) idle = store.Maintain() ? 0 : idle + 1;
}

inline flagstone::IsolationLevel StoreLevel(IsolationLevel level) {
  switch (level) {
    case IsolationLevel::kReadCommitted: return flagstone::IsolationLevel::kReadCommitted;
    case IsolationLevel::kSnapshot: return flagstone::IsolationLevel::kSnapshot;
    case IsolationLevel::kSerializable: return flagstone::IsolationLevel::kSerializable;
  }
  return flagstone::IsolationLevel::kSnapshot;
}

inline StepOutcome OutcomeOf(const Status& status) {
  if (status.ok()) return StepOutcome::kOk;
  return status.code() == StatusCode::kConflict ? StepOutcome::kConflict : StepOutcome::kError;
}

struct Gate {
  uint64_t record_id;  // 0: the key was never inserted
};

// Records of type Record behind gates. Every call names the transaction it belongs to.
template <typename Record>
class GatedTable {
 public:
  GatedTable(Store& store, uint32_t key_count)
      : gates_(*store.CreateTableOf<Gate>("gates")),
        records_(*store.CreateTableOf<Record>("records")) {
    Session session = *store.NewSession();
    for (uint32_t key = 0; key < key_count; ++key) {
      gate_ids_.push_back(*session.Insert(gates_, Gate{0}));
    }
  }

  // Calls use(const Record&, timestamp) when the record is there.
  template <typename Use>
  StepOutcome Read(Transaction& txn, uint64_t key, Use&& use) const {
    Result<TypedGuard<Gate>> gate = txn.Get(gates_, gate_ids_.at(key));
    if (!gate.ok()) return OutcomeOf(gate.status());
    if (!*gate) return StepOutcome::kError;  // gates are never deleted
    if ((*gate)->record_id == 0) return StepOutcome::kAbsent;
    Result<TypedGuard<Record>> record = txn.Get(records_, RecordId((*gate)->record_id));
    if (!record.ok()) return OutcomeOf(record.status());
    if (!*record) return StepOutcome::kAbsent;
    use(**record, record->timestamp());
    return StepOutcome::kOk;
  }
  StepOutcome Update(Transaction& txn, uint64_t key, const Record& value) const {
    uint64_t record_id = 0;
    if (const StepOutcome outcome = IdOf(txn, key, &record_id); outcome != StepOutcome::kOk) {
      return outcome;
    }
    Result<bool> updated = txn.UpdateTo(records_, RecordId(record_id), value);
    if (!updated.ok()) return OutcomeOf(updated.status());
    return *updated ? StepOutcome::kOk : StepOutcome::kAbsent;
  }
  StepOutcome Insert(Transaction& txn, uint64_t key, const Record& value) const {
    uint64_t seen = 0;
    const StepOutcome gate = IdOf(txn, key, &seen);
    if (gate != StepOutcome::kOk && gate != StepOutcome::kAbsent) return gate;
    const StepOutcome there = Read(txn, key, [](const Record&, uint64_t) {});
    if (there == StepOutcome::kOk) return StepOutcome::kExists;
    if (there != StepOutcome::kAbsent) return there;
    Result<RecordId> id = txn.Insert(records_, value);
    if (!id.ok()) return OutcomeOf(id.status());
    // Under read committed another insert may have come through the gate since it was looked at.
    bool taken = false;
    Result<bool> noted = txn.Update(gates_, gate_ids_.at(key), [&](Gate& gate) {
      taken = gate.record_id != seen;
      gate.record_id = id->value();
    });
    if (!noted.ok()) return OutcomeOf(noted.status());
    if (taken) return StepOutcome::kConflict;
    return *noted ? StepOutcome::kOk : StepOutcome::kError;
  }
  StepOutcome Delete(Transaction& txn, uint64_t key) const {
    uint64_t record_id = 0;
    if (const StepOutcome outcome = IdOf(txn, key, &record_id); outcome != StepOutcome::kOk) {
      return outcome;
    }
    Result<bool> deleted = txn.Delete(records_, RecordId(record_id));
    if (!deleted.ok()) return OutcomeOf(deleted.status());
    return *deleted ? StepOutcome::kOk : StepOutcome::kAbsent;
  }
  uint64_t key_count() const { return gate_ids_.size(); }

 private:
  StepOutcome IdOf(Transaction& txn, uint64_t key, uint64_t* record_id) const {
    Result<TypedGuard<Gate>> gate = txn.Get(gates_, gate_ids_.at(key));
    if (!gate.ok()) return OutcomeOf(gate.status());
    if (!*gate) return StepOutcome::kError;
    *record_id = (*gate)->record_id;
    return *record_id == 0 ? StepOutcome::kAbsent : StepOutcome::kOk;
  }

  RecordTableOf<Gate> gates_;
  RecordTableOf<Record> records_;
  std::vector<RecordId> gate_ids_;
};

// One value per key; each transaction has a session of its own, maintenance runs after each step.
class StoreSubject : public IsolationSubject {
 public:
  static constexpr uint32_t kKeys = 64;

  StoreSubject() : store_(*Store::OpenInMemory(TestStoreOptions())), table_(store_, kKeys) {}
  ~StoreSubject() override {
    for (Running& running : running_) running.txn.reset();
  }

  bool Has(Capability) const override { return false; }
  TxnHandle Begin(IsolationLevel level) override {
    Running& running = running_.emplace_back();
    running.session.emplace(*store_.NewSession());
    TransactionOptions options;
    options.isolation = StoreLevel(level);
    running.txn.emplace(*running.session->Begin(options));
    return static_cast<TxnHandle>(running_.size() - 1);
  }
  ReadStep Read(TxnHandle txn, uint64_t key) override {
    ReadStep step;
    step.outcome =
        table_.Read(*running_[txn].txn, key, [&](int64_t value, uint64_t) { step.value = value; });
    Tidy();
    return step;
  }
  StepOutcome Write(TxnHandle txn, uint64_t key, Value value) override {
    return Tidied(table_.Update(*running_[txn].txn, key, value));
  }
  StepOutcome Insert(TxnHandle txn, uint64_t key, Value value) override {
    return Tidied(table_.Insert(*running_[txn].txn, key, value));
  }
  StepOutcome Delete(TxnHandle txn, uint64_t key) override {
    return Tidied(table_.Delete(*running_[txn].txn, key));
  }
  StepOutcome Commit(TxnHandle txn) override {
    const Result<uint64_t> committed = running_[txn].txn->Commit();
    return Tidied(OutcomeOf(committed.status()));
  }
  void Abort(TxnHandle txn) override {
    running_[txn].txn->Rollback();
    Tidy();
  }

 private:
  struct Running {
    std::optional<Session> session;
    std::optional<Transaction> txn;
  };
  void Tidy() { static_cast<void>(store_.Maintain()); }
  StepOutcome Tidied(StepOutcome outcome) {
    Tidy();
    return outcome;
  }

  Store store_;
  GatedTable<int64_t> table_;
  std::deque<Running> running_;
};

class StoreAppendSession : public AppendSession {
 public:
  StoreAppendSession(Store& store, const GatedTable<AppendList>& table)
      : store_(store), table_(table), session_(*store.NewSession()) {}
  ~StoreAppendSession() override { txn_.reset(); }

  StepOutcome Begin(IsolationLevel level) override {
    txn_.reset();
    TransactionOptions options;
    options.isolation = StoreLevel(level);
    latest_ = level == IsolationLevel::kReadCommitted;
    Result<Transaction> begun = session_.Begin(options);
    if (!begun.ok()) return OutcomeOf(begun.status());
    txn_.emplace(std::move(*begun));
    timestamps_ = {txn_->snapshot_timestamp(), 0};
    return StepOutcome::kOk;
  }
  AppendRead Read(uint64_t key) override {
    // Under read committed a read has the timestamp of its moment: known when no commit came
    // between the look before it and the one after it.
    for (;;) {
      const uint64_t before = Horizon();
      AppendRead read;
      read.outcome = table_.Read(*txn_, key, [&](const AppendList& list, uint64_t timestamp) {
        read.list = list;
        read.version_ts = timestamp;
      });
      if (!latest_) return read;
      read.read_ts = before;
      if (Horizon() == before) return read;
    }
  }
  StepOutcome Write(uint64_t key, const AppendList& list) override {
    const StepOutcome updated = table_.Update(*txn_, key, list);
    return updated == StepOutcome::kAbsent ? table_.Insert(*txn_, key, list) : updated;
  }
  StepOutcome Commit() override {
    const Result<uint64_t> committed = txn_->Commit();
    if (committed.ok()) timestamps_.commit_ts = *committed;
    return OutcomeOf(committed.status());
  }
  void Abort() override { txn_->Rollback(); }
  TxnTimestamps timestamps() const override { return timestamps_; }

 private:
  uint64_t Horizon() const { return store_.core().engine().commits().horizon(); }

  Store& store_;
  const GatedTable<AppendList>& table_;
  Session session_;
  std::optional<Transaction> txn_;
  bool latest_ = false;
  TxnTimestamps timestamps_;
};

}  // namespace flagstone::testkit

#endif  // FLAGSTONE_TESTS_SUPPORT_STORE_SUBJECTS_H_
