// The allocator of index nodes and caches: on huge pages of its own where the process has jemalloc.
//
// Place       Over ExtentRange. The library never links jemalloc: it looks for mallctl, mallocx and
//             dallocx through weak symbols, and a host that has them (linked or preloaded) gets an
//             arena whose memory comes from this module. Without them, operator new with the same
//             accounting.
// Invariants  1. The account holds every byte: with jemalloc the extents mapped for the arena, its
//                own bookkeeping included; without it each allocation and its header.
//             2. Nothing of the host's own allocations ever lands in the arena.
// Threads     Any.
// Owns        the arena and its range of addresses: everything allocated must be deallocated before
//             the destructor.
// Errors      Allocate(): RESOURCE_EXHAUSTED as the account or the pages gave it.
// Cost        Without a thread cache: one arena lock. Callers allocate nodes and blocks, not
//             records. See docs/decisions/0005-allocator.md, tests/unit/page/huge_arena_test.cc
#ifndef FLAGSTONE_LIB_PAGE_HUGE_ARENA_H_
#define FLAGSTONE_LIB_PAGE_HUGE_ARENA_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "flagstone/page_options.h"
#include "flagstone/status.h"
#include "lib/base/memory_account.h"
#include "lib/page/system_memory.h"

namespace flagstone::page {

enum class ArenaKind : uint8_t { kJemalloc, kOperatorNew };

struct HugeArenaOptions {
  PageOptions pages;       // backing_directory must be empty: pointers live in here
  uint64_t bytes_max = 0;  // addresses reserved; rounded up to whole extents
  std::string name;        // "index nodes"
  MemoryComponent component = MemoryComponent::kIndexes;
  std::function<void(const PageFallback&)> on_fallback;
};

class HugeArena {
 public:
  // The kind the process offers.
  static ArenaKind ProbeKind();

  static Result<std::unique_ptr<HugeArena>> Create(const HugeArenaOptions& options,
                                                   base::MemoryAccount& account,
                                                   SystemMemory& system = SystemMemory::Real());
  virtual ~HugeArena() = default;
  HugeArena(const HugeArena&) = delete;
  HugeArena& operator=(const HugeArena&) = delete;

  // `alignment` is a power of two up to 4096; `bytes` at least 1. Not zeroed.
  virtual Result<void*> Allocate(size_t bytes, size_t alignment) = 0;
  // `bytes` and `alignment` as they were allocated with.
  virtual void Deallocate(void* address, size_t bytes, size_t alignment) = 0;

  virtual ArenaKind kind() const = 0;
  // What the account holds for this arena.
  virtual uint64_t charged_bytes() const = 0;
  // What the arena lies on; empty without jemalloc.
  virtual PageReport Report() const = 0;

 protected:
  HugeArena() = default;
};

}  // namespace flagstone::page

#endif  // FLAGSTONE_LIB_PAGE_HUGE_ARENA_H_
