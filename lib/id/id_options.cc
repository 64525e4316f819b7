#include "flagstone/id_options.h"

#include <string>

namespace flagstone {

Status IdOptions::Validate(int64_t now_unix_seconds) const {
  FLAGSTONE_RETURN_IF_ERROR(layout.Validate(now_unix_seconds));
  if (node >= layout.node_count()) {
    return Status::Error(StatusCode::kInvalidArgument,
                         "ID options: node is " + std::to_string(node) + ", allowed are 0 to " +
                             std::to_string(layout.node_count() - 1) + " (node_bits is " +
                             std::to_string(layout.node_bits) +
                             "); choose a layout with more node_bits");
  }
  if (clock_jumps != ClockJumps::kBounded && clock_jumps != ClockJumps::kFollowAll) {
    return Status::Error(StatusCode::kInvalidArgument,
                         "ID options: clock_jumps is " +
                             std::to_string(static_cast<int>(clock_jumps)) +
                             ", allowed is one of ClockJumps");
  }
  return Status::Ok();
}

}  // namespace flagstone
