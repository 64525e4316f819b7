// Extents on every kind of page this machine has, and on those it has not through a fake that fails
// single calls.
#include "lib/page/extent_range.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>
#include <fstream>

#include "tests/unit/page/fake_system_memory.h"

namespace flagstone::page {
namespace {

using ::testing::HasSubstr;

constexpr uint64_t kMiB = 1 << 20;

MemoryOptions LimitOf(uint64_t bytes) {
  MemoryOptions options;
  options.limit_bytes = bytes;
  options.delete_reserve_bytes = kExtentBytes;
  return options;
}

// Reserves explicit 2 MiB pages for one test when that is allowed, and restores the pool.
class ScopedPool {
 public:
  explicit ScopedPool(int page_count) {
    std::ifstream(kFile) >> before_;
    std::ofstream(kFile) << before_ + page_count;
    std::ifstream(kFile) >> now_;
  }
  ~ScopedPool() { std::ofstream(kFile) << before_; }
  bool granted() const { return now_ > before_; }
  int page_count() const { return now_ - before_; }

 private:
  static constexpr char kFile[] = "/proc/sys/vm/nr_hugepages";
  int before_ = 0;
  int now_ = 0;
};

class ExtentRangeTest : public testing::Test {
 protected:
  static ExtentRangeOptions Options(PageKind kind) {
    ExtentRangeOptions options;
    options.pages.page_kind = kind;
    options.extent_count_max = 64;
    options.name = "class 640";
    return options;
  }
  std::unique_ptr<ExtentRange> Open(ExtentRangeOptions options) {
    Result<std::unique_ptr<ExtentRange>> range =
        ExtentRange::Reserve(std::move(options), account_, system_);
    EXPECT_TRUE(range.ok()) << range.status().ToString();
    return range.ok() ? std::move(*range) : nullptr;
  }
  static bool AllZero(const std::byte* address) {
    for (uint64_t i = 0; i < kExtentBytes; i += 512) {
      if (address[i] != std::byte{0}) return false;
    }
    return true;
  }

  FakeSystemMemory system_;
  base::MemoryAccount account_{LimitOf(3 << 30)};
};

// ---- Life of an extent
// -----------------------------------------------------------------------------

class EveryKindTest : public ExtentRangeTest, public testing::WithParamInterface<PageKind> {};
INSTANTIATE_TEST_SUITE_P(Kinds, EveryKindTest,
                         testing::Values(PageKind::k4KiB, PageKind::kTransparent2MiB,
                                         PageKind::k2MiB));

TEST_P(EveryKindTest, ExtentsAreWritableThenZeroThenWritableAgain) {
  const auto range = Open(Options(GetParam()));
  ASSERT_EQ(range->Map(0, 4).value(), 4u);
  EXPECT_EQ(account_.used_bytes(), 4 * kExtentBytes);
  std::memset(range->base(), 0xab, 4 * kExtentBytes);
  ASSERT_TRUE(range->Return(1, 2).ok());
  EXPECT_EQ(account_.used_bytes(), 2 * kExtentBytes);
  EXPECT_TRUE(AllZero(range->extent_address(1)));
  EXPECT_TRUE(AllZero(range->extent_address(2)));
  EXPECT_EQ(range->extent_address(0)[kExtentBytes - 1], std::byte{0xab});
  EXPECT_EQ(range->extent_address(3)[0], std::byte{0xab});
  EXPECT_EQ(range->state(1), ExtentState::kReturned);
  ASSERT_EQ(range->Map(1, 2).value(), 2u);
  EXPECT_TRUE(AllZero(range->extent_address(1)));
  std::memset(range->extent_address(1), 1, 2 * kExtentBytes);
  EXPECT_EQ(range->Report().bytes_returned, 0u);
}

TEST_P(EveryKindTest, ReportAndSmapsAgreeOnHowMuchIsMapped) {
  ExtentRangeOptions options = Options(GetParam());
  options.pages.prefault = true;
  const auto range = Open(options);
  ASSERT_TRUE(range->Map(0, 6).ok());
  ASSERT_TRUE(range->Return(2, 1).ok());
  const PageReport by_call = range->Report();
  const PageReport by_smaps = range->Verify().value();
  uint64_t granted = 0, resident = 0;
  for (size_t i = 0; i < kPageKindCount; ++i) {
    granted += by_call.bytes_by_kind[i];
    resident += by_smaps.bytes_by_kind[i];
  }
  EXPECT_EQ(granted, 5 * kExtentBytes);
  EXPECT_EQ(resident, 5 * kExtentBytes);
  EXPECT_EQ(by_smaps.bytes_untouched, 0u);
  EXPECT_EQ(by_smaps.verification, PageVerification::kBySmaps);
  EXPECT_EQ(by_call.bytes_returned, kExtentBytes);
  EXPECT_EQ(by_call.bytes_reserved, (64 - 6) * kExtentBytes);
  for (PageKind kind : {PageKind::k2MiB, PageKind::k1GiB}) {
    EXPECT_EQ(by_call.bytes(kind), by_smaps.bytes(kind));
  }
}

TEST_P(EveryKindTest, TheAccountIsEmptyAfterTheRangeIsGone) {
  Open(Options(GetParam()))->Map(3, 5).value();
  EXPECT_EQ(account_.used_bytes(), 0u);
}

TEST_F(ExtentRangeTest, FourKibMemoryIsTakenWhenTouchedUnlessPrefaulted) {
  const auto lazy = Open(Options(PageKind::k4KiB));
  ASSERT_TRUE(lazy->Map(0, 2).ok());
  EXPECT_EQ(lazy->Verify()->bytes_untouched, 2 * kExtentBytes);
  lazy->base()[0] = std::byte{1};
  EXPECT_EQ(lazy->Verify()->bytes(PageKind::k4KiB), 4096u);
}

TEST_F(ExtentRangeTest, BaseIsAlignedToTheLargestPageAsked) {
  EXPECT_EQ(reinterpret_cast<uintptr_t>(Open(Options(PageKind::k2MiB))->base()) % kExtentBytes, 0u);
  const auto range = Open(Options(PageKind::k1GiB));
  EXPECT_EQ(reinterpret_cast<uintptr_t>(range->base()) % kGibBytes, 0u);
  EXPECT_EQ(range->extent_count_max(), kExtentsPerGib);
}

TEST_F(ExtentRangeTest, WrongSpansAreRefusedAndNamed) {
  const auto range = Open(Options(PageKind::k4KiB));
  ASSERT_TRUE(range->Map(0, 2).ok());
  EXPECT_EQ(range->Map(1, 1).code(), StatusCode::kFailedPrecondition);
  EXPECT_THAT(range->Map(1, 1).status().message(), HasSubstr("extent 1 is mapped already"));
  EXPECT_EQ(range->Map(63, 2).code(), StatusCode::kResourceExhausted);
  EXPECT_EQ(range->Map(5, 0).code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(range->Map(UINT32_MAX, UINT32_MAX).code(), StatusCode::kResourceExhausted);
  EXPECT_EQ(range->Return(5, 1).code(), StatusCode::kFailedPrecondition);
  ASSERT_TRUE(range->Return(0, 1).ok());
  EXPECT_EQ(range->Return(0, 1).code(), StatusCode::kFailedPrecondition);
}

TEST_F(ExtentRangeTest, BadNamesAndCountsAreRefused) {
  for (const char* name : {"", "../x", "a/b", ".hidden"}) {
    ExtentRangeOptions options = Options(PageKind::k4KiB);
    options.name = name;
    EXPECT_EQ(ExtentRange::Reserve(options, account_).code(), StatusCode::kInvalidArgument) << name;
  }
  ExtentRangeOptions options = Options(PageKind::k4KiB);
  options.extent_count_max = 0;
  EXPECT_EQ(ExtentRange::Reserve(options, account_).code(), StatusCode::kInvalidArgument);
}

// ---- Few kernel mappings
// ---------------------------------------------------------------------------

TEST_F(ExtentRangeTest, ThousandsOfOrdinaryExtentsStandInFewMappings) {
  ExtentRangeOptions options = Options(PageKind::k4KiB);
  options.extent_count_max = 1000;
  const auto range = Open(options);
  for (uint32_t extent = 0; extent < 1000; ++extent) ASSERT_TRUE(range->Map(extent, 1).ok());
  EXPECT_LE(range->Verify()->kernel_mapping_count, 2u);
}

// What: explicit pages, which the kernel never joins, stand in O(log n) mappings and keep their
// bytes. How:  an ordinary memory file plays the pool; each extent gets its number before the next
// is mapped.
TEST_F(ExtentRangeTest, ExplicitExtentsAreJoinedAsTheyGrow) {
  system_.pretends_explicit_pages = true;
  ExtentRangeOptions options = Options(PageKind::k2MiB);
  options.extent_count_max = 256;
  const auto range = Open(options);
  for (uint32_t extent = 0; extent < 256; ++extent) {
    ASSERT_TRUE(range->Map(extent, 1).ok());
    std::memcpy(range->extent_address(extent), &extent, sizeof extent);
  }
  EXPECT_LT(system_.map_call_count, 1 + 2 * 256);
  ASSERT_TRUE(range->Return(100, 3).ok());
  ASSERT_TRUE(range->Map(100, 3).ok());
  for (uint32_t extent = 0; extent < 256; ++extent) {
    uint32_t found = 0;
    std::memcpy(&found, range->extent_address(extent), sizeof found);
    EXPECT_EQ(found, extent >= 100 && extent < 103 ? 0 : extent);
  }
}

// ---- The ladder
// ------------------------------------------------------------------------------------

TEST_F(ExtentRangeTest, AnEmptyPoolFallsBackAndSaysWhatToWriteWhere) {
  system_.on_allocate = [](uint64_t) { return ENOSPC; };
  system_.texts["/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages"] = "5\n";
  system_.texts["/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages"] = "1\n";
  system_.texts["/sys/kernel/mm/transparent_hugepage/enabled"] = "always [madvise] never\n";
  system_.memory_file_error = 0;
  system_.pretends_explicit_pages = true;
  std::vector<PageFallback> told;
  ExtentRangeOptions options = Options(PageKind::k2MiB);
  options.on_fallback = [&](const PageFallback& fallback) { told.push_back(fallback); };
  const auto range = Open(options);
  ASSERT_TRUE(range->Map(0, 3).ok());
  ASSERT_TRUE(range->Map(3, 1).ok());
  ASSERT_EQ(told.size(), 1u);  // told once, counted always
  EXPECT_THAT(told[0].reason, HasSubstr("3 needed, 1 free of 5"));
  EXPECT_THAT(
      told[0].reason,
      HasSubstr("write 7 or more to /sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages"));
  EXPECT_EQ(range->Report().fallbacks[0].growth_count, 2u);
  EXPECT_EQ(range->Report().fallbacks[0].bytes, 4 * kExtentBytes);
  EXPECT_EQ(range->page_kind(0), PageKind::kTransparent2MiB);
}

TEST_F(ExtentRangeTest, AScarcePoolServesTheHeadAndTheNextRungTheRest) {
  uint64_t left = 5 * kExtentBytes;
  system_.pretends_explicit_pages = true;
  system_.on_allocate = [&](uint64_t bytes) {
    if (bytes > left) return ENOSPC;
    left -= bytes;
    return 0;
  };
  const auto range = Open(Options(PageKind::k2MiB));
  ASSERT_EQ(range->Map(0, 12).value(), 12u);
  EXPECT_EQ(range->Report().bytes(PageKind::k2MiB), 5 * kExtentBytes);
  EXPECT_EQ(account_.used_bytes(), 12 * kExtentBytes);
  EXPECT_EQ(range->page_kind(4), PageKind::k2MiB);
  EXPECT_NE(range->page_kind(5), PageKind::k2MiB);
}

TEST_F(ExtentRangeTest, RequireMakesEachMissingRungAnErrorThatChangesNothing) {
  struct Case {
    PageKind kind;
    std::function<void(FakeSystemMemory*)> breaks;
    const char* setting;
  };
  const std::vector<Case> cases = {
      {PageKind::k2MiB, [](auto* s) { s->on_allocate = [](uint64_t) { return ENOSPC; }; },
       "hugepages-2048kB"},
      {PageKind::k2MiB, [](auto* s) { s->memory_file_error = ENOSYS; }, "hugepages"},
      {PageKind::k1GiB, [](auto* s) { s->on_allocate = [](uint64_t) { return ENOMEM; }; },
       "1 GiB pages"},
      {PageKind::kTransparent2MiB,
       [](auto* s) {
         s->texts["/sys/kernel/mm/transparent_hugepage/enabled"] = "always madvise [never]\n";
       },
       "write madvise to it"},
      {PageKind::kTransparent2MiB,
       [](auto* s) {
         s->texts["/sys/kernel/mm/transparent_hugepage/enabled"] = "[madvise]";
         s->on_advise = [](int advice) { return advice == MADV_HUGEPAGE ? EINVAL : 0; };
       },
       "CONFIG_TRANSPARENT_HUGEPAGE"},
      {PageKind::kTransparent2MiB,
       [](auto* s) {
         s->texts["/sys/kernel/mm/transparent_hugepage/enabled"] = "[madvise]";
         s->texts["/proc/self/smaps"] = "";  // nothing came as huge pages
       },
       "compact_memory"},
  };
  for (const Case& each : cases) {
    SCOPED_TRACE(each.setting);
    FakeSystemMemory system;
    each.breaks(&system);
    ExtentRangeOptions options = Options(each.kind);
    options.pages.require_huge_pages = true;
    auto range = ExtentRange::Reserve(options, account_, system).value();
    const Result<uint32_t> mapped = range->Map(0, 2);
    ASSERT_FALSE(mapped.ok());
    EXPECT_THAT(mapped.status().message(), HasSubstr(each.setting));
    EXPECT_THAT(mapped.status().message(), HasSubstr("class 640"));
    EXPECT_EQ(account_.used_bytes(), 0u);
    EXPECT_EQ(range->state(0), ExtentState::kReserved);
    EXPECT_TRUE(range->Report().fallbacks.empty());
  }
}

TEST_F(ExtentRangeTest, OrdinaryMemoryThatFailsIsAnErrorThatChangesNothing) {
  const std::vector<std::function<void(FakeSystemMemory*)>> breaks = {
      [](auto* s) { s->protect_error = ENOMEM; },
      [](auto* s) { s->populate_error = EFAULT; },
      [](auto* s) { s->lock_error = ENOMEM; },
      [](auto* s) { s->bind_error = EPERM; },
  };
  for (size_t i = 0; i < breaks.size(); ++i) {
    SCOPED_TRACE(i);
    FakeSystemMemory system;
    breaks[i](&system);
    ExtentRangeOptions options = Options(PageKind::k4KiB);
    options.pages.prefault = true;
    options.pages.lock_memory = i == 2;
    if (i == 3) options.pages.numa_node = 0;
    auto range = ExtentRange::Reserve(options, account_, system).value();
    EXPECT_FALSE(range->Map(0, 2).ok());
    EXPECT_EQ(account_.used_bytes(), 0u);
    EXPECT_EQ(range->Report().bytes_locked, 0u);
    system.protect_error = system.populate_error = system.lock_error = system.bind_error = 0;
    system.lock_error = 0;
    if (i != 2 && i != 3) {
      ASSERT_TRUE(range->Map(0, 2).ok());
      range->base()[0] = std::byte{1};
    }
  }
}

TEST_F(ExtentRangeTest, AFailedRemapLeavesReturnedExtentsReadable) {
  const auto range = Open(Options(PageKind::k4KiB));
  ASSERT_TRUE(range->Map(0, 2).ok());
  ASSERT_TRUE(range->Return(0, 1).ok());
  system_.on_map = [](const MapRequest& request) {
    return (request.protection & PROT_WRITE) != 0 ? ENOMEM : 0;
  };
  EXPECT_EQ(range->Map(0, 1).code(), StatusCode::kResourceExhausted);
  EXPECT_EQ(range->state(0), ExtentState::kReturned);
  EXPECT_TRUE(AllZero(range->base()));
}

TEST_F(ExtentRangeTest, TheLockErrorNamesTheLimitAndTheBytesNeeded) {
  system_.lock_error = ENOMEM;
  ExtentRangeOptions options = Options(PageKind::k4KiB);
  options.pages.lock_memory = true;
  const Status status = Open(options)->Map(0, 1).status();
  EXPECT_THAT(status.message(), HasSubstr("RLIMIT_MEMLOCK is "));
  EXPECT_THAT(status.message(), HasSubstr("2097152"));
}

TEST_F(ExtentRangeTest, AFullAccountRefusesGrowthBeforeAnyMemoryIsTaken) {
  base::MemoryAccount small(LimitOf(8 * kMiB));
  auto range = ExtentRange::Reserve(Options(PageKind::k4KiB), small).value();
  ASSERT_TRUE(range->Map(0, 3).ok());
  const Status status = range->Map(3, 1).status();
  EXPECT_EQ(status.code(), StatusCode::kResourceExhausted);
  EXPECT_THAT(status.message(), HasSubstr("limit_bytes"));
  EXPECT_TRUE(range->Map(3, 1, base::MemoryPool::kDeleteReserve).ok());
}

// ---- 1 GiB pages
// -----------------------------------------------------------------------------------

// How:  an ordinary sparse memory file plays the 1 GiB pool.
TEST_F(ExtentRangeTest, OneGibPageServesItsExtentsUntilAllAreReturned) {
  system_.pretends_explicit_pages = true;
  ExtentRangeOptions options = Options(PageKind::k1GiB);
  options.extent_count_max = 2 * kExtentsPerGib;
  const auto range = Open(options);
  EXPECT_EQ(range->Map(0, 1).value(), kExtentsPerGib);
  EXPECT_EQ(account_.used_bytes(), kGibBytes);
  range->extent_address(7)[9] = std::byte{9};
  ASSERT_TRUE(range->Return(7, 1).ok());
  EXPECT_EQ(range->extent_address(7)[9], std::byte{0});
  EXPECT_EQ(account_.used_bytes(), kGibBytes);
  EXPECT_EQ(range->Map(7, 1).value(), 1u);
  ASSERT_TRUE(range->Return(0, kExtentsPerGib).ok());
  EXPECT_EQ(account_.used_bytes(), 0u);
  EXPECT_EQ(range->extent_address(7)[9], std::byte{0});
  EXPECT_EQ(range->Map(5, 2).value(), kExtentsPerGib - 5);
  EXPECT_EQ(range->state(4), ExtentState::kReturned);
  EXPECT_EQ(range->Map(0, 5).value(), 5u);
  EXPECT_EQ(account_.used_bytes(), kGibBytes);
}

TEST_F(ExtentRangeTest, ALimitWithoutRoomForAGibFallsBackToSmallerPages) {
  base::MemoryAccount small(LimitOf(64 * kMiB));
  system_.pretends_explicit_pages = true;
  auto range = ExtentRange::Reserve(Options(PageKind::k1GiB), small, system_).value();
  EXPECT_EQ(range->Map(0, 2).value(), 2u);
  EXPECT_EQ(range->page_kind(0), PageKind::k2MiB);
  EXPECT_EQ(range->Report().fallbacks[0].wanted, PageKind::k1GiB);
}

// ---- This machine's pool
// ---------------------------------------------------------------------------

TEST_F(ExtentRangeTest, ExplicitPagesAreCountedInSmapsOrTheFallbackIsReported) {
  const ScopedPool pool(4);
  const auto range = Open(Options(PageKind::k2MiB));
  ASSERT_TRUE(range->Map(0, 6).ok());
  std::memset(range->base(), 1, 6 * kExtentBytes);
  const PageReport report = range->Verify().value();
  std::printf("covered: %d explicit pages of 2 MiB\n", pool.page_count());
  EXPECT_EQ(report.bytes(PageKind::k2MiB), range->Report().bytes(PageKind::k2MiB));
  if (pool.page_count() == 4) {
    EXPECT_GE(report.bytes(PageKind::k2MiB), 4 * kExtentBytes);
  } else {
    EXPECT_FALSE(report.fallbacks.empty());
  }
  ASSERT_TRUE(range->Return(0, 6).ok());
  EXPECT_EQ(range->Verify()->bytes(PageKind::k2MiB), 0u);
}

// ---- Fork
// ------------------------------------------------------------------------------------------

TEST_F(ExtentRangeTest, AChildHasNoneOfTheMemory) {
  const auto range = Open(Options(PageKind::kTransparent2MiB));
  ASSERT_TRUE(range->Map(0, 1).ok());
  const pid_t child = fork();
  if (child == 0) {
    // An address without a mapping: mincore says ENOMEM.
    unsigned char resident = 0;
    _exit(mincore(range->base(), 4096, &resident) != 0 && errno == ENOMEM ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
}

// The fear: a tmpfs that is too small is taken for a shortage of memory, and whoever reads the
// error looks for it everywhere but at the mount.
TEST_F(ExtentRangeTest, AFullMountIsNamedWithTheWayToEnlargeIt) {
  const std::string directory = "/dev/shm/flagstone-full-" + std::to_string(getpid());
  ASSERT_EQ(mkdir(directory.c_str(), 0700), 0);
  ExtentRangeOptions options = Options(PageKind::k4KiB);
  options.pages.backing_directory = directory;
  const auto range = Open(options);
  system_.on_allocate = [](uint64_t) { return ENOSPC; };
  const Status full = range->Map(0, 1).status();
  EXPECT_EQ(full.code(), StatusCode::kNoSpace);
  EXPECT_THAT(full.message(), HasSubstr(directory));
  EXPECT_THAT(full.message(), HasSubstr("size="));
  EXPECT_EQ(account_.used_bytes(), 0u);
  unlink((directory + "/class-640.extents").c_str());
  rmdir(directory.c_str());
}

// ---- Parts of extents
// ----------------------------------------------------------------------------------

class PartsTest : public ExtentRangeTest, public testing::WithParamInterface<PageKind> {
 protected:
  static uint64_t Resident(const ExtentRange& range) {
    uint64_t sum = 0;
    const PageReport report = range.Verify().value();
    for (const uint64_t bytes : report.bytes_by_kind) sum += bytes;
    return sum;
  }
};
INSTANTIATE_TEST_SUITE_P(Kinds, PartsTest,
                         testing::Values(PageKind::k4KiB, PageKind::kTransparent2MiB));

TEST_P(PartsTest, ReturnedPagesLeaveTheKernelAndTheAccountAndTheOthersStay) {
  const auto range = Open(Options(GetParam()));
  ASSERT_TRUE(range->Map(0, 3).ok());
  std::memset(range->base(), 0xab, 3 * kExtentBytes);
  ASSERT_EQ(Resident(*range), 3 * kExtentBytes);
  ASSERT_TRUE(range->CanReturnPages(1));
  ASSERT_TRUE(range->ReturnPages(1, {10, 100}));
  ASSERT_TRUE(range->ReturnPages(1, {200, 312}));
  const uint64_t returned = 412 * kSmallPageBytes;
  EXPECT_EQ(Resident(*range), 3 * kExtentBytes - returned);
  EXPECT_EQ(account_.used_bytes(), 3 * kExtentBytes - returned);
  EXPECT_EQ(range->bytes_returned_in_parts(), returned);
  const PageReport report = range->Verify().value();
  EXPECT_EQ(report.bytes_returned_in_parts, returned);
  EXPECT_EQ(report.bytes_returned, returned);
  EXPECT_EQ(report.bytes_untouched, 0u);
  const std::byte* at = range->extent_address(1);
  for (uint32_t page = 0; page < kPagesPerExtent; ++page) {
    const bool gone = (page >= 10 && page < 110) || page >= 200;
    ASSERT_EQ(at[page * kSmallPageBytes], gone ? std::byte{0} : std::byte{0xab}) << page;
  }
  // To have read them brings nothing back.
  EXPECT_EQ(Resident(*range), 3 * kExtentBytes - returned);
}

TEST_P(PartsTest, RestoredPagesAreChargedAndWritable) {
  const auto range = Open(Options(GetParam()));
  ASSERT_TRUE(range->Map(0, 1).ok());
  std::memset(range->base(), 0xab, kExtentBytes);
  ASSERT_TRUE(range->ReturnPages(0, {256, 256}));
  ASSERT_TRUE(range->RestorePages(0, {256, 1}).ok());
  std::memset(range->base() + 256 * kSmallPageBytes, 1, kSmallPageBytes);
  EXPECT_EQ(account_.used_bytes(), 257 * kSmallPageBytes);
  EXPECT_EQ(Resident(*range), 257 * kSmallPageBytes);
  ASSERT_TRUE(range->RestoreAllPages(0).ok());
  EXPECT_EQ(account_.used_bytes(), kExtentBytes);
  EXPECT_EQ(range->Report().bytes_returned, 0u);
  ASSERT_TRUE(range->ReturnPages(0, {0, 512}));
  EXPECT_EQ(account_.used_bytes(), 0u);
}

TEST_P(PartsTest, AnExtentGoesBackAsAWholeWithPartsOfItGoneBefore) {
  const auto range = Open(Options(GetParam()));
  ASSERT_TRUE(range->Map(0, 2).ok());
  std::memset(range->base(), 0xab, 2 * kExtentBytes);
  ASSERT_TRUE(range->ReturnPages(0, {0, 300}));
  ASSERT_TRUE(range->Return(0, 1).ok());
  EXPECT_EQ(account_.used_bytes(), kExtentBytes);
  EXPECT_EQ(range->bytes_returned_in_parts(), 0u);
  ASSERT_TRUE(range->Map(0, 1).ok());
  EXPECT_EQ(account_.used_bytes(), 2 * kExtentBytes);
  EXPECT_TRUE(AllZero(range->base()));
  std::memset(range->base(), 1, kExtentBytes);
}

TEST_P(PartsTest, AtTheMemoryLimitPagesStayReturned) {
  base::MemoryAccount small(LimitOf(2 * kExtentBytes));
  Result<std::unique_ptr<ExtentRange>> range =
      ExtentRange::Reserve(Options(GetParam()), small, system_);
  ASSERT_TRUE((*range)->Map(0, 1).ok());
  ASSERT_TRUE((*range)->ReturnPages(0, {0, 2}));
  base::MemoryCharge other = *base::MemoryCharge::Take(
      small, MemoryComponent::kOther, small.limit_bytes() - kExtentBytes - small.used_bytes());
  EXPECT_EQ((*range)->RestorePages(0, {0, 1}).code(), StatusCode::kResourceExhausted);
  EXPECT_EQ((*range)->bytes_returned_in_parts(), 2 * kSmallPageBytes);
  other.Release();
  EXPECT_TRUE((*range)->RestorePages(0, {0, 2}).ok());
}

TEST_P(PartsTest, WhatTheKernelKeepsStaysChargedAndAsItWas) {
  const auto range = Open(Options(GetParam()));
  ASSERT_TRUE(range->Map(0, 1).ok());
  std::memset(range->base(), 0xab, kExtentBytes);
  system_.on_advise = [](int advice) { return advice == MADV_DONTNEED ? EINVAL : 0; };
  EXPECT_FALSE(range->ReturnPages(0, {0, 512}));
  EXPECT_EQ(account_.used_bytes(), kExtentBytes);
  EXPECT_EQ(range->base()[0], std::byte{0xab});
}

TEST_F(ExtentRangeTest, TransparentPagesAreSplitUpToABoundAndJoinedAgain) {
  ExtentRangeOptions options = Options(PageKind::kTransparent2MiB);
  options.extent_count_max = 1026;
  const auto range = Open(options);
  ASSERT_TRUE(range->Map(0, 1026).ok());
  if (range->page_kind(0) != PageKind::kTransparent2MiB) GTEST_SKIP() << "no transparent pages";
  int joined = 0;
  system_.on_advise = [&joined](int advice) {
    joined += advice == MADV_HUGEPAGE ? 1 : 0;
    return 0;
  };
  for (uint32_t extent = 0; extent < 1024; ++extent) {
    ASSERT_TRUE(range->ReturnPages(extent, {0, 256})) << extent;
  }
  EXPECT_FALSE(range->ReturnPages(1024, {0, 256}));
  EXPECT_EQ(joined, 0);
  ASSERT_TRUE(range->RestoreAllPages(7).ok());
  EXPECT_EQ(joined, 1);
  EXPECT_TRUE(range->ReturnPages(1024, {0, 256}));
  ASSERT_TRUE(range->Return(8, 1).ok());
  EXPECT_TRUE(range->ReturnPages(1025, {0, 256}));
}

TEST_F(ExtentRangeTest, ExplicitLockedRequiredAndNamedPagesAreNotReturnedInParts) {
  system_.pretends_explicit_pages = true;
  const auto explicit_pages = Open(Options(PageKind::k2MiB));
  ExtentRangeOptions locked = Options(PageKind::k4KiB);
  locked.pages.lock_memory = true;
  const auto locked_pages = Open(locked);
  ExtentRangeOptions required = Options(PageKind::kTransparent2MiB);
  required.pages.require_huge_pages = true;
  const auto required_pages = Open(required);
  const std::string directory = "/dev/shm/flagstone-parts-" + std::to_string(getpid());
  ASSERT_EQ(mkdir(directory.c_str(), 0700), 0);
  ExtentRangeOptions named = Options(PageKind::k4KiB);
  named.pages.backing_directory = directory;
  const auto named_pages = Open(named);
  for (ExtentRange* range :
       {explicit_pages.get(), locked_pages.get(), required_pages.get(), named_pages.get()}) {
    EXPECT_FALSE(range->CanReturnPages(0));  // not mapped
    if (!range->Map(0, 1).ok()) continue;    // locked memory and huge pages are not always granted
    const uint64_t used = account_.used_bytes();
    EXPECT_FALSE(range->CanReturnPages(0));
    EXPECT_FALSE(range->ReturnPages(0, {0, 512}));
    EXPECT_EQ(account_.used_bytes(), used);
  }
  unlink((directory + "/class-640.extents").c_str());
  rmdir(directory.c_str());
}

}  // namespace
}  // namespace flagstone::page
