#include "lib/base/check.h"

#include <atomic>
#include <cstdio>
#include <cstdlib>

namespace flagstone {
namespace {

std::atomic<CheckHandler> check_handler{nullptr};

}  // namespace

CheckHandler SetCheckHandler(CheckHandler handler) { return check_handler.exchange(handler); }

namespace base {

void CheckFailed(const char* file, int line, const char* message) {
  if (CheckHandler handler = check_handler.load(); handler != nullptr) {
    handler(file, line, message);
  } else {
    std::fprintf(stderr, "flagstone: %s:%d: %s\n", file, line, message);
  }
  std::abort();
}

}  // namespace base
}  // namespace flagstone
