// Fixed isolation schedules, and all interleavings of two scripted sessions.
//
// Place       Schedules 1 to 14 are Kleppmann's Hermitage, 15 to 24 come from bugs of other
//             engines. They run against any IsolationSubject with the records 1 -> 10 and 2 -> 20.
// Invariants  Nothing is dropped in silence: a schedule that needs a capability the subject lacks,
//             or that says nothing at the level, is reported as not run with the reason.
// See         https://github.com/ept/hermitage
#ifndef FLAGSTONE_TESTS_SUPPORT_HERMITAGE_H_
#define FLAGSTONE_TESTS_SUPPORT_HERMITAGE_H_

#include <cstdint>
#include <string>
#include <vector>

#include "tests/support/history.h"
#include "tests/support/isolation_subject.h"

namespace flagstone::testkit {

struct ScheduleResult {
  enum class Verdict : uint8_t { kPassed, kFailed, kNotRun };
  uint32_t number = 0;
  std::string name;
  Verdict verdict = Verdict::kPassed;
  std::string detail;  // what failed, or why it did not run
};
inline constexpr uint32_t kHermitageSchedules = 24;

// Every schedule, in order, each on a fresh subject.
std::vector<ScheduleResult> RunHermitage(const IsolationSubjectFactory& open_subject,
                                         IsolationLevel level);
// One line per schedule: "12 G2-item: passed".
std::string DescribeSchedules(const std::vector<ScheduleResult>& results);
// The lines of those that failed; empty when all is well.
std::string DescribeFailures(const std::vector<ScheduleResult>& results);

struct ScriptStep {
  enum class Kind : uint8_t {
    kRead,
    kWrite,
    kAdd,  // writes the value last read from the key plus `value`
    kInsert,
    kDelete,
    kCommit,
    kAbort,
  };
  Kind kind = Kind::kRead;
  uint64_t key = 0;
  Value value = 0;
};
// Both sessions begin with an implicit begin, which is a step of the interleaving too.
struct SessionScripts {
  std::string name;
  std::vector<ScriptStep> first;
  std::vector<ScriptStep> second;
};
// Lost update, write skew, read skew, ... on present, absent, inserted and deleted records.
const std::vector<SessionScripts>& StandardScripts();

struct InterleavingReport {
  uint64_t interleavings = 0;
  uint64_t committed = 0;
  uint64_t conflicts = 0;
  // Conflicts although the sessions touched no key in common, in a way the level could mind.
  uint64_t false_conflicts = 0;
  // Both committed and no serial order explains what they saw; a failure under kSerializable.
  uint64_t not_serializable = 0;
  uint64_t failure_count = 0;
  std::vector<std::string> failures;  // the first ten, with the interleaving

  bool ok() const { return failure_count == 0; }
  std::string ToString() const;
  void Add(const InterleavingReport& other);
};

// Runs all C(m + n, m) orders of the steps, each on a fresh subject. Because one thread runs them,
// the right answer of every step is known: what is committed at that moment (read committed) or was
// at the begin (snapshot, serializable), and the own writes; only conflicts are the engine's
// choice, and those are judged too.
InterleavingReport RunAllInterleavings(const IsolationSubjectFactory& open_subject,
                                       const SessionScripts& scripts, IsolationLevel level);

}  // namespace flagstone::testkit

#endif  // FLAGSTONE_TESTS_SUPPORT_HERMITAGE_H_
