// FLAGSTONE_CHECK: stops on a broken invariant of our own, through the handler the host may
// install. Bytes from disk and arguments from users never reach a check.
#ifndef FLAGSTONE_LIB_BASE_CHECK_H_
#define FLAGSTONE_LIB_BASE_CHECK_H_

#include "flagstone/check.h"

namespace flagstone::base {

[[noreturn]] void CheckFailed(const char* file, int line, const char* message);

}  // namespace flagstone::base

#define FLAGSTONE_CHECK(condition)                   \
  (__builtin_expect(static_cast<bool>(condition), 1) \
       ? static_cast<void>(0)                        \
       : ::flagstone::base::CheckFailed(__FILE__, __LINE__, "check failed: " #condition))

#ifdef NDEBUG
#define FLAGSTONE_DCHECK(condition) static_cast<void>(sizeof(!(condition)))
#else
#define FLAGSTONE_DCHECK(condition) FLAGSTONE_CHECK(condition)
#endif

#endif  // FLAGSTONE_LIB_BASE_CHECK_H_
