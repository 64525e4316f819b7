#include "tools/flagstone/bench_table.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <vector>

namespace flagstone::tool {
namespace {

using bench::BenchReport;
using bench::BenchRow;
using bench::Goal;

constexpr size_t kColumns = 7;
using Cells = std::array<std::string, kColumns>;
const Cells kTitles = {"what", "measured", "reference", "ratio", "spread", "goal", "verdict"};

std::string Fixed(double value, int digits) {
  char text[48];
  std::snprintf(text, sizeof(text), "%.*f", digits, value);
  return text;
}
std::string Significant(double value, int digits) {
  char text[48];
  std::snprintf(text, sizeof(text), "%.*g", digits, value);
  return text;
}

std::string Value(double value, const std::string& unit) {
  if (unit == "count") return Fixed(value, 0);
  return (value < 1000 ? Significant(value, 4) : Fixed(value, 0)) + " " + unit;
}

std::string GoalText(const BenchRow& row) {
  if (!row.goal) return "";
  std::string text = row.goal->side == Goal::Side::kAtMost ? "<= " : ">= ";
  text += Significant(row.goal->bound, 6);
  if (row.goal->next) text += ", then " + Significant(*row.goal->next, 6);
  return text;
}

Cells CellsOf(const BenchRow& row) {
  const bool counted = row.unit == "count";
  return {
      row.what,
      Value(row.subject, row.unit),
      counted ? row.reference_name : row.reference_name + " " + Value(row.reference, row.unit),
      counted ? "" : Fixed(row.ratio.median, 3) + " x",
      row.ratio.rounds == 0 ? "counted" : "+-" + Fixed(100 * row.ratio.spread(), 1) + " %",
      GoalText(row),
      row.goal ? std::string(VerdictName(row.verdict())) : "",
  };
}

std::string Heading(const BenchReport& report) {
  std::string text = "flagstone bench " + report.bench;
  for (const auto& [name, value] : report.settings) text += ", " + name + " " + value;
  return text;
}

std::string Padded(std::string text, size_t width) {
  text.resize(std::max(text.size(), width), ' ');
  return text;
}

}  // namespace

std::string BenchTable(const BenchReport& report) {
  std::string text = Heading(report) + "\n";
  for (const auto& [name, value] : report.machine) {
    text += "  " + Padded(name, 20) + value + "\n";
  }
  std::vector<Cells> lines = {kTitles};
  for (const BenchRow& row : report.rows) lines.push_back(CellsOf(row));
  std::array<size_t, kColumns> widths{};
  for (const Cells& cells : lines) {
    for (size_t i = 0; i < kColumns; ++i) widths[i] = std::max(widths[i], cells[i].size());
  }
  text += "\n";
  for (const Cells& cells : lines) {
    std::string line;
    for (size_t i = 0; i < kColumns; ++i) line += Padded(cells[i], widths[i] + 2);
    line.erase(line.find_last_not_of(' ') + 1);
    text += line + "\n";
  }
  text +=
      "\nratio: median over rounds of measured and reference, which took turns; spread: half "
      "the\ninterval that holds the true median with 90 %; undecidable: the goal lies within "
      "it.\n";
  for (const BenchRow& row : report.rows) {
    if (!row.note.empty()) text += "note: " + row.what + ": " + row.note + "\n";
  }
  for (const std::string& remark : report.remarks) text += "remark: " + remark + "\n";
  return text;
}

std::string BenchMarkdown(const BenchReport& report) {
  std::string text = "`" + Heading(report) + "`\n\n";
  for (const auto& [name, value] : report.machine) text += "- " + name + ": " + value + "\n";
  const auto line = [](const Cells& cells) {
    std::string joined = "|";
    for (const std::string& cell : cells) joined += " " + cell + " |";
    return joined + "\n";
  };
  text += "\n" + line(kTitles) + "|---|---|---|---|---|---|---|\n";
  for (const BenchRow& row : report.rows) text += line(CellsOf(row));
  if (!report.remarks.empty()) text += "\n";
  for (const std::string& remark : report.remarks) text += "- " + remark + "\n";
  return text;
}

}  // namespace flagstone::tool
