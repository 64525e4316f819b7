// What: the limit of a memory cgroup is found wherever it stands, and named when growth fails.
// How:  folders as the kernel makes them, in both versions.
#include "lib/page/memory_cgroup.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "lib/page/page_shortage.h"
#include "tests/unit/page/fake_system_memory.h"

namespace flagstone::page {
namespace {

class MemoryCgroupTest : public testing::Test {
 protected:
  MemoryCgroupTest() : root_(testing::TempDir() + "flagstone-cgroup-" + std::to_string(getpid())) {
    std::filesystem::remove_all(root_);
  }
  ~MemoryCgroupTest() override { std::filesystem::remove_all(root_); }
  void Write(const std::string& path, const std::string& text) {
    std::filesystem::create_directories(std::filesystem::path(root_ + path).parent_path());
    std::ofstream(root_ + path) << text;
  }
  std::optional<MemoryCgroup> Find() { return TightestMemoryCgroup(SystemMemory::Real(), root_); }

  const std::string root_;
};

TEST_F(MemoryCgroupTest, TheGroupAboveMayBeTheTighterOne) {
  Write("/proc/self/cgroup", "0::/pod/container\n");
  Write("/sys/fs/cgroup/pod/container/memory.max", "1000000\n");
  Write("/sys/fs/cgroup/pod/container/memory.current", "300000\n");
  Write("/sys/fs/cgroup/pod/container/memory.stat", "anon 1\ninactive_file 100000\n");
  Write("/sys/fs/cgroup/pod/memory.max", "max\n");
  std::optional<MemoryCgroup> found = Find();
  ASSERT_TRUE(found.has_value());
  EXPECT_EQ(found->file, root_ + "/sys/fs/cgroup/pod/container/memory.max");
  EXPECT_EQ(found->limit_bytes, 1'000'000u);
  EXPECT_EQ(found->headroom_bytes(), 800'000u);

  Write("/sys/fs/cgroup/pod/memory.max", "2000000\n");
  Write("/sys/fs/cgroup/pod/memory.current", "1900000\n");
  found = Find();
  ASSERT_TRUE(found.has_value());
  EXPECT_EQ(found->file, root_ + "/sys/fs/cgroup/pod/memory.max");
  EXPECT_EQ(found->headroom_bytes(), 100'000u);
}

TEST_F(MemoryCgroupTest, Version1IsReadByItsOwnNames) {
  Write("/proc/self/cgroup", "4:memory:/job\n1:cpu:/\n0::/\n");
  Write("/sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
  Write("/sys/fs/cgroup/memory/job/memory.limit_in_bytes", "5000\n");
  Write("/sys/fs/cgroup/memory/job/memory.usage_in_bytes", "4500\n");
  Write("/sys/fs/cgroup/memory/job/memory.stat", "inactive_file 1\ntotal_inactive_file 500\n");
  const std::optional<MemoryCgroup> found = Find();
  ASSERT_TRUE(found.has_value());
  EXPECT_EQ(found->file, root_ + "/sys/fs/cgroup/memory/job/memory.limit_in_bytes");
  EXPECT_EQ(found->headroom_bytes(), 1'000u);
}

// In a container the path the kernel names is the host's.
TEST_F(MemoryCgroupTest, TheMountsTopIsAskedWhereThePathIsNotThere) {
  Write("/proc/self/cgroup", "0::/system.slice/docker-1.scope\n");
  Write("/sys/fs/cgroup/memory.max", "7000\n");
  Write("/sys/fs/cgroup/memory.current", "9000\n");
  const std::optional<MemoryCgroup> found = Find();
  ASSERT_TRUE(found.has_value());
  EXPECT_EQ(found->headroom_bytes(), 0u);
}

TEST_F(MemoryCgroupTest, NoLimitIsNone) {
  EXPECT_FALSE(Find().has_value());
  Write("/proc/self/cgroup", "4:memory:/job\n0::/pod\n");
  Write("/sys/fs/cgroup/pod/memory.max", "max\n");
  Write("/sys/fs/cgroup/memory/job/memory.limit_in_bytes", "9223372036854771712\n");
  EXPECT_FALSE(Find().has_value());
}

TEST_F(MemoryCgroupTest, AFailedGrowthNamesTheGroupThatIsInTheWay) {
  FakeSystemMemory system;
  system.texts["/proc/self/cgroup"] = "0::/pod\n";
  system.texts["/sys/fs/cgroup/pod/memory.max"] = "10000000\n";
  system.texts["/sys/fs/cgroup/pod/memory.current"] = "9000000\n";
  system.texts["/sys/fs/cgroup/pod/memory.stat"] = "inactive_file 0\n";
  const Shortage shortage =
      ExplainOrdinary(system, "madvise(MADV_POPULATE_WRITE)", ENOMEM, 2 << 20);
  EXPECT_EQ(shortage.code, StatusCode::kResourceExhausted);
  for (const char* part : {"the memory cgroup allows 10000000 bytes with 9000000 in use",
                           "raise it to 11097152 or more", "/sys/fs/cgroup/pod/memory.max"}) {
    EXPECT_NE(shortage.reason.find(part), std::string::npos) << shortage.reason;
  }
  // With room for it the group is not named.
  system.texts["/sys/fs/cgroup/pod/memory.current"] = "1000000\n";
  const Shortage other = ExplainOrdinary(system, "mmap", ENOMEM, 2 << 20);
  EXPECT_EQ(other.reason.find("/sys/fs/cgroup/pod"), std::string::npos) << other.reason;
}

}  // namespace
}  // namespace flagstone::page
