// The version: of these headers when a program is compiled, of the library when it runs.
#ifndef FLAGSTONE_VERSION_H_
#define FLAGSTONE_VERSION_H_

#include "flagstone/export.h"

#define FLAGSTONE_VERSION_MAJOR 0
#define FLAGSTONE_VERSION_MINOR 1
#define FLAGSTONE_VERSION_PATCH 0

namespace flagstone {

// "major.minor.patch" of the library that is loaded. Programs that load it with dlopen, or are
// linked against the shared library, compare it with the macros above. Valid for ever, any thread.
FLAGSTONE_EXPORT const char* Version();

}  // namespace flagstone

#endif  // FLAGSTONE_VERSION_H_
