// ExtentRange::Return(), ReturnPages() and RestorePages(): extents and parts of them go back.
#include <sys/mman.h>

#include <algorithm>
#include <atomic>
#include <cstring>

#include "lib/base/check.h"
#include "lib/base/planted_bug.h"
#include "lib/page/extent_memory.h"
#include "lib/page/extent_range.h"

namespace flagstone::page {

namespace {

// A transparent huge page of which parts were returned needs other advice than its neighbours, so
// its extent stands in a kernel mapping of its own and cuts its neighbours'. A process has 65530
// mappings, and a range takes at most 2048 of them for this; no more than 2 GiB of a range's
// records lie that thinly.
constexpr uint32_t kTransparentSplitMax = 1024;

// Zeros through atomic stores: a reader with a stale ID may look at a header word at the same
// moment.
void ZeroAtomically(std::byte* address, uint64_t bytes) {
  auto* words = reinterpret_cast<uint64_t*>(address);
  for (uint64_t i = 0; i < bytes / sizeof(uint64_t); ++i) {
    std::atomic_ref<uint64_t>(words[i]).store(0, std::memory_order_relaxed);
  }
}

}  // namespace

// ---- Whole extents

Status ExtentRange::Return(uint32_t first_extent, uint32_t extent_count) {
  const std::lock_guard<std::mutex> lock(mutex_);
  const Span span{first_extent, extent_count};
  FLAGSTONE_RETURN_IF_ERROR(CheckSpan("return", span));
  for (uint32_t first = span.first; first < span.end();) {
    const Extent head = extent_at(first);
    uint32_t end = head.on_gib_page ? FirstOfGibPage(first) + kExtentsPerGib : span.end();
    end = std::min(end, span.end());
    uint32_t next = first + 1;
    while (next < end && extent_at(next).kind == head.kind &&
           extent_at(next).on_gib_page == head.on_gib_page) {
      ++next;
    }
    const Span alike{first, next - first};
    if (head.on_gib_page) {
      ReturnToGibPage(alike);
    } else {
      FLAGSTONE_RETURN_IF_ERROR(ReturnSpan(alike));
    }
    first = next;
  }
  return Status::Ok();
}

Status ExtentRange::ReturnSpan(Span span) {
  const PageKind kind = extent_at(span.first).kind;
  RemoveFileMappings(span);  // may throw; nothing has happened then
  // Zeros first, then the file's pages: a read in between must not fault a page in again.
  if (const int error = Vacate(span, PROT_READ); error != 0) {
    return Status::Error(StatusCode::kIoError,
                         options_.name + ": extents " + std::to_string(span.first) + " to " +
                             std::to_string(span.end() - 1) + " not returned: mmap: " +
                             std::strerror(error) + "; raise /proc/sys/vm/max_map_count");
  }
  DropFromFile(kind, span);
  const uint64_t charged =
      base::Planted(base::PlantedBug::kReturnedMemoryCharged) ? 0 : ChargedBytesOf(span);
  account_.Release(options_.component, charged);
  charged_bytes_ -= charged;
  if (options_.pages.lock_memory && !IsExplicit(kind)) locked_bytes_ -= BytesOf(span.count);
  for (uint32_t extent = span.first; extent < span.end(); ++extent) {
    const uint32_t pages = extent_at(extent).pages_returned;
    pages_returned_ -= pages;
    if (pages > 0 && kind == PageKind::kTransparent2MiB) --transparent_split_count_;
    MutableExtent(extent) = Extent{.state = ExtentState::kReturned};
  }
  return Status::Ok();
}

uint64_t ExtentRange::ChargedBytesOf(Span span) const {
  uint64_t bytes = BytesOf(span.count);
  for (uint32_t extent = span.first; extent < span.end(); ++extent) {
    bytes -= extent_at(extent).pages_returned * kSmallPageBytes;
  }
  return bytes;
}

void ExtentRange::ReturnToGibPage(Span span) {
  SetReturned(span);
  const Span page{FirstOfGibPage(span.first), kExtentsPerGib};
  bool in_use = false;
  for (uint32_t extent = page.first; extent < page.end(); ++extent) {
    in_use = in_use || extent_at(extent).state == ExtentState::kMapped;
  }
  // A page that cannot be given back right now stays, charged and idle, until its next user is
  // gone.
  if (!in_use && ReturnSpan(page).ok()) return;
  ZeroAtomically(extent_address(span.first), BytesOf(span.count));
}

int ExtentRange::Vacate(Span span, int protection) {
  void* mapped = nullptr;
  const int error = system_.Map({.address = extent_address(span.first),
                                 .bytes = BytesOf(span.count),
                                 .protection = protection,
                                 .flags = kReservedFlags | MAP_FIXED},
                                &mapped);
  if (error == 0) AdviseInheritance(span);
  return error;
}

void ExtentRange::DropFromFile(PageKind kind, Span span) {
  int error = 0;
  if (!IsExplicit(kind) && named_file_ == nullptr) return;
  BackingFile* const file = FileOf(kind, &error);
  if (file != nullptr) file->PunchHole(BytesOf(span.first), BytesOf(span.count));
}

// After a growth that failed. An existing file's blocks may be those of the records it held before,
// which a later Map() of the same extents is to find again.
void ExtentRange::DropFreshPages(PageKind kind, Span span) {
  const bool may_hold_records =
      named_file_ != nullptr && options_.backing_file_mode == BackingFileMode::kOpenExisting;
  if (!may_hold_records) DropFromFile(kind, span);
}

// ---- Parts of extents

bool ExtentRange::CanReturnPages(uint32_t extent) const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return MaySplit(extent);
}

bool ExtentRange::MaySplit(uint32_t extent) const {
  const Extent& at = extent_at(extent);
  return at.state == ExtentState::kMapped && !IsExplicit(at.kind) && named_file_ == nullptr &&
         !options_.pages.lock_memory && !options_.pages.require_huge_pages;
}

bool ExtentRange::ReturnPages(uint32_t extent, PageSpan pages) {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (!MaySplit(extent)) return false;
  FLAGSTONE_CHECK(pages.count > 0 && pages.end() <= kPagesPerExtent &&
                  extent_at(extent).pages_returned + pages.count <= kPagesPerExtent);
  const bool first = extent_at(extent).pages_returned == 0;
  if (first && !BeginSplit(extent)) return false;
  const uint64_t bytes = pages.count * kSmallPageBytes;
  std::byte* const address = extent_address(extent) + pages.first * kSmallPageBytes;
  if (system_.Advise(address, bytes, MADV_DONTNEED) != 0) {
    if (first) EndSplit(extent);
    return false;
  }
  MutableExtent(extent).pages_returned += static_cast<uint16_t>(pages.count);
  pages_returned_ += pages.count;
  account_.Release(options_.component, bytes);
  charged_bytes_ -= bytes;
  return true;
}

// Else the kernel would join what is left to a huge page again, with memory for the empty parts.
bool ExtentRange::BeginSplit(uint32_t extent) {
  if (extent_at(extent).kind != PageKind::kTransparent2MiB) return true;
  if (transparent_split_count_ == kTransparentSplitMax) return false;
  if (system_.Advise(extent_address(extent), kExtentBytes, MADV_NOHUGEPAGE) != 0) return false;
  ++transparent_split_count_;
  return true;
}

// Where the advice is refused the extent stays on small pages, which costs speed only.
void ExtentRange::EndSplit(uint32_t extent) {
  if (extent_at(extent).kind != PageKind::kTransparent2MiB) return;
  system_.Advise(extent_address(extent), kExtentBytes, MADV_HUGEPAGE);
  --transparent_split_count_;
}

Status ExtentRange::RestorePages(uint32_t extent, PageSpan pages) {
  const std::lock_guard<std::mutex> lock(mutex_);
  return Restore(extent, pages.count, pages);
}

Status ExtentRange::RestoreAllPages(uint32_t extent) {
  const std::lock_guard<std::mutex> lock(mutex_);
  return Restore(extent, extent_at(extent).pages_returned, {0, kPagesPerExtent});
}

Status ExtentRange::Restore(uint32_t extent, uint32_t page_count, PageSpan pages_to_fill) {
  if (page_count == 0) return Status::Ok();
  FLAGSTONE_CHECK(page_count <= extent_at(extent).pages_returned);
  const bool charged = !base::Planted(base::PlantedBug::kRestoredPagesNotCharged);
  const uint64_t bytes = charged ? page_count * kSmallPageBytes : 0;
  Result<base::MemoryCharge> charge = base::MemoryCharge::Take(account_, options_.component, bytes);
  if (!charge.ok()) return charge.status();
  if (options_.pages.prefault) {
    const int error =
        system_.Populate(extent_address(extent) + pages_to_fill.first * kSmallPageBytes,
                         pages_to_fill.count * kSmallPageBytes);
    if (error != 0) {
      return ErrorFrom(ExplainOrdinary(system_, "madvise(MADV_POPULATE_WRITE)", error, bytes),
                       {extent, 1});
    }
  }
  charge->Commit();
  charged_bytes_ += bytes;
  Extent& restored = MutableExtent(extent);
  restored.pages_returned -= static_cast<uint16_t>(page_count);
  pages_returned_ -= page_count;
  if (restored.pages_returned == 0) EndSplit(extent);
  return Status::Ok();
}

uint64_t ExtentRange::bytes_returned_in_parts() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return pages_returned_ * kSmallPageBytes;
}

}  // namespace flagstone::page
