#include "lib/page/host_report.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace flagstone::page {
namespace {

class HostReportTest : public testing::Test {
 protected:
  void SetUp() override {
    root_ = testing::TempDir() + "flagstone-host-" + std::to_string(getpid());
    std::filesystem::remove_all(root_);
  }
  void TearDown() override { std::filesystem::remove_all(root_); }
  void Write(const std::string& path, const std::string& text) {
    std::filesystem::create_directories(std::filesystem::path(root_ + path).parent_path());
    std::ofstream(root_ + path) << text;
  }
  std::string root_;
};

TEST_F(HostReportTest, PoolsLimitsAndModesAreRead) {
  const std::string pool = "/sys/kernel/mm/hugepages/hugepages-2048kB";
  Write(pool + "/nr_hugepages", "12\n");
  Write(pool + "/free_hugepages", "7\n");
  Write(pool + "/resv_hugepages", "2\n");
  Write(pool + "/surplus_hugepages", "1\n");
  Write("/sys/devices/system/node/has_memory", "0-1,3\n");
  Write("/sys/devices/system/node/node3/hugepages/hugepages-2048kB/nr_hugepages", "4\n");
  Write("/sys/kernel/mm/transparent_hugepage/enabled", "always [madvise] never\n");
  Write("/proc/self/cgroup", "0::/pod/x\n");
  Write("/sys/fs/cgroup/pod/x/hugetlb.2MB.max", "8388608\n");
  Write("/sys/fs/cgroup/pod/x/hugetlb.2MB.current", "2097152\n");
  Write("/sys/fs/cgroup/pod/x/memory.max", "max\n");
  Write("/proc/sys/vm/max_map_count", "65530\n");
  Write("/proc/meminfo", "MemTotal: 5 kB\nMemAvailable:   3 kB\n");
  const HostReport report = ReadHostReport(root_);
  ASSERT_EQ(report.huge_page_pools.size(), 2u);
  EXPECT_EQ(report.huge_page_pools[0].page_bytes, 2u << 20);
  EXPECT_EQ(report.huge_page_pools[0].total_count, 12u);
  EXPECT_EQ(report.huge_page_pools[0].free_count, 7u);
  EXPECT_EQ(report.huge_page_pools[0].reserved_count, 2u);
  EXPECT_EQ(report.huge_page_pools[0].surplus_count, 1u);
  EXPECT_EQ(report.huge_page_pools[1].numa_node, 3);
  EXPECT_EQ(report.numa_nodes, (std::vector<int>{0, 1, 3}));
  EXPECT_EQ(report.transparent_mode, "madvise");
  ASSERT_EQ(report.huge_page_cgroup_limits.size(), 1u);
  EXPECT_EQ(report.huge_page_cgroup_limits[0].limit_bytes, 8388608u);
  EXPECT_EQ(report.huge_page_cgroup_limits[0].used_bytes, 2097152u);
  EXPECT_FALSE(report.memory_cgroup.has_value());
  EXPECT_EQ(report.mapping_count_max, 65530u);
  EXPECT_EQ(report.memory_available_bytes, 3072u);
}

TEST_F(HostReportTest, AMachineWithoutAnythingIsAnEmptyReport) {
  const HostReport report = ReadHostReport(root_);
  EXPECT_TRUE(report.huge_page_pools.empty());
  EXPECT_EQ(report.transparent_mode, "");
  EXPECT_TRUE(report.numa_nodes.empty());
}

TEST_F(HostReportTest, ThisMachineAnswers) {
  const HostReport report = ReadHostReport();
  EXPECT_GT(report.memory_available_bytes, 0u);
}

}  // namespace
}  // namespace flagstone::page
