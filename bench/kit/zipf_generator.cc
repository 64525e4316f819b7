#include "bench/kit/zipf_generator.h"

#include <algorithm>
#include <cmath>

namespace flagstone::bench {
namespace {

// Sum of k^-theta for k = 1 .. n. Beyond the first terms the sum is the integral between half
// steps, whose error (below 1e-9 of the sum from here on) is smaller than that of adding 40 million
// rounded terms.
double Zeta(uint64_t n, double theta) {
  constexpr uint64_t kAddedOneByOne = 100'000;
  double sum = 0;
  const uint64_t added = std::min(n, kAddedOneByOne);
  for (uint64_t k = added; k >= 1; --k) sum += std::pow(static_cast<double>(k), -theta);
  if (n > added) {
    const auto primitive = [theta](double x) { return std::pow(x, 1 - theta) / (1 - theta); };
    sum += primitive(static_cast<double>(n) + 0.5) - primitive(static_cast<double>(added) + 0.5);
  }
  return sum;
}

}  // namespace

ZipfGenerator::ZipfGenerator(uint64_t item_count, double theta)
    : item_count_(std::max<uint64_t>(item_count, 1)),
      theta_(theta),
      zeta_n_(Zeta(item_count_, theta)),
      area_first_(Integral(1.5) - 1),
      area_end_(Integral(static_cast<double>(item_count_) + 0.5)),
      surely_within_(2 - InverseIntegral(Integral(2.5) - Weight(2))) {}

double ZipfGenerator::Weight(double x) const { return std::pow(x, -theta_); }
double ZipfGenerator::Integral(double x) const { return std::pow(x, 1 - theta_) / (1 - theta_); }
double ZipfGenerator::InverseIntegral(double area) const {
  return std::pow(std::max(area * (1 - theta_), 0.0), 1 / (1 - theta_));
}

// A point under the hat, whose columns reach half a step to both sides of each number. The hat is
// convex, so a column's area exceeds the number's weight a little: what falls in the excess is
// thrown away. (The first column is cut to its weight beforehand.)
uint64_t ZipfGenerator::NextRank(base::Random& random) const {
  const double last = static_cast<double>(item_count_);
  for (;;) {
    const double area = area_end_ + random.Fraction() * (area_first_ - area_end_);
    const double x = InverseIntegral(area);
    const double number = std::clamp(std::floor(x + 0.5), 1.0, last);
    if (number - x <= surely_within_ || area >= Integral(number + 0.5) - Weight(number)) {
      return static_cast<uint64_t>(number) - 1;
    }
  }
}

uint64_t ZipfGenerator::Scatter(uint64_t rank) const {
  uint64_t hash = 0xcbf29ce484222325;
  for (int i = 0; i < 8; ++i) {
    hash ^= rank & 0xff;
    hash *= 0x100000001b3;
    rank >>= 8;
  }
  return hash % item_count_;
}

double ZipfGenerator::Probability(uint64_t rank) const {
  return std::pow(static_cast<double>(rank) + 1, -theta_) / zeta_n_;
}

}  // namespace flagstone::bench
