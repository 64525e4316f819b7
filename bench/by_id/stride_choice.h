// From the stride that was asked for to the record type that has it.
#ifndef FLAGSTONE_BENCH_BY_ID_STRIDE_CHOICE_H_
#define FLAGSTONE_BENCH_BY_ID_STRIDE_CHOICE_H_

#include "bench/by_id/bench_record.h"
#include "bench/by_id/by_id_options.h"

namespace flagstone::bench {

// Checks the options, then calls run.operator()<Record>() for the record of their stride.
template <typename Run>
Result<BenchReport> WithRecordOfStride(const ByIdOptions& options, const Run& run) {
  if (Status status = options.Validate(); !status.ok()) return status;
  switch (options.stride_bytes) {
    case 40: return run.template operator()<BenchRecord<40>>();
    case 1024: return run.template operator()<BenchRecord<1024>>();
    default: return run.template operator()<BenchRecord<64>>();
  }
}

}  // namespace flagstone::bench

#endif  // FLAGSTONE_BENCH_BY_ID_STRIDE_CHOICE_H_
