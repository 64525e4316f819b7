// What transactions did, as their sessions saw it: the input of both history checkers.
//
// A logical key names a record that holds a list; appending a value that is unique per key makes
// every read tell the whole past of its key (the "append" workload of Elle).
#ifndef FLAGSTONE_TESTS_SUPPORT_HISTORY_H_
#define FLAGSTONE_TESTS_SUPPORT_HISTORY_H_

#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

namespace flagstone::testkit {

enum class IsolationLevel : uint8_t { kReadCommitted, kSnapshot, kSerializable };
constexpr std::string_view IsolationLevelName(IsolationLevel level) {
  switch (level) {
    case IsolationLevel::kReadCommitted: return "read committed";
    case IsolationLevel::kSnapshot: return "snapshot";
    case IsolationLevel::kSerializable: return "serializable";
  }
  return "?";
}

enum class TxnOutcome : uint8_t { kCommitted, kAborted, kIndeterminate };

struct HistoryOp {
  enum class Kind : uint8_t { kRead, kAppend };
  Kind kind = Kind::kRead;
  uint64_t key = 0;
  uint32_t value = 0;          // kAppend
  std::vector<uint32_t> list;  // kRead: what was seen, own appends included; empty when absent
  // White box, kRead only: commit timestamp of the version returned (0: absent), and the timestamp
  // it was read at (0: the transaction's start). Ignored where the read follows an own append.
  uint64_t version_ts = 0;
  uint64_t read_ts = 0;

  static HistoryOp Read(uint64_t key, std::vector<uint32_t> list) {
    HistoryOp op;
    op.key = key;
    op.list = std::move(list);
    return op;
  }
  static HistoryOp Append(uint64_t key, uint32_t value) {
    HistoryOp op;
    op.kind = Kind::kAppend;
    op.key = key;
    op.value = value;
    return op;
  }
};

struct HistoryTxn {
  uint32_t session = 0;
  // On one monotonic clock, read before begin was called and after commit returned.
  uint64_t begin_time = 0;
  uint64_t end_time = 0;
  TxnOutcome outcome = TxnOutcome::kCommitted;
  std::vector<HistoryOp> ops;
  // White box: the snapshot read from, and the place in the commit order (0: wrote nothing).
  uint64_t start_ts = 0;
  uint64_t commit_ts = 0;
};

struct History {
  std::vector<HistoryTxn> txns;
  // The last transaction is one that began after all others had ended and read every key, so that a
  // committed append it does not show is lost.
  bool ends_with_full_read = false;
};

}  // namespace flagstone::testkit

#endif  // FLAGSTONE_TESTS_SUPPORT_HISTORY_H_
