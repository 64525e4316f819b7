#include <CLI/CLI.hpp>

#include "tools/flagstone/bench_command.h"

int main(int argc, char** argv) {
  CLI::App app("flagstone");
  int exit_code = 0;
  flagstone::tool::AddBenchCommands(app, &exit_code);
  CLI11_PARSE(app, argc, argv);
  return exit_code;
}
