// What: a trace names records within the range, and knows the answers beforehand.
#include "bench/by_id/request_trace.h"

#include <gtest/gtest.h>

#include <vector>

namespace flagstone::bench {
namespace {

TEST(RequestTraceTest, EveryBlockKnowsTheSumOfItsPayloads) {
  constexpr uint64_t kRecords = 1000;
  using Record = BenchRecord<64>;
  const RequestTrace trace = RequestTrace::Uniform(kRecords, 3 * kBlockRequests, 1);
  ASSERT_EQ(trace.block_count(), 3u);
  for (size_t block = 0; block < trace.block_count(); ++block) {
    uint64_t mixes = 0;
    uint64_t payloads = 0;
    for (size_t i = 0; i < kBlockRequests; ++i) {
      ASSERT_LT(trace.numbers(block)[i], kRecords);
      mixes += Mix(trace.numbers(block)[i]);
      payloads += Record::Of(trace.numbers(block)[i]).Sum();
    }
    EXPECT_EQ(trace.mix_sum(block), mixes);
    EXPECT_EQ(trace.ExpectedSum<Record>(block), payloads);
  }
}

TEST(RequestTraceTest, AnUpdateShowsInItsCountAndNotInTheSum) {
  BenchRecord<40> record = BenchRecord<40>::Of(7);
  EXPECT_EQ(record.UpdateCount(7), 0u);
  for (int i = 0; i < 5; ++i) record.CountUpdate();
  EXPECT_EQ(record.UpdateCount(7), 5u);
  EXPECT_EQ(record.Sum(), BenchRecord<40>::SumOf(7));
}

TEST(RequestTraceTest, IdsFollowTheNumbersBeyondTheLastBlock) {
  std::vector<RecordId> ids;
  for (uint64_t n = 0; n < 100; ++n) ids.push_back(RecordId(n * 3 + 1));
  const RequestTrace trace = RequestTrace::Uniform(100, kBlockRequests, 9);
  const std::vector<RecordId> requested = trace.IdsOf(ids);
  ASSERT_EQ(requested.size(), kBlockRequests + kTracePadding);
  for (size_t i = 0; i < requested.size(); ++i) {
    EXPECT_EQ(requested[i].value(), trace.numbers(0)[i] * 3 + 1);
  }
}

TEST(RequestTraceTest, ACursorBeginsAgainAfterTheLastBlock) {
  const RequestTrace trace = RequestTrace::Uniform(10, 2 * kBlockRequests, 1);
  TraceCursor cursor(trace, 3);
  EXPECT_EQ(cursor.Next(), 1u);
  EXPECT_EQ(cursor.Next(), 0u);
  EXPECT_EQ(cursor.Next(), 1u);
}

TEST(RequestTraceDeathTest, AWrongAnswerEndsTheProcess) {
  EXPECT_EXIT(CheckAnswer("get", 1, 2), testing::ExitedWithCode(3), "wrong answer from 'get'");
  CheckAnswer("get", 2, 2);
}

}  // namespace
}  // namespace flagstone::bench
