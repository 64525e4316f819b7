// `flagstone bench ...`: from the command line to the benchmarks of bench/ and back.
#ifndef FLAGSTONE_TOOLS_FLAGSTONE_BENCH_COMMAND_H_
#define FLAGSTONE_TOOLS_FLAGSTONE_BENCH_COMMAND_H_

#include <CLI/App.hpp>

namespace flagstone::tool {

// Adds "bench" with its subcommands to `app`. What a subcommand did is in *exit_code after the
// parse: 0 well; 1 could not be run; 2 slower than the --baseline beyond the spread; wrong answers
// end the process with 3.
void AddBenchCommands(CLI::App& app, int* exit_code);

}  // namespace flagstone::tool

#endif  // FLAGSTONE_TOOLS_FLAGSTONE_BENCH_COMMAND_H_
