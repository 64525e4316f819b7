#include "lib/page/memory_cgroup.h"

#include <charconv>

namespace flagstone::page {
namespace {

// Version 1 says a huge number where there is no limit, version 2 "max".
constexpr uint64_t kNoLimitBytes = uint64_t{1} << 60;

// The names of the same things in both versions.
struct Files {
  const char* controller;  // "" for version 2
  const char* limit;
  const char* used;
  const char* reclaimable;  // a line of memory.stat
};
constexpr Files kVersion2 = {"", "/memory.max", "/memory.current", "inactive_file"};
constexpr Files kVersion1 = {"memory", "/memory.limit_in_bytes", "/memory.usage_in_bytes",
                             "total_inactive_file"};

std::optional<uint64_t> NumberIn(SystemMemory& system, const std::string& path) {
  const std::optional<std::string> text = system.ReadText(path);
  if (!text) return std::nullopt;
  uint64_t number = 0;
  const auto parsed = std::from_chars(text->data(), text->data() + text->size(), number);
  if (parsed.ec != std::errc()) return std::nullopt;
  return number;
}

// "name 123" in one of the lines.
uint64_t LineOf(const std::string& text, std::string_view name) {
  const std::string wanted = "\n" + std::string(name) + " ";
  const std::string lines = "\n" + text;
  const size_t at = lines.find(wanted);
  if (at == std::string::npos) return 0;
  uint64_t number = 0;
  std::from_chars(lines.data() + at + wanted.size(), lines.data() + lines.size(), number);
  return number;
}

// The process's group in the hierarchy of `controller`: "4:memory:/a/b" or, for version 2,
// "0::/a/b".
std::optional<std::string> CgroupOf(std::string_view text, std::string_view controller) {
  while (!text.empty()) {
    const size_t end = text.find('\n');
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    const size_t first = line.find(':');
    const size_t second = line.find(':', first == std::string_view::npos ? 0 : first + 1);
    if (first == std::string_view::npos || second == std::string_view::npos) continue;
    const std::string list = "," + std::string(line.substr(first + 1, second - first - 1)) + ",";
    const std::string wanted = controller.empty() ? ",," : "," + std::string(controller) + ",";
    if (list.find(wanted) != std::string::npos) return std::string(line.substr(second + 1));
  }
  return std::nullopt;
}

// Empty when the directory has no limit.
std::optional<MemoryCgroup> LimitIn(SystemMemory& system, const std::string& directory,
                                    const Files& files) {
  const std::optional<uint64_t> limit = NumberIn(system, directory + files.limit);
  if (!limit || *limit >= kNoLimitBytes) return std::nullopt;
  return MemoryCgroup{
      .file = directory + files.limit,
      .limit_bytes = *limit,
      .used_bytes = NumberIn(system, directory + files.used).value_or(0),
      .reclaimable_bytes =
          LineOf(system.ReadText(directory + "/memory.stat").value_or(""), files.reclaimable)};
}

}  // namespace

std::vector<std::string> CgroupDirectories(SystemMemory& system, const std::string& root,
                                           std::string_view controller) {
  const std::string groups = system.ReadText(root + "/proc/self/cgroup").value_or("");
  std::vector<std::string> directories;
  if (const auto group = controller.empty() ? std::nullopt : CgroupOf(groups, controller)) {
    const std::string mount = root + "/sys/fs/cgroup/" + std::string(controller);
    directories.insert(directories.end(), {mount + *group, mount});
  }
  if (const auto group = CgroupOf(groups, "")) {
    for (const char* mount : {"/sys/fs/cgroup", "/sys/fs/cgroup/unified"}) {
      directories.insert(directories.end(), {root + mount + *group, root + mount});
    }
  }
  return directories;
}

std::optional<MemoryCgroup> TightestMemoryCgroup(SystemMemory& system, const std::string& root) {
  std::optional<MemoryCgroup> tightest;
  const std::string mounts = root + "/sys/fs/cgroup";
  for (const Files& files : {kVersion1, kVersion2}) {
    for (std::string directory : CgroupDirectories(system, root, files.controller)) {
      // Every group on the way up holds for the process too. One that is looked at twice does no
      // harm.
      while (directory.size() >= mounts.size()) {
        const std::optional<MemoryCgroup> found = LimitIn(system, directory, files);
        if (found && (!tightest || found->headroom_bytes() < tightest->headroom_bytes())) {
          tightest = found;
        }
        directory.resize(directory.find_last_of('/'));
      }
    }
  }
  return tightest;
}

}  // namespace flagstone::page
