#include "tools/flagstone/bench_command.h"

#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <fstream>
#include <map>
#include <memory>
#include <sstream>
#include <string>

#include "bench/by_id/by_id_options.h"
#include "tools/flagstone/bench_baseline.h"
#include "tools/flagstone/bench_json.h"
#include "tools/flagstone/bench_table.h"

namespace flagstone::tool {
namespace {

using bench::BenchReport;
using bench::ByIdOptions;

using RunBench = Result<BenchReport> (*)(const ByIdOptions&);

// What the command line says, beside what it tells the benchmark.
struct BenchRequest {
  ByIdOptions options;
  bool quick = false;
  bool markdown = false;
  std::string json_path;
  std::string baseline_path;
};

Result<std::string> ReadText(const std::string& path) {
  std::ifstream file(path);
  std::ostringstream text;
  if (!file || !(text << file.rdbuf())) {
    return Status::Error(StatusCode::kIoError, "cannot read " + path);
  }
  return text.str();
}

Status WriteText(const std::string& path, const std::string& text) {
  std::ofstream file(path);
  file << text;
  file.close();
  if (!file) return Status::Error(StatusCode::kIoError, "cannot write " + path);
  return Status::Ok();
}

// What is done next, on one line of the terminal that the next one overwrites.
void ShowProgress(std::string_view what) {
  std::fprintf(stderr, "\r\033[K%.*s", static_cast<int>(what.size()), what.data());
}

Result<ExitCode> Compare(const BenchReport& report, const std::string& baseline_path,
                         std::FILE* out) {
  Result<std::string> text = ReadText(baseline_path);
  if (!text.ok()) return std::move(text).status();
  Result<BenchReport> before = BenchFromJson(*text, baseline_path);
  if (!before.ok()) return std::move(before).status();
  Result<BaselineComparison> comparison = CompareWithBaseline(report, *before);
  if (!comparison.ok()) return std::move(comparison).status();
  std::fprintf(out, "\nagainst %s:\n%s", baseline_path.c_str(), comparison->text.c_str());
  if (comparison->worse_count == 0) return ExitCode::kDone;
  std::fprintf(out, "%zu rows are slower than the baseline, beyond the spread\n",
               comparison->worse_count);
  return ExitCode::kFailed;
}

Result<ExitCode> RunRequest(RunBench run, const BenchRequest& request, const Program& program) {
  ByIdOptions options = request.quick ? bench::Quick(request.options) : request.options;
  const bool progress = !program.quiet && isatty(STDERR_FILENO) != 0;
  if (progress) options.on_progress = ShowProgress;
  Result<BenchReport> report = run(options);
  if (progress) ShowProgress("");
  if (!report.ok()) return std::move(report).status();
  // JSON on the standard output is alone there.
  const bool json_alone = request.json_path == "-";
  std::FILE* const out = json_alone ? stderr : stdout;
  std::fputs((request.markdown ? BenchMarkdown(*report) : BenchTable(*report)).c_str(), out);
  if (json_alone) {
    std::fputs(BenchToJson(*report).c_str(), stdout);
  } else if (!request.json_path.empty()) {
    if (Status status = WriteText(request.json_path, BenchToJson(*report)); !status.ok()) {
      return status;
    }
  }
  if (request.baseline_path.empty()) return ExitCode::kDone;
  return Compare(*report, request.baseline_path, out);
}

void AddOptions(CLI::App& command, BenchRequest& request) {
  const std::map<std::string, PageKind> page_kinds = {{"4k", PageKind::k4KiB},
                                                      {"thp", PageKind::kTransparent2MiB},
                                                      {"2m", PageKind::k2MiB},
                                                      {"1g", PageKind::k1GiB}};
  ByIdOptions& options = request.options;
  command.add_option("--records", options.record_count, "records in the store")
      ->transform(
          CLI::AsNumberWithUnit(std::map<std::string, uint64_t>{{"K", 1000}, {"M", 1'000'000}}))
      ->capture_default_str();
  command.add_option("--stride", options.stride_bytes, "bytes from slot to slot: 40, 64 or 1024")
      ->check(CLI::IsMember({40, 64, 1024}))
      ->capture_default_str();
  command.add_option("--threads", options.thread_count, "threads of the rows that have several")
      ->capture_default_str();
  command.add_option("--rounds", options.rounds.round_count, "rounds; fewer than 5 judge no goal")
      ->capture_default_str();
  command.add_option("--seconds", options.rounds.turn_seconds, "length of one turn of a round")
      ->capture_default_str();
  command.add_option("--pages", options.page_kind, "pages to ask for: 4k, thp, 2m or 1g")
      ->transform(CLI::CheckedTransformer(page_kinds))
      ->option_text("KIND [2m]");
  command.add_option("--seed", options.seed, "of all random numbers")->capture_default_str();
  command.add_flag("--quick", request.quick,
                   "20,000 records and a moment: checks the answers, judges nothing");
  command.add_flag("--markdown", request.markdown, "print the table for a document");
  command.add_option("--json", request.json_path, "also write the report as JSON; - for stdout")
      ->option_text("FILE");
  command
      .add_option(
          "--baseline", request.baseline_path,
          "compare with an earlier --json; exit code 1 when something is worse beyond the spread")
      ->option_text("FILE");
}

void AddBench(CLI::App& parent, const char* name, const char* description, RunBench run,
              Program& program) {
  CLI::App* const command = parent.add_subcommand(name, description);
  // Second owner: the callback, which runs when this function has returned.
  const auto request = std::make_shared<BenchRequest>();
  AddOptions(*command, *request);
  command->callback([run, request, &program] {
    Result<ExitCode> done = RunRequest(run, *request, program);
    program.exit_code = done.ok() ? *done : Complain(done.status());
  });
}

}  // namespace

void AddBenchCommands(CLI::App& app, Program& program) {
  CLI::App* const bench = app.add_subcommand(
      "bench", "Measure the store against what the machine can do, in the same run");
  bench->require_subcommand(1);
  bench->footer(
      "A row compares the store with a reference that took turns with it: the median of the "
      "rounds'\n"
      "ratios, its spread, the goal, and met, missed or undecidable (the goal lies in the "
      "spread).\n"
      "Every answer is checked; a wrong one ends the run with exit code 3.\n"
      "Examples:\n"
      "  flagstone bench read --quick\n"
      "  flagstone bench read --records 1M --pages thp --json before.json\n"
      "  flagstone bench read --records 1M --pages thp --baseline before.json\n"
      "Exit codes: 0 done, 1 could not be run, or slower than the baseline beyond the spread, 2 "
      "wrong\n"
      "command line, 3 wrong answer");
  AddBench(*bench, "read", "Gets by ID against reads of a flat array and against hash maps",
           bench::RunReadBench, program);
  AddBench(*bench, "insert", "Inserts, single and in batches, against appending to an array",
           bench::RunInsertBench, program);
  AddBench(*bench, "update", "Updates and transactions against changing words of an array",
           bench::RunUpdateBench, program);
  AddBench(*bench, "mixed", "YCSB-A and YCSB-B against the same requests without writes",
           bench::RunMixedBench, program);
}

}  // namespace flagstone::tool
