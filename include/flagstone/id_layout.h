// IdLayout and IdCodec: which bits of a record ID mean what, and the way between ID and fields.
//
//   bit 63                                                              bit 0
//    | 0 |  tick                 | size class |  node      |  slot         |
//      1    tick_bits (20..31)     5             0..16        16..30          1 + 5 + the three =
//      64
//
//   tick        when the record was created: whole ticks since the layout's epoch. It is also the
//   slot's
//               generation: a slot that is used again issues a later tick.
//   size class  which slab (flagstone/size_class.h)
//   node        which of several stores that share an ID space
//   slot        where in the slab: | extent | index |
//
// Place       A layout is chosen when a store is created, written to its manifest and never
//             changed. The slabs, the generator and the tools share one IdCodec, made from it.
// Invariants  1. Encode and decode are inverse for every value of every field.
//             2. IDs of one layout order by tick first.
// Threads     Values and pure functions.
// Cost        Each field: one shift, one mask. An IdCodec is 24 bytes.
// See         docs/format/record_id.md (golden values), tests/unit/id/id_layout_test.cc
#ifndef FLAGSTONE_ID_LAYOUT_H_
#define FLAGSTONE_ID_LAYOUT_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>

#include "flagstone/export.h"
#include "flagstone/record_id.h"
#include "flagstone/size_class.h"
#include "flagstone/status.h"

namespace flagstone {

struct IdLayout {
  // 2025-01-01 00:00:00 UTC.
  static constexpr int64_t kDefaultEpochUnixSeconds = 1'735'689'600;
  // What tick, node and slot share: 64 less the top bit and the size class.
  static constexpr uint32_t kFreeBits = 64 - 1 - kSizeClassBits;
  // Below 20 bits no tick length we allow gives useful life; 31 keeps tick arithmetic in 32 bits.
  static constexpr uint32_t kTickBitsMin = 20;
  static constexpr uint32_t kTickBitsMax = 31;
  static constexpr uint32_t kNodeBitsMax = 16;
  // 16 bits hold one extent of the smallest class; 30 is what a slot's header has room for.
  static constexpr uint32_t kSlotBitsMin = 16;
  static constexpr uint32_t kSlotBitsMax = 30;
  // A slot is used once a tick, so an hour is far beyond what any reuse can wait for.
  static constexpr uint32_t kTickSecondsMax = 3600;
  // A new store must be able to issue IDs at least this long: ten years of 365.25 days.
  static constexpr int64_t kLifeSecondsMin = 315'576'000;

  // The moment tick 0 starts.
  int64_t epoch_unix_seconds = kDefaultEpochUnixSeconds;
  uint32_t tick_seconds = 1;
  uint32_t tick_bits = 30;
  uint32_t node_bits = 0;
  uint32_t slot_bits = 28;

  friend bool operator==(const IdLayout&, const IdLayout&) = default;

  // True when every field is in its range and the bits add up: the condition under which an IdCodec
  // exists. Says nothing about time.
  constexpr bool IsWellFormed() const noexcept;

  // OK when a new store may be created with this layout at `now_unix_seconds`: well formed, the
  // epoch not in the future, at least kLifeSecondsMin of ticks left. INVALID_ARGUMENT names field,
  // value and range.
  FLAGSTONE_EXPORT Status Validate(int64_t now_unix_seconds) const;
  // The part of Validate() that does not depend on the time: what a manifest written long ago must
  // meet.
  FLAGSTONE_EXPORT Status ValidateFields() const;

  // Ticks 1 to tick_count() - 1 can be issued. Well-formed layouts only, here and below.
  constexpr uint64_t tick_count() const noexcept { return uint64_t{1} << tick_bits; }
  constexpr uint32_t node_count() const noexcept { return uint32_t{1} << node_bits; }
  // The first moment that has no tick of its own.
  constexpr int64_t end_unix_seconds() const noexcept {
    return epoch_unix_seconds + static_cast<int64_t>(tick_count() * tick_seconds);
  }
  // Extents a size class can have.
  constexpr uint32_t ExtentsPerClass(uint32_t size_class) const noexcept {
    return uint32_t{1} << (slot_bits - SizeClassIndexBits(size_class));
  }
  // Records of one size class that can be in memory at one time.
  constexpr uint64_t SlotsPerClass(uint32_t size_class) const noexcept {
    return uint64_t{ExtentsPerClass(size_class)} * SizeClassSlotsPerExtent(size_class);
  }

  // One line for logs and tools: the bits, the tick, the epoch, the end, the fewest and most slots
  // per class.
  FLAGSTONE_EXPORT std::string ToString() const;
};

namespace id_layouts {

// One store by itself: 1 s ticks until 2059-01-10, 153 to 268 million slots a class.
inline constexpr IdLayout kStandalone{IdLayout::kDefaultEpochUnixSeconds, 1, /*tick_bits=*/30,
                                      /*node_bits=*/0, /*slot_bits=*/28};
// Four times the slots, half the life: 2 s ticks until 2042-01-05.
inline constexpr IdLayout kLarge{IdLayout::kDefaultEpochUnixSeconds, 2, /*tick_bits=*/28,
                                 /*node_bits=*/0, /*slot_bits=*/30};
// 64 stores that share one ID space: 16 s ticks until 2059-01-10, 38 to 67 million slots a class.
inline constexpr IdLayout kFleet{IdLayout::kDefaultEpochUnixSeconds, 16, /*tick_bits=*/26,
                                 /*node_bits=*/6, /*slot_bits=*/26};

}  // namespace id_layouts

// "standalone", "large" or "fleet". INVALID_ARGUMENT lists these names.
FLAGSTONE_EXPORT Result<IdLayout> IdLayoutNamed(std::string_view name);

// The fields of one ID.
struct IdFields {
  uint32_t tick = 0;
  uint32_t size_class = 0;
  uint32_t node = 0;
  uint32_t slot = 0;

  friend bool operator==(const IdFields&, const IdFields&) = default;
};

// All that an ID says about itself, for people and tools.
struct DecodedId {
  RecordId id;
  IdFields fields;
  uint32_t stride_bytes = 0;
  uint32_t extent = 0;
  uint32_t index = 0;
  int64_t created_from_unix_seconds = 0;   // the tick's first second
  int64_t created_until_unix_seconds = 0;  // the first second after the tick
};

class IdCodec {
 public:
  // `layout` must be well formed (IsWellFormed(), ValidateFields()): anything else stops the
  // process through the check handler, or the compiler in a constant expression.
  constexpr explicit IdCodec(const IdLayout& layout);

  // Each field must be in its range (CheckFields() says so).
  constexpr RecordId Encode(const IdFields& fields) const noexcept {
    return RecordId(uint64_t{fields.tick} << tick_shift_ |
                    uint64_t{fields.size_class} << class_shift_ |
                    uint64_t{fields.node} << node_shift_ | fields.slot);
  }

  // The fields of any 64 bits; of a malformed ID they mean nothing, but class, node and slot are in
  // range.
  constexpr uint32_t tick(RecordId id) const noexcept {
    return static_cast<uint32_t>(id.value() >> tick_shift_) & tick_max_;
  }
  constexpr uint32_t size_class(RecordId id) const noexcept {
    return static_cast<uint32_t>(id.value() >> class_shift_) & (kSizeClassCount - 1);
  }
  constexpr uint32_t node(RecordId id) const noexcept {
    return static_cast<uint32_t>(id.value() >> node_shift_) & node_mask_;
  }
  constexpr uint32_t slot(RecordId id) const noexcept {
    return static_cast<uint32_t>(id.value()) & slot_mask_;
  }
  constexpr IdFields fields(RecordId id) const noexcept {
    return {tick(id), size_class(id), node(id), slot(id)};
  }

  // The last tick there is; a slot that issued it is retired.
  constexpr uint32_t tick_max() const noexcept { return tick_max_; }
  constexpr uint32_t node_max() const noexcept { return node_mask_; }
  constexpr uint32_t slot_max() const noexcept { return slot_mask_; }
  constexpr uint32_t tick_seconds() const noexcept { return tick_seconds_; }

  // The tick of a moment, clamped to [0, tick_max()].
  constexpr uint32_t TickAt(int64_t unix_seconds) const noexcept;
  // The first second of a tick. The record was created in [TickStart(t), TickStart(t + 1)), give or
  // take what the host's clock was wrong by and the tick ran ahead of it.
  constexpr int64_t TickStart(uint64_t tick) const noexcept {
    return epoch_unix_seconds_ + static_cast<int64_t>(tick * tick_seconds_);
  }
  constexpr int64_t CreatedUnixSeconds(RecordId id) const noexcept { return TickStart(tick(id)); }

  // True when a store of this layout could issue the ID: top bit 0, tick not 0, and an index that
  // its size class has. False for the null ID.
  constexpr bool IsWellFormed(RecordId id) const noexcept;

  // The same question with a reason. INVALID_ARGUMENT names the ID, the field, its value and range.
  FLAGSTONE_EXPORT Status CheckId(RecordId id) const;
  FLAGSTONE_EXPORT Status CheckFields(const IdFields& fields) const;

  constexpr DecodedId Decode(RecordId id) const noexcept;
  // One line: the ID in text and hexadecimal, creation time, class, node, slot; for a malformed ID
  // what is wrong with it.
  FLAGSTONE_EXPORT std::string Describe(RecordId id) const;

 private:
  int64_t epoch_unix_seconds_;
  uint32_t slot_mask_;
  uint32_t tick_max_;
  uint16_t tick_seconds_;
  uint16_t node_mask_;
  uint8_t node_shift_;
  uint8_t class_shift_;
  uint8_t tick_shift_;
};

namespace internal {
// Stops through the check handler: a codec was made from a layout that Validate() refuses.
[[noreturn]] FLAGSTONE_EXPORT void IdLayoutIsMalformed(const IdLayout& layout);
}  // namespace internal

constexpr bool IdLayout::IsWellFormed() const noexcept {
  // The largest epoch keeps every moment of a layout far from the end of int64_t.
  constexpr int64_t kEpochMax = int64_t{1} << 40;
  return epoch_unix_seconds >= 0 && epoch_unix_seconds <= kEpochMax && tick_seconds >= 1 &&
         tick_seconds <= kTickSecondsMax && tick_bits >= kTickBitsMin &&
         tick_bits <= kTickBitsMax && node_bits <= kNodeBitsMax && slot_bits >= kSlotBitsMin &&
         slot_bits <= kSlotBitsMax && tick_bits + node_bits + slot_bits == kFreeBits;
}

constexpr IdCodec::IdCodec(const IdLayout& layout)
    : epoch_unix_seconds_(layout.epoch_unix_seconds),
      slot_mask_((uint32_t{1} << (layout.slot_bits & 31)) - 1),
      tick_max_((uint32_t{1} << (layout.tick_bits & 31)) - 1),
      tick_seconds_(static_cast<uint16_t>(layout.tick_seconds)),
      node_mask_(static_cast<uint16_t>((uint32_t{1} << (layout.node_bits & 31)) - 1)),
      node_shift_(static_cast<uint8_t>(layout.slot_bits)),
      class_shift_(static_cast<uint8_t>(layout.slot_bits + layout.node_bits)),
      tick_shift_(static_cast<uint8_t>(layout.slot_bits + layout.node_bits + kSizeClassBits)) {
  if (!layout.IsWellFormed()) internal::IdLayoutIsMalformed(layout);
}

constexpr uint32_t IdCodec::TickAt(int64_t unix_seconds) const noexcept {
  if (unix_seconds <= epoch_unix_seconds_) return 0;
  const uint64_t tick = static_cast<uint64_t>(unix_seconds - epoch_unix_seconds_) / tick_seconds_;
  return tick < tick_max_ ? static_cast<uint32_t>(tick) : tick_max_;
}

constexpr bool IdCodec::IsWellFormed(RecordId id) const noexcept {
  const uint32_t id_class = size_class(id);
  const uint32_t index = slot(id) & ((uint32_t{1} << SizeClassIndexBits(id_class)) - 1);
  return (id.value() >> tick_shift_) - 1 < tick_max_ && index < SizeClassSlotsPerExtent(id_class);
}

constexpr DecodedId IdCodec::Decode(RecordId id) const noexcept {
  const IdFields of_id = fields(id);
  const uint32_t index_bits = SizeClassIndexBits(of_id.size_class);
  return {.id = id,
          .fields = of_id,
          .stride_bytes = SizeClassStrideBytes(of_id.size_class),
          .extent = of_id.slot >> index_bits,
          .index = of_id.slot & ((uint32_t{1} << index_bits) - 1),
          .created_from_unix_seconds = TickStart(of_id.tick),
          .created_until_unix_seconds = TickStart(uint64_t{of_id.tick} + 1)};
}

static_assert(sizeof(IdCodec) == 24 && std::is_trivially_copyable_v<IdCodec>);

}  // namespace flagstone

#endif  // FLAGSTONE_ID_LAYOUT_H_
