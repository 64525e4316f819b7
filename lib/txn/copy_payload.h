// Copies payloads, most of which are short: a call of memcpy() costs more than the copy.
#ifndef FLAGSTONE_LIB_TXN_COPY_PAYLOAD_H_
#define FLAGSTONE_LIB_TXN_COPY_PAYLOAD_H_

#include <cstddef>
#include <cstring>

namespace flagstone::txn {

// `bytes` > 0. No overlap.
inline void CopyPayload(void* to, const void* from, size_t bytes) {
  char* const target = static_cast<char*>(to);
  const char* const source = static_cast<const char*>(from);
  // Both ends, which overlap in the middle: copies of fixed sizes are a few instructions.
  if (bytes > 32 && bytes <= 64) {
    std::memcpy(target, source, 32);
    std::memcpy(target + bytes - 32, source + bytes - 32, 32);
  } else if (bytes >= 16 && bytes <= 32) {
    std::memcpy(target, source, 16);
    std::memcpy(target + bytes - 16, source + bytes - 16, 16);
  } else {
    std::memcpy(target, source, bytes);
  }
}

}  // namespace flagstone::txn

#endif  // FLAGSTONE_LIB_TXN_COPY_PAYLOAD_H_
