#include "bench/kit/estimate.h"

#include <algorithm>
#include <cmath>

namespace flagstone::bench {
namespace {

// How many values to leave out at each end, so that the interval between the outermost ones left
// still holds the true median with at least 90 %. The true median lies below the k-th smallest of n
// values with the probability of fewer than k heads in n throws.
size_t LeftOutAtEachEnd(size_t n) {
  constexpr double kMissedAtOneEndMax = 0.05;
  double term = std::pow(0.5, static_cast<double>(n));  // of exactly j heads
  double below = term;
  size_t left_out = 0;
  for (size_t j = 1; 2 * j < n; ++j) {
    term *= static_cast<double>(n - j + 1) / static_cast<double>(j);
    below += term;
    if (below > kMissedAtOneEndMax) break;
    left_out = j;
  }
  return left_out;
}

bool SaysTooLittle(const Estimate& estimate) {
  return estimate.rounds != 0 && estimate.rounds < kRoundsToJudge;
}

}  // namespace

Series Quotient(const Series& numerator, const Series& denominator) {
  Series quotient;
  const size_t count = std::min(numerator.size(), denominator.size());
  quotient.reserve(count);
  for (size_t i = 0; i < count; ++i) quotient.push_back(numerator[i] / denominator[i]);
  return quotient;
}

double MedianOf(Series values) { return EstimateOf(std::move(values)).median; }

Estimate EstimateOf(Series values) {
  std::sort(values.begin(), values.end());
  const size_t n = values.size();
  const size_t left_out = LeftOutAtEachEnd(n);
  Estimate estimate;
  estimate.median = n % 2 == 1 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
  estimate.low = values[left_out];
  estimate.high = values[n - 1 - left_out];
  estimate.rounds = n;
  return estimate;
}

Estimate Exactly(double value) { return {value, value, value, 0}; }

std::string_view VerdictName(Verdict verdict) {
  switch (verdict) {
    case Verdict::kMet: return "met";
    case Verdict::kMissed: return "missed";
    case Verdict::kUndecidable: return "undecidable";
    case Verdict::kNotJudged: return "not judged";
  }
  return "not judged";
}

Verdict Judge(const Estimate& estimate, const std::optional<Goal>& goal) {
  if (!goal) return Verdict::kNotJudged;
  if (SaysTooLittle(estimate)) return Verdict::kNotJudged;
  const bool at_most = goal->side == Goal::Side::kAtMost;
  const double best = at_most ? estimate.low : estimate.high;
  const double worst = at_most ? estimate.high : estimate.low;
  const auto reaches = [&](double value) {
    return at_most ? value <= goal->bound : value >= goal->bound;
  };
  if (reaches(worst)) return Verdict::kMet;
  if (!reaches(best)) return Verdict::kMissed;
  return Verdict::kUndecidable;
}

std::string_view ChangeName(Change change) {
  switch (change) {
    case Change::kWithinSpread: return "within spread";
    case Change::kBetter: return "better";
    case Change::kWorse: return "worse";
    case Change::kNotJudged: return "not judged (fewer than 5 rounds)";
  }
  return "within spread";
}

Change Compare(const Estimate& now, const Estimate& before, Goal::Side side) {
  if (SaysTooLittle(now) || SaysTooLittle(before)) return Change::kNotJudged;
  const bool lower = now.high < before.low;
  const bool higher = now.low > before.high;
  if (!lower && !higher) return Change::kWithinSpread;
  return lower == (side == Goal::Side::kAtMost) ? Change::kBetter : Change::kWorse;
}

}  // namespace flagstone::bench
