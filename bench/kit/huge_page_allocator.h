// HugePageAllocator: memory for the reference containers, on transparent huge pages.
//
// Big blocks (bucket arrays) get a mapping of their own; small ones (the nodes of a chained map)
// are cut one after the other from chunks of 32 MiB, so that they lie as densely as they can. Small
// blocks are not reused: the containers here only grow.
//
// Threads     Any.
#ifndef FLAGSTONE_BENCH_KIT_HUGE_PAGE_ALLOCATOR_H_
#define FLAGSTONE_BENCH_KIT_HUGE_PAGE_ALLOCATOR_H_

#include <cstddef>
#include <limits>
#include <memory>
#include <mutex>
#include <new>
#include <vector>

namespace flagstone::bench {

class HugePageArena {
 public:
  HugePageArena() = default;
  ~HugePageArena();
  HugePageArena(const HugePageArena&) = delete;
  HugePageArena& operator=(const HugePageArena&) = delete;

  // Throws std::bad_alloc, as the containers expect.
  void* Allocate(size_t bytes, size_t alignment);
  void Free(void* block, size_t bytes);

 private:
  struct Mapping {
    void* address;
    size_t bytes;
  };
  void* Map(size_t bytes);

  std::mutex mutex_;
  // guarded by mutex_
  std::vector<Mapping> mappings_;
  char* next_ = nullptr;
  char* end_ = nullptr;
};

template <typename T>
class HugePageAllocator {
 public:
  using value_type = T;

  explicit HugePageAllocator(HugePageArena& arena) : arena_(&arena) {}
  template <typename U>
  HugePageAllocator(const HugePageAllocator<U>& other)  // NOLINT: containers convert implicitly
      : arena_(&other.arena()) {}

  T* allocate(size_t count) {
    if (count > std::numeric_limits<size_t>::max() / sizeof(T)) throw std::bad_alloc();
    return static_cast<T*>(arena_->Allocate(count * sizeof(T), alignof(T)));
  }
  void deallocate(T* block, size_t count) { arena_->Free(block, count * sizeof(T)); }

  HugePageArena& arena() const { return *arena_; }
  template <typename U>
  bool operator==(const HugePageAllocator<U>& other) const {
    return arena_ == &other.arena();
  }

 private:
  HugePageArena* arena_;
};

}  // namespace flagstone::bench

#endif  // FLAGSTONE_BENCH_KIT_HUGE_PAGE_ALLOCATOR_H_
