// What all commands share: options that stand before or after any of them, and the exit code.
#ifndef FLAGSTONE_TOOLS_FLAGSTONE_PROGRAM_H_
#define FLAGSTONE_TOOLS_FLAGSTONE_PROGRAM_H_

#include <cstdint>
#include <cstdio>
#include <string>

#include "tools/flagstone/exit_code.h"
#include "tools/flagstone/terminal.h"

namespace flagstone::tool {

// How results are printed.
enum class OutputForm : uint8_t { kText, kJson };

struct Program {
  std::string color = "auto";
  bool quiet = false;
  ExitCode exit_code = ExitCode::kDone;

  Paint paint() const { return Paint::For(WhenNamed(color), stdout); }
};

}  // namespace flagstone::tool

#endif  // FLAGSTONE_TOOLS_FLAGSTONE_PROGRAM_H_
