// The counters that prove "no allocation, no system call": that they do count.
#include <gtest/gtest.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "tests/support/allocation_counter.h"
#include "tests/support/sanitizer.h"
#include "tests/support/syscall_counter.h"

namespace flagstone::testkit {
namespace {

// Keeps the compiler from removing an allocation it can see through.
void Use(void* pointer) { asm volatile("" : : "g"(pointer) : "memory"); }

TEST(AllocationCounterTest, CountsEveryWayToAllocate) {
  const AllocationCounter counter;
  const auto made = std::make_unique<int>(1);
  Use(made.get());
  EXPECT_EQ(counter.count(), 1u);
  void* block = malloc(10);
  Use(block);
  EXPECT_EQ(counter.count(), 2u);
  block = realloc(block, 1 << 20);
  Use(block);
  EXPECT_EQ(counter.count(), 3u);
  free(block);
  block = calloc(3, 5);
  Use(block);
  free(block);
  void* aligned = nullptr;
  ASSERT_EQ(posix_memalign(&aligned, 64, 128), 0);
  Use(aligned);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(aligned) % 64, 0u);
  free(aligned);
  struct alignas(128) Wide {
    char bytes[128];
  };
  const auto wide = std::make_unique<Wide>();
  Use(wide.get());
  // ThreadSanitizer does not tell its hook of posix_memalign().
  EXPECT_EQ(counter.count(), kThreadSanitizer ? 5u : 6u);
}

TEST(AllocationCounterTest, CodeWithoutAllocationsCountsNone) {
  std::vector<int> reserved;
  reserved.reserve(100);
  const AllocationCounter counter;
  for (int i = 0; i < 100; ++i) reserved.push_back(i);
  const std::string small = "fits inside";
  EXPECT_EQ(counter.count(), 0u);
}

TEST(AllocationCounterTest, OtherThreadsDoNotCount) {
  uint64_t in_thread = 0;
  std::thread other;
  const AllocationCounter counter;
  other = std::thread([&in_thread] {
    const AllocationCounter own;
    for (int i = 0; i < 50; ++i) Use(std::make_unique<int>(i).get());
    in_thread = own.count();
  });
  other.join();
  EXPECT_EQ(in_thread, 50u);
  EXPECT_LT(counter.count(), 50u);
}

TEST(SyscallCounterTest, CountsAndPerformsSystemCalls) {
  long pid = 0;
  char byte = 0;
  ssize_t transferred = 0;
  int pipe_ends[2];
  ASSERT_EQ(pipe(pipe_ends), 0);
  const SyscallReport report = CountSyscalls([&] {
    pid = syscall(SYS_getpid);
    transferred = syscall(SYS_write, pipe_ends[1], "x", 1);
    transferred += syscall(SYS_read, pipe_ends[0], &byte, 1);
  });
  close(pipe_ends[0]);
  close(pipe_ends[1]);
  EXPECT_EQ(pid, getpid());
  EXPECT_EQ(transferred, 2);
  EXPECT_EQ(byte, 'x');
  if (!report.counted) {
    std::printf("%s\n", report.ToString().c_str());
    EXPECT_FALSE(report.not_counted_because.empty());
    return;
  }
  EXPECT_EQ(report.count, 3u) << report.ToString();
  EXPECT_EQ(report.numbers, (std::vector<int>{SYS_getpid, SYS_write, SYS_read}));
}

TEST(SyscallCounterTest, CodeWithoutSystemCallsCountsNone) {
  uint64_t sum = 0;
  const SyscallReport report = CountSyscalls([&sum] {
    for (uint64_t i = 0; i < 1'000; ++i) sum += i;
  });
  EXPECT_EQ(sum, 499'500u);
  EXPECT_EQ(report.count, 0u) << report.ToString();
}

TEST(SyscallCounterTest, FailingCallsKeepTheirErrno) {
  long result = 0;
  int error = 0;
  static_cast<void>(CountSyscalls([&] {
    result = syscall(SYS_close, -1);
    error = errno;
  }));
  EXPECT_EQ(result, -1);
  EXPECT_EQ(error, EBADF);
}

TEST(SyscallCounterTest, ManyCallsAreCountedPastTheKeptNumbers) {
  const SyscallReport report = CountSyscalls([] {
    for (int i = 0; i < 1'000; ++i) syscall(SYS_getppid);
  });
  if (!report.counted) return static_cast<void>(std::printf("%s\n", report.ToString().c_str()));
  EXPECT_EQ(report.count, 1'000u);
  EXPECT_EQ(report.numbers.size(), 32u);
}

}  // namespace
}  // namespace flagstone::testkit
