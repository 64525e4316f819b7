// What: whatever a file holds, every line is accounted for, memory stays bounded, and bad lines are
// never silent. How:  files of our own making in a temporary folder, and Debian's, where it is
// installed.
#include "tools/flagstone/geoip_import.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include "lib/base/random.h"
#include "tools/flagstone/line_reader.h"

namespace flagstone::tool {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::SizeIs;

class GeoipImportTest : public testing::Test {
 protected:
  GeoipImportTest()
      : folder_(testing::TempDir() + "flagstone-import-" + std::to_string(getpid()) + "-" +
                testing::UnitTest::GetInstance()->current_test_info()->name()) {
    std::filesystem::create_directories(folder_);
  }
  ~GeoipImportTest() override { std::filesystem::remove_all(folder_); }

  std::string Write(const std::string& text) {
    const std::string path = folder_ + "/input";
    std::ofstream(path, std::ios::binary) << text;
    return path;
  }
  Result<ImportCounts> Import(const std::string& path,
                              BadLinePolicy policy = BadLinePolicy::kSkip) {
    ImportPlan<Ipv4Range> plan;
    plan.path = path;
    plan.bad_line_policy = policy;
    plan.store_batch = [&](std::span<const Ipv4Range> batch) {
      EXPECT_LE(batch.size(), kBatchRecords);
      stored_.insert(stored_.end(), batch.begin(), batch.end());
      return sink_status_;
    };
    plan.report_bad_line = [&](const std::string& report) { reports_.push_back(report); };
    return ImportRanges(plan);
  }
  ImportCounts ImportText(const std::string& text) {
    Result<ImportCounts> counts = Import(Write(text));
    EXPECT_TRUE(counts.ok()) << counts.status().ToString();
    if (!counts.ok()) return {};
    EXPECT_EQ(counts->lines, counts->records + counts->comment_lines + counts->bad_lines);
    EXPECT_EQ(counts->bytes_read, text.size());
    EXPECT_EQ(counts->records, stored_.size());
    return *counts;
  }

  std::string folder_;
  std::vector<Ipv4Range> stored_;
  std::vector<std::string> reports_;
  Status sink_status_;
};

TEST_F(GeoipImportTest, RecordsCommentsAndBadLinesAreCounted) {
  const ImportCounts counts = ImportText("# header\n\n1,2,AU\nnonsense\n3,4,DE\n");
  EXPECT_EQ(counts.records, 2u);
  EXPECT_EQ(counts.comment_lines, 2u);
  EXPECT_EQ(counts.bad_lines, 1u);
  EXPECT_THAT(reports_, ElementsAre(HasSubstr("/input:4: found 1 field")));
}

TEST_F(GeoipImportTest, TheLastLineMayLackItsNewline) {
  EXPECT_EQ(ImportText("1,2,AU\n3,4,DE").records, 2u);
  EXPECT_EQ(stored_.back().last, 4u);
}

TEST_F(GeoipImportTest, CarriageReturnsBeforeNewlinesAreNoPartOfTheLine) {
  EXPECT_EQ(ImportText("# dos\r\n1,2,AU\r\n\r\n3,4,DE\r").records, 2u);
  EXPECT_EQ(reports_.size(), 0u);
}

TEST_F(GeoipImportTest, ABadLineIsFatalWhenAskedAndNamesFileLineAndReason) {
  const Result<ImportCounts> counts =
      Import(Write("1,2,AU\n9,3,DE\n5,6,FR\n"), BadLinePolicy::kFail);
  ASSERT_EQ(counts.code(), StatusCode::kInvalidArgument);
  EXPECT_THAT(counts.status().message(), HasSubstr("/input:2: first address 0.0.0.9 lies behind"));
  EXPECT_THAT(counts.status().message(), HasSubstr("--on-bad-line=skip"));
}

TEST_F(GeoipImportTest, ManyBadLinesAreCountedButNotAllShown) {
  std::string text = "1,2,AU\n";
  for (int i = 0; i < 500; ++i) text += "bad\n";
  EXPECT_EQ(ImportText(text).bad_lines, 500u);
  EXPECT_THAT(reports_, SizeIs(kReportedBadLinesMax));
  EXPECT_THAT(reports_.back(), HasSubstr("further bad lines are counted"));
}

// What: a line of any length costs no more memory than the buffer, and the lines after it are read.
TEST_F(GeoipImportTest, OverlongLinesAreSkippedWhereverTheyEnd) {
  for (const size_t length :
       {LineReader::kLineBytesMax, LineReader::kLineBytesMax + 1, size_t{256 * 1024 - 1},
        size_t{256 * 1024}, size_t{256 * 1024 + 1}, size_t{3'000'000}}) {
    SCOPED_TRACE(length);
    stored_.clear();
    reports_.clear();
    const ImportCounts counts = ImportText("1,2,AU\n" + std::string(length, '7') + "\n3,4,DE\n");
    EXPECT_EQ(counts.records, 2u);
    EXPECT_EQ(counts.bad_lines, 1u);
    ASSERT_THAT(reports_, SizeIs(1));
    EXPECT_THAT(reports_[0],
                HasSubstr(length > LineReader::kLineBytesMax ? ":2: longer than 4096 bytes"
                                                             : ":2: found 1 field"));
    EXPECT_LT(reports_[0].size(), 400u);
  }
}

TEST_F(GeoipImportTest, AnOverlongLastLineWithoutNewlineIsOneBadLine) {
  const ImportCounts counts = ImportText("1,2,AU\n" + std::string(1'000'000, 'x'));
  EXPECT_EQ(counts.lines, 2u);
  EXPECT_EQ(counts.bad_lines, 1u);
}

TEST_F(GeoipImportTest, NulBytesAreNamedWithTheirColumn) {
  ImportText(std::string("1,2,AU\n1,\0002,AU\n", 15));
  ASSERT_THAT(reports_, SizeIs(1));
  EXPECT_THAT(reports_[0], HasSubstr(":2: NUL byte at column 3"));
}

TEST_F(GeoipImportTest, ControlCharactersDoNotReachTheTerminal) {
  ImportText("1,2,AU\n\033[2J\a,2,AU\n");
  ASSERT_THAT(reports_, SizeIs(1));
  EXPECT_THAT(reports_[0], HasSubstr("'\\x1b[2J\\x07'"));
  EXPECT_EQ(reports_[0].find('\033'), std::string::npos);
}

TEST_F(GeoipImportTest, AFileWithoutARecordIsAnError) {
  for (const char* text : {"", "\n", "# only comments\n", "bad\n"}) {
    const Result<ImportCounts> counts = Import(Write(text));
    ASSERT_EQ(counts.code(), StatusCode::kInvalidArgument) << text;
    EXPECT_THAT(counts.status().message(), HasSubstr("no record in "));
  }
}

TEST_F(GeoipImportTest, RandomBytesAreRefusedWithoutHarm) {
  base::Random random(7);
  for (int round = 0; round < 20; ++round) {
    std::string bytes(50'000, '\0');
    for (char& byte : bytes) byte = static_cast<char>(random.Next());
    EXPECT_EQ(Import(Write(bytes)).code(), StatusCode::kInvalidArgument);
  }
  EXPECT_THAT(stored_, SizeIs(0));
}

// What: characters of good lines, shuffled: no line is lost, whatever they turn into.
TEST_F(GeoipImportTest, EveryLineOfAMutatedFileIsAccountedFor) {
  base::Random random(11);
  for (int round = 0; round < 200; ++round) {
    stored_.clear();
    std::string text = "0,1,AU\n";
    for (int line = 0; line < 50; ++line) {
      text += std::to_string(random.Below(1u << 31)) + "," +
              std::to_string((1u << 31) + random.Below(1u << 31)) + ",DE\n";
    }
    for (int i = 0; i < 20; ++i) {
      constexpr char kBytes[] = {',', '\n', '\r', '\0', '#', '-', '9', 'A', '?', '\xff'};
      text[7 + random.Below(text.size() - 7)] = kBytes[random.Below(sizeof kBytes)];
    }
    const ImportCounts counts = ImportText(text);
    EXPECT_GE(counts.records + counts.bad_lines + counts.comment_lines, counts.lines);
  }
}

TEST_F(GeoipImportTest, WhatIsNoFileIsNamed) {
  EXPECT_THAT(Import(folder_).status().message(), HasSubstr("is a directory"));
  EXPECT_THAT(Import("/dev/zero").status().message(), HasSubstr("is a device or socket"));
  const Status missing = Import(folder_ + "/none").status();
  EXPECT_EQ(missing.code(), StatusCode::kIoError);
  EXPECT_THAT(missing.message(), HasSubstr("No such file or directory (errno 2); check the name"));
}

TEST_F(GeoipImportTest, AFileThatMayNotBeReadIsNamed) {
  const std::string path = Write("1,2,AU\n");
  ASSERT_EQ(chmod(path.c_str(), 0), 0);
  // Root may read everything; nobody may not.
  constexpr uid_t kNobody = 65534;
  const bool is_root = geteuid() == 0;
  if (is_root && seteuid(kNobody) != 0) GTEST_SKIP() << "root cannot become another user here";
  const Status status = Import(path).status();
  ASSERT_TRUE(!is_root || seteuid(0) == 0);
  EXPECT_THAT(status.message(), HasSubstr("Permission denied (errno 13); check its"));
}

TEST_F(GeoipImportTest, APipeIsReadToItsEnd) {
  const std::string path = folder_ + "/pipe";
  ASSERT_EQ(mkfifo(path.c_str(), 0600), 0);
  std::thread writer([&] {
    std::ofstream pipe(path);
    for (int i = 0; i < 20'000; ++i) pipe << i << ',' << i + 1 << ",AU\n";
  });
  const Result<ImportCounts> counts = Import(path);
  writer.join();
  ASSERT_TRUE(counts.ok()) << counts.status().ToString();
  EXPECT_EQ(counts->records, 20'000u);
  EXPECT_EQ(counts->file_bytes, 0u);
}

TEST_F(GeoipImportTest, AFileOfAnotherKindIsGivenUpEarly) {
  std::string text;
  for (uint64_t i = 0; i < kBadLinesBeforeFirstRecordMax + 5000; ++i) text += "x\n";
  const Result<ImportCounts> counts = Import(Write(text + "1,2,AU\n"));
  EXPECT_THAT(counts.status().message(), HasSubstr("no record in 100000 lines (100000 bad ones)"));
}

TEST_F(GeoipImportTest, AStoreThatRefusesEndsTheImport) {
  sink_status_ = Status::Error(StatusCode::kResourceExhausted, "memory limit");
  std::string text;
  for (size_t i = 0; i < 3 * kBatchRecords; ++i) text += "1,2,AU\n";
  EXPECT_EQ(Import(Write(text)).code(), StatusCode::kResourceExhausted);
  EXPECT_THAT(stored_, SizeIs(kBatchRecords));
}

TEST_F(GeoipImportTest, DebiansFileHasNoBadLine) {
  const std::string path = "/usr/share/tor/geoip";
  if (!std::filesystem::exists(path)) {
    // tools/install test brings it; where only the tests are built, say what was not covered.
    FAIL() << path << " is not there: install tor-geoipdb";
  }
  const Result<ImportCounts> counts = Import(path, BadLinePolicy::kFail);
  ASSERT_TRUE(counts.ok()) << counts.status().ToString();
  EXPECT_GT(counts->records, 200'000u);
  EXPECT_EQ(counts->bytes_read, std::filesystem::file_size(path));
}

}  // namespace
}  // namespace flagstone::tool
