#include "tools/flagstone/doctor_command.h"

#include <array>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tools/flagstone/help_text.h"
#include "tools/flagstone/machine_checks.h"
#include "tools/flagstone/machine_probe.h"

namespace flagstone::tool {
namespace {

using Json = nlohmann::ordered_json;

struct DoctorArguments {
  std::string path;
  bool strict = false;
  bool json = false;
};

// How many checks came to each verdict.
using Tally = std::array<size_t, 4>;
size_t& Of(Tally& tally, Verdict verdict) { return tally[static_cast<size_t>(verdict)]; }

Ink InkOf(Verdict verdict) {
  switch (verdict) {
    case Verdict::kOk: return Ink::kGreen;
    case Verdict::kNote: return Ink::kDim;
    case Verdict::kWarn: return Ink::kYellow;
    case Verdict::kFail: return Ink::kRed;
  }
  return Ink::kBold;
}

void PrintText(const std::vector<Check>& checks, Tally& tally, const Program& program) {
  const Paint paint = program.paint();
  for (const Check& check : checks) {
    if (program.quiet && check.verdict <= Verdict::kNote) continue;
    std::string verdict(VerdictName(check.verdict));
    verdict.resize(4, ' ');
    std::printf("%s  %-23s %s\n", paint(InkOf(check.verdict), verdict).c_str(), check.name.c_str(),
                check.finding.c_str());
    if (!check.remedy.empty()) std::printf("      %-23s %s\n", "", ("-> " + check.remedy).c_str());
  }
  if (program.quiet) return;
  std::printf(
      "\n%zu ok, %zu to note, %zu warnings, %zu failed. Lines with -> say what to run; settings\n"
      "need root of the host. docs/guide/huge_pages.md explains them.\n",
      Of(tally, Verdict::kOk), Of(tally, Verdict::kNote), Of(tally, Verdict::kWarn),
      Of(tally, Verdict::kFail));
}

void PrintJson(const std::vector<Check>& checks, const MachineFacts& facts, Tally& tally) {
  Json list = Json::array();
  for (const Check& check : checks) {
    list.push_back({{"name", check.name},
                    {"verdict", VerdictName(check.verdict)},
                    {"finding", check.finding},
                    {"remedy", check.remedy}});
  }
  Json counts;
  for (const Verdict verdict : {Verdict::kOk, Verdict::kNote, Verdict::kWarn, Verdict::kFail}) {
    counts[std::string(VerdictName(verdict))] = Of(tally, verdict);
  }
  const Json all = {{"kernel", facts.kernel},
                    {"processor", facts.cpu.model},
                    {"checks", list},
                    {"counts", counts}};
  std::printf("%s\n", all.dump(2, ' ', false, Json::error_handler_t::replace).c_str());
}

ExitCode Examine(const DoctorArguments& arguments, const Program& program) {
  const MachineFacts facts = ProbeMachine(arguments.path);
  const std::vector<Check> checks = CheckMachine(facts);
  Tally tally{};
  for (const Check& check : checks) ++Of(tally, check.verdict);
  if (arguments.json) {
    PrintJson(checks, facts, tally);
  } else {
    PrintText(checks, tally, program);
  }
  const bool failed = Of(tally, Verdict::kFail) != 0;
  const bool warned = Of(tally, Verdict::kWarn) != 0;
  return failed || (warned && arguments.strict) ? ExitCode::kFailed : ExitCode::kDone;
}

}  // namespace

void AddDoctorCommand(CLI::App& app, Program& program) {
  const auto arguments = std::make_shared<DoctorArguments>();
  CLI::App* const doctor =
      app.add_subcommand("doctor", "Examine this machine: what it offers, what would mend it");
  doctor
      ->add_option("PATH", arguments->path,
                   "A folder for a store's files: direct I/O is tried there (4 KiB, nothing stays)")
      ->type_name("FOLDER");
  doctor->add_flag("--strict", arguments->strict, "Exit with 1 for warnings, too");
  doctor->add_flag("--json", arguments->json, "Print JSON");
  doctor->footer(HelpFooter({
      .about = "Verdicts: ok; note, a fact to know; warn, works but slower or with less; fail, a "
               "store or what you asked about does not work. Every line that can be mended is "
               "followed by the command that does it.\n"
               "flagstone needs none of it: without huge pages, root or io_uring everything works.",
      .examples = {"flagstone doctor", "flagstone doctor /var/lib/myservice --json",
                   "flagstone doctor --quiet --strict || echo 'not as fast as it could be'"},
      .done = "nothing failed",
      .failed = "something failed; with --strict: or was warned about",
  }));
  doctor->callback([arguments, &program] { program.exit_code = Examine(*arguments, program); });
}

}  // namespace flagstone::tool
