// Clock: the one seam through which flagstone learns what time it is.
//
// Place       Below everything that ages, expires, waits or names its creation time. A store is
//             opened with a clock; simulation tests open it with one they move by hand.
// Invariants  1. UnixNanos() and UnixSecondsCoarse() follow the host's wall clock, wherever it is
//                set: they may jump either way or stand still. Nothing may rely on their order.
//             2. MonotonicNanos() never goes back in one process. Its origin means nothing, and it
//                may stand still while the machine sleeps.
// Threads     All calls: any thread.
// Cost        SystemClock(): no system call (vDSO). UnixSecondsCoarse() costs a few nanoseconds and
//             lags UnixNanos() by one scheduler tick (at most 10 ms); the others cost about 20 ns.
#ifndef FLAGSTONE_CLOCK_H_
#define FLAGSTONE_CLOCK_H_

#include <cstdint>

#include "flagstone/export.h"

namespace flagstone {

class FLAGSTONE_EXPORT Clock {
 public:
  virtual ~Clock() = default;

  // Nanoseconds since 1970-01-01 00:00:00 UTC.
  virtual int64_t UnixNanos() = 0;
  // Whole seconds since 1970-01-01 00:00:00 UTC, for paths where 20 ns count.
  virtual int64_t UnixSecondsCoarse() = 0;
  // Nanoseconds since some moment; for durations and deadlines.
  virtual int64_t MonotonicNanos() = 0;
};

// The host's clocks: CLOCK_REALTIME, CLOCK_REALTIME_COARSE, CLOCK_MONOTONIC. Lives as long as the
// process.
FLAGSTONE_EXPORT Clock& SystemClock();

}  // namespace flagstone

#endif  // FLAGSTONE_CLOCK_H_
