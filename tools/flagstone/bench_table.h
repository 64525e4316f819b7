// A benchmark's report as text for people: aligned columns, or Markdown for documents.
#ifndef FLAGSTONE_TOOLS_FLAGSTONE_BENCH_TABLE_H_
#define FLAGSTONE_TOOLS_FLAGSTONE_BENCH_TABLE_H_

#include <string>

#include "bench/kit/bench_report.h"

namespace flagstone::tool {

std::string BenchTable(const bench::BenchReport& report);
std::string BenchMarkdown(const bench::BenchReport& report);

}  // namespace flagstone::tool

#endif  // FLAGSTONE_TOOLS_FLAGSTONE_BENCH_TABLE_H_
