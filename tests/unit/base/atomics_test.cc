#include "flagstone/internal/atomics.h"

#include <gtest/gtest.h>

#include <atomic>
#include <cstdint>
#include <thread>

#include "tests/support/test_scale.h"

namespace flagstone::internal {
namespace {

constexpr uint64_t kRounds = 20'000;

// Two threads that start every round together, as closely as two processors can.
class RoundBarrier {
 public:
  void Meet() {
    const uint64_t arrived = arrivals_.fetch_add(1, std::memory_order_acq_rel) + 1;
    const uint64_t everyone = (arrived + 1) / 2 * 2;
    for (uint32_t spin = 0; arrivals_.load(std::memory_order_acquire) < everyone; ++spin) {
      StdAtomics::Pause(spin);
    }
  }

 private:
  std::atomic<uint64_t> arrivals_{0};
};

class AnnounceTest : public testing::TestWithParam<BarrierKind> {};

// What: an announcement and a heavy barrier never miss each other: either the maintainer sees the
//       announcement, or the reader sees what the maintainer stored before its barrier.
// How:  the store-buffer litmus test, both orders of arrival, thousands of rounds. Both missing is
// what a
//       plain store in place of Announce() shows some ten times in twenty thousand rounds on
//       x86-64.
TEST_P(AnnounceTest, ReaderOrMaintainerSeesTheOther) {
  if (GetParam() == BarrierKind::kAsymmetric && ProbeBarrierKind() != BarrierKind::kAsymmetric) {
    // The kernel denies membarrier, or ThreadSanitizer is on: the asymmetric pair is never used
    // here.
    EXPECT_EQ(ProbeBarrierKind(), BarrierKind::kSymmetric);
    RecordProperty("covered", "only that the probe reports the symmetric pair");
    return;
  }
  const uint64_t rounds = tests::ScaledCount(kRounds);
  std::atomic<uint64_t> announced{0};
  std::atomic<uint64_t> retired{0};
  std::atomic<uint64_t> reader_saw{0};
  RoundBarrier barrier;
  std::thread reader([&] {
    for (uint64_t round = 1; round <= rounds; ++round) {
      barrier.Meet();
      StdAtomics::Announce(announced, round, GetParam());
      reader_saw.store(retired.load(std::memory_order_seq_cst), std::memory_order_relaxed);
      barrier.Meet();
      barrier.Meet();
    }
  });
  uint64_t missed = 0;
  for (uint64_t round = 1; round <= rounds; ++round) {
    barrier.Meet();
    retired.store(round, std::memory_order_seq_cst);
    StdAtomics::HeavyBarrier(GetParam());
    const uint64_t maintainer_saw = announced.load(std::memory_order_seq_cst);
    barrier.Meet();
    if (maintainer_saw != round && reader_saw.load(std::memory_order_relaxed) != round) ++missed;
    barrier.Meet();
  }
  reader.join();
  EXPECT_EQ(missed, 0u) << "of " << rounds << " rounds";
}

INSTANTIATE_TEST_SUITE_P(Pairs, AnnounceTest,
                         testing::Values(BarrierKind::kSymmetric, BarrierKind::kAsymmetric),
                         [](const testing::TestParamInfo<BarrierKind>& instance) {
                           return instance.param == BarrierKind::kSymmetric ? "Symmetric"
                                                                            : "Asymmetric";
                         });

}  // namespace
}  // namespace flagstone::internal
