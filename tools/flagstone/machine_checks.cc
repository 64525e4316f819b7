#include "tools/flagstone/machine_checks.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>

#include "flagstone/store_options.h"
#include "tools/flagstone/number_text.h"
#include "tools/flagstone/terminal.h"

namespace flagstone::tool {
namespace {

constexpr uint64_t kMiB = uint64_t{1} << 20;
constexpr uint64_t k2MiB = 2 * kMiB;
constexpr uint64_t k1GiB = 1024 * kMiB;
// What a store may use unless told otherwise: the yardstick for limits and pools.
const uint64_t kStoreBytes = MemoryOptions().limit_bytes;
// Below it the smallest useful store has no room beside its process.
constexpr uint64_t kMemoryBytesMin = 64 * kMiB;
// Through the vDSO a clock takes 20 to 50 ns, as a system call several times that.
constexpr double kClockCallNanosMax = 150;
constexpr int64_t kCoarseNanosMax = 10'000'000;
constexpr uint64_t kMappingsMin = 65'530;

Check CheckStore(const MachineFacts& facts) {
  if (!facts.store.error.empty()) {
    return {"store", Verdict::kFail, facts.store.error,
            "mend what is named here, or lower StoreOptions::memory.limit_bytes"};
  }
  return {"store", Verdict::kOk,
          "opens with default options; its records lie on " + facts.store.granted_pages + " pages",
          ""};
}

std::string PoolText(const page::HugePagePool& pool) {
  std::string text = CountText(pool.free_count) + " free of " + CountText(pool.total_count);
  if (pool.reserved_count != 0) text += ", " + CountText(pool.reserved_count) + " of them promised";
  return text;
}

// The machine's pool, and how it is spread over nodes where there is more than one.
void CheckPool(const MachineFacts& facts, uint64_t page_bytes, std::vector<Check>* checks) {
  const bool small = page_bytes == k2MiB;
  Check check = {small ? "huge pages, 2 MiB" : "huge pages, 1 GiB", Verdict::kOk, "", ""};
  const std::string file = small ? "/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages"
                                 : "/sys/kernel/mm/hugepages/hugepages-1048576kB/nr_hugepages";
  const page::HugePagePool* machine = nullptr;
  std::string nodes;
  for (const page::HugePagePool& pool : facts.host.huge_page_pools) {
    if (pool.page_bytes != page_bytes) continue;
    if (!pool.numa_node) {
      machine = &pool;
    } else if (facts.host.numa_nodes.size() > 1) {
      nodes += "; node " + std::to_string(*pool.numa_node) + ": " + PoolText(pool);
    }
  }
  if (machine == nullptr) {
    check.verdict = small ? Verdict::kWarn : Verdict::kNote;
    check.finding = "this kernel does not offer them (or /sys is not mounted here)";
    checks->push_back(check);
    return;
  }
  check.finding = PoolText(*machine) + nodes;
  const uint64_t taken = machine->total_count - machine->free_count;
  const uint64_t available =
      machine->free_count - std::min(machine->free_count, machine->reserved_count);
  if (available > 0) {
    check.finding += ": room for " + BytesText(available * page_bytes) + " of records";
  } else if (small) {
    check.verdict = Verdict::kWarn;
    check.finding += ": stores fall back to transparent or 4 KiB pages";
    check.remedy = "echo " + std::to_string(taken + kStoreBytes / k2MiB) + " > " + file;
  } else {
    check.verdict = Verdict::kNote;
    check.finding += ": only needed for PageOptions::page_kind = k1GiB";
    check.remedy =
        facts.cpu.has_1gib_pages ? "echo " + std::to_string(taken + 1) + " > " + file : "";
  }
  checks->push_back(check);
}

Check CheckTransparentPages(const MachineFacts& facts) {
  constexpr const char* kRemedy = "echo madvise > /sys/kernel/mm/transparent_hugepage/enabled";
  const std::string& mode = facts.host.transparent_mode;
  if (mode == "always" || mode == "madvise") {
    return {"transparent huge pages", Verdict::kOk,
            "mode " + mode + ", defrag " + facts.host.transparent_defrag_mode, ""};
  }
  return {"transparent huge pages", Verdict::kWarn,
          mode.empty() ? "this kernel does not offer them" : "mode " + mode,
          mode.empty() ? "" : kRemedy};
}

Check CheckMemlock(const MachineFacts& facts) {
  const std::optional<uint64_t> limit = facts.host.memlock_limit_bytes;
  if (facts.may_lock_any_memory) {
    return {"memlock", Verdict::kOk, "CAP_IPC_LOCK: no limit on locked memory", ""};
  }
  if (!limit || *limit >= kStoreBytes) {
    return {"memlock", Verdict::kOk, limit ? BytesText(*limit) : "unlimited", ""};
  }
  return {"memlock", Verdict::kNote,
          BytesText(*limit) + ": only PageOptions::lock_memory needs more",
          "ulimit -l unlimited   # systemd: LimitMEMLOCK=infinity; Docker: --ulimit memlock=-1"};
}

void CheckHugePageCgroups(const MachineFacts& facts, std::vector<Check>* checks) {
  for (const page::HugePageCgroupLimit& limit : facts.host.huge_page_cgroup_limits) {
    if (limit.page_bytes != k2MiB && limit.page_bytes != k1GiB) continue;
    const bool small = limit.page_bytes == k2MiB;
    Check check = {std::string("hugetlb cgroup, ") + (small ? "2 MiB" : "1 GiB"), Verdict::kOk,
                   "no limit", ""};
    if (limit.limit_bytes) {
      check.finding = BytesText(limit.used_bytes) + " used of " + BytesText(*limit.limit_bytes);
      if (*limit.limit_bytes < limit.used_bytes + limit.page_bytes) {
        check.verdict = small ? Verdict::kWarn : Verdict::kNote;
        check.finding += ": none of these pages can be taken";
        check.remedy = "echo " + std::to_string(limit.used_bytes + kStoreBytes) + " > " +
                       limit.file + "   # Kubernetes: resources.limits.hugepages-" +
                       (small ? "2Mi" : "1Gi");
      }
    }
    checks->push_back(check);
  }
}

Check CheckMemory(const MachineFacts& facts) {
  const page::HostReport& host = facts.host;
  Check check = {"memory", Verdict::kOk, BytesText(host.memory_available_bytes) + " available", ""};
  uint64_t room = host.memory_available_bytes;
  const auto& cgroup = host.memory_cgroup;
  const bool cgroup_is_tighter = cgroup && cgroup->headroom_bytes() < room;
  if (cgroup) {
    room = std::min(room, cgroup->headroom_bytes());
    check.finding += ", " + BytesText(cgroup->headroom_bytes()) + " within the cgroup's limit of " +
                     BytesText(cgroup->limit_bytes);
  }
  if (room < kMemoryBytesMin) {
    check.verdict = Verdict::kFail;
    check.remedy = "raise the container's memory limit (docker run --memory 1g), or free memory";
    if (cgroup_is_tighter) {
      const uint64_t needed = cgroup->limit_bytes - cgroup->headroom_bytes() + kStoreBytes;
      check.remedy = "echo " + std::to_string(needed) + " > " + cgroup->file +
                     "   # docker run --memory; Kubernetes: resources.limits.memory";
    }
  } else if (room < kStoreBytes) {
    check.verdict = Verdict::kWarn;
    check.finding += ": less than a store's default limit, " + BytesText(kStoreBytes);
    check.remedy = "set StoreOptions::memory.limit_bytes well below " + std::to_string(room);
  }
  return check;
}

Check CheckAddressSpace(const MachineFacts& facts) {
  const std::optional<uint64_t> limit = facts.host.address_limit_bytes;
  if (!limit) return {"address space", Verdict::kOk, "unlimited", ""};
  return {"address space", Verdict::kWarn,
          "RLIMIT_AS is " + BytesText(*limit) +
              ": a store reserves addresses for all it could ever hold (they cost no memory)",
          "ulimit -v unlimited"};
}

Check CheckOvercommit(const MachineFacts& facts) {
  if (facts.host.overcommit_mode != 2) {
    return {"overcommit", Verdict::kOk, "mode " + std::to_string(facts.host.overcommit_mode), ""};
  }
  return {"overcommit", Verdict::kWarn,
          "mode 2: mapped memory counts against the commit limit before it is touched",
          "sysctl -w vm.overcommit_memory=0"};
}

Check CheckMappings(const MachineFacts& facts) {
  const uint64_t mappings = facts.host.mapping_count_max;
  if (mappings >= kMappingsMin) {
    return {"kernel mappings", Verdict::kOk, "up to " + CountText(mappings) + " in a process", ""};
  }
  return {"kernel mappings", Verdict::kWarn,
          "vm.max_map_count is " + CountText(mappings) + ", usual are 65,530",
          "sysctl -w vm.max_map_count=65530"};
}

Check CheckNuma(const MachineFacts& facts) {
  const size_t nodes = facts.host.numa_nodes.size();
  if (nodes <= 1) return {"NUMA", Verdict::kOk, "one node with memory", ""};
  return {"NUMA", Verdict::kNote,
          std::to_string(nodes) + " nodes with memory: a read from another node's takes longer",
          "set PageOptions::numa_node, and run the threads there: numactl --cpunodebind=0 PROGRAM"};
}

Check CheckMembarrier(const MachineFacts& facts) {
  if (facts.host.membarrier_usable) {
    return {"membarrier", Verdict::kOk, "usable: readers pay no memory barrier", ""};
  }
  return {
      "membarrier", Verdict::kWarn,
      "not usable: each read pays a full memory barrier (10 to 20 ns)",
      "allow membarrier in the seccomp profile: docker run --security-opt seccomp=PROFILE.json"};
}

Check CheckIoUring(const MachineFacts& facts) {
  const IoUringFacts& io_uring = facts.io_uring;
  if (io_uring.setup_error == 0) return {"io_uring", Verdict::kOk, "usable", ""};
  Check check = {
      "io_uring", Verdict::kWarn,
      std::string("io_uring_setup: ") + std::strerror(io_uring.setup_error) +
          "; stores in memory do not need it",
      "allow io_uring_setup, io_uring_enter and io_uring_register in the seccomp profile: "
      "docker run --security-opt seccomp=PROFILE.json"};
  if (io_uring.disabled_level.value_or(0) != 0) {
    check.finding += "; kernel.io_uring_disabled is " + std::to_string(*io_uring.disabled_level);
    check.remedy = "sysctl -w kernel.io_uring_disabled=0";
  } else if (io_uring.setup_error == ENOMEM) {
    check.remedy = "ulimit -l unlimited";
  } else if (io_uring.setup_error == ENOSYS) {
    check.remedy += "; or boot a kernel from 5.1 on (this is " + facts.kernel + ")";
  }
  return check;
}

Check CheckDirectIo(const MachineFacts& facts) {
  if (!facts.direct_io) {
    return {"direct I/O", Verdict::kNote, "not examined: no path given",
            "flagstone doctor PATH   # the folder a store's files would lie in"};
  }
  const DirectIoFacts& direct = *facts.direct_io;
  const std::string where = Escaped(direct.folder, 200) +
                            (direct.file_system.empty() ? "" : " (" + direct.file_system + ")");
  if (direct.failed_call.empty()) {
    std::string finding = where + ": 4 KiB written around the page cache";
    if (direct.offset_alignment != 0) {
      finding += "; alignment of memory " + std::to_string(direct.memory_alignment) +
                 ", of offsets " + std::to_string(direct.offset_alignment);
    }
    return {"direct I/O", Verdict::kOk, finding, ""};
  }
  const std::string failed = where + ": " + direct.failed_call + ": " + std::strerror(direct.error);
  if (direct.failed_call == "open" && direct.error == EINVAL) {
    return {"direct I/O", Verdict::kWarn, failed + ": this file system has no O_DIRECT",
            "choose a folder on ext4 or xfs"};
  }
  std::error_code ignored;
  if (direct.error == ENOENT && std::filesystem::exists(direct.folder, ignored)) {
    return {"direct I/O", Verdict::kFail, failed + ": no file can be made there",
            "choose a folder on ext4 or xfs"};
  }
  const char* const remedy = direct.error == ENOENT   ? "mkdir -p "
                             : direct.error == EACCES ? "chown \"$USER\" "
                                                      : "findmnt --target ";
  return {"direct I/O", Verdict::kFail, failed, remedy + Escaped(direct.folder, 200)};
}

Check CheckClock(const MachineFacts& facts) {
  const ClockFacts& clock = facts.clock;
  Check check = {"clock", Verdict::kOk, "", ""};
  check.finding = (clock.source.empty() ? "source not told" : "source " + clock.source) + ", " +
                  NanosText(clock.call_nanos) + " a call; coarse clock steps every " +
                  NanosText(static_cast<double>(clock.coarse_resolution_nanos));
  if (clock.call_nanos > kClockCallNanosMax) {
    check.verdict = Verdict::kWarn;
    check.finding += ": each look at it is a system call";
    check.remedy =
        clock.tsc_available
            ? "echo tsc > /sys/devices/system/clocksource/clocksource0/current_clocksource"
            : "boot with clocksource=tsc tsc=reliable, if the processor's counter is stable";
  } else if (clock.coarse_resolution_nanos > kCoarseNanosMax) {
    check.verdict = Verdict::kWarn;
    check.finding += ", usual are 1 to 10 ms";
  }
  return check;
}

Check CheckTimeService(const MachineFacts& facts) {
  if (facts.clock.synchronized) {
    return {"time service", Verdict::kOk, "the kernel's clock is synchronized", ""};
  }
  return {
      "time service", Verdict::kNote,
      "the kernel does not know its clock to be synchronized; IDs stay unique, their times may be "
      "off",
      "timedatectl set-ntp true"};
}

Check CheckCpu(const MachineFacts& facts) {
  return {"processor", facts.cpu.has_crc32 ? Verdict::kOk : Verdict::kNote,
          (facts.cpu.model.empty() ? "model not told" : Escaped(facts.cpu.model, 100)) +
              (facts.cpu.has_crc32 ? ", has CRC32C" : ", no CRC32C instruction told") +
              (facts.cpu.has_1gib_pages ? ", has 1 GiB pages" : ""),
          ""};
}

}  // namespace

std::string_view VerdictName(Verdict verdict) {
  switch (verdict) {
    case Verdict::kOk: return "ok";
    case Verdict::kNote: return "note";
    case Verdict::kWarn: return "warn";
    case Verdict::kFail: return "fail";
  }
  return "unknown";
}

std::vector<Check> CheckMachine(const MachineFacts& facts) {
  std::vector<Check> checks = {CheckStore(facts), CheckMemory(facts)};
  CheckPool(facts, k2MiB, &checks);
  CheckPool(facts, k1GiB, &checks);
  CheckHugePageCgroups(facts, &checks);
  for (Check& check : std::vector<Check>{
           CheckTransparentPages(facts), CheckMemlock(facts), CheckAddressSpace(facts),
           CheckOvercommit(facts), CheckMappings(facts), CheckNuma(facts), CheckMembarrier(facts),
           CheckClock(facts), CheckTimeService(facts), CheckCpu(facts), CheckIoUring(facts),
           CheckDirectIo(facts)}) {
    checks.push_back(std::move(check));
  }
  return checks;
}

}  // namespace flagstone::tool
