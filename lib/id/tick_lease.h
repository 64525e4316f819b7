// Leases on ticks: the promise on disk that lets a store forget which ticks it has issued.
//
// A lease with end E says: ticks below E may have been issued, ticks from E on have not. It is on
// disk before any tick below E is issued. So a store that opens at the highest end it finds issues
// no tick twice, whatever became of the rest of its files.
//
// Invariants  1. Persist(E) or PersistAtClose(E) returns OK only when a later Load(), after any
//                crash, gives at least E.
//             2. After either failed, or was cut short, Load() gives its end or the one before.
// Threads     One call at a time.
// See         docs/format/record_id.md, lib/id/tick_source.h
#ifndef FLAGSTONE_LIB_ID_TICK_LEASE_H_
#define FLAGSTONE_LIB_ID_TICK_LEASE_H_

#include <cstdint>

#include "flagstone/status.h"

namespace flagstone::id {

class LeaseStorage {
 public:
  virtual ~LeaseStorage() = default;

  // The highest end of any lease that may be in force: every copy counts (each log segment, a tail
  // that is discarded, the manifest), except those that a later clean close replaced. 0 for a new
  // store. An unreadable place where a higher one may stand is an error.
  virtual Result<uint64_t> Load() = 0;

  // Writes and syncs, whatever the store's strategy. Ends only grow. A failure is final (see
  // TickSource), except NO_SPACE, which says that nothing was written.
  virtual Status Persist(uint64_t lease_end) = 0;

  // The same at a clean close: the exact end of issuing, which replaces every lease of this life
  // although it lies below the last.
  virtual Status PersistAtClose(uint64_t lease_end) = 0;
};

// For a store in memory: its IDs are promised for its lifetime, so a lease has nobody to tell.
class VolatileLeaseStorage final : public LeaseStorage {
 public:
  Result<uint64_t> Load() override;
  Status Persist(uint64_t lease_end) override;
  Status PersistAtClose(uint64_t lease_end) override;
};

}  // namespace flagstone::id

#endif  // FLAGSTONE_LIB_ID_TICK_LEASE_H_
