// The memory cgroup a process is in: how much it may still take before the kernel reclaims, and
// then kills.
//
// Place       Beside HostReport (`flagstone doctor`) and the texts of failed growth. A cgroup's
//             limit is no error of mmap(2): memory that is touched beyond it ends the process, so
//             that it has to be looked at, not waited for.
// Threads     Any; nothing is kept.
// Errors      None: what cannot be read is no limit that could be named.
// See         docs/guide/huge_pages.md
#ifndef FLAGSTONE_LIB_PAGE_MEMORY_CGROUP_H_
#define FLAGSTONE_LIB_PAGE_MEMORY_CGROUP_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lib/page/system_memory.h"

namespace flagstone::page {

struct MemoryCgroup {
  std::string file;          // where the limit is set
  uint64_t limit_bytes = 0;  // memory.max (version 2) or memory.limit_in_bytes (version 1)
  uint64_t used_bytes = 0;
  // Of those, pages of files that nobody used lately: the kernel drops them first.
  uint64_t reclaimable_bytes = 0;

  uint64_t headroom_bytes() const {
    const uint64_t held =
        used_bytes - (reclaimable_bytes < used_bytes ? reclaimable_bytes : used_bytes);
    return held < limit_bytes ? limit_bytes - held : 0;
  }
};

// Of the process's group and the groups it lies in, the one with the least headroom; empty when
// none has a limit. `root` stands before every path.
std::optional<MemoryCgroup> TightestMemoryCgroup(SystemMemory& system,
                                                 const std::string& root = "");

// Directories that may hold the files of the process's group in the hierarchy of `controller`, in
// the order in which they are to be asked. In a container the path the kernel names is often the
// host's, and the files are at the mount's top.
std::vector<std::string> CgroupDirectories(SystemMemory& system, const std::string& root,
                                           std::string_view controller);

}  // namespace flagstone::page

#endif  // FLAGSTONE_LIB_PAGE_MEMORY_CGROUP_H_
