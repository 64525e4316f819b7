// What the benchmarks of reading and writing by ID can be told.
#ifndef FLAGSTONE_BENCH_BY_ID_BY_ID_OPTIONS_H_
#define FLAGSTONE_BENCH_BY_ID_BY_ID_OPTIONS_H_

#include <cstdint>
#include <functional>
#include <string_view>

#include "bench/kit/alternating_rounds.h"
#include "bench/kit/bench_report.h"
#include "flagstone/page_options.h"
#include "flagstone/status.h"

namespace flagstone::bench {

struct ByIdOptions {
  uint64_t record_count = 40'000'000;  // 1,000 to 2^29
  uint32_t stride_bytes = 64;          // 40, 64 or 1024
  uint32_t thread_count = 2;           // of the rows with several threads: 2 to 64
  PageKind page_kind = PageKind::k2MiB;
  RoundsOptions rounds;
  uint64_t seed = 1;
  // Called with what is done next, for people who wait. May be empty.
  std::function<void(std::string_view)> on_progress;

  // INVALID_ARGUMENT that names the option, its value and the allowed range.
  Status Validate() const;
};

// A moment instead of a measurement: every row runs, its answers are checked, no goal is judged.
ByIdOptions Quick(ByIdOptions options);

// Each fills its store, runs its rows and checks every answer; a wrong one ends the process with a
// message and code 3. Errors: those of opening and filling a store; what only some rows need is
// reported in BenchReport::remarks instead.
Result<BenchReport> RunReadBench(const ByIdOptions& options);
Result<BenchReport> RunInsertBench(const ByIdOptions& options);
Result<BenchReport> RunUpdateBench(const ByIdOptions& options);
Result<BenchReport> RunMixedBench(const ByIdOptions& options);

}  // namespace flagstone::bench

#endif  // FLAGSTONE_BENCH_BY_ID_BY_ID_OPTIONS_H_
