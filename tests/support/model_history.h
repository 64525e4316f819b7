// Random histories of a store compared with std::map after every step.
//
// Model       Tables of key -> value, named snapshots that are plain copies of all tables. Absent
// and
//             taken keys are part of the answer, and a transaction's changes appear together or,
//             when it is given up, never.
// Swarm       Each seed leaves out a random half of the kinds of operations and draws its own table
//             and key counts, so that no habit of the generator hides a bug in the same way twice.
// Life        MakeModelOps() draws the history from the seed; RunModelOps() plays it on a fresh
//             subject; after a failure, operations are left out as long as it still fails.
// Errors      ModelReport::failure names the step, what was expected and found; ops_text is the
//             shortest failing history found.
#ifndef FLAGSTONE_TESTS_SUPPORT_MODEL_HISTORY_H_
#define FLAGSTONE_TESTS_SUPPORT_MODEL_HISTORY_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "tests/support/isolation_subject.h"

namespace flagstone::testkit {

enum class ModelOpKind : uint8_t {
  kInsert,
  kUpdate,
  kDelete,
  kRead,
  kScan,           // all records of a table
  kTxn,            // several changes, then commit or abort
  kOpenSnapshot,   // and keep it
  kReadSnapshot,   // all records of a table as of an open snapshot
  kCloseSnapshot,  // any of the open ones
  kMaintain,       // background work in between: reclamation, checkpoint, compaction
  kReopen,         // snapshots do not survive it
};
inline constexpr size_t kModelOpKinds = 11;

// A row of a table: sorted by key.
using ModelRows = std::vector<std::pair<uint64_t, Value>>;

struct ModelChange {
  ModelOpKind kind = ModelOpKind::kInsert;  // kInsert, kUpdate or kDelete
  uint32_t table = 0;
  uint64_t key = 0;
  Value value = 0;
};
struct ModelOp {
  ModelOpKind kind = ModelOpKind::kRead;
  uint32_t table = 0;
  uint64_t key = 0;
  Value value = 0;  // kReadSnapshot, kCloseSnapshot: chooses among the open snapshots
  std::vector<ModelChange> changes;  // kTxn
  enum class TxnEnd : uint8_t { kCommit, kAbort } end = TxnEnd::kCommit;
};

// The store under test, one thread. Keys are logical: the subject maps them to record IDs.
class ModelSubject {
 public:
  virtual ~ModelSubject() = default;
  virtual StepOutcome Change(const ModelChange& change) = 0;  // a transaction of its own
  // Plays the changes in order until one is refused; the refused one changes nothing, the others
  // stand. Returns the outcome of each.
  virtual std::vector<StepOutcome> RunTxn(const std::vector<ModelChange>& changes,
                                          ModelOp::TxnEnd end) = 0;
  virtual std::optional<Value> Read(uint32_t table, uint64_t key) = 0;
  virtual ModelRows Scan(uint32_t table) = 0;
  virtual uint64_t OpenSnapshot() = 0;  // a handle
  virtual ModelRows ScanSnapshot(uint64_t snapshot, uint32_t table) = 0;
  virtual std::optional<Value> ReadSnapshot(uint64_t snapshot, uint32_t table, uint64_t key) = 0;
  virtual void CloseSnapshot(uint64_t snapshot) = 0;
  virtual void Maintain() = 0;
  // Returns "" or why it failed. All snapshots are gone.
  virtual std::string Reopen() = 0;
  // Checks of the subject's own (indexes against records, accounting); "" when all is well. Called
  // from time to time and at the end.
  virtual std::string Verify() { return ""; }
};
using ModelSubjectFactory = std::function<std::unique_ptr<ModelSubject>(uint32_t tables)>;

struct ModelHistoryOptions {
  uint64_t seed = 1;
  uint32_t ops = 2'000;
  uint32_t tables_max = 4;
  uint32_t keys_max = 64;
  uint32_t open_snapshots_max = 4;
  // Operations the subject does not offer.
  std::vector<ModelOpKind> never;
};

struct ModelPlan {
  uint32_t tables = 1;
  std::vector<ModelOp> ops;
  std::vector<ModelOpKind> left_out;
};
ModelPlan MakeModelOps(const ModelHistoryOptions& options);
std::string DescribeModelOp(const ModelOp& op);

struct ModelReport {
  uint64_t steps = 0;
  std::string failure;   // empty: the subject and the model agreed all along
  std::string ops_text;  // the shortest failing history found, one operation per line

  bool ok() const { return failure.empty(); }
};

// Plays the plan once, on a fresh subject.
ModelReport RunModelOps(const ModelPlan& plan, const ModelHistoryOptions& options,
                        const ModelSubjectFactory& open_subject);
// Draws, plays and, if need be, shrinks.
ModelReport RunModelHistory(const ModelHistoryOptions& options,
                            const ModelSubjectFactory& open_subject);

}  // namespace flagstone::testkit

#endif  // FLAGSTONE_TESTS_SUPPORT_MODEL_HISTORY_H_
