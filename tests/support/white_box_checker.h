// Judges a history by the engine's own timestamps: no search, one comparison per read.
//
// Method      Each rule is a direct consequence of multi-version snapshot isolation with one commit
//             order. Trusts the timestamps; the black-box checker does not: use both.
// Cost        O(operations * log versions).
#ifndef FLAGSTONE_TESTS_SUPPORT_WHITE_BOX_CHECKER_H_
#define FLAGSTONE_TESTS_SUPPORT_WHITE_BOX_CHECKER_H_

#include <cstdint>
#include <string>
#include <vector>

#include "tests/support/history.h"

namespace flagstone::testkit {

struct WhiteBoxOptions {
  IsolationLevel level = IsolationLevel::kSnapshot;
  // Commit timestamps in the order of the log, oldest first; empty: there is no log to compare
  // with.
  std::vector<uint64_t> log_order;
};

struct WhiteBoxReport {
  std::vector<std::string> violations;  // "rule 1 (visibility): ...", at most 20
  uint64_t violation_count = 0;
  uint64_t reads_checked = 0;

  bool ok() const { return violation_count == 0; }
  std::string ToString() const;
};

// Rules 1 visibility, 2 first committer wins, 3 real time, 4 commit order, 5 reads still newest at
// commit (serializable only). Rule 2 needs kSnapshot or stronger.
WhiteBoxReport CheckWhiteBox(const History& history, const WhiteBoxOptions& options);

// Rule 7: an index holds exactly what the records say. Entries are (key, id) pairs in any order.
// Returns "" or what is missing and what is too much.
struct IndexEntry {
  std::string key;
  uint64_t id = 0;
  auto operator<=>(const IndexEntry&) const = default;
};
std::string CompareIndexWithRecords(std::vector<IndexEntry> index, std::vector<IndexEntry> records);

}  // namespace flagstone::testkit

#endif  // FLAGSTONE_TESTS_SUPPORT_WHITE_BOX_CHECKER_H_
