// A benchmark's report as JSON, and back: what --json writes and --baseline reads.
#ifndef FLAGSTONE_TOOLS_FLAGSTONE_BENCH_JSON_H_
#define FLAGSTONE_TOOLS_FLAGSTONE_BENCH_JSON_H_

#include <string>
#include <string_view>

#include "bench/kit/bench_report.h"
#include "flagstone/status.h"

namespace flagstone::tool {

std::string BenchToJson(const bench::BenchReport& report);
// What --baseline needs: bench, settings, and of the rows key, ratio and its good side.
// INVALID_ARGUMENT says what is missing or malformed, and that `origin` is the file.
Result<bench::BenchReport> BenchFromJson(std::string_view text, const std::string& origin);

}  // namespace flagstone::tool

#endif  // FLAGSTONE_TOOLS_FLAGSTONE_BENCH_JSON_H_
