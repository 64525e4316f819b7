// One visit of maintenance to one record: which versions stay, where they hang, what comes home.
//
// Place       The tidier runs it on real slots; tests/model runs the same template under every
//             interleaving.
// Invariants  1. The caller holds the record's tidying bit, and a grace period has passed that
//                began after `settled` was read from the horizon.
//             2. The home slot's payload is overwritten only when nothing leads to it: it is not
//                needed, or was copied aside in an earlier cycle, and no guard names it.
//             3. What is unlinked is retired, never freed here.
// Threads     One at a time for an object.
// Cost        No allocation once the list of nodes has grown.
// See         docs/internals/concurrency.md, tests/model/version_chain_model_test.cc
#ifndef FLAGSTONE_LIB_TXN_VERSION_CHAIN_H_
#define FLAGSTONE_LIB_TXN_VERSION_CHAIN_H_

#include <cstdint>
#include <vector>

#include "flagstone/internal/slot.h"
#include "lib/base/planted_bug.h"
#include "lib/epoch/grace.h"

namespace flagstone::txn {

// kAgain: a later cycle has work left. kDeferred: nothing until older snapshots have ended.
enum class Visit : uint8_t { kDone, kAgain, kDeferred };

template <typename A>
class VersionChain {
 public:
  using Slot = internal::BasicSlotHeader<A>;
  using Timestamp = internal::Timestamp;
  using VersionLink = internal::VersionLink;

  // `space` says what surrounds the record:
  //   At(link) -> Slot*             CopyPayload(Slot* to, const Slot* from)
  //   MakeRoomToRetire(count)       so that Retire() and RetireHome() cannot fail
  //   TakeVersionSlot() -> link     0: no memory
  //   Retire(link), RetireHome()    to be freed after the next grace period
  //   HomeIsGuarded()               as of this cycle's grace period
  //   HomeWasCopied(), NoteHomeCopied()  in this cycle
  //   NoteHomecoming()              for statistics
  //   Defer(until)                  visit again when no snapshot is older
  // *link: the link word as it is, then the one to publish; the queued bit is the caller's.
  template <typename Space>
  Visit Tidy(Space& space, Slot& home, Timestamp settled, const epoch::NeededTimestamps& needed,
             uint64_t* link) {
    // 1. All versions, and which of them are read by someone.
    List(space, home, *link);
    space.MakeRoomToRetire(nodes_.size() + 1);  // what can fail comes first
    MarkNeeded(needed);
    Node& newest = nodes_[0];
    if (newest.begin > settled) return Visit::kAgain;  // not visible before the barrier
    const uint64_t newest_version = newest.slot->version.load(std::memory_order_relaxed);
    const bool deleted = (newest_version & internal::kTombstone) != 0;

    // 2. A deleted record that nobody reads any more goes as a whole.
    if (deleted && (newest.begin <= needed.oldest() ||
                    base::Planted(base::PlantedBug::kTombstoneReclaimedEarly))) {
      return Reclaim(space, home, link);
    }

    // 3. The newest version comes home, unless it is there, or the payload in the home slot is not
    //    free to be overwritten: a guard names it, or a snapshot reads it. The latter is copied
    //    aside now, and the newest comes home in the next cycle, when nobody can be on his way to
    //    the payload any more.
    const bool at_home = newest.link == 0;
    bool come_home =
        !at_home && !deleted &&
        (!space.HomeIsGuarded() || base::Planted(base::PlantedBug::kHomecomingIgnoresGuards));
    Visit visit = at_home || come_home || deleted ? Visit::kDone : Visit::kAgain;
    for (Node& node : nodes_) {
      if (node.link != 0 || at_home || deleted || !node.needed) continue;
      if (base::Planted(base::PlantedBug::kNoCopyAside)) continue;
      if (!CopyAside(space, node)) return Visit::kAgain;  // no memory: nothing was changed
    }
    if (come_home && space.HomeWasCopied()) {
      come_home = false;
      visit = Visit::kAgain;
    }
    if (come_home) ComeHome(space, home, newest_version);

    // 4. Retire what nobody needs; link the rest, newest to oldest.
    newest.needed = true;
    std::erase_if(nodes_, [&](const Node& node) {
      if (!node.needed && node.link != 0) space.Retire(node.link);
      return !node.needed;
    });
    *link = LinkKept(*link);

    // 5. What is kept for others is looked at again when the last of them has ended.
    if (visit == Visit::kDone && (nodes_.size() > 1 || deleted)) {
      visit = Visit::kDeferred;
      if ((*link & internal::kDeferred) == 0) space.Defer(nodes_[0].begin);
    }
    return visit;
  }

 private:
  // A version, newest first.
  struct Node {
    Slot* slot;
    VersionLink link;  // 0: the home slot's own payload
    Timestamp begin;
    bool needed;
  };

  template <typename Space>
  void List(Space& space, Slot& home, uint64_t link) {
    nodes_.clear();
    const Timestamp own = internal::BeginOf(home.version.load(std::memory_order_acquire));
    bool home_is_copied = false;
    const auto list_from = [&](VersionLink at) {
      while (at != 0) {
        Slot* slot = space.At(at);
        const Timestamp begin = internal::BeginOf(slot->version.load(std::memory_order_acquire));
        home_is_copied |= begin == own;
        nodes_.push_back({slot, at, begin, false});
        at = internal::OlderOf(slot->link.load(std::memory_order_acquire));
      }
    };
    list_from(internal::NewestOf(link));
    if (home_is_copied) return;  // the chain goes past the home slot's payload
    nodes_.push_back({&home, 0, own, false});
    list_from(internal::OlderOf(link));
  }

  void MarkNeeded(const epoch::NeededTimestamps& needed) {
    Timestamp successor = internal::kTimestampMax;
    for (Node& node : nodes_) {
      node.needed = needed.Needs(node.begin, successor);
      if (base::Planted(base::PlantedBug::kOldestSnapshotForgotten) &&
          node.begin <= needed.oldest()) {
        node.needed = successor > needed.floor();
      }
      successor = node.begin;
    }
    // Undelete() brings back what the deletion hid.
    const uint64_t newest = nodes_[0].slot->version.load(std::memory_order_relaxed);
    if ((newest & internal::kTombstone) != 0 && nodes_.size() > 1) nodes_[1].needed = true;
  }

  template <typename Space>
  Visit Reclaim(Space& space, Slot& home, uint64_t* link) {
    // A guard shows this slot's ID and version word too.
    if (space.HomeIsGuarded()) return Visit::kAgain;
    // The deletion comes home before the link to it goes: a reader that found the ID before it is
    // cleared, and the link after, must not find the payload of before the deletion live.
    home.version.store(internal::VersionWord(nodes_[0].begin, internal::kTombstone),
                       std::memory_order_release);
    home.id.store(0, std::memory_order_release);
    for (const Node& node : nodes_) {
      if (node.link != 0) space.Retire(node.link);
    }
    space.RetireHome();
    *link = 0;
    return Visit::kDone;
  }

  template <typename Space>
  bool CopyAside(Space& space, Node& node) {
    space.NoteHomeCopied();
    const VersionLink link = space.TakeVersionSlot();
    if (link == 0) return false;
    Slot* copy = space.At(link);
    space.CopyPayload(copy, node.slot);
    copy->id.store(internal::IdOf(node.slot->id.load(std::memory_order_relaxed)),
                   std::memory_order_relaxed);
    copy->version.store(node.slot->version.load(std::memory_order_relaxed),
                        std::memory_order_relaxed);
    node.slot = copy;
    node.link = link;
    return true;
  }

  template <typename Space>
  void ComeHome(Space& space, Slot& home, uint64_t newest_version) {
    Node& newest = nodes_[0];
    space.CopyPayload(&home, newest.slot);
    home.version.store(internal::VersionWord(newest.begin, internal::kLive,
                                             newest_version & internal::kSchemaMask),
                       std::memory_order_release);
    // Under the lock still, so that it cannot undo the mark of a later commit.
    home.id.store(internal::IdOf(home.id.load(std::memory_order_relaxed)),
                  std::memory_order_release);
    space.Retire(newest.link);
    newest.slot = &home;
    newest.link = 0;
    space.NoteHomecoming();
  }

  // Versions before the home slot in the list hang on link.newest, those behind it on link.older.
  uint64_t LinkKept(uint64_t link_before) {
    VersionLink newest = 0;
    VersionLink older = 0;
    VersionLink* head = &newest;
    Slot* last = nullptr;
    const auto end_part = [&] {
      if (last != nullptr) last->link.store(internal::LinkWord(0, 0), std::memory_order_release);
    };
    for (const Node& node : nodes_) {
      if (node.link == 0) {
        end_part();
        head = &older;
        last = nullptr;
        continue;
      }
      if (last == nullptr) {
        *head = node.link;
      } else {
        last->link.store(internal::LinkWord(0, node.link), std::memory_order_release);
      }
      last = node.slot;
    }
    end_part();
    return internal::LinkWord(newest, older, link_before & internal::kDeferred);
  }

  std::vector<Node> nodes_;
};

}  // namespace flagstone::txn

#endif  // FLAGSTONE_LIB_TXN_VERSION_CHAIN_H_
