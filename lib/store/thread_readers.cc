#include "lib/store/thread_readers.h"

#include <unistd.h>

#include <atomic>
#include <utility>

#include "flagstone/store.h"

namespace flagstone {

thread_local constinit internal::ThreadReader internal::thread_reader{};

namespace store {
namespace {

uint64_t NextSerial() {
  static std::atomic<uint64_t> last{0};
  return last.fetch_add(1, std::memory_order_relaxed) + 1;
}

}  // namespace

// Ends with the thread, and gives its readers back to the stores that are still there.
class ThreadReaders::Kept {
 public:
  // nullptr in destructors that run after its own.
  static Kept* OfThisThread() {
    if (ended_) return nullptr;
    thread_local Kept kept;
    return &kept;
  }

  ~Kept() {
    ended_ = true;
    internal::thread_reader = {};
    // The child of a fork has copies of locks that nobody there will open.
    if (process_ != getpid()) return;
    for (const Entry& entry : entries_) {
      if (const std::shared_ptr<ThreadReaders> readers = entry.readers.lock()) {
        readers->GiveBack(entry.reader);
      }
    }
  }

  Reader* Find(uint64_t serial) const {
    for (const Entry& entry : entries_) {
      if (entry.serial == serial) return entry.reader;
    }
    return nullptr;
  }
  // Makes room: after it Add() does not fail.
  void Reserve() {
    std::erase_if(entries_, [](const Entry& entry) { return entry.readers.expired(); });
    entries_.reserve(entries_.size() + 1);
  }
  void Add(uint64_t serial, std::weak_ptr<ThreadReaders> readers, Reader* reader) {
    entries_.push_back({serial, std::move(readers), reader});
  }

 private:
  struct Entry {
    uint64_t serial;
    std::weak_ptr<ThreadReaders> readers;
    Reader* reader;
  };
  static thread_local constinit bool ended_;
  const pid_t process_ = getpid();
  std::vector<Entry> entries_;
};

thread_local constinit bool ThreadReaders::Kept::ended_ = false;

ThreadReaders::ThreadReaders(Open open) : serial_(NextSerial()), open_(std::move(open)) {}

Result<Reader*> ThreadReaders::OfThisThread() {
  if (closed_.load(std::memory_order_acquire)) {
    return Status::Error(StatusCode::kFailedPrecondition,
                         "one-call read of a store that is closed; open another one");
  }
  Kept* kept = Kept::OfThisThread();
  if (kept == nullptr) {
    return Status::Error(StatusCode::kFailedPrecondition,
                         "one-call read while the thread ends: its reader is already given back; "
                         "use a session in destructors of thread-local objects");
  }
  if (Reader* reader = kept->Find(serial_)) return reader;
  kept->Reserve();
  Reader* reader = nullptr;
  {
    base::MutexLock lock(&mutex_);
    if (free_.empty()) {
      free_.reserve(readers_.size() + 1);  // so that GiveBack() does not fail
      readers_.reserve(readers_.size() + 1);
      Result<std::unique_ptr<Reader>> opened = open_();
      if (!opened.ok()) return std::move(opened).status();
      readers_.push_back(*std::move(opened));
      reader = readers_.back().get();
    } else {
      reader = free_.back();
      free_.pop_back();
    }
  }
  kept->Add(serial_, weak_from_this(), reader);
  return reader;
}

void ThreadReaders::Close() {
  Refuse();
  base::MutexLock lock(&mutex_);
  free_.clear();
  readers_.clear();
}

void ThreadReaders::GiveBack(Reader* reader) {
  base::MutexLock lock(&mutex_);
  if (!readers_.empty()) free_.push_back(reader);
}

}  // namespace store
}  // namespace flagstone
