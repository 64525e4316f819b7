// What the flagstone program tells a script. Documented in `flagstone --help`.
#ifndef FLAGSTONE_TOOLS_FLAGSTONE_EXIT_CODE_H_
#define FLAGSTONE_TOOLS_FLAGSTONE_EXIT_CODE_H_

#include <cstdint>

namespace flagstone::tool {

enum class ExitCode : uint8_t {
  kDone = 0,
  kFailed = 1,  // the command was understood and could not be done, or found what it looks for
  kUsage = 2,   // the command line is wrong; nothing was done
  // `flagstone bench` has more, see bench_command.h.
};

}  // namespace flagstone::tool

#endif  // FLAGSTONE_TOOLS_FLAGSTONE_EXIT_CODE_H_
