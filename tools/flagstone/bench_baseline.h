// --baseline: is this run slower than an earlier one, beyond what the spread explains?
//
// Ratios are compared, not nanoseconds: the reference ran on the same machine in the same minute,
// so that a slower machine moves both.
#ifndef FLAGSTONE_TOOLS_FLAGSTONE_BENCH_BASELINE_H_
#define FLAGSTONE_TOOLS_FLAGSTONE_BENCH_BASELINE_H_

#include <string>
#include <vector>

#include "bench/kit/bench_report.h"
#include "flagstone/status.h"

namespace flagstone::tool {

// INVALID_ARGUMENT when the two are not runs of one benchmark with the same records, stride,
// threads and pages: names the setting and both values. The rows of `now` may still be missing.
Status CheckComparable(const bench::BenchReport& now, const bench::BenchReport& before);

struct BaselineComparison {
  std::string text;                // one line a row
  std::vector<std::string> worse;  // keys of the rows that are
};
// Of two that are comparable.
BaselineComparison CompareWithBaseline(const bench::BenchReport& now,
                                       const bench::BenchReport& before);

}  // namespace flagstone::tool

#endif  // FLAGSTONE_TOOLS_FLAGSTONE_BENCH_BASELINE_H_
