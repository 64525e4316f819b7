#include "lib/page/system_memory.h"

#include <fcntl.h>
#include <linux/mempolicy.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>

namespace flagstone::page {
namespace {

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

constexpr int kNodeCountMax = 1024;  // MAX_NUMNODES of the largest distribution kernels
constexpr size_t kBitsPerWord = 8 * sizeof(unsigned long);
// The kernel takes the mask's size in bits, plus one (it subtracts one before use).
constexpr unsigned long kNodeMaskBits = kNodeCountMax + 1;
using NodeMask = std::array<unsigned long, kNodeCountMax / kBitsPerWord>;

std::optional<NodeMask> MaskOf(int node) {
  if (node < 0 || node >= kNodeCountMax) return std::nullopt;
  NodeMask mask{};
  mask[static_cast<size_t>(node) / kBitsPerWord] = 1UL
                                                   << (static_cast<size_t>(node) % kBitsPerWord);
  return mask;
}

int ErrnoOf(long result) { return result < 0 ? errno : 0; }

// Memory that fallocate takes follows the calling thread's policy: set for the call, restored after
// it.
class ScopedThreadPolicy {
 public:
  explicit ScopedThreadPolicy(int node) {
    const std::optional<NodeMask> mask = MaskOf(node);
    if (!mask) {
      error_ = EINVAL;
      return;
    }
    error_ =
        ErrnoOf(syscall(SYS_get_mempolicy, &saved_mode_, saved_mask_.data(), kNodeMaskBits, 0, 0));
    if (error_ != 0) return;
    error_ = ErrnoOf(syscall(SYS_set_mempolicy, MPOL_BIND, mask->data(), kNodeMaskBits));
    changed_ = error_ == 0;
  }
  ~ScopedThreadPolicy() {
    if (!changed_) return;
    const bool empty_mask = saved_mask_ == NodeMask{};
    syscall(SYS_set_mempolicy, saved_mode_, empty_mask ? nullptr : saved_mask_.data(),
            empty_mask ? 0 : kNodeMaskBits);
  }
  ScopedThreadPolicy(const ScopedThreadPolicy&) = delete;
  ScopedThreadPolicy& operator=(const ScopedThreadPolicy&) = delete;
  int error() const { return error_; }

 private:
  int error_ = 0;
  bool changed_ = false;
  int saved_mode_ = 0;
  NodeMask saved_mask_{};
};

// Kernels before 5.14 have no MADV_POPULATE_WRITE. A read(2) into the page makes the kernel take
// the fault, and the kernel answers EFAULT where a store of ours would end in SIGBUS.
int PopulateByReading(void* address, size_t bytes) {
  const int zero_fd = open("/dev/zero", O_RDONLY | O_CLOEXEC);
  if (zero_fd < 0) return errno;
  const auto page_bytes = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  int error = 0;
  for (size_t offset = 0; offset < bytes && error == 0; offset += page_bytes) {
    ssize_t got = 0;
    do {
      got = read(zero_fd, static_cast<std::byte*>(address) + offset, 1);
    } while (got < 0 && errno == EINTR);
    if (got != 1) error = errno;
  }
  close(zero_fd);
  return error;
}

}  // namespace

SystemMemory& SystemMemory::Real() {
  static SystemMemory real;
  return real;
}

int SystemMemory::Map(const MapRequest& request, void** mapped) {
  void* const address = mmap(request.address, request.bytes, request.protection, request.flags,
                             request.fd, request.offset);
  if (address == MAP_FAILED) return errno;
  *mapped = address;
  return 0;
}

int SystemMemory::Unmap(void* address, size_t bytes) { return ErrnoOf(munmap(address, bytes)); }

int SystemMemory::Protect(void* address, size_t bytes, int protection) {
  return ErrnoOf(mprotect(address, bytes, protection));
}

int SystemMemory::Advise(void* address, size_t bytes, int advice) {
  return ErrnoOf(madvise(address, bytes, advice));
}

int SystemMemory::Lock(void* address, size_t bytes) { return ErrnoOf(mlock(address, bytes)); }

int SystemMemory::Populate(void* address, size_t bytes) {
  int error = 0;
  do {
    error = ErrnoOf(madvise(address, bytes, MADV_POPULATE_WRITE));
  } while (error == EINTR || error == EAGAIN);
  return error == EINVAL ? PopulateByReading(address, bytes) : error;
}

int SystemMemory::BindToNode(void* address, size_t bytes, int node) {
  const std::optional<NodeMask> mask = MaskOf(node);
  if (!mask) return EINVAL;
  return ErrnoOf(syscall(SYS_mbind, address, bytes, MPOL_BIND, mask->data(), kNodeMaskBits, 0));
}

int SystemMemory::CreateMemoryFile(const std::string& name, unsigned flags, int* fd) {
  const int created = memfd_create(name.c_str(), flags);
  if (created < 0) return errno;
  *fd = created;
  return 0;
}

int SystemMemory::SetFileSize(int fd, uint64_t bytes) {
  return ErrnoOf(ftruncate(fd, static_cast<off_t>(bytes)));
}

int SystemMemory::AllocateFile(int fd, uint64_t offset, uint64_t bytes,
                               std::optional<int> numa_node) {
  const auto allocate = [&] {
    int error = 0;
    do {
      error = ErrnoOf(fallocate(fd, FALLOC_FL_KEEP_SIZE, static_cast<off_t>(offset),
                                static_cast<off_t>(bytes)));
    } while (error == EINTR);
    return error;
  };
  if (!numa_node) return allocate();
  const ScopedThreadPolicy policy(*numa_node);
  return policy.error() != 0 ? policy.error() : allocate();
}

int SystemMemory::PunchHole(int fd, uint64_t offset, uint64_t bytes) {
  return ErrnoOf(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                           static_cast<off_t>(offset), static_cast<off_t>(bytes)));
}

std::optional<std::string> SystemMemory::ReadText(const std::string& path) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return std::nullopt;
  std::string text;
  std::array<char, 16384> buffer;
  ssize_t got = 0;
  while ((got = read(fd, buffer.data(), buffer.size())) != 0) {
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) break;
    text.append(buffer.data(), static_cast<size_t>(got));
  }
  close(fd);
  if (got < 0) return std::nullopt;
  return text;
}

rlimit SystemMemory::Limit(int resource) {
  rlimit limit{RLIM_INFINITY, RLIM_INFINITY};
  getrlimit(static_cast<__rlimit_resource>(resource), &limit);
  return limit;
}

}  // namespace flagstone::page
