// Random numbers of the test kit: small, fast, the same on every machine for one seed.
#ifndef FLAGSTONE_TESTS_SUPPORT_SEEDED_RANDOM_H_
#define FLAGSTONE_TESTS_SUPPORT_SEEDED_RANDOM_H_

#include <cstdint>

namespace flagstone::testkit {

// SplitMix64 (Steele 2014): mixes any seed well, also 0, 1, 2, ...
class SeededRandom {
 public:
  explicit SeededRandom(uint64_t seed) : state_(seed) {}
  // Independent streams of one seed.
  SeededRandom(uint64_t seed, uint64_t stream) : state_(Mix(seed) ^ (stream * kStep)) {}

  uint64_t Next() {
    state_ += kStep;
    return Mix(state_);
  }
  // Uniform in [0, bound); `bound` below 2^32 and not 0.
  uint32_t Below(uint32_t bound) {
    return static_cast<uint32_t>(((Next() >> 32) * uint64_t{bound}) >> 32);
  }
  // True once in `n` calls on average.
  bool OneIn(uint32_t n) { return Below(n) == 0; }

 private:
  static constexpr uint64_t kStep = 0x9e3779b97f4a7c15;
  static uint64_t Mix(uint64_t x) {
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
    x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
    return x ^ (x >> 31);
  }
  uint64_t state_;
};

}  // namespace flagstone::testkit

#endif  // FLAGSTONE_TESTS_SUPPORT_SEEDED_RANDOM_H_
