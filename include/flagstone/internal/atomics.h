// The atomics policy: every lock-free kernel of flagstone is a template over it, so that the same
// code runs on std::atomic in production and under a model-checking scheduler with store buffers in
// tests.
//
// A policy A supplies
//   A::Atomic<T>             load, store, exchange, compare_exchange_strong, fetch_add, fetch_or,
//                            fetch_and with std::memory_order arguments, as std::atomic has them
//   A::Announce(a, v, kind)  store v so that a HeavyBarrier() by another thread either sees v, or
//                            runs before every load the announcing thread makes after it
//   A::HeavyBarrier(kind)    the other half
//   A::Pause(spin)           one step of waiting; when `spin` grows it yields the processor, and in
//                            the end sleeps for some microseconds
//
// The asymmetric pair costs readers a plain store: maintenance pays with one membarrier(2) for
// thousands of records. Where membarrier is denied, both sides of the symmetric pair write one
// shared location, so one of them comes after the other and sees what it stored. Under
// ThreadSanitizer (which does not know membarrier) the announcer only exchanges its own slot, which
// on x86-64 is a full barrier: meeting at one location would order all readers and hide their races
// from the tool.
#ifndef FLAGSTONE_INTERNAL_ATOMICS_H_
#define FLAGSTONE_INTERNAL_ATOMICS_H_

#include <atomic>
#include <cstdint>

#include "flagstone/export.h"

// Loads have acquire order on x86-64 whatever instruction does them; "memory" keeps the compiler
// from moving accesses. ThreadSanitizer would not see it.
#if defined(__x86_64__) && !defined(__SANITIZE_THREAD__)
#if defined(__has_feature)
#if !__has_feature(thread_sanitizer)
#define FLAGSTONE_FOLDED_COMPARE
#endif
#else
#define FLAGSTONE_FOLDED_COMPARE
#endif
#endif

namespace flagstone::internal {

enum class BarrierKind : uint8_t { kSymmetric, kAsymmetric };

// kAsymmetric when membarrier(2) private expedited can be registered in this process and the build
// is not instrumented by ThreadSanitizer. Any thread; cheap after the first call.
FLAGSTONE_EXPORT BarrierKind ProbeBarrierKind();

// True when `word` holds `value`: a load with acquire order and a compare. Compilers do not fold an
// atomic load into the compare, which on the inlined read path costs three instructions of two
// dozen.
template <typename T>
[[gnu::always_inline]] inline bool HoldsAcquire(const std::atomic<T>& word, T value) {
#if defined(FLAGSTONE_FOLDED_COMPARE)
  bool holds;
  if constexpr (sizeof(T) == 8) {
    asm volatile("cmpq %2, %1" : "=@ccz"(holds) : "m"(word), "re"(value) : "memory");
  } else {
    static_assert(sizeof(T) == 1);
    asm volatile("cmpb %2, %1" : "=@ccz"(holds) : "m"(word), "qi"(value) : "memory");
  }
  return holds;
#else
  return word.load(std::memory_order_acquire) == value;
#endif
}

struct StdAtomics {
  template <typename T>
  using Atomic = std::atomic<T>;

  template <typename T>
  static void Announce(std::atomic<T>& target, T value, BarrierKind kind) {
    if (kind == BarrierKind::kAsymmetric) [[likely]] {
      target.store(value, std::memory_order_release);
      // Compiler order only; the processor's order is bought by HeavyBarrier().
      std::atomic_signal_fence(std::memory_order_seq_cst);
    } else {
      target.exchange(value, std::memory_order_seq_cst);
      MeetHeavyBarrier();
    }
  }

  FLAGSTONE_EXPORT static void MeetHeavyBarrier();

  FLAGSTONE_EXPORT static void HeavyBarrier(BarrierKind kind);
  FLAGSTONE_EXPORT static void Pause(uint32_t spin);
};

}  // namespace flagstone::internal

#endif  // FLAGSTONE_INTERNAL_ATOMICS_H_
