// Mutex: std::mutex with abseil's thread annotations, for clang's analysis.
//
// Why not absl::Mutex: a distribution's abseil is not built with ThreadSanitizer, which then does
// not see that one critical section ends before the next begins, and reports every field they guard
// as a race. std::mutex is pthread's, which the tool intercepts.
//
// Threads     Any. Not recursive.
// Cost        Uncontended: one atomic exchange each way. Contended: some microseconds of trying, as
//             long as critical sections here last, then a system call on both sides. Never on the
//             path of a read.
#ifndef FLAGSTONE_LIB_BASE_MUTEX_H_
#define FLAGSTONE_LIB_BASE_MUTEX_H_

#include <absl/base/thread_annotations.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <mutex>
#include <thread>

#include "flagstone/internal/atomics.h"

namespace flagstone::base {

class ABSL_LOCKABLE Mutex {
 public:
  Mutex() = default;
  Mutex(const Mutex&) = delete;
  Mutex& operator=(const Mutex&) = delete;

  void Lock() ABSL_EXCLUSIVE_LOCK_FUNCTION() {
    if (!mutex_.try_lock()) LockContended();
  }
  void Unlock() ABSL_UNLOCK_FUNCTION() { mutex_.unlock(); }
  bool TryLock() ABSL_EXCLUSIVE_TRYLOCK_FUNCTION(true) { return mutex_.try_lock(); }

  // Between an Unlock() and the Lock() that follows it at once: lets somebody in who waits by now.
  // Without it the thread that works piece by piece has the mutex again before a sleeper is awake.
  void LetWaitersIn() {
    if (waiting_.load(std::memory_order_relaxed) == 0) return;
    const uint32_t admitted = admitted_.load(std::memory_order_relaxed);
    for (int nap = 0; nap < kNapsMax; ++nap) {
      if (waiting_.load(std::memory_order_relaxed) == 0) return;
      if (admitted_.load(std::memory_order_relaxed) != admitted) return;
      std::this_thread::sleep_for(kNap);
    }
  }

 private:
  // About five microseconds: a writer who meets maintenance at a pool of slots goes on without
  // having slept, or having been woken.
  static constexpr int kTriesMax = 128;
  // As long as a thread that was woken may wait for a processor: two milliseconds.
  static constexpr int kNapsMax = 40;
  static constexpr std::chrono::microseconds kNap{50};

  void LockContended() {
    for (int tries = 0; tries < kTriesMax; ++tries) {
      internal::StdAtomics::Pause(0);
      if (mutex_.try_lock()) return;
    }
    waiting_.fetch_add(1, std::memory_order_relaxed);
    mutex_.lock();
    waiting_.fetch_sub(1, std::memory_order_relaxed);
    admitted_.fetch_add(1, std::memory_order_relaxed);
  }

  std::mutex mutex_;
  // atomic: written by who waits, read by LetWaitersIn(). Relaxed: they are hints about time.
  std::atomic<uint32_t> waiting_{0};
  std::atomic<uint32_t> admitted_{0};
};

// Holds the mutex from its construction to the end of its scope.
class ABSL_SCOPED_LOCKABLE [[nodiscard]] MutexLock {
 public:
  explicit MutexLock(Mutex* mutex) ABSL_EXCLUSIVE_LOCK_FUNCTION(mutex) : mutex_(mutex) {
    mutex_->Lock();
  }
  ~MutexLock() ABSL_UNLOCK_FUNCTION() { mutex_->Unlock(); }
  MutexLock(const MutexLock&) = delete;
  MutexLock& operator=(const MutexLock&) = delete;

 private:
  Mutex* const mutex_;
};

}  // namespace flagstone::base

#endif  // FLAGSTONE_LIB_BASE_MUTEX_H_
