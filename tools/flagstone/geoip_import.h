// The importer: lines of a file to batches of records, with every line that is none accounted for.
//
// Place       Between LineReader and whoever stores the batches.
// Invariants  1. lines = records + comment_lines + bad_lines.
//             2. A bad line is never stored, and never silent: it is reported with file, line and
//                reason.
// Threads     One.
// Errors      IO_ERROR from reading; INVALID_ARGUMENT with file, line and reason when a bad line is
//             fatal, and for a file without any record; what the sink answers.
// See         tests/tools/geoip_import_test.cc
#ifndef FLAGSTONE_TOOLS_FLAGSTONE_GEOIP_IMPORT_H_
#define FLAGSTONE_TOOLS_FLAGSTONE_GEOIP_IMPORT_H_

#include <cstdint>
#include <functional>
#include <span>
#include <string>

#include "flagstone/status.h"
#include "tools/flagstone/geoip_record.h"

namespace flagstone::tool {

enum class BadLinePolicy : uint8_t { kSkip, kFail };

struct ImportCounts {
  uint64_t lines = 0;
  uint64_t records = 0;
  uint64_t comment_lines = 0;  // those that start with '#', and empty ones
  uint64_t bad_lines = 0;
  uint64_t bytes_read = 0;
  uint64_t file_bytes = 0;  // 0: unknown (a pipe)
};

template <typename Range>
struct ImportPlan {
  std::string path;
  BadLinePolicy bad_line_policy = BadLinePolicy::kSkip;
  // At most kBatchRecords each; the import stops with its status when it is not OK.
  std::function<Status(std::span<const Range>)> store_batch;
  // "file:line: reason". At most kReportedBadLinesMax calls; all are counted.
  std::function<void(const std::string&)> report_bad_line;
  // After each batch.
  std::function<void(const ImportCounts&)> show_progress;
};

inline constexpr size_t kBatchRecords = 1024;
// More say nothing new.
inline constexpr uint64_t kReportedBadLinesMax = 10;
// A file that starts with so many bad lines and no good one is another kind of file; without this
// bound a pipe could keep the import busy for ever.
inline constexpr uint64_t kBadLinesBeforeFirstRecordMax = 100'000;

Result<ImportCounts> ImportRanges(const ImportPlan<Ipv4Range>& plan);
Result<ImportCounts> ImportRanges(const ImportPlan<Ipv6Range>& plan);

}  // namespace flagstone::tool

#endif  // FLAGSTONE_TOOLS_FLAGSTONE_GEOIP_IMPORT_H_
