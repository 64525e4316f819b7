// BenchRecord: the payload of a slot of a given stride, with contents that check themselves.
//
//   word 0            word 1            word k >= 2
//   Mix(n) + count    Mix(n)+1 - count  Mix(n) + k        n = number of the record, from 0
//
// Invariants  1. The sum of all words depends on the record's number alone, not on how often it was
//                updated: a reader knows the answer while writers run, and a torn read shows.
//             2. Word 0 counts the updates.
#ifndef FLAGSTONE_BENCH_BY_ID_BENCH_RECORD_H_
#define FLAGSTONE_BENCH_BY_ID_BENCH_RECORD_H_

#include <array>
#include <cstddef>
#include <cstdint>

#include "flagstone/internal/slot.h"

namespace flagstone::bench {

// Spreads record numbers over 64 bits: an odd factor, so that no two are alike.
constexpr uint64_t Mix(uint64_t number) { return (number + 1) * 0x9e3779b97f4a7c15; }

template <uint32_t stride_bytes>
struct BenchRecord {
  static constexpr uint32_t kStrideBytes = stride_bytes;
  static constexpr size_t kWords = (stride_bytes - internal::kSlotHeaderBytes) / 8;
  static_assert(kWords >= 2);

  std::array<uint64_t, kWords> words;

  static BenchRecord Of(uint64_t number) {
    BenchRecord record;
    for (size_t k = 0; k < kWords; ++k) record.words[k] = Mix(number) + k;
    return record;
  }
  static constexpr uint64_t SumOf(uint64_t number) {
    return kWords * Mix(number) + kWords * (kWords - 1) / 2;
  }

  // In place: every word of the payload is read.
  uint64_t Sum() const {
    uint64_t sum = 0;
    for (const uint64_t word : words) sum += word;
    return sum;
  }
  void CountUpdate() {
    ++words[0];
    --words[1];
  }
  uint64_t UpdateCount(uint64_t number) const { return words[0] - Mix(number); }
};

static_assert(sizeof(BenchRecord<64>) == 40);
static_assert(sizeof(BenchRecord<40>) == 16);
static_assert(sizeof(BenchRecord<1024>) == 1000);

}  // namespace flagstone::bench

#endif  // FLAGSTONE_BENCH_BY_ID_BENCH_RECORD_H_
