// The public Reader, Session and Transaction: thin calls of the session core.
#include "flagstone/session.h"

#include <cstring>

#include "lib/base/check.h"
#include "lib/txn/session_core.h"

namespace flagstone {

std::string_view RecordTable::name() const { return state_->name; }

// --- Reader

Reader::Reader(std::unique_ptr<txn::SessionCore> core)
    : core_(std::move(core)), participant_(&core_->participant()) {}
Reader::Reader(Reader&&) noexcept = default;
Reader& Reader::operator=(Reader&&) noexcept = default;
Reader::~Reader() = default;

namespace internal {

RecordGuard SessionCalls::Read(txn::SessionCore& core, txn::TableState& table, RecordId id) {
  return core.Read(table, id);
}
Result<bool> SessionCalls::PrepareUpdate(txn::SessionCore& core, txn::TableState& table,
                                         RecordId id, std::chrono::nanoseconds lock_wait,
                                         PendingChange& change) {
  return core.PrepareUpdate(table, id, lock_wait, change);
}
void SessionCalls::PublishUpdate(txn::SessionCore& core, PendingChange& change) {
  core.PublishUpdate(change);
}
Result<RecordGuard> SessionCalls::TransactionRead(txn::SessionCore& core, txn::TableState& table,
                                                  RecordId id) {
  return core.TransactionRead(table, id);
}
Result<char*> SessionCalls::TransactionUpdate(txn::SessionCore& core, txn::TableState& table,
                                              RecordId id) {
  return core.TransactionUpdate(table, id);
}
void SessionCalls::RollbackAfterThrow(txn::SessionCore& core) { core.RollbackAfterThrow(); }

void SessionCalls::CheckHandles(const txn::SessionCore* core, const txn::TableState& table) {
  FLAGSTONE_CHECK(core != nullptr && "a session was used after it was moved from");
  FLAGSTONE_CHECK(core->OwnsTable(table) &&
                  "a session was given the handle of another store's table");
}

}  // namespace internal

// --- Session

Result<RecordId> Session::Insert(const RecordTable& table, std::span<const std::byte> record) {
  return core_->Insert(table.state(), record, std::nullopt);
}

Result<RecordId> Session::InsertInClass(const RecordTable& table, std::span<const std::byte> record,
                                        uint32_t size_class) {
  return core_->Insert(table.state(), record, size_class);
}

Status Session::InsertWithId(const RecordTable& table, RecordId id,
                             std::span<const std::byte> record) {
  return core_->InsertWithId(table.state(), id, record);
}

Status Session::InsertMany(const RecordTable& table, std::span<const std::byte> records,
                           std::span<RecordId> ids) {
  const size_t record_bytes = table.record_bytes();
  if (records.size() != ids.size() * record_bytes) {
    return Status::Error(StatusCode::kInvalidArgument,
                         "table '" + std::string(table.name()) +
                             "': " + std::to_string(ids.size()) + " records of " +
                             std::to_string(record_bytes) + " bytes are not " +
                             std::to_string(records.size()) + " bytes");
  }
  return core_->InsertMany(table.state(), records, ids);
}

Result<bool> Session::UpdateTo(const RecordTable& table, RecordId id,
                               std::span<const std::byte> record, const ChangeOptions& options) {
  return core_->UpdateTo(table.state(), id, record, options.lock_wait);
}

Result<bool> Session::Delete(const RecordTable& table, RecordId id, const ChangeOptions& options) {
  return core_->Delete(table.state(), id, options.lock_wait);
}

Result<bool> Session::Undelete(const RecordTable& table, RecordId id,
                               const ChangeOptions& options) {
  return core_->Undelete(table.state(), id, options.lock_wait);
}

Result<Transaction> Session::Begin(const TransactionOptions& options) {
  FLAGSTONE_RETURN_IF_ERROR(core_->Begin(options));
  return Transaction(core_.get(), participant_);
}

// --- Transaction

Transaction::~Transaction() { Rollback(); }

Status Transaction::Ended() const {
  if (core_ == nullptr) {
    return Status::Error(StatusCode::kFailedPrecondition,
                         "this transaction was moved from; use the one it was moved to");
  }
  FLAGSTONE_RETURN_IF_ERROR(core_->CheckAlive());
  if (participant_->transaction_count == (number_ | internal::kUpdaterRuns)) {
    return Status::Error(StatusCode::kFailedPrecondition,
                         "an updater of this transaction is running: it changes its record and "
                         "nothing else; use the transaction when Update() has returned");
  }
  return Status::Error(StatusCode::kFailedPrecondition,
                       "this transaction has ended, and its session has begun another one; use "
                       "that, or begin the next when it has ended");
}

Result<RecordId> Transaction::Insert(const RecordTable& table, std::span<const std::byte> record) {
  if (!IsLatest()) return Ended();
  return core_->TransactionInsert(table.state(), record, std::nullopt);
}

Result<RecordId> Transaction::InsertInClass(const RecordTable& table,
                                            std::span<const std::byte> record,
                                            uint32_t size_class) {
  if (!IsLatest()) return Ended();
  return core_->TransactionInsert(table.state(), record, size_class);
}

Status Transaction::InsertWithId(const RecordTable& table, RecordId id,
                                 std::span<const std::byte> record) {
  if (!IsLatest()) return Ended();
  return core_->TransactionInsertWithId(table.state(), id, record);
}

Result<bool> Transaction::UpdateTo(const RecordTable& table, RecordId id,
                                   std::span<const std::byte> record) {
  if (!IsLatest()) return Ended();
  if (record.size() != table.record_bytes()) {
    return Status::Error(StatusCode::kInvalidArgument,
                         "table '" + std::string(table.name()) + "': a record has " +
                             std::to_string(table.record_bytes()) + " bytes, not " +
                             std::to_string(record.size()));
  }
  return Update(table, id, [&](std::span<std::byte> payload) {
    std::memcpy(payload.data(), record.data(), record.size());
  });
}

Result<bool> Transaction::Delete(const RecordTable& table, RecordId id) {
  if (!IsLatest()) return Ended();
  return core_->TransactionDelete(table.state(), id);
}

Result<bool> Transaction::Undelete(const RecordTable& table, RecordId id) {
  if (!IsLatest()) return Ended();
  return core_->TransactionUndelete(table.state(), id);
}

Status Transaction::SetIsolationLevel(IsolationLevel level) {
  if (!IsLatest()) return Ended();
  return core_->SetTransactionIsolation(level);
}

IsolationLevel Transaction::isolation_level() const {
  return IsLatest() ? core_->isolation() : IsolationLevel::kSnapshot;
}
uint64_t Transaction::snapshot_timestamp() const { return IsLatest() ? core_->snapshot() : 0; }

Result<uint64_t> Transaction::Commit() {
  if (!IsLatest()) return Ended();
  return core_->Commit();
}

void Transaction::Rollback() {
  if (running()) core_->Rollback();
}

bool Transaction::running() const { return IsLatest() && core_->in_transaction(); }

}  // namespace flagstone
