// Rows from rounds: who is compared with whom, and what the goal is.
#ifndef FLAGSTONE_BENCH_BY_ID_ROW_MAKER_H_
#define FLAGSTONE_BENCH_BY_ID_ROW_MAKER_H_

#include <cstddef>
#include <optional>
#include <string>

#include "bench/kit/alternating_rounds.h"
#include "bench/kit/bench_report.h"

namespace flagstone::bench {

// The words of a row.
struct RowText {
  std::string key;
  std::string what;
  std::string note;
};
// Contestants, by number, and the metric of both that is compared.
struct Pairing {
  size_t subject;
  size_t reference;
  size_t metric = 0;
};

// subject's time / reference's time: "x copy". `goal`, where there is one, is kAtMost.
BenchRow TimeRow(const AlternatingRounds& rounds, const Pairing& pairing, RowText text,
                 std::optional<Goal> goal = std::nullopt);
// reference's time / subject's time: "x as fast". `goal`, where there is one, is kAtLeast.
BenchRow SpeedRow(const AlternatingRounds& rounds, const Pairing& pairing, RowText text,
                  std::optional<Goal> goal = std::nullopt);
// Bytes that were counted.
BenchRow BytesRow(double subject_bytes, std::string reference_name, double reference_bytes,
                  RowText text, std::optional<Goal> goal);
// How often something happened that should not.
BenchRow CountRow(double count, RowText text);

}  // namespace flagstone::bench

#endif  // FLAGSTONE_BENCH_BY_ID_ROW_MAKER_H_
