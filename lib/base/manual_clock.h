// ManualClock: a clock that moves only when told to; what simulation and unit tests run on.
//
// Life        Starts at a given wall time, with monotonic time 0.
// Invariants  1. Advance() moves both clocks, as time does.
//             2. SetWall() and StepWall() move the wall clock alone, as an operator or NTP does.
// Threads     All calls: any thread. Two readings are not taken at one moment.
#ifndef FLAGSTONE_LIB_BASE_MANUAL_CLOCK_H_
#define FLAGSTONE_LIB_BASE_MANUAL_CLOCK_H_

#include <atomic>
#include <cstdint>

#include "flagstone/clock.h"

namespace flagstone::base {

class ManualClock final : public Clock {
 public:
  static constexpr int64_t kNanosPerSecond = 1'000'000'000;

  explicit ManualClock(int64_t unix_seconds) : wall_nanos_(unix_seconds * kNanosPerSecond) {}

  int64_t UnixNanos() override { return wall_nanos_.load(std::memory_order_acquire); }
  int64_t UnixSecondsCoarse() override {
    const int64_t nanos = UnixNanos();
    // Rounds towards the past on both sides of 1970.
    return nanos / kNanosPerSecond - (nanos % kNanosPerSecond < 0 ? 1 : 0);
  }
  int64_t MonotonicNanos() override { return monotonic_nanos_.load(std::memory_order_acquire); }

  // Time passes. `nanos` must not be negative.
  void AdvanceNanos(int64_t nanos) {
    AdvanceFrozenNanos(nanos);
    wall_nanos_.fetch_add(nanos, std::memory_order_acq_rel);
  }
  void AdvanceSeconds(int64_t seconds) { AdvanceNanos(seconds * kNanosPerSecond); }
  // Time passes, but the wall clock stands still.
  void AdvanceFrozenNanos(int64_t nanos) {
    monotonic_nanos_.fetch_add(nanos, std::memory_order_acq_rel);
  }
  void AdvanceFrozenSeconds(int64_t seconds) { AdvanceFrozenNanos(seconds * kNanosPerSecond); }
  // The wall clock is set; no time passes.
  void SetWallSeconds(int64_t unix_seconds) {
    wall_nanos_.store(unix_seconds * kNanosPerSecond, std::memory_order_release);
  }
  // The wall clock is stepped, either way; no time passes.
  void StepWallSeconds(int64_t seconds) {
    wall_nanos_.fetch_add(seconds * kNanosPerSecond, std::memory_order_acq_rel);
  }

 private:
  std::atomic<int64_t> wall_nanos_;
  std::atomic<int64_t> monotonic_nanos_{0};
};

}  // namespace flagstone::base

#endif  // FLAGSTONE_LIB_BASE_MANUAL_CLOCK_H_
