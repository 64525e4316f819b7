// The participants of a store: who may be reading.
//
// Place       Sessions join and leave; maintenance walks those in use.
// Invariants  1. Memory of participants is never returned before the store closes, only used again.
//             2. The pages are wiped in a forked child (MADV_WIPEONFORK): there every session has
//                no usable guard slot and alive() is false, so no call of the child goes on.
// Threads     Join(), Leave(), alive(): any. in_use(): maintenance.
// Owns        kParticipantBytes for each of `count_max` sessions, touched when first used.
#ifndef FLAGSTONE_LIB_EPOCH_REGISTRY_H_
#define FLAGSTONE_LIB_EPOCH_REGISTRY_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "flagstone/internal/participant.h"
#include "flagstone/status.h"
#include "lib/base/mutex.h"

namespace flagstone::epoch {

class Registry {
 public:
  // `guards_per_session` 1 .. kGuardSlotCountMax.
  static Result<std::unique_ptr<Registry>> Create(uint32_t count_max, uint32_t guards_per_session);
  ~Registry();
  Registry(const Registry&) = delete;
  Registry& operator=(const Registry&) = delete;

  // RESOURCE_EXHAUSTED when count_max sessions are open.
  Result<internal::Participant*> Join();
  // The participant holds no guard, pin or snapshot.
  void Leave(internal::Participant* participant);

  // False in a child of fork().
  bool alive() const { return *alive_ != 0; }
  internal::BarrierKind barrier_kind() const { return barrier_kind_; }

  // A range over every participant that was ever in use; those that left are quiet. Walk it after
  // the barrier: it loads its end when begin() is called.
  class InUse {
   public:
    explicit InUse(const Registry& registry) : registry_(registry) {}
    class Iterator {
     public:
      explicit Iterator(char* at) : at_(at) {}
      internal::Participant* operator*() const {
        return reinterpret_cast<internal::Participant*>(at_);
      }
      Iterator& operator++() {
        at_ += internal::kParticipantBytes;
        return *this;
      }
      bool operator!=(const Iterator& other) const { return at_ != other.at_; }

     private:
      char* at_;
    };
    Iterator begin() const { return Iterator(registry_.participants_); }
    Iterator end() const {
      return Iterator(registry_.participants_ +
                      registry_.used_count_.load(std::memory_order_acquire) *
                          internal::kParticipantBytes);
    }

   private:
    const Registry& registry_;
  };
  InUse in_use() const { return InUse(*this); }
  uint32_t joined_count() const;

 private:
  Registry(char* pages, size_t pages_bytes, uint32_t count_max, uint32_t guards_per_session);

  // set at open
  char* const pages_;
  const size_t pages_bytes_;
  const volatile uint64_t* const alive_;
  char* const participants_;
  const uint32_t count_max_;
  const uint32_t guards_per_session_;
  const internal::BarrierKind barrier_kind_;

  // atomic: raised by Join(), read by maintenance
  std::atomic<uint32_t> used_count_{0};

  // guarded by mutex_
  mutable base::Mutex mutex_;
  std::vector<internal::Participant*> free_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace flagstone::epoch

#endif  // FLAGSTONE_LIB_EPOCH_REGISTRY_H_
