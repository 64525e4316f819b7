// The memory account: one limit for everything a store uses, counted where memory is taken.
//
// Place       Below all modules that hold memory (slabs, versions, indexes, caches, log buffers).
//             It counts; it allocates nothing itself.
// Invariants  1. used_bytes never exceeds the limit; general charges never exceed it less the
//                delete reserve.
//             2. What a component has charged is what it must release.
// Threads     Any, without a lock: compare-exchange loops on two counters. A charge that is refused
//             by the total gives its component's count back, so for that moment another charge of
//             the same component may be refused too: limits are never passed, refusals may come
//             early.
// Errors      RESOURCE_EXHAUSTED that names component, bytes asked, bytes used, the limit, and the
//             option to raise.
// Cost        Two uncontended read-modify-writes. Callers charge extents and chunks, not records.
// See         tests/unit/base/memory_account_test.cc
#ifndef FLAGSTONE_LIB_BASE_MEMORY_ACCOUNT_H_
#define FLAGSTONE_LIB_BASE_MEMORY_ACCOUNT_H_

#include <atomic>
#include <cstdint>
#include <utility>

#include "flagstone/memory_usage.h"
#include "flagstone/status.h"

namespace flagstone::base {

// Which part of the limit a charge may use.
enum class MemoryPool : uint8_t {
  kGeneral,        // everything but the delete reserve, and within the component's own limit
  kDeleteReserve,  // all of the limit: deletes, reclamation, and the sessions that see to it, so
                   // that a full store can be read and emptied
};

class MemoryAccount {
 public:
  // `options` has passed Validate().
  explicit MemoryAccount(const MemoryOptions& options);
  MemoryAccount(const MemoryAccount&) = delete;
  MemoryAccount& operator=(const MemoryAccount&) = delete;

  // Takes `bytes` for the component, wholly or not at all.
  Status Charge(MemoryComponent component, uint64_t bytes, MemoryPool pool = MemoryPool::kGeneral);
  // Gives back what was charged. Stops on giving back more than that: a broken invariant of ours.
  void Release(MemoryComponent component, uint64_t bytes);

  MemoryUsage Usage() const;
  uint64_t used_bytes() const { return used_bytes_.load(std::memory_order_relaxed); }
  uint64_t limit_bytes() const { return limit_bytes_; }

 private:
  Status Refuse(MemoryComponent component, uint64_t bytes, MemoryPool pool, uint64_t used_bytes,
                uint64_t limit_bytes, bool own_limit);

  // Set at construction.
  const uint64_t limit_bytes_;
  const uint64_t delete_reserve_bytes_;
  const PerMemoryComponent<uint64_t> component_limit_bytes_;

  // Counters: written by any thread. Relaxed, because they publish no memory: the bytes they count
  // are handed over by whatever handed over the pointer.
  std::atomic<uint64_t> used_bytes_{0};
  std::atomic<uint64_t> used_bytes_peak_{0};
  std::atomic<uint64_t> refused_charge_count_{0};
  PerMemoryComponent<std::atomic<uint64_t>> component_used_bytes_;
};

// A charge that ends with its holder. Move-only.
class [[nodiscard]] MemoryCharge {
 public:
  MemoryCharge() = default;
  static Result<MemoryCharge> Take(MemoryAccount& account, MemoryComponent component,
                                   uint64_t bytes, MemoryPool pool = MemoryPool::kGeneral);
  MemoryCharge(MemoryCharge&& other) noexcept { *this = std::move(other); }
  MemoryCharge& operator=(MemoryCharge&& other) noexcept;
  ~MemoryCharge() { Release(); }

  uint64_t bytes() const { return bytes_; }
  // Gives the bytes back now.
  void Release();
  // Gives back all but `bytes`, which is at most bytes().
  void ShrinkTo(uint64_t bytes);
  // The holder counts the bytes by other means from here on.
  void Commit() { bytes_ = 0; }

 private:
  MemoryCharge(MemoryAccount& account, MemoryComponent component, uint64_t bytes)
      : account_(&account), component_(component), bytes_(bytes) {}

  MemoryAccount* account_ = nullptr;
  MemoryComponent component_ = MemoryComponent::kOther;
  uint64_t bytes_ = 0;
};

}  // namespace flagstone::base

#endif  // FLAGSTONE_LIB_BASE_MEMORY_ACCOUNT_H_
