// How a transaction sees others and how long it waits for them.
#ifndef FLAGSTONE_TRANSACTION_OPTIONS_H_
#define FLAGSTONE_TRANSACTION_OPTIONS_H_

#include <chrono>
#include <cstdint>
#include <optional>
#include <string_view>

#include "flagstone/export.h"

namespace flagstone {

enum class IsolationLevel : uint8_t {
  // Each read sees the latest committed state; a write goes on top of whatever is committed.
  kReadCommitted = 0,
  // All reads see the state at the transaction's begin; the first updater of a record wins.
  kSnapshot = 1,
  // As if transactions ran one after another. Needs the indexes' predicate protection, which this
  // version does not have: Begin() answers UNSUPPORTED.
  kSerializable = 2,
};

// "read committed", "snapshot", "serializable".
FLAGSTONE_EXPORT std::string_view IsolationLevelName(IsolationLevel level);

struct TransactionOptions {
  IsolationLevel isolation = IsolationLevel::kSnapshot;
  // How long a write waits for another transaction that holds the record, before DEADLINE_EXCEEDED.
  // Zero: it does not wait, and the answer is CONFLICT at once.
  std::chrono::nanoseconds lock_wait{0};
  // Read the state as of this commit timestamp instead of now. Must lie within the retention window
  // (StoreOptions::snapshots.history_retention): SNAPSHOT_TOO_OLD. Reads only.
  std::optional<uint64_t> as_of_timestamp = std::nullopt;
};

}  // namespace flagstone

#endif  // FLAGSTONE_TRANSACTION_OPTIONS_H_
