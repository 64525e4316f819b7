#include "lib/page/extent_view.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "lib/page/extent_range.h"
#include "lib/page/page_shortage.h"

namespace flagstone::page {
namespace {

#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22
#endif

Status Failed(const BackingFile& file, const char* call, int error) {
  return Status::Error(StatusCode::kIoError,
                       "backing file " + file.path() + ": " + call + ": " + std::strerror(error));
}

bool HasMemory(const BackingFile& file, uint64_t begin, uint64_t end) {
  const off_t data = lseek(file.fd(), static_cast<off_t>(begin), SEEK_DATA);
  if (data != static_cast<off_t>(begin)) return false;
  return lseek(file.fd(), static_cast<off_t>(begin), SEEK_HOLE) >= static_cast<off_t>(end);
}

}  // namespace

Result<std::unique_ptr<ExtentView>> ExtentView::Attach(const std::string& backing_directory,
                                                       const std::string& range_name,
                                                       SystemMemory& system) {
  Result<std::unique_ptr<BackingFile>> file = BackingFile::OpenNamed(
      system, backing_directory, ExtentRangeFileName(range_name), 0, BackingFileMode::kReadOnly);
  if (!file.ok()) return file.status();
  const uint64_t bytes = (*file)->bytes();
  const uint64_t alignment = std::max((*file)->page_bytes(), kExtentBytes);
  if (bytes == 0 || bytes % kExtentBytes != 0) {
    return Status::Error(StatusCode::kFailedPrecondition,
                         "backing file " + (*file)->path() + " has " + std::to_string(bytes) +
                             " bytes, expected a multiple of " + std::to_string(kExtentBytes) +
                             "; it is not a range of extents");
  }
  std::unique_ptr<ExtentView> view(new ExtentView(std::move(*file), system));
  view->reservation_bytes_ = bytes + alignment;
  void* found = nullptr;
  if (const int error = system.Map({.bytes = view->reservation_bytes_,
                                    .protection = PROT_NONE,
                                    .flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE},
                                   &found);
      error != 0) {
    const Shortage shortage =
        ExplainOrdinary(system, "mmap (addresses only)", error, view->reservation_bytes_);
    return Status::Error(shortage.code, range_name + ": " + shortage.reason);
  }
  view->reservation_ = found;
  const auto begin = reinterpret_cast<uintptr_t>(found);
  view->base_ = reinterpret_cast<std::byte*>((begin + alignment - 1) / alignment * alignment);
  return view;
}

ExtentView::~ExtentView() {
  if (reservation_ != nullptr) system_.Unmap(reservation_, reservation_bytes_);
}

Status ExtentView::Map(uint32_t first_extent, uint32_t extent_count) {
  FLAGSTONE_RETURN_IF_ERROR(CheckSpan("map", first_extent, extent_count));
  const uint64_t begin = first_extent * kExtentBytes;
  const uint64_t bytes = extent_count * kExtentBytes;
  const bool on_hugetlbfs = file_->file_system() == BackingFileSystem::kHugetlbfs;
  if (!on_hugetlbfs && !HasMemory(*file_, begin, begin + bytes)) {
    return Status::Error(StatusCode::kFailedPrecondition,
                         "backing file " + file_->path() + ": extents from " +
                             std::to_string(first_extent) + ", " + std::to_string(extent_count) +
                             " of them, have no memory; map what the owner has mapped");
  }
  std::byte* const address = base_ + begin;
  void* mapped = nullptr;
  int error = system_.Map({.address = address,
                           .bytes = bytes,
                           .protection = PROT_READ,
                           .flags = MAP_SHARED | MAP_FIXED | MAP_NORESERVE,
                           .fd = file_->fd(),
                           .offset = static_cast<off_t>(begin)},
                          &mapped);
  if (error != 0) return Failed(*file_, "mmap", error);
  // An empty pool is an errno here, where a read would end in SIGBUS.
  error = on_hugetlbfs ? system_.Advise(address, bytes, MADV_POPULATE_READ) : 0;
  if (error == 0) return Status::Ok();
  LayZeros(first_extent, extent_count);
  return Failed(*file_, "madvise(MADV_POPULATE_READ)", error);
}

Status ExtentView::Drop(uint32_t first_extent, uint32_t extent_count) {
  FLAGSTONE_RETURN_IF_ERROR(CheckSpan("drop", first_extent, extent_count));
  const int error = LayZeros(first_extent, extent_count);
  return error == 0 ? Status::Ok() : Failed(*file_, "mmap", error);
}

int ExtentView::LayZeros(uint32_t first_extent, uint32_t extent_count) {
  void* mapped = nullptr;
  return system_.Map({.address = base_ + first_extent * kExtentBytes,
                      .bytes = extent_count * kExtentBytes,
                      .protection = PROT_READ,
                      .flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED},
                     &mapped);
}

Status ExtentView::CheckSpan(const char* verb, uint32_t first_extent, uint32_t extent_count) const {
  const uint32_t step = file_->page_bytes() == kGibBytes ? kExtentsPerGib : 1;
  if (extent_count != 0 && first_extent < extent_count_max() &&
      extent_count <= extent_count_max() - first_extent && first_extent % step == 0 &&
      extent_count % step == 0) {
    return Status::Ok();
  }
  return Status::Error(StatusCode::kInvalidArgument,
                       "backing file " + file_->path() + ": " + verb + " extents from " +
                           std::to_string(first_extent) + ", " + std::to_string(extent_count) +
                           " of them, allowed: within " + std::to_string(extent_count_max()) +
                           ", in steps of " + std::to_string(step));
}

}  // namespace flagstone::page
