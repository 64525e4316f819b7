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

#include <mutex>

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

 private:
  // About five microseconds: a writer who meets maintenance at a pool of slots goes on without
  // having slept, or having been woken.
  static constexpr int kTriesMax = 128;

  void LockContended() {
    for (int tries = 0; tries < kTriesMax; ++tries) {
      internal::StdAtomics::Pause(0);
      if (mutex_.try_lock()) return;
    }
    mutex_.lock();
  }

  std::mutex mutex_;
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
