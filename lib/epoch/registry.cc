#include "lib/epoch/registry.h"

#include <sys/mman.h>

#include <cerrno>
#include <cstring>
#include <new>
#include <string>

#include "lib/base/check.h"

namespace flagstone::epoch {
namespace {

// The first participant-sized piece holds the mark that a fork wipes.
constexpr size_t kHeaderBytes = internal::kParticipantBytes;
constexpr uint64_t kAlive = 1;

}  // namespace

Result<std::unique_ptr<Registry>> Registry::Create(uint32_t count_max,
                                                   uint32_t guards_per_session) {
  FLAGSTONE_CHECK(count_max > 0);
  FLAGSTONE_CHECK(guards_per_session > 0 && guards_per_session <= internal::kGuardSlotCountMax);
  const size_t bytes = kHeaderBytes + size_t{count_max} * internal::kParticipantBytes;
  void* pages = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (pages == MAP_FAILED) {
    return Status::Error(StatusCode::kResourceExhausted,
                         "session table: mmap of " + std::to_string(bytes) + " bytes for " +
                             std::to_string(count_max) +
                             " sessions failed: " + std::strerror(errno) +
                             "; lower sessions_max, or raise the limits of address space and data "
                             "(ulimit -v, ulimit -d)");
  }
  // Kernels before 4.14 do not know it; then a forked child is only told apart by Store's own
  // calls.
  static_cast<void>(madvise(pages, bytes, MADV_WIPEONFORK));
  return std::unique_ptr<Registry>(
      new Registry(static_cast<char*>(pages), bytes, count_max, guards_per_session));
}

Registry::Registry(char* pages, size_t pages_bytes, uint32_t count_max, uint32_t guards_per_session)
    : pages_(pages),
      pages_bytes_(pages_bytes),
      alive_(new (pages) uint64_t(kAlive)),
      participants_(pages + kHeaderBytes),
      count_max_(count_max),
      guards_per_session_(guards_per_session),
      barrier_kind_(internal::ProbeBarrierKind()) {
  free_.reserve(count_max);
}

Registry::~Registry() { munmap(pages_, pages_bytes_); }

Result<internal::Participant*> Registry::Join() {
  base::MutexLock lock(&mutex_);
  internal::Participant* participant = nullptr;
  if (!free_.empty()) {
    participant = free_.back();
    free_.pop_back();
  } else {
    const uint32_t used = used_count_.load(std::memory_order_relaxed);
    if (used == count_max_) {
      return Status::Error(StatusCode::kResourceExhausted,
                           "all " + std::to_string(count_max_) +
                               " sessions are open; close one or raise StoreOptions::sessions_max");
    }
    participant =
        new (participants_ + size_t{used} * internal::kParticipantBytes) internal::Participant();
    used_count_.store(used + 1, std::memory_order_release);
  }
  participant->Open(static_cast<int>(guards_per_session_), barrier_kind_);
  return participant;
}

void Registry::Leave(internal::Participant* participant) {
  FLAGSTONE_CHECK(!participant->HoldsGuard());
  FLAGSTONE_CHECK(participant->pin_depth == 0);
  FLAGSTONE_CHECK(participant->snapshot.load(std::memory_order_relaxed) == 0);
  base::MutexLock lock(&mutex_);
  free_.push_back(participant);
}

uint32_t Registry::joined_count() const {
  base::MutexLock lock(&mutex_);
  return used_count_.load(std::memory_order_relaxed) - static_cast<uint32_t>(free_.size());
}

}  // namespace flagstone::epoch
