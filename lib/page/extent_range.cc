#include "lib/page/extent_range.h"

#include <sys/mman.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "lib/base/check.h"
#include "lib/page/extent_memory.h"
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

}  // namespace

// ---- Reservation

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
  // A file that this range made and that never held an extent stands in the way of the next try.
  const bool is_unused = std::none_of(extents_.begin(), extents_.end(), [](const Extent& extent) {
    return extent.state != ExtentState::kReserved;
  });
  if (named_file_ != nullptr && is_unused &&
      options_.backing_file_mode == BackingFileMode::kCreateNew) {
    named_file_->Remove();
  }
  if (reservation_ != nullptr) system_.Unmap(reservation_, reservation_bytes_);
  if (charged_bytes_ != 0) account_.Release(options_.component, charged_bytes_);
}

// ---- State and reports

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
  // Only for an error: what is sound needs no memory.
  const auto what = [&] {
    return options_.name + ": " + verb + " extents from " + std::to_string(span.first) + ", " +
           std::to_string(span.count) + " of them";
  };
  if (span.count == 0 || span.first > extent_count_max_ ||
      span.count > extent_count_max_ - span.first) {
    const auto code =
        mapping && span.count != 0 ? StatusCode::kResourceExhausted : StatusCode::kInvalidArgument;
    return Status::Error(code, what() + ": the range has " + std::to_string(extent_count_max_) +
                                   "; raise the memory limit the store is opened with");
  }
  for (uint32_t extent = span.first; extent < span.end(); ++extent) {
    if ((extent_at(extent).state == ExtentState::kMapped) == mapping) {
      return Status::Error(StatusCode::kFailedPrecondition,
                           what() + ": extent " + std::to_string(extent) +
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
