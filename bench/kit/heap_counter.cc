#include "bench/kit/heap_counter.h"

#include <cstddef>

// There when the program links jemalloc; a null address otherwise.
extern "C" __attribute__((weak)) int mallctl(const char* name, void* old_value, size_t* old_bytes,
                                             void* new_value, size_t new_bytes);

namespace flagstone::bench {

std::optional<uint64_t> ThreadAllocatedBytes() {
  if (mallctl == nullptr) return std::nullopt;
  uint64_t allocated = 0;
  size_t bytes = sizeof(allocated);
  if (mallctl("thread.allocated", &allocated, &bytes, nullptr, 0) != 0) return std::nullopt;
  return allocated;
}

std::string AllocatorName() {
  if (mallctl == nullptr) return "the C library's malloc";
  const char* version = nullptr;
  size_t bytes = sizeof(version);
  if (mallctl("version", &version, &bytes, nullptr, 0) != 0) return "jemalloc";
  return std::string("jemalloc ") + version;
}

}  // namespace flagstone::bench
