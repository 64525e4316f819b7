// What the store's memory is spent on, and how much it may spend: plain values, no code to run.
//
// One limit holds for everything a store uses. Each byte is counted under exactly one component,
// and a component may have a limit of its own below the total.
#ifndef FLAGSTONE_MEMORY_USAGE_H_
#define FLAGSTONE_MEMORY_USAGE_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "flagstone/export.h"
#include "flagstone/status.h"

namespace flagstone {

// Who holds the memory.
enum class MemoryComponent : uint8_t {
  kSlabs = 0,       // home slots of records
  kVersions = 1,    // version slots: what snapshots and guards still need
  kIndexes = 2,     // nodes and buckets of secondary indexes
  kCaches = 3,      // block cache
  kLogBuffers = 4,  // write-ahead log
  kOther = 5,       // tables' bookkeeping, statistics, queues
};
inline constexpr size_t kMemoryComponentCount = 6;

// "slabs", "versions", "indexes", "caches", "log buffers", "other".
FLAGSTONE_EXPORT std::string_view MemoryComponentName(MemoryComponent component);

// One value per component.
template <typename T>
struct PerMemoryComponent {
  std::array<T, kMemoryComponentCount> values{};

  T& operator[](MemoryComponent component) { return values[static_cast<size_t>(component)]; }
  const T& operator[](MemoryComponent component) const {
    return values[static_cast<size_t>(component)];
  }
};

struct MemoryOptions {
  // The most bytes the store may use for everything. At least 4 MiB.
  uint64_t limit_bytes = uint64_t{1} << 30;
  // The part of limit_bytes that only deletes and reclamation may use, so that a full store can be
  // emptied. At most half of limit_bytes.
  uint64_t delete_reserve_bytes = 2 << 20;
  // A limit of a component's own; 0: only limit_bytes holds. Deletes may pass it (never the total).
  PerMemoryComponent<uint64_t> component_limit_bytes;

  // INVALID_ARGUMENT that names the field, its value and the allowed range.
  FLAGSTONE_EXPORT Status Validate() const;
};

// A snapshot. Its fields are read one after another: under concurrent charges they may differ by
// what was charged in between.
struct MemoryUsage {
  uint64_t limit_bytes = 0;
  uint64_t delete_reserve_bytes = 0;
  uint64_t used_bytes = 0;
  uint64_t used_bytes_peak = 0;
  PerMemoryComponent<uint64_t> component_used_bytes;
  PerMemoryComponent<uint64_t> component_limit_bytes;  // 0: no limit of its own
  uint64_t refused_charge_count = 0;
};

}  // namespace flagstone

#endif  // FLAGSTONE_MEMORY_USAGE_H_
