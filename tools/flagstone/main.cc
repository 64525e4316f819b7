// The flagstone program: parses the command line and hands over to one command.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "flagstone/version.h"
#include "tools/flagstone/demo_command.h"
#include "tools/flagstone/id_command.h"
#include "tools/flagstone/program.h"

namespace flagstone::tool {
namespace {

// The command the user got to before the mistake: "flagstone id decode".
std::string PathOf(const CLI::App& app) {
  for (const CLI::App* child : app.get_subcommands()) {
    return app.get_name() + " " + PathOf(*child);
  }
  return app.get_name();
}

void DescribeProgram(CLI::App& app, Program& program) {
  app.require_subcommand(1);
  // --color and --quiet may stand behind the command, too.
  app.fallthrough();
  app.set_version_flag("--version", std::string("flagstone ") + Version());
  app.set_help_flag("-h,--help", "Print this help; `flagstone COMMAND --help` tells more");
  app.add_option("--color", program.color,
                 "auto (default): on a terminal, unless NO_COLOR is set; always; never")
      ->check(CLI::IsMember({"auto", "always", "never"}))
      ->type_name("WHEN");
  app.add_flag("-q,--quiet", program.quiet, "Print results and errors only, no explanations");
  app.footer(
      "Start here:\n"
      "  flagstone demo             see a store at work on a real file\n"
      "  flagstone id explain ID    see what the bits of a record ID say\n"
      "Exit codes:\n"
      "  0  done\n"
      "  1  it could not be done; one line on stderr, `flagstone: ...`, says what, where and the "
      "way out\n"
      "  2  wrong command line; nothing was done\n"
      "Results go to stdout, everything else to stderr. With --json a command prints one JSON "
      "document.");
}

// Output that did not arrive (a full disk) is a failure, whatever the command thought.
ExitCode Flushed(ExitCode code) {
  if (std::fflush(stdout) == 0 && std::ferror(stdout) == 0) return code;
  return Complain("standard output could not be written: the result is incomplete");
}

ExitCode Run(int argc, char** argv) {
  CLI::App app("flagstone: fixed-size records in memory, whose 64-bit IDs are their addresses",
               "flagstone");
  Program program;
  DescribeProgram(app, program);
  AddDemoCommand(app, program);
  AddIdCommands(app, program);
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& asked) {
    app.exit(asked);  // help or version, to stdout
    return Flushed(ExitCode::kDone);
  } catch (const CLI::ParseError& mistake) {
    return Complain(
        Escaped(mistake.what(), 400) + "; `" + PathOf(app) + " --help` shows what it takes",
        ExitCode::kUsage);
  }
  return Flushed(program.exit_code);
}

}  // namespace
}  // namespace flagstone::tool

int main(int argc, char** argv) { return static_cast<int>(flagstone::tool::Run(argc, argv)); }
