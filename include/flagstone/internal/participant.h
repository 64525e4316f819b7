// A participant is one session's side of the protocol that decides when memory may be used again:
// its pin, its guard slots and its snapshot.
//
// Place       Sessions write it with plain stores; maintenance reads all of them after a heavy
//             barrier (lib/epoch/grace.h).
// Invariants  1. A guard slot names the slot (record or version) whose bytes must stay as they are.
//                It is announced before the first load that decides what the slot holds, or under a
//                pin.
//             2. pin is odd from before the first load of a link until after the last use of what
//                the link led to, or until a guard was announced for it.
//             3. snapshot names the timestamp a transaction reads at from before its first read to
//                after its last; a timestamp is only used after it was found at or above the floor.
// Threads     Everything but the atomics belongs to the session's one user at a time.
// See         docs/internals/concurrency.md, tests/model/reclamation_model_test.cc
#ifndef FLAGSTONE_INTERNAL_PARTICIPANT_H_
#define FLAGSTONE_INTERNAL_PARTICIPANT_H_

#include <cstddef>
#include <cstdint>

#include "flagstone/internal/atomics.h"
#include "flagstone/internal/slot.h"

namespace flagstone::internal {

// Guards a session can hold at the same time: eight bytes each to scan.
inline constexpr int kGuardSlotCountMax = 64;

// What a guard slot holds when it names no slot; slots are 8-byte aligned, so these are no
// addresses. Not to be used: beyond the session's limit.
inline constexpr uint64_t kGuardUnusable = 0;
inline constexpr uint64_t kGuardFree = 1;
constexpr bool NamesSlot(uint64_t guard) { return guard > kGuardFree; }

// A snapshot word is (timestamp + 1) << 12 | a number that tells two snapshots of the same
// timestamp apart; 0 = none.
inline constexpr int kSnapshotSerialBits = 12;
constexpr uint64_t SnapshotWord(Timestamp at, uint64_t serial) {
  return ((at + 1) << kSnapshotSerialBits) | (serial & ((1u << kSnapshotSerialBits) - 1));
}
constexpr Timestamp TimestampOf(uint64_t snapshot_word) {
  return (snapshot_word >> kSnapshotSerialBits) - 1;
}

inline constexpr uint64_t kUpdaterRuns = uint64_t{1} << 63;

// Which reads of the session's transaction a look at the home slot may answer.
struct HomeReads {
  Timestamp bound = 0;   // those of versions up to here; 0: none, no transaction is running
  uint64_t changed = 0;  // not those of records that it changed itself: a bit for each, by BitOf()
  bool any = false;      // there were some: the isolation level is fixed

  static uint64_t BitOf(uint64_t id) { return uint64_t{1} << (id * 0x9e3779b97f4a7c15 >> 58); }
};

template <typename A, int kGuardSlotCount = kGuardSlotCountMax>
struct BasicParticipant {
  template <typename T>
  using Atomic = typename A::template Atomic<T>;

  // Address of the guarded slot, or one of the values above. Session to maintenance.
  Atomic<uint64_t> guards[kGuardSlotCount];
  // Odd while pinned. Session to maintenance.
  Atomic<uint64_t> pin;
  // Session to maintenance.
  Atomic<uint64_t> snapshot;
  // The snapshot word that maintenance declared too old. Maintenance to session.
  Atomic<uint64_t> snapshot_cut;
  // Reads that found no settled record at home. Session to statistics.
  Atomic<uint64_t> chain_reads;

  // Owned by the session's user.
  HomeReads home_reads;
  // kUpdaterRuns is set in it meanwhile, so that the transaction is not used from its own updater.
  uint64_t transaction_count;  // begun so far; the last one has this number
  uint64_t snapshot_serial;
  uint32_t guard_count;   // usable ones; 0 in a forked child (its pages are wiped)
  uint32_t guard_search;  // where the search for another guard slot than the first goes on
  uint32_t pin_depth;
  BarrierKind barrier_kind;

  void Pin() {
    if (pin_depth++ == 0) {
      A::Announce(pin, pin.load(std::memory_order_relaxed) + 1, barrier_kind);
    }
  }
  void Unpin() {
    if (--pin_depth == 0) {
      pin.store(pin.load(std::memory_order_relaxed) + 1, std::memory_order_release);
    }
  }

  void CountChainRead() {
    chain_reads.store(chain_reads.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
  }

  // When a session joins.
  void Open(int count, BarrierKind kind) {
    chain_reads.store(0, std::memory_order_relaxed);
    barrier_kind = kind;
    guard_count = static_cast<uint32_t>(count);
    guard_search = 0;
    for (int i = 0; i < count; ++i) ReleaseGuard(guards[i]);
  }

  static bool IsFree(const Atomic<uint64_t>& guard) {
    return guard.load(std::memory_order_relaxed) == kGuardFree;
  }
  // A free guard slot; nullptr when there is none. Nearly always the first one, so that its address
  // is no news to the processor; guards held side by side take the others in turn.
  Atomic<uint64_t>* FreeGuard() { return IsFree(guards[0]) ? &guards[0] : AnotherGuard(); }
  [[gnu::noinline]] Atomic<uint64_t>* AnotherGuard() {
    for (uint32_t looked = 0; looked < guard_count; ++looked) {
      if (++guard_search >= guard_count) guard_search = 0;
      if (IsFree(guards[guard_search])) return &guards[guard_search];
    }
    return nullptr;
  }
  bool HoldsGuard() const {
    for (const auto& guard : guards) {
      if (NamesSlot(guard.load(std::memory_order_relaxed))) return true;
    }
    return false;
  }
  void Guard(Atomic<uint64_t>& guard, uint64_t address) {
    A::Announce(guard, address, barrier_kind);
  }
  static void ReleaseGuard(Atomic<uint64_t>& guard) {
    guard.store(kGuardFree, std::memory_order_release);
  }

  // Starts reading at the newest timestamp. The loop ends with the first pass unless maintenance
  // raised the floor between two neighbouring instructions.
  Timestamp BeginSnapshot(const Atomic<uint64_t>& horizon, const Atomic<uint64_t>& floor) {
    for (;;) {
      const Timestamp at = horizon.load(std::memory_order_acquire);
      if (BeginSnapshotAt(at, floor)) return at;
    }
  }
  // Starts reading at `at`; false when it lies below the floor and its versions may be gone.
  bool BeginSnapshotAt(Timestamp at, const Atomic<uint64_t>& floor) {
    // The serial comes round: the word of a snapshot that was given up is no other one's.
    if (SnapshotWord(at, ++snapshot_serial) == snapshot_cut.load(std::memory_order_relaxed)) {
      ++snapshot_serial;
    }
    A::Announce(snapshot, SnapshotWord(at, snapshot_serial), barrier_kind);
    if (at >= floor.load(std::memory_order_acquire)) return true;
    EndSnapshot();
    return false;
  }
  void EndSnapshot() { snapshot.store(0, std::memory_order_release); }
  // True when maintenance gave this snapshot up. To be asked under a pin, before the versions are
  // looked at: what is found then stays until the pin ends.
  bool SnapshotIsCut() const {
    return snapshot_cut.load(std::memory_order_acquire) == snapshot.load(std::memory_order_relaxed);
  }
};

using Participant = BasicParticipant<StdAtomics>;

// Participants lie this far apart, so that no two share a cache line.
inline constexpr size_t kParticipantBytes = 1024;
static_assert(sizeof(Participant) <= kParticipantBytes);

// Keeps everything reachable alive for the time of one call.
template <typename P>
class [[nodiscard]] PinScope {
 public:
  explicit PinScope(P& participant) : participant_(participant) { participant_.Pin(); }
  ~PinScope() { participant_.Unpin(); }
  PinScope(const PinScope&) = delete;
  PinScope& operator=(const PinScope&) = delete;

 private:
  P& participant_;
};

}  // namespace flagstone::internal

#endif  // FLAGSTONE_INTERNAL_PARTICIPANT_H_
