// `flagstone doctor`: examines this machine and says what would mend it.
#ifndef FLAGSTONE_TOOLS_FLAGSTONE_DOCTOR_COMMAND_H_
#define FLAGSTONE_TOOLS_FLAGSTONE_DOCTOR_COMMAND_H_

#include <CLI/CLI.hpp>

#include "tools/flagstone/program.h"

namespace flagstone::tool {

// `program` must outlive the parsing.
void AddDoctorCommand(CLI::App& app, Program& program);

}  // namespace flagstone::tool

#endif  // FLAGSTONE_TOOLS_FLAGSTONE_DOCTOR_COMMAND_H_
