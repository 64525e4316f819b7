#include "bench/kit/huge_page_allocator.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstdint>

namespace flagstone::bench {
namespace {

constexpr size_t kHugePageBytes = size_t{2} << 20;
constexpr size_t kChunkBytes = size_t{32} << 20;
constexpr size_t kOwnMappingBytes = size_t{1} << 20;  // blocks from this size on get their own

constexpr size_t RoundedUp(size_t value, size_t step) { return (value + step - 1) / step * step; }

}  // namespace

HugePageArena::~HugePageArena() {
  for (const Mapping& mapping : mappings_) munmap(mapping.address, mapping.bytes);
}

// Begins at a multiple of 2 MiB: the kernel makes huge pages only there.
void* HugePageArena::Map(size_t bytes) {
  const size_t mapped = bytes + kHugePageBytes;
  void* const address =
      mmap(nullptr, mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (address == MAP_FAILED) throw std::bad_alloc();
  madvise(address, mapped, MADV_HUGEPAGE);
  mappings_.push_back({address, mapped});
  return reinterpret_cast<void*>(RoundedUp(reinterpret_cast<uintptr_t>(address), kHugePageBytes));
}

void* HugePageArena::Allocate(size_t bytes, size_t alignment) {
  const std::lock_guard lock(mutex_);
  if (bytes >= kOwnMappingBytes) return Map(RoundedUp(bytes, kHugePageBytes));
  const size_t skipped =
      RoundedUp(reinterpret_cast<uintptr_t>(next_), alignment) - reinterpret_cast<uintptr_t>(next_);
  if (next_ == nullptr || static_cast<size_t>(end_ - next_) < skipped + bytes) {
    next_ = static_cast<char*>(Map(kChunkBytes));
    end_ = next_ + kChunkBytes;
  } else {
    next_ += skipped;
  }
  char* const block = next_;
  next_ += bytes;
  return block;
}

void HugePageArena::Free(void* block, size_t bytes) {
  if (bytes < kOwnMappingBytes) return;
  const std::lock_guard lock(mutex_);
  const auto found = std::find_if(mappings_.begin(), mappings_.end(), [&](const Mapping& mapping) {
    const char* const begin = static_cast<const char*>(mapping.address);
    return block >= begin && block < begin + kHugePageBytes && bytes < mapping.bytes;
  });
  if (found == mappings_.end()) return;
  munmap(found->address, found->bytes);
  mappings_.erase(found);
}

}  // namespace flagstone::bench
