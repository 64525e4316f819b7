// The flagstone program: parses the command line and hands over to one command.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "flagstone/version.h"
#include "tools/flagstone/bench_command.h"
#include "tools/flagstone/completion_command.h"
#include "tools/flagstone/demo_command.h"
#include "tools/flagstone/doctor_command.h"
#include "tools/flagstone/help_text.h"
#include "tools/flagstone/id_command.h"
#include "tools/flagstone/program.h"

namespace flagstone::tool {
namespace {

// The command the user got to before the mistake, and how they got there: "flagstone id".
struct Reached {
  const CLI::App* command;
  std::string path;
};
Reached ReachedBy(const CLI::App& app) {
  Reached reached = {&app, app.get_name()};
  while (!reached.command->get_subcommands().empty()) {
    reached.command = reached.command->get_subcommands().front();
    reached.path += " " + reached.command->get_name();
  }
  return reached;
}

ExitCode ComplainAboutCommandLine(const CLI::App& app, const CLI::ParseError& mistake) {
  const Reached reached = ReachedBy(app);
  std::string what = Escaped(mistake.what(), 400);
  if (reached.command->get_require_subcommand_min() != 0) {
    const std::vector<std::string> unknown = app.remaining(true);
    what = unknown.empty() ? "a command is missing"
                           : "there is no command '" + Escaped(unknown.front()) + "'";
  }
  return Complain(what + "; `" + reached.path + " --help` shows what there is", ExitCode::kUsage);
}

void DescribeProgram(CLI::App& app, Program& program) {
  app.formatter(std::make_shared<HelpFormatter>());
  app.require_subcommand(1);
  // --color and --quiet may stand behind the command, too.
  app.fallthrough();
  app.set_version_flag("--version", std::string("flagstone ") + Version(), "Print the version");
  app.set_help_flag("-h,--help", "Print this help; `flagstone COMMAND --help` tells more");
  app.add_option("--color", program.color,
                 "auto (default): on a terminal, unless NO_COLOR is set; always; never")
      ->check(CLI::IsMember({"auto", "always", "never"}))
      ->type_name("WHEN");
  app.add_flag("-q,--quiet", program.quiet, "Print results and errors only, no explanations");
  app.footer(HelpFooter({
      .about = "Results go to stdout, everything else to stderr. With --json a command prints one "
               "JSON document.",
      .examples =
          {"flagstone demo             see a store at work on a real file",
           "flagstone doctor           see what this machine offers, and what would mend it",
           "flagstone bench read       measure it against a flat array",
           "flagstone id explain ID    see what the bits of a record ID say"},
      .done = "done",
      .failed = "it could not be done; one line on stderr, `flagstone: ...`, says what, where and "
                "the way out",
      .wrong_answer = "a benchmark got a wrong answer; no figure of its run counts",
  }));
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
  AddDoctorCommand(app, program);
  AddBenchCommands(app, program);
  AddCompletionCommand(app, program);
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& asked) {
    app.exit(asked);  // help or version, to stdout
    return Flushed(ExitCode::kDone);
  } catch (const CLI::ParseError& mistake) {
    return ComplainAboutCommandLine(app, mistake);
  }
  return Flushed(program.exit_code);
}

}  // namespace
}  // namespace flagstone::tool

int main(int argc, char** argv) { return static_cast<int>(flagstone::tool::Run(argc, argv)); }
