#include "bench/by_id/request_trace.h"

#include <algorithm>
#include <cinttypes>
#include <cstdio>
#include <cstdlib>

namespace flagstone::bench {

template <typename Draw>
RequestTrace::RequestTrace(size_t request_count, Draw&& draw) {
  const size_t blocks = std::max<size_t>(request_count / kBlockRequests, 1);
  numbers_.reserve(blocks * kBlockRequests + kTracePadding);
  mix_sums_.reserve(blocks);
  for (size_t block = 0; block < blocks; ++block) {
    uint64_t sum = 0;
    for (size_t i = 0; i < kBlockRequests; ++i) {
      numbers_.push_back(draw());
      sum += Mix(numbers_.back());
    }
    mix_sums_.push_back(sum);
  }
  for (size_t i = 0; i < kTracePadding; ++i) numbers_.push_back(numbers_[i]);
}

RequestTrace RequestTrace::Uniform(uint64_t record_count, size_t request_count, uint64_t seed) {
  base::Random random(seed);
  return RequestTrace(request_count, [&] { return random.Below(record_count); });
}

RequestTrace RequestTrace::Zipf(const ZipfGenerator& zipf, size_t request_count, uint64_t seed) {
  base::Random random(seed);
  return RequestTrace(request_count, [&] { return zipf.Next(random); });
}

std::vector<RecordId> RequestTrace::IdsOf(const std::vector<RecordId>& ids) const {
  std::vector<RecordId> requested;
  requested.reserve(numbers_.size());
  for (const uint64_t number : numbers_) requested.push_back(ids[number]);
  return requested;
}

void WrongAnswer(const char* who, uint64_t found, uint64_t expected) {
  std::fprintf(stderr,
               "flagstone bench: wrong answer from '%s': found %016" PRIx64 ", expected %016" PRIx64
               ". No figure of this run counts.\n",
               who, found, expected);
  std::_Exit(3);
}

void StopBench(const char* who, const Status& status) {
  std::fprintf(stderr, "flagstone bench: '%s' failed: %s\n", who, status.ToString().c_str());
  std::_Exit(3);
}

}  // namespace flagstone::bench
