// Sizes of the kinds of pages, and of the extents laid over them.
#ifndef FLAGSTONE_LIB_PAGE_PAGE_SIZE_H_
#define FLAGSTONE_LIB_PAGE_PAGE_SIZE_H_

#include <cstdint>

#include "flagstone/page_options.h"

namespace flagstone::page {

inline constexpr uint64_t kExtentBytes = uint64_t{2} << 20;
inline constexpr uint64_t kGibBytes = uint64_t{1} << 30;
inline constexpr uint32_t kExtentsPerGib = kGibBytes / kExtentBytes;
inline constexpr uint64_t kSmallPageBytes = 4096;
inline constexpr uint32_t kPagesPerExtent = kExtentBytes / kSmallPageBytes;

// 4 KiB pages of one extent: `count` from number `first` on.
struct PageSpan {
  uint32_t first = 0;
  uint32_t count = 0;
  uint32_t end() const { return first + count; }
};

// Bytes of one page; transparent pages count as what they are when the kernel joined them.
constexpr uint64_t PageBytes(PageKind kind) {
  switch (kind) {
    case PageKind::k4KiB: return kSmallPageBytes;
    case PageKind::kTransparent2MiB:
    case PageKind::k2MiB: return kExtentBytes;
    case PageKind::k1GiB: return kGibBytes;
  }
  return kSmallPageBytes;
}

constexpr bool IsExplicit(PageKind kind) {
  return kind == PageKind::k2MiB || kind == PageKind::k1GiB;
}

}  // namespace flagstone::page

#endif  // FLAGSTONE_LIB_PAGE_PAGE_SIZE_H_
