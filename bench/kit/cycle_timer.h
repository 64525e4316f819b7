// CycleTimer: the clock for single operations of some tens of nanoseconds.
//
// On x86-64 the time-stamp counter between two fences, so that exactly the operation lies between
// the two readings; it costs about 20 ns, the same for every contestant. Elsewhere the steady
// clock.
#ifndef FLAGSTONE_BENCH_KIT_CYCLE_TIMER_H_
#define FLAGSTONE_BENCH_KIT_CYCLE_TIMER_H_

#include <chrono>
#include <cstdint>

namespace flagstone::bench {

class CycleTimer {
 public:
  static uint64_t Now() {
#if defined(__x86_64__)
    uint32_t low = 0;
    uint32_t high = 0;
    asm volatile(
        "lfence\n\t"
        "rdtsc\n\t"
        "lfence"
        : "=a"(low), "=d"(high)
        :
        : "memory");
    return (uint64_t{high} << 32) | low;
#else
    return static_cast<uint64_t>(std::chrono::steady_clock::now().time_since_epoch().count());
#endif
  }

  // Measured once against the steady clock: 20 ms at the first call.
  static double NanosecondsPerTick();
};

}  // namespace flagstone::bench

#endif  // FLAGSTONE_BENCH_KIT_CYCLE_TIMER_H_
