// Judges a history by what its transactions saw, without trusting the engine's timestamps.
//
// Method      Reads of append lists give the order of writes per key; from it follow the dependency
//             edges between transactions (ww, wr, rw, and real time), and each anomaly of Adya's
//             thesis is a kind of cycle. See Kingsbury and Alvaro, "Elle", VLDB 2020.
// Errors      An anomaly that the level forbids makes the report fail; those it allows are counted.
//             A snapshot run that never shows kG2Item is too weak a workload.
// Cost        Linear in operations and edges, apart from the searches inside of a cycle.
#ifndef FLAGSTONE_TESTS_SUPPORT_BLACK_BOX_CHECKER_H_
#define FLAGSTONE_TESTS_SUPPORT_BLACK_BOX_CHECKER_H_

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "tests/support/history.h"

namespace flagstone::testkit {

enum class AnomalyKind : uint8_t {
  kInternal,           // a transaction does not see its own append
  kNonRepeatable,      // two reads of one key in one transaction differ
  kDuplicate,          // a value is in a list twice
  kGarbage,            // a value nobody appended
  kG1a,                // a value of an aborted transaction
  kG1b,                // a list that ends with a value its writer appended to later
  kIncompatibleOrder,  // two reads of a key are not prefixes of each other (lost update, P4)
  kLostWrite,          // a committed append is missing from the final read
  kSplitOutcome,       // an indeterminate transaction is there in part
  kG0,                 // cycle of writes
  kG1c,                // cycle of writes and reads-from
  kGSingle,            // cycle with one anti-dependency (read skew)
  kGNonadjacent,       // cycle with several, no two adjacent (long fork)
  kG2Item,             // cycle with adjacent ones (write skew)
  kG0Realtime,         // the same, closed by "ended before the other began"
  kG1cRealtime,
  kGSingleRealtime,
  kGNonadjacentRealtime,
  kG2ItemRealtime,
};
inline constexpr size_t kAnomalyKinds = static_cast<size_t>(AnomalyKind::kG2ItemRealtime) + 1;

std::string_view AnomalyName(AnomalyKind kind);

// Whether transactions must also respect the order of real time (strong snapshot isolation, strict
// serializability).
enum class RealTime : uint8_t { kIgnored, kRequired };

struct BlackBoxOptions {
  IsolationLevel level = IsolationLevel::kSnapshot;
  RealTime real_time = RealTime::kRequired;
  // Nodes visited per search in one strongly connected component.
  uint32_t search_nodes_max = 10'000;
};

bool IsForbidden(AnomalyKind kind, const BlackBoxOptions& options);

struct BlackBoxReport {
  std::array<uint64_t, kAnomalyKinds> counts{};
  // One line per kind found (its first instance), forbidden ones first.
  std::vector<std::string> forbidden;
  std::vector<std::string> allowed;

  bool ok() const { return forbidden.empty(); }
  uint64_t count(AnomalyKind kind) const { return counts[static_cast<size_t>(kind)]; }
  std::string ToString() const;
};

// T3 in a report is history.txns[3].
BlackBoxReport CheckBlackBox(const History& history, const BlackBoxOptions& options);

}  // namespace flagstone::testkit

#endif  // FLAGSTONE_TESTS_SUPPORT_BLACK_BOX_CHECKER_H_
