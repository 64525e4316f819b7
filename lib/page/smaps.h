// What backs a range of addresses, read from the text of /proc/self/smaps.
//
// Place       Under ExtentRange::Verify(). A pure function over text, so that tests feed it texts
//             of other kernels.
// Errors      None: unknown lines are skipped (kernels add fields), a mapping without sizes counts
//             as untouched.
// See         proc(5), tests/unit/page/smaps_test.cc
#ifndef FLAGSTONE_LIB_PAGE_SMAPS_H_
#define FLAGSTONE_LIB_PAGE_SMAPS_H_

#include <array>
#include <cstdint>
#include <string_view>

#include "flagstone/page_options.h"

namespace flagstone::page {

// Half-open.
struct AddressRange {
  uint64_t begin = 0;
  uint64_t end = 0;
};

struct Residency {
  std::array<uint64_t, kPageKindCount> bytes_by_kind{};
  uint64_t bytes_writable = 0;  // in mappings with 'w': what is mapped, resident or not
  uint64_t bytes_locked = 0;
  uint64_t mapping_count = 0;  // kernel mappings (VMAs), against vm.max_map_count
};

// Counts the mappings that lie inside `range`. One that only overlaps it (a neighbour's, joined
// with ours by the kernel) is left out: ExtentRange keeps guards around its own so that none is.
Residency ResidencyFromSmaps(std::string_view text, AddressRange range);

}  // namespace flagstone::page

#endif  // FLAGSTONE_LIB_PAGE_SMAPS_H_
