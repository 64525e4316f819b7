#include "tools/flagstone/bench_baseline.h"

#include <algorithm>
#include <cstdio>
#include <string_view>

namespace flagstone::tool {
namespace {

using bench::BenchReport;
using bench::BenchRow;
using bench::Change;

std::string SettingOf(const BenchReport& report, std::string_view name) {
  for (const auto& [key, value] : report.settings) {
    if (key == name) return value;
  }
  return "absent";
}

Status Differs(std::string_view what, const std::string& now, const std::string& before) {
  return Status::Error(StatusCode::kInvalidArgument,
                       "this baseline cannot be compared: its " + std::string(what) + " is " +
                           before + ", this run's is " + now + "; run both with the same options");
}

}  // namespace

Status CheckComparable(const BenchReport& now, const BenchReport& before) {
  if (now.bench != before.bench) return Differs("benchmark", now.bench, before.bench);
  for (const std::string_view name : {"records", "stride", "threads", "pages"}) {
    if (SettingOf(now, name) != SettingOf(before, name)) {
      return Differs(name, SettingOf(now, name), SettingOf(before, name));
    }
  }
  return Status::Ok();
}

BaselineComparison CompareWithBaseline(const BenchReport& now, const BenchReport& before) {
  BaselineComparison comparison;
  for (const BenchRow& row : now.rows) {
    const auto earlier = std::find_if(before.rows.begin(), before.rows.end(),
                                      [&](const BenchRow& other) { return other.key == row.key; });
    char line[256];
    if (earlier == before.rows.end()) {
      std::snprintf(line, sizeof(line), "%-32s %8.3f x              new\n", row.key.c_str(),
                    row.ratio.median);
    } else {
      const Change change = Compare(row.ratio, earlier->ratio, row.side);
      const std::string_view name = ChangeName(change);
      std::snprintf(line, sizeof(line), "%-32s %8.3f x, was %8.3f x  %.*s\n", row.key.c_str(),
                    row.ratio.median, earlier->ratio.median, static_cast<int>(name.size()),
                    name.data());
      if (change == Change::kWorse) comparison.worse.push_back(row.key);
    }
    comparison.text += line;
  }
  for (const BenchRow& row : before.rows) {
    const bool still_there =
        std::any_of(now.rows.begin(), now.rows.end(),
                    [&](const BenchRow& other) { return other.key == row.key; });
    if (!still_there) comparison.text += row.key + ": only in the baseline\n";
  }
  return comparison;
}

}  // namespace flagstone::tool
