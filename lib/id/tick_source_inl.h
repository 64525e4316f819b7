// Bodies of BasicTickSource. Included by tick_source.cc, and by tests that plant a bug in its
// rules.
#ifndef FLAGSTONE_LIB_ID_TICK_SOURCE_INL_H_
#define FLAGSTONE_LIB_ID_TICK_SOURCE_INL_H_

#include <string>
#include <utility>

#include "lib/base/planted_bug.h"
#include "lib/base/utc_time.h"
#include "lib/id/tick_source.h"

namespace flagstone::id {

namespace internal {

// Messages, apart from the rules so that those stay readable.
Status ClockTooFarAhead(const IdCodec& codec, uint64_t lease_end_found, uint64_t wall_tick);
Status TicksUsedUp(const IdCodec& codec);
Status TooFarAhead(const IdCodec& codec, uint32_t current_tick, uint64_t time_tick);
Status GivenTooFarAhead(const IdCodec& codec, uint32_t tick, uint64_t time_tick,
                        uint64_t ahead_ticks_max);
Status GivenLastTick(const IdCodec& codec);
Status TickSourceClosed();

}  // namespace internal

template <typename Rules>
Result<std::unique_ptr<BasicTickSource<Rules>>> BasicTickSource<Rules>::Open(
    const TickSourceOptions& options) {
  const IdCodec& codec = options.codec;
  // 1. Every lease of every earlier life.
  const Result<uint64_t> loaded = options.storage.Load();
  if (!loaded.ok()) return loaded.status();
  const uint64_t found = std::min(*loaded, uint64_t{codec.tick_max()} + 1);
  const Reading now = Read(options);
  // 2. Not by a clock that would burn the space. A new store has no life to compare it with.
  if (options.clock_jumps == ClockJumps::kBounded && found != 0 &&
      now.wall_tick > found + JumpTicksMax(codec)) {
    return internal::ClockTooFarAhead(codec, found, now.wall_tick);
  }
  // 3. Beyond all of them, and beyond what an unseen life can have issued.
  const uint64_t unseen_ticks =
      options.origin == StoreOrigin::kRestored ? uint64_t{kRunAheadTicksMax} + 1 : 0;
  const uint64_t wall_tick = Rules::WithinSpace(now.wall_tick + unseen_ticks, codec.tick_max());
  const uint64_t first_tick = Rules::FirstTick(found, wall_tick);
  const Start start{first_tick, LeaseEndFrom(first_tick, codec)};
  // 4. The first lease is on disk before the first tick exists.
  if (first_tick <= codec.tick_max()) {
    FLAGSTONE_RETURN_IF_ERROR(options.storage.Persist(start.lease_end));
  }
  return std::unique_ptr<BasicTickSource>(new BasicTickSource(options, start, now));
}

template <typename Rules>
BasicTickSource<Rules>::BasicTickSource(const TickSourceOptions& options, const Start& start,
                                        const Reading& now)
    : options_(options),
      tick_nanos_(int64_t{options.codec.tick_seconds()} * 1'000'000'000),
      spent_(start.first_tick > options.codec.tick_max()),
      open_tick_(start.first_tick),
      open_nanos_(now.monotonic_nanos),
      current_(spent_ ? kNoTick : static_cast<uint32_t>(start.first_tick)),
      lease_end_(start.lease_end),
      earned_{start.first_tick, now.monotonic_nanos},
      earned_by_time_(earned_),
      lease_written_count_(spent_ ? 0 : 1) {}

template <typename Rules>
typename BasicTickSource<Rules>::Reading BasicTickSource<Rules>::Read(
    const TickSourceOptions& options) {
  return {options.codec.TickAt(options.clock.UnixSecondsCoarse()), options.clock.MonotonicNanos()};
}

template <typename Rules>
uint64_t BasicTickSource<Rules>::LeaseEndFrom(uint64_t tick, const IdCodec& codec) {
  return std::min(tick + kLeaseTicks, uint64_t{codec.tick_max()} + 1);
}

template <typename Rules>
uint64_t BasicTickSource<Rules>::JumpTicksMax(const IdCodec& codec) {
  return static_cast<uint64_t>(kClockJumpSecondsMax) / codec.tick_seconds();
}

template <typename Rules>
uint64_t BasicTickSource<Rules>::GivenAheadTicksMax(const IdCodec& codec) {
  return kRunAheadTicksMax + static_cast<uint64_t>(kGivenAheadSecondsMax) / codec.tick_seconds();
}

template <typename Rules>
uint32_t BasicTickSource<Rules>::Refresh() {
  if (const std::unique_lock lock(advance_mutex_, std::try_to_lock); lock.owns_lock() && !closed_) {
    Advance(Read(options_));
    Publish();
  }
  return Current();
}

template <typename Rules>
Result<uint32_t> BasicTickSource<Rules>::RunAhead(uint32_t exhausted_tick) {
  if (spent_) return internal::TicksUsedUp(options_.codec);
  // Ends: a Renew() that succeeds leaves room for the next tick, and the other ways return.
  for (;;) {
    {
      const std::lock_guard lock(advance_mutex_);
      if (closed_) return internal::TickSourceClosed();
      const Reading now = Read(options_);
      Advance(now);
      Publish();
      const uint32_t current = Current();
      if (current > exhausted_tick) return current;
      // Time has not earned a later tick (or the lease hides it): take one ahead of time.
      if (earned_.tick <= current) {
        if (!base::Planted(base::PlantedBug::kTicksRunAheadWithoutEnd)) {
          FLAGSTONE_RETURN_IF_ERROR(WhyNotAhead(current, now));
        }
        if (uint64_t{current} + 1 < lease_end_.load(std::memory_order_acquire)) {
          earned_ = {uint64_t{current} + 1, now.monotonic_nanos};
          ++run_ahead_count_;
          Publish();
          return Current();
        }
      }
    }
    FLAGSTONE_RETURN_IF_ERROR(Renew());
  }
}

template <typename Rules>
Status BasicTickSource<Rules>::RaiseAbove(uint32_t tick) {
  const IdCodec& codec = options_.codec;
  // Ends as RunAhead() does. Where ticks are used up, none is issued any more.
  while (!spent_ && tick >= Current()) {
    {
      const std::lock_guard lock(advance_mutex_);
      if (closed_) return internal::TickSourceClosed();
      const Reading now = Read(options_);
      Advance(now);
      const uint64_t time_tick = earned_by_time_.tick;
      const uint64_t ahead_max = GivenAheadTicksMax(codec);
      if (options_.clock_jumps == ClockJumps::kBounded && tick > time_tick + ahead_max) {
        return internal::GivenTooFarAhead(codec, tick, time_tick, ahead_max);
      }
      if (tick >= codec.tick_max()) return internal::GivenLastTick(codec);
      if (tick >= earned_.tick) earned_ = {uint64_t{tick} + 1, now.monotonic_nanos};
      Publish();
    }
    if (tick >= Current()) FLAGSTONE_RETURN_IF_ERROR(Renew());
  }
  return Status::Ok();
}

template <typename Rules>
bool BasicTickSource<Rules>::RenewalDue() const noexcept {
  const uint64_t lease_end = lease_end_.load(std::memory_order_acquire);
  const uint64_t space_end = uint64_t{options_.codec.tick_max()} + 1;
  return lease_end < space_end && uint64_t{Current()} + kLeaseTicks / 2 >= lease_end;
}

template <typename Rules>
Status BasicTickSource<Rules>::Renew() {
  const std::lock_guard renewing(renew_mutex_);
  uint64_t new_end = 0;
  {
    const std::lock_guard lock(advance_mutex_);
    if (closed_) return internal::TickSourceClosed();
    Advance(Read(options_));
    Publish();
    if (!RenewalDue()) return Status::Ok();
    new_end = LeaseEndFrom(earned_.tick, options_.codec);
  }
  const uint64_t old_end = lease_end_.load(std::memory_order_relaxed);  // its one writer is here
  if (Rules::kLeaseOrder == LeaseOrder::kPublishThenPersist) {
    lease_end_.store(new_end, std::memory_order_release);
  }
  const Status status = failure_.ok() ? options_.storage.Persist(new_end) : failure_;
  lease_end_.store(status.ok() ? new_end : Rules::LeaseEndAfterFailure(old_end, new_end),
                   std::memory_order_release);
  return Note(status);
}

template <typename Rules>
Status BasicTickSource<Rules>::Close() {
  const std::lock_guard renewing(renew_mutex_);
  {
    const std::lock_guard lock(advance_mutex_);
    if (closed_) return Status::Ok();
    closed_ = true;
  }
  // From here on current_ stands still: whoever still issues IDs does so below the end written now.
  if (spent_) return Status::Ok();
  if (!failure_.ok()) return failure_;
  return Note(options_.storage.PersistAtClose(Rules::LeaseEndAtClose(Current())));
}

template <typename Rules>
Status BasicTickSource<Rules>::Note(const Status& status) {
  if (!status.ok() && status.code() != StatusCode::kNoSpace) failure_ = status;
  const std::lock_guard lock(advance_mutex_);
  ++(status.ok() ? lease_written_count_ : lease_failure_count_);
  if (!closed_) Publish();
  return status;
}

template <typename Rules>
void BasicTickSource<Rules>::Advance(const Reading& now) {
  const bool believed = Believes(now);
  if (!believed) ++clock_disbelieved_count_;
  const bool alike = earned_.tick == earned_by_time_.tick && earned_.nanos == earned_by_time_.nanos;
  earned_ = After(earned_, now, believed);
  earned_by_time_ = alike ? earned_ : After(earned_by_time_, now, believed);
}

template <typename Rules>
typename BasicTickSource<Rules>::Earned BasicTickSource<Rules>::After(const Earned& before,
                                                                      const Reading& now,
                                                                      bool believed) const {
  const int64_t elapsed_nanos = std::max<int64_t>(0, now.monotonic_nanos - before.nanos);
  const int64_t pace_nanos = believed ? 2 * tick_nanos_ : tick_nanos_;
  const int64_t steps = elapsed_nanos / pace_nanos;
  const uint64_t crawled_tick = before.tick + static_cast<uint64_t>(steps);
  if (believed && Rules::MayMove(crawled_tick, now.wall_tick)) {
    return {now.wall_tick, now.monotonic_nanos};
  }
  return {Rules::WithinSpace(crawled_tick, options_.codec.tick_max()),
          before.nanos + steps * pace_nanos};
}

template <typename Rules>
void BasicTickSource<Rules>::Publish() {
  if (spent_) return;
  const uint64_t tick =
      Rules::WithinLease(earned_.tick, lease_end_.load(std::memory_order_acquire));
  if (Rules::MayMove(Current(), tick)) {
    current_.store(static_cast<uint32_t>(tick), std::memory_order_release);
  }
}

template <typename Rules>
uint64_t BasicTickSource<Rules>::FollowedTickMax(const Reading& now) const {
  if (options_.clock_jumps == ClockJumps::kFollowAll) return options_.codec.tick_max();
  return open_tick_ + TicksSinceOpen(now) + JumpTicksMax(options_.codec);
}

template <typename Rules>
bool BasicTickSource<Rules>::Believes(const Reading& now) const {
  return now.wall_tick <= FollowedTickMax(now);
}

template <typename Rules>
uint64_t BasicTickSource<Rules>::TicksSinceOpen(const Reading& now) const {
  return static_cast<uint64_t>(std::max<int64_t>(0, now.monotonic_nanos - open_nanos_) /
                               tick_nanos_);
}

template <typename Rules>
uint64_t BasicTickSource<Rules>::TimeTick(const Reading& now) const {
  return Believes(now) ? now.wall_tick : open_tick_ + TicksSinceOpen(now);
}

template <typename Rules>
Status BasicTickSource<Rules>::WhyNotAhead(uint32_t current_tick, const Reading& now) const {
  if (current_tick >= options_.codec.tick_max()) return internal::TicksUsedUp(options_.codec);
  const uint64_t time_tick = TimeTick(now);
  if (uint64_t{current_tick} + 1 > time_tick + kRunAheadTicksMax) {
    return internal::TooFarAhead(options_.codec, current_tick, time_tick);
  }
  return Status::Ok();
}

template <typename Rules>
TickSourceStats BasicTickSource<Rules>::stats() const {
  const std::lock_guard lock(advance_mutex_);
  const uint32_t current = Current();
  const Reading now = Read(options_);
  return {.current_tick = current,
          .lease_end = lease_end_.load(std::memory_order_acquire),
          .ticks_left = spent_ ? 0 : uint64_t{options_.codec.tick_max()} - current,
          .ahead_of_clock_ticks = int64_t{current} - static_cast<int64_t>(now.wall_tick),
          .run_ahead_count = run_ahead_count_,
          .lease_written_count = lease_written_count_,
          .lease_failure_count = lease_failure_count_,
          .clock_disbelieved_count = clock_disbelieved_count_};
}

}  // namespace flagstone::id

#endif  // FLAGSTONE_LIB_ID_TICK_SOURCE_INL_H_
