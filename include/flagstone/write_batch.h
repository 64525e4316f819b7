// WriteBatch: changes that are collected first and made together, in one transaction.
//
//   WriteBatch batch;
//   batch.Update(accounts, from, [](Account& account) { account.balance -= 30; });
//   batch.Update(accounts, to, [](Account& account) { account.balance += 30; });
//   const size_t entry = batch.Insert(journal, Entry{...});
//   ApplyResult result;
//   if (session.Apply(batch, result).ok()) use(result.operations()[entry].id);
//
// Place       Beside Session. Session::Apply() begins a Transaction, makes the changes, commits.
// Life        Collect, Apply(), Clear(), collect again. What Apply() refused may be applied again
//             as it is (after CONFLICT, say), and what it did once more.
// Invariants  1. All or nothing: either every change has the one commit timestamp, or there is no
//                trace of any.
//             2. Changes are made, and records locked, in the order in which they were collected;
//                each sees those before it. Two batches that name the same records in different
//                orders may each hold what the other waits for, until lock_wait ends; sorted by
//                ID they cannot.
// Threads     A value: one thread at a time, not always the same one.
// Owns        copies of records and updaters, on the host's heap. Tables must be the session's
//             store's.
// Cost        A transaction's, less what overlaps: the cache misses on the records to come are
//             under way while one is changed. Nothing is allocated by a batch and a result that are
//             used again, up to about 1,000 changes.
// See         docs/api.md, tests/unit/store/write_batch_test.cc
#ifndef FLAGSTONE_WRITE_BATCH_H_
#define FLAGSTONE_WRITE_BATCH_H_

#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "flagstone/export.h"
#include "flagstone/record_id.h"
#include "flagstone/record_table.h"
#include "flagstone/status.h"
#include "flagstone/transaction_options.h"

namespace flagstone {

class Session;
class Transaction;

namespace internal {

// What a batch keeps is called as const.
template <typename Updater, typename Record>
concept BatchUpdater = std::invocable<std::add_const_t<std::decay_t<Updater>>, Record>;

// An updater whose type was forgotten: how it is called and how it ends.
struct BatchUpdaterType {
  void (*call)(const void* updater, std::span<std::byte> payload);
  void (*destroy)(void* updater);  // nullptr: nothing to do
};

template <typename Updater>
inline constexpr BatchUpdaterType kBatchUpdaterType = {
    [](const void* updater, std::span<std::byte> payload) {
      (*static_cast<const Updater*>(updater))(payload);
    },
    std::is_trivially_destructible_v<Updater>
        ? nullptr
        : +[](void* updater) { static_cast<Updater*>(updater)->~Updater(); },
};

}  // namespace internal

enum class OperationOutcome : uint8_t {
  kDone,
  kAbsent,  // no such record to update or delete; no deleted one to bring back
};

struct OperationResult {
  RecordId id;  // of the record that was made or named
  OperationOutcome outcome;
};

class FLAGSTONE_EXPORT WriteBatch {
 public:
  WriteBatch() = default;
  WriteBatch(WriteBatch&& other) noexcept;
  WriteBatch& operator=(WriteBatch&& other) noexcept;
  ~WriteBatch() { Clear(); }

  // Each call adds one change and returns its index, counted from 0. What is wrong with it (a
  // record's size, say) is found by Apply(). std::bad_alloc leaves the batch as it was.

  size_t Insert(const RecordTable& table, std::span<const std::byte> record);
  // Into slots of a larger size class than the smallest that fits.
  size_t InsertInClass(const RecordTable& table, std::span<const std::byte> record,
                       uint32_t size_class);
  // Under an ID that was issued elsewhere.
  size_t InsertWithId(const RecordTable& table, RecordId id, std::span<const std::byte> record);
  // Replaces the whole record.
  size_t UpdateTo(const RecordTable& table, RecordId id, std::span<const std::byte> record);
  // updater(std::span<std::byte> payload) edits a private copy of the latest version. It is copied
  // or moved into the batch and called once by each Apply() that gets as far, also by one that
  // fails later; so it is called as const: what it remembered would make a second attempt another
  // change. An exception of it passes through Apply(), and nothing is changed. It must not use the
  // session or the batch.
  template <internal::BatchUpdater<std::span<std::byte>> Updater>
  size_t Update(const RecordTable& table, RecordId id, Updater&& updater) {
    using Kept = std::decay_t<Updater>;
    static_assert(alignof(Kept) <= __STDCPP_DEFAULT_NEW_ALIGNMENT__);
    void* const place = Reserve(sizeof(Kept));
    ::new (place) Kept(std::forward<Updater>(updater));
    return AddUpdate(table, id, place, internal::kBatchUpdaterType<Kept>);
  }
  size_t Delete(const RecordTable& table, RecordId id);
  // Brings a deleted record back, until reclamation has taken it.
  size_t Undelete(const RecordTable& table, RecordId id);

  // --- the same for typed tables

  template <RecordType T>
  size_t Insert(const RecordTableOf<T>& table, const T& record) {
    return Insert(table.untyped(), internal::BytesOf(record));
  }
  template <RecordType T>
  size_t InsertInClass(const RecordTableOf<T>& table, const T& record, uint32_t size_class) {
    return InsertInClass(table.untyped(), internal::BytesOf(record), size_class);
  }
  template <RecordType T>
  size_t InsertWithId(const RecordTableOf<T>& table, RecordId id, const T& record) {
    return InsertWithId(table.untyped(), id, internal::BytesOf(record));
  }
  template <RecordType T>
  size_t UpdateTo(const RecordTableOf<T>& table, RecordId id, const T& record) {
    return UpdateTo(table.untyped(), id, internal::BytesOf(record));
  }
  // updater(T& record).
  template <RecordType T, internal::BatchUpdater<T&> Updater>
  size_t Update(const RecordTableOf<T>& table, RecordId id, Updater&& updater) {
    return Update(
        table.untyped(), id,
        [kept = std::decay_t<Updater>(std::forward<Updater>(updater))](
            std::span<std::byte> payload) { kept(*reinterpret_cast<T*>(payload.data())); });
  }
  template <RecordType T>
  size_t Delete(const RecordTableOf<T>& table, RecordId id) {
    return Delete(table.untyped(), id);
  }
  template <RecordType T>
  size_t Undelete(const RecordTableOf<T>& table, RecordId id) {
    return Undelete(table.untyped(), id);
  }

  size_t operation_count() const { return operations_.size(); }
  bool empty() const { return operations_.empty(); }
  // Forgets the changes and keeps the memory.
  void Clear();

 private:
  friend class Session;

  enum class Kind : uint8_t {
    kInsert,
    kInsertInClass,
    kInsertWithId,
    kUpdateTo,
    kUpdate,
    kDelete,
    kUndelete,
  };
  struct Operation {
    Kind kind;
    uint32_t size_class;  // kInsertInClass
    RecordTable table;
    RecordId id;          // null in an insert that asks for a new one
    void* place;          // of the record or the updater, in a block; nullptr: neither
    size_t record_bytes;  // as it was given
    const internal::BatchUpdaterType* updater;  // kUpdate
  };
  // Records and updaters lie in blocks that never move: an updater need not survive a memcpy.
  struct Block {
    std::unique_ptr<std::byte[]> bytes;
    size_t size;
  };

  static std::string_view NameOf(Kind kind);
  // "batch operation index 3 of 7 (delete of record r... of table 'accounts')"
  std::string Describe(size_t index) const;
  static Result<OperationResult> Make(const Operation& operation, Transaction& transaction);
  // Room for a record or an updater, aligned for either; and for one more operation, so that
  // adding it cannot fail.
  void* Reserve(size_t bytes);
  size_t AddUpdate(const RecordTable& table, RecordId id, void* updater,
                   const internal::BatchUpdaterType& type);
  size_t AddRecord(Kind kind, const RecordTable& table, RecordId id,
                   std::span<const std::byte> record, uint32_t size_class);
  size_t Add(const Operation& operation);

  std::vector<Operation> operations_;
  std::vector<Block> blocks_;
  size_t block_ = 0;       // the one in use
  size_t block_used_ = 0;  // bytes of it
  bool any_destroy_ = false;
};

// What an absent record means for a batch that would update, delete or undelete it.
enum class AbsentRecord : uint8_t {
  kReport,     // the other changes are made; OperationOutcome::kAbsent tells
  kFailBatch,  // FAILED_PRECONDITION, nothing is changed
};

struct ApplyOptions {
  // As of TransactionOptions. Under kSnapshot a record that changes between the begin of Apply()
  // and its own turn is a CONFLICT, also after a wait; under kReadCommitted the change goes on top
  // of whatever is committed by then.
  IsolationLevel isolation = IsolationLevel::kSnapshot;
  std::chrono::nanoseconds lock_wait{0};
  AbsentRecord absent = AbsentRecord::kReport;
};

// What the last Apply() did. Using one for many batches keeps its memory.
class FLAGSTONE_EXPORT ApplyResult {
 public:
  // operations()[i] answers the batch's operation i; empty when Apply() failed. Valid until this
  // object is used again.
  std::span<const OperationResult> operations() const { return operations_; }
  size_t absent_count() const { return absent_count_; }
  // Of all changes; 0 when there were none, because every record was absent or the batch empty.
  uint64_t commit_timestamp() const { return commit_timestamp_; }
  // The operation that Apply() failed at, also when its updater threw. Empty: it succeeded, or
  // failed at none in particular (the session's or the options' fault).
  std::optional<size_t> failed_index() const { return failed_index_; }

 private:
  friend class Session;

  // All but failed_index(); keeps the memory.
  void Forget();

  std::vector<OperationResult> operations_;
  size_t absent_count_ = 0;
  uint64_t commit_timestamp_ = 0;
  std::optional<size_t> failed_index_;
};

}  // namespace flagstone

#endif  // FLAGSTONE_WRITE_BATCH_H_
