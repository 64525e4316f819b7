#include "lib/base/random.h"

#include <sys/random.h>

#include <cerrno>
#include <system_error>

namespace flagstone::base {

Result<uint64_t> SeedFromKernel() {
  uint64_t seed = 0;
  ssize_t filled = 0;
  do {
    filled = getrandom(&seed, sizeof seed, 0);
  } while (filled < 0 && errno == EINTR);
  // Up to 256 bytes come whole (getrandom(2)), so anything else is a refusal.
  if (filled == sizeof seed) return seed;
  return Status::Error(StatusCode::kIoError,
                       "getrandom(8 bytes) failed: " + std::system_category().message(errno) +
                           "; allow the system call getrandom in this process's seccomp filter");
}

}  // namespace flagstone::base
