// What: in every configuration of pages and limits, growth either works or is an error that names
// the
//       thing in the way; what was granted is writable to the last byte, without SIGBUS.
// How:  each configuration runs in a child of its own that sets its limits, drops its capabilities,
//       grows, writes every page, reads after a return, and reports by its exit code.
#include <gtest/gtest.h>
#include <linux/capability.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

#include "lib/page/extent_range.h"

namespace flagstone::page {
namespace {

enum class Weather : uint8_t { kFair, kAddressLimit, kDataLimit, kMemlock64KiB, kMemlockZero };
constexpr const char* kWeatherNames[] = {"fair", "RLIMIT_AS", "RLIMIT_DATA", "memlock 64 KiB",
                                         "memlock 0"};

// The child's findings.
constexpr int kWorked = 0;
constexpr int kClearError = 1;
constexpr int kVagueError = 2;
constexpr int kWrongBytes = 3;

uint64_t CurrentKiB(const char* key) {
  FILE* const file = std::fopen("/proc/self/status", "r");
  if (file == nullptr) return 0;
  char line[256];
  unsigned long long kib = 0;
  const std::string prefix = std::string(key) + ":";
  while (std::fgets(line, sizeof line, file) != nullptr && kib == 0) {
    if (std::strncmp(line, prefix.c_str(), prefix.size()) == 0) {
      kib = std::strtoull(line + prefix.size(), nullptr, 10);
    }
  }
  std::fclose(file);
  return kib;
}

void Limit(__rlimit_resource resource, uint64_t bytes) {
  const rlimit limit{bytes, bytes};
  setrlimit(resource, &limit);
}

void DropCapabilities() {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct none[2] = {};
  syscall(SYS_capset, &header, none);
}

void Brew(Weather weather) {
  switch (weather) {
    case Weather::kFair: return;
    case Weather::kAddressLimit:
      return Limit(RLIMIT_AS, (CurrentKiB("VmSize") << 10) + 8 * kExtentBytes);
    case Weather::kDataLimit:
      return Limit(RLIMIT_DATA, (CurrentKiB("VmData") << 10) + kExtentBytes);
    case Weather::kMemlock64KiB: return Limit(RLIMIT_MEMLOCK, 64 << 10);
    case Weather::kMemlockZero: return Limit(RLIMIT_MEMLOCK, 0);
  }
}

// An error is clear when it names the range or the class of limit and says what to do.
int Judge(const Status& status, Weather weather) {
  const std::string message = status.message();
  const bool names_range = message.find("class 640") != std::string::npos;
  bool names_cause = message.find(';') != std::string::npos;
  if (weather == Weather::kAddressLimit)
    names_cause = message.find("RLIMIT_AS") != std::string::npos;
  const bool by_lock = message.find("mlock") != std::string::npos;
  if (by_lock) names_cause = message.find("RLIMIT_MEMLOCK is ") != std::string::npos;
  if (names_range && names_cause) return kClearError;
  std::fprintf(stderr, "vague: %s\n", message.c_str());
  return kVagueError;
}

int GrowAndUse(const PageOptions& pages, Weather weather) {
  DropCapabilities();
  Brew(weather);
  base::MemoryAccount account(MemoryOptions{});
  ExtentRangeOptions options;
  options.pages = pages;
  options.extent_count_max = 16;
  options.name = "class 640";
  Result<std::unique_ptr<ExtentRange>> range = ExtentRange::Reserve(options, account);
  if (!range.ok()) return Judge(range.status(), weather);
  const Result<uint32_t> mapped = (*range)->Map(0, 3);
  if (!mapped.ok()) {
    return account.used_bytes() == 0 ? Judge(mapped.status(), weather) : kWrongBytes;
  }
  for (uint64_t offset = 0; offset < 3 * kExtentBytes; offset += 4096) {
    (*range)->base()[offset] = std::byte{1};
  }
  if (!(*range)->Return(0, 3).ok()) return kVagueError;
  for (uint64_t offset = 0; offset < 3 * kExtentBytes; offset += 4096) {
    if ((*range)->base()[offset] != std::byte{0}) return kWrongBytes;
  }
  return kWorked;
}

TEST(BadWeatherTest, EveryConfigurationWorksOrSaysWhyNot) {
  int worked = 0, refused = 0;
  for (int weather = 0; weather < 5; ++weather) {
    for (int choice = 0; choice < 32; ++choice) {
      PageOptions pages;
      pages.page_kind = static_cast<PageKind>(choice & 3);
      pages.require_huge_pages = (choice & 4) != 0;
      pages.prefault = (choice & 8) != 0;
      pages.lock_memory = (choice & 16) != 0;
      if (!pages.Validate().ok()) continue;
      SCOPED_TRACE(std::string(kWeatherNames[weather]) + ", " +
                   std::string(PageKindName(pages.page_kind)) + ", require " +
                   std::to_string(pages.require_huge_pages) + ", prefault " +
                   std::to_string(pages.prefault) + ", lock " + std::to_string(pages.lock_memory));
      std::fflush(nullptr);
      const pid_t child = fork();
      if (child == 0) _exit(GrowAndUse(pages, static_cast<Weather>(weather)));
      int status = 0;
      ASSERT_EQ(waitpid(child, &status, 0), child);
      ASSERT_TRUE(WIFEXITED(status)) << "killed by signal " << WTERMSIG(status);
      const int found = WEXITSTATUS(status);
      EXPECT_LE(found, kClearError);
      if (weather == 0 && !pages.lock_memory && !pages.require_huge_pages) {
        EXPECT_EQ(found, kWorked);
      }
      (found == kWorked ? worked : refused) += 1;
    }
  }
  EXPECT_GT(refused, 0);
  std::printf("row 19: %d configurations, %d worked, %d refused with a clear error\n",
              worked + refused, worked, refused);
}

}  // namespace
}  // namespace flagstone::page
