// One reserved range of addresses, mapped extent by extent: where the slabs of one size class lie.
//
//   base()                                                    base() + extent_count_max * 2 MiB
//   | guard | extent 0 | extent 1 | extent 2 | ...  PROT_NONE ...          | guard |
//
// Place       Under slab, which computes addresses as base() + extent * 2 MiB + ... and never asks here
//             on its hot path. Above the kernel (SystemMemory).
// Life        Reserve() takes addresses, no memory. Map() makes extents usable: it charges the account,
//             then goes down the ladder 1 GiB, 2 MiB, transparent, 4 KiB. Return() gives memory back and
//             leaves zeros to read. The destructor unmaps everything.
// Invariants  1. base() never moves; an address in a mapped extent stays valid until its Return().
//             2. What Map() reported usable never raises SIGBUS: explicit pages and file blocks exist
//                before their mapping does.
//             3. The account holds what is mapped, to the byte; a call that fails changes nothing.
//             4. A fresh extent reads as zeros, except in a named file that existed before.
//             5. Our addresses are never unmapped for a moment, so nothing else can move in.
// Threads     Any; one mutex per range, held across the system calls. Reading and writing the memory
//             itself takes no lock.
// Owns        the addresses, and the memory files behind explicit pages. Borrows account and system,
//             which must outlive it.
// After fork  the child has none of this memory (MADV_DONTFORK): an access there is SIGSEGV, never a
//             torn copy.
// Errors      RESOURCE_EXHAUSTED (account, pool, rlimit, cgroup: which, how much, the setting),
//             UNSUPPORTED (a required kind the kernel lacks), INVALID_ARGUMENT, FAILED_PRECONDITION,
//             IO_ERROR (the call and its errno).
// Cost        Map(): a few system calls however many extents; explicit pages are zeroed by the kernel
//             (about 0.2 ms each 2 MiB). Neighbours share kernel mappings: O(log n) of them for n
//             extents mapped one by one (vm.max_map_count is 65530).
// See         docs/decisions/0002-page-ladder.md, tests/unit/page/extent_range_test.cc
#ifndef FLAGSTONE_LIB_PAGE_EXTENT_RANGE_H_
#define FLAGSTONE_LIB_PAGE_EXTENT_RANGE_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "flagstone/page_options.h"
#include "flagstone/status.h"
#include "lib/base/memory_account.h"
#include "lib/page/backing_file.h"
#include "lib/page/system_memory.h"

namespace flagstone::page {

inline constexpr uint64_t kExtentBytes = uint64_t{2} << 20;
inline constexpr uint32_t kExtentsPerGiB = 512;

// Moved by ExtentRange alone, under its mutex.
enum class ExtentState : uint8_t {
  kReserved,  // no memory, any access is SIGSEGV
  kMapped,    // readable and writable
  kReturned,  // reads give zeros, a write is SIGSEGV; no memory behind it
};

struct ExtentRangeOptions {
  PageOptions pages;  // has passed Validate()
  // The most extents ever mapped. Rounded up to whole GiBs when 1 GiB pages are asked for.
  uint32_t extent_count_max = 0;
  // Appears in every message and, if pages.backing_directory is set, as the file's name: letters,
  // digits, '-', '_', '.' and ' ' (written '-'), 1 to 64 of them: "class 640".
  std::string name;
  MemoryComponent component = MemoryComponent::kSlabs;
  BackingFileMode backing_file_mode = BackingFileMode::kCreateNew;
  // Called when a step down the ladder is taken for the first time or for a new reason. Under the
  // range's mutex: must not call back into the range.
  std::function<void(const PageFallback&)> on_fallback;
};

class ExtentRange {
 public:
  // RESOURCE_EXHAUSTED when the addresses are not to be had: names RLIMIT_AS and the bytes needed.
  static Result<std::unique_ptr<ExtentRange>> Reserve(ExtentRangeOptions options,
                                                      base::MemoryAccount& account,
                                                      SystemMemory& system = SystemMemory::Real());
  ~ExtentRange();
  ExtentRange(const ExtentRange&) = delete;
  ExtentRange& operator=(const ExtentRange&) = delete;

  // Makes [first, first + count) usable, all of them or none; none of them may be kMapped. Returns how
  // many extents from `first` on are usable now: at least `count`, more when a 1 GiB page was granted
  // (all 512 extents of it are then mapped and charged).
  Result<uint32_t> Map(uint32_t first_extent, uint32_t extent_count,
                       base::MemoryPool pool = base::MemoryPool::kGeneral);

  // Gives the memory of mapped extents back to the kernel and the account; reads there give zeros from
  // then on. The caller has made sure that nobody writes there or relies on what is there any more. An
  // extent on a 1 GiB page is zeroed, and the page goes back when all 512 are returned. May be mapped
  // again.
  Status Return(uint32_t first_extent, uint32_t extent_count);

  std::byte* base() const { return base_; }
  std::byte* extent_address(uint32_t extent) const { return base_ + extent * kExtentBytes; }
  uint32_t extent_count_max() const { return extent_count_max_; }
  const std::string& name() const { return options_.name; }

  ExtentState state(uint32_t extent) const;
  // What backs a mapped extent, as granted by call.
  PageKind page_kind(uint32_t extent) const;

  // As granted by the kernel's calls; no system call.
  PageReport Report() const;
  // The same, with bytes_by_kind counted in /proc/self/smaps. Milliseconds per GiB on 4 KiB pages: for
  // reports and tests, not for growth. IO_ERROR when /proc is not there.
  Result<PageReport> Verify() const;

 private:
  // State and backing of one extent.
  struct Extent {
    ExtentState state = ExtentState::kReserved;
    // kMapped: what backs it. kReturned on a 1 GiB page that is still there (see Return): k1GiB.
    PageKind kind = PageKind::k4KiB;
    bool on_idle_gib_page = false;
  };
  struct Span {
    uint32_t first;
    uint32_t count;
    uint32_t end() const { return first + count; }
  };
  // Why a rung did not grant what it was asked for.
  struct Shortage {
    int error = 0;
    std::string reason;  // with the setting to change
  };
  // What a rung granted: the first `count` extents of what it was asked for. With a shortage when that
  // is not all.
  struct Grant {
    uint32_t count = 0;
    Shortage shortage;
  };

  ExtentRange(ExtentRangeOptions options, base::MemoryAccount& account, SystemMemory& system);

  Status ReserveAddresses();
  Status OpenNamedFile();

  Status MapSpan(Span span, base::MemoryPool pool);
  Status DescendLadder(Span span, base::MemoryPool pool, std::vector<Span>* mapped);
  PageKind TopRung() const;
  std::optional<PageKind> RungBelow(PageKind kind) const;
  Result<Grant> TryRung(PageKind kind, Span span, base::MemoryPool pool);
  Result<Grant> TryGibPage(Span span, base::MemoryPool pool);
  Grant TryExplicit(PageKind kind, Span span);
  Grant TryOrdinary(PageKind kind, Span span);
  Result<BackingFile*> FileOf(PageKind kind, Shortage* shortage);
  std::optional<Shortage> MapFile(PageKind kind, BackingFile& file, Span span);
  std::optional<Shortage> MapAnonymous(PageKind kind, Span span);
  std::optional<Shortage> Settle(PageKind kind, Span span);
  void JoinFileMappings(BackingFile& file, Span span);
  void SplitFileMappings(Span span);
  int Vacate(Span span, int protection);
  void AdviseInheritance(void* address, size_t bytes);
  void UndoGrant(Span span);
  uint64_t HugeBytesBySmaps() const;

  Status ReturnSpan(Span span);
  Status ReturnFromGibPage(Span span);
  bool GibPageIsIdle(uint32_t group) const;
  bool GroupIsUnmapped(uint32_t first_extent) const;
  bool RestsOnNamedFile() const { return named_file_ != nullptr; }

  void SetMapped(Span span, PageKind kind);
  void SetReturned(Span span);
  void RecordFallback(PageKind wanted, PageKind granted, uint64_t bytes, const std::string& reason);
  Status CheckSpan(const char* verb, uint32_t first, uint32_t count) const;
  Shortage ExplainExplicit(PageKind kind, int error, uint64_t bytes) const;
  Shortage ExplainOrdinary(const char* call, int error, uint64_t bytes) const;
  Status ErrorFrom(const Shortage& shortage, PageKind kind, Span span) const;
  uint64_t page_bytes_of(PageKind kind) const;
  const Extent& extent_at(uint32_t extent) const;

  // Set at Reserve().
  const ExtentRangeOptions options_;
  base::MemoryAccount& account_;
  SystemMemory& system_;
  uint32_t extent_count_max_ = 0;
  std::byte* base_ = nullptr;
  void* reservation_ = nullptr;  // with the guards
  size_t reservation_bytes_ = 0;

  mutable std::mutex mutex_;
  // Guarded by mutex_.
  std::vector<Extent> extents_;  // up to the highest one ever mapped; those beyond are kReserved
  std::unique_ptr<BackingFile> named_file_;
  std::unique_ptr<BackingFile> explicit_2mib_file_;  // anonymous explicit pages: memory files
  std::unique_ptr<BackingFile> explicit_1gib_file_;
  std::map<uint32_t, uint32_t> file_mappings_;  // hugetlb: first extent -> count, one kernel mapping each
  uint64_t charged_bytes_ = 0;
  uint64_t locked_bytes_ = 0;
  std::vector<PageFallback> fallbacks_;
};

}  // namespace flagstone::page

#endif  // FLAGSTONE_LIB_PAGE_EXTENT_RANGE_H_
