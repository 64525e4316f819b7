// The kernel's memory calls with single ones made to fail: each rung of the ladder on any machine.
#ifndef FLAGSTONE_TESTS_UNIT_PAGE_FAKE_SYSTEM_MEMORY_H_
#define FLAGSTONE_TESTS_UNIT_PAGE_FAKE_SYSTEM_MEMORY_H_

#include <sys/mman.h>

#include <cerrno>
#include <functional>
#include <map>
#include <optional>
#include <string>

#include "lib/page/system_memory.h"

namespace flagstone::page {

class FakeSystemMemory : public SystemMemory {
 public:
  // Each decides whether its call fails: an errno, or 0 to let the kernel answer.
  std::function<int(const MapRequest&)> on_map = [](const MapRequest&) { return 0; };
  std::function<int(int advice)> on_advise = [](int) { return 0; };
  std::function<int(uint64_t bytes)> on_allocate = [](uint64_t) { return 0; };
  int protect_error = 0;
  int populate_error = 0;
  int lock_error = 0;
  int bind_error = 0;
  int memory_file_error = 0;
  // Explicit pages come from an ordinary memory file: the ladder's top rungs without a pool.
  bool pretends_explicit_pages = false;
  std::map<std::string, std::string> texts;  // before the real files
  int map_call_count = 0;

  int Map(const MapRequest& request, void** mapped) override {
    ++map_call_count;
    const int error = on_map(request);
    if (error != 0) return error;
    MapRequest sparse = request;
    if (pretends_explicit_pages) sparse.flags &= ~MAP_POPULATE;
    return SystemMemory::Map(sparse, mapped);
  }
  int Protect(void* address, size_t bytes, int protection) override {
    return protect_error != 0 ? protect_error : SystemMemory::Protect(address, bytes, protection);
  }
  int Advise(void* address, size_t bytes, int advice) override {
    const int error = on_advise(advice);
    return error != 0 ? error : SystemMemory::Advise(address, bytes, advice);
  }
  int Lock(void* address, size_t bytes) override {
    return lock_error != 0 ? lock_error : SystemMemory::Lock(address, bytes);
  }
  int Populate(void* address, size_t bytes) override {
    return populate_error != 0 ? populate_error : SystemMemory::Populate(address, bytes);
  }
  int BindToNode(void* address, size_t bytes, int node) override {
    return bind_error != 0 ? bind_error : SystemMemory::BindToNode(address, bytes, node);
  }
  int CreateMemoryFile(const std::string& name, unsigned flags, int* fd) override {
    if (memory_file_error != 0) return memory_file_error;
    return SystemMemory::CreateMemoryFile(name, pretends_explicit_pages ? MFD_CLOEXEC : flags, fd);
  }
  int AllocateFile(int fd, uint64_t offset, uint64_t bytes, std::optional<int> node) override {
    const int error = on_allocate(bytes);
    if (error != 0) return error;
    // A GiB of ordinary memory is not what a test machine should be asked for.
    return pretends_explicit_pages ? 0 : SystemMemory::AllocateFile(fd, offset, bytes, node);
  }
  std::optional<std::string> ReadText(const std::string& path) override {
    const auto found = texts.find(path);
    return found != texts.end() ? found->second : SystemMemory::ReadText(path);
  }
};

}  // namespace flagstone::page

#endif  // FLAGSTONE_TESTS_UNIT_PAGE_FAKE_SYSTEM_MEMORY_H_
