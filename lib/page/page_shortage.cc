#include "lib/page/page_shortage.h"

#include <cerrno>
#include <charconv>
#include <cstring>
#include <string_view>

#include "lib/page/memory_cgroup.h"
#include "lib/page/page_size.h"

namespace flagstone::page {
namespace {

std::string ErrorText(const char* call, int error) {
  return std::string(call) + ": " + std::strerror(error);
}

std::optional<uint64_t> NumberIn(SystemMemory& system, const std::string& path) {
  const std::optional<std::string> text = system.ReadText(path);
  if (!text) return std::nullopt;
  uint64_t number = 0;
  const auto parsed = std::from_chars(text->data(), text->data() + text->size(), number);
  if (parsed.ec != std::errc()) return std::nullopt;
  return number;
}

// "VmSize:     123 kB" of /proc/self/status, in bytes.
std::optional<uint64_t> StatusBytes(SystemMemory& system, std::string_view key) {
  const std::optional<std::string> text = system.ReadText("/proc/self/status");
  if (!text) return std::nullopt;
  const std::string wanted = "\n" + std::string(key) + ":";
  const size_t at = text->find(wanted);
  if (at == std::string::npos) return std::nullopt;
  const size_t digits = text->find_first_of("0123456789", at + wanted.size());
  if (digits == std::string::npos) return std::nullopt;
  uint64_t kib = 0;
  std::from_chars(text->data() + digits, text->data() + text->size(), kib);
  return kib * 1024;
}

std::string LimitText(const rlimit& limit) {
  return limit.rlim_cur == RLIM_INFINITY ? "unlimited" : std::to_string(limit.rlim_cur);
}

// "; the memory cgroup ..." when its limit leaves less than `bytes`.
std::string IfCgroupIsInTheWay(SystemMemory& system, uint64_t bytes) {
  const std::optional<MemoryCgroup> cgroup = TightestMemoryCgroup(system);
  if (!cgroup || bytes <= cgroup->headroom_bytes()) return "";
  return "; the memory cgroup allows " + std::to_string(cgroup->limit_bytes) + " bytes with " +
         std::to_string(cgroup->limit_bytes - cgroup->headroom_bytes()) + " in use: raise it to " +
         std::to_string(cgroup->limit_bytes + bytes - cgroup->headroom_bytes()) + " or more (" +
         cgroup->file +
         "; docker --memory, Kubernetes resources.limits.memory), or lower the "
         "store's limit_bytes";
}

// ", RLIMIT_AS is 1000, 900 in use, 200 more needed (`ulimit -v`)" when that limit is in the way.
std::string IfInTheWay(SystemMemory& system, int resource, const char* name, const char* in_use_key,
                       const char* command, uint64_t bytes) {
  const rlimit limit = system.Limit(resource);
  if (limit.rlim_cur == RLIM_INFINITY) return "";
  const uint64_t used = StatusBytes(system, in_use_key).value_or(0);
  if (used <= limit.rlim_cur && bytes <= limit.rlim_cur - used) return "";
  return std::string("; ") + name + " is " + LimitText(limit) + " bytes with " +
         std::to_string(used) + " in use: raise it to " + std::to_string(used + bytes) +
         " or more (" + command + ")";
}

const char* PoolDirectory(PageKind kind) {
  return kind == PageKind::k1GiB ? "/sys/kernel/mm/hugepages/hugepages-1048576kB"
                                 : "/sys/kernel/mm/hugepages/hugepages-2048kB";
}

}  // namespace

Shortage ExplainExplicit(SystemMemory& system, PageKind kind, const char* call, int error,
                         uint64_t bytes, std::optional<int> numa_node) {
  if (numa_node && (error == EPERM || error == EINVAL)) return ExplainNode(*numa_node, error);
  const std::string pool = PoolDirectory(kind);
  const std::string name(PageKindName(kind));
  const std::optional<uint64_t> total = NumberIn(system, pool + "/nr_hugepages");
  const std::optional<uint64_t> free = NumberIn(system, pool + "/free_hugepages");
  if (!total || !free) {
    return {
        StatusCode::kUnsupported, ShortageScope::kThisKind,
        name + " pages: this kernel offers none (" + pool + " is not there; " +
            ErrorText(call, error) + "); " +
            (kind == PageKind::k1GiB
                 ? "boot with hugepagesz=1G hugepages=N on a processor with pdpe1gb, or ask for 2 "
                   "MiB pages"
                 : "use a kernel with CONFIG_HUGETLBFS, or ask for transparent pages")};
  }
  const uint64_t needed = bytes / PageBytes(kind);
  std::string reason = name + " pages: " + std::to_string(needed) + " needed, " +
                       std::to_string(*free) + " free of " + std::to_string(*total) + " (" +
                       ErrorText(call, error) + "); ";
  if (*free < needed) {
    reason += "write " + std::to_string(*total + needed - *free) + " or more to " + pool +
              "/nr_hugepages";
  } else if (numa_node) {
    reason += "those may lie on other NUMA nodes: write more to /sys/devices/system/node/node" +
              std::to_string(*numa_node) + "/hugepages/" + pool.substr(pool.rfind('/') + 1) +
              "/nr_hugepages";
  } else {
    reason +=
        std::string("they are promised to others, or a cgroup is in the way: raise hugetlb.") +
        (kind == PageKind::k1GiB ? "1GB" : "2MB") +
        ".max of this process's cgroup (in Kubernetes the limit hugepages-" +
        (kind == PageKind::k1GiB ? "1Gi" : "2Mi") + "), or write more to " + pool + "/nr_hugepages";
  }
  return {StatusCode::kResourceExhausted, ShortageScope::kThisKind, std::move(reason)};
}

std::optional<Shortage> ExplainTransparentMode(SystemMemory& system) {
  static constexpr char kMode[] = "/sys/kernel/mm/transparent_hugepage/enabled";
  const std::optional<std::string> mode = system.ReadText(kMode);
  if (!mode) {
    return Shortage{StatusCode::kUnsupported, ShortageScope::kThisKind,
                    std::string("transparent 2 MiB pages: ") + kMode +
                        " is not there; use a kernel with CONFIG_TRANSPARENT_HUGEPAGE"};
  }
  if (mode->find("[never]") == std::string::npos) return std::nullopt;
  return Shortage{
      StatusCode::kResourceExhausted, ShortageScope::kThisKind,
      std::string("transparent 2 MiB pages: ") + kMode + " says never; write madvise to it"};
}

Shortage ExplainOrdinary(SystemMemory& system, const char* call, int error, uint64_t bytes) {
  std::string reason = ErrorText(call, error) + " for " + std::to_string(bytes) + " bytes";
  std::string cause =
      IfInTheWay(system, RLIMIT_AS, "RLIMIT_AS", "VmSize", "`ulimit -v`, in KiB", bytes);
  cause += IfInTheWay(system, RLIMIT_DATA, "RLIMIT_DATA", "VmData", "`ulimit -d`, in KiB", bytes);
  cause += IfCgroupIsInTheWay(system, bytes);
  const std::optional<uint64_t> overcommit = NumberIn(system, "/proc/sys/vm/overcommit_memory");
  if (cause.empty() && overcommit == 2) {
    cause =
        "; /proc/sys/vm/overcommit_memory is 2 (strict): raise /proc/sys/vm/overcommit_ratio, or "
        "write 0 to overcommit_memory";
  }
  if (cause.empty()) {
    cause = "; free memory or /proc/sys/vm/max_map_count (" +
            std::to_string(NumberIn(system, "/proc/sys/vm/max_map_count").value_or(0)) +
            ") is in the way: raise it, or lower the store's limit_bytes";
  }
  const bool shortage = error == ENOMEM || error == EFAULT || error == EAGAIN || error == ENOSPC;
  return {shortage ? StatusCode::kResourceExhausted : StatusCode::kIoError,
          ShortageScope::kEveryKind, reason + cause};
}

Shortage ExplainFullMount(const std::string& directory, const char* call, int error,
                          uint64_t bytes) {
  return {StatusCode::kNoSpace, ShortageScope::kEveryKind,
          ErrorText(call, error) + " for " + std::to_string(bytes) + " bytes: backing_directory " +
              directory +
              " is full; enlarge its mount (`mount -o remount,size=`), or lower the store's "
              "limit_bytes"};
}

Shortage ExplainLock(SystemMemory& system, int error, uint64_t bytes) {
  const rlimit limit = system.Limit(RLIMIT_MEMLOCK);
  const uint64_t locked = StatusBytes(system, "VmLck").value_or(0);
  return {StatusCode::kResourceExhausted, ShortageScope::kEveryKind,
          ErrorText("mlock", error) + " for " + std::to_string(bytes) +
              " bytes; RLIMIT_MEMLOCK is " + LimitText(limit) + " bytes with " +
              std::to_string(locked) + " locked: raise it to " + std::to_string(locked + bytes) +
              " or more (`ulimit -l`, in KiB; systemd: LimitMEMLOCK=), grant CAP_IPC_LOCK, or turn "
              "lock_memory off"};
}

Shortage ExplainNode(int node, int error) {
  const std::string what = "NUMA node " + std::to_string(node) + ": " + std::strerror(error);
  if (error == EPERM || error == ENOSYS) {
    return {StatusCode::kUnsupported, ShortageScope::kEveryKind,
            what +
                "; allow mbind and set_mempolicy in the seccomp profile (Docker: "
                "--cap-add SYS_NICE), or leave numa_node empty"};
  }
  return {StatusCode::kInvalidArgument, ShortageScope::kEveryKind,
          what +
              "; the nodes with memory are listed in /sys/devices/system/node/has_memory, those "
              "this process may use in Mems_allowed_list of /proc/self/status"};
}

}  // namespace flagstone::page
