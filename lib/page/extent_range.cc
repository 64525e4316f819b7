#include "lib/page/extent_range.h"

#include <sys/mman.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <utility>

#include "lib/base/check.h"
#include "lib/base/planted_bug.h"
#include "lib/page/smaps.h"

namespace flagstone::page {
namespace {

// Inaccessible addresses on both sides of the range: an overrun stops there, and the kernel never
// joins our writable mappings with a neighbour's, which keeps smaps countable.
constexpr uint64_t kGuardBytes = kExtentBytes;

constexpr size_t kNameBytesMax = 64;

// 8 TiB of records per range: four times what a class of the largest layout can address in
// practice, and far below the 47-bit address space shared by 32 ranges.
constexpr uint32_t kExtentCountMax = uint32_t{1} << 22;

// A transparent huge page of which parts were returned needs other advice than its neighbours, so
// its extent stands in a kernel mapping of its own and cuts its neighbours'. A process has 65530
// mappings, and a range takes at most 2048 of them for this; no more than 2 GiB of a range's
// records lie that thinly.
constexpr uint32_t kTransparentSplitMax = 1024;

constexpr int kReservedFlags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;

Status ValidateName(const std::string& name) {
  const bool allowed = !name.empty() && name.size() <= kNameBytesMax && name[0] != '.' &&
                       std::all_of(name.begin(), name.end(), [](char c) {
                         return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                                (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.' ||
                                c == ' ';
                       });
  if (allowed) return Status::Ok();
  return Status::Error(StatusCode::kInvalidArgument,
                       "extent range: name '" + name +
                           "', allowed: 1 to 64 letters, digits, '-', '_', '.', ' ', not beginning "
                           "with '.'");
}

// Zeros through atomic stores: a reader with a stale ID may look at a header word at the same
// moment.
void ZeroAtomically(std::byte* address, uint64_t bytes) {
  auto* words = reinterpret_cast<uint64_t*>(address);
  for (uint64_t i = 0; i < bytes / sizeof(uint64_t); ++i) {
    std::atomic_ref<uint64_t>(words[i]).store(0, std::memory_order_relaxed);
  }
}

uint64_t BytesOf(uint32_t extent_count) { return extent_count * kExtentBytes; }

uint32_t FirstOfGibPage(uint32_t extent) { return extent - extent % kExtentsPerGib; }

}  // namespace

// ---- Reservation
// -----------------------------------------------------------------------------------

std::string ExtentRangeFileName(const std::string& range_name) {
  std::string name = range_name;
  std::replace(name.begin(), name.end(), ' ', '-');
  return name + ".extents";
}

ExtentRange::ExtentRange(ExtentRangeOptions options, base::MemoryAccount& account,
                         SystemMemory& system)
    : options_(std::move(options)), account_(account), system_(system) {}

Result<std::unique_ptr<ExtentRange>> ExtentRange::Reserve(ExtentRangeOptions options,
                                                          base::MemoryAccount& account,
                                                          SystemMemory& system) {
  FLAGSTONE_RETURN_IF_ERROR(options.pages.Validate());
  FLAGSTONE_RETURN_IF_ERROR(ValidateName(options.name));
  if (options.extent_count_max == 0 || options.extent_count_max > kExtentCountMax) {
    return Status::Error(StatusCode::kInvalidArgument,
                         options.name + ": extent_count_max is " +
                             std::to_string(options.extent_count_max) + ", allowed: 1 to " +
                             std::to_string(kExtentCountMax));
  }
  std::unique_ptr<ExtentRange> range(new ExtentRange(std::move(options), account, system));
  FLAGSTONE_RETURN_IF_ERROR(range->ReserveAddresses());
  FLAGSTONE_RETURN_IF_ERROR(range->OpenNamedFile());
  return range;
}

Status ExtentRange::ReserveAddresses() {
  const bool on_gib_pages = options_.pages.page_kind == PageKind::k1GiB;
  extent_count_max_ = options_.extent_count_max;
  if (on_gib_pages) {
    extent_count_max_ = (extent_count_max_ + kExtentsPerGib - 1) / kExtentsPerGib * kExtentsPerGib;
  }
  const uint64_t alignment = on_gib_pages ? kGibBytes : kExtentBytes;
  const uint64_t wanted = BytesOf(extent_count_max_) + 2 * kGuardBytes;
  const uint64_t asked = wanted + alignment;
  void* found = nullptr;
  if (const int error =
          system_.Map({.bytes = asked, .protection = PROT_NONE, .flags = kReservedFlags}, &found);
      error != 0) {
    const Shortage shortage = ExplainOrdinary(system_, "mmap (addresses only)", error, asked);
    return Status::Error(shortage.code, options_.name + ": " + shortage.reason);
  }
  const auto begin = reinterpret_cast<uintptr_t>(found);
  const uintptr_t base = (begin + kGuardBytes + alignment - 1) / alignment * alignment;
  const uintptr_t kept = base - kGuardBytes;
  if (kept > begin) system_.Unmap(found, kept - begin);
  if (begin + asked > kept + wanted) {
    system_.Unmap(reinterpret_cast<void*>(kept + wanted), begin + asked - (kept + wanted));
  }
  reservation_ = reinterpret_cast<void*>(kept);
  reservation_bytes_ = wanted;
  base_ = reinterpret_cast<std::byte*>(base);
  AdviseInheritance({0, extent_count_max_});
  return Status::Ok();
}

Status ExtentRange::OpenNamedFile() {
  if (options_.pages.backing_directory.empty()) return Status::Ok();
  Result<std::unique_ptr<BackingFile>> file = BackingFile::OpenNamed(
      system_, options_.pages.backing_directory, ExtentRangeFileName(options_.name),
      BytesOf(extent_count_max_), options_.backing_file_mode);
  if (!file.ok()) return file.status();
  named_file_ = std::move(*file);
  return Status::Ok();
}

ExtentRange::~ExtentRange() {
  if (reservation_ != nullptr) system_.Unmap(reservation_, reservation_bytes_);
  if (charged_bytes_ != 0) account_.Release(options_.component, charged_bytes_);
}

// ---- Growth
// ----------------------------------------------------------------------------------------

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
  const auto explain = [&](const char* call, int error) {
    return IsExplicit(kind) ? ExplainExplicit(system_, kind, call, error, BytesOf(span.count), node)
                            : (node && (error == EPERM || error == EINVAL)
                                   ? ExplainNode(*node, error)
                                   : ExplainOrdinary(system_, call, error, BytesOf(span.count)));
  };
  int error = 0;
  BackingFile* const file = FileOf(kind, &error);
  if (file == nullptr) return explain("memfd_create", error);
  error = file->Allocate(BytesOf(span.first), BytesOf(span.count), node);
  if (error != 0) {
    DropFreshPages(kind, span);
    return explain("fallocate", error);
  }
  // The pages are there: MAP_NORESERVE only says that no second set is to be set aside for them,
  // and MAP_POPULATE spares the first reader a fault each. (It also makes them data for SEEK_DATA,
  // by which an attaching process knows them.)
  void* mapped = nullptr;
  error = system_.Map({.address = extent_address(span.first),
                       .bytes = BytesOf(span.count),
                       .protection = PROT_READ | PROT_WRITE,
                       .flags = MAP_SHARED | MAP_FIXED | MAP_NORESERVE | MAP_POPULATE,
                       .fd = file->fd(),
                       .offset = static_cast<off_t>(BytesOf(span.first))},
                      &mapped);
  std::optional<Shortage> shortage;
  if (error != 0) {
    shortage = explain("mmap", error);
  } else {
    AdviseInheritance(span);
    if (!IsExplicit(kind)) shortage = FillAndLock(kind, span);
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

// ---- Give-back
// -------------------------------------------------------------------------------------

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
  // Zeros first, then the file's pages: a read in between must not fault a page in again.
  if (const int error = Vacate(span, PROT_READ); error != 0) {
    return Status::Error(StatusCode::kIoError,
                         options_.name + ": extents " + std::to_string(span.first) + " to " +
                             std::to_string(span.end() - 1) + " not returned: mmap: " +
                             std::strerror(error) + "; raise /proc/sys/vm/max_map_count");
  }
  RemoveFileMappings(span);
  DropFromFile(kind, span);
  const uint64_t charged = ChargedBytesOf(span);
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
// ----------------------------------------------------------------------------------

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

// ---- Kernel mappings of explicit pages
// -------------------------------------------------------------

// The kernel never joins neighbouring mappings of huge page files, and a process has 65530 of them
// at most. A new one is joined with its left neighbour while that is not longer, like the digits of
// a binary counter: n extents mapped one by one stand in log2(n) mappings, each laid out log2(n)
// times.
void ExtentRange::AddFileMapping(PageKind kind, Span span) {
  file_mappings_[span.first] = span.count;
  for (;;) {
    const auto current = file_mappings_.find(span.first);
    if (current == file_mappings_.begin()) return;
    const auto left = std::prev(current);
    const Span left_span{left->first, left->second};
    if (left_span.end() != span.first || left_span.count > span.count ||
        extent_at(left_span.first).kind != kind || !JoinMappings(kind, left_span, span)) {
      return;
    }
    left->second += span.count;
    file_mappings_.erase(current);
    span = {left_span.first, left_span.count + span.count};
  }
}

bool ExtentRange::JoinMappings(PageKind kind, Span left, Span right) {
  int error = 0;
  BackingFile* const file = FileOf(kind, &error);
  const auto lay = [&](Span span) {
    void* mapped = nullptr;
    const int failed = system_.Map({.address = extent_address(span.first),
                                    .bytes = BytesOf(span.count),
                                    .protection = PROT_READ | PROT_WRITE,
                                    .flags = MAP_SHARED | MAP_FIXED | MAP_NORESERVE | MAP_POPULATE,
                                    .fd = file->fd(),
                                    .offset = static_cast<off_t>(BytesOf(span.first))},
                                   &mapped);
    if (failed == 0) AdviseInheritance(span);
    return failed;
  };
  // One call replaces both under the kernel's lock: a reader meets the old mapping or the new one.
  if (lay({left.first, left.count + right.count}) == 0) return true;
  // The records are in the file still; without their mapping the process cannot go on.
  FLAGSTONE_CHECK(lay(left) == 0 && lay(right) == 0);
  return false;
}

void ExtentRange::RemoveFileMappings(Span span) {
  auto next = file_mappings_.upper_bound(span.first);
  if (next != file_mappings_.begin()) --next;
  while (next != file_mappings_.end() && next->first < span.end()) {
    const Span found{next->first, next->second};
    if (found.end() <= span.first) {
      ++next;
      continue;
    }
    next = file_mappings_.erase(next);
    if (found.first < span.first) file_mappings_[found.first] = span.first - found.first;
    if (found.end() > span.end()) file_mappings_[span.end()] = found.end() - span.end();
  }
}

// ---- State and reports
// -----------------------------------------------------------------------------

ExtentState ExtentRange::state(uint32_t extent) const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return extent_at(extent).state;
}

PageKind ExtentRange::page_kind(uint32_t extent) const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return extent_at(extent).kind;
}

PageReport ExtentRange::Report() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  PageReport report;
  report.requested = options_.pages.page_kind;
  for (const Extent& extent : extents_) {
    if (extent.state == ExtentState::kMapped || extent.on_gib_page) {
      report.bytes_by_kind[static_cast<size_t>(extent.kind)] +=
          kExtentBytes - extent.pages_returned * kSmallPageBytes;
    } else if (extent.state == ExtentState::kReturned) {
      report.bytes_returned += kExtentBytes;
    }
  }
  report.bytes_returned_in_parts = pages_returned_ * kSmallPageBytes;
  report.bytes_returned += report.bytes_returned_in_parts;
  report.bytes_reserved = BytesOf(extent_count_max_) - charged_bytes_ - report.bytes_returned;
  report.bytes_locked = locked_bytes_;
  report.fallbacks = fallbacks_;
  return report;
}

Result<PageReport> ExtentRange::Verify() const {
  PageReport report = Report();
  const std::optional<std::string> smaps = system_.ReadText("/proc/self/smaps");
  if (!smaps) {
    return Status::Error(StatusCode::kIoError,
                         options_.name + ": /proc/self/smaps cannot be read; mount /proc");
  }
  const auto begin = reinterpret_cast<uintptr_t>(base_);
  const Residency found = ResidencyFromSmaps(*smaps, {begin, begin + BytesOf(extent_count_max_)});
  uint64_t resident = 0;
  for (uint64_t bytes : found.bytes_by_kind) resident += bytes;
  report.bytes_by_kind = found.bytes_by_kind;
  const uint64_t accounted = resident + report.bytes_returned_in_parts;
  report.bytes_untouched = found.bytes_writable - std::min(accounted, found.bytes_writable);
  report.bytes_locked = found.bytes_locked;
  report.kernel_mapping_count = found.mapping_count;
  report.verification = PageVerification::kBySmaps;
  return report;
}

uint64_t ExtentRange::TransparentBytesBySmaps() const {
  const std::optional<std::string> smaps = system_.ReadText("/proc/self/smaps");
  if (!smaps) return 0;
  const auto begin = reinterpret_cast<uintptr_t>(base_);
  return ResidencyFromSmaps(*smaps, {begin, begin + BytesOf(extent_count_max_)})
      .bytes_by_kind[static_cast<size_t>(PageKind::kTransparent2MiB)];
}

void ExtentRange::SetMapped(PageKind kind, Span span) {
  for (uint32_t extent = span.first; extent < span.end(); ++extent) {
    MutableExtent(extent) = {
        .state = ExtentState::kMapped, .kind = kind, .on_gib_page = kind == PageKind::k1GiB};
  }
}

void ExtentRange::SetReturned(Span span) {
  for (uint32_t extent = span.first; extent < span.end(); ++extent) {
    MutableExtent(extent).state = ExtentState::kReturned;
  }
}

void ExtentRange::Record(const Step& step) {
  auto found =
      std::find_if(fallbacks_.begin(), fallbacks_.end(), [&](const PageFallback& fallback) {
        return fallback.wanted == step.wanted && fallback.granted == step.next;
      });
  const bool is_new = found == fallbacks_.end();
  if (is_new) {
    fallbacks_.push_back(PageFallback{.range_name = options_.name,
                                      .wanted = step.wanted,
                                      .granted = step.next,
                                      .bytes = 0,
                                      .growth_count = 0,
                                      .reason = {}});
    found = std::prev(fallbacks_.end());
  }
  found->bytes += step.bytes;
  ++found->growth_count;
  found->reason = step.reason;
  if (is_new && options_.on_fallback) options_.on_fallback(*found);
}

Status ExtentRange::CheckSpan(const char* verb, Span span) const {
  const bool mapping = std::strcmp(verb, "map") == 0;
  const std::string what = options_.name + ": " + verb + " extents from " +
                           std::to_string(span.first) + ", " + std::to_string(span.count) +
                           " of them";
  if (span.count == 0 || span.first > extent_count_max_ ||
      span.count > extent_count_max_ - span.first) {
    const auto code =
        mapping && span.count != 0 ? StatusCode::kResourceExhausted : StatusCode::kInvalidArgument;
    return Status::Error(code, what + ": the range has " + std::to_string(extent_count_max_) +
                                   "; raise the memory limit the store is opened with");
  }
  for (uint32_t extent = span.first; extent < span.end(); ++extent) {
    if ((extent_at(extent).state == ExtentState::kMapped) == mapping) {
      return Status::Error(StatusCode::kFailedPrecondition,
                           what + ": extent " + std::to_string(extent) +
                               (mapping ? " is mapped already" : " is not mapped"));
    }
  }
  return Status::Ok();
}

const ExtentRange::Extent& ExtentRange::extent_at(uint32_t extent) const {
  static constexpr Extent kNeverMapped;
  return extent < extents_.size() ? extents_[extent] : kNeverMapped;
}

ExtentRange::Extent& ExtentRange::MutableExtent(uint32_t extent) {
  if (extent >= extents_.size()) extents_.resize(size_t{extent} + 1);
  return extents_[extent];
}

void ExtentRange::AdviseInheritance(Span span) {
  std::byte* const address = extent_address(span.first);
  // Advice that an old or confined kernel refuses costs what it was to save, nothing else; but a
  // child without MADV_DONTFORK would share explicit pages, so that one is checked.
  const int error = system_.Advise(address, BytesOf(span.count), MADV_DONTFORK);
  FLAGSTONE_CHECK(error == 0 || error == ENOMEM || error == EAGAIN);
  if (options_.pages.exclude_from_core_dumps) {
    system_.Advise(address, BytesOf(span.count), MADV_DONTDUMP);
  }
}

Status ExtentRange::ErrorFrom(const Shortage& shortage, Span span) const {
  return Status::Error(shortage.code, options_.name + ": extent " + std::to_string(span.first) +
                                          " cannot be mapped: " + shortage.reason);
}

}  // namespace flagstone::page
