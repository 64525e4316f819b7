// What: whatever pages are asked for and whatever the host denies, a store works, or answers with
// an
//       error that names the thing in the way; never a signal, never wrong bytes. Row 19.
// How:  page options x limits of the host, each in a child of its own, which mounts what its
//       backing files lie on for itself alone. A submission draws some of the combinations and
//       always each limit with the default pages and each backing on a fair host; a long run takes
//       all. What cannot be made here is named.
#include <linux/filter.h>
#include <linux/membarrier.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>

#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <optional>
#include <set>

#include "tests/support/sanitizer.h"
#include "tests/support/scorecard.h"
#include "tests/support/seeded_random.h"
#include "tests/support/test_scale.h"
#include "tests/weather/store_in_child.h"

namespace flagstone::testkit {
namespace {

enum class Host : uint8_t {
  kFair,
  kAddressLimit,
  kDataLimit,
  kMemlock64KiB,
  kMemlockZero,
  kNoThreads,
  kNoMembarrier,  // as under an older seccomp profile
  kNoNumaCalls,   // as under Docker's
  kMemoryCgroup,  // with room for the store
  kCount,
};
constexpr const char* kHostNames[] = {"fair",           "RLIMIT_AS", "RLIMIT_DATA",
                                      "memlock 64 KiB", "memlock 0", "no threads",
                                      "no membarrier",  "no mbind",  "memory cgroup"};
static_assert(std::size(kHostNames) == static_cast<size_t>(Host::kCount));

// Of the row, however short the run.
constexpr uint64_t kConfigurationsMin = 30;

enum class Backing : uint8_t {
  kAnonymous,
  kTmpfs,
  kHugeTmpfs,   // transparent pages
  kSmallTmpfs,  // full before the store is
  kHugetlbfs,   // explicit 2 MiB pages, as far as the pool has them
  kSmallHugetlbfs,
  kOtherFiles,  // on neither
  kNoDirectory,
  kCount
};
constexpr const char* kBackingNames[] = {"anonymous",           "tmpfs",       "tmpfs huge=always",
                                         "tmpfs of 1 MiB",      "hugetlbfs",   "hugetlbfs of 1 MiB",
                                         "another file system", "no directory"};
static_assert(std::size(kBackingNames) == static_cast<size_t>(Backing::kCount));

// What the child mounts over its directory, where it is not what the test has made.
struct Mount {
  const char* type;
  const char* options;
};
std::optional<Mount> MountOf(Backing backing) {
  switch (backing) {
    case Backing::kHugeTmpfs: return Mount{"tmpfs", "size=256m,huge=always,mode=0777"};
    case Backing::kSmallTmpfs: return Mount{"tmpfs", "size=1m,mode=0777"};
    case Backing::kHugetlbfs: return Mount{"hugetlbfs", "pagesize=2M,mode=0777"};
    case Backing::kSmallHugetlbfs: return Mount{"hugetlbfs", "pagesize=2M,size=1M,mode=0777"};
    case Backing::kOtherFiles: return Mount{"ramfs", "mode=0777"};
    default: return std::nullopt;
  }
}
enum class Node : uint8_t { kAny, kFirst, kMissing, kCount };

struct Configuration {
  Host host = Host::kFair;
  PageKind page_kind = PageKind::k2MiB;
  bool require_huge_pages = false;
  bool prefault = false;
  bool lock_memory = false;
  Node node = Node::kAny;
  Backing backing = Backing::kAnonymous;

  std::string ToString() const {
    return std::string(kHostNames[static_cast<size_t>(host)]) + ", " +
           std::string(PageKindName(page_kind)) + (require_huge_pages ? ", required" : "") +
           (prefault ? ", prefault" : "") + (lock_memory ? ", lock" : "") + ", node " +
           std::to_string(static_cast<int>(node)) + ", " +
           kBackingNames[static_cast<size_t>(backing)];
  }
};

std::vector<Configuration> AllConfigurations() {
  std::vector<Configuration> all;
  for (uint32_t host = 0; host < static_cast<uint32_t>(Host::kCount); ++host) {
    for (uint32_t pages = 0; pages < 32; ++pages) {
      for (uint32_t node = 0; node < static_cast<uint32_t>(Node::kCount); ++node) {
        for (uint32_t backing = 0; backing < static_cast<uint32_t>(Backing::kCount); ++backing) {
          const Configuration one{static_cast<Host>(host),
                                  static_cast<PageKind>(pages & 3),
                                  (pages & 4) != 0,
                                  (pages & 8) != 0,
                                  (pages & 16) != 0,
                                  static_cast<Node>(node),
                                  static_cast<Backing>(backing)};
          // The options themselves do not allow it.
          if (one.require_huge_pages && one.page_kind == PageKind::k4KiB) continue;
          all.push_back(one);
        }
      }
    }
  }
  return all;
}

// One of them; most have nothing odd but the host and the pages.
Configuration Draw(const std::vector<Configuration>& all, SeededRandom& random) {
  for (;;) {
    const Configuration& drawn = all[random.Below(static_cast<uint32_t>(all.size()))];
    const bool odd = drawn.node == Node::kMissing || drawn.backing == Backing::kNoDirectory;
    if (!odd || random.OneIn(8)) return drawn;
  }
}

// The system call answers EPERM from now on, in this process.
void Deny(uint32_t call) {
  sock_filter filter[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, call, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  const sock_fprog program{static_cast<unsigned short>(std::size(filter)), filter};
  prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

// A cgroup of 512 MiB for one child, where this process may make one.
class MemoryCgroup {
 public:
  MemoryCgroup() {
    const std::string name = "/flagstone-test-" + std::to_string(getpid());
    for (const char* root : {"/sys/fs/cgroup/memory", "/sys/fs/cgroup"}) {
      std::error_code error;
      if (!std::filesystem::exists(std::string(root) + "/cgroup.procs", error)) continue;
      directory_ = root + name;
      if (!std::filesystem::create_directory(directory_, error)) continue;
      for (const char* file : {"/memory.limit_in_bytes", "/memory.max"}) {
        if (std::filesystem::exists(directory_ + file, error)) {
          std::ofstream limit(directory_ + file);
          made_ = static_cast<bool>(limit << (512 << 20) << std::flush);
        }
      }
      if (made_) return;
      std::filesystem::remove(directory_, error);
    }
  }
  ~MemoryCgroup() {
    if (made_) rmdir(directory_.c_str());
  }
  bool made() const { return made_; }
  // Of the calling process.
  bool Enter() const {
    std::ofstream processes(directory_ + "/cgroup.procs");
    return static_cast<bool>(processes << getpid() << std::flush);
  }

 private:
  std::string directory_;
  bool made_ = false;
};

class HostConfigurationsTest : public testing::Test {
 protected:
  HostConfigurationsTest() : directory_("/dev/shm/flagstone-test-" + std::to_string(getpid())) {
    std::error_code error;
    std::filesystem::create_directory(directory_, error);
  }
  ~HostConfigurationsTest() override {
    std::error_code error;
    std::filesystem::remove_all(directory_, error);
  }

  StoreOptions OptionsOf(const Configuration& configuration) const {
    StoreOptions options = TestStoreOptions();
    options.pages.page_kind = configuration.page_kind;
    options.pages.require_huge_pages = configuration.require_huge_pages;
    options.pages.prefault = configuration.prefault;
    options.pages.lock_memory = configuration.lock_memory;
    if (configuration.node == Node::kFirst) options.pages.numa_node = 0;
    if (configuration.node == Node::kMissing) options.pages.numa_node = 77;
    if (configuration.backing == Backing::kNoDirectory) {
      options.pages.backing_directory = directory_ + "/not-there";
    } else if (configuration.backing != Backing::kAnonymous) {
      options.pages.backing_directory = directory_;
    }
    if (configuration.host == Host::kNoThreads) {
      options.maintenance.mode = MaintenanceMode::kBackground;
    }
    return options;
  }

  // What an error may name; empty: there must be none.
  static std::vector<std::string> WaysOut(const Configuration& configuration) {
    std::vector<std::string> ways;
    const bool explicit_pages = configuration.page_kind >= PageKind::k2MiB;
    if (configuration.require_huge_pages && configuration.page_kind != PageKind::k4KiB) {
      ways.insert(ways.end(), {"hugepages", "transparent", "hugetlb", "tmpfs"});
      if (configuration.page_kind == PageKind::k1GiB) ways.push_back("limit_bytes");
    }
    if (configuration.host == Host::kAddressLimit) {
      ways.insert(ways.end(), {"RLIMIT_AS", "ulimit -v"});
    }
    if (configuration.host == Host::kDataLimit) {
      ways.insert(ways.end(), {"RLIMIT_DATA", "ulimit -d"});
    }
    if (configuration.host == Host::kNoThreads) ways.push_back("kCallerDriven");
    if (configuration.lock_memory) ways.push_back("RLIMIT_MEMLOCK");
    if (configuration.node != Node::kAny) ways.push_back("NUMA node");
    if (configuration.node != Node::kAny && explicit_pages) ways.push_back("nr_hugepages");
    if (configuration.backing != Backing::kAnonymous) {
      ways.insert(ways.end(), {"backing_directory", "backing file"});
    }
    const bool small = configuration.backing == Backing::kSmallTmpfs ||
                       configuration.backing == Backing::kSmallHugetlbfs;
    if (small) ways.push_back("size=");
    // The pool may have none, and a mount of its own has no other pages.
    if (configuration.backing == Backing::kHugetlbfs) ways.push_back("nr_hugepages");
    return ways;
  }

  // Sanitizers end a process whose addresses are limited.
  bool CanBeMade(const Configuration& configuration) const {
    const Host host = configuration.host;
    if (MountOf(configuration.backing).has_value() && !CanMount(configuration.backing)) {
      return false;
    }
    if (host == Host::kMemoryCgroup) return cgroup_.made();
    const bool limits_addresses = host == Host::kAddressLimit || host == Host::kDataLimit;
    return !limits_addresses || !(kAddressSanitizer || kThreadSanitizer);
  }

  // In a namespace of the calling process, that nobody else sees it.
  bool MountFor(Backing backing) const {
    const std::optional<Mount> wanted = MountOf(backing);
    if (!wanted.has_value()) return true;
    return unshare(CLONE_NEWNS) == 0 &&
           mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
           mount("flagstone-test", directory_.c_str(), wanted->type, 0, wanted->options) == 0;
  }
  bool CanMount(Backing backing) const {
    static std::map<Backing, bool> tried;
    const auto [found, first] = tried.try_emplace(backing);
    if (first) found->second = InChild([&] { return MountFor(backing) ? 0 : 1; }) == 0;
    return found->second;
  }

  int Run(const Configuration& configuration) {
    return InChild([&] {
      if (!MountFor(configuration.backing)) return kVagueError;
      if (configuration.host == Host::kMemoryCgroup && !cgroup_.Enter()) return kVagueError;
      if (configuration.host == Host::kNoThreads && geteuid() == 0) {
        if (configuration.backing != Backing::kAnonymous) {
          std::filesystem::permissions(directory_, std::filesystem::perms::all);
        }
        if (setuid(65'534) != 0) return kVagueError;
      }
      DropCapabilities();
      switch (configuration.host) {
        case Host::kAddressLimit: Limit(RLIMIT_AS, uint64_t{4} << 30); break;
        case Host::kDataLimit: Limit(RLIMIT_DATA, 1 << 20); break;
        case Host::kMemlock64KiB: Limit(RLIMIT_MEMLOCK, 64 << 10); break;
        case Host::kMemlockZero: Limit(RLIMIT_MEMLOCK, 0); break;
        case Host::kNoThreads: Limit(RLIMIT_NPROC, 0); break;
        case Host::kNoMembarrier: Deny(SYS_membarrier); break;
        case Host::kNoNumaCalls:
          Deny(SYS_mbind);
          Deny(SYS_set_mempolicy);
          break;
        default: break;
      }
      return UseStore(OptionsOf(configuration), WaysOut(configuration), 20'000);
    });
  }

  const std::string directory_;
  const MemoryCgroup cgroup_;
};

TEST_F(HostConfigurationsTest, EachWorksOrSaysWhatIsInTheWay) {
  const std::vector<Configuration> all = AllConfigurations();
  std::vector<Configuration> drawn;
  for (uint32_t host = 0; host < static_cast<uint32_t>(Host::kCount); ++host) {
    drawn.push_back({.host = static_cast<Host>(host)});
  }
  for (uint32_t backing = 0; backing < static_cast<uint32_t>(Backing::kCount); ++backing) {
    for (const PageKind kind : {PageKind::k4KiB, PageKind::k2MiB}) {
      drawn.push_back({.page_kind = kind, .backing = static_cast<Backing>(backing)});
    }
  }
  ScorecardRow row;
  row.number = 19;
  row.name = "no huge pages, limits, denied calls";
  row.unit = "configurations";
  row.seed = 1;
  SeededRandom random(row.seed);
  const uint64_t wanted = std::max(kConfigurationsMin, tests::RowCount(100, all.size()));
  if (wanted >= all.size()) drawn = all;
  std::set<std::string> not_made;
  const auto cannot_be_made = [&](const Configuration& configuration) {
    if (CanBeMade(configuration)) return false;
    not_made.insert(std::string(kHostNames[static_cast<size_t>(configuration.host)]) + " with " +
                    kBackingNames[static_cast<size_t>(configuration.backing)]);
    return true;
  };
  std::erase_if(drawn, cannot_be_made);
  while (wanted < all.size() && drawn.size() < wanted) {
    const Configuration one = Draw(all, random);
    if (!cannot_be_made(one)) drawn.push_back(one);
  }
  uint64_t worked = 0;
  for (const Configuration& configuration : drawn) {
    SCOPED_TRACE(configuration.ToString());
    const int outcome = Run(configuration);
    for (const auto& file : std::filesystem::directory_iterator(directory_)) {
      std::filesystem::remove(file.path());
    }
    EXPECT_TRUE(outcome == kWorked || outcome == kClearError) << outcome;
    ++row.count;
    row.failures += outcome == kWorked || outcome == kClearError ? 0 : 1;
    worked += outcome == kWorked ? 1 : 0;
  }
  std::printf("%llu configurations: %llu worked, the others said why not\n",
              static_cast<unsigned long long>(row.count), static_cast<unsigned long long>(worked));
  for (const std::string& name : not_made) {
    std::printf("cannot be made here: %s\n", name.c_str());
  }
  EXPECT_GE(row.count, kConfigurationsMin);
  EXPECT_GT(worked, row.count / 10);
  row.Record();
}

}  // namespace
}  // namespace flagstone::testkit
