#include "tools/flagstone/geoip_import.h"

#include <vector>

#include "tools/flagstone/line_reader.h"
#include "tools/flagstone/terminal.h"

namespace flagstone::tool {
namespace {

Result<Ipv4Range> Parse(std::string_view line, const Ipv4Range*) { return ParseIpv4Line(line); }
Result<Ipv6Range> Parse(std::string_view line, const Ipv6Range*) { return ParseIpv6Line(line); }

template <typename Range>
class Import {
 public:
  explicit Import(const ImportPlan<Range>& plan) : plan_(plan) { batch_.reserve(kBatchRecords); }

  Result<ImportCounts> Run() {
    Result<LineReader> opened = LineReader::Open(plan_.path);
    if (!opened.ok()) return std::move(opened).status();
    LineReader& reader = *opened;
    counts_.file_bytes = reader.file_bytes();
    for (;;) {
      std::string_view line;
      Result<LineReader::Step> step = reader.Next(&line);
      if (!step.ok()) return std::move(step).status();
      if (*step == LineReader::Step::kEnd) break;
      counts_.lines = reader.line_number();
      counts_.bytes_read = reader.bytes_read();
      FLAGSTONE_RETURN_IF_ERROR(*step == LineReader::Step::kTooLong ? TakeTooLong()
                                                                    : TakeLine(line));
      if (batch_.size() == kBatchRecords) FLAGSTONE_RETURN_IF_ERROR(StoreBatch());
    }
    FLAGSTONE_RETURN_IF_ERROR(StoreBatch());
    if (counts_.records == 0) return NoRecord();
    return counts_;
  }

 private:
  Status TakeLine(std::string_view line) {
    if (line.empty() || line.front() == '#') {
      ++counts_.comment_lines;
      return Status::Ok();
    }
    Result<Range> range = Parse(line, static_cast<const Range*>(nullptr));
    if (!range.ok()) return TakeBad(range.status().message());
    batch_.push_back(*range);
    ++counts_.records;
    return Status::Ok();
  }

  Status TakeTooLong() {
    return TakeBad("longer than " + std::to_string(LineReader::kLineBytesMax) + " bytes");
  }

  Status TakeBad(const std::string& reason) {
    ++counts_.bad_lines;
    const std::string report =
        Escaped(plan_.path, 400) + ":" + std::to_string(counts_.lines) + ": " + reason;
    if (plan_.bad_line_policy == BadLinePolicy::kFail) {
      return Status::Error(StatusCode::kInvalidArgument,
                           report + "; correct the line, or skip such lines (--on-bad-line=skip)");
    }
    if (counts_.bad_lines <= kReportedBadLinesMax && plan_.report_bad_line) {
      plan_.report_bad_line(counts_.bad_lines < kReportedBadLinesMax
                                ? report
                                : report + " (further bad lines are counted, not shown)");
    }
    if (counts_.records == 0 && counts_.bad_lines >= kBadLinesBeforeFirstRecordMax) {
      return NoRecord();
    }
    return Status::Ok();
  }

  Status StoreBatch() {
    if (batch_.empty()) return Status::Ok();
    FLAGSTONE_RETURN_IF_ERROR(plan_.store_batch(batch_));
    batch_.clear();
    if (plan_.show_progress) plan_.show_progress(counts_);
    return Status::Ok();
  }

  Status NoRecord() const {
    return Status::Error(
        StatusCode::kInvalidArgument,
        Escaped(plan_.path, 400) + ": no record in " + std::to_string(counts_.lines) + " lines (" +
            std::to_string(counts_.bad_lines) + " bad ones); wanted are lines first,last,country");
  }

  const ImportPlan<Range>& plan_;
  std::vector<Range> batch_;
  ImportCounts counts_;
};

}  // namespace

Result<ImportCounts> ImportRanges(const ImportPlan<Ipv4Range>& plan) {
  return Import<Ipv4Range>(plan).Run();
}

Result<ImportCounts> ImportRanges(const ImportPlan<Ipv6Range>& plan) {
  return Import<Ipv6Range>(plan).Run();
}

}  // namespace flagstone::tool
