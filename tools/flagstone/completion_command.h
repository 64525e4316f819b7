// `flagstone completion`: what a shell needs to complete the program's commands, options and
// values, written from the very definition that parses them: it cannot go stale.
#ifndef FLAGSTONE_TOOLS_FLAGSTONE_COMPLETION_COMMAND_H_
#define FLAGSTONE_TOOLS_FLAGSTONE_COMPLETION_COMMAND_H_

#include <CLI/CLI.hpp>
#include <string>

#include "tools/flagstone/program.h"

namespace flagstone::tool {

// A script for bash 4 or later that needs nothing else; to be sourced, or installed as
// share/bash-completion/completions/flagstone. `app` is the whole program, with all its commands.
std::string BashCompletion(const CLI::App& app);

// `app` and `program` must outlive the parsing.
void AddCompletionCommand(CLI::App& app, Program& program);

}  // namespace flagstone::tool

#endif  // FLAGSTONE_TOOLS_FLAGSTONE_COMPLETION_COMMAND_H_
