// What: what the host does not grant is either done without, and reported, or an error that names
//       the setting to change.
// How:  each limit in a forked child, which reports by its exit code.
#include <unistd.h>

#include <cstdio>

#include "tests/support/sanitizer.h"
#include "tests/weather/store_in_child.h"

namespace flagstone::testkit {
namespace {

TEST(HostLimitsTest, RequiredHugePagesThatAreNotThereAreAnErrorThatNamesTheSetting) {
  StoreOptions options = TestStoreOptions();
  options.memory.limit_bytes = uint64_t{4} << 30;  // room for whole pages
  options.pages.page_kind = PageKind::k1GiB;
  options.pages.require_huge_pages = true;
  const int outcome = InChild([&] { return UseStore(options, {"hugepages"}); });
  EXPECT_TRUE(outcome == kClearError || outcome == kWorked) << outcome;
  options.pages.require_huge_pages = false;
  EXPECT_EQ(InChild([&] { return UseStore(options, {"hugepages"}); }), kWorked);
}

TEST(HostLimitsTest, AFallbackIsReportedToLoggerListenerAndStatistics) {
  struct Listener : EventListener {
    void OnPageFallback(const PageFallback& fallback) override {
      ++count;
      reason = fallback.reason;
    }
    int count = 0;
    std::string reason;
  } listener;
  struct Messages : Logger {
    void Log(LogLevel, std::string_view message) override { text += std::string(message) + "\n"; }
    std::string text;
  } logger;
  StoreOptions options = TestStoreOptions();
  options.pages.page_kind = PageKind::k1GiB;
  options.listener = &listener;
  options.logger = &logger;
  Store store = *Store::OpenInMemory(options);
  ASSERT_TRUE(store.CreateTableOf<uint64_t>("table").ok());
  const PageReport report = store.Statistics().pages;
  EXPECT_EQ(report.requested, PageKind::k1GiB);
  if (report.fallbacks.empty()) {
    std::printf("this machine granted 1 GiB pages: no fallback to report\n");
    EXPECT_GT(report.bytes(PageKind::k1GiB), 0u);
    return;
  }
  EXPECT_GT(listener.count, 0);
  EXPECT_NE(listener.reason, "");
  EXPECT_NE(logger.text.find("1 GiB"), std::string::npos) << logger.text;
  const Result<PageReport> verified = store.VerifyPages();
  EXPECT_TRUE(verified.ok() || verified.code() == StatusCode::kIoError);
}

TEST(HostLimitsTest, ALimitOfAddressesIsAClearError) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  std::printf("sanitizers take more addresses than the limit allows: only the open is tried\n");
#endif
  StoreOptions options = TestStoreOptions();
  options.memory.limit_bytes = uint64_t{8} << 30;
  const int outcome = InChild([&] {
    Limit(RLIMIT_AS, uint64_t{4} << 30);
    return UseStore(options, {"limit"});
  });
  EXPECT_EQ(outcome, kClearError);
}

TEST(HostLimitsTest, LockedMemoryBeyondMemlockIsAClearError) {
  StoreOptions options = TestStoreOptions();
  options.pages.lock_memory = true;
  const int outcome = InChild([&] {
    Limit(RLIMIT_MEMLOCK, 64 << 10);
    if (geteuid() == 0 && setuid(65'534) != 0) return kVagueError;  // the capability goes with it
    return UseStore(options, {"RLIMIT_MEMLOCK"});
  });
  // The sanitizers make mlock() do nothing and succeed.
  EXPECT_EQ(outcome, kAddressSanitizer || kThreadSanitizer ? kWorked : kClearError);
  options.pages.lock_memory = false;
  EXPECT_EQ(InChild([&] {
              Limit(RLIMIT_MEMLOCK, 64 << 10);
              return UseStore(options, {""});
            }),
            kWorked);
}

TEST(HostLimitsTest, NoThreadsLeftIsAClearError) {
  StoreOptions options = TestStoreOptions();
  options.maintenance.mode = MaintenanceMode::kBackground;
  const int outcome = InChild([&] {
    if (geteuid() == 0 && setuid(65'534) != 0) return kVagueError;
    Limit(RLIMIT_NPROC, 0);
    return UseStore(options, {"kCallerDriven"});
  });
  EXPECT_EQ(outcome, kClearError);
}

}  // namespace
}  // namespace flagstone::testkit
