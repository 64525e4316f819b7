// How a change becomes visible: the stores of a commit, in their order.
//
// Place       Sessions publish with these; tests/model runs the same templates under every
//             interleaving.
// Invariants  1. Payload, ID, link and version word of a new version are written before the store
//                that lets readers reach it: the home's link word, or an inserted record's ID.
//             2. A version is linked before the horizon covers it, and settled after.
//             3. The commit is pinned from before Reserve() until it has settled its versions: no
//                cycle of maintenance that could move or free them passes in between, so settling
//                is a plain store.
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
  version.version.store(internal::VersionWord(at, state | internal::kUnsettled),
                        std::memory_order_relaxed);
  const uint64_t deferred = link_before & internal::kDeferred;
  Unlock(home,
         internal::LinkWord(link, internal::OlderOf(link_before), internal::kQueued | deferred));
}

// Gives a slot, whose payload is written, to its new ID.
template <typename A>
inline void PublishInsert(internal::BasicSlotHeader<A>& home, uint64_t id, internal::Timestamp at) {
  home.link.store(0, std::memory_order_relaxed);
  home.version.store(internal::VersionWord(at, internal::kLive | internal::kUnsettled),
                     std::memory_order_relaxed);
  home.id.store(id, std::memory_order_release);
}

// The horizon covers `at`: from now on readers need not look at it.
template <typename A>
inline void Settle(internal::BasicSlotHeader<A>& slot, internal::Timestamp at, uint64_t state) {
  slot.version.store(internal::VersionWord(at, state), std::memory_order_release);
}

// One commit: `publish(at)` and `settle(at)` store all of its versions.
template <typename A, typename Participant, typename Publish, typename Settle>
inline internal::Timestamp CommitPinned(Participant& participant, BasicCommitClock<A>& clock,
                                        Publish&& publish, Settle&& settle) {
  internal::PinScope pin(participant);
  const internal::Timestamp at = clock.Reserve();
  publish(at);
  clock.Complete(at);
  settle(at);
  return at;
}

}  // namespace flagstone::txn

#endif  // FLAGSTONE_LIB_TXN_PUBLISH_H_
