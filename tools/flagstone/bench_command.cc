#include "tools/flagstone/bench_command.h"

#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "bench/by_id/by_id_options.h"
#include "bench/by_id/report_parts.h"
#include "tools/flagstone/bench_baseline.h"
#include "tools/flagstone/bench_json.h"
#include "tools/flagstone/bench_table.h"
#include "tools/flagstone/help_text.h"

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

Status FileError(const char* what, const std::string& path) {
  const int reason = errno;
  return Status::Error(StatusCode::kIoError,
                       "cannot " + std::string(what) + " " + path + ": " + std::strerror(reason));
}

Result<std::string> ReadText(const std::string& path) {
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "re"),
                                                             &std::fclose);
  if (file == nullptr) return FileError("read", path);
  std::string text;
  char part[16384];
  while (const size_t bytes = std::fread(part, 1, sizeof(part), file.get())) {
    text.append(part, bytes);
  }
  if (std::ferror(file.get()) != 0) return FileError("read", path);  // a folder, for one
  return text;
}

Status WriteText(const std::string& path, const std::string& text) {
  std::ofstream file(path);
  file << text;
  file.close();
  if (!file) return FileError("write", path);
  return Status::Ok();
}

// Asked before a run of minutes. What is in the file stays.
Status CheckWritable(const std::string& path) {
  if (std::ofstream(path, std::ios::app)) return Status::Ok();
  return FileError("write", path);
}

// What is done next, on one line of the terminal that the next one overwrites.
void ShowProgress(std::string_view what) {
  std::fprintf(stderr, "\r\033[K%.*s", static_cast<int>(what.size()), what.data());
}

// What this run is to be compared with. Looked at before the run, which may take minutes.
Result<BenchReport> ReadBaseline(const std::string& path, const BenchReport& now) {
  Result<std::string> text = ReadText(path);
  if (!text.ok()) return std::move(text).status();
  Result<BenchReport> before = BenchFromJson(*text, path);
  if (!before.ok()) return before;
  if (Status comparable = CheckComparable(now, *before); !comparable.ok()) {
    return comparable.At(path);
  }
  return before;
}

ExitCode Compare(const BenchReport& report, const BenchReport& before, const std::string& path,
                 std::FILE* out) {
  const BaselineComparison comparison = CompareWithBaseline(report, before);
  std::fprintf(out, "\nagainst %s:\n%s", path.c_str(), comparison.text.c_str());
  if (comparison.worse.empty()) return ExitCode::kDone;
  std::fprintf(out, "worse than the baseline, beyond the spread:");
  for (const std::string& key : comparison.worse) std::fprintf(out, " %s", key.c_str());
  std::fprintf(out, "\n");
  return ExitCode::kFailed;
}

Result<ExitCode> RunRequest(const char* name, RunBench run, const BenchRequest& request,
                            const Program& program) {
  ByIdOptions options = request.quick ? bench::Quick(request.options) : request.options;
  if (Status valid = options.Validate(); !valid.ok()) {
    return Complain(valid.message(), ExitCode::kUsage);
  }
  std::optional<BenchReport> before;
  if (!request.baseline_path.empty()) {
    Result<BenchReport> read = ReadBaseline(request.baseline_path, bench::NewReport(name, options));
    if (!read.ok()) return std::move(read).status();
    before = *std::move(read);
  }
  const bool json_to_file = !request.json_path.empty() && request.json_path != "-";
  if (json_to_file) FLAGSTONE_RETURN_IF_ERROR(CheckWritable(request.json_path));
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
  } else if (json_to_file) {
    if (Status status = WriteText(request.json_path, BenchToJson(*report)); !status.ok()) {
      return status;
    }
  }
  if (!before) return ExitCode::kDone;
  return Compare(*report, *before, request.baseline_path, out);
}

// "40000000", "0.5"
std::string DefaultText(double value) {
  char text[32];
  std::snprintf(text, sizeof(text), "%.15g", value);
  return text;
}

void AddOptions(CLI::App& command, BenchRequest& request) {
  const std::map<std::string, PageKind> page_kinds = {{"4k", PageKind::k4KiB},
                                                      {"thp", PageKind::kTransparent2MiB},
                                                      {"2m", PageKind::k2MiB},
                                                      {"1g", PageKind::k1GiB}};
  ByIdOptions& options = request.options;
  const auto by_default = [](const auto& value) {
    return ", default " + DefaultText(static_cast<double>(value));
  };
  // CLI11 wraps a minus sign around to a number of twenty digits. (Of several transformations the
  // one added last comes first.)
  const CLI::Validator not_negative(
      [](const std::string& text) {
        return text.starts_with('-') ? text + " is below zero" : std::string();
      },
      "", "not negative");
  // Those that --quick sets itself. It is refused beside them: a figure is of the run that was
  // asked for, or of none.
  std::vector<CLI::Option*> sizes;
  sizes.push_back(
      command
          .add_option("--records", options.record_count,
                      "Records in the store, in units of one, K or M: 1000 to 536870912" +
                          by_default(options.record_count))
          ->transform(
              CLI::AsNumberWithUnit(std::map<std::string, uint64_t>{{"K", 1000}, {"M", 1'000'000}}))
          ->transform(not_negative)
          ->type_name("N"));
  command
      .add_option("--stride", options.stride_bytes,
                  "Bytes from slot to slot, 24 of them the header: 40, 64 or 1024" +
                      by_default(options.stride_bytes))
      ->check(CLI::IsMember({40, 64, 1024}))
      ->type_name("BYTES");
  command
      .add_option(
          "--threads", options.thread_count,
          "Threads of the rows that have several: 2 to 64" + by_default(options.thread_count))
      ->transform(not_negative)
      ->type_name("N");
  sizes.push_back(
      command
          .add_option("--rounds", options.rounds.round_count,
                      "Rounds, in each of which every contestant has a turn: 1 to 1000" +
                          by_default(options.rounds.round_count) + "; fewer than 5 judge no goal")
          ->transform(not_negative)
          ->type_name("N"));
  sizes.push_back(command
                      .add_option("--seconds", options.rounds.turn_seconds,
                                  "Length of one turn" + by_default(options.rounds.turn_seconds))
                      ->type_name("S"));
  command
      .add_option("--pages", options.page_kind,
                  "Pages to ask for: 4k, thp (transparent), 2m (default) or 1g; the report says "
                  "which were granted")
      ->transform(CLI::CheckedTransformer(page_kinds))
      ->type_name("KIND");
  command.add_option("--seed", options.seed, "Of all random numbers" + by_default(options.seed))
      ->transform(not_negative)
      ->type_name("N");
  CLI::Option* const quick =
      command.add_flag("--quick", request.quick,
                       "20,000 records and a moment: every answer is checked, no goal is judged");
  for (CLI::Option* const size : sizes) quick->excludes(size);
  command.add_flag("--markdown", request.markdown, "Print the table for a document");
  command
      .add_option("--json", request.json_path,
                  "Also write the report as JSON; - for standard output, where it is then alone")
      ->type_name("FILE");
  command
      .add_option("--baseline", request.baseline_path,
                  "Compare with an earlier --json of the same records, stride, threads and pages")
      ->type_name("FILE");
}

// What the help of one benchmark says that others do not.
struct BenchHelp {
  const char* name;
  const char* description;
  const char* about;
};

std::string BenchFooter(const std::string& about, const std::string& name) {
  const std::string command = "flagstone bench " + name;
  return HelpFooter({
      .about =
          about +
          "\nA row compares the store with a reference that took turns with it: the median of the "
          "rounds' ratios, its spread, the goal, and met, missed or undecidable (the goal lies in "
          "the spread). Every answer is checked. Figures to rely on need a release build and a "
          "quiet machine; ratios travel between machines, nanoseconds do not.",
      .examples = {command + " --quick", command + " --records 1M --pages thp --json before.json",
                   command + " --records 1M --pages thp --baseline before.json",
                   command + " --quick --json - 2> table.txt | python3 -m json.tool"},
      .done = "measured, whatever the verdicts; with --baseline: nothing is worse",
      .failed = "memory or a file was not to be had, or a row is worse than in the baseline, "
                "beyond the spread",
      .wrong_answer = "a wrong answer, or a call that failed half-way: no figure of the run counts",
  });
}

void AddBench(CLI::App& parent, const BenchHelp& help, RunBench run, Program& program) {
  CLI::App* const command = parent.add_subcommand(help.name, help.description);
  // Second owner: the callback, which runs when this function has returned.
  const auto request = std::make_shared<BenchRequest>();
  AddOptions(*command, *request);
  command->footer(BenchFooter(help.about, help.name));
  command->callback([name = help.name, run, request, &program] {
    Result<ExitCode> done = RunRequest(name, run, *request, program);
    program.exit_code = done.ok() ? *done : Complain(done.status());
  });
}

}  // namespace

void AddBenchCommands(CLI::App& app, Program& program) {
  CLI::App* const bench = app.add_subcommand(
      "bench", "Measure the store against what the machine can do, in the same run");
  bench->require_subcommand(1);
  bench->footer(BenchFooter(
      "Each benchmark fills a store of its own and a flat array on the same pages. At the default "
      "of 40 million records, bench read needs about 13 GB of memory at its peak; --records takes "
      "less.",
      "read"));
  AddBench(*bench,
           {"read", "Gets by ID against reads of a flat array and against hash maps",
            "Single gets, dependent ones, batches, threads, records that were just updated, other "
            "strides and pages; latencies by the clock."},
           bench::RunReadBench, program);
  AddBench(*bench,
           {"insert", "Inserts, single and in batches, against appending to an array",
            "Into memory that is new, with the kernel's zeroing in the time, and into memory that "
            "was used before."},
           bench::RunInsertBench, program);
  AddBench(*bench,
           {"update", "Updates and transactions against changing words of an array",
            "Single updates, committed when they return, and transactions of four reads and two "
            "updates under snapshot isolation."},
           bench::RunUpdateBench, program);
  AddBench(*bench,
           {"mixed", "YCSB-A and YCSB-B against the same requests without writes",
            "Requests after Zipf's law from several threads, half of them updates (A) or one in "
            "twenty (B)."},
           bench::RunMixedBench, program);
}

}  // namespace flagstone::tool
