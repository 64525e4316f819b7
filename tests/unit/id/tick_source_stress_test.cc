// What: many threads issue 100 million IDs (2 million under sanitizers) over shared slots, while
// one renews the
//       lease and another steps the clock about: none comes twice, none lies beyond the lease on
//       disk.
// How:  one bit per (tick, slot). A thread that claims a slot's next generation sets the bit of the
// ID it
//       encodes, decoded again; a bit already set is a duplicate.
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <thread>
#include <vector>

#include "lib/base/manual_clock.h"
#include "lib/base/random.h"
#include "lib/id/tick_source.h"
#include "tests/support/test_scale.h"

namespace flagstone::id {
namespace {

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
constexpr bool kSanitized = true;
#elif defined(__has_feature)
constexpr bool kSanitized = __has_feature(thread_sanitizer) || __has_feature(address_sanitizer);
#else
constexpr bool kSanitized = false;
#endif
#if defined(__OPTIMIZE__)
constexpr bool kOptimized = true;
#else
constexpr bool kOptimized = false;
#endif

// An unoptimized build spends its time in calls of std::atomic; it does a tenth.
constexpr uint64_t kIdCount = kSanitized ? 2'000'000 : kOptimized ? 100'000'000 : 10'000'000;
constexpr uint32_t kSlotCount = kSanitized ? 1u << 15 : kOptimized ? 1u << 20 : 1u << 17;
constexpr uint32_t kTickSpan = 512;
constexpr uint32_t kBatchSlots = 256;
constexpr int kIssuerCount = 4;
constexpr int64_t kStart = 1'795'249'000;  // 2026-11-21
// The clock is stepped within this range around the time that passes.
constexpr int64_t kStepSecondsMax = 5;

// A disk that takes a moment, and that other threads look at.
class SharedLeaseStorage final : public LeaseStorage {
 public:
  Result<uint64_t> Load() override { return lease_end.load(); }
  Status Persist(uint64_t end) override {
    std::this_thread::yield();
    lease_end.store(end);
    return Status::Ok();
  }
  Status PersistAtClose(uint64_t end) override { return Persist(end); }

  std::atomic<uint64_t> lease_end{0};
};

class TickSourceStressTest : public ::testing::Test {
 protected:
  TickSourceStressTest() : seen_(uint64_t{kSlotCount} * kTickSpan / 64), generation_(kSlotCount) {}

  void SetUp() override { StartOver(); }
  // Of the life before only the lease is left.
  void StartOver() {
    for (auto& word : seen_) word.store(0, std::memory_order_relaxed);
    for (auto& generation : generation_) generation.store(kNoTick, std::memory_order_relaxed);
    cursor_.store(0);
    issued_.store(0);
    done_.store(false);
    Result<std::unique_ptr<TickSource>> opened = TickSource::Open({codec_, clock_, storage_});
    ASSERT_TRUE(opened.ok());
    source_ = *std::move(opened);
    first_tick_ = source_->Current();
  }

  void IssueFromThisThread() {
    while (!done_.load(std::memory_order_relaxed)) {
      const uint64_t from = cursor_.fetch_add(kBatchSlots, std::memory_order_relaxed);
      uint64_t issued = 0;
      for (uint64_t i = from; i < from + kBatchSlots; ++i) {
        issued += IssueIn(static_cast<uint32_t>(i % kSlotCount)) ? 1 : 0;
      }
      if (issued_.fetch_add(issued, std::memory_order_relaxed) + issued >= kIdCount)
        done_.store(true);
    }
  }

  // False when another thread claimed the slot's generation first, or there is no tick for it at
  // the moment.
  bool IssueIn(uint32_t slot) {
    uint32_t generation = generation_[slot].load(std::memory_order_relaxed);
    uint32_t tick = source_->Current();
    if (!MayIssue(generation, tick)) {
      const Result<uint32_t> later = source_->RunAhead(tick);
      if (!later.ok()) {
        refused_.fetch_add(1, std::memory_order_relaxed);
        clock_.AdvanceSeconds(1);
        return false;
      }
      tick = *later;
    }
    if (!MayIssue(generation, tick)) return false;
    if (!generation_[slot].compare_exchange_strong(generation, tick)) return false;
    Book(codec_.Encode({tick, 0, 0, slot}));
    return true;
  }

  void Book(RecordId id) {
    const uint32_t tick = codec_.tick(id);
    if (tick >= storage_.lease_end.load(std::memory_order_acquire)) beyond_lease_.fetch_add(1);
    const uint64_t bit = uint64_t{tick - first_tick_} * kSlotCount + codec_.slot(id);
    if (tick < first_tick_ || bit / 64 >= seen_.size()) {
      out_of_span_.fetch_add(1);
      return;
    }
    const uint64_t mask = uint64_t{1} << (bit % 64);
    if ((seen_[bit / 64].fetch_or(mask, std::memory_order_relaxed) & mask) != 0)
      duplicates_.fetch_add(1);
  }

  void MaintainFromThisThread() {
    while (!done_.load(std::memory_order_relaxed)) {
      source_->Refresh();
      if (source_->RenewalDue() && !source_->Renew().ok()) failures_.fetch_add(1);
      static_cast<void>(source_->stats());
      std::this_thread::yield();
    }
  }

  // One life of a store, from its first tick on.
  void IssueFromManyThreads();
  void StepTheClockFromThisThread() {
    base::Random random(11);
    int64_t offset = 0;
    while (!done_.load(std::memory_order_relaxed)) {
      const int64_t next = random.Between(-kStepSecondsMax, kStepSecondsMax);
      clock_.StepWallSeconds(next - offset);
      offset = next;
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
  }

  const IdCodec codec_{id_layouts::kStandalone};
  base::ManualClock clock_{kStart};
  SharedLeaseStorage storage_;
  std::unique_ptr<TickSource> source_;
  uint32_t first_tick_ = 0;
  std::vector<std::atomic<uint64_t>> seen_;
  std::vector<std::atomic<uint32_t>> generation_;
  std::atomic<uint64_t> cursor_{0};
  std::atomic<uint64_t> issued_{0};
  std::atomic<uint64_t> duplicates_{0};
  std::atomic<uint64_t> beyond_lease_{0};
  std::atomic<uint64_t> out_of_span_{0};
  std::atomic<uint64_t> refused_{0};
  std::atomic<uint64_t> failures_{0};
  std::atomic<bool> done_{false};
};

void TickSourceStressTest::IssueFromManyThreads() {
  std::vector<std::thread> threads;
  for (int i = 0; i < kIssuerCount; ++i) threads.emplace_back([this] { IssueFromThisThread(); });
  threads.emplace_back([this] { MaintainFromThisThread(); });
  threads.emplace_back([this] { StepTheClockFromThisThread(); });
  for (std::thread& thread : threads) thread.join();
  const TickSourceStats stats = source_->stats();
  std::printf(
      "ID stress: %llu IDs from %d threads, %llu ticks ahead of time, %llu waits, %llu leases\n",
      static_cast<unsigned long long>(issued_.load()), kIssuerCount,
      static_cast<unsigned long long>(stats.run_ahead_count),
      static_cast<unsigned long long>(refused_.load()),
      static_cast<unsigned long long>(stats.lease_written_count));
  EXPECT_GE(issued_.load(), kIdCount);
  EXPECT_EQ(duplicates_.load(), 0u);
  EXPECT_EQ(beyond_lease_.load(), 0u);
  EXPECT_EQ(out_of_span_.load(), 0u);
  EXPECT_EQ(failures_.load(), 0u);
}

// A long run issues ten billion, a hundred lives one after another.
TEST_F(TickSourceStressTest, ManyThreadsNeverIssueAnIdTwice) {
  const uint64_t lives = tests::RowCount(1, 100);
  for (uint64_t life = 0; life < lives && !HasFailure(); ++life) {
    if (life > 0) StartOver();
    IssueFromManyThreads();
  }
}

// What: a close in the midst of it ends issuing below what it writes.
TEST_F(TickSourceStressTest, ACloseBesideIssuersCoversEveryIdTheyIssue) {
  std::atomic<uint32_t> highest{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < kIssuerCount; ++i) {
    threads.emplace_back([&] {
      for (;;) {
        const Result<uint32_t> tick = source_->RunAhead(source_->Current());
        const uint32_t issued = source_->Current();
        for (uint32_t seen = highest.load();
             seen < issued && !highest.compare_exchange_weak(seen, issued);) {
        }
        if (tick.code() == StatusCode::kFailedPrecondition) return;
        clock_.AdvanceSeconds(1);
      }
    });
  }
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  EXPECT_TRUE(source_->Close().ok());
  for (std::thread& thread : threads) thread.join();
  EXPECT_GT(highest.load(), first_tick_);
  EXPECT_EQ(storage_.lease_end.load(), uint64_t{highest.load()} + 1);
}

}  // namespace
}  // namespace flagstone::id
