// Planted bugs: how a test shows that it would notice.
//
// Convention  The code under test takes the bug as a template parameter (kernels, codecs) or
// through
//             a hook that only tests set (whole engines). The enum's first value is kNone, its last
//             kCount; the production instantiation is the one with kNone, so that a planted bug
//             costs nothing and cannot be reached outside of tests:
//
//                 enum class RingBug : uint8_t { kNone, kNoRelease, kWrapsTooLate, kCount };
//                 template <typename A, RingBug kBug = RingBug::kNone> class Ring { ... };
//
//             The row's test runs the same check on kNone, which must hold, and on every other
//             value, which must be caught; ProveByPlantedBugs() does both and fills the scorecard
//             row. For a template parameter, dispatch with WithPlantedBug().
#ifndef FLAGSTONE_TESTS_SUPPORT_PLANTED_BUGS_H_
#define FLAGSTONE_TESTS_SUPPORT_PLANTED_BUGS_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <type_traits>
#include <utility>

#include "tests/support/scorecard.h"

namespace flagstone::testkit {

// What one run of a check says.
struct CheckVerdict {
  uint64_t count = 0;   // cases run
  std::string failure;  // empty: the check held
};

// Calls call(std::integral_constant<Bug, bug>) for the run-time value `bug`.
template <typename Bug, typename Call>
auto WithPlantedBug(Bug bug, Call&& call) {
  using Result = decltype(call(std::integral_constant<Bug, Bug::kNone>()));
  constexpr auto kCount = static_cast<size_t>(Bug::kCount);
  Result result{};
  const auto try_one = [&]<size_t kIndex>(std::integral_constant<size_t, kIndex>) {
    constexpr Bug kBug = static_cast<Bug>(kIndex);
    if (bug == kBug) result = call(std::integral_constant<Bug, kBug>());
  };
  [&]<size_t... kIndex>(std::index_sequence<kIndex...>) {
    (try_one(std::integral_constant<size_t, kIndex>()), ...);
  }
  (std::make_index_sequence<kCount>());
  return result;
}

// Runs check(bug) for every value of the enum and fills the row: its count is that of kNone,
// name(bug) names the others. Returns "" when kNone held and every bug was caught, else what went
// wrong.
template <typename Bug, typename Name, typename Check>
std::string ProveByPlantedBugs(ScorecardRow& row, Name&& name, Check&& check) {
  std::string problems;
  const CheckVerdict sound = check(Bug::kNone);
  row.count += sound.count;
  if (!sound.failure.empty()) {
    ++row.failures;
    problems += "without a planted bug: " + sound.failure + "\n";
  }
  for (size_t i = 1; i < static_cast<size_t>(Bug::kCount); ++i) {
    const Bug bug = static_cast<Bug>(i);
    if (!check(bug).failure.empty()) {
      row.Caught(name(bug));
    } else {
      row.Missed(name(bug));
      problems += "planted bug not caught: " + std::string(name(bug)) + "\n";
    }
  }
  return problems;
}

}  // namespace flagstone::testkit

#endif  // FLAGSTONE_TESTS_SUPPORT_PLANTED_BUGS_H_
