// The seam to the kernel's memory calls.
//
// Place       Below everything in page. The real one is a line per call; tests replace single calls
//             to make each rung of the ladder fail on any machine.
// Threads     Any. The real one has no state.
// Errors      Every call returns an errno value, 0 for success, so that a fake needs no global
//             errno.
#ifndef FLAGSTONE_LIB_PAGE_SYSTEM_MEMORY_H_
#define FLAGSTONE_LIB_PAGE_SYSTEM_MEMORY_H_

#include <sys/resource.h>
#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

namespace flagstone::page {

// What mmap(2) is asked for.
struct MapRequest {
  void* address = nullptr;
  size_t bytes = 0;
  int protection = 0;
  int flags = 0;
  int fd = -1;
  off_t offset = 0;
};

class SystemMemory {
 public:
  virtual ~SystemMemory() = default;
  // The kernel's. Lives as long as the process.
  static SystemMemory& Real();

  virtual int Map(const MapRequest& request, void** mapped);
  virtual int Unmap(void* address, size_t bytes);
  virtual int Protect(void* address, size_t bytes, int protection);
  virtual int Advise(void* address, size_t bytes, int advice);
  virtual int Lock(void* address, size_t bytes);
  // Fills the page tables of fresh writable memory. A page that cannot be had is an errno here
  // (ENOMEM, EFAULT for what would have been a SIGBUS), never a signal.
  virtual int Populate(void* address, size_t bytes);
  // mbind(MPOL_BIND) to one node.
  virtual int BindToNode(void* address, size_t bytes, int node);
  // memfd_create(2); `*fd` is the caller's to close.
  virtual int CreateMemoryFile(const std::string& name, unsigned flags, int* fd);
  virtual int SetFileSize(int fd, uint64_t bytes);
  // Allocates the file's blocks, on `numa_node` if there is one. What the file holds already stays.
  virtual int AllocateFile(int fd, uint64_t offset, uint64_t bytes, std::optional<int> numa_node);
  // Gives the file's blocks back; the size stays.
  virtual int PunchHole(int fd, uint64_t offset, uint64_t bytes);
  // A small text file of /proc or /sys, whole; empty when it cannot be read.
  virtual std::optional<std::string> ReadText(const std::string& path);
  virtual rlimit Limit(int resource);
};

}  // namespace flagstone::page

#endif  // FLAGSTONE_LIB_PAGE_SYSTEM_MEMORY_H_
