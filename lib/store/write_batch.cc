// WriteBatch keeps what is to be done; Session::Apply() has a Transaction do it.
#include "flagstone/write_batch.h"

#include <algorithm>
#include <cstring>

#include "flagstone/session.h"

namespace flagstone {
namespace {

constexpr size_t kPlaceAlignment = __STDCPP_DEFAULT_NEW_ALIGNMENT__;
constexpr size_t kBlockBytesMin = 4096;
constexpr size_t kBlockBytesMax = 1 << 20;  // more wastes more of the last one than it saves calls
constexpr size_t kOperationsMin = 16;

Status Absent() {
  return Status::Error(StatusCode::kFailedPrecondition,
                       "there is no such record, and ApplyOptions::absent is kFailBatch; leave the "
                       "operation out, or choose AbsentRecord::kReport");
}

}  // namespace

WriteBatch::WriteBatch(WriteBatch&& other) noexcept
    : operations_(std::move(other.operations_)),
      blocks_(std::move(other.blocks_)),
      block_(std::exchange(other.block_, 0)),
      block_used_(std::exchange(other.block_used_, 0)),
      any_destroy_(std::exchange(other.any_destroy_, false)) {}

WriteBatch& WriteBatch::operator=(WriteBatch&& other) noexcept {
  if (this == &other) return *this;
  Clear();
  operations_.swap(other.operations_);
  blocks_.swap(other.blocks_);
  block_ = std::exchange(other.block_, 0);
  block_used_ = std::exchange(other.block_used_, 0);
  any_destroy_ = std::exchange(other.any_destroy_, false);
  return *this;
}

void WriteBatch::Clear() {
  if (any_destroy_) {
    for (const Operation& operation : operations_) {
      if (operation.updater != nullptr && operation.updater->destroy != nullptr) {
        operation.updater->destroy(operation.place);
      }
    }
  }
  operations_.clear();
  block_ = 0;
  block_used_ = 0;
  any_destroy_ = false;
}

void ApplyResult::Forget() {
  operations_.clear();
  absent_count_ = 0;
  commit_timestamp_ = 0;
}

void* WriteBatch::Reserve(size_t bytes) {
  if (operations_.size() == operations_.capacity()) {
    operations_.reserve(std::max(kOperationsMin, 2 * operations_.capacity()));
  }
  const size_t needed = (bytes + kPlaceAlignment - 1) & ~(kPlaceAlignment - 1);
  // Blocks that are too small for this one are passed over. The same changes collected again find
  // the same places, so that a batch that is used again stops growing.
  while (block_ < blocks_.size() && blocks_[block_].size - block_used_ < needed) {
    ++block_;
    block_used_ = 0;
  }
  if (block_ == blocks_.size()) {
    const size_t larger = blocks_.empty() ? kBlockBytesMin : 2 * blocks_.back().size;
    const size_t size = std::max(needed, std::min(larger, kBlockBytesMax));
    blocks_.push_back({std::make_unique_for_overwrite<std::byte[]>(size), size});
  }
  void* const place = blocks_[block_].bytes.get() + block_used_;
  block_used_ += needed;
  return place;
}

size_t WriteBatch::Add(const Operation& operation) {
  operations_.push_back(operation);
  return operations_.size() - 1;
}

size_t WriteBatch::AddRecord(Kind kind, const RecordTable& table, RecordId id,
                             std::span<const std::byte> record, uint32_t size_class) {
  void* const place = Reserve(record.size());
  if (!record.empty()) std::memcpy(place, record.data(), record.size());
  return Add({kind, size_class, table, id, place, record.size(), nullptr});
}

size_t WriteBatch::AddUpdate(const RecordTable& table, RecordId id, void* updater,
                             const internal::BatchUpdaterType& type) {
  any_destroy_ |= type.destroy != nullptr;
  return Add({Kind::kUpdate, 0, table, id, updater, 0, &type});
}

size_t WriteBatch::Insert(const RecordTable& table, std::span<const std::byte> record) {
  return AddRecord(Kind::kInsert, table, RecordId(), record, 0);
}

size_t WriteBatch::InsertInClass(const RecordTable& table, std::span<const std::byte> record,
                                 uint32_t size_class) {
  return AddRecord(Kind::kInsertInClass, table, RecordId(), record, size_class);
}

size_t WriteBatch::InsertWithId(const RecordTable& table, RecordId id,
                                std::span<const std::byte> record) {
  return AddRecord(Kind::kInsertWithId, table, id, record, 0);
}

size_t WriteBatch::UpdateTo(const RecordTable& table, RecordId id,
                            std::span<const std::byte> record) {
  return AddRecord(Kind::kUpdateTo, table, id, record, 0);
}

size_t WriteBatch::Delete(const RecordTable& table, RecordId id) {
  return Add({Kind::kDelete, 0, table, id, nullptr, 0, nullptr});
}

size_t WriteBatch::Undelete(const RecordTable& table, RecordId id) {
  return Add({Kind::kUndelete, 0, table, id, nullptr, 0, nullptr});
}

std::string_view WriteBatch::NameOf(Kind kind) {
  switch (kind) {
    case Kind::kInsert:
    case Kind::kInsertInClass:
    case Kind::kInsertWithId: return "insert";
    case Kind::kUpdateTo:
    case Kind::kUpdate: return "update";
    case Kind::kDelete: return "delete";
    case Kind::kUndelete: return "undelete";
  }
  return "unknown";
}

std::string WriteBatch::Describe(size_t index) const {
  const Operation& operation = operations_[index];
  std::string text = "batch operation index " + std::to_string(index) + " of " +
                     std::to_string(operations_.size()) + " (";
  text += NameOf(operation.kind);
  if (!operation.id.is_null()) text += " of record " + operation.id.ToString();
  text += operation.id.is_null() ? " into table '" : " of table '";
  text += operation.table.name();
  return text + "')";
}

Result<OperationResult> WriteBatch::Make(const Operation& operation, Transaction& transaction) {
  const RecordTable& table = operation.table;
  const RecordId id = operation.id;
  const std::span record(static_cast<const std::byte*>(operation.place), operation.record_bytes);
  const auto inserted = [](Result<RecordId> made) -> Result<OperationResult> {
    if (!made.ok()) return std::move(made).status();
    return OperationResult{*made, OperationOutcome::kDone};
  };
  const auto changed = [id](Result<bool> found) -> Result<OperationResult> {
    if (!found.ok()) return std::move(found).status();
    return OperationResult{id, *found ? OperationOutcome::kDone : OperationOutcome::kAbsent};
  };
  switch (operation.kind) {
    case Kind::kInsert: return inserted(transaction.Insert(table, record));
    case Kind::kInsertInClass:
      return inserted(transaction.InsertInClass(table, record, operation.size_class));
    case Kind::kInsertWithId:
      FLAGSTONE_RETURN_IF_ERROR(transaction.InsertWithId(table, id, record));
      return OperationResult{id, OperationOutcome::kDone};
    case Kind::kUpdateTo: return changed(transaction.UpdateTo(table, id, record));
    case Kind::kUpdate:
      return changed(transaction.Update(table, id, [&operation](std::span<std::byte> payload) {
        operation.updater->call(operation.place, payload);
      }));
    case Kind::kDelete: return changed(transaction.Delete(table, id));
    case Kind::kUndelete: return changed(transaction.Undelete(table, id));
  }
  __builtin_unreachable();  // Kind is private, and set by this file alone
}

Status Session::Apply(const WriteBatch& batch, ApplyResult& result, const ApplyOptions& options) {
  const std::vector<WriteBatch::Operation>& operations = batch.operations_;
  result.Forget();
  result.failed_index_.reset();
  result.operations_.reserve(operations.size());
  // Also when an updater throws: what a transaction did that was rolled back is no answer.
  struct ForgetUnlessCommitted {
    ApplyResult* result;
    ~ForgetUnlessCommitted() {
      if (result != nullptr) result->Forget();
    }
  } forget{&result};
  Result<Transaction> transaction = Begin({.isolation = options.isolation,
                                           .lock_wait = options.lock_wait,
                                           .as_of_timestamp = std::nullopt});
  if (!transaction.ok()) return std::move(transaction).status();
  const auto prefetch = [&operations](size_t index) {
    if (index >= operations.size() || operations[index].id.is_null()) return;
    Prefetch(operations[index].table, operations[index].id);
  };
  for (size_t index = 0; index < kPrefetchAhead; ++index) prefetch(index);
  for (size_t index = 0; index < operations.size(); ++index) {
    prefetch(index + kPrefetchAhead);
    result.failed_index_ = index;
    Result<OperationResult> made = WriteBatch::Make(operations[index], *transaction);
    if (!made.ok()) return made.status().At(batch.Describe(index));
    if (made->outcome == OperationOutcome::kAbsent) {
      if (options.absent == AbsentRecord::kFailBatch) return Absent().At(batch.Describe(index));
      ++result.absent_count_;
    }
    result.operations_.push_back(*made);
  }
  result.failed_index_.reset();
  Result<uint64_t> committed = transaction->Commit();
  if (!committed.ok()) return std::move(committed).status();
  result.commit_timestamp_ = *committed;
  forget.result = nullptr;
  return Status::Ok();
}

}  // namespace flagstone
