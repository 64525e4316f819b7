// scorecard FILE: prints the reliability scorecard from the rows that test programs appended to
// FILE (FLAGSTONE_SCORECARD). The exit code is 1 when a row is red or a line is no row.
#include <cstdio>
#include <fstream>
#include <sstream>

#include "tests/support/scorecard.h"

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: scorecard FILE\n");
    return 2;
  }
  std::ifstream file(argv[1]);
  std::stringstream text;
  text << file.rdbuf();
  const flagstone::testkit::Scorecard card = flagstone::testkit::ParseScorecard(text.str());
  if (!card.error.empty()) {
    std::fprintf(stderr, "scorecard: %s: %s\n", argv[1], card.error.c_str());
    return 1;
  }
  if (card.rows.empty()) {
    std::printf("scorecard: no row was recorded in this run\n");
    return 0;
  }
  std::printf("scorecard\n%s", flagstone::testkit::FormatScorecard(card).c_str());
  for (const flagstone::testkit::ScorecardRow& row : card.rows) {
    if (row.grade() == flagstone::testkit::ScorecardGrade::kRed) return 1;
  }
  return 0;
}
