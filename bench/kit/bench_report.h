// BenchReport: what one run of a benchmark found, ready to be printed or written as JSON.
#ifndef FLAGSTONE_BENCH_KIT_BENCH_REPORT_H_
#define FLAGSTONE_BENCH_KIT_BENCH_REPORT_H_

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "bench/kit/estimate.h"

namespace flagstone::bench {

// One comparison of a subject with a reference that ran in the same rounds.
struct BenchRow {
  std::string key;   // the row's name for ever: what --baseline matches by
  std::string what;  // for people
  std::string unit;  // of both values: "ns", "M/s", "bytes"
  double subject = 0;
  std::string reference_name;
  double reference = 0;
  // Of subject and reference, round by round: as in the goal ("x copy", "x as fast as").
  Estimate ratio;
  // Which direction of the ratio is good, also where there is no goal.
  Goal::Side side = Goal::Side::kAtMost;
  std::optional<Goal> goal;
  std::string note;

  Verdict verdict() const { return Judge(ratio, goal); }
};

struct BenchReport {
  std::string bench;  // "read"
  // Name and value, in the order to be shown.
  std::vector<std::pair<std::string, std::string>> machine;
  // What --baseline wants to be equal: records, stride, pages asked for, rounds.
  std::vector<std::pair<std::string, std::string>> settings;
  std::vector<BenchRow> rows;
  // Rows of the table that could not be measured, and why; anything else a reader must know.
  std::vector<std::string> remarks;
};

}  // namespace flagstone::bench

#endif  // FLAGSTONE_BENCH_KIT_BENCH_REPORT_H_
