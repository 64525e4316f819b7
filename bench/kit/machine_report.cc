#include "bench/kit/machine_report.h"

#include <sys/utsname.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <thread>

#include "bench/kit/heap_counter.h"
#include "flagstone/version.h"
#include "lib/page/host_report.h"

namespace flagstone::bench {
namespace {

constexpr const char* kUnknown = "unknown";

std::string FirstLineOf(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line.empty() ? kUnknown : line;
}

std::string ProcessorName() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("model name") || line.starts_with("CPU part")) {
      const size_t colon = line.find(':');
      if (colon != std::string::npos && colon + 2 < line.size()) return line.substr(colon + 2);
    }
  }
  return kUnknown;
}

std::string CacheSizes() {
  std::string text;
  for (int index = 0; index < 8; ++index) {
    const std::string directory =
        "/sys/devices/system/cpu/cpu0/cache/index" + std::to_string(index) + "/";
    const std::string level = FirstLineOf(directory + "level");
    if (level == kUnknown) break;
    if (FirstLineOf(directory + "type") == "Instruction") continue;
    if (!text.empty()) text += ", ";
    text += "L" + level + " " + FirstLineOf(directory + "size");
  }
  return text.empty() ? kUnknown : text;
}

std::string KernelName() {
  utsname names{};
  if (uname(&names) != 0) return kUnknown;
  return std::string(names.sysname) + " " + names.release + " " + names.machine;
}

std::string CompilerName() {
#if defined(__clang__)
  return "clang " __clang_version__;
#elif defined(__GNUC__)
  return "g++ " __VERSION__;
#else
  return kUnknown;
#endif
}

std::string BuildName() {
  std::string text;
#if defined(__OPTIMIZE__)
  text += "optimized";
#else
  text += "not optimized";
#endif
#if defined(NDEBUG)
  text += ", NDEBUG";
#else
  text += ", assertions on";
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  text += ", sanitizers";
#endif
  return text;
}

// Of the code that is measured; at load time (relro, now) nothing is measured.
std::string HardeningName() {
  std::string text;
#if defined(_FORTIFY_SOURCE) && _FORTIFY_SOURCE > 0
  text += " fortify";
#endif
#if defined(_GLIBCXX_ASSERTIONS)
  text += " library-assertions";
#endif
#if defined(__SSP_STRONG__) || defined(__SSP__) || defined(__SSP_ALL__)
  text += " stack-protector";
#endif
#if defined(__CET__)
  text += " control-flow";
#endif
  std::string benchmarks = text.empty() ? "none" : text.substr(1);
  return "benchmark code: " + benchmarks + "; library code: " FLAGSTONE_BENCH_LIBRARY_HARDENING;
}

std::string HugePageName() {
  const page::HostReport host = page::ReadHostReport();
  std::string text = "transparent: " + (host.transparent_mode.empty() ? std::string(kUnknown)
                                                                      : host.transparent_mode);
  for (const page::HugePagePool& pool : host.huge_page_pools) {
    if (pool.numa_node) continue;
    text += "; " + std::to_string(pool.page_bytes >> 20) +
            " MiB: " + std::to_string(pool.free_count) + " of " + std::to_string(pool.total_count) +
            " free";
  }
  return text;
}

}  // namespace

std::vector<std::pair<std::string, std::string>> DescribeMachine() {
  return {
      {"flagstone", std::string(Version())},
      {"processor", ProcessorName() + ", " + std::to_string(std::thread::hardware_concurrency()) +
                        " processors, " + CacheSizes()},
      {"kernel", KernelName()},
      {"compiler", CompilerName()},
      {"build", BuildName()},
      {"hardening", HardeningName()},
      {"allocator", AllocatorName()},
      {"huge pages", HugePageName()},
      {"load before", FirstLineOf("/proc/loadavg")},
      {"threads", "not pinned; the store's maintenance thread runs beside them"},
  };
}

std::string BuildCaveat() {
#if !defined(__OPTIMIZE__)
  return "this build is not optimized: its figures mean nothing";
#elif defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  return "this build runs under a sanitizer: its figures mean nothing";
#elif !defined(NDEBUG)
  return "this build has assertions on: its figures are not those of a release";
#else
  return "";
#endif
}

}  // namespace flagstone::bench
