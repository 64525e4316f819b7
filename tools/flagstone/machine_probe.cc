#include "tools/flagstone/machine_probe.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <linux/io_uring.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/timex.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <memory>
#include <sstream>

#include "flagstone/clock.h"
#include "flagstone/store.h"

namespace flagstone::tool {
namespace {

constexpr size_t kBlockBytes = 4096;

std::string TextOf(const std::string& path) {
  std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

std::string FirstLineOf(const std::string& path) {
  const std::string text = TextOf(path);
  return text.substr(0, text.find('\n'));
}

// The value of "name<spaces>: value" in a file of such lines; of several the first.
std::string FieldOf(const std::string& text, const std::string& name) {
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    if (line.compare(0, name.size(), name) != 0) continue;
    const size_t colon = line.find(':');
    if (colon == std::string::npos) continue;
    if (line.find_first_not_of(" \t", name.size()) != colon) continue;
    const size_t start = line.find_first_not_of(" \t", colon + 1);
    return start == std::string::npos ? "" : line.substr(start);
  }
  return "";
}

bool HasWord(const std::string& words, const std::string& word) {
  return (" " + words + " ").find(" " + word + " ") != std::string::npos;
}

IoUringFacts ProbeIoUring() {
  IoUringFacts facts;
  const std::string level = FirstLineOf("/proc/sys/kernel/io_uring_disabled");
  if (!level.empty()) facts.disabled_level = std::atoi(level.c_str());
  io_uring_params parameters = {};
  const long ring = syscall(SYS_io_uring_setup, 4, &parameters);
  if (ring < 0) {
    facts.setup_error = errno;
  } else {
    close(static_cast<int>(ring));
  }
  return facts;
}

ClockFacts ProbeClock() {
  constexpr int kCalls = 10'000;
  const std::string folder = "/sys/devices/system/clocksource/clocksource0/";
  ClockFacts facts;
  facts.source = FirstLineOf(folder + "current_clocksource");
  facts.tsc_available = HasWord(FirstLineOf(folder + "available_clocksource"), "tsc");
  timespec resolution = {};
  if (clock_getres(CLOCK_REALTIME_COARSE, &resolution) == 0) {
    facts.coarse_resolution_nanos = int64_t{resolution.tv_sec} * 1'000'000'000 + resolution.tv_nsec;
  }
  Clock& clock = SystemClock();
  const int64_t start = clock.MonotonicNanos();
  int64_t last = start;
  for (int i = 0; i < kCalls; ++i) last = clock.MonotonicNanos();
  facts.call_nanos = static_cast<double>(last - start) / kCalls;
  timex kernel = {};
  const int state = adjtimex(&kernel);
  facts.synchronized = state >= 0 && state != TIME_ERROR && (kernel.status & STA_UNSYNC) == 0;
  return facts;
}

std::string FileSystemName(int64_t type) {
  struct Name {
    int64_t type;
    const char* name;
  };
  // linux/magic.h, and what lives outside of it.
  static constexpr Name kNames[] = {
      {0xef53, "ext4"},      {0x58465342, "xfs"},       {0x9123683e, "btrfs"},
      {0x01021994, "tmpfs"}, {0x794c7630, "overlayfs"}, {0x2fc12fc1, "zfs"},
      {0xf2f52010, "f2fs"},  {0x6969, "nfs"},           {0x65735546, "fuse"},
      {0x01021997, "9p"},    {0x958458f6, "hugetlbfs"}, {0xff534d42, "cifs"},
  };
  for (const Name& name : kNames) {
    if (name.type == type) return name.name;
  }
  std::ostringstream text;
  text << "file system 0x" << std::hex << type;
  return text.str();
}

// A file without a name, so that nothing is left however this ends; where the file system cannot do
// that, one whose name is removed at once. Below 0: errno is set.
int OpenNamelessFile(const std::string& folder) {
  constexpr int kFlags = O_RDWR | O_DIRECT | O_CLOEXEC;
  const int nameless = open(folder.c_str(), kFlags | O_TMPFILE, 0600);
  if (nameless >= 0 || (errno != EOPNOTSUPP && errno != EISDIR)) return nameless;
  std::string name = folder + "/.flagstone-doctor-XXXXXX";
  const int file = mkostemp(name.data(), O_CLOEXEC);
  if (file < 0) return file;
  const int direct = open(name.c_str(), kFlags);
  const int error = errno;
  unlink(name.c_str());
  close(file);
  errno = error;
  return direct;
}

DirectIoFacts ProbeDirectIo(const std::string& path) {
  DirectIoFacts facts;
  facts.folder = path;
  struct stat about;
  if (stat(path.c_str(), &about) != 0) {
    facts.failed_call = "stat";
    facts.error = errno;
    return facts;
  }
  if (!S_ISDIR(about.st_mode)) {
    const size_t slash = path.rfind('/');
    facts.folder = slash == std::string::npos ? "." : path.substr(0, slash + 1);
  }
  struct statfs file_system;
  if (statfs(facts.folder.c_str(), &file_system) == 0) {
    facts.file_system = FileSystemName(static_cast<int64_t>(file_system.f_type) & 0xffffffff);
  }
  const int file = OpenNamelessFile(facts.folder);
  if (file < 0) {
    facts.failed_call = "open";
    facts.error = errno;
    return facts;
  }
  struct Freed {
    void operator()(void* memory) const { std::free(memory); }
  };
  const std::unique_ptr<void, Freed> block(std::aligned_alloc(kBlockBytes, kBlockBytes));
  std::memset(block.get(), 0, kBlockBytes);
  const ssize_t written = pwrite(file, block.get(), kBlockBytes, 0);
  if (written != static_cast<ssize_t>(kBlockBytes)) {
    facts.failed_call = "pwrite";
    facts.error = written < 0 ? errno : ENOSPC;
  }
  struct statx details = {};
  if (statx(file, "", AT_EMPTY_PATH, STATX_DIOALIGN, &details) == 0 &&
      (details.stx_mask & STATX_DIOALIGN) != 0) {
    facts.memory_alignment = details.stx_dio_mem_align;
    facts.offset_alignment = details.stx_dio_offset_align;
  }
  close(file);
  return facts;
}

// Writes and reads one record in a store with default options.
Status TryStore(std::string* granted_pages) {
  Result<Store> store = Store::OpenInMemory({});
  if (!store.ok()) return std::move(store).status();
  Result<RecordTableOf<uint64_t>> table = store->CreateTableOf<uint64_t>("doctor");
  if (!table.ok()) return std::move(table).status();
  Result<Session> session = store->NewSession();
  if (!session.ok()) return std::move(session).status();
  Result<RecordId> id = session->Insert(*table, uint64_t{1});
  if (!id.ok()) return std::move(id).status();
  if (!session->Get(*table, *id)) {
    return Status::Error(StatusCode::kCorruption, "a record just written was not found");
  }
  Result<PageReport> pages = store->VerifyPages();
  if (!pages.ok()) return std::move(pages).status();
  for (size_t i = kPageKindCount; i-- > 0;) {
    const auto kind = static_cast<PageKind>(i);
    if (pages->bytes(kind) == 0) continue;
    if (!granted_pages->empty()) *granted_pages += " and ";
    *granted_pages += PageKindName(kind);
  }
  return Status::Ok();
}

}  // namespace

CpuFacts CpuFactsFrom(const std::string& cpuinfo) {
  CpuFacts facts;
  facts.model = FieldOf(cpuinfo, "model name");
  const std::string flags = FieldOf(cpuinfo, "flags") + " " + FieldOf(cpuinfo, "Features");
  facts.has_crc32 = HasWord(flags, "sse4_2") || HasWord(flags, "crc32");
  facts.has_1gib_pages = HasWord(flags, "pdpe1gb");
  return facts;
}

bool MayLockAnyMemory(const std::string& status) {
  const std::string effective = FieldOf(status, "CapEff");
  return (std::strtoull(effective.c_str(), nullptr, 16) >> CAP_IPC_LOCK & 1) != 0;
}

MachineFacts ProbeMachine(const std::string& path) {
  MachineFacts facts;
  utsname names = {};
  if (uname(&names) == 0) facts.kernel = names.release;
  facts.host = page::ReadHostReport();
  facts.may_lock_any_memory = MayLockAnyMemory(TextOf("/proc/self/status"));
  facts.io_uring = ProbeIoUring();
  facts.clock = ProbeClock();
  facts.cpu = CpuFactsFrom(TextOf("/proc/cpuinfo"));
  facts.store.error = TryStore(&facts.store.granted_pages).message();
  if (!path.empty()) facts.direct_io = ProbeDirectIo(path);
  return facts;
}

}  // namespace flagstone::tool
