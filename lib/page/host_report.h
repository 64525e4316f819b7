// What the machine offers for memory, as `flagstone doctor` shows it: plain values read from /proc,
// /sys and the process's cgroup.
//
// Threads     Any; nothing is kept.
// Errors      None: what cannot be read is empty, which is itself the answer (an old kernel, a
//             container without /sys).
// See         docs/guide/huge_pages.md says what each value means and how to change it.
#ifndef FLAGSTONE_LIB_PAGE_HOST_REPORT_H_
#define FLAGSTONE_LIB_PAGE_HOST_REPORT_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "lib/page/memory_cgroup.h"

namespace flagstone::page {

// One pool of explicit pages: of the machine, or of one NUMA node.
struct HugePagePool {
  uint64_t page_bytes = 0;
  std::optional<int> numa_node;  // empty: the machine's
  uint64_t total_count = 0;
  uint64_t free_count = 0;
  // Promised to mappings and not taken yet. Nodes do not have it: 0.
  uint64_t reserved_count = 0;
  uint64_t surplus_count = 0;
};

// A limit of the process's cgroup on explicit pages of one size.
struct HugePageCgroupLimit {
  uint64_t page_bytes = 0;
  std::string file;                     // where it is set
  std::optional<uint64_t> limit_bytes;  // empty: no limit
  uint64_t used_bytes = 0;
};

struct HostReport {
  std::vector<HugePagePool> huge_page_pools;  // by size, the machine's first, then nodes
  std::string transparent_mode;               // "always", "madvise", "never"; empty: not offered
  std::string transparent_defrag_mode;
  std::string transparent_shmem_mode;
  std::optional<uint64_t> memlock_limit_bytes;  // RLIMIT_MEMLOCK (soft); empty: unlimited
  std::optional<uint64_t> address_limit_bytes;  // RLIMIT_AS (soft); empty: unlimited
  std::vector<HugePageCgroupLimit> huge_page_cgroup_limits;
  std::optional<MemoryCgroup> memory_cgroup;  // the tightest; empty: no limit found
  std::vector<int> numa_nodes;                // with memory
  uint64_t mapping_count_max = 0;             // vm.max_map_count
  int overcommit_mode = 0;
  uint64_t memory_available_bytes = 0;
  // membarrier(2) private expedited can be used; without it readers pay a full barrier each.
  bool membarrier_usable = false;
};

// `root` stands before every path ("" for the machine itself; tests have a tree of files). Limits
// and membarrier are asked of the kernel, whatever the root.
HostReport ReadHostReport(const std::string& root = "");

}  // namespace flagstone::page

#endif  // FLAGSTONE_LIB_PAGE_HOST_REPORT_H_
