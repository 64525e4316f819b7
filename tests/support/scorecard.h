// The reliability scorecard: one row per kind of fault, with what proves it.
//
// Life        Each test program that covers a row fills a ScorecardRow and calls Record(). With
//             FLAGSTONE_SCORECARD set to a file name, the row is appended there, so that many
//             programs make one table; in any case it becomes properties of the running test.
// Invariants  A row is green only if it ran, nothing failed, and every planted bug was caught in
//             the same run; without planted bugs it is amber: "never failed" is no evidence.
// Threads     One thread per row. Programs may append to one file at once (one write per row).
#ifndef FLAGSTONE_TESTS_SUPPORT_SCORECARD_H_
#define FLAGSTONE_TESTS_SUPPORT_SCORECARD_H_

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace flagstone::testkit {

enum class ScorecardGrade : uint8_t { kGreen, kAmber, kRed };

struct ScorecardRow {
  // Of the kind of fault, 1 to 22; rows of one number are one line of the table.
  uint32_t number = 0;
  std::string name;
  std::string unit;  // what `count` counts: "executions", "cuts", "transactions"
  uint64_t count = 0;
  uint64_t failures = 0;
  uint64_t seed = 0;
  std::vector<std::string> bugs_caught;
  std::vector<std::string> bugs_missed;

  void Caught(std::string bug) { bugs_caught.push_back(std::move(bug)); }
  void Missed(std::string bug) { bugs_missed.push_back(std::move(bug)); }
  ScorecardGrade grade() const;
  // "17 lock-free kernels: green, 1000000 executions, seed 1, planted bugs 4/4 (a, b, c, d)"
  std::string ToString() const;
  // Appends to the file of FLAGSTONE_SCORECARD, if set, and to the running test's properties.
  void Record() const;
};

// One line per row, fields separated by tabs.
std::string EncodeScorecardRow(const ScorecardRow& row);
// Rows of the same number are added up; ordered by number. Lines that are no rows are errors.
struct Scorecard {
  std::vector<ScorecardRow> rows;
  std::string error;
};
Scorecard ParseScorecard(const std::string& text);
std::string FormatScorecard(const Scorecard& scorecard);

}  // namespace flagstone::testkit

#endif  // FLAGSTONE_TESTS_SUPPORT_SCORECARD_H_
