// `flagstone id`: what record IDs say about themselves, without a store.
#ifndef FLAGSTONE_TOOLS_FLAGSTONE_ID_COMMAND_H_
#define FLAGSTONE_TOOLS_FLAGSTONE_ID_COMMAND_H_

#include <CLI/CLI.hpp>

#include "tools/flagstone/program.h"

namespace flagstone::tool {

// `program` must outlive the parsing.
void AddIdCommands(CLI::App& app, Program& program);

}  // namespace flagstone::tool

#endif  // FLAGSTONE_TOOLS_FLAGSTONE_ID_COMMAND_H_
