#include "bench/by_id/row_maker.h"

#include <utility>

namespace flagstone::bench {
namespace {

BenchRow RowOf(RowText text, std::string unit) {
  BenchRow row;
  row.key = std::move(text.key);
  row.what = std::move(text.what);
  row.note = std::move(text.note);
  row.unit = std::move(unit);
  return row;
}

// One contestant's time divided by the other's.
struct Ratio {
  size_t over;
  size_t under;
  Goal::Side side;
};

BenchRow TimedRow(const AlternatingRounds& rounds, const Pairing& pairing, const Ratio& ratio,
                  RowText text, std::optional<Goal> goal) {
  BenchRow row = RowOf(std::move(text), "ns");
  row.subject = rounds.median(pairing.subject, pairing.metric);
  row.reference = rounds.median(pairing.reference, pairing.metric);
  row.reference_name = rounds.name(pairing.reference);
  row.ratio = EstimateOf(Quotient(rounds.series(ratio.over, pairing.metric),
                                  rounds.series(ratio.under, pairing.metric)));
  row.side = ratio.side;
  row.goal = goal;
  return row;
}

}  // namespace

BenchRow TimeRow(const AlternatingRounds& rounds, const Pairing& pairing, RowText text,
                 std::optional<Goal> goal) {
  return TimedRow(rounds, pairing, {pairing.subject, pairing.reference, Goal::Side::kAtMost},
                  std::move(text), goal);
}

BenchRow SpeedRow(const AlternatingRounds& rounds, const Pairing& pairing, RowText text,
                  std::optional<Goal> goal) {
  return TimedRow(rounds, pairing, {pairing.reference, pairing.subject, Goal::Side::kAtLeast},
                  std::move(text), goal);
}

BenchRow BytesRow(double subject_bytes, std::string reference_name, double reference_bytes,
                  RowText text, std::optional<Goal> goal) {
  BenchRow row = RowOf(std::move(text), "MiB");
  constexpr double kMiB = 1 << 20;
  row.subject = subject_bytes / kMiB;
  row.reference = reference_bytes / kMiB;
  row.reference_name = std::move(reference_name);
  row.ratio = Exactly(subject_bytes / reference_bytes);
  row.goal = goal;
  return row;
}

BenchRow CountRow(double count, RowText text) {
  BenchRow row = RowOf(std::move(text), "count");
  row.subject = count;
  row.reference_name = "none";
  row.ratio = Exactly(count);
  row.goal = AtMost(0);
  return row;
}

}  // namespace flagstone::bench
