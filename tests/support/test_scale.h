// How long randomized tests run: counts that follow the environment variable FLAGSTONE_TEST_SCALE.
//
// A test writes the count of an ordinary run; tools/test lowers it under sanitizers and raises it
// for
// --soak. Deterministic: the scale changes how many runs there are, never what one of them does.
#ifndef FLAGSTONE_TESTS_SUPPORT_TEST_SCALE_H_
#define FLAGSTONE_TESTS_SUPPORT_TEST_SCALE_H_

#include <algorithm>
#include <cstdint>
#include <cstdlib>

namespace flagstone::tests {

// `count` times the scale, at least 1. The scale is 1 where the variable is absent or no positive
// number.
inline uint64_t ScaledCount(uint64_t count) {
  const char* text = std::getenv("FLAGSTONE_TEST_SCALE");
  const double scale = text != nullptr ? std::strtod(text, nullptr) : 0.0;
  if (!(scale > 0.0)) return count;
  return std::max<uint64_t>(1, static_cast<uint64_t>(static_cast<double>(count) * scale));
}

}  // namespace flagstone::tests

#endif  // FLAGSTONE_TESTS_SUPPORT_TEST_SCALE_H_
