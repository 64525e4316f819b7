// The tidier: brings newest versions home, frees what no reader needs, reclaims deleted records.
//
// Place       Maintenance of the engine; run by the store's threads, by Store::Maintain(), and by a
//             session whose list of changed records is filling up.
// Life        One cycle = the numbered steps of RunCycle(). A record is visited in a cycle after
//             the one barrier that made sure that nobody still reads what the visit overwrites.
// Invariants  1. A payload is overwritten, and a slot is freed, only in a cycle whose barrier came
//                after the store that sent readers elsewhere, and only if no guard names the slot.
//             2. Versions are dropped only if no active snapshot, no snapshot yet to begin and no
//                retained timestamp reads them.
//             3. A cycle never waits long for a reader: it is held up, and goes on, without another
//                barrier, when it is asked again and the calls that were running then have ended.
//             4. The mutex is held for one cycle at most, whatever the size of the store.
// Threads     Any thread may call; one runs, the others return or wait as they asked.
// Cost        About 25 ns for each changed record, plus the barrier (0.4 to 14 us) for each cycle;
//             for records of kilobytes what it takes to copy them.
// See         docs/internals/concurrency.md, tests/model/reclamation_model_test.cc
#ifndef FLAGSTONE_LIB_TXN_TIDIER_H_
#define FLAGSTONE_LIB_TXN_TIDIER_H_

#include <array>
#include <atomic>
#include <cstdint>
#include <deque>
#include <span>
#include <unordered_set>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "flagstone/internal/slot.h"
#include "lib/base/mutex.h"
#include "lib/epoch/grace.h"
#include "lib/slab/table_slots.h"
#include "lib/txn/engine.h"
#include "lib/txn/session_core.h"
#include "lib/txn/version_chain.h"

namespace flagstone::txn {

struct TidierOptions {
  // A snapshot older than this is given up; 0: never.
  int64_t snapshot_age_ns_max = 0;
  // When versions hold more than this, the oldest snapshot is given up; 0: never.
  uint64_t version_bytes_max = 0;
  // Versions of the last so many nanoseconds stay readable as of their time; 0: none.
  int64_t history_ns = 0;
};

struct TidierCounters {
  uint64_t cycles = 0;
  uint64_t cycles_blocked = 0;  // of these, held up by a reader in the middle of a call
  uint64_t visits = 0;
  uint64_t homecomings = 0;
  uint64_t versions_freed = 0;
  uint64_t records_reclaimed = 0;
  uint64_t snapshots_cut = 0;
  uint64_t cycles_out_of_memory = 0;  // stopped half-way by std::bad_alloc; the next one goes on
  uint64_t helped_cycles = 0;         // run by a session because maintenance was behind
  uint64_t waiting_records = 0;       // changed, not visited yet
  uint64_t deferred_records = 0;      // old versions kept for a snapshot or the retention window
  uint64_t oldest_snapshot = 0;       // timestamp; the horizon when there is none
};

class Tidier {
 public:
  Tidier(Engine& engine, const TidierOptions& options);
  Tidier(const Tidier&) = delete;
  Tidier& operator=(const Tidier&) = delete;

  void Attach(SessionCore& session);
  // Takes over what the session changed and maintenance has not visited.
  void Detach(SessionCore& session);

  // One cycle of at most `records_max` visits; false when it got nothing done, or when another
  // thread is at it.
  bool RunCycle(uint64_t records_max);
  // From a session whose list is filling up and has room left: runs a cycle, unless another thread
  // is at it. Waits for nobody; while a reader holds the cycle up it is a look at that reader's
  // pin.
  void HelpIfIdle();
  // From a session whose list is full, or has run ahead too far: runs a cycle, or waits for the one
  // that is running.
  void Help();
  // From a session that got no memory: cycles until nothing more comes free. How many slots did.
  uint64_t ReclaimNow();

  // Brings everything home that can be, then gives the memory of empty slabs back. Bytes returned.
  // In pieces: the mutex is held for one cycle at a time, that of a table or pool for some slabs.
  uint64_t CompactStorage();

  // Cycles that were not held up, so far. Any thread, without the mutex.
  uint64_t pass_count() const { return passes_.load(std::memory_order_relaxed); }

  TidierCounters counters() const;
  // What all sessions did, those that have ended included.
  SessionCounts SessionTotals() const;
  void set_options(const TidierOptions& options);

 private:
  struct RetiredVersion {
    internal::VersionLink link;
    uint8_t size_class;
  };
  struct RetiredHome {
    TablePart* part;
    uint32_t slot;
    uint32_t last_tick;
  };
  struct Deferred {
    uint64_t id;
    internal::Timestamp until;  // visited when no snapshot is older than this
  };
  // What VersionChain asks for.
  struct VisitedRecord;
  struct HistoryMark {
    int64_t at_ns;
    internal::Timestamp horizon;
  };

  // Whether a cycle gives its processor away to a reader that may have lost its own in a call.
  enum class Patience : uint8_t { kNone, kYields };
  // Returns the progress: visits that need no other one, slots freed; 1 when it is held up.
  uint64_t RunLocked(uint64_t records_max, Patience patience) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  uint64_t RunSteps(uint64_t records_max, Patience patience) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Steps 1 to 3 up to the barrier. False: there is nothing to do.
  bool StartCycle(uint64_t records_max) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool GracePassed(Patience patience) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  uint64_t FreedCount() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return counters_.versions_freed + counters_.records_reclaimed;
  }
  // The pieces of CompactStorage().
  void BringAllHome();
  std::vector<slab::TableSlots*> RetractEmptySlabs();
  void ReturnRetracted(const std::vector<slab::TableSlots*>& retracted);
  uint64_t MappedBytes() const;
  // So that push_back() cannot fail in the middle of a change.
  template <typename T>
  static void MakeRoom(std::vector<T>& list, size_t count);
  bool NothingToDo() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void RaiseFloors() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void GatherDeferred(uint64_t records_max) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void GatherChanged(uint64_t records_max) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void CutOldSnapshots() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  uint64_t FreeRetired() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void VisitAll() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void VisitRecord(uint64_t entry, TablePart& part) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // The visit itself (version_chain.h), under the record's lock. The link word to publish is in
  // *link.
  Visit Tidy(TablePart& part, internal::SlotHeader& home, uint64_t id, uint64_t* link)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void RetireLater(uint32_t size_class, internal::VersionLink link)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    retiring_versions_.push_back({link, static_cast<uint8_t>(size_class)});
  }

  // set at open
  Engine& engine_;

  base::Mutex compacting_;  // one compaction at a time; taken before mutex_

  mutable base::Mutex mutex_;
  TidierOptions options_ ABSL_GUARDED_BY(mutex_);
  std::vector<SessionCore*> sessions_ ABSL_GUARDED_BY(mutex_);
  size_t next_session_ ABSL_GUARDED_BY(mutex_) = 0;
  SessionCounts ended_sessions_ ABSL_GUARDED_BY(mutex_);

  // Changed records: of this cycle, and those for the next one.
  std::vector<uint64_t> batch_ ABSL_GUARDED_BY(mutex_);
  std::vector<uint64_t> again_ ABSL_GUARDED_BY(mutex_);
  std::deque<Deferred> deferred_ ABSL_GUARDED_BY(mutex_);
  // Unlinked before the next barrier; freed after it.
  std::vector<RetiredVersion> retiring_versions_ ABSL_GUARDED_BY(mutex_);
  std::vector<RetiredHome> retiring_homes_ ABSL_GUARDED_BY(mutex_);

  // Of one cycle. While it is held up, batch_ is what was changed before its barrier, and of the
  // retiring slots so many were unlinked before it.
  bool held_up_ ABSL_GUARDED_BY(mutex_) = false;
  size_t versions_before_barrier_ ABSL_GUARDED_BY(mutex_) = 0;
  size_t homes_before_barrier_ ABSL_GUARDED_BY(mutex_) = 0;
  epoch::GracePeriod<internal::StdAtomics> grace_ ABSL_GUARDED_BY(mutex_);
  epoch::GuardedSlots guarded_ ABSL_GUARDED_BY(mutex_);
  epoch::NeededTimestamps needed_ ABSL_GUARDED_BY(mutex_);
  internal::Timestamp settled_ ABSL_GUARDED_BY(mutex_) = 0;  // horizon before the barrier
  internal::Timestamp retained_from_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t progress_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t copied_bytes_ ABSL_GUARDED_BY(mutex_) = 0;
  std::unordered_set<uint64_t> copied_in_cycle_ ABSL_GUARDED_BY(mutex_);

  VersionChain<internal::StdAtomics> chain_ ABSL_GUARDED_BY(mutex_);

  std::array<std::vector<internal::VersionLink>, kSizeClassCount> freed_versions_
      ABSL_GUARDED_BY(mutex_);
  std::array<uint64_t, kSizeClassCount> retired_counts_ ABSL_GUARDED_BY(mutex_){};
  std::vector<slab::FreedSlot> freed_homes_ ABSL_GUARDED_BY(mutex_);
  std::array<slab::VersionSlotCache, kSizeClassCount> version_caches_ ABSL_GUARDED_BY(mutex_);

  std::deque<HistoryMark> history_ ABSL_GUARDED_BY(mutex_);
  // When each participant's snapshot was first seen: by address.
  struct SeenSnapshot {
    internal::Participant* participant;
    uint64_t word;
    int64_t since_ns;
  };
  std::vector<SeenSnapshot> seen_snapshots_ ABSL_GUARDED_BY(mutex_);

  TidierCounters counters_ ABSL_GUARDED_BY(mutex_);
  // atomic: written under mutex_, read by sessions, for which it only has to change
  std::atomic<uint64_t> passes_{0};
};

}  // namespace flagstone::txn

#endif  // FLAGSTONE_LIB_TXN_TIDIER_H_
