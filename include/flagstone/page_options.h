// Which memory pages a store lies on, and what the machine granted.
//
// Where records lie never depends on the page size: a store reopened on other pages has its records
// in the same slots. docs/guide/huge_pages.md says how to reserve pages and how to check what is
// used.
#ifndef FLAGSTONE_PAGE_OPTIONS_H_
#define FLAGSTONE_PAGE_OPTIONS_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "flagstone/export.h"
#include "flagstone/status.h"

namespace flagstone {

// From the smallest reach of a TLB entry to the largest. The ladder goes down this list.
enum class PageKind : uint8_t {
  k4KiB = 0,
  kTransparent2MiB = 1,  // the kernel joins 4 KiB pages where it can; madvise(MADV_HUGEPAGE)
  k2MiB = 2,             // explicit, from the pool in /sys/kernel/mm/hugepages/hugepages-2048kB
  k1GiB = 3,             // explicit, from the pool in /sys/kernel/mm/hugepages/hugepages-1048576kB
};
inline constexpr size_t kPageKindCount = 4;

// "4 KiB", "transparent 2 MiB", "2 MiB", "1 GiB".
FLAGSTONE_EXPORT std::string_view PageKindName(PageKind kind);

struct PageOptions {
  // The kind to ask for first. Where it is not to be had, the next one down is taken, and the
  // report and the log say so.
  PageKind page_kind = PageKind::k2MiB;

  // Makes each step down the ladder an error that names the setting to change.
  bool require_huge_pages = false;

  // Fills the page tables when an extent is mapped, so that no later access faults. Explicit huge
  // pages are always filled at once; this is for the other two kinds, whose memory is otherwise
  // taken from the kernel when it is first touched.
  bool prefault = false;

  // Locks extents in memory (mlock). Needs RLIMIT_MEMLOCK or CAP_IPC_LOCK; explicit huge pages are
  // never swapped and need neither.
  bool lock_memory = false;

  // Leaves extents out of core dumps.
  bool exclude_from_core_dumps = false;

  // Takes memory from this NUMA node only; empty: the kernel's default (near the thread that
  // touches).
  std::optional<int> numa_node = std::nullopt;

  // A directory on tmpfs or hugetlbfs: extents then lie in named files there, which other processes
  // can attach read-only and which outlive the process. Empty: anonymous memory. The kind of pages
  // follows from the mount: hugetlbfs has explicit ones, tmpfs transparent or 4 KiB ones.
  std::string backing_directory;

  // INVALID_ARGUMENT that names the field, its value and the allowed range.
  FLAGSTONE_EXPORT Status Validate() const;
};

// One step down the ladder.
struct PageFallback {
  std::string range_name;  // whose memory: "class 640"
  PageKind wanted = PageKind::k2MiB;
  PageKind granted = PageKind::k4KiB;
  uint64_t bytes = 0;  // in all growths that took this step
  uint64_t growth_count = 0;
  std::string reason;  // of the latest one: what was missing, and the setting to change
};

enum class PageVerification : uint8_t {
  kByCall,   // what the kernel's calls granted; transparent pages may have been refused silently
  kBySmaps,  // counted in /proc/self/smaps
};

// What one address range, or all of them together, lies on.
struct PageReport {
  PageKind requested = PageKind::k2MiB;
  // Bytes mapped, by the kind that backs them. By call: as granted. By smaps: resident ones only,
  // the rest is in bytes_untouched.
  std::array<uint64_t, kPageKindCount> bytes_by_kind{};
  uint64_t bytes_untouched = 0;  // mapped, no page behind it yet
  uint64_t bytes_returned = 0;   // given back: reads there give zeros from one shared page
  // Of these, 4 KiB pages out of extents in which records stay. Explicit pages cannot be split:
  // always 0 on them.
  uint64_t bytes_returned_in_parts = 0;
  uint64_t bytes_reserved = 0;  // addresses only
  uint64_t bytes_locked = 0;
  uint64_t kernel_mapping_count =
      0;  // by smaps; /proc/sys/vm/max_map_count is for the whole process
  PageVerification verification = PageVerification::kByCall;
  std::vector<PageFallback> fallbacks;  // at most one per pair of kinds and range

  uint64_t bytes(PageKind kind) const { return bytes_by_kind[static_cast<size_t>(kind)]; }
};

}  // namespace flagstone

#endif  // FLAGSTONE_PAGE_OPTIONS_H_
