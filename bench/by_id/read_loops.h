// The measured loops of the read benchmark, one function each, so that their assembly can be read
// by name: objdump -dC --no-show-raw-insn <program> --disassemble=<name>.
//
// All of them answer one block of a trace and return the sum that CheckAnswer() expects. Subject
// and reference differ in how they come from a request to the payload, and in nothing else.
#ifndef FLAGSTONE_BENCH_BY_ID_READ_LOOPS_H_
#define FLAGSTONE_BENCH_BY_ID_READ_LOOPS_H_

#include <algorithm>
#include <cstdint>
#include <span>

#include "bench/by_id/flat_slots.h"
#include "bench/by_id/request_trace.h"
#include "bench/kit/cycle_timer.h"
#include "bench/kit/keep.h"
#include "bench/kit/latency_histogram.h"
#include "flagstone/store.h"

namespace flagstone::bench {

// The sum of what `read` gives for each request of a block of a reference, where which request is
// read next depends, for the processor, on what was read before it.
template <typename Read>
[[gnu::always_inline]] inline uint64_t DependentSum(Read&& read) {
  uint64_t sum = 0;
  uint64_t zero = 0;
  Launder(zero);
  uint64_t step = 0;
  for (size_t i = 0; i < kBlockRequests; ++i) {
    const uint64_t found = read(i + step);
    step = found & zero;
    sum += found;
  }
  return sum;
}

// --- references ----------------------------------------------------------------------------------

// raw: one word of the slot.
template <typename Record>
[[gnu::noinline]] uint64_t RawLoop(char* slots, const uint64_t* numbers) {
  uint64_t sum = 0;
  for (size_t i = 0; i < kBlockRequests; ++i) {
    sum += FlatSlots<Record>::At(slots, numbers[i]).words[0];
  }
  return sum;
}

// raw, the slot's number drawn on the way instead of loaded from a list.
template <typename Record>
[[gnu::noinline]] uint64_t RawDrawnLoop(char* slots, uint64_t record_count, base::Random& random,
                                        uint64_t& mix_sum) {
  uint64_t sum = 0;
  uint64_t expected = 0;
  for (size_t i = 0; i < kBlockRequests; ++i) {
    const uint64_t number = random.Below(record_count);
    expected += Mix(number);
    sum += FlatSlots<Record>::At(slots, number).words[0];
  }
  mix_sum = expected;
  return sum;
}

// chase: as raw, but which request comes next depends on what was read.
template <typename Record>
[[gnu::noinline]] uint64_t ChaseLoop(char* slots, const uint64_t* numbers) {
  return DependentSum([&](size_t i) { return FlatSlots<Record>::At(slots, numbers[i]).words[0]; });
}

// copy: the payload summed in place.
template <typename Record>
[[gnu::noinline]] uint64_t CopyLoop(char* slots, const uint64_t* numbers) {
  uint64_t sum = 0;
  for (size_t i = 0; i < kBlockRequests; ++i) {
    sum += FlatSlots<Record>::At(slots, numbers[i]).Sum();
  }
  return sum;
}

// copy: the payload copied out, then summed.
template <typename Record>
[[gnu::noinline]] uint64_t CopyOutLoop(char* slots, const uint64_t* numbers) {
  uint64_t sum = 0;
  Record copy;
  for (size_t i = 0; i < kBlockRequests; ++i) {
    copy = FlatSlots<Record>::At(slots, numbers[i]);
    KeepMemory(&copy);
    sum += copy.Sum();
  }
  return sum;
}

// copy, each request dependent on the payload before it.
template <typename Record>
[[gnu::noinline]] uint64_t CopyDependentLoop(char* slots, const uint64_t* numbers) {
  return DependentSum([&](size_t i) { return FlatSlots<Record>::At(slots, numbers[i]).Sum(); });
}

// copy with the prefetches of Reader::MultiGet(): per batch, as many requests ahead.
template <typename Record, size_t kBatch>
[[gnu::noinline]] uint64_t CopyPrefetchedLoop(char* slots, const uint64_t* numbers) {
  static_assert(kBlockRequests % kBatch == 0);
  constexpr size_t kAhead = std::min(kBatch, Reader::kPrefetchAhead);
  const auto prefetch = [&](uint64_t number) {
    __builtin_prefetch(slots + number * Record::kStrideBytes);
  };
  uint64_t sum = 0;
  for (size_t first = 0; first < kBlockRequests; first += kBatch) {
    for (size_t i = 0; i < kAhead; ++i) prefetch(numbers[first + i]);
    for (size_t i = 0; i < kBatch; ++i) {
      if (i + kAhead < kBatch) prefetch(numbers[first + i + kAhead]);
      sum += FlatSlots<Record>::At(slots, numbers[first + i]).Sum();
    }
  }
  return sum;
}

// --- subjects ------------------------------------------------------------------------------------

// A record that is not there gives no sum, so that the block's answer is wrong.
template <typename Record>
[[gnu::noinline]] uint64_t GetLoop(Reader& reader, const RecordTableOf<Record> table,
                                   const RecordId* ids) {
  uint64_t sum = 0;
  for (size_t i = 0; i < kBlockRequests; ++i) {
    const TypedGuard<Record> record = reader.Get(table, ids[i]);
    if (record) [[likely]]
      sum += record->Sum();
  }
  return sum;
}

template <typename Record>
[[gnu::noinline]] uint64_t GetOutLoop(Reader& reader, const RecordTableOf<Record> table,
                                      const RecordId* ids) {
  uint64_t sum = 0;
  Record copy;
  for (size_t i = 0; i < kBlockRequests; ++i) {
    {
      const TypedGuard<Record> record = reader.Get(table, ids[i]);
      if (!record) [[unlikely]]
        continue;
      copy = *record;
    }
    KeepMemory(&copy);
    sum += copy.Sum();
  }
  return sum;
}

template <typename Record>
[[gnu::noinline]] uint64_t GetDependentLoop(Reader& reader, const RecordTableOf<Record> table,
                                            const RecordId* ids) {
  uint64_t sum = 0;
  uint64_t zero = 0;
  Launder(zero);
  uint64_t step = 0;
  for (size_t i = 0; i < kBlockRequests; ++i) {
    const TypedGuard<Record> record = reader.Get(table, ids[i + step]);
    if (!record) [[unlikely]]
      continue;
    const uint64_t payload = record->Sum();
    step = payload & zero;
    sum += payload;
  }
  return sum;
}

// Store::Read(): no session kept.
template <typename Record>
[[gnu::noinline]] uint64_t OneCallLoop(Store& store, const RecordTableOf<Record> table,
                                       const RecordId* ids) {
  uint64_t sum = 0;
  for (size_t i = 0; i < kBlockRequests; ++i) {
    const Result<bool> found =
        store.Read(table, ids[i], [&](const Record& record) { sum += record.Sum(); });
    if (!found.ok() || !*found) [[unlikely]]
      break;
  }
  return sum;
}

template <typename Record, size_t kBatch>
[[gnu::noinline]] uint64_t MultiGetLoop(Reader& reader, const RecordTableOf<Record>& table,
                                        const RecordId* ids) {
  uint64_t sum = 0;
  for (size_t first = 0; first < kBlockRequests; first += kBatch) {
    reader.MultiGet(table, std::span(ids + first, kBatch),
                    [&](size_t, const TypedGuard<Record>& record) {
                      if (record) [[likely]]
                        sum += record->Sum();
                    });
  }
  return sum;
}

// --- single look-ups by the clock ----------------------------------------------------------------

template <typename Record>
[[gnu::noinline]] uint64_t RawTimedLoop(char* slots, const uint64_t* numbers,
                                        LatencyHistogram& histogram) {
  uint64_t sum = 0;
  for (size_t i = 0; i < kBlockRequests; ++i) {
    const uint64_t number = numbers[i];
    const uint64_t begin = CycleTimer::Now();
    const uint64_t word = FlatSlots<Record>::At(slots, number).words[0];
    sum += word;
    const uint64_t end = CycleTimer::Now();
    histogram.Record(end - begin);
  }
  return sum;
}

template <typename Record>
[[gnu::noinline]] uint64_t GetTimedLoop(Reader& reader, const RecordTableOf<Record>& table,
                                        const RecordId* ids, LatencyHistogram& histogram) {
  uint64_t sum = 0;
  for (size_t i = 0; i < kBlockRequests; ++i) {
    const RecordId id = ids[i];
    const uint64_t begin = CycleTimer::Now();
    if (const TypedGuard<Record> record = reader.Get(table, id)) [[likely]] {
      sum += record->words[0];
    }
    const uint64_t end = CycleTimer::Now();
    histogram.Record(end - begin);
  }
  return sum;
}

}  // namespace flagstone::bench

#endif  // FLAGSTONE_BENCH_BY_ID_READ_LOOPS_H_
