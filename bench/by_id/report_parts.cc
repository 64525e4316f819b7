#include "bench/by_id/report_parts.h"

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <string>

#include "bench/by_id/row_maker.h"
#include "bench/kit/heap_counter.h"
#include "bench/kit/machine_report.h"
#include "bench/kit/reference_memory.h"
#include "tests/support/syscall_counter.h"

namespace flagstone::bench {
namespace {

std::string Decimal(double value) {
  char text[32];
  std::snprintf(text, sizeof(text), "%g", value);
  return text;
}

}  // namespace

BenchReport NewReport(const std::string& bench, const ByIdOptions& options) {
  BenchReport report;
  report.bench = bench;
  report.machine = DescribeMachine();
  report.settings = {
      {"records", std::to_string(options.record_count)},
      {"stride", std::to_string(options.stride_bytes)},
      {"threads", std::to_string(options.thread_count)},
      {"pages", std::string(PageKindName(options.page_kind))},
      {"rounds", std::to_string(options.rounds.round_count)},
      {"seconds", Decimal(options.rounds.turn_seconds)},
      {"seed", std::to_string(options.seed)},
  };
  if (const std::string caveat = BuildCaveat(); !caveat.empty()) report.remarks.push_back(caveat);
  return report;
}

void AddGranted(BenchReport& report, const ByIdOptions& options, const Store& store) {
  const Result<PageReport> verified = store.VerifyPages();
  const PageReport granted = verified.ok() ? *verified : store.Statistics().pages;
  report.machine.emplace_back("pages of the store", DescribePages(granted));
  for (const PageFallback& fallback : granted.fallbacks) {
    const std::string remark = "asked for " + std::string(PageKindName(options.page_kind)) +
                               " pages, got " + std::string(PageKindName(fallback.granted)) + ": " +
                               fallback.reason;
    if (std::find(report.remarks.begin(), report.remarks.end(), remark) == report.remarks.end()) {
      report.remarks.push_back(remark);
    }
  }
}

void AddGranted(BenchReport& report, const ByIdOptions& options, const Store& store,
                const PageReport& reference) {
  AddGranted(report, options, store);
  report.machine.emplace_back("pages of references", DescribePages(reference));
}

uint64_t ResidentBytes() {
  std::ifstream file("/proc/self/status");
  uint64_t kib = 0;
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("VmRSS:") || line.starts_with("HugetlbPages:")) {
      kib += std::stoull(line.substr(line.find(':') + 1));
    }
  }
  return kib << 10;
}

size_t TraceRequests(uint64_t record_count) {
  return static_cast<size_t>(
      std::clamp<uint64_t>(2 * record_count, uint64_t{1} << 16, uint64_t{1} << 24));
}

void AddSteadyStateRows(BenchReport& report, const std::string& name,
                        const std::function<void()>& block) {
  constexpr int kBlocksToSettle = 16;
  for (int i = 0; i < kBlocksToSettle; ++i) block();
  const auto before = ThreadAllocatedBytes();
  block();
  const auto after = ThreadAllocatedBytes();
  if (before && after) {
    report.rows.push_back(CountRow(static_cast<double>(*after - *before),
                                   {name + "_heap_bytes", "heap bytes taken by a block of " + name,
                                    "of the calling thread, counted by the allocator"}));
  } else {
    report.remarks.push_back(
        "heap allocations of " + name +
        " were not counted: only jemalloc counts them, and this program is not "
        "linked with it (the tests count them in every build)");
  }
  const testkit::SyscallReport calls = testkit::CountSyscalls(block);
  if (calls.counted) {
    report.rows.push_back(CountRow(static_cast<double>(calls.count),
                                   {name + "_system_calls", "system calls in a block of " + name,
                                    "of the calling thread, counted by the kernel"}));
  } else {
    report.remarks.push_back("system calls of " + name +
                             " were not counted: " + calls.not_counted_because);
  }
}

}  // namespace flagstone::bench
