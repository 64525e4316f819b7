#include "bench/kit/cycle_timer.h"

namespace flagstone::bench {
namespace {

double Calibrate() {
  using SteadyClock = std::chrono::steady_clock;
  const SteadyClock::time_point begin = SteadyClock::now();
  const uint64_t first = CycleTimer::Now();
  while (SteadyClock::now() - begin < std::chrono::milliseconds(20)) {
  }
  const uint64_t last = CycleTimer::Now();
  const auto passed = std::chrono::duration<double, std::nano>(SteadyClock::now() - begin);
  return passed.count() / static_cast<double>(last - first);
}

}  // namespace

double CycleTimer::NanosecondsPerTick() {
  static const double nanoseconds = Calibrate();
  return nanoseconds;
}

}  // namespace flagstone::bench
