#include "bench/kit/alternating_rounds.h"

#include <atomic>
#include <chrono>
#include <thread>
#include <utility>

namespace flagstone::bench {
namespace {

using SteadyClock = std::chrono::steady_clock;

double SecondsSince(SteadyClock::time_point begin) {
  return std::chrono::duration<double>(SteadyClock::now() - begin).count();
}

// Operations per nanosecond.
double RateOf(const Block& block, double seconds) {
  const SteadyClock::time_point begin = SteadyClock::now();
  uint64_t operations = 0;
  double passed = 0;
  do {
    operations += block();
    passed = SecondsSince(begin);
  } while (passed < seconds);
  return static_cast<double>(operations) / (passed * 1e9);
}

constexpr double kWarmUpPart = 1.0 / 16;

}  // namespace

Turn TurnOf(Block block) {
  return [block = std::move(block)](double seconds) -> std::vector<double> {
    RateOf(block, seconds * kWarmUpPart);
    return {1 / RateOf(block, seconds)};
  };
}

Turn ParallelTurnOf(std::vector<Block> blocks) {
  return [blocks = std::move(blocks)](double seconds) -> std::vector<double> {
    std::atomic<size_t> ready{0};
    std::vector<double> rates(blocks.size());
    std::vector<std::thread> threads;
    for (size_t i = 0; i < blocks.size(); ++i) {
      threads.emplace_back([&, i] {
        RateOf(blocks[i], seconds * kWarmUpPart);
        ready.fetch_add(1);
        while (ready.load() != blocks.size()) RateOf(blocks[i], 0);
        rates[i] = RateOf(blocks[i], seconds);
      });
    }
    double rate = 0;
    for (size_t i = 0; i < threads.size(); ++i) {
      threads[i].join();
      rate += rates[i];
    }
    return {1 / rate};
  };
}

size_t AlternatingRounds::Add(std::string name, Turn turn) {
  contestants_.push_back({std::move(name), std::move(turn)});
  return contestants_.size() - 1;
}

void AlternatingRounds::Run() {
  const size_t count = contestants_.size();
  series_.assign(count, {});
  for (size_t round = 0; round < options_.round_count; ++round) {
    for (size_t place = 0; place < count; ++place) {
      const size_t contestant = (round + place) % count;
      const std::vector<double> values = contestants_[contestant].turn(options_.turn_seconds);
      series_[contestant].resize(values.size());
      for (size_t metric = 0; metric < values.size(); ++metric) {
        series_[contestant][metric].push_back(values[metric]);
      }
    }
  }
}

const Series& AlternatingRounds::series(size_t contestant, size_t metric) const {
  return series_.at(contestant).at(metric);
}

double AlternatingRounds::median(size_t contestant, size_t metric) const {
  return MedianOf(series(contestant, metric));
}

}  // namespace flagstone::bench
