// What a read needs to know of a table to turn an ID into an address: set when the table is
// created, never changed after, one or two cache lines that stay hot.
#ifndef FLAGSTONE_INTERNAL_TABLE_VIEW_H_
#define FLAGSTONE_INTERNAL_TABLE_VIEW_H_

#include <atomic>
#include <cstdint>

#include "flagstone/internal/home_places.h"
#include "flagstone/internal/slot.h"
#include "flagstone/size_class.h"

namespace flagstone::internal {

// Who owns an extent. Table numbers start at 1.
inline constexpr uint16_t kExtentUnowned = 0;
inline constexpr uint16_t kExtentShared = 0xffff;  // cut into slabs of several small tables
// Small tables share an extent in this many equal slabs of 64 KiB.
inline constexpr uint32_t kSlabsPerSharedExtent = 32;

// Address arithmetic of one size class: slot number -> slot.
struct SlotGeometry {
  char* base;           // of the class's home slots
  char* version_base;   // of the class's version slots
  uint32_t stride;      // bytes, header included
  uint32_t index_bits;  // of the index field within an extent
  uint32_t index_mask;
  uint32_t slots_per_extent;

  SlotHeader* HomeAt(uint64_t extent, uint64_t index) const {
    return reinterpret_cast<SlotHeader*>(base + (extent << kExtentShift) + index * stride);
  }
  // `link` is not 0 and came from a link word.
  SlotHeader* At(VersionLink link) const {
    const uint64_t extent = link >> index_bits;
    const uint64_t index = link & index_mask;
    return reinterpret_cast<SlotHeader*>(version_base + (extent << kExtentShift) + index * stride);
  }
};

// A table's slots in one size class.
struct TableView {
  HomePlaces<TableShape> places;
  uint32_t payload_bytes;  // of a record
  uint16_t number;         // of the table, 1 ..
  uint32_t class_number;
  uint64_t slot_mask;
  // class and node bits of an ID, as this table's IDs have them, and the mask that selects them.
  uint64_t prefix;
  uint64_t prefix_mask;
  SlotGeometry geometry;
  // Who owns the extents of the class, by extent number; and the slabs of shared ones:
  // [extent * kSlabsPerSharedExtent + slab].
  const std::atomic<uint16_t>* extent_owner;
  const std::atomic<uint16_t>* shared_owner;
  uint32_t slots_per_shared_slab;
  // Up to which commit all is visible.
  const std::atomic<uint64_t>* horizon;
  // Adjacent slots that a record takes. Above 1, most indices name no record but lie inside of one,
  // where its payload decides what there is to read: check with NamesSlot() before any load.
  uint32_t run_slots;

  // The home slot that a slot number of the class, or an ID of this table, names.
  SlotHeader* HomeOf(uint64_t slot_or_id) const {
    const uint64_t slot = slot_or_id & slot_mask;
    return geometry.HomeAt(slot >> geometry.index_bits, slot & geometry.index_mask);
  }
  bool NamesSlot(uint64_t index) const {
    return StartsRun(static_cast<uint32_t>(index), run_slots, geometry.slots_per_extent);
  }
};

// Of a run that fills an extent.
inline constexpr uint32_t kRecordBytesMax =
    kRunSlotsMax * kStrideBytesMax - static_cast<uint32_t>(kSlotHeaderBytes);
static_assert(kRecordBytesMax == 2'093'032);

}  // namespace flagstone::internal

#endif  // FLAGSTONE_INTERNAL_TABLE_VIEW_H_
