// Named extents on tmpfs: another process's view of them, and a restart that finds them warm.
#include "lib/page/extent_view.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>

#include "lib/page/extent_range.h"

namespace flagstone::page {
namespace {

using ::testing::HasSubstr;

class ExtentViewTest : public testing::Test {
 protected:
  void SetUp() override {
    char directory[] = "/dev/shm/flagstone-test-XXXXXX";
    ASSERT_NE(mkdtemp(directory), nullptr);
    directory_ = directory;
  }
  void TearDown() override {
    if (directory_.rfind("/dev/shm/flagstone-test-", 0) == 0) {
      std::filesystem::remove_all(directory_);
    }
  }

  Result<std::unique_ptr<ExtentRange>> Open(BackingFileMode mode) {
    ExtentRangeOptions options;
    options.pages.page_kind = PageKind::k4KiB;
    options.pages.backing_directory = directory_;
    options.extent_count_max = 8;
    options.name = "class 64";
    options.backing_file_mode = mode;
    return ExtentRange::Reserve(options, account_);
  }

  std::string directory_;
  base::MemoryAccount account_{MemoryOptions{}};
};

TEST_F(ExtentViewTest, AnotherProcessReadsWhatTheOwnerWrote) {
  const auto range = Open(BackingFileMode::kCreateNew).value();
  ASSERT_TRUE(range->Map(0, 2).ok());
  std::memset(range->extent_address(1), 0x5a, kExtentBytes);
  const pid_t child = fork();
  if (child == 0) {
    auto view = ExtentView::Attach(directory_, "class 64");
    if (!view.ok() || !(*view)->Map(0, 2).ok()) _exit(1);
    if ((*view)->extent_address(1)[77] != std::byte{0x5a}) _exit(2);
    if ((*view)->Map(2, 1).code() != StatusCode::kFailedPrecondition) _exit(3);
    if (!(*view)->Drop(1, 1).ok()) _exit(4);
    _exit((*view)->extent_address(1)[77] == std::byte{0} ? 0 : 5);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

TEST_F(ExtentViewTest, ARestartFindsItsExtentsWarm) {
  {
    const auto range = Open(BackingFileMode::kCreateNew).value();
    ASSERT_TRUE(range->Map(0, 3).ok());
    std::memset(range->base(), 0x77, 3 * kExtentBytes);
    ASSERT_TRUE(range->Return(1, 1).ok());
  }
  EXPECT_EQ(account_.used_bytes(), 0u);
  EXPECT_EQ(Open(BackingFileMode::kCreateNew).code(), StatusCode::kFailedPrecondition);
  const auto range = Open(BackingFileMode::kOpenExisting).value();
  ASSERT_TRUE(range->Map(0, 3).ok());
  EXPECT_EQ(range->extent_address(2)[5], std::byte{0x77});
  EXPECT_EQ(range->extent_address(1)[5], std::byte{0});
}

TEST_F(ExtentViewTest, AFileThatNeverHeldAnythingIsNotInTheWayOfTheNextTry) {
  for (int i = 0; i < 2; ++i) ASSERT_TRUE(Open(BackingFileMode::kCreateNew).ok());
  EXPECT_TRUE(std::filesystem::is_empty(directory_));
}

TEST_F(ExtentViewTest, MissingFilesAndOtherFileSystemsAreNamed) {
  EXPECT_EQ(ExtentView::Attach(directory_, "class 64").code(), StatusCode::kFailedPrecondition);
  EXPECT_EQ(Open(BackingFileMode::kOpenExisting).code(), StatusCode::kFailedPrecondition);
  const std::string tmpfs = directory_;
  directory_ = "/proc";
  const auto refused = Open(BackingFileMode::kCreateNew);
  EXPECT_EQ(refused.code(), StatusCode::kInvalidArgument);
  EXPECT_THAT(refused.status().message(), HasSubstr("tmpfs"));
  directory_ = tmpfs;
}

}  // namespace
}  // namespace flagstone::page
