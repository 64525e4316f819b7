// --baseline: is this run slower than an earlier one, beyond what the spread explains?
//
// Ratios are compared, not nanoseconds: the reference ran on the same machine in the same minute,
// so that a slower machine moves both.
#ifndef FLAGSTONE_TOOLS_FLAGSTONE_BENCH_BASELINE_H_
#define FLAGSTONE_TOOLS_FLAGSTONE_BENCH_BASELINE_H_

#include <cstddef>
#include <string>

#include "bench/kit/bench_report.h"
#include "flagstone/status.h"

namespace flagstone::tool {

struct BaselineComparison {
  std::string text;  // one line a row
  size_t worse_count = 0;
};

// INVALID_ARGUMENT when the two are not runs of one benchmark with the same records, stride,
// threads and pages: names the setting and both values.
Result<BaselineComparison> CompareWithBaseline(const bench::BenchReport& now,
                                               const bench::BenchReport& before);

}  // namespace flagstone::tool

#endif  // FLAGSTONE_TOOLS_FLAGSTONE_BENCH_BASELINE_H_
