#include "tools/flagstone/bench_json.h"

#include <nlohmann/json.hpp>
#include <utility>

namespace flagstone::tool {
namespace {

using bench::BenchReport;
using bench::BenchRow;
using bench::Goal;
using nlohmann::ordered_json;

constexpr int kFormat = 1;

ordered_json PairsToJson(const std::vector<std::pair<std::string, std::string>>& pairs) {
  ordered_json json = ordered_json::object();
  for (const auto& [name, value] : pairs) json[name] = value;
  return json;
}

const char* SideName(Goal::Side side) {
  return side == Goal::Side::kAtMost ? "at most" : "at least";
}

Goal::Side SideNamed(const std::string& name) {
  for (const Goal::Side side : {Goal::Side::kAtMost, Goal::Side::kAtLeast}) {
    if (name == SideName(side)) return side;
  }
  throw nlohmann::json::other_error::create(
      501, "good_side is '" + name + "', not 'at most' or 'at least'",
      static_cast<const ordered_json*>(nullptr));
}

ordered_json RowToJson(const BenchRow& row) {
  ordered_json json = {
      {"key", row.key},
      {"what", row.what},
      {"unit", row.unit},
      {"measured", row.subject},
      {"reference_name", row.reference_name},
      {"reference", row.reference},
      {"ratio",
       {{"median", row.ratio.median},
        {"low", row.ratio.low},
        {"high", row.ratio.high},
        {"rounds", row.ratio.rounds}}},
      {"good_side", SideName(row.side)},
      {"verdict", VerdictName(row.verdict())},
  };
  if (row.goal) {
    json["goal"] = {{"side", SideName(row.goal->side)}, {"bound", row.goal->bound}};
    if (row.goal->next) json["goal"]["next"] = *row.goal->next;
  }
  if (!row.note.empty()) json["note"] = row.note;
  return json;
}

BenchRow RowFromJson(const ordered_json& json) {
  BenchRow row;
  row.key = json.at("key").get<std::string>();
  const ordered_json& ratio = json.at("ratio");
  row.ratio.median = ratio.at("median").get<double>();
  row.ratio.low = ratio.at("low").get<double>();
  row.ratio.high = ratio.at("high").get<double>();
  row.ratio.rounds = ratio.at("rounds").get<size_t>();
  row.side = SideNamed(json.at("good_side").get<std::string>());
  return row;
}

// nlohmann-json's words without the name of the exception: "parse error at line 3, column 1: ...".
Status Malformed(const std::string& origin, const std::string& place,
                 const nlohmann::json::exception& error) {
  const std::string_view what = error.what();
  const size_t end = what.find("] ");
  const std::string reason(end == std::string_view::npos ? what : what.substr(end + 2));
  return Status::Error(StatusCode::kInvalidArgument,
                       origin + " is no report of flagstone bench --json: " + place + reason);
}

}  // namespace

std::string BenchToJson(const BenchReport& report) {
  ordered_json rows = ordered_json::array();
  for (const BenchRow& row : report.rows) rows.push_back(RowToJson(row));
  const ordered_json json = {
      {"format", kFormat},
      {"bench", report.bench},
      {"machine", PairsToJson(report.machine)},
      {"settings", PairsToJson(report.settings)},
      {"rows", std::move(rows)},
      {"remarks", report.remarks},
  };
  return json.dump(2) + "\n";
}

Result<BenchReport> BenchFromJson(std::string_view text, const std::string& origin) {
  // nlohmann-json reports by exceptions; they end here.
  std::string place;
  try {
    const ordered_json json = ordered_json::parse(text);
    if (!json.is_object()) {
      return Status::Error(StatusCode::kInvalidArgument,
                           origin + " is no report of flagstone bench --json: it holds " +
                               json.type_name() + ", not an object");
    }
    if (json.at("format") != kFormat) {
      return Status::Error(StatusCode::kInvalidArgument,
                           origin + ": format is " + json.at("format").dump() +
                               ", this program reads " + std::to_string(kFormat));
    }
    BenchReport report;
    report.bench = json.at("bench").get<std::string>();
    for (const auto& [name, value] : json.at("settings").items()) {
      place = "settings." + name + ": ";
      report.settings.emplace_back(name, value.get<std::string>());
    }
    place.clear();
    for (const ordered_json& row : json.at("rows")) {
      place = "rows[" + std::to_string(report.rows.size()) + "]: ";
      report.rows.push_back(RowFromJson(row));
    }
    return report;
  } catch (const nlohmann::json::exception& error) {
    return Malformed(origin, place, error);
  }
}

}  // namespace flagstone::tool
