#include "lib/page/huge_arena.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <mutex>
#include <new>
#include <utility>
#include <vector>

#include "lib/base/check.h"
#include "lib/page/extent_range.h"

// jemalloc 5's interface, declared here because neither its header nor its library may be needed to
// build or load ours. Null where the process has no jemalloc.
extern "C" {
__attribute__((weak, visibility("default"))) int mallctl(const char* name, void* old_value,
                                                         size_t* old_bytes, void* new_value,
                                                         size_t new_bytes);
__attribute__((weak, visibility("default"))) void* mallocx(size_t bytes, int flags);
__attribute__((weak, visibility("default"))) void dallocx(void* address, int flags);
}

namespace flagstone::page {
namespace {

// extent_hooks_t of jemalloc 5.
struct ExtentHooks {
  void* (*alloc)(ExtentHooks*, void* wanted, size_t bytes, size_t alignment, bool* zero,
                 bool* commit, unsigned arena);
  bool (*dalloc)(ExtentHooks*, void* address, size_t bytes, bool committed, unsigned arena);
  void (*destroy)(ExtentHooks*, void* address, size_t bytes, bool committed, unsigned arena);
  bool (*commit)(ExtentHooks*, void*, size_t bytes, size_t offset, size_t length, unsigned arena);
  bool (*decommit)(ExtentHooks*, void*, size_t bytes, size_t offset, size_t length, unsigned arena);
  bool (*purge_lazy)(ExtentHooks*, void*, size_t bytes, size_t offset, size_t length,
                     unsigned arena);
  bool (*purge_forced)(ExtentHooks*, void*, size_t bytes, size_t offset, size_t length,
                       unsigned arena);
  bool (*split)(ExtentHooks*, void*, size_t bytes, size_t left, size_t right, bool committed,
                unsigned arena);
  bool (*merge)(ExtentHooks*, void* left, size_t left_bytes, void* right, size_t right_bytes,
                bool committed, unsigned arena);
};

// MALLOCX_ARENA, MALLOCX_TCACHE_NONE, MALLOCX_LG_ALIGN of jemalloc 5.
int ArenaFlags(unsigned arena, size_t alignment) {
  return static_cast<int>((arena + 1) << 20) | (1 << 8) | __builtin_ctzll(alignment);
}

constexpr size_t kAlignmentMax = 4096;

Status CheckRequest(const std::string& name, size_t bytes, size_t alignment) {
  const bool power_of_two = alignment != 0 && (alignment & (alignment - 1)) == 0;
  if (bytes != 0 && bytes <= PTRDIFF_MAX && power_of_two && alignment <= kAlignmentMax) {
    return Status::Ok();
  }
  return Status::Error(StatusCode::kInvalidArgument,
                       name + ": " + std::to_string(bytes) + " bytes aligned to " +
                           std::to_string(alignment) +
                           ", allowed: 1 byte or more, a power of two up to 4096");
}

// Extents handed out to jemalloc, first fit.
class ArenaExtents {
 public:
  explicit ArenaExtents(std::unique_ptr<ExtentRange> range)
      : range_(std::move(range)), used_(range_->extent_count_max(), false) {}

  void* Take(size_t bytes, size_t alignment) {
    const std::lock_guard<std::mutex> lock(mutex_);
    const size_t count = (bytes + kExtentBytes - 1) / kExtentBytes;
    for (size_t first = 0; first + count <= used_.size();) {
      const auto address = reinterpret_cast<uintptr_t>(AddressOf(first));
      if (address % alignment != 0) {
        ++first;
        continue;
      }
      size_t run = 0;
      while (run < count && !used_[first + run]) ++run;
      if (run < count) {
        first += run + 1;
        continue;
      }
      return TakeRun(first, count);
    }
    last_error_ = Status::Error(StatusCode::kResourceExhausted,
                                range_->name() + ": " + std::to_string(count) +
                                    " neighbouring extents are not free of " +
                                    std::to_string(used_.size()) + "; raise the component's limit");
    return nullptr;
  }

  bool GiveBack(void* address, size_t bytes) {
    const std::lock_guard<std::mutex> lock(mutex_);
    const auto offset = static_cast<size_t>(static_cast<std::byte*>(address) - range_->base());
    const size_t first = offset / kExtentBytes;
    // jemalloc may have cut the run it got: part of an extent stays with it.
    const bool whole = offset % kExtentBytes == 0 && bytes % kExtentBytes == 0;
    if (!whole) return false;
    const size_t count = bytes / kExtentBytes;
    if (!range_->Return(static_cast<uint32_t>(first), static_cast<uint32_t>(count)).ok()) {
      return false;
    }
    for (size_t i = 0; i < count; ++i) used_[first + i] = false;
    return true;
  }

  Status last_error() const {
    const std::lock_guard<std::mutex> lock(mutex_);
    return last_error_;
  }
  PageReport Report() const { return range_->Report(); }

 private:
  std::byte* AddressOf(size_t extent) const {
    return range_->extent_address(static_cast<uint32_t>(extent));
  }

  void* TakeRun(size_t first, size_t count) {
    // Extents on a granted 1 GiB page stay mapped (see ExtentRange::Map); they are used[] == false
    // and mapped already, so only the others are asked for.
    for (size_t i = 0; i < count; ++i) {
      const auto extent = static_cast<uint32_t>(first + i);
      if (range_->state(extent) == ExtentState::kMapped) continue;
      auto last = extent;
      while (last + 1 < first + count && range_->state(last + 1) != ExtentState::kMapped) ++last;
      const Result<uint32_t> mapped = range_->Map(extent, last - extent + 1);
      if (!mapped.ok()) {
        last_error_ = mapped.status();
        UndoRun(first, extent);
        return nullptr;
      }
    }
    for (size_t i = 0; i < count; ++i) used_[first + i] = true;
    return AddressOf(first);
  }

  void UndoRun(size_t first, size_t end) {
    for (size_t extent = first; extent < end; ++extent) {
      const Status returned = range_->Return(static_cast<uint32_t>(extent), 1);
      if (!returned.ok()) return;  // stays mapped and free: the next run over it uses it
    }
  }

  const std::unique_ptr<ExtentRange> range_;
  mutable std::mutex mutex_;
  std::vector<bool> used_;  // guarded by mutex_
  Status last_error_;       // guarded by mutex_
};

class JemallocArena final : public HugeArena {
 public:
  JemallocArena(std::string name, std::unique_ptr<ExtentRange> range)
      : name_(std::move(name)), extents_(std::move(range)) {
    hooks_.hooks = {.alloc = &TakeExtents,
                    .dalloc = &GiveBackExtents,
                    .destroy = &Forget,
                    .commit = nullptr,
                    .decommit = nullptr,
                    .purge_lazy = nullptr,  // a purged huge page would be split into small ones
                    .purge_forced = nullptr,
                    .split =
                        [](ExtentHooks*, void*, size_t, size_t, size_t, bool, unsigned) {
                          return false;  // false: done
                        },
                    .merge =
                        [](ExtentHooks*, void*, size_t, void*, size_t, bool, unsigned) {
                          return false;  // one range of addresses: neighbours may always be joined
                        }};
    hooks_.extents = &extents_;
  }

  Status Open() {
    ExtentHooks* hooks = &hooks_.hooks;
    size_t index_bytes = sizeof arena_;
    if (mallctl("arenas.create", &arena_, &index_bytes, &hooks, sizeof hooks) != 0) {
      const Status cause = extents_.last_error();
      return cause.ok() ? Status::Error(StatusCode::kResourceExhausted,
                                        name_ +
                                            ": jemalloc gave no arena; set MALLOC_CONF=narenas:N "
                                            "lower, or run without jemalloc")
                        : cause;
    }
    opened_ = true;
    // Growth by one extent at a time; jemalloc's own habit doubles its steps and would overshoot
    // limits.
    size_t grow_bytes = kExtentBytes;
    const std::string knob = "arena." + std::to_string(arena_) + ".retain_grow_limit";
    mallctl(knob.c_str(), nullptr, nullptr, &grow_bytes, sizeof grow_bytes);
    return Status::Ok();
  }

  ~JemallocArena() override {
    if (!opened_) return;
    const std::string destroy = "arena." + std::to_string(arena_) + ".destroy";
    FLAGSTONE_CHECK(mallctl(destroy.c_str(), nullptr, nullptr, nullptr, 0) == 0);
  }

  Result<void*> Allocate(size_t bytes, size_t alignment) override {
    FLAGSTONE_RETURN_IF_ERROR(CheckRequest(name_, bytes, alignment));
    if (void* const address = mallocx(bytes, ArenaFlags(arena_, alignment))) return address;
    Status cause = extents_.last_error();
    if (!cause.ok()) return cause;
    return Status::Error(StatusCode::kResourceExhausted,
                         name_ + ": " + std::to_string(bytes) +
                             " bytes are more than jemalloc can allocate; ask for less");
  }

  void Deallocate(void* address, size_t, size_t alignment) override {
    dallocx(address, ArenaFlags(arena_, alignment));
  }

  ArenaKind kind() const override { return ArenaKind::kJemalloc; }
  uint64_t charged_bytes() const override {
    uint64_t sum = 0;
    for (uint64_t bytes : Report().bytes_by_kind) sum += bytes;
    return sum;
  }
  PageReport Report() const override { return extents_.Report(); }

 private:
  // First member first: jemalloc hands back the pointer to `hooks`.
  struct BoundHooks {
    ExtentHooks hooks;
    ArenaExtents* extents;
  };
  static ArenaExtents& ExtentsOf(ExtentHooks* hooks) {
    return *reinterpret_cast<BoundHooks*>(hooks)->extents;
  }

  static void* TakeExtents(ExtentHooks* hooks, void* wanted, size_t bytes, size_t alignment,
                           bool* zero, bool* commit, unsigned) {
    if (wanted != nullptr) return nullptr;  // growth in place; jemalloc copies instead
    void* const address = ExtentsOf(hooks).Take(bytes, alignment);
    if (address == nullptr) return nullptr;
    if (*zero)
      std::memset(address, 0, bytes);  // rare: extents kept mapped may have been used before
    *commit = true;
    return address;
  }
  static bool GiveBackExtents(ExtentHooks* hooks, void* address, size_t bytes, bool, unsigned) {
    return !ExtentsOf(hooks).GiveBack(address, bytes);  // true: jemalloc keeps it
  }
  static void Forget(ExtentHooks*, void*, size_t, bool, unsigned) {}  // the range unmaps it all

  const std::string name_;
  ArenaExtents extents_;
  BoundHooks hooks_;
  unsigned arena_ = 0;
  bool opened_ = false;
};

class OperatorNewArena final : public HugeArena {
 public:
  OperatorNewArena(const HugeArenaOptions& options, base::MemoryAccount& account)
      : name_(options.name), component_(options.component), account_(account) {}
  ~OperatorNewArena() override { FLAGSTONE_CHECK(charged_bytes() == 0); }

  Result<void*> Allocate(size_t bytes, size_t alignment) override {
    FLAGSTONE_RETURN_IF_ERROR(CheckRequest(name_, bytes, alignment));
    Result<base::MemoryCharge> charge =
        base::MemoryCharge::Take(account_, component_, Charged(bytes, alignment));
    if (!charge.ok()) return charge.status();
    void* const address = ::operator new (bytes, std::align_val_t{alignment}, std::nothrow);
    if (address == nullptr) {
      return Status::Error(StatusCode::kResourceExhausted,
                           name_ + ": operator new has no " + std::to_string(bytes) +
                               " bytes; free memory, or raise RLIMIT_AS or the memory cgroup");
    }
    charged_bytes_.fetch_add(charge->bytes(), std::memory_order_relaxed);
    charge->Commit();
    return address;
  }

  void Deallocate(void* address, size_t bytes, size_t alignment) override {
    ::operator delete (address, std::align_val_t{alignment});
    charged_bytes_.fetch_sub(Charged(bytes, alignment), std::memory_order_relaxed);
    account_.Release(component_, Charged(bytes, alignment));
  }

  ArenaKind kind() const override { return ArenaKind::kOperatorNew; }
  uint64_t charged_bytes() const override { return charged_bytes_.load(std::memory_order_relaxed); }
  PageReport Report() const override { return PageReport{}; }

 private:
  // glibc's chunk: a 16 byte header, sizes in steps of 16, and the slack an alignment above 16 may
  // cost.
  static uint64_t Charged(size_t bytes, size_t alignment) {
    return (bytes + 15) / 16 * 16 + 16 + (alignment > 16 ? alignment : 0);
  }

  const std::string name_;
  const MemoryComponent component_;
  base::MemoryAccount& account_;
  std::atomic<uint64_t> charged_bytes_{0};  // relaxed: a count
};

}  // namespace

ArenaKind HugeArena::ProbeKind() {
  if (mallctl == nullptr || mallocx == nullptr || dallocx == nullptr) {
    return ArenaKind::kOperatorNew;
  }
  const char* version = nullptr;
  size_t bytes = sizeof version;
  const bool known =
      mallctl("version", &version, &bytes, nullptr, 0) == 0 && std::strncmp(version, "5.", 2) == 0;
  return known ? ArenaKind::kJemalloc : ArenaKind::kOperatorNew;
}

Result<std::unique_ptr<HugeArena>> HugeArena::Create(const HugeArenaOptions& options,
                                                     base::MemoryAccount& account,
                                                     SystemMemory& system) {
  FLAGSTONE_RETURN_IF_ERROR(options.pages.Validate());
  if (!options.pages.backing_directory.empty()) {
    return Status::Error(StatusCode::kInvalidArgument,
                         options.name + ": backing_directory is " +
                             options.pages.backing_directory +
                             ", allowed: none (indexes hold pointers and are rebuilt)");
  }
  if (ProbeKind() == ArenaKind::kOperatorNew) {
    return std::unique_ptr<HugeArena>(new OperatorNewArena(options, account));
  }
  const uint64_t extent_count = (options.bytes_max + kExtentBytes - 1) / kExtentBytes;
  ExtentRangeOptions range_options;
  range_options.pages = options.pages;
  range_options.extent_count_max =
      static_cast<uint32_t>(std::min<uint64_t>(extent_count, UINT32_MAX));
  range_options.name = options.name;
  range_options.component = options.component;
  range_options.on_fallback = options.on_fallback;
  Result<std::unique_ptr<ExtentRange>> range =
      ExtentRange::Reserve(std::move(range_options), account, system);
  if (!range.ok()) return range.status();
  auto arena = std::make_unique<JemallocArena>(options.name, std::move(*range));
  FLAGSTONE_RETURN_IF_ERROR(arena->Open());
  return std::unique_ptr<HugeArena>(std::move(arena));
}

}  // namespace flagstone::page
