#include "lib/base/utf8.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>

namespace flagstone::base {
namespace {

TEST(Utf8Test, EveryCharacterOfUnicodeIsTextAndNoSurrogateIs) {
  for (char32_t c = 0; c <= 0x110000; ++c) {
    std::string bytes;
    if (c < 0x80) {
      bytes = {static_cast<char>(c)};
    } else if (c < 0x800) {
      bytes = {static_cast<char>(0xc0 | c >> 6), static_cast<char>(0x80 | (c & 0x3f))};
    } else if (c < 0x10000) {
      bytes = {static_cast<char>(0xe0 | c >> 12), static_cast<char>(0x80 | (c >> 6 & 0x3f)),
               static_cast<char>(0x80 | (c & 0x3f))};
    } else {
      bytes = {static_cast<char>(0xf0 | c >> 18), static_cast<char>(0x80 | (c >> 12 & 0x3f)),
               static_cast<char>(0x80 | (c >> 6 & 0x3f)), static_cast<char>(0x80 | (c & 0x3f))};
    }
    const bool is_character = c <= 0x10ffff && (c < 0xd800 || c > 0xdfff);
    ASSERT_EQ(IsUtf8(bytes), is_character) << std::hex << static_cast<uint32_t>(c);
    ASSERT_EQ(IsUtf8("a" + bytes + "b"), is_character) << std::hex << static_cast<uint32_t>(c);
    // Cut short, it is not.
    ASSERT_EQ(IsUtf8(std::string_view(bytes).substr(0, bytes.size() - 1)), c < 0x80);
  }
}

TEST(Utf8Test, OverlongFormsAndStrayBytesAreNoText) {
  for (const std::string_view bytes :
       {"\x80", "\xbf", "\xc0\x80", "\xc1\xbf", "\xe0\x9f\xbf", "\xf0\x8f\xbf\xbf",
        "\xf5\x80\x80\x80", "\xff", "\xc3(", "\xe2\x82(", "\xf0\x9f\x98("}) {
    EXPECT_FALSE(IsUtf8(bytes)) << bytes.size();
  }
  EXPECT_TRUE(IsUtf8(""));
  EXPECT_TRUE(IsUtf8(std::string_view("\0", 1)));
}

}  // namespace
}  // namespace flagstone::base
