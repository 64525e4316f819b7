#include "lib/base/utf8.h"

#include <cstddef>

namespace flagstone::base {
namespace {

// Bytes of the character that begins with `first`, and the range of its second byte; 0: none does.
struct Form {
  size_t length;
  unsigned char second_min = 0x80;
  unsigned char second_max = 0xbf;
};

Form FormOf(unsigned char first) {
  if (first < 0x80) return {1};
  if (first < 0xc2) return {0};
  if (first < 0xe0) return {2};
  if (first == 0xe0) return {3, 0xa0};
  if (first == 0xed) return {3, 0x80, 0x9f};
  if (first < 0xf0) return {3};
  if (first == 0xf0) return {4, 0x90};
  if (first < 0xf4) return {4};
  if (first == 0xf4) return {4, 0x80, 0x8f};
  return {0};
}

}  // namespace

bool IsUtf8(std::string_view bytes) {
  const auto at = [bytes](size_t i) { return static_cast<unsigned char>(bytes[i]); };
  for (size_t begin = 0; begin < bytes.size();) {
    const Form form = FormOf(at(begin));
    if (form.length == 0 || form.length > bytes.size() - begin) return false;
    for (size_t i = 1; i < form.length; ++i) {
      const unsigned char low = i == 1 ? form.second_min : 0x80;
      const unsigned char high = i == 1 ? form.second_max : 0xbf;
      if (at(begin + i) < low || at(begin + i) > high) return false;
    }
    begin += form.length;
  }
  return true;
}

}  // namespace flagstone::base
