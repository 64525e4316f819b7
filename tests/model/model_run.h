// Runs one model under every strategy and both kinds of barrier, and says what was found.
#ifndef FLAGSTONE_TESTS_MODEL_MODEL_RUN_H_
#define FLAGSTONE_TESTS_MODEL_MODEL_RUN_H_

#include <gtest/gtest.h>

#include <functional>
#include <string>

#include "flagstone/internal/atomics.h"
#include "tests/support/model_scheduler.h"
#include "tests/support/planted_bugs.h"
#include "tests/support/scorecard.h"
#include "tests/support/test_scale.h"

namespace flagstone::model {

using ModelBody = std::function<void(testkit::Execution&, internal::BarrierKind)>;

// Optimized and without sanitizers all tests together run more than a million executions, and a
// billion in a long run; elsewhere the modelled memory is the same and only slower, so fewer do.
inline uint64_t ModelExecutions(uint64_t count) {
#if !defined(__OPTIMIZE__) || defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  count = std::max<uint64_t>(1, count / 50);
#endif
  return tests::RowCount(count, 600 * count);
}

// About `count` executions; ends with the first that fails.
inline testkit::CheckVerdict RunModel(uint64_t count, const ModelBody& body) {
  testkit::CheckVerdict verdict;
  const auto kinds = {internal::BarrierKind::kAsymmetric, internal::BarrierKind::kSymmetric};
  const auto strategies = {testkit::ExploreStrategy::kRandom, testkit::ExploreStrategy::kPct,
                           testkit::ExploreStrategy::kBoundedPreemption};
  for (const internal::BarrierKind kind : kinds) {
    for (const testkit::ExploreStrategy strategy : strategies) {
      testkit::ExploreOptions options;
      options.strategy = strategy;
      options.executions_max = std::max<uint64_t>(1, count / 6);
      options.preemptions_max = 3;
      options.pct_depth = 5;
      const testkit::ExploreReport report =
          testkit::Explore(options, [&](testkit::Execution& execution) { body(execution, kind); });
      verdict.count += report.executions;
      if (report.failed) {
        verdict.failure = report.ToString();
        return verdict;
      }
    }
  }
  return verdict;
}

// A bug must be caught within this many executions, whatever the scale.
inline constexpr uint64_t kBugExecutionsMax = 240'000;

// The model holds, and each of `bugs` makes it fail. Records it in the row of the kernels.
template <typename Bug, typename Name>
void ProveModel(const char* kernel, uint64_t count, std::initializer_list<Bug> bugs, Name&& name,
                const std::function<void(testkit::Execution&, internal::BarrierKind, Bug)>& body) {
  testkit::ScorecardRow row;
  row.number = 17;
  row.name = "lock-free kernels";
  row.unit = "executions";
  row.seed = 1;
  const auto run = [&](Bug bug, uint64_t executions) {
    return RunModel(executions, [&](testkit::Execution& execution, internal::BarrierKind kind) {
      body(execution, kind, bug);
    });
  };
  const testkit::CheckVerdict sound = run(Bug::kNone, ModelExecutions(count));
  row.count = sound.count;
  if (!sound.failure.empty()) ++row.failures;
  EXPECT_EQ(sound.failure, "") << kernel;
  for (const Bug bug : bugs) {
    const testkit::CheckVerdict broken = run(bug, kBugExecutionsMax);
    if (broken.failure.empty()) {
      row.Missed(name(bug));
    } else {
      row.Caught(name(bug));
    }
    EXPECT_NE(broken.failure, "") << kernel << ": not caught: " << name(bug);
  }
  row.Record();
}

}  // namespace flagstone::model

#endif  // FLAGSTONE_TESTS_MODEL_MODEL_RUN_H_
