#include "bench/by_id/filled_store.h"

#include <chrono>
#include <string>
#include <thread>

namespace flagstone::bench {

StoreOptions StoreOptionsFor(const FilledStoreOptions& options) {
  StoreOptions store;
  store.pages.page_kind = options.page_kind;
  store.maintenance.mode = options.maintenance;
  // Versions and growth beside the records; nothing is taken before it is needed.
  store.memory.limit_bytes = 2 * options.record_count * options.stride_bytes + (uint64_t{2} << 30);
  return store;
}

Status AwaitMaintenance(const Store& store) {
  using SteadyClock = std::chrono::steady_clock;
  constexpr std::chrono::seconds kPatience(10);
  uint64_t least = ~uint64_t{0};
  SteadyClock::time_point progress = SteadyClock::now();
  for (;;) {
    const uint64_t waiting = store.Statistics().maintenance.waiting_records;
    if (waiting == 0) return Status();
    if (waiting < least) {
      least = waiting;
      progress = SteadyClock::now();
    } else if (SteadyClock::now() - progress > kPatience) {
      return Status::Error(
          StatusCode::kResourceExhausted,
          "bench: " + std::to_string(waiting) +
              " changed records wait for maintenance, and for ten seconds none was done");
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
}

}  // namespace flagstone::bench
