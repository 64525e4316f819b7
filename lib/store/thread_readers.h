// Readers of threads that keep none: each thread that makes a one-call read gets a reader of the
// store, which it keeps until the thread or the store ends.
//
// Place       Behind Store::Read(), which inlines only the look at ThreadReader
//             (flagstone/store.h).
// Life        Owned by the store. A thread that ends gives its reader to the next one that comes.
// Invariants  1. A reader belongs to one living thread, or stands in free_.
//             2. No two stores of a process have the same serial number, so what a thread remembers
//                of a store that is gone is never used.
// Threads     OfThisThread(): any. Close(): nobody uses the store any more.
// Errors      OfThisThread(): RESOURCE_EXHAUSTED when StoreOptions::sessions_max are open;
//             FAILED_PRECONDITION while the thread ends, and when the store is closed.
#ifndef FLAGSTONE_LIB_STORE_THREAD_READERS_H_
#define FLAGSTONE_LIB_STORE_THREAD_READERS_H_

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "flagstone/session.h"
#include "lib/base/mutex.h"

namespace flagstone::store {

class ThreadReaders : public std::enable_shared_from_this<ThreadReaders> {
 public:
  using Open = std::function<Result<std::unique_ptr<Reader>>()>;
  explicit ThreadReaders(Open open);

  // Never 0, never used again.
  uint64_t serial() const { return serial_; }
  Result<Reader*> OfThisThread();
  // From here on OfThisThread() answers FAILED_PRECONDITION; readers in use stay.
  void Refuse() { closed_.store(true, std::memory_order_release); }
  // Ends all of them.
  void Close();

 private:
  class Kept;  // what one thread keeps of all stores

  void GiveBack(Reader* reader);

  // set at open
  const uint64_t serial_;
  const Open open_;

  // atomic: Refuse() to OfThisThread(); what a thread remembers of a closed store is not there.
  std::atomic<bool> closed_{false};

  mutable base::Mutex mutex_;
  std::vector<std::unique_ptr<Reader>> readers_ ABSL_GUARDED_BY(mutex_);
  std::vector<Reader*> free_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace flagstone::store

#endif  // FLAGSTONE_LIB_STORE_THREAD_READERS_H_
