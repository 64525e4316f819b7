// Which pages of a slab hold no record, and which slots lie on which pages.
//
//     pages   |    0    |    1    |    2    |    3    |       4 KiB each, the extent's
//     slots   | f | f | f | f | f | f | R | f | f | f |       R: a record, f: free
//     empty   |   yes   |   no (slot 6 reaches into it)...
//
// Place       Under TableSlots::ReturnSparsePages() and the way back, under its mutex. Arithmetic.
// See         docs/format/slab.md, tests/unit/slab/sparse_pages_test.cc
#ifndef FLAGSTONE_LIB_SLAB_SPARSE_PAGES_H_
#define FLAGSTONE_LIB_SLAB_SPARSE_PAGES_H_

#include <bitset>
#include <cstdint>
#include <vector>

#include "lib/page/page_size.h"
#include "lib/slab/slab.h"

namespace flagstone::slab {

using PageSet = std::bitset<page::kPagesPerExtent>;

// An extent is split when at least half of its pages can go. A huge page on which more lies serves
// its records by one TLB entry where they would need up to 256, and slots that come free one by one
// in a table of full load come back into use soon; each page then costs a fault and its zeroing.
inline constexpr uint32_t kSparsePagesMin = page::kPagesPerExtent / 2;

struct FreeSlot {
  uint32_t index;
  uint32_t last_tick;
};

// The pages that the slot, or run, at `index` has a byte on.
page::PageSpan PagesOfSlot(const Slab& slab, uint32_t stride, uint32_t index);
// The slots, or runs, with a byte on the pages: [begin, end) in steps of run_slots.
IndexRange SlotsOnPages(const Slab& slab, uint32_t stride, page::PageSpan pages);
// True when one of the pages was returned.
bool AnyReturned(const Slab& slab, page::PageSpan pages);
// The pages, returned ones included, all of whose bytes belong to slots that are free (all of them
// stand in `free`) or returned. Never-used slots keep theirs: they are taken next.
PageSet EmptyPages(const Slab& slab, uint32_t stride, const std::vector<FreeSlot>& free);
// The longest stretch of `pages` from its first member at or after `from` on; count 0: none.
page::PageSpan NextStretch(const PageSet& pages, uint32_t from);

}  // namespace flagstone::slab

#endif  // FLAGSTONE_LIB_SLAB_SPARSE_PAGES_H_
