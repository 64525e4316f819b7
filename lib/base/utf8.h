// Whether bytes are text.
#ifndef FLAGSTONE_LIB_BASE_UTF8_H_
#define FLAGSTONE_LIB_BASE_UTF8_H_

#include <string_view>

namespace flagstone::base {

// True when `bytes` are well-formed UTF-8: no overlong forms, no surrogates, nothing above U+10FFFF
// (The Unicode Standard, table 3-7).
bool IsUtf8(std::string_view bytes);

}  // namespace flagstone::base

#endif  // FLAGSTONE_LIB_BASE_UTF8_H_
