// Moments as people read them: "2025-01-01T00:00:00Z" (ISO 8601, RFC 3339, always UTC).
#ifndef FLAGSTONE_LIB_BASE_UTC_TIME_H_
#define FLAGSTONE_LIB_BASE_UTC_TIME_H_

#include <cstdint>
#include <string>

namespace flagstone::base {

// For any moment the civil calendar of the C++ library reaches (years -32767 to 32767); beyond that
// the number of seconds itself, with a "unix " in front.
std::string FormatUtc(int64_t unix_seconds);

}  // namespace flagstone::base

#endif  // FLAGSTONE_LIB_BASE_UTC_TIME_H_
