#include "flagstone/internal/atomics.h"

#include <linux/membarrier.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <ctime>

#include "lib/base/check.h"

namespace flagstone::internal {
namespace {

// Spins this often before the processor is given away: about a microsecond, longer than any commit
// window of a running thread, far shorter than a time slice.
constexpr uint32_t kSpinsBeforeYield = 64;
// Yields this often before it sleeps: whoever is waited for has lost its processor to others than
// us, and gets one the sooner the fewer threads ask for it.
constexpr uint32_t kSpinsBeforeSleep = 128;
constexpr timespec kSleep = {0, 50'000};

// The location both halves of the symmetric pair meet on: its modifications are totally ordered,
// and each one sees all that came before the earlier ones.
std::atomic<uint64_t> symmetric_meeting_point{0};

#if defined(__SANITIZE_THREAD__)
constexpr bool kThreadSanitizer = true;
#else
constexpr bool kThreadSanitizer = false;
#endif

BarrierKind Probe() {
  if (kThreadSanitizer) return BarrierKind::kSymmetric;
  const long registered = syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0);
  return registered == 0 ? BarrierKind::kAsymmetric : BarrierKind::kSymmetric;
}

}  // namespace

BarrierKind ProbeBarrierKind() {
  static const BarrierKind kind = Probe();
  return kind;
}

void StdAtomics::MeetHeavyBarrier() {
  if (!kThreadSanitizer) symmetric_meeting_point.fetch_add(1, std::memory_order_seq_cst);
}

void StdAtomics::HeavyBarrier(BarrierKind kind) {
  if (kind == BarrierKind::kAsymmetric) {
    const long done = syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0);
    FLAGSTONE_CHECK(done == 0);
  } else {
    symmetric_meeting_point.fetch_add(1, std::memory_order_seq_cst);
  }
}

void StdAtomics::Pause(uint32_t spin) {
  if (spin < kSpinsBeforeYield) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    asm volatile("yield");
#endif
  } else if (spin < kSpinsBeforeSleep) {
    sched_yield();
  } else {
    nanosleep(&kSleep, nullptr);
  }
}

}  // namespace flagstone::internal
