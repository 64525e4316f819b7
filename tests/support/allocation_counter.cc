#include "tests/support/allocation_counter.h"

#include <cerrno>
#include <cstddef>
#include <cstdlib>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define FLAGSTONE_COUNT_BY_HOOKS 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define FLAGSTONE_COUNT_BY_HOOKS 1
#endif
#endif

namespace flagstone::testkit {
namespace {

// Constant-initialised and of a trivial type: touching it never allocates.
constinit thread_local uint64_t thread_allocations = 0;

}  // namespace

uint64_t ThreadAllocations() { return thread_allocations; }

}  // namespace flagstone::testkit

#if defined(FLAGSTONE_COUNT_BY_HOOKS)

// Weak in the sanitizers' run-time libraries; called by them for each allocation.
extern "C" void __sanitizer_malloc_hook(const volatile void*, size_t) {
  ++flagstone::testkit::thread_allocations;
}
extern "C" void __sanitizer_free_hook(const volatile void*) {}

#else

extern "C" {

void* __libc_malloc(size_t bytes);
void* __libc_calloc(size_t count, size_t bytes);
void* __libc_realloc(void* block, size_t bytes);
void* __libc_memalign(size_t alignment, size_t bytes);
void __libc_free(void* block);

void* malloc(size_t bytes) noexcept {
  ++flagstone::testkit::thread_allocations;
  return __libc_malloc(bytes);
}
void* calloc(size_t count, size_t bytes) noexcept {
  ++flagstone::testkit::thread_allocations;
  return __libc_calloc(count, bytes);
}
void* realloc(void* block, size_t bytes) noexcept {
  ++flagstone::testkit::thread_allocations;
  return __libc_realloc(block, bytes);
}
void* memalign(size_t alignment, size_t bytes) noexcept {
  ++flagstone::testkit::thread_allocations;
  return __libc_memalign(alignment, bytes);
}
void* aligned_alloc(size_t alignment, size_t bytes) noexcept { return memalign(alignment, bytes); }
int posix_memalign(void** block, size_t alignment, size_t bytes) noexcept {
  *block = memalign(alignment, bytes);
  return *block == nullptr ? ENOMEM : 0;
}
void free(void* block) noexcept { __libc_free(block); }

}  // extern "C"

#endif
