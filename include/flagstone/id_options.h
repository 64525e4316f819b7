// What a store is told about its record IDs.
#ifndef FLAGSTONE_ID_OPTIONS_H_
#define FLAGSTONE_ID_OPTIONS_H_

#include <cstdint>

#include "flagstone/export.h"
#include "flagstone/id_layout.h"
#include "flagstone/status.h"

namespace flagstone {

// What to do when the wall clock stands more than 366 days beyond every lease of the store (at
// open), or has jumped that far (while it is open). IDs follow the clock and never go back, so
// following a clock that is wrong burns ID space for good. Also: whether an ID given to
// InsertWithId() may lie far ahead of the store's own time.
enum class ClockJumps : uint8_t {
  // Default. At open: FAILED_PRECONDITION. While open: IDs go on at the pace of the monotonic
  // clock, and the statistics say so. A given ID: INVALID_ARGUMENT when it lies more than an hour
  // and 60 ticks ahead.
  kBounded = 0,
  // The clock is right: the store lay closed for years, or is a backup that old. Given IDs are too.
  kFollowAll = 1,
};

struct IdOptions {
  // Used when the store is created; afterwards it must equal the manifest's.
  IdLayout layout = id_layouts::kStandalone;
  // This store's number among those that share an ID space: 0 to 2^node_bits - 1. A copy of a store
  // that is used beside its origin needs another one.
  uint32_t node = 0;
  ClockJumps clock_jumps = ClockJumps::kBounded;

  // Layout and node for a store created now. INVALID_ARGUMENT names field, value and range.
  FLAGSTONE_EXPORT Status Validate(int64_t now_unix_seconds) const;
};

}  // namespace flagstone

#endif  // FLAGSTONE_ID_OPTIONS_H_
