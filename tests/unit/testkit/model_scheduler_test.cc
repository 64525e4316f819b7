#include "tests/support/model_scheduler.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <string>
#include <vector>

namespace flagstone::testkit {
namespace {

using internal::BarrierKind;
using Order = std::memory_order;

// The litmus tests run under every strategy: what one finds the others must find too.
class ModelSchedulerTest : public testing::TestWithParam<ExploreStrategy> {
 protected:
  ExploreReport Run(const std::function<void(Execution&)>& body) {
    ExploreOptions options;
    options.strategy = GetParam();
    options.executions_max = 20'000;
    options.preemptions_max = 3;
    return Explore(options, body);
  }
};

INSTANTIATE_TEST_SUITE_P(Strategies, ModelSchedulerTest,
                         testing::Values(ExploreStrategy::kRandom, ExploreStrategy::kPct,
                                         ExploreStrategy::kBoundedPreemption),
                         [](const auto& info) {
                           switch (info.param) {
                             case ExploreStrategy::kRandom: return "Random";
                             case ExploreStrategy::kPct: return "Pct";
                             case ExploreStrategy::kBoundedPreemption: return "BoundedPreemption";
                           }
                           return "";
                         });

// Two flags, each thread raises its own and looks at the other's.
struct Flags {
  ModelAtomic<int> x{0};
  ModelAtomic<int> y{0};
  int saw_y = -1;
  int saw_x = -1;
};

void StoreBuffering(Execution& e, Order order) {
  Flags& f = e.Make<Flags>();
  e.Name(f.x, "x");
  e.Name(f.y, "y");
  e.Spawn([&f, order] {
    f.x.store(1, order);
    f.saw_y = f.y.load(Order::acquire);
  });
  e.Spawn([&f, order] {
    f.y.store(1, order);
    f.saw_x = f.x.load(Order::acquire);
  });
  e.Finally([&f] { ModelAssert(f.saw_x == 1 || f.saw_y == 1, "both missed the other's store"); });
}

TEST_P(ModelSchedulerTest, BufferedStoresLetBothThreadsMissEachOther) {
  const ExploreReport report = Run([](Execution& e) { StoreBuffering(e, Order::release); });
  EXPECT_TRUE(report.failed);
  EXPECT_EQ(report.failure, "both missed the other's store");
  EXPECT_NE(report.trace.find("T0 stores into its buffer x 0x0 -> 0x1"), std::string::npos)
      << report.trace;
}

TEST_P(ModelSchedulerTest, SequentiallyConsistentStoresAreSeen) {
  const ExploreReport report = Run([](Execution& e) { StoreBuffering(e, Order::seq_cst); });
  EXPECT_FALSE(report.failed) << report.ToString();
}

TEST_P(ModelSchedulerTest, WithoutBuffersTheLitmusHolds) {
  ExploreOptions options;
  options.strategy = GetParam();
  options.executions_max = 10'000;
  options.memory = MemoryModel::kSequentiallyConsistent;
  EXPECT_FALSE(Explore(options, [](Execution& e) { StoreBuffering(e, Order::relaxed); }).failed);
}

TEST_P(ModelSchedulerTest, ExchangeIsAFullBarrier) {
  const ExploreReport report = Run([](Execution& e) {
    Flags& f = e.Make<Flags>();
    e.Spawn([&f] {
      f.x.exchange(1);
      f.saw_y = f.y.load(Order::relaxed);
    });
    e.Spawn([&f] {
      f.y.exchange(1);
      f.saw_x = f.x.load(Order::relaxed);
    });
    e.Finally([&f] { ModelAssert(f.saw_x == 1 || f.saw_y == 1, "both missed"); });
  });
  EXPECT_FALSE(report.failed) << report.ToString();
}

TEST_P(ModelSchedulerTest, MessagePassingHolds) {
  const ExploreReport report = Run([](Execution& e) {
    Flags& f = e.Make<Flags>();
    e.Spawn([&f] {
      f.x.store(42, Order::relaxed);
      f.y.store(1, Order::release);
    });
    e.Spawn([&f] {
      if (f.y.load(Order::acquire) == 1) {
        ModelAssert(f.x.load(Order::relaxed) == 42, "the flag overtook the message");
      }
    });
  });
  EXPECT_FALSE(report.failed) << report.ToString();
}

// Announce on one side, HeavyBarrier on the other: the pair the guards of readers stand on.
void AnnounceAndBarrier(Execution& e, BarrierKind kind, bool with_barrier) {
  Flags& f = e.Make<Flags>();
  e.Spawn([&f, kind] {
    ModelAtomics::Announce(f.x, 1, kind);
    f.saw_y = f.y.load(Order::acquire);
  });
  e.Spawn([&f, kind, with_barrier] {
    f.y.store(1, Order::release);
    if (with_barrier) ModelAtomics::HeavyBarrier(kind);
    f.saw_x = f.x.load(Order::acquire);
  });
  e.Finally([&f] { ModelAssert(f.saw_x == 1 || f.saw_y == 1, "both missed"); });
}

TEST_P(ModelSchedulerTest, HeavyBarrierMakesAnnouncementsSeen) {
  for (const BarrierKind kind : {BarrierKind::kAsymmetric, BarrierKind::kSymmetric}) {
    const ExploreReport report = Run([&](Execution& e) { AnnounceAndBarrier(e, kind, true); });
    EXPECT_FALSE(report.failed) << report.ToString();
  }
}

TEST_P(ModelSchedulerTest, AnnouncementWithoutBarrierIsMissed) {
  for (const BarrierKind kind : {BarrierKind::kAsymmetric, BarrierKind::kSymmetric}) {
    EXPECT_TRUE(Run([&](Execution& e) { AnnounceAndBarrier(e, kind, false); }).failed);
  }
}

// Peterson's lock: correct only if raising the flag is ordered before reading the other's.
void PetersonLock(Execution& e, Order flag_order) {
  struct Lock {
    ModelAtomic<int> flags[2];
    ModelAtomic<int> turn{0};
    ModelCell<int> counter{0};
  };
  Lock& lock = e.Make<Lock>();
  for (int self = 0; self < 2; ++self) {
    e.Spawn([&lock, self, flag_order] {
      lock.flags[self].store(1, flag_order);
      lock.turn.store(1 - self, flag_order);
      for (uint32_t spin = 0; lock.flags[1 - self].load(Order::acquire) == 1 &&
                              lock.turn.load(Order::acquire) == 1 - self;
           ++spin) {
        ModelAtomics::Pause(spin);
      }
      lock.counter.Write(lock.counter.Read() + 1);
      lock.flags[self].store(0, Order::release);
    });
  }
  e.Finally(
      [&lock] { ModelAssert(lock.counter.Read() == 2, "both were in the critical section"); });
}

TEST_P(ModelSchedulerTest, PetersonWithReleaseStoresIsBroken) {
  EXPECT_TRUE(Run([](Execution& e) { PetersonLock(e, Order::release); }).failed);
}

TEST_P(ModelSchedulerTest, PetersonWithSequentialConsistencyHolds) {
  const ExploreReport report = Run([](Execution& e) { PetersonLock(e, Order::seq_cst); });
  EXPECT_FALSE(report.failed) << report.ToString();
}

TEST_P(ModelSchedulerTest, LostUpdateIsFound) {
  const auto increments = [](Execution& e, bool atomically) {
    auto& counter = e.Make<ModelAtomic<uint16_t>>(uint16_t{65535});
    for (int i = 0; i < 3; ++i) {
      e.Spawn([&counter, atomically] {
        if (atomically) {
          counter.fetch_add(1, Order::relaxed);
        } else {
          counter.store(static_cast<uint16_t>(counter.load() + 1));
        }
      });
    }
    e.Finally([&counter] { ModelAssert(counter.load() == 2, "an increment was lost"); });
  };
  EXPECT_TRUE(Run([&](Execution& e) { increments(e, false); }).failed);
  const ExploreReport report = Run([&](Execution& e) { increments(e, true); });
  EXPECT_FALSE(report.failed) << report.ToString();
}

// A hazard pointer: the reader announces the node and looks whether it is still the current one;
// the writer unlinks, runs the barrier, and recycles what nobody announces.
enum class HazardBug { kNone, kNoBarrier, kNoRevalidation, kRelaxedRetract };

void HazardPointer(Execution& e, HazardBug bug) {
  struct Shared {
    ModelCell<int> nodes[2];
    ModelAtomic<uint32_t> current{1};  // 1 + the node's index
    ModelAtomic<uint32_t> hazard{0};
  };
  Shared& s = e.Make<Shared>();
  s.nodes[0].Write(7);
  s.nodes[1].Write(8);
  e.Name(s.nodes[0], "node0");
  e.Spawn([&s, bug] {
    for (;;) {
      const uint32_t node = s.current.load(Order::acquire);
      ModelAtomics::Announce(s.hazard, node, BarrierKind::kAsymmetric);
      if (bug != HazardBug::kNoRevalidation && s.current.load(Order::acquire) != node) continue;
      const int value = s.nodes[node - 1].Read();
      ModelAssert(value == 7 || value == 8, "the node held neither value");
      break;
    }
    s.hazard.store(0, bug == HazardBug::kRelaxedRetract ? Order::relaxed : Order::release);
  });
  e.Spawn([&s, bug] {
    s.current.store(2, Order::release);
    if (bug != HazardBug::kNoBarrier) ModelAtomics::HeavyBarrier(BarrierKind::kAsymmetric);
    if (s.hazard.load(Order::acquire) != 1) {
      s.nodes[0].Recycle();
      s.nodes[0].Reuse(9);
    }
  });
}

TEST_P(ModelSchedulerTest, HazardPointerProtocolHolds) {
  const ExploreReport report = Run([](Execution& e) { HazardPointer(e, HazardBug::kNone); });
  EXPECT_FALSE(report.failed) << report.ToString();
}

TEST_P(ModelSchedulerTest, HazardPointerBugsAreFound) {
  for (const HazardBug bug :
       {HazardBug::kNoBarrier, HazardBug::kNoRevalidation, HazardBug::kRelaxedRetract}) {
    EXPECT_TRUE(Run([&](Execution& e) { HazardPointer(e, bug); }).failed) << static_cast<int>(bug);
  }
}

TEST_P(ModelSchedulerTest, RelaxedPublicationOfAPlainCellIsARace) {
  const auto publish = [](Execution& e, Order order) {
    struct Shared {
      ModelCell<int> message{0};
      ModelAtomic<int> ready{0};
    };
    Shared& s = e.Make<Shared>();
    e.Spawn([&s, order] {
      s.message.Write(1);
      s.ready.store(1, order);
    });
    e.Spawn([&s] {
      if (s.ready.load(Order::acquire) == 1) ModelAssert(s.message.Read() == 1, "stale message");
    });
  };
  const ExploreReport relaxed = Run([&](Execution& e) { publish(e, Order::relaxed); });
  EXPECT_TRUE(relaxed.failed);
  EXPECT_NE(relaxed.failure.find("race: reads cell"), std::string::npos) << relaxed.failure;
  const ExploreReport released = Run([&](Execution& e) { publish(e, Order::release); });
  EXPECT_FALSE(released.failed) << released.ToString();
}

TEST_P(ModelSchedulerTest, WaitingForEachOtherIsADeadlock) {
  const ExploreReport report = Run([](Execution& e) {
    Flags& f = e.Make<Flags>();
    e.Spawn([&f] {
      for (uint32_t spin = 0; f.y.load() == 0; ++spin) ModelAtomics::Pause(spin);
      f.x.store(1);
    });
    e.Spawn([&f] {
      for (uint32_t spin = 0; f.x.load() == 0; ++spin) ModelAtomics::Pause(spin);
      f.y.store(1);
    });
  });
  EXPECT_TRUE(report.failed);
  EXPECT_NE(report.failure.find("deadlock"), std::string::npos) << report.failure;
}

TEST_P(ModelSchedulerTest, WaitingForABufferedStoreIsNotADeadlock) {
  const ExploreReport report = Run([](Execution& e) {
    Flags& f = e.Make<Flags>();
    e.Spawn([&f] {
      for (uint32_t spin = 0; f.y.load() == 0; ++spin) ModelAtomics::Pause(spin);
    });
    e.Spawn([&f] { f.y.store(1, Order::relaxed); });
  });
  EXPECT_FALSE(report.failed) << report.ToString();
}

TEST_P(ModelSchedulerTest, SpinningWithoutPauseIsALivelock) {
  ExploreOptions options;
  options.strategy = GetParam();
  options.steps_max = 500;
  const ExploreReport report = Explore(options, [](Execution& e) {
    Flags& f = e.Make<Flags>();
    e.Spawn([&f] {
      while (f.x.load() == 0) {
      }
    });
  });
  EXPECT_TRUE(report.failed);
  EXPECT_NE(report.failure.find("livelock"), std::string::npos) << report.failure;
}

TEST_P(ModelSchedulerTest, FailuresReplayFromScheduleAndSeed) {
  const auto body = [](Execution& e) { PetersonLock(e, Order::release); };
  const ExploreReport found = Run(body);
  ASSERT_TRUE(found.failed);

  ExploreOptions by_schedule;
  by_schedule.replay_schedule = found.schedule;
  const ExploreReport again = Explore(by_schedule, body);
  EXPECT_TRUE(again.failed);
  EXPECT_EQ(again.failure, found.failure);
  EXPECT_EQ(again.trace, found.trace);

  if (GetParam() != ExploreStrategy::kRandom) return;
  ExploreOptions by_seed;
  by_seed.seed = found.failing_seed;
  by_seed.executions_max = 1;
  EXPECT_EQ(Explore(by_seed, body).trace, found.trace);
}

TEST(ModelSchedulerSpaceTest, BoundedPreemptionCoversItsSpaceOnce) {
  ExploreOptions options;
  options.strategy = ExploreStrategy::kBoundedPreemption;
  options.memory = MemoryModel::kSequentiallyConsistent;
  options.preemptions_max = 100;
  std::vector<std::string> orders;
  const ExploreReport report = Explore(options, [&orders](Execution& e) {
    auto& turn = e.Make<ModelAtomic<int>>(0);
    auto& order = e.Make<std::string>();
    for (int i = 0; i < 2; ++i) {
      e.Spawn([&turn, &order, i] {
        for (int step = 0; step < 3; ++step) {
          turn.fetch_add(1);
          order += static_cast<char>('0' + i);
        }
      });
    }
    e.Finally([&order, &orders] { orders.push_back(order); });
  });
  EXPECT_TRUE(report.complete);
  std::sort(orders.begin(), orders.end());
  orders.erase(std::unique(orders.begin(), orders.end()), orders.end());
  // Three steps each: 6 choose 3 orders.
  EXPECT_EQ(orders.size(), 20u);
}

TEST(ModelSchedulerSpaceTest, StoresStillBufferedWhenTheirTargetDiesAreReported) {
  struct Shared {
    std::unique_ptr<ModelAtomic<int>> target = std::make_unique<ModelAtomic<int>>(0);
    bool issued = false;
  };
  const ExploreReport report = Explore({}, [](Execution& e) {
    Shared& s = e.Make<Shared>();
    e.Spawn([&s] {
      s.target->store(5, Order::relaxed);
      s.issued = true;
    });
    e.Spawn([&s] {
      if (s.target->load() == 0 && s.issued) s.target.reset();
    });
  });
  EXPECT_TRUE(report.failed);
}

TEST(ModelSchedulerSpaceTest, AMillionSmallExecutionsAreAffordable) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  constexpr uint64_t kExecutions = 5'000;
#else
  constexpr uint64_t kExecutions = 100'000;
#endif
  ExploreOptions options;
  options.executions_max = kExecutions;
  const auto begin = std::chrono::steady_clock::now();
  const ExploreReport report = Explore(options, [](Execution& e) {
    struct Counters {
      ModelAtomic<int> shared{0};
      ModelAtomic<int> own[3];
    };
    Counters& c = e.Make<Counters>();
    for (int i = 0; i < 3; ++i) {
      e.Spawn([&c, i] {
        for (int step = 0; step < 4; ++step) {
          c.own[i].store(step, Order::release);
          c.shared.fetch_add(1);
        }
      });
    }
    e.Finally([&c] { ModelAssert(c.shared.load() == 12, "lost"); });
  });
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begin;
  EXPECT_FALSE(report.failed) << report.ToString();
  EXPECT_EQ(report.executions, kExecutions);
  std::printf("%.0f executions/s, %.1f steps each\n",
              static_cast<double>(report.executions) / seconds.count(),
              static_cast<double>(report.steps) / static_cast<double>(report.executions));
}

}  // namespace
}  // namespace flagstone::testkit
