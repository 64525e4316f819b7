// ExtentRange::Map(): growth down the ladder of pages.
#include <sys/mman.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "lib/base/planted_bug.h"
#include "lib/page/extent_memory.h"
#include "lib/page/extent_range.h"

namespace flagstone::page {

Result<uint32_t> ExtentRange::Map(uint32_t first_extent, uint32_t extent_count,
                                  base::MemoryPool pool) {
  const std::lock_guard<std::mutex> lock(mutex_);
  const Span span{first_extent, extent_count};
  FLAGSTONE_RETURN_IF_ERROR(CheckSpan("map", span));
  Growth growth{.pool = pool, .mapped = {}, .steps = {}};
  if (const Status status = Grow(span, &growth); !status.ok()) {
    Undo(growth);
    return status;
  }
  for (const Step& step : growth.steps) {
    if (!base::Planted(base::PlantedBug::kFallbackNotReported)) Record(step);
  }
  uint32_t usable_end = first_extent;
  while (usable_end < extent_count_max_ && extent_at(usable_end).state == ExtentState::kMapped &&
         (usable_end < span.end() || usable_end < growth.mapped.back().span.end())) {
    ++usable_end;
  }
  return usable_end - first_extent;
}

Status ExtentRange::Grow(Span span, Growth* growth) {
  while (span.count != 0) {
    const Span alike = NextAlike(span);
    const Extent& head = extent_at(alike.first);
    if (head.on_gib_page) {
      growth->mapped.push_back({alike, head.state});
      SetMapped(PageKind::k1GiB, alike);
    } else {
      FLAGSTONE_RETURN_IF_ERROR(DescendLadder(alike, growth));
    }
    // A 1 GiB page may have been granted, which reaches beyond `alike`.
    const uint32_t reached = std::max(alike.end(), growth->mapped.back().span.end());
    span = reached >= span.end() ? Span{} : Span{reached, span.end() - reached};
  }
  return Status::Ok();
}

// The longest head of `span` whose extents are in the same state, cut at 1 GiB boundaries where
// pages of that size may come.
ExtentRange::Span ExtentRange::NextAlike(Span span) const {
  const Extent head = extent_at(span.first);
  uint32_t end = span.end();
  if (TopRung() == PageKind::k1GiB) {
    end = std::min(end, FirstOfGibPage(span.first) + kExtentsPerGib);
  }
  uint32_t extent = span.first + 1;
  while (extent < end && extent_at(extent).state == head.state &&
         extent_at(extent).on_gib_page == head.on_gib_page) {
    ++extent;
  }
  return {span.first, extent - span.first};
}

Status ExtentRange::DescendLadder(Span span, Growth* growth) {
  PageKind kind = TopRung();
  if (kind < options_.pages.page_kind) {  // the mount decides
    const std::string reason =
        std::string(PageKindName(options_.pages.page_kind)) + " pages: backing_directory " +
        options_.pages.backing_directory +
        " does not offer them; use a hugetlbfs mount of that page size, or a "
        "tmpfs mounted with huge=always";
    if (options_.pages.require_huge_pages) {
      return ErrorFrom({.code = StatusCode::kUnsupported, .reason = reason}, span);
    }
    growth->steps.push_back({options_.pages.page_kind, kind, BytesOf(span.count), reason});
  }
  for (;;) {
    Grant grant = TryRung(kind, span, growth);
    if (grant.count >= span.count) return Status::Ok();
    span = {span.first + grant.count, span.count - grant.count};
    const std::optional<PageKind> below = RungBelow(kind);
    const bool required = options_.pages.require_huge_pages &&
                          !base::Planted(base::PlantedBug::kRequiredPagesDoneWithout);
    if (!below || required || grant.shortage.scope == ShortageScope::kEveryKind) {
      return ErrorFrom(grant.shortage, span);
    }
    growth->steps.push_back({kind, *below, BytesOf(span.count), std::move(grant.shortage.reason)});
    kind = *below;
  }
}

PageKind ExtentRange::TopRung() const {
  const PageKind asked = options_.pages.page_kind;
  if (named_file_ == nullptr) return asked;
  if (named_file_->file_system() == BackingFileSystem::kHugetlbfs) {
    return named_file_->page_bytes() == kGibBytes ? PageKind::k1GiB : PageKind::k2MiB;
  }
  if (asked == PageKind::k4KiB) return asked;
  return named_file_->offers_transparent_pages() ? PageKind::kTransparent2MiB : PageKind::k4KiB;
}

std::optional<PageKind> ExtentRange::RungBelow(PageKind kind) const {
  const bool one_kind_only =
      named_file_ != nullptr && named_file_->file_system() == BackingFileSystem::kHugetlbfs;
  if (kind == PageKind::k4KiB || one_kind_only) return std::nullopt;
  return static_cast<PageKind>(static_cast<uint8_t>(kind) - 1);
}

ExtentRange::Grant ExtentRange::TryRung(PageKind kind, Span span, Growth* growth) {
  if (kind == PageKind::k1GiB) return TryGibPage(span, growth);
  Grant grant;
  // A pool with fewer pages than asked for still serves the head of the span: halving finds a
  // length that fits in a few calls, and what is left tries again until nothing fits.
  uint32_t count = span.count;
  while (count != 0 && grant.count < span.count) {
    const Span head{span.first + grant.count, std::min(count, span.count - grant.count)};
    std::optional<Shortage> shortage = MapCharged(kind, head, growth);
    if (!shortage) {
      grant.count += head.count;
      continue;
    }
    // The first refusal is the one about all that is left; later ones are about parts of it.
    if (count == span.count - grant.count || grant.shortage.reason.empty()) {
      grant.shortage = std::move(*shortage);
    }
    const bool in_parts = IsExplicit(kind) && !options_.pages.require_huge_pages &&
                          grant.shortage.scope == ShortageScope::kThisKind &&
                          grant.shortage.code == StatusCode::kResourceExhausted;
    count = in_parts ? head.count / 2 : 0;
  }
  return grant;
}

// One page for the whole GiB around span.first. Those of its extents that nobody asked for stay out
// of use until a later Map(), which then costs nothing.
ExtentRange::Grant ExtentRange::TryGibPage(Span span, Growth* growth) {
  const uint32_t first = FirstOfGibPage(span.first);
  const Span page{first, kExtentsPerGib};
  if (!GibPageIsPossible(first)) {
    return {0,
            {.reason = "1 GiB pages: part of this GiB lies on smaller pages already; it stays on "
                       "those until the store is opened again"}};
  }
  if (std::optional<Shortage> shortage = MapCharged(PageKind::k1GiB, page, growth)) {
    return {0, std::move(*shortage)};
  }
  if (span.first > first) SetReturned({first, span.first - first});
  return {page.end() - span.first, {}};
}

bool ExtentRange::GibPageIsPossible(uint32_t first_of_page) const {
  for (uint32_t i = 0; i < kExtentsPerGib; ++i) {
    if (extent_at(first_of_page + i).state == ExtentState::kMapped) return false;
  }
  return first_of_page + kExtentsPerGib <= extent_count_max_;
}

std::optional<Shortage> ExtentRange::MapCharged(PageKind kind, Span span, Growth* growth) {
  Result<base::MemoryCharge> charge =
      base::MemoryCharge::Take(account_, options_.component, BytesOf(span.count), growth->pool);
  if (!charge.ok()) {
    // A limit that has no room for a GiB may have room for the extents asked for.
    const auto scope =
        kind == PageKind::k1GiB ? ShortageScope::kThisKind : ShortageScope::kEveryKind;
    return Shortage{charge.code(), scope, charge.status().message()};
  }
  // A 1 GiB page may cover extents of both states; what was returned must stay readable.
  ExtentState prior = ExtentState::kReserved;
  for (uint32_t extent = span.first; extent < span.end(); ++extent) {
    if (extent_at(extent).state == ExtentState::kReturned) prior = ExtentState::kReturned;
  }
  const bool in_file = IsExplicit(kind) || named_file_ != nullptr;
  std::optional<Shortage> shortage =
      in_file ? MapFile(kind, span, prior) : MapAnonymous(kind, span, prior);
  if (shortage) return shortage;
  charge->Commit();
  charged_bytes_ += BytesOf(span.count);
  if (options_.pages.lock_memory && !IsExplicit(kind)) locked_bytes_ += BytesOf(span.count);
  growth->mapped.push_back({span, prior});
  SetMapped(kind, span);
  return std::nullopt;
}

std::optional<Shortage> ExtentRange::MapFile(PageKind kind, Span span, ExtentState prior) {
  const std::optional<int> node = options_.pages.numa_node;
  const std::string& directory = options_.pages.backing_directory;
  const auto explain = [&](const char* call, int error) {
    const bool named_is_full = named_file_ != nullptr && error == ENOSPC;
    if (IsExplicit(kind)) {
      Shortage shortage = ExplainExplicit(system_, kind, call, error, BytesOf(span.count), node);
      // A mount of its own size answers as an empty pool does.
      if (named_is_full) {
        shortage.reason += "; or enlarge the mount of backing_directory " + directory +
                           " (`mount -o remount,size=`)";
      }
      return shortage;
    }
    if (named_is_full) return ExplainFullMount(directory, call, error, BytesOf(span.count));
    if (node && (error == EPERM || error == EINVAL)) return ExplainNode(*node, error);
    return ExplainOrdinary(system_, call, error, BytesOf(span.count));
  };
  int error = 0;
  BackingFile* const file = FileOf(kind, &error);
  if (file == nullptr) return explain("memfd_create", error);
  error = file->Allocate(BytesOf(span.first), BytesOf(span.count), node);
  if (error != 0) {
    DropFreshPages(kind, span);
    return explain("fallocate", error);
  }
  error = LayFile(*file, span);
  std::optional<Shortage> shortage;
  if (error != 0) {
    shortage = explain("mmap", error);
  } else if (!IsExplicit(kind)) {
    shortage = FillAndLock(kind, span);
  }
  if (shortage) {
    Vacate(span, prior == ExtentState::kReturned ? PROT_READ : PROT_NONE);
    DropFreshPages(kind, span);
    return shortage;
  }
  if (IsExplicit(kind)) AddFileMapping(kind, span);
  return std::nullopt;
}

std::optional<Shortage> ExtentRange::MapAnonymous(PageKind kind, Span span, ExtentState prior) {
  if (kind == PageKind::kTransparent2MiB) {
    if (std::optional<Shortage> shortage = ExplainTransparentMode(system_)) return shortage;
  }
  std::byte* const address = extent_address(span.first);
  const uint64_t bytes = BytesOf(span.count);
  int error = 0;
  const char* call = "mprotect";
  if (prior == ExtentState::kReturned) {
    // A new mapping, because reads may have left page tables full of zero pages behind, over which
    // the kernel never puts a huge one.
    call = "mmap";
    void* mapped = nullptr;
    error = system_.Map({.address = address,
                         .bytes = bytes,
                         .protection = PROT_READ | PROT_WRITE,
                         .flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED},
                        &mapped);
    if (error == 0) AdviseInheritance(span);
  } else {
    // Never a new mapping over the reservation: mprotect leaves the addresses ours when it fails.
    error = system_.Protect(address, bytes, PROT_READ | PROT_WRITE);
  }
  std::optional<Shortage> shortage;
  if (error != 0) {
    shortage = ExplainOrdinary(system_, call, error, bytes);
  } else {
    shortage = AdviseKind(kind, span);
    if (!shortage) shortage = FillAndLock(kind, span);
  }
  if (shortage) Vacate(span, prior == ExtentState::kReturned ? PROT_READ : PROT_NONE);
  return shortage;
}

std::optional<Shortage> ExtentRange::AdviseKind(PageKind kind, Span span) {
  std::byte* const address = extent_address(span.first);
  const uint64_t bytes = BytesOf(span.count);
  if (kind == PageKind::kTransparent2MiB) {
    if (const int error = system_.Advise(address, bytes, MADV_HUGEPAGE); error != 0) {
      return Shortage{StatusCode::kUnsupported, ShortageScope::kThisKind,
                      std::string("transparent 2 MiB pages: madvise(MADV_HUGEPAGE): ") +
                          std::strerror(error) + "; use a kernel with CONFIG_TRANSPARENT_HUGEPAGE"};
    }
  } else {
    // So that 4 KiB means 4 KiB where the machine's mode is `always`. A kernel without transparent
    // pages refuses the advice and does as it says.
    system_.Advise(address, bytes, MADV_NOHUGEPAGE);
  }
  if (const std::optional<int> node = options_.pages.numa_node) {
    if (const int error = system_.BindToNode(address, bytes, *node); error != 0) {
      return ExplainNode(*node, error);
    }
  }
  return std::nullopt;
}

std::optional<Shortage> ExtentRange::FillAndLock(PageKind kind, Span span) {
  std::byte* const address = extent_address(span.first);
  const uint64_t bytes = BytesOf(span.count);
  const bool must_be_huge = options_.pages.require_huge_pages && kind == PageKind::kTransparent2MiB;
  const uint64_t huge_before = must_be_huge ? TransparentBytesBySmaps() : 0;
  if (named_file_ == nullptr && (options_.pages.prefault || must_be_huge)) {
    if (const int error = system_.Populate(address, bytes); error != 0) {
      return ExplainOrdinary(system_, "madvise(MADV_POPULATE_WRITE)", error, bytes);
    }
  }
  if (must_be_huge) {
    const uint64_t huge_after = TransparentBytesBySmaps();
    const uint64_t granted = huge_after - std::min(huge_before, huge_after);
    if (granted < bytes) {
      return Shortage{StatusCode::kResourceExhausted, ShortageScope::kThisKind,
                      "transparent 2 MiB pages: " + std::to_string(granted) + " of " +
                          std::to_string(bytes) +
                          " bytes came as huge pages; memory is fragmented (write 1 to "
                          "/proc/sys/vm/compact_memory), or "
                          "/sys/kernel/mm/transparent_hugepage/defrag says never (write madvise)"};
    }
  }
  if (options_.pages.lock_memory) {
    const int error = system_.Lock(address, bytes);
    if (error != 0 && !base::Planted(base::PlantedBug::kLockFailureIgnored)) {
      return ExplainLock(system_, error, bytes);
    }
  }
  return std::nullopt;
}

BackingFile* ExtentRange::FileOf(PageKind kind, int* error) {
  if (named_file_ != nullptr) return named_file_.get();
  std::unique_ptr<BackingFile>& file =
      kind == PageKind::k1GiB ? explicit_1gib_file_ : explicit_2mib_file_;
  if (file == nullptr) {
    const uint64_t page_bytes = PageBytes(kind);
    const uint64_t bytes = (BytesOf(extent_count_max_) + page_bytes - 1) / page_bytes * page_bytes;
    file = BackingFile::CreateNameless(system_, kind, "flagstone " + options_.name, bytes, error);
  }
  return file.get();
}

void ExtentRange::Undo(const Growth& growth) {
  for (const Mapped& mapped : growth.mapped) {
    const Extent head = extent_at(mapped.span.first);
    const bool revived = head.on_gib_page && mapped.span.count < kExtentsPerGib;
    if (revived) {
      SetReturned(mapped.span);
      continue;
    }
    const bool was_returned = mapped.prior == ExtentState::kReturned;
    const PageKind kind = head.kind;
    if (Vacate(mapped.span, was_returned ? PROT_READ : PROT_NONE) == 0) {
      DropFreshPages(kind, mapped.span);
    }
    RemoveFileMappings(mapped.span);
    for (uint32_t extent = mapped.span.first; extent < mapped.span.end(); ++extent) {
      MutableExtent(extent) = Extent{.state = mapped.prior};
    }
    account_.Release(options_.component, BytesOf(mapped.span.count));
    charged_bytes_ -= BytesOf(mapped.span.count);
    if (options_.pages.lock_memory && !IsExplicit(kind))
      locked_bytes_ -= BytesOf(mapped.span.count);
  }
}

}  // namespace flagstone::page
