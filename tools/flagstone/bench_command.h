// `flagstone bench ...`: from the command line to the benchmarks of bench/ and back.
#ifndef FLAGSTONE_TOOLS_FLAGSTONE_BENCH_COMMAND_H_
#define FLAGSTONE_TOOLS_FLAGSTONE_BENCH_COMMAND_H_

#include <CLI/CLI.hpp>

#include "tools/flagstone/program.h"

namespace flagstone::tool {

// `program` must outlive the parsing. A benchmark that gets a wrong answer ends the process with
// code 3.
void AddBenchCommands(CLI::App& app, Program& program);

}  // namespace flagstone::tool

#endif  // FLAGSTONE_TOOLS_FLAGSTONE_BENCH_COMMAND_H_
