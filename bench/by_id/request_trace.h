// RequestTrace: which records are asked for, in order, drawn before any clock starts.
//
// Every contestant walks the trace: the store's through the records' IDs, the flat array's through
// their slot numbers, a map's through its keys. All of them load one 8-byte word per request from a
// list they read in sequence, so none has the cheaper way to its next request. The trace is cut
// into blocks whose answers are known beforehand, so that checking costs one comparison a block.
//
// Threads     Const after its making: any number of cursors.
// See         tests/unit/bench/request_trace_test.cc
#ifndef FLAGSTONE_BENCH_BY_ID_REQUEST_TRACE_H_
#define FLAGSTONE_BENCH_BY_ID_REQUEST_TRACE_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "bench/by_id/bench_record.h"
#include "bench/kit/zipf_generator.h"
#include "flagstone/record_id.h"
#include "flagstone/status.h"
#include "lib/base/random.h"

namespace flagstone::bench {

// Requests of a block: 4,096 of them take 50 us or more, beside which reading the clock is nothing.
inline constexpr size_t kBlockRequests = 4096;
// Read beyond a block's end by dependent look-ups and prefetches; the list is longer by that much.
inline constexpr size_t kTracePadding = 64;

class RequestTrace {
 public:
  // Every record equally often, in random order.
  static RequestTrace Uniform(uint64_t record_count, size_t request_count, uint64_t seed);
  // Zipf with theta 0.99, scrambled: as YCSB's core workloads.
  static RequestTrace Zipf(const ZipfGenerator& zipf, size_t request_count, uint64_t seed);

  // Numbers of records: slots of the flat array, keys of the maps.
  const uint64_t* numbers(size_t block) const { return numbers_.data() + block * kBlockRequests; }
  // Sum of Mix(number) over the block.
  uint64_t mix_sum(size_t block) const { return mix_sums_[block]; }
  // Sum of the payload sums over the block.
  template <typename Record>
  uint64_t ExpectedSum(size_t block) const {
    return Record::kWords * mix_sums_[block] +
           kBlockRequests * (Record::kWords * (Record::kWords - 1) / 2);
  }
  size_t block_count() const { return mix_sums_.size(); }

  // The IDs of the same records. `ids` is by record number.
  std::vector<RecordId> IdsOf(const std::vector<RecordId>& ids) const;

 private:
  template <typename Draw>
  RequestTrace(size_t request_count, Draw&& draw);

  std::vector<uint64_t> numbers_;
  std::vector<uint64_t> mix_sums_;
};

// One contestant's place in a trace; the end is followed by the beginning.
class TraceCursor {
 public:
  TraceCursor(const RequestTrace& trace, size_t first_block)
      : block_count_(trace.block_count()), next_(first_block % block_count_) {}
  size_t Next() {
    const size_t block = next_;
    next_ = next_ + 1 == block_count_ ? 0 : next_ + 1;
    return block;
  }

 private:
  const size_t block_count_;
  size_t next_;
};

// Compares a block's answer with the known one. A wrong answer ends the process with code 3: no
// figure of such a run means anything.
[[noreturn]] void WrongAnswer(const char* who, uint64_t found, uint64_t expected);
inline void CheckAnswer(const char* who, uint64_t found, uint64_t expected) {
  if (found != expected) [[unlikely]]
    WrongAnswer(who, found, expected);
}
// For errors inside a turn, where no Status can be carried up: the same end.
[[noreturn]] void StopBench(const char* who, const Status& status);

}  // namespace flagstone::bench

#endif  // FLAGSTONE_BENCH_BY_ID_REQUEST_TRACE_H_
