// What a store counts, as plain structs: a snapshot taken without stopping anybody.
#ifndef FLAGSTONE_STATISTICS_H_
#define FLAGSTONE_STATISTICS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "flagstone/memory_usage.h"
#include "flagstone/page_options.h"

namespace flagstone {

struct OperationStatistics {
  uint64_t inserts = 0;
  uint64_t updates = 0;
  uint64_t deletes = 0;
  uint64_t undeletes = 0;
  uint64_t commits = 0;    // transactions and single changes
  uint64_t rollbacks = 0;  // transactions
  uint64_t conflicts = 0;
  uint64_t chain_reads = 0;  // reads that found no settled record at home
  uint64_t snapshots_too_old = 0;
};

struct MaintenanceStatistics {
  uint64_t cycles = 0;
  uint64_t cycles_blocked = 0;  // by a reader in the middle of a call
  uint64_t helped_cycles = 0;   // run by writers because maintenance was behind
  uint64_t visits = 0;
  uint64_t homecomings = 0;
  uint64_t versions_freed = 0;
  uint64_t records_reclaimed = 0;
  uint64_t snapshots_cut = 0;
  uint64_t waiting_records = 0;   // changed, not visited yet
  uint64_t deferred_records = 0;  // old versions kept for a snapshot or the retention window
};

struct TableStatistics {
  std::string name;
  uint32_t record_bytes = 0;
  uint32_t size_class = 0;
  uint32_t stride_bytes = 0;
  uint32_t run_slots = 1;  // of one record; the counts of slots below are multiples of it
  uint64_t slab_count = 0;
  uint64_t slots_used = 0;  // records, those of running transactions, and what sessions hold ready
  uint64_t slots_free = 0;
  uint64_t slots_unused = 0;
  uint64_t slots_retired = 0;
};

struct SizeClassStatistics {
  uint32_t size_class = 0;
  uint32_t stride_bytes = 0;
  uint64_t home_extents = 0;     // mapped
  uint64_t version_extents = 0;  // mapped
  uint64_t version_slots_used = 0;
  uint64_t version_slots_free = 0;
};

struct IdStatistics {
  uint32_t current_tick = 0;
  uint64_t ticks_left = 0;
  int64_t ahead_of_clock_ticks = 0;
  uint64_t run_ahead_count = 0;
};

struct StoreStatistics {
  uint64_t horizon = 0;          // newest visible commit timestamp
  uint64_t oldest_snapshot = 0;  // timestamp; the horizon when no older one is read
  uint32_t sessions = 0;
  OperationStatistics operations;
  MaintenanceStatistics maintenance;
  IdStatistics ids;
  MemoryUsage memory;
  PageReport pages;
  std::vector<SizeClassStatistics> size_classes;
  std::vector<TableStatistics> tables;
};

}  // namespace flagstone

#endif  // FLAGSTONE_STATISTICS_H_
