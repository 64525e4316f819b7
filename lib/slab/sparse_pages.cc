#include "lib/slab/sparse_pages.h"

#include <algorithm>

#include "lib/base/planted_bug.h"

namespace flagstone::slab {
namespace {

constexpr uint32_t kPageBytes = page::kSmallPageBytes;

page::PageSpan PagesOfBytes(uint32_t begin, uint32_t end) {
  const uint32_t first = begin / kPageBytes;
  return {first, (end - 1) / kPageBytes + 1 - first};
}

}  // namespace

page::PageSpan PagesOfSlot(const Slab& slab, uint32_t stride, uint32_t index) {
  return PagesOfBytes(index * stride, (index + slab.run_slots) * stride);
}

IndexRange SlotsOnPages(const Slab& slab, uint32_t stride, page::PageSpan pages) {
  // Runs begin at multiples of their length.
  const uint32_t unit_bytes = slab.run_slots * stride;
  const uint32_t first = pages.first * kPageBytes / unit_bytes * slab.run_slots;
  const uint32_t last = (pages.end() * kPageBytes - 1) / unit_bytes * slab.run_slots;
  return {std::max(first, slab.first_index), std::min(last + slab.run_slots, slab.end_index)};
}

bool AnyReturned(const Slab& slab, page::PageSpan pages) {
  if (slab.returned == nullptr) return false;
  uint32_t page = pages.first;
  while (page < pages.end() && !slab.returned->pages[page]) ++page;
  return page < pages.end();
}

PageSet EmptyPages(const Slab& slab, uint32_t stride, const std::vector<FreeSlot>& free) {
  PageSet empty;
  const uint32_t begin = (slab.first_index * stride + kPageBytes - 1) / kPageBytes;
  const uint32_t end = slab.next_unused * stride / kPageBytes;
  for (uint32_t page = begin; page < end; ++page) empty.set(page);
  std::vector<bool> is_free(slab.next_unused);
  for (const FreeSlot& slot : free) is_free[slot.index] = true;
  for (uint32_t index = slab.first_index; index < slab.next_unused; index += slab.run_slots) {
    const page::PageSpan pages = PagesOfSlot(slab, stride, index);
    if (is_free[index] || AnyReturned(slab, pages)) continue;
    if (base::Planted(base::PlantedBug::kPageOfARecordReturned)) continue;
    for (uint32_t page = pages.first; page < pages.end(); ++page) empty.reset(page);
  }
  return empty;
}

page::PageSpan NextStretch(const PageSet& pages, uint32_t from) {
  while (from < pages.size() && !pages[from]) ++from;
  uint32_t end = from;
  while (end < pages.size() && pages[end]) ++end;
  return {from, end - from};
}

}  // namespace flagstone::slab
