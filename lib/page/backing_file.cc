#include "lib/page/backing_file.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "lib/page/page_size.h"

namespace flagstone::page {
namespace {

// memfd_create(2) takes the logarithm of the page size in these bits (MFD_HUGE_SHIFT).
constexpr unsigned kMemoryFilePageSizeShift = 26;
constexpr unsigned kLog2Of2MiB = 21;
constexpr unsigned kLog2Of1GiB = 30;

int OpenFlagsOf(BackingFileMode mode) {
  constexpr int kAlways = O_CLOEXEC | O_NOFOLLOW;
  switch (mode) {
    case BackingFileMode::kCreateNew: return kAlways | O_RDWR | O_CREAT | O_EXCL;
    case BackingFileMode::kOpenExisting: return kAlways | O_RDWR;
    case BackingFileMode::kReadOnly: return kAlways | O_RDONLY;
  }
  return kAlways | O_RDONLY;
}

Status CallFailed(const std::string& path, const char* call, int error) {
  const std::string what = "backing file " + path + ": " + call + ": " + std::strerror(error);
  switch (error) {
    case EEXIST:
      return Status::Error(StatusCode::kFailedPrecondition,
                           what +
                               "; another store left or uses it: if no process uses it, "
                               "remove it; or choose another backing_directory");
    case ENOENT:
      return Status::Error(StatusCode::kFailedPrecondition,
                           what + "; create the directory (or the file, by the owner) first");
    case ENOSPC:
    case EDQUOT:
      return Status::Error(StatusCode::kNoSpace,
                           what + "; enlarge the mount (`mount -o remount,size=`)");
    default: return Status::Error(StatusCode::kIoError, what);
  }
}

std::string HexOf(unsigned long value) {
  char text[32];
  std::snprintf(text, sizeof text, "0x%lx", value);
  return text;
}

// Whether the tmpfs `device` is mounted with huge pages, from the text of /proc/self/mountinfo:
//   36 35 0:27 / /dev/shm rw,nosuid - tmpfs tmpfs rw,huge=always
bool MountOffersTransparentPages(const std::string& mountinfo, dev_t device) {
  const std::string wanted =
      " " + std::to_string(major(device)) + ":" + std::to_string(minor(device)) + " ";
  for (size_t begin = 0; begin < mountinfo.size();) {
    size_t end = mountinfo.find('\n', begin);
    if (end == std::string::npos) end = mountinfo.size();
    const std::string line = mountinfo.substr(begin, end - begin);
    begin = end + 1;
    const size_t separator = line.find(" - ");
    if (separator == std::string::npos ||
        line.substr(0, separator).find(wanted) == std::string::npos) {
      continue;
    }
    return line.find("huge=always", separator) != std::string::npos ||
           line.find("huge=within_size", separator) != std::string::npos;
  }
  return false;
}

}  // namespace

std::unique_ptr<BackingFile> BackingFile::CreateNameless(SystemMemory& system, PageKind kind,
                                                         const std::string& name, uint64_t bytes,
                                                         int* error) {
  const unsigned size_bits = kind == PageKind::k1GiB ? kLog2Of1GiB : kLog2Of2MiB;
  int fd = -1;
  *error = system.CreateMemoryFile(
      name, MFD_CLOEXEC | MFD_HUGETLB | (size_bits << kMemoryFilePageSizeShift), &fd);
  if (*error != 0) return nullptr;
  std::unique_ptr<BackingFile> file(new BackingFile(system, fd));
  file->page_bytes_ = PageBytes(kind);
  file->bytes_ = bytes;
  *error = system.SetFileSize(fd, bytes);
  return *error == 0 ? std::move(file) : nullptr;
}

Result<std::unique_ptr<BackingFile>> BackingFile::OpenNamed(SystemMemory& system,
                                                            const std::string& directory,
                                                            const std::string& name, uint64_t bytes,
                                                            BackingFileMode mode) {
  const std::string path = directory + "/" + name;
  const int directory_fd = open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (directory_fd < 0) return CallFailed(directory, "open", errno);
  struct statfs mount {};
  const bool known = fstatfs(directory_fd, &mount) == 0;
  const bool on_tmpfs = known && mount.f_type == TMPFS_MAGIC;
  const bool on_hugetlbfs = known && mount.f_type == HUGETLBFS_MAGIC;
  if (!on_tmpfs && !on_hugetlbfs) {
    close(directory_fd);
    return Status::Error(StatusCode::kInvalidArgument,
                         "page options: backing_directory " + directory +
                             " is on a file system of type " +
                             HexOf(static_cast<unsigned long>(mount.f_type)) +
                             ", allowed: tmpfs (/dev/shm) or hugetlbfs (see `mount -t hugetlbfs`)");
  }
  const int fd = openat(directory_fd, name.c_str(), OpenFlagsOf(mode), 0600);
  const int open_error = errno;
  if (fd < 0) {
    close(directory_fd);
    return CallFailed(path, "open", open_error);
  }
  std::unique_ptr<BackingFile> file(new BackingFile(system, fd));
  file->path_ = path;
  file->file_system_ = on_hugetlbfs ? BackingFileSystem::kHugetlbfs : BackingFileSystem::kTmpfs;
  file->page_bytes_ = static_cast<uint64_t>(mount.f_bsize);
  file->bytes_ = bytes;
  Status status;
  struct stat existing {};
  if (mode == BackingFileMode::kCreateNew) {
    if (const int error = system.SetFileSize(fd, bytes); error != 0) {
      unlinkat(directory_fd, name.c_str(), 0);
      status = CallFailed(path, "ftruncate", error);
    }
  } else if (fstat(fd, &existing) != 0) {
    status = CallFailed(path, "fstat", errno);
  } else if (!S_ISREG(existing.st_mode)) {
    status = Status::Error(StatusCode::kFailedPrecondition,
                           "backing file " + path + " is not a regular file; remove it");
  } else if (mode == BackingFileMode::kReadOnly) {
    file->bytes_ = static_cast<uint64_t>(existing.st_size);
  } else if (static_cast<uint64_t>(existing.st_size) != bytes) {
    status = Status::Error(StatusCode::kFailedPrecondition,
                           "backing file " + path + " has " + std::to_string(existing.st_size) +
                               " bytes, expected " + std::to_string(bytes) +
                               "; it belongs to a store with other limits: open it with those, or "
                               "remove it");
  }
  if (struct stat mounted{}; on_tmpfs && fstat(directory_fd, &mounted) == 0) {
    file->offers_transparent_pages_ = MountOffersTransparentPages(
        system.ReadText("/proc/self/mountinfo").value_or(""), mounted.st_dev);
  }
  close(directory_fd);
  if (!status.ok()) return status;
  return file;
}

BackingFile::~BackingFile() { close(fd_); }

int BackingFile::Allocate(uint64_t offset, uint64_t bytes, std::optional<int> numa_node) {
  return system_.AllocateFile(fd_, offset, bytes, numa_node);
}

void BackingFile::Remove() { unlink(path_.c_str()); }

int BackingFile::PunchHole(uint64_t offset, uint64_t bytes) {
  return system_.PunchHole(fd_, offset, bytes);
}

}  // namespace flagstone::page
