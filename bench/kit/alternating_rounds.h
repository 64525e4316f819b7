// Alternating rounds: contestants take turns, so that what disturbs the machine disturbs them all.
//
//   round 0   A B C      round 1   B C A      round 2   C A B      ...
//
// Each turn lasts the same time and yields one value per metric (nanoseconds per operation, or
// several percentiles). The first contestant moves by one each round: none is always the one that
// finds the caches as the same other left them.
//
// Threads     One at a time. Contestants may run threads of their own during a turn.
// See         tests/unit/bench/alternating_rounds_test.cc
#ifndef FLAGSTONE_BENCH_KIT_ALTERNATING_ROUNDS_H_
#define FLAGSTONE_BENCH_KIT_ALTERNATING_ROUNDS_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "bench/kit/estimate.h"

namespace flagstone::bench {

struct RoundsOptions {
  size_t round_count = 7;
  double turn_seconds = 0.5;
};

// Runs one block of operations (some 50 to 500 us), checks its own answers, and returns how many
// operations it did.
using Block = std::function<uint64_t()>;

// One turn of `seconds`: values in the order of the contestant's metrics.
using Turn = std::function<std::vector<double>(double seconds)>;

struct Contestant {
  std::string name;
  Turn turn;
};

// A turn that repeats one block on the calling thread: nanoseconds per operation. A sixteenth of
// the time goes before it, unmeasured, to warm what the others cooled.
Turn TurnOf(Block block);
// The same on as many threads as there are blocks, which start together: nanoseconds per operation
// of all of them together (two perfect threads halve it).
Turn ParallelTurnOf(std::vector<Block> blocks);

class AlternatingRounds {
 public:
  explicit AlternatingRounds(const RoundsOptions& options) : options_(options) {}

  // Returns its number.
  size_t Add(std::string name, Turn turn);
  size_t Add(std::string name, Block block) {
    return Add(std::move(name), TurnOf(std::move(block)));
  }
  void Run();

  // One value per round. After Run().
  const Series& series(size_t contestant, size_t metric = 0) const;
  double median(size_t contestant, size_t metric = 0) const;
  const std::string& name(size_t contestant) const { return contestants_[contestant].name; }

 private:
  const RoundsOptions options_;
  std::vector<Contestant> contestants_;
  std::vector<std::vector<Series>> series_;  // by contestant, metric
};

}  // namespace flagstone::bench

#endif  // FLAGSTONE_BENCH_KIT_ALTERNATING_ROUNDS_H_
