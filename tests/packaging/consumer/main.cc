// A service that uses flagstone: built and run against the subproject and every way of
// installation.
//
// Prints the version of the library it runs with, so that the test sees the library answer.
#include <cstdio>

#include "flagstone/status.h"
#include "flagstone/version.h"

int main() {
  const flagstone::Result<int> absent =
      flagstone::Status::Error(flagstone::StatusCode::kInvalidArgument, "record size 0");
  if (absent.ok() || absent.status().ToString() != "INVALID_ARGUMENT: record size 0") return 1;
  std::puts(flagstone::Version());
  return 0;
}
