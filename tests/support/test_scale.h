// How long randomized tests run: counts that follow the environment variable FLAGSTONE_TEST_SCALE.
//
// A test writes the count of an ordinary run; tools/test lowers it under sanitizers and raises it
// for --soak. Deterministic: the scale changes how many runs there are, never what one of them
// does.
#ifndef FLAGSTONE_TESTS_SUPPORT_TEST_SCALE_H_
#define FLAGSTONE_TESTS_SUPPORT_TEST_SCALE_H_

#include <algorithm>
#include <cstdint>
#include <cstdlib>

namespace flagstone::tests {

// 1 where the variable is absent or no positive number.
inline double TestScale() {
  const char* text = std::getenv("FLAGSTONE_TEST_SCALE");
  const double scale = text != nullptr ? std::strtod(text, nullptr) : 0.0;
  return scale > 0.0 ? scale : 1.0;
}

// `count` times the scale, at least 1.
inline uint64_t ScaledCount(uint64_t count) {
  return std::max<uint64_t>(1, static_cast<uint64_t>(static_cast<double>(count) * TestScale()));
}

// The count of a row of the reliability scorecard, whose long run is a number of its own: the first
// at scale 1, the second at kSoakScale, and on the straight line between and beyond them.
inline constexpr double kSoakScale = 50;  // what tests/meson.build sets for the setup 'soak'
inline uint64_t RowCount(uint64_t each_submission, uint64_t long_run) {
  const double scale = TestScale();
  if (scale <= 1) return ScaledCount(each_submission);
  const double more = static_cast<double>(long_run) - static_cast<double>(each_submission);
  return each_submission + static_cast<uint64_t>(more * (scale - 1) / (kSoakScale - 1));
}

}  // namespace flagstone::tests

#endif  // FLAGSTONE_TESTS_SUPPORT_TEST_SCALE_H_
