// TickSource: the logical time that record IDs carry, and the rule that no tick of an earlier life
// returns.
//
// Place       Between the clock and slot allocation, which takes Current() for every ID it issues.
// Life        Open() finds every lease, starts beyond them and writes the first lease of this life.
//             Refresh() follows the clock; Renew() extends the lease when half of it is used;
//             Close() writes where issuing ended. Destroyed without Close() it has crashed: safe,
//             and costs the lease's rest.
// Invariants  1. Every tick Current() returns lies below a lease end whose Persist() had returned
//                OK.
//             2. Every tick Current() returns lies at or above every lease end that Open() found.
//             3. Current() never goes back, and never passes the layout's last tick (then kNoTick,
//                for ever).
// Threads     all calls after Open(): any. Locks renew_mutex_ before advance_mutex_. Only
//             renew_mutex_ is held during disk I/O, and neither Current() nor Refresh() ever waits
//             for either.
// Errors      RESOURCE_EXHAUSTED: ticks used up, or too far ahead. FAILED_PRECONDITION: closed, or
//             the clock is implausible. What Persist() said: the lease could not be written, and no
//             tick beyond the old one is issued.
// Cost        Current(): one load. Refresh(): two clock reads, about 50 ns. Renew(): one sync.
// See         docs/format/record_id.md; tests/unit/id/tick_source_test.cc, tick_script_test.cc
//
// How ticks follow time. The wall clock leads while it is ahead. Where it is not (it was set back,
// stands still, or the ticks ran ahead of it), they crawl on at half the pace of the monotonic
// clock: never back and never stuck, and a lead over the wall clock melts away by itself.
//
//   tick  ^            wall set back           ____---- wall leads again
//         |       /|            ___....----'''' /
//         |      / |....----''''  crawl        /
//         |     /  |                         /
//         +----------------------------------------> time
//
// A wall clock that leaps more than kClockJumpSecondsMax ahead of where this life and its monotonic
// time can have brought it is not believed: ticks then go at the monotonic clock's full pace. At
// Open() the same distance beyond the highest lease is refused. ClockJumps::kFollowAll lifts both.
#ifndef FLAGSTONE_LIB_ID_TICK_SOURCE_H_
#define FLAGSTONE_LIB_ID_TICK_SOURCE_H_

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>

#include "flagstone/clock.h"
#include "flagstone/id_layout.h"
#include "flagstone/id_options.h"
#include "flagstone/status.h"
#include "lib/id/slot_generation.h"
#include "lib/id/tick_lease.h"

namespace flagstone::id {

// How far a lease reaches. Longer: fewer syncs (one per half lease while the store is busy).
// Shorter: after a crash, IDs are less far ahead of the clock. A minute of kStandalone's ticks.
inline constexpr uint32_t kLeaseTicks = 64;
// How far RunAhead() may lead the wall clock. Each tick ahead lets every slot be used once more
// before time allows it, and makes new IDs claim a creation time that much too late; a minute
// bridges a burst.
inline constexpr uint32_t kRunAheadTicksMax = 60;
// How far ahead of this store's own time a record ID given from outside may be. Its origin may run
// kRunAheadTicksMax ahead of its clock, and the clocks of two hosts that somebody set by hand are
// minutes apart; an hour is beyond both. Each tick of it is a tick that new IDs claim to be later
// than they are, and one that a full size class waits for, at half the pace of time.
inline constexpr int64_t kGivenAheadSecondsMax = 3600;
// How far one life may follow the wall clock beyond its own time. A year covers a store that lay
// closed and a machine that slept, and costs at most 3 % of kStandalone's ticks.
inline constexpr int64_t kClockJumpSecondsMax = int64_t{366} * 86400;

static_assert(kRunAheadTicksMax < kLeaseTicks, "running ahead fully costs at most one extra lease");

// Where the store's files come from.
enum class StoreOrigin : uint8_t {
  kOwnFiles = 0,  // new, or as this store left them
  // A backup, a clone or a rewound store: another life may have issued ticks that no lease here
  // names, up to now and kRunAheadTicksMax beyond. The first tick lies above those too.
  kRestored = 1,
};

struct TickSourceOptions {
  IdCodec codec;
  Clock& clock;           // outlives the source
  LeaseStorage& storage;  // outlives the source, which is its only user from Open() to Close()
  StoreOrigin origin = StoreOrigin::kOwnFiles;
  ClockJumps clock_jumps = ClockJumps::kBounded;
};

struct TickSourceStats {
  uint32_t current_tick = kNoTick;
  uint64_t lease_end = 0;
  uint64_t ticks_left = 0;  // after the current one
  int64_t ahead_of_clock_ticks =
      0;  // negative: the clock is ahead (lease not renewed, or not believed)
  uint64_t run_ahead_count = 0;      // ticks gained by RunAhead()
  uint64_t lease_written_count = 0;  // the first one and the close included
  uint64_t lease_failure_count = 0;  // renewals that failed, also those refused after a failure
  uint64_t clock_disbelieved_count =
      0;  // refreshes at which the wall clock was implausibly far ahead
};

enum class LeaseOrder : uint8_t { kPersistThenPublish, kPublishThenPersist };

// The rules that the never-twice promise rests on, one function each. Tests plant a bug by
// replacing one.
// What the source is built on stands here too, so that tests run it under a model of memory.
struct TickRules {
  template <typename T>
  using Atomic = std::atomic<T>;
  using Mutex = std::mutex;

  static constexpr LeaseOrder kLeaseOrder = LeaseOrder::kPersistThenPublish;

  static constexpr uint64_t FirstTick(uint64_t lease_end_found, uint64_t wall_tick) {
    return std::max({lease_end_found, wall_tick, uint64_t{1}});
  }
  static constexpr bool MayMove(uint64_t from, uint64_t to) { return to > from; }
  static constexpr uint64_t WithinLease(uint64_t tick, uint64_t lease_end) {
    return std::min(tick, lease_end - 1);
  }
  static constexpr uint64_t WithinSpace(uint64_t tick, uint32_t tick_max) {
    return std::min(tick, uint64_t{tick_max});
  }
  static constexpr uint64_t LeaseEndAfterFailure(uint64_t old_end, uint64_t /*new_end*/) {
    return old_end;
  }
  static constexpr uint64_t LeaseEndAtClose(uint32_t last_tick) { return uint64_t{last_tick} + 1; }
};

template <typename Rules>
class BasicTickSource {
 public:
  // Errors: what the storage said; FAILED_PRECONDITION when the clock is implausibly far beyond the
  // last lease. A store whose ticks are used up opens, with Current() == kNoTick: it can be read
  // and emptied.
  static Result<std::unique_ptr<BasicTickSource>> Open(const TickSourceOptions& options);

  BasicTickSource(const BasicTickSource&) = delete;
  BasicTickSource& operator=(const BasicTickSource&) = delete;

  // The tick to issue IDs with, now. kNoTick: none may be issued.
  uint32_t Current() const noexcept { return current_.load(std::memory_order_acquire); }

  // Reads the clocks and moves the tick along, within the lease; returns Current(). Does not wait:
  // when another thread is at it, that thread's work is as good.
  uint32_t Refresh();

  // Called when no free slot may issue `exhausted_tick`, the Current() the caller saw: returns a
  // later tick, from the clock, from another caller who was first, or one ahead of time. Extends
  // the lease if it must (the one wait for the disk). RESOURCE_EXHAUSTED when kRunAheadTicksMax
  // ahead of the wall clock, or when the ticks are used up.
  Result<uint32_t> RunAhead(uint32_t exhausted_tick);

  // An ID from outside (an import, a replica) carries `tick`: moves Current() beyond it if it is
  // not, lease first, so that neither this life nor a later one issues the same ID, whatever
  // becomes of the one given. INVALID_ARGUMENT when the tick lies more than kGivenAheadSecondsMax
  // and kRunAheadTicksMax ahead of where time alone has brought this store (ClockJumps::kFollowAll:
  // never). RESOURCE_EXHAUSTED when it is the last tick, which none follows. Otherwise errors as
  // RunAhead().
  Status RaiseAbove(uint32_t tick);

  // True when half of the lease is used: maintenance calls Renew().
  bool RenewalDue() const noexcept;

  // Extends the lease if it is due; waits for the disk. After a failure other than NO_SPACE every
  // later call returns that failure, because what a failed sync left on the disk is unknown: the
  // store goes on within the lease it has, until it is reopened.
  Status Renew();

  // Ends issuing and replaces the lease by its exact end, so that the next life starts at the next
  // tick. Afterwards Current() stays what it was, RunAhead() and Renew() answer
  // FAILED_PRECONDITION, Close() is OK.
  Status Close();

  TickSourceStats stats() const;

 private:
  struct Reading {
    uint64_t wall_tick;
    int64_t monotonic_nanos;
  };
  struct Start {
    uint64_t first_tick;
    uint64_t lease_end;
  };

  BasicTickSource(const TickSourceOptions& options, const Start& start, const Reading& now);

  static Reading Read(const TickSourceOptions& options);
  static uint64_t JumpTicksMax(const IdCodec& codec);
  static uint64_t GivenAheadTicksMax(const IdCodec& codec);
  static uint64_t LeaseEndFrom(uint64_t tick, const IdCodec& codec);

  // A tick that was earned, and the monotonic moment from which the next one is.
  struct Earned {
    uint64_t tick;
    int64_t nanos;
  };

  // Hold advance_mutex_:
  void Advance(const Reading& now);
  Earned After(const Earned& before, const Reading& now, bool believed) const;
  void Publish();
  // The latest tick this life follows anyone to.
  uint64_t FollowedTickMax(const Reading& now) const;
  bool Believes(const Reading& now) const;
  uint64_t TicksSinceOpen(const Reading& now) const;
  // What running ahead is measured against: the wall clock, or this life's own time where that is
  // not believed.
  uint64_t TimeTick(const Reading& now) const;
  Status WhyNotAhead(uint32_t current_tick, const Reading& now) const;

  // Holds renew_mutex_: books how a write of the lease ended, and passes it on.
  Status Note(const Status& status);

  // Set at open.
  const TickSourceOptions options_;
  const int64_t tick_nanos_;
  const bool spent_;  // no tick was left at open
  const uint64_t open_tick_;
  const int64_t open_nanos_;

  // Atomic. Written under advance_mutex_; read anywhere. Release/acquire, so that who issues a tick
  // happens after the Persist() that covers it.
  typename Rules::template Atomic<uint32_t> current_{kNoTick};
  // Atomic. Written under renew_mutex_, released after Persist(); read anywhere.
  typename Rules::template Atomic<uint64_t> lease_end_;

  mutable typename Rules::Mutex renew_mutex_;
  // Guarded by renew_mutex_: the first failure after which the storage is not asked again.
  Status failure_;

  mutable typename Rules::Mutex advance_mutex_;
  // Guarded by advance_mutex_. What time, running ahead and given IDs have earned, whether or not
  // the lease covers it yet; and what time alone has, which given IDs are measured against:
  // measured against each other they could lead anywhere in small steps.
  Earned earned_;
  Earned earned_by_time_;
  bool closed_ = false;
  uint64_t run_ahead_count_ = 0;
  uint64_t lease_written_count_;
  uint64_t lease_failure_count_ = 0;
  uint64_t clock_disbelieved_count_ = 0;
};

extern template class BasicTickSource<TickRules>;

using TickSource = BasicTickSource<TickRules>;

}  // namespace flagstone::id

#endif  // FLAGSTONE_LIB_ID_TICK_SOURCE_H_
