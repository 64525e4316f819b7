// The lock bits of a record: first updater wins.
//
// Place       In the link word of the home slot. A transaction holds kLocked from its first write
//             to its end; maintenance holds kTidying for the time of one visit.
// Invariants  1. The link word of a home slot changes only by who holds a bit of it; who holds one
//                releases it with the store that publishes the change.
//             2. The caller is pinned and found its ID in the slot before it tries; after it has
//                the lock it looks again, because reclamation may have been there in between.
// Threads     Any.
#ifndef FLAGSTONE_LIB_TXN_RECORD_LOCK_H_
#define FLAGSTONE_LIB_TXN_RECORD_LOCK_H_

#include <cstdint>
#include <optional>

#include "flagstone/internal/slot.h"

namespace flagstone::txn {

// Takes the record for a transaction. The link word as it was before; nullopt when another
// transaction has it. Waits for maintenance, which holds a record for a fraction of a microsecond,
// or for milliseconds if it has thousands of versions.
template <typename A>
std::optional<uint64_t> TryLockForChange(internal::BasicSlotHeader<A>& home) {
  for (uint32_t spin = 0;; ++spin) {
    uint64_t link = home.link.load(std::memory_order_acquire);
    if (link & internal::kLocked) return std::nullopt;
    if (link & internal::kTidying) {
      A::Pause(spin);
      continue;
    }
    if (home.link.compare_exchange_strong(link, link | internal::kLocked,
                                          std::memory_order_acq_rel)) {
      return link;
    }
  }
}

// Takes the record for maintenance; nullopt when a transaction has it.
template <typename A>
std::optional<uint64_t> TryLockForTidying(internal::BasicSlotHeader<A>& home) {
  uint64_t link = home.link.load(std::memory_order_acquire);
  if (link & (internal::kLocked | internal::kTidying)) return std::nullopt;
  if (!home.link.compare_exchange_strong(link, link | internal::kTidying,
                                         std::memory_order_acq_rel)) {
    return std::nullopt;
  }
  return link;
}

// Ends either lock and publishes `link`, which has neither bit.
template <typename A>
void Unlock(internal::BasicSlotHeader<A>& home, uint64_t link) {
  home.link.store(link, std::memory_order_release);
}

}  // namespace flagstone::txn

#endif  // FLAGSTONE_LIB_TXN_RECORD_LOCK_H_
