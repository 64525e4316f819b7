// Estimate: what several rounds say about one number, and whether a goal is met.
//
// A round measures subject and reference one after the other and yields one ratio; the estimate is
// the median of those ratios. Its spread is the interval between two of the measured ratios that
// holds the true median with at least 90 % probability, whatever their distribution: order
// statistics, by the binomial law. With 5 to 7 rounds that is the smallest and the largest one.
//
// See         tests/unit/bench/estimate_test.cc
#ifndef FLAGSTONE_BENCH_KIT_ESTIMATE_H_
#define FLAGSTONE_BENCH_KIT_ESTIMATE_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

namespace flagstone::bench {

// Fewer rounds than this say too little to judge a goal.
inline constexpr size_t kRoundsToJudge = 5;

// One number per round.
using Series = std::vector<double>;

// Round by round; both of one length.
Series Quotient(const Series& numerator, const Series& denominator);

struct Estimate {
  double median = 0;
  double low = 0;
  double high = 0;
  size_t rounds = 0;  // 0: counted, not timed; then low == median == high

  // Half of the interval, as a part of the median: 0.03 is "+-3 %".
  double spread() const { return median == 0 ? 0 : (high - low) / 2 / median; }
};

double MedianOf(Series values);
// `values` is not empty.
Estimate EstimateOf(Series values);
// A number that was counted and has no spread.
Estimate Exactly(double value);

struct Goal {
  enum class Side : uint8_t { kAtMost, kAtLeast };
  Side side = Side::kAtMost;
  double bound = 0;
  std::optional<double> next;  // the bound to reach after this one
};
constexpr Goal AtMost(double bound, std::optional<double> next = std::nullopt) {
  return {Goal::Side::kAtMost, bound, next};
}
constexpr Goal AtLeast(double bound, std::optional<double> next = std::nullopt) {
  return {Goal::Side::kAtLeast, bound, next};
}

enum class Verdict : uint8_t {
  kMet,          // with all of the interval
  kMissed,       // with all of the interval
  kUndecidable,  // the bound lies within the interval: the machine was too noisy, or it is that
                 // close
  kNotJudged,    // no goal, or fewer than kRoundsToJudge rounds
};
std::string_view VerdictName(Verdict verdict);
Verdict Judge(const Estimate& estimate, const std::optional<Goal>& goal);

// How a ratio of now stands to the one of an earlier run.
enum class Change : uint8_t { kWithinSpread, kBetter, kWorse, kNotJudged };
std::string_view ChangeName(Change change);
// Better and worse need intervals that do not touch, of kRoundsToJudge rounds or more (or counted
// values). `side` says which direction is good.
Change Compare(const Estimate& now, const Estimate& before, Goal::Side side);

}  // namespace flagstone::bench

#endif  // FLAGSTONE_BENCH_KIT_ESTIMATE_H_
