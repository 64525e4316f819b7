#include "flagstone/id_layout.h"

#include <algorithm>
#include <cstdio>

#include "lib/base/check.h"
#include "lib/base/utc_time.h"

namespace flagstone {
namespace {

constexpr double kSecondsPerYear = 365.25 * 86400;

// A field, what it holds, and what it may hold.
struct Bounded {
  const char* name;
  uint64_t value;
  uint64_t min;
  uint64_t max;
};

std::string RangeOf(const Bounded& field) {
  return std::string(field.name) + " is " + std::to_string(field.value) + ", allowed are " +
         std::to_string(field.min) + " to " + std::to_string(field.max);
}

template <size_t kCount>
Status CheckBounds(const std::string& owner, const Bounded (&fields)[kCount]) {
  for (const Bounded& field : fields) {
    if (field.value < field.min || field.value > field.max) {
      return Status::Error(StatusCode::kInvalidArgument, owner + ": " + RangeOf(field));
    }
  }
  return Status::Ok();
}

Status LayoutError(const std::string& reason) {
  return Status::Error(StatusCode::kInvalidArgument, "ID layout: " + reason);
}

std::string Years(int64_t seconds) {
  char text[32];
  std::snprintf(text, sizeof text, "%.1f years", static_cast<double>(seconds) / kSecondsPerYear);
  return text;
}

std::string NameOf(RecordId id) {
  char hex[24];
  std::snprintf(hex, sizeof hex, "0x%016llx", static_cast<unsigned long long>(id.value()));
  return id.ToString() + " (" + hex + ")";
}

}  // namespace

Status IdLayout::ValidateFields() const {
  if (epoch_unix_seconds < 0) {
    return LayoutError("epoch_unix_seconds is " + std::to_string(epoch_unix_seconds) +
                       ", allowed are moments from 0 (" + base::FormatUtc(0) + ") to now");
  }
  const Bounded fields[] = {
      {"tick_seconds", tick_seconds, 1, kTickSecondsMax},
      {"tick_bits", tick_bits, kTickBitsMin, kTickBitsMax},
      {"node_bits", node_bits, 0, kNodeBitsMax},
      {"slot_bits", slot_bits, kSlotBitsMin, kSlotBitsMax},
  };
  FLAGSTONE_RETURN_IF_ERROR(CheckBounds("ID layout", fields));
  const uint32_t sum = tick_bits + node_bits + slot_bits;
  if (sum != kFreeBits) {
    return LayoutError("tick_bits " + std::to_string(tick_bits) + " + node_bits " +
                       std::to_string(node_bits) + " + slot_bits " + std::to_string(slot_bits) +
                       " is " + std::to_string(sum) + ", allowed is exactly " +
                       std::to_string(kFreeBits));
  }
  if (!IsWellFormed()) {
    return LayoutError("epoch_unix_seconds is " + std::to_string(epoch_unix_seconds) +
                       ", which is no moment of this age of the world");
  }
  return Status::Ok();
}

Status IdLayout::Validate(int64_t now_unix_seconds) const {
  FLAGSTONE_RETURN_IF_ERROR(ValidateFields());
  if (epoch_unix_seconds > now_unix_seconds) {
    return LayoutError("epoch_unix_seconds is " + std::to_string(epoch_unix_seconds) + " (" +
                       base::FormatUtc(epoch_unix_seconds) +
                       "), allowed are moments from 0 to now, which is " +
                       base::FormatUtc(now_unix_seconds) +
                       " by the host's clock; set the clock or choose an earlier epoch");
  }
  const int64_t left = end_unix_seconds() - now_unix_seconds;
  if (left < kLifeSecondsMin) {
    return LayoutError("tick_bits " + std::to_string(tick_bits) + " of tick_seconds " +
                       std::to_string(tick_seconds) + " from epoch " +
                       base::FormatUtc(epoch_unix_seconds) + " end at " +
                       base::FormatUtc(end_unix_seconds()) + ", " + Years(left) + " from now (" +
                       base::FormatUtc(now_unix_seconds) + "), and a new store needs at least " +
                       Years(kLifeSecondsMin) +
                       "; choose more tick_bits, longer ticks or a later epoch, or set the clock");
  }
  return Status::Ok();
}

std::string IdLayout::ToString() const {
  uint64_t slots_min = UINT64_MAX;
  uint64_t slots_max = 0;
  for (uint32_t size_class = 0; size_class < kSizeClassCount; ++size_class) {
    slots_min = std::min(slots_min, SlotsPerClass(size_class));
    slots_max = std::max(slots_max, SlotsPerClass(size_class));
  }
  return "tick " + std::to_string(tick_bits) + " bits of " + std::to_string(tick_seconds) +
         " s, size class " + std::to_string(kSizeClassBits) + " bits, node " +
         std::to_string(node_bits) + " bits, slot " + std::to_string(slot_bits) + " bits; " +
         base::FormatUtc(epoch_unix_seconds) + " to " + base::FormatUtc(end_unix_seconds()) + "; " +
         std::to_string(slots_min) + " to " + std::to_string(slots_max) + " slots per size class";
}

Result<IdLayout> IdLayoutNamed(std::string_view name) {
  if (name == "standalone") return id_layouts::kStandalone;
  if (name == "large") return id_layouts::kLarge;
  if (name == "fleet") return id_layouts::kFleet;
  return LayoutError("no layout is named \"" + std::string(name.substr(0, 40)) +
                     "\"; there are standalone, large and fleet");
}

Status IdCodec::CheckFields(const IdFields& fields) const {
  const Bounded bounded[] = {
      {"tick", fields.tick, 1, tick_max_},
      {"size class", fields.size_class, 0, kSizeClassCount - 1},
      {"node", fields.node, 0, node_mask_},
      {"slot", fields.slot, 0, slot_mask_},
  };
  FLAGSTONE_RETURN_IF_ERROR(CheckBounds("fields of a record ID", bounded));
  const uint32_t index_bits = SizeClassIndexBits(fields.size_class);
  const Bounded index[] = {{"index in the extent", fields.slot & ((uint32_t{1} << index_bits) - 1),
                            0, SizeClassSlotsPerExtent(fields.size_class) - 1}};
  return CheckBounds(
      "slot " + std::to_string(fields.slot) + " of size class " + std::to_string(fields.size_class),
      index);
}

Status IdCodec::CheckId(RecordId id) const {
  std::string reason;
  if (id.is_null()) {
    reason = "it is the null ID, which names no record";
  } else if (id.value() >> 63 != 0) {
    reason = "its top bit is 1, and that of every record ID is 0";
  } else if (const Status fields_status = CheckFields(fields(id)); !fields_status.ok()) {
    reason = fields_status.message();
  } else {
    return Status::Ok();
  }
  return Status::Error(StatusCode::kInvalidArgument, "record ID " + NameOf(id) + ": " + reason);
}

std::string IdCodec::Describe(RecordId id) const {
  if (const Status status = CheckId(id); !status.ok()) return status.message();
  const DecodedId decoded = Decode(id);
  return "record ID " + NameOf(id) + ": created " +
         base::FormatUtc(decoded.created_from_unix_seconds) + " (tick " +
         std::to_string(decoded.fields.tick) + " of " + std::to_string(tick_seconds_) +
         " s), size class " + std::to_string(decoded.fields.size_class) + " (" +
         std::to_string(decoded.stride_bytes) + " bytes), node " +
         std::to_string(decoded.fields.node) + ", slot " + std::to_string(decoded.fields.slot) +
         " (extent " + std::to_string(decoded.extent) + ", index " + std::to_string(decoded.index) +
         ")";
}

namespace internal {

void IdLayoutIsMalformed(const IdLayout& layout) {
  const std::string message =
      "IdCodec made from a layout that is not well formed: " + layout.ValidateFields().message();
  base::CheckFailed(__FILE__, __LINE__, message.c_str());
}

}  // namespace internal
}  // namespace flagstone
