// The generation rule of slots: when a slot may carry a new ID.
//
// A slot's generation is the tick of the last ID it carried, kNoTick before the first. An ID is
// issued for a slot only with a tick above its generation, so (tick, slot) never repeats in one
// life of a store; between lives the leases see to it (lib/id/tick_source.h).
//
// Where the generation is not known slot by slot:
//   after opening        kNoTick is right for every free slot, because the first tick lies beyond
//   every
//                        tick of every earlier life
//   a returned extent    keeps one number, the highest generation of its slots; it counts as the
//   generation
//                        of each slot when the extent is used again
#ifndef FLAGSTONE_LIB_ID_SLOT_GENERATION_H_
#define FLAGSTONE_LIB_ID_SLOT_GENERATION_H_

#include <cstdint>

#include "flagstone/id_layout.h"

namespace flagstone::id {

// No ID carries this tick, so it serves as "none": the generation of a slot never used, and the
// current tick of a store whose ticks are used up. MayIssue() is false for it whatever the slot.
inline constexpr uint32_t kNoTick = 0;

constexpr bool MayIssue(uint32_t generation, uint32_t tick) noexcept { return tick > generation; }

// No later tick exists: the slot is never used again, instead of starting over at small ticks.
constexpr bool IsRetired(uint32_t generation, const IdCodec& codec) noexcept {
  return generation >= codec.tick_max();
}

// The one number an extent keeps for two slots.
constexpr uint32_t HigherGeneration(uint32_t a, uint32_t b) noexcept { return a > b ? a : b; }

}  // namespace flagstone::id

#endif  // FLAGSTONE_LIB_ID_SLOT_GENERATION_H_
