#include "lib/page/smaps.h"

#include <gtest/gtest.h>

namespace flagstone::page {
namespace {

constexpr uint64_t kKiB = 1024;

TEST(SmapsTest, BytesAreCountedByKindWithinTheRangeOnly) {
  const char text[] =
      "10000000-10400000 rw-p 00000000 00:00 0 \n"
      "Size:               4096 kB\nKernelPageSize:        4 kB\nRss:                2052 kB\n"
      "AnonHugePages:      2048 kB\nShmemPmdMapped:        0 kB\nLocked:             2052 kB\n"
      "VmFlags: rd wr mr mw me dc ac hg\n"
      "10400000-10800000 rw-s 00000000 00:0f 12   /memfd:flagstone class 64 (deleted)\n"
      "KernelPageSize:     2048 kB\nRss:                   0 kB\nShared_Hugetlb:     2048 kB\n"
      "Private_Hugetlb:    2048 kB\n"
      "10800000-10a00000 r--p 00000000 00:00 0 \nRss: 8 kB\n"
      "20000000-20400000 rw-p 00000000 00:00 0 \nRss: 4096 kB\n";
  const Residency found = ResidencyFromSmaps(text, {0x10000000, 0x11000000});
  EXPECT_EQ(found.bytes_by_kind[static_cast<size_t>(PageKind::k4KiB)], 4 * kKiB);
  EXPECT_EQ(found.bytes_by_kind[static_cast<size_t>(PageKind::kTransparent2MiB)], 2048 * kKiB);
  EXPECT_EQ(found.bytes_by_kind[static_cast<size_t>(PageKind::k2MiB)], 4096 * kKiB);
  EXPECT_EQ(found.bytes_writable, 8192 * kKiB);
  EXPECT_EQ(found.bytes_locked, 2052 * kKiB);
  EXPECT_EQ(found.mapping_count, 3u);
}

TEST(SmapsTest, GarbageCountsAsNothing) {
  for (const char* text : {"", "\n\n", "zz-yy rw-p", "10-20", "Rss: 5 kB\n", "1-2 r", "Rss:\n"}) {
    EXPECT_EQ(ResidencyFromSmaps(text, {0, UINT64_MAX}).bytes_writable, 0u) << text;
  }
}

}  // namespace
}  // namespace flagstone::page
