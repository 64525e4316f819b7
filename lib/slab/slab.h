// A slab: a stretch of equal slots inside one extent that belongs to one owner, and its free slots.
//
// Free home slots are linked through themselves, both ways, so a slab of them costs a few words
// however many slots it has, and an ID given from outside takes its slot out of the middle. A free
// slot has ID 0; the begin field of its version word holds the tick of its last ID, the older field
// of its link word the next free index + 1 (0: none), the newest field the previous one + 1. The
// first one's newest field is any number but 0, so that 0 tells a slot that is not in the list.
//
// In a slab of runs (records longer than a slot) all of this holds for runs: an index is that of a
// run's first slot, and the counts are of runs.
//
// Place       The unit that tables own (home slots) and version pools grow by (version slots). The
//             functions are templates over the atomics policy: tests/model runs them too.
// Invariants  1. Every slot is exactly one of: never used (at or above next_unused), free (linked
//                here), returned (lies on a page that was given back), or taken.
//             2. free_count is the length of the list from free_head to free_tail.
//             3. All slots on a returned page are returned ones: it reads as zeros.
// Threads     Under the mutex of the owner (TableSlots, VersionPool).
#ifndef FLAGSTONE_LIB_SLAB_SLAB_H_
#define FLAGSTONE_LIB_SLAB_SLAB_H_

#include <algorithm>
#include <bitset>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "flagstone/internal/slot.h"
#include "flagstone/internal/table_view.h"
#include "lib/page/page_size.h"

namespace flagstone::slab {

// The 4 KiB pages of an extent that were given back while records stay on others. Their slots have
// forgotten their last ticks and their places in the list of free slots.
struct ReturnedPages {
  std::bitset<page::kPagesPerExtent> pages;
  uint32_t slot_count = 0;  // runs with a byte on such a page
  uint32_t tick_floor = 0;  // highest tick of their IDs: they issue later ones only
};

struct Slab {
  uint32_t extent = 0;       // number of the extent in the class's range
  uint32_t run_slots = 1;    // adjacent slots that are used as one
  uint32_t first_index = 0;  // slots [first_index, end_index) of that extent: whole runs
  uint32_t end_index = 0;
  // Slots [next_unused, end_index) were never used since the slab was taken.
  uint32_t next_unused = 0;
  uint32_t free_head = 0;  // index + 1; 0: none
  uint32_t free_tail = 0;  // index + 1
  // What the tail's newest field holds: the tail gets a follower without being read, which would
  // wait for memory that a store does not wait for.
  uint32_t free_before_tail = 0;
  uint32_t free_count = 0;
  uint32_t tick_floor = 0;      // IDs of earlier lives of this memory have ticks up to this one
  bool queued = false;          // stands in its owner's list of slabs with free slots
  Slab* next_queued = nullptr;  // in that list, where it is linked through the slabs
  // Of version slots only: the indexes of the free ones, the last freed on top.
  std::unique_ptr<uint16_t[]> free_stack;
  // Of home slots only; nullptr: all pages are there.
  std::unique_ptr<ReturnedPages> returned;

  bool has_unused() const { return next_unused != end_index; }
  uint32_t unused_count() const { return (end_index - next_unused) / run_slots; }
  uint32_t returned_count() const { return returned == nullptr ? 0 : returned->slot_count; }
  uint32_t used_count() const {
    return (next_unused - first_index) / run_slots - free_count - returned_count();
  }
  bool empty() const { return used_count() == 0; }
  // True when `index` is the first slot of one of its runs.
  bool Has(uint32_t index) const {
    return index >= first_index && index < end_index && index % run_slots == 0;
  }
};

// Slots [begin, end) of an extent.
struct IndexRange {
  uint32_t begin;
  uint32_t end;
};

// An empty slab of the runs that lie in `slots` and begin at a multiple of their length, which is
// what an index says of itself: any slab of the extent, and any earlier one, agrees about it.
inline void LayOut(Slab& slab, uint32_t run_slots, IndexRange slots) {
  slab.run_slots = run_slots;
  slab.first_index = (slots.begin + run_slots - 1) / run_slots * run_slots;
  slab.end_index = std::max(slab.first_index, slots.end / run_slots * run_slots);
  slab.next_unused = slab.first_index;
}

// First in, first out, linked through the slabs: to queue one never needs memory.
class SlabQueue {
 public:
  bool empty() const { return head_ == nullptr; }
  size_t size() const { return size_; }
  Slab& front() const { return *head_; }
  // The slab is not in a queue.
  void PushBack(Slab& slab) {
    slab.queued = true;
    slab.next_queued = nullptr;
    (tail_ != nullptr ? tail_->next_queued : head_) = &slab;
    tail_ = &slab;
    ++size_;
  }
  Slab& PopFront() {
    Slab& slab = *head_;
    head_ = slab.next_queued;
    if (head_ == nullptr) tail_ = nullptr;
    slab.queued = false;
    --size_;
    return slab;
  }
  // Linear.
  void Remove(Slab& slab) {
    RemoveIf([&slab](const Slab& other) { return &other == &slab; });
  }
  template <typename Predicate>
  void RemoveIf(Predicate&& leaves) {
    for (size_t rest = size_; rest > 0; --rest) {
      Slab& front = PopFront();
      if (!leaves(front)) PushBack(front);
    }
  }

 private:
  Slab* head_ = nullptr;
  Slab* tail_ = nullptr;
  size_t size_ = 0;
};

// The tick of the last ID that a free slot had.
template <typename A>
uint32_t FreeSlotTick(const internal::BasicSlotHeader<A>& slot) {
  return static_cast<uint32_t>(internal::BeginOf(slot.version.load(std::memory_order_relaxed)));
}

// Marks `slot` free, and not in the list. `tick` is of its last ID. The caller knows that no reader
// can reach it.
template <typename A>
void WriteFreeSlot(internal::BasicSlotHeader<A>& slot, uint32_t tick) {
  slot.id.store(0, std::memory_order_relaxed);
  slot.version.store(internal::VersionWord(tick, 0), std::memory_order_relaxed);
  slot.link.store(0, std::memory_order_relaxed);
}
template <typename A>
uint32_t NextFree(const internal::BasicSlotHeader<A>& slot) {
  return internal::OlderOf(slot.link.load(std::memory_order_relaxed));
}
// Not of the first one of the list.
template <typename A>
uint32_t PreviousFree(const internal::BasicSlotHeader<A>& slot) {
  return internal::NewestOf(slot.link.load(std::memory_order_relaxed));
}
template <typename A>
void LinkFree(internal::BasicSlotHeader<A>& slot, uint32_t previous, uint32_t next) {
  slot.link.store(internal::LinkWord(previous, next), std::memory_order_relaxed);
}

// True when a slot of this slab is in the list of free ones. Others may be somebody's, who changes
// them meanwhile: a record's link may look alike, its ID is not 0; when it is reclaimed the ID is
// cleared first, and the link, kTidying until then, is 0 after; and it joins the list only under
// the mutex that the caller holds.
template <typename A>
bool IsInFreeList(const internal::BasicSlotHeader<A>& slot) {
  const auto looks_linked = [&slot] {
    const uint64_t link = slot.link.load(std::memory_order_acquire);
    return internal::NewestOf(link) != 0 &&
           link == internal::LinkWord(internal::NewestOf(link), internal::OlderOf(link));
  };
  return looks_linked() && slot.id.load(std::memory_order_acquire) == 0 && looks_linked();
}

// `at(index)` gives the slot of an index of this slab.
template <typename SlotAt>
void PushFreeAtTail(Slab& slab, uint32_t index, uint32_t tick, SlotAt&& at) {
  const uint32_t previous = slab.free_tail != 0 ? slab.free_tail : index + 1;
  WriteFreeSlot(*at(index), tick);
  LinkFree(*at(index), previous, 0);
  if (slab.free_tail != 0) {
    LinkFree(*at(slab.free_tail - 1), slab.free_before_tail, index + 1);
  } else {
    slab.free_head = index + 1;
  }
  slab.free_tail = index + 1;
  slab.free_before_tail = previous;
  ++slab.free_count;
}

// For slots that were free long before those in the list.
template <typename SlotAt>
void PushFreeAtHead(Slab& slab, uint32_t index, uint32_t tick, SlotAt&& at) {
  if (slab.free_head == 0) return PushFreeAtTail(slab, index, tick, at);
  WriteFreeSlot(*at(index), tick);
  LinkFree(*at(index), index + 1, slab.free_head);
  auto& second = *at(slab.free_head - 1);
  LinkFree(second, index + 1, NextFree(second));
  if (slab.free_tail == slab.free_head) slab.free_before_tail = index + 1;
  slab.free_head = index + 1;
  ++slab.free_count;
}

// A version slab's free slots are a stack beside them: nothing of a free slot is touched, which the
// processor that read it last has in its cache and the one that writes it next has not.
inline void PushFreeVersion(Slab& slab, uint32_t index) {
  slab.free_stack[slab.free_count++] = static_cast<uint16_t>(index);
}
// The slab has a free slot.
inline uint32_t PopFreeVersion(Slab& slab) { return slab.free_stack[--slab.free_count]; }

// The slab has a free slot.
template <typename SlotAt>
uint32_t PopFree(Slab& slab, SlotAt&& at) {
  const uint32_t index = slab.free_head - 1;
  slab.free_head = NextFree(*at(index));
  if (slab.free_head == 0) slab.free_tail = 0;
  --slab.free_count;
  at(index)->link.store(0, std::memory_order_relaxed);
  return index;
}

// Takes `index` out of the middle of the list, which it is in.
template <typename SlotAt>
void RemoveFree(Slab& slab, uint32_t index, SlotAt&& at) {
  if (slab.free_head == index + 1) {
    PopFree(slab, at);
    return;
  }
  const uint32_t previous = PreviousFree(*at(index));
  const uint32_t next = NextFree(*at(index));
  // Of the first one it is any number but 0.
  const uint32_t before_previous = PreviousFree(*at(previous - 1));
  LinkFree(*at(previous - 1), before_previous, next);
  if (next != 0) {
    LinkFree(*at(next - 1), previous, NextFree(*at(next - 1)));
    if (slab.free_tail == next) slab.free_before_tail = previous;
  } else {
    slab.free_tail = previous;
    slab.free_before_tail = before_previous;
  }
  --slab.free_count;
  at(index)->link.store(0, std::memory_order_relaxed);
}

}  // namespace flagstone::slab

#endif  // FLAGSTONE_LIB_SLAB_SLAB_H_
