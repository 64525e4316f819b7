// Another process's extents, read-only: the attaching side of a named range.
//
// Place       Beside ExtentRange, whose file it opens. Addresses differ from the owner's: nothing
//             inside an extent depends on them.
// Life        Attach() reserves addresses as large as the owner's. Map() shows extents that the
//             owner has mapped. Drop() lays zeros over them; the owner must have it done in every
//             attached process before it returns an extent, because a read there would bring pages
//             back.
// Threads     Attach(), then any; calls on one view are ordered by the caller.
// Errors      FAILED_PRECONDITION (no such file; an extent the owner has not mapped),
//             RESOURCE_EXHAUSTED (addresses), IO_ERROR.
// See         tests/unit/page/extent_view_test.cc
#ifndef FLAGSTONE_LIB_PAGE_EXTENT_VIEW_H_
#define FLAGSTONE_LIB_PAGE_EXTENT_VIEW_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "flagstone/status.h"
#include "lib/page/backing_file.h"
#include "lib/page/page_size.h"
#include "lib/page/system_memory.h"

namespace flagstone::page {

class ExtentView {
 public:
  // `range_name` is the owner's ExtentRangeOptions::name.
  static Result<std::unique_ptr<ExtentView>> Attach(const std::string& backing_directory,
                                                    const std::string& range_name,
                                                    SystemMemory& system = SystemMemory::Real());
  ~ExtentView();
  ExtentView(const ExtentView&) = delete;
  ExtentView& operator=(const ExtentView&) = delete;

  // Shows [first, first + count), whole 1 GiB pages on such a mount. On tmpfs an extent without
  // memory is noticed and refused; on hugetlbfs, where the kernel does not tell, it is brought in
  // as zeros.
  Status Map(uint32_t first_extent, uint32_t extent_count);
  // Reads give zeros from here on.
  Status Drop(uint32_t first_extent, uint32_t extent_count);

  const std::byte* base() const { return base_; }
  const std::byte* extent_address(uint32_t extent) const { return base_ + extent * kExtentBytes; }
  uint32_t extent_count_max() const { return static_cast<uint32_t>(file_->bytes() / kExtentBytes); }

 private:
  ExtentView(std::unique_ptr<BackingFile> file, SystemMemory& system)
      : file_(std::move(file)), system_(system) {}
  Status CheckSpan(const char* verb, uint32_t first_extent, uint32_t extent_count) const;
  int LayZeros(uint32_t first_extent, uint32_t extent_count);

  const std::unique_ptr<BackingFile> file_;
  SystemMemory& system_;
  void* reservation_ = nullptr;
  size_t reservation_bytes_ = 0;
  std::byte* base_ = nullptr;
};

}  // namespace flagstone::page

#endif  // FLAGSTONE_LIB_PAGE_EXTENT_VIEW_H_
