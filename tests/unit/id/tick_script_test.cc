// What: over random lives of a store (clocks that jump either way or freeze, crashes at every stage
// of writing
//       a lease, failing disks, clean closes, other threads issuing while a lease is on its way) no
//       (tick, slot) pair is ever issued twice, and ticks never go back.
// How:  seeded scripts against a model that remembers every pair. A crash forgets each slot's
// generation, as
//       a store does, so that only the leases stand between two lives. Each seed leaves out a
//       random part of the events, so that no event's frequency hides another.
// Proof: the same scripts must catch each planted bug below. Row 16 of the scorecard.
#include <gtest/gtest.h>

#include <array>
#include <cstdio>
#include <memory>
#include <string>
#include <unordered_set>

#include "lib/base/manual_clock.h"
#include "lib/base/random.h"
#include "lib/id/tick_source_inl.h"
#include "tests/support/scorecard.h"
#include "tests/support/test_scale.h"
#include "tests/unit/id/scripted_lease_storage.h"

namespace flagstone::id {
namespace {

constexpr uint64_t kScriptCount = 2000;
constexpr uint64_t kFirstSeed = 20'250'101;
constexpr int kStepsMax = 120;
constexpr int64_t kStart = 1'795'249'000;  // 2026-11-21
constexpr int64_t kDay = 86400;
// A layout whose ticks end some minutes after the scripts start: crashes and jumps run into the
// end.
constexpr IdLayout kEnding{kStart - (int64_t{1} << 20) + 700, 1, 20, 8, 30};

enum class Event : uint8_t {
  kTimePasses,
  kLongTimePasses,
  kTimePassesFrozen,
  kClockBack,
  kClockFarBack,
  kClockForward,
  kClockFarForward,
  kRefresh,
  kRenew,
  kRunAhead,
  kIssue,
  kImport,
  kNextWriteEndsBadly,
  kThreadsMeanwhile,
  kCrash,
  kClose,
  kCount,
};

struct Findings {
  uint64_t duplicates = 0;  // a (tick, slot) pair issued again
  uint64_t reversals = 0;   // a tick below one issued earlier
  uint64_t issued = 0;
  uint64_t lives = 0;

  void Add(const Findings& other) {
    duplicates += other.duplicates;
    reversals += other.reversals;
    issued += other.issued;
    lives += other.lives;
  }
};

template <typename Rules>
class Script {
 public:
  explicit Script(uint64_t seed)
      : random_(seed),
        codec_(random_.OneIn(8)   ? kEnding
               : random_.OneIn(4) ? id_layouts::kFleet
                                  : id_layouts::kStandalone) {
    for (bool& used : event_used_) used = !random_.OneIn(3);
    // Without these a script proves nothing.
    event_used_[static_cast<size_t>(Event::kIssue)] = true;
    event_used_[static_cast<size_t>(Event::kCrash)] = true;
  }

  Findings Play() {
    Reopen();
    const int steps = 20 + static_cast<int>(random_.Below(kStepsMax - 20));
    for (int step = 0; step < steps; ++step) {
      const Event event = static_cast<Event>(random_.Below(static_cast<uint64_t>(Event::kCount)));
      if (event_used_[static_cast<size_t>(event)]) Do(event);
      if (storage_.crashed) Reopen();
    }
    return findings_;
  }

 private:
  static constexpr uint32_t kSlotCount = 4;

  void Do(Event event) {
    switch (event) {
      case Event::kTimePasses: clock_.AdvanceNanos(random_.Between(0, 5'000'000'000)); break;
      case Event::kLongTimePasses: clock_.AdvanceSeconds(random_.Between(0, 3000)); break;
      case Event::kTimePassesFrozen: clock_.AdvanceFrozenSeconds(random_.Between(0, 200)); break;
      case Event::kClockBack: clock_.StepWallSeconds(-random_.Between(1, 100)); break;
      case Event::kClockFarBack: clock_.StepWallSeconds(-random_.Between(1, 500 * kDay)); break;
      case Event::kClockForward: clock_.StepWallSeconds(random_.Between(1, 100)); break;
      case Event::kClockFarForward: clock_.StepWallSeconds(random_.Between(1, 500 * kDay)); break;
      case Event::kRefresh: source_->Refresh(); break;
      case Event::kRenew: Ignore(source_->Renew()); break;
      case Event::kRunAhead: Ignore(source_->RunAhead(source_->Current()).status()); break;
      case Event::kIssue: Issue(); break;
      case Event::kImport: Import(); break;
      case Event::kNextWriteEndsBadly:
        storage_.next_write = static_cast<WriteEnds>(random_.Between(1, 5));
        break;
      case Event::kThreadsMeanwhile: LetThreadsIssueDuringTheNextWrite(); break;
      case Event::kCrash: Reopen(); break;
      case Event::kClose:
        Ignore(source_->Close());
        // Threads that had their slot before the close may still issue.
        if (random_.OneIn(2)) Issue();
        Reopen();
        break;
      case Event::kCount: break;
    }
  }

  // Every outcome is allowed; the findings judge.
  static void Ignore(const Status&) {}

  void Issue() {
    const uint32_t tick = source_->Current();
    for (uint32_t slot = 0; slot < kSlotCount; ++slot) {
      if (random_.OneIn(4) || !MayIssue(generation_[slot], tick)) continue;
      generation_[slot] = tick;
      ++findings_.issued;
      findings_.duplicates +=
          issued_.insert(codec_.Encode({tick, 0, 0, slot}).value()).second ? 0 : 1;
      findings_.reversals += tick < highest_tick_ ? 1 : 0;
      highest_tick_ = std::max(highest_tick_, tick);
    }
  }

  // An ID given from outside, which the store must not issue later by itself.
  void Import() {
    // A planted source whose ticks go back would chase the given one for ever.
    if (Rules::MayMove(2, 1)) return;
    const uint32_t slot = static_cast<uint32_t>(random_.Below(kSlotCount));
    const uint32_t current = source_->Current();
    const uint64_t given = current + static_cast<uint64_t>(random_.Between(1, 300));
    if (current == kNoTick || given > codec_.tick_max()) return;
    const uint32_t tick = static_cast<uint32_t>(given);
    if (!source_->RaiseAbove(tick).ok()) return;
    if (!issued_.insert(codec_.Encode({tick, 0, 0, slot}).value()).second) return;
    generation_[slot] = std::max(generation_[slot], tick);
    highest_tick_ = std::max(highest_tick_, tick);
  }

  void LetThreadsIssueDuringTheNextWrite() {
    storage_.meanwhile = [this] {
      storage_.meanwhile = nullptr;
      clock_.AdvanceSeconds(random_.Between(0, 150));
      source_->Refresh();
      Issue();
    };
  }

  // The process is gone, and with it all it knew; another one opens what is on the disk.
  void Reopen() {
    source_.reset();
    storage_.meanwhile = nullptr;
    generation_.fill(kNoTick);
    for (int attempt = 0;; ++attempt) {
      storage_.Restart();
      // The disk may also fail while opening; then someone tries again.
      if (attempt < 2 && random_.OneIn(10)) {
        storage_.next_write = static_cast<WriteEnds>(random_.Between(1, 5));
      }
      const ClockJumps jumps = attempt < 2 ? ClockJumps::kBounded : ClockJumps::kFollowAll;
      Result<std::unique_ptr<BasicTickSource<Rules>>> opened =
          BasicTickSource<Rules>::Open({codec_, clock_, storage_, StoreOrigin::kOwnFiles, jumps});
      if (!opened.ok()) continue;
      source_ = *std::move(opened);
      ++findings_.lives;
      return;
    }
  }

  base::Random random_;
  IdCodec codec_;
  std::array<bool, static_cast<size_t>(Event::kCount)> event_used_{};
  base::ManualClock clock_{kStart};
  ScriptedLeaseStorage storage_;
  std::unique_ptr<BasicTickSource<Rules>> source_;
  std::array<uint32_t, kSlotCount> generation_{};
  std::unordered_set<uint64_t> issued_;
  uint32_t highest_tick_ = 0;
  Findings findings_;
};

template <typename Rules>
Findings PlayAll(uint64_t count) {
  Findings all;
  for (uint64_t seed = kFirstSeed; seed < kFirstSeed + count; ++seed) {
    const Findings one = Script<Rules>(seed).Play();
    if (std::is_same_v<Rules, TickRules>) {
      EXPECT_EQ(one.duplicates, 0u) << "seed " << seed;
      EXPECT_EQ(one.reversals, 0u) << "seed " << seed;
    }
    all.Add(one);
  }
  return all;
}

testkit::ScorecardRow ClockRow() {
  testkit::ScorecardRow row;
  row.number = 16;
  row.name = "clocks";
  row.unit = "scripts";
  row.seed = kFirstSeed;
  return row;
}

TEST(TickScriptTest, NoPairIsIssuedTwiceAndNoTickGoesBack) {
  testkit::ScorecardRow row = ClockRow();
  row.count = tests::RowCount(kScriptCount, 100 * kScriptCount);
  const Findings all = PlayAll<TickRules>(row.count);
  row.failures = all.duplicates + all.reversals;
  row.Record();
  std::printf(
      "clock scripts: %llu from seed %llu, %llu lives, %llu IDs, %llu issued twice\n",
      static_cast<unsigned long long>(row.count), static_cast<unsigned long long>(kFirstSeed),
      static_cast<unsigned long long>(all.lives), static_cast<unsigned long long>(all.issued),
      static_cast<unsigned long long>(all.duplicates));
  // A script set that hardly crashes or issues would pass whatever the code does.
  EXPECT_GT(all.lives, 5 * row.count);
  EXPECT_GT(all.issued, 10 * row.count);
}

// Planted bugs: each breaks one rule, and the scripts must see it.

struct IssuesBeforeTheLeaseIsOnDisk : TickRules {
  static constexpr const char* kName = "ID issued before its lease is on disk";
  static constexpr LeaseOrder kLeaseOrder = LeaseOrder::kPublishThenPersist;
};
struct StartsAtTheLastTickOfTheLease : TickRules {
  static constexpr const char* kName = "life starts at the last tick of the lease";
  static constexpr uint64_t FirstTick(uint64_t found, uint64_t wall_tick) {
    return std::max({found == 0 ? 0 : found - 1, wall_tick, uint64_t{1}});
  }
};
struct StartsByTheClockAlone : TickRules {
  static constexpr const char* kName = "life starts by the clock alone";
  static constexpr uint64_t FirstTick(uint64_t, uint64_t wall_tick) {
    return std::max(wall_tick, uint64_t{1});
  }
};
struct FollowsTheClockBack : TickRules {
  static constexpr const char* kName = "ticks follow the clock back";
  static constexpr bool MayMove(uint64_t from, uint64_t to) { return to != from && to != 0; }
};
struct IssuesBeyondTheLease : TickRules {
  static constexpr const char* kName = "ID issued beyond the lease";
  static constexpr uint64_t WithinLease(uint64_t tick, uint64_t) { return tick; }
};
struct IssuesTheLeaseEndItself : TickRules {
  static constexpr const char* kName = "lease end itself issued";
  static constexpr uint64_t WithinLease(uint64_t tick, uint64_t lease_end) {
    return std::min(tick, lease_end);
  }
};
struct BelievesAFailedWrite : TickRules {
  static constexpr const char* kName = "failed write of a lease believed";
  static constexpr uint64_t LeaseEndAfterFailure(uint64_t, uint64_t new_end) { return new_end; }
};
struct ClosesOneTickTooLow : TickRules {
  static constexpr const char* kName = "closed one tick too low";
  static constexpr uint64_t LeaseEndAtClose(uint32_t last_tick) { return last_tick; }
};
struct WrapsAtTheEndOfTheSpace : TickRules {
  static constexpr const char* kName = "ticks wrap at their end";
  static constexpr uint64_t FirstTick(uint64_t found, uint64_t wall_tick) {
    const uint64_t first = TickRules::FirstTick(found, wall_tick);
    return first == uint64_t{1} << kEnding.tick_bits ? 1 : first;
  }
};

template <typename Rules>
class PlantedTickBugTest : public ::testing::Test {};

using PlantedBugs =
    ::testing::Types<IssuesBeforeTheLeaseIsOnDisk, StartsAtTheLastTickOfTheLease,
                     StartsByTheClockAlone, FollowsTheClockBack, IssuesBeyondTheLease,
                     IssuesTheLeaseEndItself, BelievesAFailedWrite, ClosesOneTickTooLow>;
TYPED_TEST_SUITE(PlantedTickBugTest, PlantedBugs);

// The scripts of a submission, whatever the scale, are enough for each.
void RecordPlanted(const char* name, bool caught) {
  testkit::ScorecardRow row = ClockRow();
  if (caught) {
    row.Caught(name);
  } else {
    row.Missed(name);
  }
  row.Record();
}

TYPED_TEST(PlantedTickBugTest, IsCaughtAsAnIdIssuedTwice) {
  const Findings all = PlayAll<TypeParam>(kScriptCount);
  RecordPlanted(TypeParam::kName, all.duplicates > 0);
  std::printf("caught: %llu IDs issued twice of %llu\n",
              static_cast<unsigned long long>(all.duplicates),
              static_cast<unsigned long long>(all.issued));
  EXPECT_GT(all.duplicates, 0u);
}

TEST(PlantedTickWrapTest, IsCaughtAsATickThatGoesBack) {
  const Findings all = PlayAll<WrapsAtTheEndOfTheSpace>(kScriptCount);
  RecordPlanted(WrapsAtTheEndOfTheSpace::kName, all.reversals > 0);
  EXPECT_GT(all.reversals, 0u);
}

}  // namespace
}  // namespace flagstone::id
