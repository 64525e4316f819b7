#include "bench/by_id/by_id_options.h"

#include <string>

namespace flagstone::bench {
namespace {

Status OutOfRange(const std::string& option, const std::string& value, const std::string& range) {
  return Status::Error(StatusCode::kInvalidArgument,
                       "bench: " + option + " is " + value + ", must be " + range);
}

}  // namespace

Status ByIdOptions::Validate() const {
  if (record_count < 1000 || record_count > (uint64_t{1} << 29)) {
    return OutOfRange("records", std::to_string(record_count), "1000 to 536870912");
  }
  if (stride_bytes != 40 && stride_bytes != 64 && stride_bytes != 1024) {
    return OutOfRange("stride", std::to_string(stride_bytes), "40, 64 or 1024");
  }
  if (thread_count < 2 || thread_count > 64) {
    return OutOfRange("threads", std::to_string(thread_count), "2 to 64");
  }
  if (rounds.round_count < 1 || rounds.round_count > 1000) {
    return OutOfRange("rounds", std::to_string(rounds.round_count), "1 to 1000");
  }
  if (!(rounds.turn_seconds > 0 && rounds.turn_seconds <= 3600)) {
    return OutOfRange("seconds", std::to_string(rounds.turn_seconds), "above 0, at most 3600");
  }
  return Status();
}

ByIdOptions Quick(ByIdOptions options) {
  options.record_count = 20'000;
  options.rounds.round_count = 2;
  options.rounds.turn_seconds = 0.002;
  return options;
}

}  // namespace flagstone::bench
