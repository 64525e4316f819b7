// What: each thing a machine may lack has its verdict and the command that mends it.
// How:  machines made up as plain facts, and this one.
#include "tools/flagstone/machine_checks.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <string>
#include <vector>

namespace flagstone::tool {
namespace {

using testing::HasSubstr;

constexpr uint64_t kMiB = uint64_t{1} << 20;

page::HugePagePool Pool(uint64_t page_bytes, uint64_t total_count, uint64_t free_count) {
  page::HugePagePool pool;
  pool.page_bytes = page_bytes;
  pool.total_count = total_count;
  pool.free_count = free_count;
  return pool;
}

MachineFacts GoodMachine() {
  MachineFacts facts;
  facts.kernel = "6.1.0";
  facts.host.huge_page_pools = {Pool(2 * kMiB, 100, 90), Pool(1024 * kMiB, 1, 1)};
  facts.host.transparent_mode = "madvise";
  facts.host.transparent_defrag_mode = "madvise";
  facts.host.numa_nodes = {0};
  facts.host.mapping_count_max = 65530;
  facts.host.memory_available_bytes = 8192 * kMiB;
  facts.host.membarrier_usable = true;
  facts.clock = {.source = "tsc",
                 .tsc_available = true,
                 .coarse_resolution_nanos = 4'000'000,
                 .call_nanos = 25,
                 .synchronized = true};
  facts.cpu = {.model = "A processor", .has_crc32 = true, .has_1gib_pages = true};
  facts.store.granted_pages = "2 MiB";
  facts.direct_io.emplace();
  facts.direct_io->folder = "/data";
  facts.direct_io->file_system = "ext4";
  return facts;
}

Check Named(const MachineFacts& facts, const std::string& name) {
  for (const Check& check : CheckMachine(facts)) {
    if (check.name == name) return check;
  }
  ADD_FAILURE() << "no check is called " << name;
  return {};
}

TEST(MachineChecksTest, AGoodMachineHasNothingToMend) {
  for (const Check& check : CheckMachine(GoodMachine())) {
    EXPECT_EQ(check.verdict, Verdict::kOk) << check.name << ": " << check.finding;
    EXPECT_EQ(check.remedy, "") << check.name;
    EXPECT_NE(check.finding, "") << check.name;
  }
}

TEST(MachineChecksTest, AnEmptyPoolIsAWarningWithTheCommandThatFillsIt) {
  MachineFacts facts = GoodMachine();
  facts.host.huge_page_pools[0] = Pool(2 * kMiB, 12, 0);
  const Check check = Named(facts, "huge pages, 2 MiB");
  EXPECT_EQ(check.verdict, Verdict::kWarn);
  // What is in use stays, and a store of the default limit (1 GiB) fits.
  EXPECT_EQ(check.remedy, "echo 524 > /sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages");
}

TEST(MachineChecksTest, PagesPromisedToOthersAreNotFree) {
  MachineFacts facts = GoodMachine();
  facts.host.huge_page_pools[0].reserved_count = 90;
  EXPECT_EQ(Named(facts, "huge pages, 2 MiB").verdict, Verdict::kWarn);
}

TEST(MachineChecksTest, SeveralNodesAreShownWithTheirPools) {
  MachineFacts facts = GoodMachine();
  facts.host.numa_nodes = {0, 1};
  facts.host.huge_page_pools.push_back(Pool(2 * kMiB, 60, 50));
  facts.host.huge_page_pools.back().numa_node = 1;
  EXPECT_THAT(Named(facts, "huge pages, 2 MiB").finding, HasSubstr("node 1: 50 free of 60"));
  EXPECT_EQ(Named(facts, "NUMA").verdict, Verdict::kNote);
  EXPECT_THAT(Named(facts, "NUMA").remedy, HasSubstr("numactl"));
}

TEST(MachineChecksTest, AKernelWithoutHugePagesIsAWarningWithoutAPromise) {
  MachineFacts facts = GoodMachine();
  facts.host.huge_page_pools.clear();
  EXPECT_EQ(Named(facts, "huge pages, 2 MiB").verdict, Verdict::kWarn);
  EXPECT_EQ(Named(facts, "huge pages, 2 MiB").remedy, "");
  EXPECT_EQ(Named(facts, "huge pages, 1 GiB").verdict, Verdict::kNote);
}

TEST(MachineChecksTest, ACgroupWithoutRoomForAPageIsAWarning) {
  MachineFacts facts = GoodMachine();
  facts.host.huge_page_cgroup_limits = {
      {2 * kMiB, "/sys/fs/cgroup/hugetlb.2MB.max", 4 * kMiB, 4 * kMiB}};
  const Check check = Named(facts, "hugetlb cgroup, 2 MiB");
  EXPECT_EQ(check.verdict, Verdict::kWarn);
  EXPECT_THAT(check.remedy, HasSubstr("> /sys/fs/cgroup/hugetlb.2MB.max"));
  facts.host.huge_page_cgroup_limits[0].limit_bytes = 6 * kMiB;
  EXPECT_EQ(Named(facts, "hugetlb cgroup, 2 MiB").verdict, Verdict::kOk);
}

TEST(MachineChecksTest, TooLittleMemoryFails) {
  MachineFacts facts = GoodMachine();
  facts.host.memory_cgroup = page::MemoryCgroup{
      .file = "/sys/fs/cgroup/memory.max", .limit_bytes = 2048 * kMiB, .used_bytes = 2016 * kMiB};
  const Check check = Named(facts, "memory");
  EXPECT_EQ(check.verdict, Verdict::kFail);
  EXPECT_THAT(check.finding, HasSubstr("within the cgroup's limit of 2"));
  EXPECT_THAT(check.remedy, HasSubstr("> /sys/fs/cgroup/memory.max"));
  // What the kernel drops first is no use that counts.
  facts.host.memory_cgroup->reclaimable_bytes = 480 * kMiB;
  EXPECT_EQ(Named(facts, "memory").verdict, Verdict::kWarn);
  facts.host.memory_cgroup->used_bytes = 600 * kMiB;
  EXPECT_EQ(Named(facts, "memory").verdict, Verdict::kOk);
}

TEST(MachineChecksTest, AStoreThatDoesNotOpenFails) {
  MachineFacts facts = GoodMachine();
  facts.store.error = "class 40: no addresses";
  EXPECT_EQ(Named(facts, "store").verdict, Verdict::kFail);
  EXPECT_EQ(Named(facts, "store").finding, "class 40: no addresses");
}

// What: settings with one bad value each, and the command for it.
TEST(MachineChecksTest, EverySettingInTheWayHasItsCommand) {
  struct Case {
    const char* name;
    void (*spoil)(MachineFacts&);
    Verdict verdict;
    const char* remedy;
  };
  const Case cases[] = {
      {"transparent huge pages", [](MachineFacts& f) { f.host.transparent_mode = "never"; },
       Verdict::kWarn, "echo madvise > /sys/kernel/mm/transparent_hugepage/enabled"},
      {"memlock", [](MachineFacts& f) { f.host.memlock_limit_bytes = 65536; }, Verdict::kNote,
       "ulimit -l unlimited"},
      {"address space", [](MachineFacts& f) { f.host.address_limit_bytes = 1u << 30; },
       Verdict::kWarn, "ulimit -v unlimited"},
      {"overcommit", [](MachineFacts& f) { f.host.overcommit_mode = 2; }, Verdict::kWarn,
       "sysctl -w vm.overcommit_memory=0"},
      {"kernel mappings", [](MachineFacts& f) { f.host.mapping_count_max = 1000; }, Verdict::kWarn,
       "sysctl -w vm.max_map_count=65530"},
      {"membarrier", [](MachineFacts& f) { f.host.membarrier_usable = false; }, Verdict::kWarn,
       "seccomp"},
      {"io_uring",
       [](MachineFacts& f) {
         f.io_uring = {EPERM, 2};
       },
       Verdict::kWarn, "sysctl -w kernel.io_uring_disabled=0"},
      {"io_uring",
       [](MachineFacts& f) {
         f.io_uring = {EPERM, 0};
       },
       Verdict::kWarn, "seccomp"},
      {"io_uring",
       [](MachineFacts& f) {
         f.io_uring = {ENOMEM, std::nullopt};
       },
       Verdict::kWarn, "ulimit -l"},
      {"io_uring",
       [](MachineFacts& f) {
         f.io_uring = {ENOSYS, std::nullopt};
       },
       Verdict::kWarn, "5.1"},
      {"clock", [](MachineFacts& f) { f.clock.call_nanos = 700; }, Verdict::kWarn, "echo tsc >"},
      {"clock",
       [](MachineFacts& f) {
         f.clock.call_nanos = 700;
         f.clock.tsc_available = false;
       },
       Verdict::kWarn, "clocksource=tsc"},
      {"time service", [](MachineFacts& f) { f.clock.synchronized = false; }, Verdict::kNote,
       "timedatectl set-ntp true"},
      {"direct I/O", [](MachineFacts& f) { f.direct_io.reset(); }, Verdict::kNote,
       "flagstone doctor PATH"},
      {"direct I/O",
       [](MachineFacts& f) {
         f.direct_io->failed_call = "open";
         f.direct_io->error = EINVAL;
       },
       Verdict::kWarn, "ext4 or xfs"},
      {"direct I/O",
       [](MachineFacts& f) {
         f.direct_io->failed_call = "stat";
         f.direct_io->error = ENOENT;
       },
       Verdict::kFail, "mkdir -p /data"},
      {"direct I/O",
       [](MachineFacts& f) {
         f.direct_io->failed_call = "open";
         f.direct_io->error = EACCES;
       },
       Verdict::kFail, "chown"},
  };
  for (const Case& bad : cases) {
    MachineFacts facts = GoodMachine();
    bad.spoil(facts);
    const Check check = Named(facts, bad.name);
    EXPECT_EQ(check.verdict, bad.verdict) << bad.name << ": " << check.finding;
    EXPECT_THAT(check.remedy, HasSubstr(bad.remedy)) << bad.name;
  }
}

TEST(MachineChecksTest, TheCapabilityToLockMemoryLiftsTheLimit) {
  MachineFacts facts = GoodMachine();
  facts.host.memlock_limit_bytes = 65536;
  facts.may_lock_any_memory = true;
  EXPECT_EQ(Named(facts, "memlock").verdict, Verdict::kOk);
  EXPECT_TRUE(MayLockAnyMemory("Name:\tx\nCapEff:\t000001ffffffffff\n"));
  EXPECT_TRUE(MayLockAnyMemory("CapEff:\t0000000000004000\n"));
  EXPECT_FALSE(MayLockAnyMemory("CapPrm:\t000001ffffffffff\nCapEff:\t0000000000003fff\n"));
  EXPECT_FALSE(MayLockAnyMemory(""));
}

TEST(MachineChecksTest, ProcessorFlagsAreWholeWords) {
  const CpuFacts x86 =
      CpuFactsFrom("processor\t: 0\nmodel name\t: Some CPU\nflags\t\t: fpu sse4_2 pdpe1gb nx\n");
  EXPECT_EQ(x86.model, "Some CPU");
  EXPECT_TRUE(x86.has_crc32);
  EXPECT_TRUE(x86.has_1gib_pages);
  EXPECT_FALSE(CpuFactsFrom("flags\t: sse4_21 xpdpe1gb\nvmx flags\t: sse4_2\n").has_crc32);
  EXPECT_TRUE(CpuFactsFrom("Features\t: fp asimd crc32\n").has_crc32);
  EXPECT_EQ(CpuFactsFrom("").model, "");
}

TEST(MachineChecksTest, ThisMachineOpensAStoreAndNothingStaysInTheFolder) {
  const std::string folder = testing::TempDir() + "flagstone-doctor-" + std::to_string(getpid());
  std::filesystem::create_directories(folder);
  const MachineFacts facts = ProbeMachine(folder);
  EXPECT_EQ(facts.store.error, "");
  EXPECT_GT(facts.clock.coarse_resolution_nanos, 0);
  ASSERT_TRUE(facts.direct_io.has_value());
  EXPECT_TRUE(std::filesystem::is_empty(folder));
  std::filesystem::remove_all(folder);
  EXPECT_EQ(ProbeMachine(folder).direct_io->error, ENOENT);
}

}  // namespace
}  // namespace flagstone::tool
