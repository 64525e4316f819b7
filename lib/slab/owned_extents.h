// Which extents are wholly one table's: one byte for each number that class, node and extent bits
// of an ID can form together, so that a reader checks no bound. Zero pages that cost nothing until
// written.
#ifndef FLAGSTONE_LIB_SLAB_OWNED_EXTENTS_H_
#define FLAGSTONE_LIB_SLAB_OWNED_EXTENTS_H_

#include <sys/mman.h>

#include <atomic>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <string>
#include <utility>

#include "flagstone/internal/home_places.h"
#include "flagstone/status.h"

namespace flagstone::slab {

enum class OwnedExtentsUse : uint8_t {
  kByReaders,
  kNone,  // every entry stays 0
};

class OwnedExtents {
 public:
  // `count` entries, all 0. `first` is the entry of the table's extent 0.
  static Result<OwnedExtents> Map(uint64_t count, uint64_t first, OwnedExtentsUse use) {
    void* pages = mmap(nullptr, count, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (pages == MAP_FAILED) {
      return Status::Error(StatusCode::kResourceExhausted,
                           "extent map of a table: mmap of " + std::to_string(count) +
                               " bytes failed: " + std::strerror(errno) +
                               "; raise the address-space limit (ulimit -v)");
    }
    // A forked child has none of the memory that the entries speak of.
    static_cast<void>(madvise(pages, count, MADV_WIPEONFORK));
    return OwnedExtents(static_cast<std::atomic<uint8_t>*>(pages), count, first, use);
  }
  OwnedExtents(OwnedExtents&& other) noexcept
      : entries_(std::exchange(other.entries_, nullptr)),
        count_(other.count_),
        first_(other.first_),
        use_(other.use_) {}
  OwnedExtents& operator=(OwnedExtents&&) = delete;
  ~OwnedExtents() {
    if (entries_ != nullptr) munmap(entries_, count_);
  }

  const std::atomic<uint8_t>* entries() const { return entries_; }
  // Readers that see the entry set see the extent as it is now.
  void Set(uint32_t extent) {
    if (use_ == OwnedExtentsUse::kNone) return;
    entries_[first_ + extent].store(internal::kExtentOwned, std::memory_order_release);
  }
  void Clear(uint32_t extent) { entries_[first_ + extent].store(0, std::memory_order_release); }

 private:
  OwnedExtents(std::atomic<uint8_t>* entries, uint64_t count, uint64_t first, OwnedExtentsUse use)
      : entries_(entries), count_(count), first_(first), use_(use) {}

  std::atomic<uint8_t>* entries_;
  uint64_t count_;
  uint64_t first_;
  OwnedExtentsUse use_;
};

}  // namespace flagstone::slab

#endif  // FLAGSTONE_LIB_SLAB_OWNED_EXTENTS_H_
