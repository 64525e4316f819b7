// The 24-byte header of every slot, its bit fields, and which version of a record a reader sees.
//
//     word     bits 63..                                          meaning
//     id       | look closer 1 | record ID               63 |  0 while the slot holds no record
//     version  | begin timestamp 52 | state 4 | schema       8 |  when this version became true
//     link     | newest 30 | older 30 | flags                4 |  version slot numbers, 0 = none
//
// A record's newest-first chain, newest to oldest:
//
//     home.link.newest -> V3 -> V2 -> (older = 0) -> home's own payload -> home.link.older -> V0
//
// Place       The innermost kernel of the store; readers, transactions and reclamation share it.
// Invariants  1. A payload byte changes only while no reader can reach it: after a store that sends
//                readers elsewhere (id, link), a heavy barrier, and a scan that finds neither a pin
//                older than the barrier nor a guard on the slot.
//             2. The words of a published home slot are written by who holds its lock bit, and the
//                ID once more by the commit that inserted it, when the horizon covers it.
//             3. The version word of a version slot does not change while anyone can reach it.
//             4. In the newer part of a chain, link.older = 0 leads to the home slot's own payload.
//             5. An ID word without kLookCloser says: live, at home, covered by the horizon. One
//                load answers the read.
// Threads     All functions here: any thread; FindVisible() under a pin.
// Cost        A settled record at home: one cache line.
// See         docs/format/slab.md, docs/internals/concurrency.md,
//             tests/model/version_chain_model_test.cc
#ifndef FLAGSTONE_INTERNAL_SLOT_H_
#define FLAGSTONE_INTERNAL_SLOT_H_

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "flagstone/internal/atomics.h"

namespace flagstone::internal {

// Commit timestamps are dense from 1; 0 is before every commit.
using Timestamp = uint64_t;
inline constexpr Timestamp kTimestampMax = (uint64_t{1} << 52) - 1;

// --- version word

inline constexpr int kBeginShift = 12;
inline constexpr uint64_t kStateMask = uint64_t{0xf} << 8;
// The slot holds a readable value. Never-used (zero) and free slots have no state bit.
inline constexpr uint64_t kLive = uint64_t{1} << 8;
// The version says that the record is deleted.
inline constexpr uint64_t kTombstone = uint64_t{2} << 8;
inline constexpr uint64_t kSchemaMask = 0xff;

constexpr Timestamp BeginOf(uint64_t version) { return version >> kBeginShift; }
constexpr uint64_t VersionWord(Timestamp begin, uint64_t state, uint64_t schema = 0) {
  return (begin << kBeginShift) | state | schema;
}

// --- link word

// Number of a version slot within its size class; 0 = none.
using VersionLink = uint32_t;
inline constexpr int kLinkBits = 30;
inline constexpr VersionLink kLinkMax = (uint32_t{1} << kLinkBits) - 1;
inline constexpr int kNewestShift = 34;
inline constexpr int kOlderShift = 4;
inline constexpr uint64_t kNewestMask = uint64_t{kLinkMax} << kNewestShift;
inline constexpr uint64_t kOlderMask = uint64_t{kLinkMax} << kOlderShift;
// A transaction is changing the record; another one that wants to is told CONFLICT.
inline constexpr uint64_t kLocked = 1;
// Maintenance is tidying the record: held for well under a microsecond, waited for.
inline constexpr uint64_t kTidying = 2;
// The record stands in a session's list of changed records that maintenance will visit next.
inline constexpr uint64_t kQueued = 4;
// The record stands in the list of those that wait for a snapshot to end.
inline constexpr uint64_t kDeferred = 8;
inline constexpr uint64_t kLinkFlagsMask = 15;

constexpr VersionLink NewestOf(uint64_t link) {
  return static_cast<VersionLink>((link & kNewestMask) >> kNewestShift);
}
constexpr VersionLink OlderOf(uint64_t link) {
  return static_cast<VersionLink>((link & kOlderMask) >> kOlderShift);
}
constexpr uint64_t LinkWord(VersionLink newest, VersionLink older, uint64_t flags = 0) {
  return (uint64_t{newest} << kNewestShift) | (uint64_t{older} << kOlderShift) | flags;
}

// --- ID word

// The top bit of an ID is 0. In the ID word of a home slot it says that the payload there is not,
// or not yet, what a reader of the latest state wants: the horizon may not cover it, or there is a
// newer version.
inline constexpr uint64_t kLookCloser = uint64_t{1} << 63;
constexpr uint64_t IdOf(uint64_t id_word) { return id_word & ~kLookCloser; }

// --- the header

template <typename A>
struct BasicSlotHeader {
  typename A::template Atomic<uint64_t> id;       // written by commit, homecoming, reclamation
  typename A::template Atomic<uint64_t> version;  // written by commit, homecoming
  typename A::template Atomic<uint64_t> link;     // written under the lock bits; read by all
};

using SlotHeader = BasicSlotHeader<StdAtomics>;
inline constexpr size_t kSlotHeaderBytes = 24;
static_assert(sizeof(SlotHeader) == kSlotHeaderBytes);

inline char* PayloadOf(SlotHeader* slot) {
  return reinterpret_cast<char*>(slot) + kSlotHeaderBytes;
}
inline const char* PayloadOf(const SlotHeader* slot) {
  return reinterpret_cast<const char*>(slot) + kSlotHeaderBytes;
}

// True when `id` is answered by the slot's own payload for a reader of the latest state: the record
// is at home, live and settled. The caller has announced a guard on the slot before.
template <typename A>
inline bool ReadableAtHome(const BasicSlotHeader<A>& home, uint64_t id) {
  return home.id.load(std::memory_order_acquire) == id;
}

// The newest version of record `id` with a begin timestamp at or below `bound`: live, tombstone, or
// nullptr when there is none. `slots` translates links: `slots.At(VersionLink) ->
// BasicSlotHeader<A>*`. The caller is pinned, and has loaded `bound` from a snapshot or, for the
// latest state, from the horizon after the pin.
template <typename A, typename VersionSlots>
BasicSlotHeader<A>* FindVisible(BasicSlotHeader<A>& home, uint64_t id, Timestamp bound,
                                const VersionSlots& slots) {
  if (IdOf(home.id.load(std::memory_order_acquire)) != id) return nullptr;
  const uint64_t link = home.link.load(std::memory_order_acquire);
  const auto newest_within = [&](VersionLink from) -> BasicSlotHeader<A>* {
    while (from != 0) {
      BasicSlotHeader<A>* version = slots.At(from);
      if (BeginOf(version->version.load(std::memory_order_acquire)) <= bound) return version;
      from = OlderOf(version->link.load(std::memory_order_acquire));
    }
    return nullptr;
  };
  if (BasicSlotHeader<A>* newer = newest_within(NewestOf(link)); newer != nullptr) return newer;
  const uint64_t own = home.version.load(std::memory_order_acquire);
  // A free slot: its link word belongs to the list of free slots.
  if ((own & kStateMask) == 0) return nullptr;
  if (BeginOf(own) <= bound) return &home;
  return newest_within(OlderOf(link));
}

}  // namespace flagstone::internal

#endif  // FLAGSTONE_INTERNAL_SLOT_H_
