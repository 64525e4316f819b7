// Random: the one seam through which flagstone and its tests draw random numbers.
//
// xoshiro256** by Blackman and Vigna (2018), its state filled by SplitMix64 as they advise. The
// sequence depends on the seed alone, on every machine and compiler, so that a printed seed replays
// a run. Not for secrets.
//
// Invariants  1. Equal seeds give equal sequences, in this version and the next (golden values in
//                the tests).
//             2. Below() is exactly uniform.
// Threads     One thread at a time; Fork() gives another thread a generator of its own.
// Cost        Next(): about a nanosecond.
#ifndef FLAGSTONE_LIB_BASE_RANDOM_H_
#define FLAGSTONE_LIB_BASE_RANDOM_H_

#include <array>
#include <bit>
#include <cstdint>

#include "flagstone/status.h"

namespace flagstone::base {

// SplitMix64's output function over its next state: a bijection that mixes all 64 bits.
constexpr uint64_t SplitMix64(uint64_t& state) {
  uint64_t z = (state += 0x9e3779b97f4a7c15);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return z ^ (z >> 31);
}

class Random {
 public:
  constexpr explicit Random(uint64_t seed) {
    for (uint64_t& word : state_) word = SplitMix64(seed);
  }

  constexpr uint64_t Next() {
    const uint64_t result = std::rotl(state_[1] * 5, 7) * 9;
    const uint64_t shifted = state_[1] << 17;
    state_[2] ^= state_[0];
    state_[3] ^= state_[1];
    state_[1] ^= state_[2];
    state_[0] ^= state_[3];
    state_[2] ^= shifted;
    state_[3] = std::rotl(state_[3], 45);
    return result;
  }

  // Uniform in [0, bound); 0 when bound is 0.
  constexpr uint64_t Below(uint64_t bound) {
    if (bound == 0) return 0;
    // Lemire 2019: the high half of a product, drawing again in the few cases that would favour
    // some values.
    __extension__ using Wide = unsigned __int128;
    const uint64_t uneven = (0 - bound) % bound;
    Wide product = Wide{Next()} * bound;
    while (static_cast<uint64_t>(product) < uneven) product = Wide{Next()} * bound;
    return static_cast<uint64_t>(product >> 64);
  }
  // Uniform in [first, last], both ends included.
  constexpr int64_t Between(int64_t first, int64_t last) {
    const uint64_t span = static_cast<uint64_t>(last) - static_cast<uint64_t>(first) + 1;
    const uint64_t step = span == 0 ? Next() : Below(span);
    return static_cast<int64_t>(static_cast<uint64_t>(first) + step);
  }
  // True once in n draws on average; n of 0 never.
  constexpr bool OneIn(uint64_t n) { return n != 0 && Below(n) == 0; }
  // Uniform in [0, 1) with 53 random bits.
  constexpr double Fraction() { return static_cast<double>(Next() >> 11) * 0x1.0p-53; }
  // A generator whose sequence is unrelated to what this one still yields.
  constexpr Random Fork() { return Random(Next()); }

 private:
  std::array<uint64_t, 4> state_{};
};

// 64 bits of the kernel's entropy: a seed for what must differ between processes (hash seeds,
// UUIDs). IO_ERROR where getrandom(2) is forbidden (a seccomp filter).
Result<uint64_t> SeedFromKernel();

}  // namespace flagstone::base

#endif  // FLAGSTONE_LIB_BASE_RANDOM_H_
