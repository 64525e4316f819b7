// `flagstone demo`: the main job of a store on real data, explained as it goes.
#ifndef FLAGSTONE_TOOLS_FLAGSTONE_DEMO_COMMAND_H_
#define FLAGSTONE_TOOLS_FLAGSTONE_DEMO_COMMAND_H_

#include <CLI/CLI.hpp>

#include "tools/flagstone/program.h"

namespace flagstone::tool {

// `program` must outlive the parsing.
void AddDemoCommand(CLI::App& app, Program& program);

}  // namespace flagstone::tool

#endif  // FLAGSTONE_TOOLS_FLAGSTONE_DEMO_COMMAND_H_
