#include "tests/support/failing_allocator.h"

#include <cstddef>
#include <cstdlib>
#include <new>

namespace {

// Allocations of this thread until the one that fails; 0: none fails.
constinit thread_local uint64_t until_failure = 0;

void* Allocate(size_t bytes, size_t alignment) {
  if (until_failure > 0 && --until_failure == 0) throw std::bad_alloc();
  void* block = nullptr;
  if (alignment <= alignof(std::max_align_t)) {
    block = std::malloc(bytes > 0 ? bytes : 1);
  } else if (posix_memalign(&block, alignment, bytes) != 0) {
    block = nullptr;
  }
  if (block == nullptr) throw std::bad_alloc();
  return block;
}

void* AllocateOrNull(size_t bytes) noexcept {
  try {
    return Allocate(bytes, 0);
  } catch (const std::bad_alloc&) {
    return nullptr;
  }
}

}  // namespace

void* operator new(size_t bytes) { return Allocate(bytes, 0); }
void* operator new[](size_t bytes) { return Allocate(bytes, 0); }
void* operator new(size_t bytes, const std::nothrow_t&) noexcept { return AllocateOrNull(bytes); }
void* operator new[](size_t bytes, const std::nothrow_t&) noexcept { return AllocateOrNull(bytes); }
void* operator new(size_t bytes, std::align_val_t alignment) {
  return Allocate(bytes, static_cast<size_t>(alignment));
}
void* operator new[](size_t bytes, std::align_val_t alignment) {
  return Allocate(bytes, static_cast<size_t>(alignment));
}
void operator delete(void* block) noexcept { std::free(block); }
void operator delete[](void* block) noexcept { std::free(block); }
void operator delete(void* block, size_t) noexcept { std::free(block); }
void operator delete[](void* block, size_t) noexcept { std::free(block); }
void operator delete(void* block, std::align_val_t) noexcept { std::free(block); }
void operator delete[](void* block, std::align_val_t) noexcept { std::free(block); }
void operator delete(void* block, size_t, std::align_val_t) noexcept { std::free(block); }
void operator delete[](void* block, size_t, std::align_val_t) noexcept { std::free(block); }

namespace flagstone::testkit {

OwnAllocations::OwnAllocations() : until_failure_before_(until_failure) { until_failure = 0; }
OwnAllocations::~OwnAllocations() { until_failure = until_failure_before_; }

AllocationOutcome FailAllocation(uint64_t n, const std::function<Status()>& call) {
  until_failure = n;
  AllocationOutcome outcome = AllocationOutcome::kDone;
  try {
    if (!call().ok()) outcome = AllocationOutcome::kStatus;
  } catch (const std::bad_alloc&) {
    outcome = AllocationOutcome::kThrown;
  }
  const bool reached = until_failure == 0;
  until_failure = 0;
  return reached ? outcome : AllocationOutcome::kNoFailure;
}

}  // namespace flagstone::testkit
