#include "flagstone/store_options.h"

#include <chrono>
#include <utility>

namespace flagstone {
namespace {

// Nanoseconds of it, and of the time since the machine started, fit 64 bits together.
constexpr std::chrono::milliseconds kSnapshotTimeMax = std::chrono::hours(24) * 3650;

template <typename Value>
Status OutOfRange(const char* field, Value value, const std::string& range) {
  return Status::Error(StatusCode::kInvalidArgument, std::string("StoreOptions::") + field +
                                                         " is " + std::to_string(value) +
                                                         "; it must be " + range);
}

Status ValidateMaintenance(const MaintenanceOptions& options) {
  if (options.mode != MaintenanceMode::kBackground &&
      options.mode != MaintenanceMode::kCallerDriven) {
    return OutOfRange("maintenance.mode", static_cast<int64_t>(options.mode),
                      "one of MaintenanceMode");
  }
  if (options.thread_count < 1 || options.thread_count > 16) {
    return OutOfRange("maintenance.thread_count", options.thread_count, "1 to 16");
  }
  if (options.thread_name.empty() || options.thread_name.size() > 12 ||
      options.thread_name.find('\0') != std::string::npos) {
    return Status::Error(StatusCode::kInvalidArgument,
                         "StoreOptions::maintenance.thread_name is '" + options.thread_name +
                             "'; it must have 1 to 12 characters, none of them NUL");
  }
  const int64_t interval_us = options.interval.count();
  if (interval_us < 100 || interval_us > 1'000'000) {
    return OutOfRange("maintenance.interval", interval_us, "100 to 1,000,000 us");
  }
  for (const int processor : options.cpu_affinity) {
    if (processor < 0 || processor >= 1024) {
      return OutOfRange("maintenance.cpu_affinity", processor, "processors 0 to 1023");
    }
  }
  return Status::Ok();
}

}  // namespace

Status StoreOptions::Validate() const {
  FLAGSTONE_RETURN_IF_ERROR(memory.Validate());
  FLAGSTONE_RETURN_IF_ERROR(pages.Validate());
  FLAGSTONE_RETURN_IF_ERROR(ValidateMaintenance(maintenance));
  if (sessions_max < 1 || sessions_max > 65'536) {
    return OutOfRange("sessions_max", sessions_max, "1 to 65,536");
  }
  if (guards_per_session < 1 || guards_per_session > 64) {
    return OutOfRange("guards_per_session", guards_per_session, "1 to 64");
  }
  if (transaction_writes_max < 1 || transaction_writes_max > 1u << 24) {
    return OutOfRange("transaction_writes_max", transaction_writes_max, "1 to 16,777,216");
  }
  for (const auto& [field, value] :
       {std::pair("snapshots.age_max", snapshots.age_max),
        std::pair("snapshots.history_retention", snapshots.history_retention)}) {
    if (value.count() < 0 || value > kSnapshotTimeMax) {
      return OutOfRange(field, value.count(), "0 to 315,360,000,000 ms (ten years)");
    }
  }
  return Status::Ok();
}

}  // namespace flagstone
