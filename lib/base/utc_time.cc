#include "lib/base/utc_time.h"

#include <chrono>
#include <cstdio>

namespace flagstone::base {

std::string FormatUtc(int64_t unix_seconds) {
  constexpr int64_t kSecondsPerDay = 86400;
  // Well inside +-32767 years, where std::chrono::year_month_day is defined.
  constexpr int64_t kDaysMax = int64_t{365} * 30000;
  int64_t day = unix_seconds / kSecondsPerDay;
  if (unix_seconds % kSecondsPerDay < 0) --day;
  if (day > kDaysMax || day < -kDaysMax) return "unix " + std::to_string(unix_seconds);
  const int second_of_day = static_cast<int>(unix_seconds - day * kSecondsPerDay);
  const std::chrono::year_month_day date{
      std::chrono::sys_days{std::chrono::days{static_cast<int>(day)}}};
  char text[64];
  std::snprintf(text, sizeof text, "%04d-%02u-%02uT%02d:%02d:%02dZ", static_cast<int>(date.year()),
                static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                second_of_day / 3600, second_of_day / 60 % 60, second_of_day % 60);
  return text;
}

}  // namespace flagstone::base
