// Reader, Session and Transaction: how one thread works with a store.
//
// Place       Store::NewReader() and NewSession() make them. A thread keeps one and uses it for
//             everything; for the store's one-call reads each thread gets one of its own.
// Life        Reader and Session end before their store. A Transaction ends with Commit(),
//             Rollback() or its destructor (which rolls back), before its session.
// Invariants  1. A read takes no lock, makes no system call and allocates nothing; it never waits.
//             2. A read of a settled record at home touches one cache line of shared memory.
//             3. All changes of a transaction become visible at once, when Commit() returns at the
//                latest; a session sees its own earlier commits.
// Threads     One thread at a time may use a session with its transaction and guards; any number of
//             sessions work side by side.
// Errors      Absence is an empty guard, `false` or nullopt and never an error.
//             CONFLICT            another transaction changed or holds the record: retry
//             DEADLINE_EXCEEDED   lock_wait passed while another transaction held the record
//             SNAPSHOT_TOO_OLD    the snapshot passed its limit: begin again
//             RESOURCE_EXHAUSTED  memory limit, slots, ticks, guard slots: which, and its option
//             INVALID_ARGUMENT    record size, size class, ID of another layout
//             FAILED_PRECONDITION ended transaction, store opened before fork()
#ifndef FLAGSTONE_SESSION_H_
#define FLAGSTONE_SESSION_H_

#include <bit>
#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <utility>

#include "flagstone/export.h"
#include "flagstone/internal/newest_version.h"
#include "flagstone/internal/participant.h"
#include "flagstone/internal/pending_change.h"
#include "flagstone/internal/slot.h"
#include "flagstone/internal/table_view.h"
#include "flagstone/record_guard.h"
#include "flagstone/record_id.h"
#include "flagstone/record_table.h"
#include "flagstone/status.h"
#include "flagstone/transaction_options.h"
#include "flagstone/write_batch.h"

namespace flagstone {

namespace internal {

// What the inlined calls below do not do themselves.
struct FLAGSTONE_EXPORT SessionCalls {
  static RecordGuard Read(txn::SessionCore& core, txn::TableState& table, RecordId id);
  static Result<bool> PrepareUpdate(txn::SessionCore& core, txn::TableState& table, RecordId id,
                                    std::chrono::nanoseconds lock_wait, PendingChange& change);
  static void PublishUpdate(txn::SessionCore& core, PendingChange& change);
  static Result<RecordGuard> TransactionRead(txn::SessionCore& core, txn::TableState& table,
                                             RecordId id);
  static Result<char*> TransactionUpdate(txn::SessionCore& core, txn::TableState& table,
                                         RecordId id);
  static void RollbackAfterThrow(txn::SessionCore& core);
  // Stops when the session was moved from (nullptr), or the table is another store's.
  static void CheckHandles(const txn::SessionCore* core, const txn::TableState& table);
};

}  // namespace internal

class FLAGSTONE_EXPORT Reader {
 public:
  Reader(Reader&&) noexcept;
  Reader& operator=(Reader&&) noexcept;
  ~Reader();

  // The latest committed version of a record, where it lies. Empty: absent, or see
  // RecordGuard::code().
  RecordGuard Get(const RecordTable& table, RecordId id);
  template <RecordType T>
  [[gnu::always_inline]] TypedGuard<T> Get(const RecordTableOf<T>& table, RecordId id) {
    return TypedGuard<T>(GetAt(table.places(), table.untyped(), id));
  }

  // How many look-ups ahead MultiGet() fetches: about as many lines as a core waits for at a time
  // (measured; 16 are slower in batches of 32).
  static constexpr size_t kPrefetchAhead = 14;

  // Starts fetching the record's cache line; for look-ups whose IDs are known before they are
  // needed.
  [[gnu::always_inline]] static void Prefetch(const RecordTable& table, RecordId id) {
    // A prefetch of an address that is none does nothing. (Always inlined, because GCC takes a
    // function that only prefetches for one without effect.)
    __builtin_prefetch(table.places().SlotOf(id.value()));
  }
  template <RecordType T>
  [[gnu::always_inline]] static void Prefetch(const RecordTableOf<T>& table, RecordId id) {
    __builtin_prefetch(table.places().SlotOf(id.value()));
  }

  // Once the record's line is there: starts fetching that of its newest version, where that has not
  // come home.
  template <typename Table>
  [[gnu::always_inline]] static void PrefetchVersion(const Table& table, RecordId id) {
    const auto& places = table.places();
    // Without a guard, so what is loaded says nothing: it is only looked at. An extent that is
    // owned, or was, can be loaded from.
    if (!places.MayName(id.value()) ||
        !internal::HoldsAcquire(places.owned[places.ExtentOf(id.value())],
                                internal::kExtentOwned)) {
      return;
    }
    const internal::SlotHeader& home = *places.SlotOf(id.value());
    if (home.id.load(std::memory_order_relaxed) != (id.value() | internal::kLookCloser)) return;
    const uint64_t link = home.link.load(std::memory_order_relaxed);
    __builtin_prefetch(ViewOf(table).geometry.At(internal::NewestOf(link)));
  }

  // Reads `ids` in one go, so that their cache misses overlap; guards[i] answers ids[i]. Both spans
  // have the same length, at most the free guard slots of the session: beyond them guards come back
  // empty with code() RESOURCE_EXHAUSTED.
  void MultiGet(const RecordTable& table, std::span<const RecordId> ids,
                std::span<RecordGuard> guards) {
    for (const RecordId id : ids) Prefetch(table, id);
    for (size_t i = 0; i < ids.size(); ++i) guards[i] = Get(table, ids[i]);
  }
  template <RecordType T>
  void MultiGet(const RecordTableOf<T>& table, std::span<const RecordId> ids,
                std::span<TypedGuard<T>> guards) {
    for (const RecordId id : ids) Prefetch(table, id);
    for (size_t i = 0; i < ids.size(); ++i) guards[i] = Get(table, ids[i]);
  }
  // The same without guards to keep: calls visit(index, guard) for each ID, in order, with a guard
  // that ends after the call. Any number of IDs. `table`: a RecordTable or a RecordTableOf<T>,
  // whose guards are TypedGuard<T>.
  template <typename Table, typename Visit>
  requires std::invocable<Visit, size_t, typename Table::Guard>
  void MultiGet(const Table& table, std::span<const RecordId> ids, Visit&& visit) {
    const Table places = table;  // a copy of one's own stays in registers
    constexpr size_t kAhead = kPrefetchAhead;
    constexpr size_t kVersionAhead = 8;  // the home slot is there then
    // In a loop of its own, while versions are met: it would cost records at home a third.
    constexpr size_t kStretch = 256;
    const size_t lead = ids.size() < kAhead ? ids.size() : kAhead;
    for (size_t i = 0; i < lead; ++i) Prefetch(places, ids[i]);
    bool versions_met = false;
    size_t i = 0;
    while (i + kAhead < ids.size()) {
      const size_t rest = ids.size() - kAhead - i;
      const size_t end = i + (rest < kStretch ? rest : kStretch);
      const uint64_t chain_reads = participant_->chain_reads.load(std::memory_order_relaxed);
      if (versions_met) [[unlikely]] {
        for (; i < end; ++i) {
          Prefetch(places, ids[i + kAhead]);
          PrefetchVersion(places, ids[i + kVersionAhead]);
          visit(i, Get(places, ids[i]));
        }
      } else {
        for (; i < end; ++i) {
          Prefetch(places, ids[i + kAhead]);
          visit(i, Get(places, ids[i]));
        }
      }
      versions_met = chain_reads != participant_->chain_reads.load(std::memory_order_relaxed);
    }
    for (; i < ids.size(); ++i) visit(i, Get(places, ids[i]));
  }

  // For the library.
  explicit Reader(std::unique_ptr<txn::SessionCore> core);
  txn::SessionCore& core() { return *core_; }

 private:
  static const internal::TableView& ViewOf(const RecordTable& table) { return table.view(); }
  template <RecordType T>
  static const internal::TableView& ViewOf(const RecordTableOf<T>& table) {
    return table.untyped().view();
  }
  template <typename Shape>
  RecordGuard GetAt(const internal::HomePlaces<Shape>& places, const RecordTable& table,
                    RecordId id);
  // The newest version of the record in `home`, which the first guard slot guards and whose payload
  // is not at home: guarded by the second one. nullptr, and nothing guarded: not to be found here.
  // (Not given the handle: one whose address is known to another function does not stay in
  // registers.)
  internal::SlotHeader* GuardedNewest(const internal::SlotHeader& home,
                                      const internal::TableView& view);

 protected:
  std::unique_ptr<txn::SessionCore> core_;
  internal::Participant* participant_;
};

// How a single change treats a record that a transaction holds.
struct ChangeOptions {
  // How long to wait for it before DEADLINE_EXCEEDED; zero: CONFLICT at once.
  std::chrono::nanoseconds lock_wait{0};
};

class Transaction;

class FLAGSTONE_EXPORT Session : public Reader {
 public:
  using Reader::Reader;
  Session(Session&&) noexcept = default;
  Session& operator=(Session&&) noexcept = default;

  // --- single changes: each is a transaction of its own, committed when the call returns OK

  // `record` has the table's record size.
  Result<RecordId> Insert(const RecordTable& table, std::span<const std::byte> record);
  // Into slots of a larger size class than the smallest that fits.
  Result<RecordId> InsertInClass(const RecordTable& table, std::span<const std::byte> record,
                                 uint32_t size_class);
  // Under an ID that was issued elsewhere: same layout, a slot that is free here. For imports,
  // replicas; IDs may come in any order, at about the cost of Insert(). This store issues only
  // later IDs from then on, so never the same one, also when the call fails for the slot or its
  // transaction is rolled back. INVALID_ARGUMENT, and nothing taken: not an ID of this layout,
  // node and table; a slot of another table, or one that carried a later ID, or lay in memory that
  // was given back since the ID's tick; or a creation time more than an hour and 60 ticks ahead of
  // this store's (IdOptions::clock_jumps lifts that). FAILED_PRECONDITION, and nothing taken: the
  // slot holds a record, or a deleted one that a snapshot or guard still needs, or another session
  // holds it in advance; later it may succeed.
  Status InsertWithId(const RecordTable& table, RecordId id, std::span<const std::byte> record);
  // One transaction of many inserts. `records` holds ids.size() records, one after the other.
  Status InsertMany(const RecordTable& table, std::span<const std::byte> records,
                    std::span<RecordId> ids);

  // Changes a record: updater(std::span<std::byte> payload) edits a private copy of the latest
  // version. False: absent. An exception of the updater passes through and leaves the record as it
  // was.
  template <std::invocable<std::span<std::byte>> Updater>
  Result<bool> Update(const RecordTable& table, RecordId id, Updater&& updater,
                      const ChangeOptions& options = {}) {
    internal::PendingChange change;
    Result<bool> found =
        internal::SessionCalls::PrepareUpdate(*core_, table.state(), id, options.lock_wait, change);
    if (!found.ok() || !*found) return found;
    updater(std::span(reinterpret_cast<std::byte*>(internal::PayloadOf(change.version)),
                      table.record_bytes()));
    internal::SessionCalls::PublishUpdate(*core_, change);
    return true;
  }
  // Replaces the whole record.
  Result<bool> UpdateTo(const RecordTable& table, RecordId id, std::span<const std::byte> record,
                        const ChangeOptions& options = {});
  Result<bool> Delete(const RecordTable& table, RecordId id, const ChangeOptions& options = {});
  // Brings a deleted record back as it was before the transaction that deleted it (which may have
  // changed it too), until reclamation has taken it. False: not deleted, or too late.
  Result<bool> Undelete(const RecordTable& table, RecordId id, const ChangeOptions& options = {});

  // --- the same for typed tables

  template <RecordType T>
  Result<RecordId> Insert(const RecordTableOf<T>& table, const T& record) {
    return Insert(table.untyped(), internal::BytesOf(record));
  }
  template <RecordType T>
  Result<RecordId> InsertInClass(const RecordTableOf<T>& table, const T& record,
                                 uint32_t size_class) {
    return InsertInClass(table.untyped(), internal::BytesOf(record), size_class);
  }
  template <RecordType T>
  Status InsertWithId(const RecordTableOf<T>& table, RecordId id, const T& record) {
    return InsertWithId(table.untyped(), id, internal::BytesOf(record));
  }
  template <RecordType T>
  Status InsertMany(const RecordTableOf<T>& table, std::span<const T> records,
                    std::span<RecordId> ids) {
    return InsertMany(table.untyped(), std::as_bytes(records), ids);
  }
  // updater(T& record).
  template <RecordType T, std::invocable<T&> Updater>
  Result<bool> Update(const RecordTableOf<T>& table, RecordId id, Updater&& updater,
                      const ChangeOptions& options = {}) {
    return Update(
        table.untyped(), id,
        [&](std::span<std::byte> payload) { updater(*reinterpret_cast<T*>(payload.data())); },
        options);
  }
  template <RecordType T>
  Result<bool> UpdateTo(const RecordTableOf<T>& table, RecordId id, const T& record,
                        const ChangeOptions& options = {}) {
    return UpdateTo(table.untyped(), id, internal::BytesOf(record), options);
  }
  template <RecordType T>
  Result<bool> Delete(const RecordTableOf<T>& table, RecordId id,
                      const ChangeOptions& options = {}) {
    return Delete(table.untyped(), id, options);
  }
  template <RecordType T>
  Result<bool> Undelete(const RecordTableOf<T>& table, RecordId id,
                        const ChangeOptions& options = {}) {
    return Undelete(table.untyped(), id, options);
  }

  // --- transactions

  // One at a time for each session: FAILED_PRECONDITION while another one runs.
  Result<Transaction> Begin(const TransactionOptions& options = {});

  // Makes the changes of a batch in one transaction; `result` says what each of them did. Errors
  // name the operation they came from, change nothing, and are those of Begin() and of a
  // Transaction's writes; FAILED_PRECONDITION for an absent record where `options` say so.
  Status Apply(const WriteBatch& batch, ApplyResult& result, const ApplyOptions& options = {});
};

// Reads and writes that happen together or not at all.
//
// A write that fails with CONFLICT, DEADLINE_EXCEEDED, SNAPSHOT_TOO_OLD or RESOURCE_EXHAUSTED has
// rolled the transaction back (under read committed, CONFLICT and DEADLINE_EXCEEDED have not: the
// write alone may be tried again); every later call answers with the same status. INVALID_ARGUMENT
// and absence leave it as it was. When it has ended, its session may begin another one, in which
// the object that is left has no part: its calls answer FAILED_PRECONDITION.
class FLAGSTONE_EXPORT Transaction {
 public:
  Transaction(Transaction&& other) noexcept
      : core_(std::exchange(other.core_, nullptr)),
        participant_(other.participant_),
        number_(other.number_) {}
  Transaction& operator=(Transaction&&) = delete;
  ~Transaction();

  // The record as this transaction sees it: its own writes, then its snapshot (or, under read
  // committed, the latest committed state). An empty guard: absent.
  Result<RecordGuard> Get(const RecordTable& table, RecordId id);
  template <RecordType T>
  [[gnu::always_inline]] Result<TypedGuard<T>> Get(const RecordTableOf<T>& table, RecordId id) {
    Result<RecordGuard> guard = GetAt(table.places(), table.untyped(), id);
    if (!guard.ok()) [[unlikely]]
      return std::move(guard).status();
    return TypedGuard<T>(*std::move(guard));
  }

  Result<RecordId> Insert(const RecordTable& table, std::span<const std::byte> record);
  Result<RecordId> InsertInClass(const RecordTable& table, std::span<const std::byte> record,
                                 uint32_t size_class);
  Status InsertWithId(const RecordTable& table, RecordId id, std::span<const std::byte> record);
  // As Session::Update(); an exception of the updater rolls the transaction back and passes
  // through. The updater must not use the transaction: FAILED_PRECONDITION, and Rollback() does
  // nothing. So is a record that this transaction wrote and that a guard shows, here and in
  // UpdateTo(): release the guard.
  template <std::invocable<std::span<std::byte>> Updater>
  Result<bool> Update(const RecordTable& table, RecordId id, Updater&& updater) {
    if (!IsLatest()) [[unlikely]]
      return Ended();
    Result<char*> payload = internal::SessionCalls::TransactionUpdate(*core_, table.state(), id);
    if (!payload.ok()) return std::move(payload).status();
    if (*payload == nullptr) return false;
    RunningUpdater running(*core_, *participant_);
    updater(std::span(reinterpret_cast<std::byte*>(*payload), table.record_bytes()));
    running.Returned();
    return true;
  }
  Result<bool> UpdateTo(const RecordTable& table, RecordId id, std::span<const std::byte> record);
  Result<bool> Delete(const RecordTable& table, RecordId id);
  // FAILED_PRECONDITION for a record that this transaction changed or deleted itself.
  Result<bool> Undelete(const RecordTable& table, RecordId id);

  template <RecordType T>
  Result<RecordId> Insert(const RecordTableOf<T>& table, const T& record) {
    return Insert(table.untyped(), internal::BytesOf(record));
  }
  template <RecordType T>
  Result<RecordId> InsertInClass(const RecordTableOf<T>& table, const T& record,
                                 uint32_t size_class) {
    return InsertInClass(table.untyped(), internal::BytesOf(record), size_class);
  }
  template <RecordType T>
  Status InsertWithId(const RecordTableOf<T>& table, RecordId id, const T& record) {
    return InsertWithId(table.untyped(), id, internal::BytesOf(record));
  }
  template <RecordType T, std::invocable<T&> Updater>
  Result<bool> Update(const RecordTableOf<T>& table, RecordId id, Updater&& updater) {
    return Update(table.untyped(), id, [&](std::span<std::byte> payload) {
      updater(*reinterpret_cast<T*>(payload.data()));
    });
  }
  template <RecordType T>
  Result<bool> UpdateTo(const RecordTableOf<T>& table, RecordId id, const T& record) {
    return UpdateTo(table.untyped(), id, internal::BytesOf(record));
  }
  template <RecordType T>
  Result<bool> Delete(const RecordTableOf<T>& table, RecordId id) {
    return Delete(table.untyped(), id);
  }
  template <RecordType T>
  Result<bool> Undelete(const RecordTableOf<T>& table, RecordId id) {
    return Undelete(table.untyped(), id);
  }

  // Before the first read or write; FAILED_PRECONDITION after it.
  Status SetIsolationLevel(IsolationLevel level);
  // kSnapshot when it was moved from, or its session has begun another one.
  IsolationLevel isolation_level() const;
  // The commit timestamp whose state it reads; 0 then.
  uint64_t snapshot_timestamp() const;

  // Makes all writes visible. Returns the commit timestamp, 0 when there were none.
  Result<uint64_t> Commit();
  // Ends the transaction without a trace. Any number of times.
  void Rollback();
  bool running() const;

  // For the library.
  Transaction(txn::SessionCore* core, internal::Participant* participant)
      : core_(core), participant_(participant), number_(participant->transaction_count) {}

 private:
  template <typename Shape>
  Result<RecordGuard> GetAt(const internal::HomePlaces<Shape>& places, const RecordTable& table,
                            RecordId id);
  // False once it was moved from or its session has begun another one, in which it has no part; and
  // while an updater of it runs, which must find its payload where it was.
  bool IsLatest() const { return core_ != nullptr && participant_->transaction_count == number_; }
  // Why, when it is not.
  Status Ended() const;

  // From before an updater is called until it has returned, or its exception has rolled back.
  class RunningUpdater {
   public:
    RunningUpdater(txn::SessionCore& core, internal::Participant& participant)
        : core_(core), participant_(participant) {
      participant_.transaction_count |= internal::kUpdaterRuns;
    }
    ~RunningUpdater() {
      if (!returned_) {
        Returned();
        internal::SessionCalls::RollbackAfterThrow(core_);
      }
    }
    void Returned() {
      participant_.transaction_count &= ~internal::kUpdaterRuns;
      returned_ = true;
    }

   private:
    txn::SessionCore& core_;
    internal::Participant& participant_;
    bool returned_ = false;
  };

  txn::SessionCore* core_;  // nullptr: moved from
  internal::Participant* participant_;
  uint64_t number_;  // of the transactions that the session has begun
};

// --- the hot path

// Debug builds of the caller look at what a release build has no instruction to spare for.
#ifdef NDEBUG
#define FLAGSTONE_CHECK_HANDLES(core, table) static_cast<void>(0)
#else
#define FLAGSTONE_CHECK_HANDLES(core, table) internal::SessionCalls::CheckHandles(core, table)
#endif

template <typename Shape>
[[gnu::always_inline]] inline RecordGuard Reader::GetAt(const internal::HomePlaces<Shape>& places,
                                                        const RecordTable& table, RecordId id) {
  FLAGSTONE_CHECK_HANDLES(core_.get(), table.state());
  std::atomic<uint64_t>& guard = participant_->guards[0];
  internal::SlotHeader* const slot = places.SlotOf(id.value());
  if (places.MayName(id.value()) && internal::HoldsAcquire(guard, internal::kGuardFree))
      [[likely]] {
    // Announced before the first load: whoever would overwrite the slot waits from here on.
    internal::StdAtomics::Announce(guard, reinterpret_cast<uint64_t>(slot),
                                   internal::BarrierKind::kAsymmetric);
    if (internal::HoldsAcquire(places.owned[places.ExtentOf(id.value())], internal::kExtentOwned)) {
      if (internal::HoldsAcquire(slot->id, id.value())) [[likely]] {
        // Saves the caller's test of the guard, which the compiler then knows to be there.
        if (slot == nullptr) __builtin_unreachable();
        return RecordGuard(slot, guard, table.view(), id);
      }
      if (internal::HoldsAcquire(slot->id, id.value() | internal::kLookCloser)) {
        internal::SlotHeader* const version = GuardedNewest(*slot, table.view());
        internal::Participant::ReleaseGuard(guard);
        if (version != nullptr) {
          return RecordGuard(version, participant_->guards[1], table.view(), id);
        }
        return internal::SessionCalls::Read(*core_, table.state(), id);
      }
    }
    internal::Participant::ReleaseGuard(guard);
  }
  return internal::SessionCalls::Read(*core_, table.state(), id);
}

// Not inlined: the loop around a read stays short for the records that are at home.
[[gnu::noinline]] inline internal::SlotHeader* Reader::GuardedNewest(
    const internal::SlotHeader& home, const internal::TableView& view) {
  internal::Participant& participant = *participant_;
  std::atomic<uint64_t>& guard = participant.guards[1];
  if (!internal::Participant::IsFree(guard)) [[unlikely]]
    return nullptr;
  internal::SlotHeader* const version =
      internal::GuardNewest(participant, guard, home, *view.horizon, view.geometry);
  if (version != nullptr) participant.CountChainRead();
  return version;
}

[[gnu::always_inline]] inline RecordGuard Reader::Get(const RecordTable& table, RecordId id) {
  return GetAt(table.places(), table, id);
}

// As Reader::GetAt(), with one more word of the same cache line: a settled version at home that the
// snapshot covers is the one it sees. The guard is on it before it is known to be, so it stays.
template <typename Shape>
[[gnu::always_inline]] inline Result<RecordGuard> Transaction::GetAt(
    const internal::HomePlaces<Shape>& places, const RecordTable& table, RecordId id) {
  if (!IsLatest()) [[unlikely]]
    return Ended();
  FLAGSTONE_CHECK_HANDLES(core_, table.state());
  internal::Participant& participant = *participant_;
  internal::HomeReads& reads = participant.home_reads;
  std::atomic<uint64_t>& guard = participant.guards[0];
  internal::SlotHeader* const slot = places.SlotOf(id.value());
  if (places.MayName(id.value()) && internal::HoldsAcquire(guard, internal::kGuardFree) &&
      (reads.changed & internal::HomeReads::BitOf(id.value())) == 0) [[likely]] {
    internal::StdAtomics::Announce(guard, reinterpret_cast<uint64_t>(slot),
                                   internal::BarrierKind::kAsymmetric);
    if (internal::HoldsAcquire(places.owned[places.ExtentOf(id.value())], internal::kExtentOwned) &&
        internal::HoldsAcquire(slot->id, id.value()) &&
        internal::BeginOf(slot->version.load(std::memory_order_acquire)) <= reads.bound &&
        !participant.SnapshotIsCut()) [[likely]] {
      if (slot == nullptr) __builtin_unreachable();
      reads.any = true;
      return RecordGuard(slot, guard, table.view(), id);
    }
    internal::Participant::ReleaseGuard(guard);
  }
  return internal::SessionCalls::TransactionRead(*core_, table.state(), id);
}

[[gnu::always_inline]] inline Result<RecordGuard> Transaction::Get(const RecordTable& table,
                                                                   RecordId id) {
  return GetAt(table.places(), table, id);
}

#undef FLAGSTONE_CHECK_HANDLES

}  // namespace flagstone

#endif  // FLAGSTONE_SESSION_H_
