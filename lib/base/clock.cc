#include "flagstone/clock.h"

#include <time.h>

#include "lib/base/check.h"

namespace flagstone {
namespace {

constexpr int64_t kNanosPerSecond = 1'000'000'000;

timespec ReadHostClock(clockid_t id) {
  timespec now;
  // Fails only for a clock the kernel does not know; these three are older than every kernel we run
  // on.
  FLAGSTONE_CHECK(clock_gettime(id, &now) == 0);
  return now;
}

int64_t NanosOf(const timespec& time) {
  return int64_t{time.tv_sec} * kNanosPerSecond + time.tv_nsec;
}

class HostClock final : public Clock {
 public:
  int64_t UnixNanos() override { return NanosOf(ReadHostClock(CLOCK_REALTIME)); }
  int64_t UnixSecondsCoarse() override { return ReadHostClock(CLOCK_REALTIME_COARSE).tv_sec; }
  int64_t MonotonicNanos() override { return NanosOf(ReadHostClock(CLOCK_MONOTONIC)); }
};

}  // namespace

Clock& SystemClock() {
  // Never destroyed: threads of the host may still ask for the time while statics are torn down.
  static HostClock* const clock = new HostClock;
  return *clock;
}

}  // namespace flagstone
