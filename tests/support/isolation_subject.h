// What an engine must offer to be put through the isolation tests. Adapters implement it for the
// store (by ID, by index, ...), and for toy engines that prove the tests themselves.
//
// Two faces: IsolationSubject holds one integer per key and runs several transactions from one
// thread (fixed schedules); AppendSession holds one list per key and belongs to one thread (random
// histories).
#ifndef FLAGSTONE_TESTS_SUPPORT_ISOLATION_SUBJECT_H_
#define FLAGSTONE_TESTS_SUPPORT_ISOLATION_SUBJECT_H_

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tests/support/history.h"

namespace flagstone::testkit {

// How a step ended. After kConflict the transaction can only be aborted, and the runner does so.
enum class StepOutcome : uint8_t {
  kOk,
  kAbsent,         // there is no such record for this transaction
  kExists,         // an insert found one
  kConflict,       // another transaction was first, or validation failed
  kIndeterminate,  // commit only: nobody knows before the store is opened again
  kError,          // anything else; the test fails
};
constexpr std::string_view StepOutcomeName(StepOutcome outcome) {
  switch (outcome) {
    case StepOutcome::kOk: return "ok";
    case StepOutcome::kAbsent: return "absent";
    case StepOutcome::kExists: return "exists";
    case StepOutcome::kConflict: return "conflict";
    case StepOutcome::kIndeterminate: return "indeterminate";
    case StepOutcome::kError: return "error";
  }
  return "?";
}

// What a schedule may need beyond begin, read, write, insert, delete, commit and abort.
enum class Capability : uint8_t {
  kScan,             // all (key, value) pairs whose value satisfies a predicate
  kReverseScan,      // the same through a cursor that moves backwards
  kUniqueValue,      // a unique index over the value: an insert of a taken value is refused
  kIndexComparison,  // DescribeIndexes(): a text that is equal when all indexes are equal
  kSyncPoints,       // RunDuringCommit(): a callback while a commit is on its way
};
inline constexpr size_t kCapabilities = 5;
constexpr std::string_view CapabilityName(Capability capability) {
  switch (capability) {
    case Capability::kScan: return "scan";
    case Capability::kReverseScan: return "reverse scan";
    case Capability::kUniqueValue: return "unique value";
    case Capability::kIndexComparison: return "index comparison";
    case Capability::kSyncPoints: return "sync points";
  }
  return "?";
}

using TxnHandle = uint32_t;
using Value = int64_t;

struct ReadStep {
  StepOutcome outcome = StepOutcome::kOk;
  Value value = 0;  // with kOk
};
struct ScanStep {
  StepOutcome outcome = StepOutcome::kOk;
  std::vector<std::pair<uint64_t, Value>> found;  // sorted by key
};
using ValuePredicate = std::function<bool(Value)>;

class IsolationSubject {
 public:
  virtual ~IsolationSubject() = default;

  virtual bool Has(Capability capability) const = 0;

  // Never fails: an engine that cannot begin is of no use to a schedule.
  virtual TxnHandle Begin(IsolationLevel level) = 0;
  virtual ReadStep Read(TxnHandle txn, uint64_t key) = 0;
  virtual StepOutcome Write(TxnHandle txn, uint64_t key, Value value) = 0;   // kAbsent if not there
  virtual StepOutcome Insert(TxnHandle txn, uint64_t key, Value value) = 0;  // kExists if there
  virtual StepOutcome Delete(TxnHandle txn, uint64_t key) = 0;               // kAbsent if not there
  virtual StepOutcome Commit(TxnHandle txn) = 0;
  virtual void Abort(TxnHandle txn) = 0;

  // Called only with the capability. The defaults report an error.
  virtual ScanStep Scan(TxnHandle, const ValuePredicate&) { return {StepOutcome::kError, {}}; }
  virtual ScanStep ReverseScan(TxnHandle, const ValuePredicate&) {
    return {StepOutcome::kError, {}};
  }
  virtual std::string DescribeIndexes() { return ""; }
  // Commits `txn` and calls `during` at a moment when the commit has begun and has not returned.
  virtual StepOutcome CommitWith(TxnHandle, const std::function<void()>&) {
    return StepOutcome::kError;
  }
};

// A fresh engine without any record.
using IsolationSubjectFactory = std::function<std::unique_ptr<IsolationSubject>()>;

// A list in a record of fixed size.
struct AppendList {
  static constexpr uint32_t kValuesMax = 47;
  uint32_t count = 0;
  std::array<uint32_t, kValuesMax> values{};
};

struct AppendRead {
  StepOutcome outcome = StepOutcome::kOk;  // kAbsent: `list` is empty
  AppendList list;
  uint64_t version_ts = 0;  // white box: commit timestamp of the version, 0: absent or not known
  uint64_t read_ts = 0;     // white box: 0: the transaction's start
};
struct TxnTimestamps {
  uint64_t start_ts = 0;
  uint64_t commit_ts = 0;
};

// One thread's way into the engine, one transaction at a time.
class AppendSession {
 public:
  virtual ~AppendSession() = default;
  virtual StepOutcome Begin(IsolationLevel level) = 0;
  virtual AppendRead Read(uint64_t key) = 0;
  // Replaces the list, or inserts the record when it is absent.
  virtual StepOutcome Write(uint64_t key, const AppendList& list) = 0;
  virtual StepOutcome Commit() = 0;
  virtual void Abort() = 0;
  // White box: of the transaction that ended last.
  virtual TxnTimestamps timestamps() const { return {}; }
};
using AppendSessionFactory = std::function<std::unique_ptr<AppendSession>(uint32_t session)>;

}  // namespace flagstone::testkit

#endif  // FLAGSTONE_TESTS_SUPPORT_ISOLATION_SUBJECT_H_
