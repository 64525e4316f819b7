// Planted bugs of the whole store: one broken rule each, to prove that the tests would notice.
//
// Place       Below everything. `if (Planted(PlantedBug::kX))` stands at the line that keeps a
//             rule.
// Life        Production code: Planted() is a constant false, so nothing of it is compiled.
//             tests/planted compiles the same sources with FLAGSTONE_WITH_PLANTED_BUGS, switches
//             one bug on, and expects the workload that watches the rule to fail.
// Threads     Switched while no store is open.
#ifndef FLAGSTONE_LIB_BASE_PLANTED_BUG_H_
#define FLAGSTONE_LIB_BASE_PLANTED_BUG_H_

#include <atomic>
#include <cstdint>

namespace flagstone::base {

enum class PlantedBug : uint8_t {
  kNone,
  kNoSnapshotCheck,            // a snapshot's update goes on top of what it has not seen
  kOldestSnapshotForgotten,    // versions that only the oldest snapshot reads are dropped
  kHomecomingIgnoresGuards,    // a guarded payload is overwritten
  kGuardedVersionFreed,        // a version slot is freed under a guard
  kPinsIgnored,                // the cycle goes on while a reader is pinned
  kNoCopyAside,                // the home slot's payload is overwritten though a snapshot reads it
  kHorizonTooEarly,            // a transaction is visible after its first record
  kRollbackKeepsLock,          // a record stays locked
  kRollbackLeavesInsert,       // an inserted record stays
  kSlotReusedWithinItsTick,    // an ID is issued twice
  kReturnedExtentForgetsTick,  // the same by way of memory given back
  kNoDeleteReserve,            // a full store cannot be emptied
  kCutSnapshotReadsOn,         // a snapshot that was given up is not told
  kCutSnapshotWritesOn,        // and its writes take live records for absent
  kTombstoneReclaimedEarly,    // a deleted record goes although a snapshot still reads it
  kHistoryForgotten,           // the retention window's versions are dropped
  kFreshSnapshotCut,           // a snapshot that holds nothing back yet is given up
  kSnapshotNeverCut,           // a forgotten snapshot keeps its versions for ever
  kEndedSessionKeepsSlots,     // what a session held in advance is lost with it
  kCompactionAwaitsQuiet,      // CompactStorage() ends when writers do
  kGuardedExtentReturned,      // memory is given back under a guard
  kRoomAfterTaking,            // a slot is taken before there is room to remember it
  kRequiredPagesDoneWithout,   // require_huge_pages is not asked
  kFallbackNotReported,        // smaller pages than asked for, and nobody is told
  kLockFailureIgnored,         // lock_memory without locked memory
  kInsideOfRunIsRead,          // a long record's payload passes for the header of a record
  kReturnedPagesForgetTick,    // an ID is issued twice by way of pages given back
  kPageOfARecordReturned,      // a page goes back with a record on it
  kRestoredPagesNotCharged,    // pages are used again beside the memory limit
  kMemoryLimitPassed,          // the limit of a store is not asked
  kComponentLimitPassed,       // nor that of one part of it
  kReturnedMemoryCharged,      // what was given back still counts against the limit
  kSharedSlabNotWiped,         // the next owner of a slab finds the bytes of the last one
  kTicksRunAheadWithoutEnd,    // IDs come from a future that the clock may never reach
  kCount,
};

#ifdef FLAGSTONE_WITH_PLANTED_BUGS
inline std::atomic<PlantedBug> planted_bug{PlantedBug::kNone};
inline bool Planted(PlantedBug bug) { return planted_bug.load(std::memory_order_relaxed) == bug; }
#else
constexpr bool Planted(PlantedBug) { return false; }
#endif

}  // namespace flagstone::base

#endif  // FLAGSTONE_LIB_BASE_PLANTED_BUG_H_
