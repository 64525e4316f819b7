// How a change becomes visible: the stores of a commit, in their order.
//
// Place       Sessions publish with these; tests/model runs the same templates under every
//             interleaving.
// Invariants  1. Payload, ID, link and version word of a new version are written before the store
//                that lets readers reach it: the home's link word, or an inserted record's ID.
//             2. The home's ID word says kLookCloser before the horizon covers the commit. An
//                insert takes it away after; an update leaves that to homecoming.
//             3. Nobody changes a record that its insert has not settled (AwaitSettled()), so the
//                insert's last store needs no lock and no pin.
// Threads     The holder of the record's lock, or of the slot no one else knows.
#ifndef FLAGSTONE_LIB_TXN_PUBLISH_H_
#define FLAGSTONE_LIB_TXN_PUBLISH_H_

#include <cstdint>

#include "flagstone/internal/participant.h"
#include "flagstone/internal/slot.h"
#include "lib/txn/commit_clock.h"
#include "lib/txn/record_lock.h"

namespace flagstone::txn {

// Links `version`, whose payload is written, on top of a locked record and unlocks it.
template <typename A>
inline void PublishVersion(internal::BasicSlotHeader<A>& home,
                           internal::BasicSlotHeader<A>& version, internal::VersionLink link,
                           uint64_t link_before, uint64_t id, internal::Timestamp at,
                           uint64_t state) {
  version.id.store(id, std::memory_order_relaxed);
  version.link.store(internal::LinkWord(0, internal::NewestOf(link_before)),
                     std::memory_order_relaxed);
  version.version.store(internal::VersionWord(at, state), std::memory_order_relaxed);
  home.id.store(id | internal::kLookCloser, std::memory_order_release);
  const uint64_t deferred = link_before & internal::kDeferred;
  Unlock(home,
         internal::LinkWord(link, internal::OlderOf(link_before), internal::kQueued | deferred));
}

// Gives a slot, whose payload is written, to its new ID.
template <typename A>
inline void PublishInsert(internal::BasicSlotHeader<A>& home, uint64_t id, internal::Timestamp at) {
  home.link.store(0, std::memory_order_relaxed);
  home.version.store(internal::VersionWord(at, internal::kLive), std::memory_order_relaxed);
  home.id.store(id | internal::kLookCloser, std::memory_order_release);
}

// The horizon covers the insert of `id`: from now on one load answers a read.
template <typename A>
inline void SettleInsert(internal::BasicSlotHeader<A>& home, uint64_t id) {
  home.id.store(id, std::memory_order_release);
}

// Before a record whose lock was just taken is changed. One without newer version that is not
// readable at home was inserted by a commit that is completing now: its last store settles the ID
// word, and must not come after one of ours. `link` is the link word before the lock.
template <typename A>
inline void AwaitSettled(const internal::BasicSlotHeader<A>& home, uint64_t link) {
  if (internal::NewestOf(link) != 0) return;
  for (uint32_t spin = 0; (home.id.load(std::memory_order_acquire) & internal::kLookCloser) != 0;
       ++spin) {
    A::Pause(spin);
  }
}

// One commit: `publish(at)` stores all of its versions. Returns when the horizon covers them.
template <typename Clock, typename Publish>
inline internal::Timestamp CommitInOrder(Clock& clock, Publish&& publish) {
  const internal::Timestamp at = clock.Reserve();
  publish(at);
  clock.Complete(at);
  return at;
}

}  // namespace flagstone::txn

#endif  // FLAGSTONE_LIB_TXN_PUBLISH_H_
