#include "tests/support/scorecard.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <map>
#include <set>
#include <sstream>
#include <utility>

namespace flagstone::testkit {
namespace {

constexpr size_t kFields = 8;

std::string Join(const std::vector<std::string>& items, const char* separator) {
  std::string text;
  for (const std::string& item : items) text += (text.empty() ? "" : separator) + item;
  return text;
}

std::vector<std::string> Split(const std::string& text, char separator) {
  std::vector<std::string> parts;
  std::istringstream in(text);
  for (std::string part; std::getline(in, part, separator);) parts.push_back(part);
  if (!text.empty() && text.back() == separator) parts.emplace_back();
  return parts;
}

bool ParseNumber(const std::string& text, uint64_t& number) {
  if (text.empty() || text.find_first_not_of("0123456789") != std::string::npos) return false;
  number = std::strtoull(text.c_str(), nullptr, 10);
  return true;
}

// False: the line is not a row.
bool ParseRow(const std::string& line, ScorecardRow& row) {
  const std::vector<std::string> fields = Split(line, '\t');
  uint64_t number = 0;
  if (fields.size() != kFields || !ParseNumber(fields[0], number) ||
      !ParseNumber(fields[3], row.count) || !ParseNumber(fields[4], row.failures) ||
      !ParseNumber(fields[5], row.seed)) {
    return false;
  }
  row.number = static_cast<uint32_t>(number);
  row.name = fields[1];
  row.unit = fields[2];
  row.bugs_caught = Split(fields[6], ',');
  row.bugs_missed = Split(fields[7], ',');
  return true;
}

// A bug missed by one program but caught by another of the same row is caught.
void AddUp(const ScorecardRow& part, ScorecardRow& whole) {
  whole.count += part.count;
  whole.failures += part.failures;
  std::set<std::string> caught(whole.bugs_caught.begin(), whole.bugs_caught.end());
  caught.insert(part.bugs_caught.begin(), part.bugs_caught.end());
  std::set<std::string> missed(whole.bugs_missed.begin(), whole.bugs_missed.end());
  missed.insert(part.bugs_missed.begin(), part.bugs_missed.end());
  for (const std::string& bug : caught) missed.erase(bug);
  whole.bugs_caught.assign(caught.begin(), caught.end());
  whole.bugs_missed.assign(missed.begin(), missed.end());
}

}  // namespace

ScorecardGrade ScorecardRow::grade() const {
  if (failures != 0 || !bugs_missed.empty()) return ScorecardGrade::kRed;
  if (count == 0 || bugs_caught.empty()) return ScorecardGrade::kAmber;
  return ScorecardGrade::kGreen;
}

std::string ScorecardRow::ToString() const {
  const char* const word = grade() == ScorecardGrade::kGreen   ? "green"
                           : grade() == ScorecardGrade::kAmber ? "amber"
                                                               : "RED";
  std::string text = std::to_string(number) + " " + name + ": " + word + ", " +
                     std::to_string(count) + " " + unit + ", seed " + std::to_string(seed);
  if (failures != 0) text += ", " + std::to_string(failures) + " failures";
  text += ", planted bugs " + std::to_string(bugs_caught.size()) + "/" +
          std::to_string(bugs_caught.size() + bugs_missed.size());
  if (!bugs_caught.empty()) text += " (" + Join(bugs_caught, ", ") + ")";
  if (!bugs_missed.empty()) text += ", MISSED " + Join(bugs_missed, ", ");
  return text;
}

std::string EncodeScorecardRow(const ScorecardRow& row) {
  return std::to_string(row.number) + "\t" + row.name + "\t" + row.unit + "\t" +
         std::to_string(row.count) + "\t" + std::to_string(row.failures) + "\t" +
         std::to_string(row.seed) + "\t" + Join(row.bugs_caught, ",") + "\t" +
         Join(row.bugs_missed, ",") + "\n";
}

void ScorecardRow::Record() const {
  testing::Test::RecordProperty("scorecard_row_" + std::to_string(number), ToString());
  const char* const path = std::getenv("FLAGSTONE_SCORECARD");
  if (path == nullptr) return;
  const int file = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  const std::string line = EncodeScorecardRow(*this);
  const bool written =
      file >= 0 && write(file, line.data(), line.size()) == static_cast<ssize_t>(line.size());
  if (file >= 0) close(file);
  EXPECT_TRUE(written) << "could not append to the scorecard " << path;
}

Scorecard ParseScorecard(const std::string& text) {
  Scorecard scorecard;
  std::map<uint32_t, ScorecardRow> rows;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) {
    ScorecardRow row;
    if (!ParseRow(line, row)) {
      scorecard.error = "not a scorecard row: " + line;
      return scorecard;
    }
    const auto [place, first] = rows.insert({row.number, row});
    if (!first) AddUp(row, place->second);
  }
  for (auto& [number, row] : rows) scorecard.rows.push_back(std::move(row));
  return scorecard;
}

std::string FormatScorecard(const Scorecard& scorecard) {
  std::string text;
  for (const ScorecardRow& row : scorecard.rows) text += row.ToString() + "\n";
  return text;
}

}  // namespace flagstone::testkit
