// One size class on small pages with a clock moved by hand.
#ifndef FLAGSTONE_TESTS_UNIT_SLAB_SLAB_FIXTURE_H_
#define FLAGSTONE_TESTS_UNIT_SLAB_SLAB_FIXTURE_H_

#include <gtest/gtest.h>

#include <memory>
#include <utility>
#include <vector>

#include "lib/base/manual_clock.h"
#include "lib/base/memory_account.h"
#include "lib/id/tick_lease.h"
#include "lib/id/tick_source.h"
#include "lib/slab/class_space.h"
#include "lib/slab/table_slots.h"
#include "lib/slab/version_pool.h"

namespace flagstone::slab {

class SlabTest : public testing::Test {
 protected:
  static constexpr uint32_t kClass = 16;  // strides of 512 bytes, 4096 slots in an extent
  static constexpr IdLayout kLayout = id_layouts::kStandalone;

  SlabTest() : account_(Memory()), ticks_(OpenTicks()), space_(OpenSpace(kClass, 12)) {}

  static MemoryOptions Memory() {
    MemoryOptions options;
    options.limit_bytes = 64 << 20;
    return options;
  }
  std::unique_ptr<id::TickSource> OpenTicks() {
    return *id::TickSource::Open({.codec = IdCodec(kLayout),
                                  .clock = clock_,
                                  .storage = leases_,
                                  .clock_jumps = ClockJumps::kFollowAll});
  }
  std::unique_ptr<ClassSpace> OpenSpace(uint32_t size_class, uint64_t extents_max) {
    return *ClassSpace::Create(
        size_class, kLayout.slot_bits, extents_max,
        [this](const std::string& name, uint64_t extents, MemoryComponent component) {
          page::ExtentRangeOptions options;
          options.pages.page_kind = PageKind::k4KiB;
          options.extent_count_max = static_cast<uint32_t>(extents);
          options.name = name;
          options.component = component;
          return page::ExtentRange::Reserve(std::move(options), account_);
        });
  }
  uint32_t NextTick() {
    clock_.AdvanceSeconds(1);
    ticks_->Refresh();
    return ticks_->Current();
  }
  uint32_t ExtentOf(uint32_t slot) const { return slot >> space_->geometry().index_bits; }
  // Takes `count` slots through caches of its own.
  std::vector<uint32_t> Take(TableSlots& slots, size_t count) {
    std::vector<uint32_t> taken;
    HomeSlotCache cache;
    while (taken.size() < count) {
      if (cache.empty()) {
        EXPECT_TRUE(slots.Refill(cache).ok());
      }
      if (cache.empty()) break;
      taken.push_back(cache.Take());
    }
    slots.GiveBackUnissued(cache);
    return taken;
  }
  static void Give(TableSlots& slots, const std::vector<uint32_t>& taken, uint32_t tick) {
    for (const uint32_t slot : taken) {
      const FreedSlot freed{slot, tick};
      slots.Give(std::span(&freed, 1));
    }
  }
  static size_t GiveBackEmptySlabs(TableSlots& slots) {
    const size_t retracted = slots.RetractEmptySlabs();
    slots.ReturnRetracted([](uint64_t, uint64_t) { return false; });
    return retracted;
  }

  base::ManualClock clock_{1'800'000'000};
  base::MemoryAccount account_;
  id::VolatileLeaseStorage leases_;
  std::unique_ptr<id::TickSource> ticks_;
  std::unique_ptr<ClassSpace> space_;
};

}  // namespace flagstone::slab

#endif  // FLAGSTONE_TESTS_UNIT_SLAB_SLAB_FIXTURE_H_
