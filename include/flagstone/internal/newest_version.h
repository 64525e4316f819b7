// The newest version of a record whose payload at home is not the latest: found by two guards,
// without a pin.
//
// Place       The second look of an inlined read, when the home slot's ID word says kLookCloser.
//             What it does not answer (a deleted record, a commit on its way, no second guard slot)
//             is left to SessionCore::Read().
// Invariants  1. The home slot is guarded from before its ID word was loaded until the version is:
//                so the slot stays this record's, and its extent this table's.
//             2. The version is guarded before the link to it is loaded a second time. A link that
//                still leads to it then was not unlinked before the guard could be seen, so whoever
//                unlinks it later finds the guard (hazard pointers; Michael, PODC 2002, with an
//                asymmetric barrier).
//             3. A version is answered only when the horizon covers it: at the moment when it came
//                to do so, or at the second load of the link if that was later, it was the latest.
// Threads     The user of the participant.
// Cost        Two cache lines of shared memory, one after the other, and the horizon's.
// See         docs/internals/concurrency.md, tests/model/reclamation_model_test.cc
#ifndef FLAGSTONE_INTERNAL_NEWEST_VERSION_H_
#define FLAGSTONE_INTERNAL_NEWEST_VERSION_H_

#include <cstdint>

#include "flagstone/internal/participant.h"
#include "flagstone/internal/slot.h"

namespace flagstone::internal {

// Guards the newest version of the record in `home` with `guard`, a free guard slot. nullptr, and
// `guard` free again: not to be answered here. `slots` as for FindVisible().
template <typename A, int kGuardSlotCount, typename VersionSlots>
BasicSlotHeader<A>* GuardNewest(BasicParticipant<A, kGuardSlotCount>& participant,
                                typename A::template Atomic<uint64_t>& guard,
                                const BasicSlotHeader<A>& home,
                                const typename A::template Atomic<uint64_t>& horizon,
                                const VersionSlots& slots) {
  const VersionLink newest = NewestOf(home.link.load(std::memory_order_acquire));
  if (newest == 0) return nullptr;
  BasicSlotHeader<A>* const version = slots.At(newest);
  participant.Guard(guard, reinterpret_cast<uint64_t>(version));
  if (NewestOf(home.link.load(std::memory_order_acquire)) == newest) {
    const uint64_t word = version->version.load(std::memory_order_acquire);
    if ((word & kLive) != 0 && BeginOf(word) <= horizon.load(std::memory_order_acquire)) {
      return version;
    }
  }
  participant.ReleaseGuard(guard);
  return nullptr;
}

}  // namespace flagstone::internal

#endif  // FLAGSTONE_INTERNAL_NEWEST_VERSION_H_
