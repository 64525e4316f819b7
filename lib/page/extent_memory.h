// What the files of ExtentRange share.
#ifndef FLAGSTONE_LIB_PAGE_EXTENT_MEMORY_H_
#define FLAGSTONE_LIB_PAGE_EXTENT_MEMORY_H_

#include <sys/mman.h>

#include <cstdint>

#include "lib/page/page_size.h"

namespace flagstone::page {

// Of addresses without memory.
inline constexpr int kReservedFlags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;

constexpr uint64_t BytesOf(uint32_t extent_count) { return extent_count * kExtentBytes; }

constexpr uint32_t FirstOfGibPage(uint32_t extent) { return extent - extent % kExtentsPerGib; }

}  // namespace flagstone::page

#endif  // FLAGSTONE_LIB_PAGE_EXTENT_MEMORY_H_
