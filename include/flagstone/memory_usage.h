// What the store's memory is spent on, and how much it may spend: plain values, no code to run.
//
// One limit holds for what a store uses: extents of records and versions, what each session holds
// (131 KiB, most of it the list of records it changed, touched as it fills), and the lists of
// transactions of more than 1,024 writes. Each byte is counted under exactly one component, and a
// component may have a limit of its own below the total.
//
// Not counted, and so beside the limit:
//   - lists of shorter transactions: up to 100 KiB a session;
//   - a session's caches of slots beyond the first table and size class: 0.8 KiB for each
//     table and size class that it writes to;
//   - bookkeeping of slabs: about 128 bytes for each slab of home slots, and in size classes of
//     small slots up to 100 KiB for an extent of version slots; names and descriptions of tables;
//   - maintenance's lists of records to visit and slots to free: 8 to 16 bytes an entry;
//   - what a WriteBatch and an ApplyResult hold, which are the caller's;
//   - threads' stacks, and what malloc keeps beside what was asked for.
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
  kOther = 5,       // sessions, and the lists of long transactions
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
  // The most bytes the store may use for all that is counted. At least 5 MiB more than
  // delete_reserve_bytes.
  uint64_t limit_bytes = uint64_t{1} << 30;
  // The part of limit_bytes that only deletes, reclamation and new sessions may use, so that a full
  // store can be read and emptied. At most half of limit_bytes.
  uint64_t delete_reserve_bytes = 2 << 20;
  // A limit of a component's own; 0: only limit_bytes holds. Deletes may pass it (never the total).
  // In this version slabs, versions and other use memory; limits of the others wait for them.
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
