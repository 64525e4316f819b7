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
      alpha_(1 / (1 - theta)),
      eta_((1 - std::pow(2.0 / static_cast<double>(item_count_), 1 - theta)) /
           (1 - Zeta(2, theta) / zeta_n_)) {}

uint64_t ZipfGenerator::NextRank(base::Random& random) const {
  const double u = random.Fraction();
  const double uz = u * zeta_n_;
  if (uz < 1 || item_count_ == 1) return 0;
  if (uz < 1 + std::pow(0.5, theta_) || item_count_ == 2) return 1;
  const double rank = static_cast<double>(item_count_) * std::pow(eta_ * u - eta_ + 1, alpha_);
  return std::min(static_cast<uint64_t>(rank), item_count_ - 1);
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
