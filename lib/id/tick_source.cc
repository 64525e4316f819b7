#include "lib/id/tick_source.h"

#include <string>

#include "lib/base/utc_time.h"
#include "lib/id/tick_source_inl.h"

namespace flagstone::id {
namespace {

std::string TickAndTime(const IdCodec& codec, uint64_t tick) {
  return std::to_string(tick) + " (" + base::FormatUtc(codec.TickStart(tick)) + ")";
}

}  // namespace

namespace internal {

Status ClockTooFarAhead(const IdCodec& codec, uint64_t lease_end_found, uint64_t wall_tick) {
  const uint64_t skipped = wall_tick - lease_end_found;
  return Status::Error(StatusCode::kFailedPrecondition,
                       "ticks: the host's clock stands at tick " + TickAndTime(codec, wall_tick) +
                           ", " + std::to_string(skipped * codec.tick_seconds() / 86400) +
                           " days beyond the store's last lease, which ends at tick " +
                           TickAndTime(codec, lease_end_found) + ", and the limit is " +
                           std::to_string(kClockJumpSecondsMax / 86400) +
                           " days: following a wrong clock would use up " +
                           std::to_string(skipped) + " of the " +
                           std::to_string(codec.tick_max() - lease_end_found) +
                           " ticks left, for good; set the clock, or open with "
                           "ClockJumps::kFollowAll if it is right");
}

Status TicksUsedUp(const IdCodec& codec) {
  return Status::Error(
      StatusCode::kResourceExhausted,
      "ticks: tick " + TickAndTime(codec, codec.tick_max()) +
          " is the last of this store's ID layout and no later one exists, so the slots "
          "that used it are retired; export the records to a new store whose layout has "
          "more tick_bits or a later epoch");
}

Status TooFarAhead(const IdCodec& codec, uint32_t current_tick, uint64_t time_tick) {
  const uint64_t ahead = current_tick > time_tick ? current_tick - time_tick : 0;
  return Status::Error(
      StatusCode::kResourceExhausted,
      "ticks: the current tick " + TickAndTime(codec, current_tick) + " is " +
          std::to_string(ahead) + " ahead of the clock, the limit is " +
          std::to_string(kRunAheadTicksMax) +
          ", and every free slot of the size class has carried an ID of this tick; a slot is used "
          "once in "
          "a tick of " +
          std::to_string(codec.tick_seconds()) +
          " s, so wait for the next one, delete and insert less often, or raise the memory limit");
}

Status GivenTooFarAhead(const IdCodec& codec, uint32_t tick, uint64_t time_tick,
                        uint64_t ahead_ticks_max) {
  const uint64_t ahead = tick - time_tick;
  return Status::Error(
      StatusCode::kInvalidArgument,
      "ticks: a given record ID carries tick " + TickAndTime(codec, tick) + ", " +
          std::to_string(ahead) + " ticks (" + std::to_string(ahead * codec.tick_seconds()) +
          " s) ahead of this store, whose time is tick " + TickAndTime(codec, time_tick) +
          "; the limit is " + std::to_string(ahead_ticks_max) +
          " ticks, because every new ID would have to be later still: give an ID of this layout, "
          "wait, set the clock, or open with ClockJumps::kFollowAll if the ID is right");
}

Status GivenLastTick(const IdCodec& codec) {
  return Status::Error(StatusCode::kResourceExhausted,
                       "ticks: a given record ID carries tick " +
                           TickAndTime(codec, codec.tick_max()) +
                           ", the last of this store's ID layout; no later one exists, which would "
                           "keep the store from issuing the same ID, so it cannot be inserted");
}

Status TickSourceClosed() {
  return Status::Error(StatusCode::kFailedPrecondition,
                       "ticks: the store is closed and issues no more record IDs; open it again");
}

}  // namespace internal

template class BasicTickSource<TickRules>;

}  // namespace flagstone::id
