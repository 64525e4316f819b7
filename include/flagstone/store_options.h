// Everything a store can be told when it is opened. Grouped by module, few, right for most by
// default.
#ifndef FLAGSTONE_STORE_OPTIONS_H_
#define FLAGSTONE_STORE_OPTIONS_H_

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "flagstone/clock.h"
#include "flagstone/export.h"
#include "flagstone/id_options.h"
#include "flagstone/memory_usage.h"
#include "flagstone/page_options.h"
#include "flagstone/status.h"

namespace flagstone {

enum class LogLevel : uint8_t { kDebug, kInfo, kWarning, kError };

// Where the store says what it does. Called from any thread, also at the same time; must not call
// back.
class FLAGSTONE_EXPORT Logger {
 public:
  virtual ~Logger() = default;
  virtual void Log(LogLevel level, std::string_view message) = 0;
};

// What a host may want to act on. Called from maintenance or from the call that met it; must not
// call back into the store. The defaults do nothing.
class FLAGSTONE_EXPORT EventListener {
 public:
  virtual ~EventListener() = default;
  // Pages smaller than asked for were granted.
  virtual void OnPageFallback(const PageFallback& fallback) { static_cast<void>(fallback); }
  // Snapshots passed their limit and will fail at their next read.
  virtual void OnSnapshotsCut(uint64_t count) { static_cast<void>(count); }
};

enum class MaintenanceMode : uint8_t {
  // The store runs threads of its own.
  kBackground,
  // It runs none: the service calls Store::Maintain(), and a call that must wait does the work
  // itself. The clock is looked at then too: the time in an ID is that of the last such call.
  kCallerDriven,
};

struct MaintenanceOptions {
  MaintenanceMode mode = MaintenanceMode::kBackground;
  // Threads of the store, 1 to 16. Only one visits records at a time; more let a slow task (a
  // listener, a lease on disk) not hold the others up.
  uint32_t thread_count = 1;
  // Threads are called "<name>-0", ...; at most 12 characters.
  std::string thread_name = "flagstone";
  // The processors they may run on; empty: all.
  std::vector<int> cpu_affinity;
  // Pause between two looks at what there is to do. 100 us to 1 s.
  std::chrono::microseconds interval{1000};
};

struct SnapshotOptions {
  // A transaction older than this fails with SNAPSHOT_TOO_OLD at its next read; zero: no limit.
  std::chrono::milliseconds age_max{0};
  // When versions kept for snapshots hold more than this, the oldest snapshot is given up; 0: a
  // quarter of the memory limit.
  uint64_t version_bytes_max = 0;
  // Every state of the last so long can be read with TransactionOptions::as_of_timestamp.
  std::chrono::milliseconds history_retention{0};
};

struct StoreOptions {
  IdOptions ids;
  MemoryOptions memory;
  PageOptions pages;
  MaintenanceOptions maintenance;
  SnapshotOptions snapshots;
  // Readers and sessions open at the same time, 1 to 65,536. Each that is open costs 131 KiB.
  uint32_t sessions_max = 256;
  // Guards that one session can hold at the same time, 1 to 64.
  uint32_t guards_per_session = 64;
  // Writes of one transaction, also of an InsertMany() or a batch: 1 to 2^24.
  uint32_t transaction_writes_max = 1u << 20;
  // Borrowed, may be nullptr; must outlive the store.
  Clock* clock = nullptr;  // nullptr: the system's
  Logger* logger = nullptr;
  EventListener* listener = nullptr;

  // INVALID_ARGUMENT that names the field, its value and the allowed range.
  FLAGSTONE_EXPORT Status Validate() const;
};

}  // namespace flagstone

#endif  // FLAGSTONE_STORE_OPTIONS_H_
