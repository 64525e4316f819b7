// What a benchmark ran on: processor, kernel, compiler, build, allocator, what else was running.
#ifndef FLAGSTONE_BENCH_KIT_MACHINE_REPORT_H_
#define FLAGSTONE_BENCH_KIT_MACHINE_REPORT_H_

#include <string>
#include <utility>
#include <vector>

namespace flagstone::bench {

// Name and value, in the order to be shown. What cannot be read says "unknown".
std::vector<std::pair<std::string, std::string>> DescribeMachine();

// The build is what users run: optimized, assertions off, no sanitizer. Empty, or what is amiss:
// figures of such a build mean nothing.
std::string BuildCaveat();

}  // namespace flagstone::bench

#endif  // FLAGSTONE_BENCH_KIT_MACHINE_REPORT_H_
