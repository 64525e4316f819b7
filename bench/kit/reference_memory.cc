#include "bench/kit/reference_memory.h"

#include <cstdio>
#include <cstring>
#include <utility>

#include "lib/page/page_size.h"

namespace flagstone::bench {

Result<std::unique_ptr<ReferenceMemory>> ReferenceMemory::Allocate(uint64_t bytes,
                                                                   PageKind page_kind) {
  const uint64_t extent_count = (bytes + page::kExtentBytes - 1) / page::kExtentBytes;
  MemoryOptions memory;
  // One 1 GiB page may be charged for the last bytes.
  memory.limit_bytes = extent_count * page::kExtentBytes + 2 * page::kGibBytes;
  auto account = std::make_unique<base::MemoryAccount>(memory);
  page::ExtentRangeOptions options;
  options.pages.page_kind = page_kind;
  options.extent_count_max = static_cast<uint32_t>(extent_count);
  options.name = "bench reference";
  Result<std::unique_ptr<page::ExtentRange>> range =
      page::ExtentRange::Reserve(std::move(options), *account);
  if (!range.ok()) return std::move(range).status();
  const Result<uint32_t> mapped = (*range)->Map(0, static_cast<uint32_t>(extent_count));
  if (!mapped.ok()) return mapped.status();
  std::memset((*range)->base(), 0, extent_count * page::kExtentBytes);
  return std::unique_ptr<ReferenceMemory>(
      new ReferenceMemory(bytes, std::move(account), *std::move(range)));
}

PageReport ReferenceMemory::granted() const {
  Result<PageReport> verified = range_->Verify();
  return verified.ok() ? *std::move(verified) : range_->Report();
}

std::string DescribePages(const PageReport& report) {
  uint64_t total = 0;
  for (const uint64_t bytes : report.bytes_by_kind) total += bytes;
  if (total == 0) return "nothing mapped";
  std::string text;
  for (size_t i = kPageKindCount; i-- > 0;) {
    const uint64_t bytes = report.bytes_by_kind[i];
    if (bytes == 0) continue;
    char part[64];
    const std::string_view name = PageKindName(static_cast<PageKind>(i));
    std::snprintf(part, sizeof(part), "%s%.*s %.3g %%", text.empty() ? "" : ", ",
                  static_cast<int>(name.size()), name.data(),
                  100.0 * static_cast<double>(bytes) / static_cast<double>(total));
    text += part;
  }
  if (report.verification == PageVerification::kByCall) text += " (by call, not verified)";
  return text;
}

}  // namespace flagstone::bench
