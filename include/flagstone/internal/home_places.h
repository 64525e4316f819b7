// From an ID to the address of its home slot: the arithmetic of one look-up.
//
// Place       Held by value in table handles, so that a loop keeps it in registers: behind a
//             reference the compiler has to load it again for every look-up, because a look-up
//             stores and loads atomics.
// Invariants  1. The address is only good for being loaded from when the index exists in the extent
//                and owned[extent] is 1.
// Cost        Instructions count more than nanoseconds here: how many cache misses a processor
//             overlaps is its reorder buffer divided by the length of a look-up. With a shape known
//             at compile time a look-up has 11 instructions less than with one loaded from memory.
// See         docs/decisions/0007-read-path.md, docs/format/record_id.md
#ifndef FLAGSTONE_INTERNAL_HOME_PLACES_H_
#define FLAGSTONE_INTERNAL_HOME_PLACES_H_

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "flagstone/internal/slot.h"
#include "flagstone/size_class.h"

namespace flagstone::internal {

inline constexpr int kExtentShift = 21;  // extents are 2 MiB whatever the memory pages are
static_assert(kExtentBytes == 1u << kExtentShift);

// The slots of an extent, known when the program runs.
struct TableShape {
  uint64_t index_mask;
  uint64_t stride;
  uint64_t slots_per_extent;
  uint64_t index_bits;
};

// The same, known when it is compiled: of the smallest size class that holds `record_bytes`, or of
// the largest one, for records that no slot holds and that are left to the store.
template <size_t record_bytes>
struct RecordShape {
  static constexpr uint32_t size_class =
      SizeClassFor(std::min<size_t>(kSlotHeaderBytes + record_bytes, kStrideBytesMax));
  static constexpr uint64_t stride = SizeClassStrideBytes(size_class);
  static constexpr uint64_t slots_per_extent = SizeClassSlotsPerExtent(size_class);
  static constexpr uint64_t index_bits = SizeClassIndexBits(size_class);
  static constexpr uint64_t index_mask = (uint64_t{1} << index_bits) - 1;
};

// An entry of HomePlaces::owned: the whole extent is the table's.
inline constexpr uint8_t kExtentOwned = 1;

// An extent number that belongs to no table, for handles that leave every look-up to the store.
inline constexpr std::atomic<uint8_t> kExtentNotOwned{0};

template <typename Shape>
struct HomePlaces {
  // Class, node, extent and index bits of an ID; shifted by index_bits to the right they number the
  // extents of all classes and nodes.
  uint64_t place_mask;
  // Such an extent number, scaled by the extent size from here, is an address.
  uint64_t biased_base;
  // One byte for each such extent number, so that no bound is checked: 1 where the whole
  // extent is this table's. Lazily touched zero pages, wiped in a forked child. Written when slabs
  // change hands (release), read before a slot is looked at (acquire). All 0 where announcing a
  // guard needs a full barrier, and in tables of long records: the inlined read then never goes on.
  const std::atomic<uint8_t>* owned;
  [[no_unique_address]] Shape shape;

  // The number of the extent that `id` names, an entry of `owned`.
  [[gnu::always_inline]] uint64_t ExtentOf(uint64_t id) const {
    return (id & place_mask) >> shape.index_bits;
  }
  // True when an extent has a slot of the index that `id` names; behind the last one there is a
  // rest.
  [[gnu::always_inline]] bool IndexExists(uint64_t id) const {
    return ExtentIsFull() || (id & shape.index_mask) < shape.slots_per_extent;
  }
  // False for what no slot can be asked for. The top bit, which no ID has, would make the look at
  // an ID word that says look closer find what it must not.
  [[gnu::always_inline]] bool MayName(uint64_t id) const {
    return static_cast<int64_t>(id) >= 0 && IndexExists(id);
  }
  [[gnu::always_inline]] SlotHeader* SlotOf(uint64_t id) const {
    // Where slots fill an extent to the end, extent and index are one number.
    const uint64_t address = ExtentIsFull() ? biased_base + (id & place_mask) * shape.stride
                                            : biased_base + (ExtentOf(id) << kExtentShift) +
                                                  (id & shape.index_mask) * shape.stride;
    return reinterpret_cast<SlotHeader*>(address);
  }

  // Places at which nothing is ever found.
  static HomePlaces Nowhere(uint64_t biased_base) { return {0, biased_base, &kExtentNotOwned, {}}; }

 private:
  // Asked at compile time, or not at all: the test would cost what it saves.
  [[gnu::always_inline]] constexpr bool ExtentIsFull() const {
    if constexpr (!std::is_same_v<Shape, TableShape>) {
      return (Shape::stride << Shape::index_bits) == uint64_t{1} << kExtentShift;
    } else {
      return false;
    }
  }
};

}  // namespace flagstone::internal

#endif  // FLAGSTONE_INTERNAL_HOME_PLACES_H_
