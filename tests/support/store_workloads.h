// Workloads that watch one store against a model: what the isolation, model and planted-bug tests
// share.
//
// Errors      Each returns what it counted and, when something was wrong, one text with the seed.
#ifndef FLAGSTONE_TESTS_SUPPORT_STORE_WORKLOADS_H_
#define FLAGSTONE_TESTS_SUPPORT_STORE_WORKLOADS_H_

#include <cstdint>
#include <string>

#include "tests/support/history.h"
#include "tests/support/scorecard.h"

namespace flagstone::testkit {

// The scorecard's rows 6 and 8, as tests/isolation counts them and tests/planted proves them.
ScorecardRow IsolationRow();
ScorecardRow ReclamationRow();

struct WorkloadVerdict {
  uint64_t count = 0;        // transactions, commits or steps; the function says which
  uint64_t write_skews = 0;  // kG2Item, where a history was checked
  std::string failure;       // empty: all was well
};

// One history of `txns` append transactions by four threads, judged by both checkers.
struct AppendHistoryOptions {
  IsolationLevel level = IsolationLevel::kSnapshot;
  uint32_t appends_per_key = 8;
  uint32_t txns = 2'560;
  uint64_t seed = 1;
};
WorkloadVerdict RunStoreAppendHistory(const AppendHistoryOptions& options);

// The fixed schedules and all interleavings of the standard scripts. Counts interleavings.
WorkloadVerdict RunStoreSchedules(IsolationLevel level);

// One random history on one thread, with every kind of operation the store has, against std::map:
// tables of one class and of others, both levels, batches, IDs given from outside, rollbacks,
// guards and snapshots kept over many commits, states of the past; records of one slot and, if
// wanted, tables of long ones that hold IDs leading into themselves. Maintenance after each commit;
// after every `commits_per_scan` all snapshots, guards and the latest state are compared in full.
// Counts commits.
enum class RecordLengths : uint8_t {
  kOneSlot,
  kAll,  // and runs of 2, 3, 6 and 42 slots, beside single ones of their class
};
struct PinnedHistoryOptions {
  uint64_t seed = 1;
  RecordLengths lengths = RecordLengths::kOneSlot;
  uint32_t commits = 300;
  uint32_t commits_per_scan = 100;
};
WorkloadVerdict RunPinnedHistory(const PinnedHistoryOptions& options);

// The kit's model history (with shrinking) on the store. Counts steps.
WorkloadVerdict RunStoreModelHistory(uint64_t seed);

// One thread moves money between many records in single transactions, another one looks at all of
// them. Counts looks.
WorkloadVerdict RunTransferWatch(uint64_t transfers);

}  // namespace flagstone::testkit

#endif  // FLAGSTONE_TESTS_SUPPORT_STORE_WORKLOADS_H_
