#include "tools/flagstone/number_text.h"

#include <cstdio>

namespace flagstone::tool {
namespace {

// "999", "99.9", "9.99" and a unit; whole numbers of the smallest unit stay whole.
std::string WithUnit(double value, const char* unit, bool whole) {
  char text[48];
  const int decimals = whole || value >= 99.95 ? 0 : value >= 9.995 ? 1 : 2;
  std::snprintf(text, sizeof text, "%.*f %s", decimals, value, unit);
  return text;
}

}  // namespace

std::string CountText(uint64_t count) {
  std::string digits = std::to_string(count);
  for (size_t at = digits.size(); at > 3; at -= 3) digits.insert(at - 3, ",");
  return digits;
}

std::string BytesText(uint64_t bytes) {
  static constexpr const char* kUnits[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
  size_t unit = 0;
  double value = static_cast<double>(bytes);
  while (value >= 1024 && unit + 1 < std::size(kUnits)) {
    value /= 1024;
    ++unit;
  }
  const bool whole = unit == 0 || value == static_cast<double>(static_cast<uint64_t>(value));
  return WithUnit(value, kUnits[unit], whole);
}

std::string NanosText(double nanos) {
  static constexpr const char* kUnits[] = {"ns", "us", "ms", "s"};
  size_t unit = 0;
  while (nanos >= 1000 && unit + 1 < std::size(kUnits)) {
    nanos /= 1000;
    ++unit;
  }
  return WithUnit(nanos, kUnits[unit], false);
}

std::string RoundText(double count) {
  if (count < 10'000) return CountText(static_cast<uint64_t>(count));
  if (count < 1e6) return WithUnit(count / 1e3, "thousand", false);
  if (count < 1e9) return WithUnit(count / 1e6, "million", false);
  return WithUnit(count / 1e9, "billion", false);
}

}  // namespace flagstone::tool
