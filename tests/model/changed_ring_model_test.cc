// What: the ring of changed records hands over every entry once, in order, whole.
#include <gtest/gtest.h>

#include "lib/txn/changed_ring.h"
#include "tests/model/model_run.h"

namespace flagstone::model {
namespace {

using testkit::ModelAssert;
using testkit::ModelAtomics;
using testkit::ModelCell;

// A place in the ring: plain memory whose accesses are watched.
struct WatchedEntry {
  ModelCell<uint64_t> cell;
  WatchedEntry& operator=(uint64_t value) {
    cell.Write(value);
    return *this;
  }
  operator uint64_t() const { return cell.Read(); }  // NOLINT(google-explicit-constructor)
};

enum class RingDefect : uint8_t { kNone, kNoRelease, kRoomNotAsked, kCount };

struct RelaxedAtomics : ModelAtomics {
  template <typename T>
  struct RelaxedAtomic : testkit::ModelAtomic<T> {
    using testkit::ModelAtomic<T>::ModelAtomic;
    void store(T value, std::memory_order) {
      testkit::ModelAtomic<T>::store(value, std::memory_order_relaxed);
    }
  };
  template <typename T>
  using Atomic = RelaxedAtomic<T>;
};

template <typename A>
void PassFour(testkit::Execution& e, bool ask_for_room) {
  auto& ring = e.Make<txn::BasicChangedRing<A, WatchedEntry, 2>>();
  e.Spawn([&ring, ask_for_room] {
    for (uint64_t id = 1; id <= 4; ++id) {
      for (uint32_t spin = 0; ask_for_room && ring.room() == 0; ++spin) ModelAtomics::Pause(spin);
      ring.Push(id);
    }
  });
  e.Spawn([&ring] {
    uint64_t next = 1;
    uint32_t spin = 0;
    while (next <= 4) {
      const uint64_t drained = ring.Drain(2, [&](uint64_t id) {
        ModelAssert(id == next, "an entry was lost, torn or repeated");
        ++next;
      });
      if (drained == 0) ModelAtomics::Pause(spin++);
    }
  });
}

TEST(ChangedRingModelTest, EveryEntryArrivesOnceAndInOrder) {
  ProveModel<RingDefect>(
      "changed ring", 60'000, {RingDefect::kNoRelease, RingDefect::kRoomNotAsked},
      [](RingDefect defect) {
        return defect == RingDefect::kNoRelease ? "ring published without release"
                                                : "ring overfilled";
      },
      [](testkit::Execution& e, internal::BarrierKind, RingDefect defect) {
        if (defect == RingDefect::kNoRelease) {
          PassFour<RelaxedAtomics>(e, true);
        } else {
          PassFour<ModelAtomics>(e, defect != RingDefect::kRoomNotAsked);
        }
      });
}

}  // namespace
}  // namespace flagstone::model
