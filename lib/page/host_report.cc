#include "lib/page/host_report.h"

#include <dirent.h>
#include <linux/membarrier.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <string_view>

#include "lib/page/memory_cgroup.h"
#include "lib/page/system_memory.h"

namespace flagstone::page {
namespace {

std::string TextOf(const std::string& path) {
  return SystemMemory::Real().ReadText(path).value_or("");
}

std::optional<uint64_t> ParseNumber(std::string_view text) {
  uint64_t number = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), number);
  if (parsed.ec != std::errc()) return std::nullopt;
  return number;
}

uint64_t NumberOf(const std::string& path) { return ParseNumber(TextOf(path)).value_or(0); }

// "always [madvise] never" -> "madvise".
std::string ChosenIn(const std::string& text) {
  const size_t open = text.find('[');
  const size_t close = text.find(']', open == std::string::npos ? 0 : open);
  if (open == std::string::npos || close == std::string::npos) return "";
  return text.substr(open + 1, close - open - 1);
}

// "0-1,3" -> 0, 1, 3.
std::vector<int> NodesIn(std::string_view text) {
  constexpr int kNodeMax = 1023;
  std::vector<int> nodes;
  while (!text.empty()) {
    const size_t comma = text.find(',');
    const std::string_view part = text.substr(0, comma);
    text.remove_prefix(comma == std::string_view::npos ? text.size() : comma + 1);
    const size_t dash = part.find('-');
    const std::optional<uint64_t> first = ParseNumber(part);
    const std::optional<uint64_t> last =
        dash == std::string_view::npos ? first : ParseNumber(part.substr(dash + 1));
    if (!first || !last || *last > kNodeMax) continue;
    for (uint64_t node = *first; node <= *last; ++node) nodes.push_back(static_cast<int>(node));
  }
  return nodes;
}

std::vector<std::string> EntriesOf(const std::string& directory, std::string_view prefix) {
  std::vector<std::string> names;
  DIR* const stream = opendir(directory.c_str());
  if (stream == nullptr) return names;
  while (const dirent* entry = readdir(stream)) {
    const std::string_view name = entry->d_name;
    if (name.substr(0, prefix.size()) == prefix) names.emplace_back(name);
  }
  closedir(stream);
  std::sort(names.begin(), names.end());
  return names;
}

void AddPools(const std::string& directory, std::optional<int> node,
              std::vector<HugePagePool>* pools) {
  static constexpr std::string_view kPrefix = "hugepages-";
  for (const std::string& name : EntriesOf(directory, kPrefix)) {
    const std::optional<uint64_t> kib = ParseNumber(std::string_view(name).substr(kPrefix.size()));
    if (!kib) continue;
    const std::string pool = directory + "/" + name;
    pools->push_back({.page_bytes = *kib * 1024,
                      .numa_node = node,
                      .total_count = NumberOf(pool + "/nr_hugepages"),
                      .free_count = NumberOf(pool + "/free_hugepages"),
                      .reserved_count = NumberOf(pool + "/resv_hugepages"),
                      .surplus_count = NumberOf(pool + "/surplus_hugepages")});
  }
}

// The first of the files that can be read: version 2 says "max" and version 1 a huge number for no
// limit.
struct CgroupLimit {
  std::string file;
  std::string directory;
  std::optional<uint64_t> bytes;
};
std::optional<CgroupLimit> LimitOf(const std::vector<std::string>& directories,
                                   std::initializer_list<std::string> files) {
  constexpr uint64_t kNoLimitBytes = uint64_t{1} << 60;
  for (const std::string& directory : directories) {
    for (const std::string& file : files) {
      const std::string text = TextOf(directory + "/" + file);
      if (text.empty()) continue;
      std::optional<uint64_t> bytes = ParseNumber(text);
      if (bytes && *bytes >= kNoLimitBytes) bytes.reset();
      return CgroupLimit{directory + "/" + file, directory, bytes};
    }
  }
  return std::nullopt;
}

void AddHugePageCgroupLimits(const std::string& root, HostReport* report) {
  const std::vector<std::string> directories =
      CgroupDirectories(SystemMemory::Real(), root, "hugetlb");
  struct Size {
    uint64_t page_bytes;
    const char* name;
  };
  for (const Size& size : {Size{uint64_t{2} << 20, "2MB"}, Size{uint64_t{1} << 30, "1GB"}}) {
    const std::string stem = std::string("hugetlb.") + size.name;
    const auto limit = LimitOf(directories, {stem + ".max", stem + ".limit_in_bytes"});
    if (!limit) continue;
    const uint64_t used = std::max(NumberOf(limit->directory + "/" + stem + ".current"),
                                   NumberOf(limit->directory + "/" + stem + ".usage_in_bytes"));
    report->huge_page_cgroup_limits.push_back({size.page_bytes, limit->file, limit->bytes, used});
  }
}

uint64_t MemAvailableIn(const std::string& meminfo) {
  const size_t at = meminfo.find("MemAvailable:");
  if (at == std::string::npos) return 0;
  const size_t digits = meminfo.find_first_of("0123456789", at);
  if (digits == std::string::npos) return 0;
  return ParseNumber(std::string_view(meminfo).substr(digits)).value_or(0) * 1024;
}

std::optional<uint64_t> SoftLimit(int resource) {
  const rlimit limit = SystemMemory::Real().Limit(resource);
  if (limit.rlim_cur == RLIM_INFINITY) return std::nullopt;
  return limit.rlim_cur;
}

bool MembarrierIsUsable() {
  const long commands = syscall(SYS_membarrier, MEMBARRIER_CMD_QUERY, 0, 0);
  return commands >= 0 && (commands & MEMBARRIER_CMD_PRIVATE_EXPEDITED) != 0;
}

}  // namespace

HostReport ReadHostReport(const std::string& root) {
  HostReport report;
  AddPools(root + "/sys/kernel/mm/hugepages", std::nullopt, &report.huge_page_pools);
  const std::string nodes = root + "/sys/devices/system/node";
  report.numa_nodes = NodesIn(TextOf(nodes + "/has_memory"));
  for (const int node : report.numa_nodes) {
    AddPools(nodes + "/node" + std::to_string(node) + "/hugepages", node, &report.huge_page_pools);
  }
  const std::string transparent = root + "/sys/kernel/mm/transparent_hugepage";
  report.transparent_mode = ChosenIn(TextOf(transparent + "/enabled"));
  report.transparent_defrag_mode = ChosenIn(TextOf(transparent + "/defrag"));
  report.transparent_shmem_mode = ChosenIn(TextOf(transparent + "/shmem_enabled"));
  report.memlock_limit_bytes = SoftLimit(RLIMIT_MEMLOCK);
  report.address_limit_bytes = SoftLimit(RLIMIT_AS);
  AddHugePageCgroupLimits(root, &report);
  report.memory_cgroup = TightestMemoryCgroup(SystemMemory::Real(), root);
  report.mapping_count_max = NumberOf(root + "/proc/sys/vm/max_map_count");
  report.overcommit_mode = static_cast<int>(NumberOf(root + "/proc/sys/vm/overcommit_memory"));
  report.memory_available_bytes = MemAvailableIn(TextOf(root + "/proc/meminfo"));
  report.membarrier_usable = MembarrierIsUsable();
  return report;
}

}  // namespace flagstone::page
