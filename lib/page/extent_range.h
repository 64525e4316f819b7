// One reserved range of addresses, mapped extent by extent: where the slabs of one size class lie.
//
//   base()                                                    base() + extent_count_max * 2 MiB
//   | guard | extent 0 | extent 1 | extent 2 | ...  PROT_NONE ...          | guard |
//
// Place       Under slab, which computes addresses as base() + extent * 2 MiB + ... and never asks
//             here on its hot path. Above the kernel (SystemMemory).
// Life        Reserve() takes addresses, no memory. Map() makes extents usable: it charges the
//             account, then goes down the ladder 1 GiB, 2 MiB, transparent, 4 KiB. Return() gives
//             memory back and leaves zeros to read. The destructor unmaps everything.
// Invariants  1. base() never moves; an address in a mapped extent stays valid until its Return().
//             2. What Map() reported usable never raises SIGBUS: explicit pages and file blocks
//                exist before their mapping does.
//             3. The account holds what is mapped less the pages returned out of it, to the byte; a
//                call that fails changes nothing.
//             4. A fresh extent reads as zeros, except in a named file that existed before.
//             5. Our addresses are never unmapped for a moment, so nothing else can move in.
// Threads     Any; one mutex per range, held across the system calls. Reading and writing the
//             memory itself takes no lock.
// Owns        the addresses, and the memory files behind explicit pages. Borrows account and
//             system, which must outlive it.
// After fork  the child has none of this memory (MADV_DONTFORK): an access there is SIGSEGV, never
//             a torn copy.
// Errors      RESOURCE_EXHAUSTED (account, pool, rlimit, cgroup: which, how much, the setting),
//             UNSUPPORTED (a required kind the kernel lacks), INVALID_ARGUMENT,
//             FAILED_PRECONDITION, IO_ERROR (the call and its errno).
// Cost        Map(): a few system calls however many extents; explicit pages are zeroed by the
//             kernel (about 0.2 ms each 2 MiB). Neighbours share kernel mappings: O(log n) of them
//             for n extents mapped one by one (vm.max_map_count is 65530).
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
#include "lib/page/page_shortage.h"
#include "lib/page/page_size.h"
#include "lib/page/system_memory.h"

namespace flagstone::page {

// Moved by ExtentRange alone, under its mutex.
enum class ExtentState : uint8_t {
  kReserved,  // no memory, any access is SIGSEGV
  kMapped,    // readable and writable
  kReturned,  // reads give zeros, nothing may be written; no memory behind it (but see Return)
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

// The name of the file in PageOptions::backing_directory: "class 640" lies in "class-640.extents".
std::string ExtentRangeFileName(const std::string& range_name);

class ExtentRange {
 public:
  // RESOURCE_EXHAUSTED when the addresses are not to be had: names RLIMIT_AS and the bytes needed.
  static Result<std::unique_ptr<ExtentRange>> Reserve(ExtentRangeOptions options,
                                                      base::MemoryAccount& account,
                                                      SystemMemory& system = SystemMemory::Real());
  ~ExtentRange();
  ExtentRange(const ExtentRange&) = delete;
  ExtentRange& operator=(const ExtentRange&) = delete;

  // Makes [first, first + count) usable, all of them or none; none of them may be kMapped. Returns
  // how many extents from `first` on are usable now: at least `count`, more when a 1 GiB page was
  // granted (all 512 extents of it are then mapped and charged).
  Result<uint32_t> Map(uint32_t first_extent, uint32_t extent_count,
                       base::MemoryPool pool = base::MemoryPool::kGeneral);

  // Gives the memory of mapped extents back to the kernel and the account; reads there give zeros
  // from then on. The caller has made sure that nobody writes there or relies on what is there any
  // more. An extent on a 1 GiB page is zeroed, and the page goes back when all 512 are returned.
  // May be mapped again.
  Status Return(uint32_t first_extent, uint32_t extent_count);

  // Parts of an extent that stays in use. Only ordinary and transparent pages of anonymous memory
  // can be given back in parts: an explicit page is whole or not there, a hole in a named file
  // would be filled by the next read, locked pages stay. Nor is it done with require_huge_pages,
  // because a transparent page ends as small ones.
  bool CanReturnPages(uint32_t extent) const;
  // Gives the pages back to the kernel and the account; they read as zeros from then on. The caller
  // has made sure that nobody writes there, and has not returned any of them before. False: they
  // stay as they are, because CanReturnPages() is, as many extents are split as may be, or the
  // kernel does not let go of them (mlockall, vm.max_map_count).
  bool ReturnPages(uint32_t extent, PageSpan pages);
  // Before the pages are written again: charges them, and with `prefault` fills them. All of them
  // were returned. RESOURCE_EXHAUSTED at the memory limit.
  Status RestorePages(uint32_t extent, PageSpan pages);
  // All that were returned out of the extent.
  Status RestoreAllPages(uint32_t extent);
  // Returned out of extents that are mapped.
  uint64_t bytes_returned_in_parts() const;

  std::byte* base() const { return base_; }
  std::byte* extent_address(uint32_t extent) const { return base_ + extent * kExtentBytes; }
  uint32_t extent_count_max() const { return extent_count_max_; }
  const std::string& name() const { return options_.name; }

  ExtentState state(uint32_t extent) const;
  // What backs a mapped extent, as granted by call.
  PageKind page_kind(uint32_t extent) const;

  // As granted by the kernel's calls; no system call.
  PageReport Report() const;
  // The same, with bytes_by_kind counted in /proc/self/smaps. Milliseconds per GiB on 4 KiB pages:
  // for reports and tests, not for growth. IO_ERROR when /proc is not there.
  Result<PageReport> Verify() const;

 private:
  // State and backing of one extent.
  struct Extent {
    ExtentState state = ExtentState::kReserved;
    PageKind kind = PageKind::k4KiB;  // of what backs it: kMapped or on_gib_page
    // The 1 GiB page it shares with 511 others is there, whatever its own state.
    bool on_gib_page = false;
    uint16_t pages_returned = 0;  // 4 KiB pages, while it is kMapped
  };
  struct Span {
    uint32_t first = 0;
    uint32_t count = 0;
    uint32_t end() const { return first + count; }
  };
  // What a rung granted: the first `count` extents asked for. With a shortage when that is not all.
  struct Grant {
    uint32_t count = 0;
    Shortage shortage;
  };
  // What Map() has done so far, to be undone when it fails later.
  struct Mapped {
    Span span;
    ExtentState prior;
  };
  // A step down the ladder, to be recorded when the growth has succeeded.
  struct Step {
    PageKind wanted;
    PageKind next;
    uint64_t bytes;
    std::string reason;
  };
  struct Growth {
    base::MemoryPool pool;
    std::vector<Mapped> mapped;
    std::vector<Step> steps;
  };

  ExtentRange(ExtentRangeOptions options, base::MemoryAccount& account, SystemMemory& system);
  Status ReserveAddresses();
  Status OpenNamedFile();

  // Growth, in the order of the calls.
  Status Grow(Span span, Growth* growth);
  Span NextAlike(Span span) const;
  Status DescendLadder(Span span, Growth* growth);
  PageKind TopRung() const;
  std::optional<PageKind> RungBelow(PageKind kind) const;
  Grant TryRung(PageKind kind, Span span, Growth* growth);
  Grant TryGibPage(Span span, Growth* growth);
  std::optional<Shortage> MapCharged(PageKind kind, Span span, Growth* growth);
  std::optional<Shortage> MapFile(PageKind kind, Span span, ExtentState prior);
  std::optional<Shortage> MapAnonymous(PageKind kind, Span span, ExtentState prior);
  std::optional<Shortage> AdviseKind(PageKind kind, Span span);
  std::optional<Shortage> FillAndLock(PageKind kind, Span span);
  BackingFile* FileOf(PageKind kind, int* error);
  void Undo(const Growth& growth);

  // Give-back.
  Status ReturnSpan(Span span);
  void ReturnToGibPage(Span span);
  // Lays an anonymous mapping without memory over the span. An errno.
  int Vacate(Span span, int protection);
  void DropFromFile(PageKind kind, Span span);
  void DropFreshPages(PageKind kind, Span span);
  // Charged for the mapped extents of the span.
  uint64_t ChargedBytesOf(Span span) const;
  bool MaySplit(uint32_t extent) const;
  bool BeginSplit(uint32_t extent);
  void EndSplit(uint32_t extent);
  // `pages_to_fill` with `prefault`.
  Status Restore(uint32_t extent, uint32_t page_count, PageSpan pages_to_fill);

  // Maps the span's place in the file to its addresses. errno's value, 0: done.
  int LayFile(const BackingFile& file, Span span);
  // Kernel mappings of explicit pages, which the kernel does not join by itself.
  void AddFileMapping(PageKind kind, Span span);
  void RemoveFileMappings(Span span);
  bool JoinMappings(PageKind kind, Span left, Span right);

  // State.
  void SetMapped(PageKind kind, Span span);
  void SetReturned(Span span);
  void Record(const Step& step);
  Status CheckSpan(const char* verb, Span span) const;
  const Extent& extent_at(uint32_t extent) const;
  Extent& MutableExtent(uint32_t extent);
  bool GibPageIsPossible(uint32_t first_of_page) const;
  uint64_t TransparentBytesBySmaps() const;
  void AdviseInheritance(Span span);
  Status ErrorFrom(const Shortage& shortage, Span span) const;

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
  // Explicit pages: first extent -> count, one kernel mapping each.
  std::map<uint32_t, uint32_t> file_mappings_;
  uint64_t charged_bytes_ = 0;
  uint64_t locked_bytes_ = 0;
  uint64_t pages_returned_ = 0;  // of all extents
  uint32_t transparent_split_count_ = 0;
  std::vector<PageFallback> fallbacks_;
};

}  // namespace flagstone::page

#endif  // FLAGSTONE_LIB_PAGE_EXTENT_RANGE_H_
