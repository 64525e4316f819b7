// The file behind explicit huge pages and named extents: pages exist because the file has blocks.
//
// Explicit pages come from a memory file (memfd) instead of MAP_ANONYMOUS | MAP_HUGETLB, because
// fallocate(2) on it takes the pages first and answers a shortage (empty pool, hugetlb cgroup,
// wrong node) with an errno. The mapping is laid over the addresses only when its pages are there,
// so neither a failed mmap can tear a hole into the reservation nor a later touch raise SIGBUS.
//
// Threads     Guarded by its owner's mutex.
// Owns        the file descriptor.
#ifndef FLAGSTONE_LIB_PAGE_BACKING_FILE_H_
#define FLAGSTONE_LIB_PAGE_BACKING_FILE_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "flagstone/page_options.h"
#include "flagstone/status.h"
#include "lib/page/system_memory.h"

namespace flagstone::page {

enum class BackingFileMode : uint8_t {
  kCreateNew,     // FAILED_PRECONDITION when the name exists
  kOpenExisting,  // FAILED_PRECONDITION when it does not, or when its size differs
  kReadOnly,      // of another process; as kOpenExisting, any size
};

// What kind of memory a mounted directory hands out.
enum class BackingFileSystem : uint8_t { kMemoryFile, kTmpfs, kHugetlbfs };

class BackingFile {
 public:
  // A nameless file of explicit pages, 2 MiB or 1 GiB each. The errno is in *error.
  static std::unique_ptr<BackingFile> CreateNameless(SystemMemory& system, PageKind kind,
                                                     const std::string& name, uint64_t bytes,
                                                     int* error);
  // `<directory>/<name>`, mode 0600, never through a symbolic link at its end. `bytes` is the size
  // it gets or must have (ignored for kReadOnly). INVALID_ARGUMENT when the directory is on neither
  // tmpfs nor hugetlbfs.
  static Result<std::unique_ptr<BackingFile>> OpenNamed(SystemMemory& system,
                                                        const std::string& directory,
                                                        const std::string& name, uint64_t bytes,
                                                        BackingFileMode mode);
  ~BackingFile();
  BackingFile(const BackingFile&) = delete;
  BackingFile& operator=(const BackingFile&) = delete;

  int fd() const { return fd_; }
  BackingFileSystem file_system() const { return file_system_; }
  // 4096 on tmpfs; the huge page's size otherwise.
  uint64_t page_bytes() const { return page_bytes_; }
  uint64_t bytes() const { return bytes_; }
  // tmpfs: mounted with huge=always or huge=within_size.
  bool offers_transparent_pages() const { return offers_transparent_pages_; }
  // Empty for a nameless file.
  const std::string& path() const { return path_; }

  // Both return an errno, 0 for success. A failed Allocate() may leave blocks behind: PunchHole()
  // them.
  int Allocate(uint64_t offset, uint64_t bytes, std::optional<int> numa_node);
  int PunchHole(uint64_t offset, uint64_t bytes);
  // Takes the name away.
  void Remove();

 private:
  BackingFile(SystemMemory& system, int fd) : system_(system), fd_(fd) {}

  SystemMemory& system_;
  int fd_;
  BackingFileSystem file_system_ = BackingFileSystem::kMemoryFile;
  uint64_t page_bytes_ = 0;
  uint64_t bytes_ = 0;
  bool offers_transparent_pages_ = false;
  std::string path_;
};

}  // namespace flagstone::page

#endif  // FLAGSTONE_LIB_PAGE_BACKING_FILE_H_
