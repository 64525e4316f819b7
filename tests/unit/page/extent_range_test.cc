#include "lib/page/extent_range.h"
#include <gtest/gtest.h>
#include <cstring>
namespace flagstone::page {
TEST(Smoke, All) {
  base::MemoryAccount account(MemoryOptions{});
  for (int k = 0; k < 4; ++k) {
    ExtentRangeOptions o; o.pages.page_kind = static_cast<PageKind>(k); o.extent_count_max = 16; o.name = "class 64";
    auto r = ExtentRange::Reserve(o, account);
    ASSERT_TRUE(r.ok()) << r.status().ToString();
    auto m = (*r)->Map(0, 3);
    ASSERT_TRUE(m.ok()) << m.status().ToString();
    std::memset((*r)->base(), 7, 3 * kExtentBytes);
    auto v = (*r)->Verify();
    ASSERT_TRUE(v.ok());
    for (int i = 0; i < 4; ++i) printf("%lu ", v->bytes_by_kind[i]);
    printf("untouched %lu used %lu\n", v->bytes_untouched, account.used_bytes());
    for (auto& f : v->fallbacks) printf("%s\n", f.reason.c_str());
    ASSERT_TRUE((*r)->Return(1, 1).ok());
    EXPECT_EQ((*r)->extent_address(1)[5], std::byte{0});
    ASSERT_TRUE((*r)->Map(1, 1).ok());
    (*r)->extent_address(1)[5] = std::byte{1};
  }
  EXPECT_EQ(account.used_bytes(), 0u);
}
}
