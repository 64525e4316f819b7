// What a session does: reads that leave the inlined path, single changes, transactions.
//
// Place       Behind the public Reader, Session and Transaction, which inline only the first look
//             at a home slot and the call of an updater. Above the engine.
// Life        One participant, one ring of changed records, caches of slots, at most one
//             transaction.
// Invariants  1. A record's lock is held from Prepare to Publish or GiveUp, in a transaction from
//                its first write to its end, and by nobody else.
//             2. Between Reserve() and Complete() of a timestamp nothing is allocated, waited for
//                or called out to; all that can fail was done before.
//             3. A pin covers every use of a link; no user code runs under a pin.
// Threads     One user at a time; statistics are read by others.
// Errors      See Session in flagstone/session.h.
// Cost        Single change: one compare-and-swap on the record, one fetch_add on the commit clock.
#ifndef FLAGSTONE_LIB_TXN_SESSION_CORE_H_
#define FLAGSTONE_LIB_TXN_SESSION_CORE_H_

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "flagstone/internal/participant.h"
#include "flagstone/internal/pending_change.h"
#include "flagstone/record_guard.h"
#include "flagstone/record_id.h"
#include "flagstone/status.h"
#include "flagstone/transaction_options.h"
#include "lib/base/memory_account.h"
#include "lib/slab/slot_cache.h"
#include "lib/slab/version_pool.h"
#include "lib/txn/changed_ring.h"
#include "lib/txn/engine.h"

namespace flagstone::txn {

class Tidier;

// Counted by the session's user, read by statistics: plain increments, no read-modify-write.
class SessionCounter {
 public:
  void Add(uint64_t count = 1) {
    value_.store(value_.load(std::memory_order_relaxed) + count, std::memory_order_relaxed);
  }
  uint64_t value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<uint64_t> value_{0};
};

struct SessionCounters {
  SessionCounter inserts, updates, deletes, undeletes;
  SessionCounter commits;  // transactions and single changes that changed something
  SessionCounter rollbacks;
  SessionCounter conflicts;
  SessionCounter snapshots_too_old;
};

// The counters of one session or the sum over several.
struct SessionCounts {
  uint64_t inserts = 0;
  uint64_t updates = 0;
  uint64_t deletes = 0;
  uint64_t undeletes = 0;
  uint64_t commits = 0;
  uint64_t rollbacks = 0;
  uint64_t conflicts = 0;
  uint64_t chain_reads = 0;
  uint64_t snapshots_too_old = 0;

  SessionCounts& operator+=(const SessionCounts& other);
};

class SessionCore {
 public:
  // RESOURCE_EXHAUSTED: StoreOptions::sessions_max, or memory.limit_bytes.
  static Result<std::unique_ptr<SessionCore>> Create(Engine& engine, Tidier& tidier);
  // No guard and no transaction is left.
  ~SessionCore();
  SessionCore(const SessionCore&) = delete;
  SessionCore& operator=(const SessionCore&) = delete;

  internal::Participant& participant() { return participant_; }

  // --- reads and single changes

  // The latest committed state, for IDs that the inlined look at the home slot did not answer.
  RecordGuard Read(TableState& table, RecordId id);

  Result<RecordId> Insert(TableState& table, std::span<const std::byte> payload,
                          std::optional<uint32_t> size_class);
  Status InsertWithId(TableState& table, RecordId id, std::span<const std::byte> payload);
  // ids.size() records, one after the other in `payloads`, in one commit.
  Status InsertMany(TableState& table, std::span<const std::byte> payloads,
                    std::span<RecordId> ids);
  // Locks the record and gives a private copy of its payload to be changed: change->version. False:
  // absent. Follow with Publish(), or let `change` give up.
  Result<bool> PrepareUpdate(TableState& table, RecordId id, std::chrono::nanoseconds lock_wait,
                             internal::PendingChange& change);
  void PublishUpdate(internal::PendingChange& change);
  Result<bool> UpdateTo(TableState& table, RecordId id, std::span<const std::byte> payload,
                        std::chrono::nanoseconds lock_wait);
  Result<bool> Delete(TableState& table, RecordId id, std::chrono::nanoseconds lock_wait);
  Result<bool> Undelete(TableState& table, RecordId id, std::chrono::nanoseconds lock_wait);

  // --- the transaction

  Status Begin(const TransactionOptions& options);
  bool in_transaction() const { return transaction_.running; }
  // OK, or why the running transaction was rolled back.
  const Status& transaction_cause() const { return transaction_.cause; }
  internal::Timestamp snapshot() const { return transaction_.snapshot; }
  IsolationLevel isolation() const { return transaction_.options.isolation; }
  // Before the first read or write.
  Status SetTransactionIsolation(IsolationLevel level);
  Status CheckAlive() const { return engine_.CheckAlive(); }
  bool OwnsTable(const TableState& table) const { return engine_.CheckOwn(table).ok(); }

  Result<RecordGuard> TransactionRead(TableState& table, RecordId id);
  Result<RecordId> TransactionInsert(TableState& table, std::span<const std::byte> payload,
                                     std::optional<uint32_t> size_class);
  Status TransactionInsertWithId(TableState& table, RecordId id,
                                 std::span<const std::byte> payload);
  // The payload to change in place, private to the transaction; nullptr when the record is absent.
  Result<char*> TransactionUpdate(TableState& table, RecordId id);
  Result<bool> TransactionDelete(TableState& table, RecordId id);
  Result<bool> TransactionUndelete(TableState& table, RecordId id);
  // The commit's timestamp; 0 when nothing was changed.
  Result<internal::Timestamp> Commit();
  void Rollback();
  void RollbackAfterThrow();

  // --- for maintenance and statistics

  ChangedRing& changed() { return changed_; }
  SessionCounts counts() const;

 private:
  friend struct internal::PendingChange;

  enum class WriteKind : uint8_t { kInsert, kUpdate, kDelete, kCancelled };
  enum class IdSource : uint8_t { kIssuedHere, kGiven };
  struct Write {
    WriteKind kind;
    TablePart* part;
    internal::SlotHeader* home;
    internal::SlotHeader* version;  // kInsert: nullptr, the payload is in home
    internal::VersionLink version_link;
    uint64_t link_before;
    uint64_t id;
    IdSource id_source = IdSource::kIssuedHere;  // of an insert
  };
  // From ID to index in writes: open addressing, at most half full. (abseil's maps do not survive a
  // std::bad_alloc.)
  class WriteIndex {
   public:
    // Makes room for `count` entries; what is in it stays.
    void Reserve(size_t count, const std::vector<Write>& writes);
    void Add(const std::vector<Write>& writes, uint32_t index);
    // Index in writes + 1; 0 when there is none.
    uint32_t Find(const std::vector<Write>& writes, uint64_t id) const;
    void Clear();

   private:
    static size_t Start(uint64_t id) { return (id * 0x9e3779b97f4a7c15) >> 32; }
    std::vector<uint32_t> places_;  // index + 1; 0: free
    size_t used_ = 0;
  };
  struct TransactionState {
    bool running = false;
    TransactionOptions options;
    internal::Timestamp snapshot = 0;
    Status cause;
    bool updater_threw = false;  // it was rolled back for that
    std::vector<Write> writes;
    WriteIndex write_of_id;     // once there are many of them
    base::MemoryCharge charge;  // for both, once there are more than kUnchargedWritesMax
  };
  // Of a write that came to nothing while a guard of this session was on it.
  struct WithheldSlot {
    TablePart* part;
    internal::SlotHeader* slot;
    internal::VersionLink version_link;  // 0: a home slot
    slab::FreedSlot home;
  };
  enum class Base : uint8_t { kNewestLive, kNewestDeleted };

  SessionCore(Engine& engine, Tidier& tidier, internal::Participant& participant,
              base::MemoryCharge charge);

  // --- places
  // The part that `id` names in `table`, and where its home slot would lie; nullptr when it can
  // name none there. Not to be loaded from unless the place is the table's.
  internal::SlotHeader* PlaceOf(const TableState& table, uint64_t id, TablePart** part) const;
  // True when the slot that `id` names is in a slab of the part's table.
  static bool OwnsPlace(const TablePart& part, uint64_t id);
  // Both.
  internal::SlotHeader* Locate(const TableState& table, uint64_t id, TablePart** part) const;
  // A guard on a slot found under a pin, in the free guard slot `guard`.
  RecordGuard GuardOn(std::atomic<uint64_t>& guard, internal::SlotHeader* slot,
                      const TablePart& part, RecordId id);
  // The record at home or its newest version, guarded by `guard`, a free one, or by another one.
  // Empty: to be looked for under a pin.
  RecordGuard ReadWithoutPin(std::atomic<uint64_t>& guard, internal::SlotHeader* home,
                             const TablePart& part, RecordId id);
  bool OwnGuardOn(const internal::SlotHeader* slot) const;
  // The part's cache of home slots, which is not empty then.
  Status ReserveHomeSlot(TablePart& part, slab::HomeSlotCache** reserved);
  void GiveHomeSlot(TablePart& part, const slab::FreedSlot& freed);
  // After it, TakeVersionSlot() for the same part and use succeeds.
  Status ReserveVersionSlot(TablePart& part, slab::VersionUse use);
  void TakeVersionSlot(internal::PendingChange& change, slab::VersionUse use);
  // The version of a long record is a run, but for a tombstone, which has no payload.
  static bool NeedsRun(const TablePart& part, slab::VersionUse use) {
    return part.view.run_slots > 1 && use == slab::VersionUse::kUpdate;
  }
  Status ReserveRun(TablePart& part);
  // Before more version slots are taken: does maintenance's work when it has not passed for long,
  // so that the versions of a record that is changed again and again do not grow without bound.
  void AwaitMaintenance(uint32_t version_slots);
  // What was reserved and not taken.
  void GiveBackRun();
  // Withheld slots that no guard is on any more.
  void GiveWithheld();
  // A version that was never published.
  void GiveVersionSlot(TablePart& part, internal::SlotHeader* version, internal::VersionLink link);
  uint32_t SlotOf(uint64_t id) const { return engine_.codec().slot(RecordId(id)); }
  uint32_t TickOf(uint64_t id) const { return engine_.codec().tick(RecordId(id)); }

  // --- locking
  // Locks the record and finds the live version to build on: the newest one, or, for Undelete(),
  // the newest below a tombstone. False: absent, or not in that state. With a snapshot, CONFLICT
  // when a newer version was committed.
  Result<bool> Lock(TableState& table, RecordId id, std::chrono::nanoseconds lock_wait,
                    std::optional<internal::Timestamp> snapshot, Base base,
                    internal::PendingChange& change, internal::SlotHeader** newest);
  // For a change that is a transaction of its own: room first, then the lock, then a version slot.
  Result<bool> LockForSingle(TableState& table, RecordId id, std::chrono::nanoseconds lock_wait,
                             slab::VersionUse use, Base base, internal::PendingChange& change,
                             internal::SlotHeader** newest);
  internal::SlotHeader* NewestOf(const internal::PendingChange& change) const;
  internal::SlotHeader* NewestLiveOf(const internal::PendingChange& change) const;

  // --- publishing
  // FAILED_PRECONDITION in the child of a fork, INVALID_ARGUMENT for a table of another store.
  Status CheckUse(const TableState& table) const;
  static Status CheckLockWait(std::chrono::nanoseconds lock_wait);
  static Status CheckPayload(const TableState& table, size_t payload_bytes);
  // Where records of `payload_bytes` go to.
  Status ChooseInsertPart(TableState& table, size_t payload_bytes,
                          std::optional<uint32_t> size_class, TablePart** part);
  // Takes home slots and IDs from ids[*prepared] on, and writes the payloads: nobody sees them yet.
  // *prepared counts on, also of those that stand when it fails.
  Status PrepareInserts(TablePart& part, const std::byte* payloads, std::span<RecordId> ids,
                        size_t* prepared);
  // The same for one.
  Status PrepareInsert(TablePart& part, const std::byte* payload, RecordId* id,
                       internal::SlotHeader** home);
  bool HoldsLiveRecord(const TablePart& part, uint64_t slot);
  // The tick of the last ID of the slot that `id` names, whoever owns it; 0 where none is known.
  uint32_t LastTickAt(RecordId id);
  // Takes the slot that an ID was given for; FAILED_PRECONDITION while somebody else has it.
  Status TakeGivenSlot(TablePart& part, const IdFields& fields);
  Status PrepareInsertWithId(TableState& table, RecordId id, std::span<const std::byte> payload,
                             TablePart** part, internal::SlotHeader** home);
  Result<bool> PublishSingle(internal::PendingChange& change, uint64_t state,
                             SessionCounter& counter);
  // Puts a published change on the list for maintenance, once.
  void NoteChanged(uint64_t id, uint64_t link_before);
  // Before a change: does maintenance's work when it is too far behind.
  void MakeRoom(uint64_t entries);

  // --- the transaction
  Status CheckRunning() const;
  Status CheckRunning(const TableState& table) const;
  // The latest committed state, not that of the snapshot.
  bool ReadsLatest() const;
  // Says which reads need not come here: see Transaction::GetAt().
  void OpenHomeReads();
  Status SetIsolation(IsolationLevel level);
  Status CheckWritable();
  Status CheckWriteCount(size_t writes) const;
  Status Fail(Status status);
  bool SnapshotIsCut() const;
  Status SnapshotWasCut();
  Write* FindWrite(uint64_t id);
  // Makes room for one more write: after it, until AddWrite(), nothing of this can fail.
  // RESOURCE_EXHAUSTED: a long list does not fit memory.limit_bytes.
  Status ReserveWrite();
  Status GrowWrites();
  void AddWrite(const Write& write);
  // Locks the record and adds the write; nullptr when it is absent.
  Result<Write*> WriteForChange(TableState& table, RecordId id, WriteKind kind, Base base);
  void Publish(const Write& write, internal::Timestamp at);
  // `last_tick`: what the slot was used for last.
  void GiveCancelledInsert(const Write& write, uint32_t last_tick);
  void CountWrites();
  void EndTransaction();

  // set at open
  Engine& engine_;
  Tidier& tidier_;
  internal::Participant& participant_;
  const base::MemoryCharge charge_;  // for what every session holds

  // owned by the user
  std::vector<std::unique_ptr<slab::HomeSlotCache>> home_caches_;  // by TablePart::cache_number
  std::vector<TablePart*> home_cache_parts_;
  std::array<std::unique_ptr<slab::VersionSlotCache>, kSizeClassCount> version_caches_;
  // A run between ReserveVersionSlot() and TakeVersionSlot(). 0: none.
  internal::VersionLink reserved_run_ = 0;
  TablePart* reserved_run_part_ = nullptr;
  TransactionState transaction_;
  uint64_t passes_seen_ = 0;  // of maintenance
  uint32_t versions_since_pass_ = 0;

  std::vector<WithheldSlot> withheld_;
  ChangedRing changed_;
  SessionCounters counters_;
};

}  // namespace flagstone::txn

#endif  // FLAGSTONE_LIB_TXN_SESSION_CORE_H_
