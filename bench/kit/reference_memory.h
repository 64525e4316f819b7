// ReferenceMemory: flat memory for references, on the same kind of pages as the store's.
//
// It is mapped by the code that maps the store's slabs, with the same options, so that neither side
// has the better pages; granted() says what both got.
//
// Life        Allocate() maps and touches every page. The destructor unmaps.
#ifndef FLAGSTONE_BENCH_KIT_REFERENCE_MEMORY_H_
#define FLAGSTONE_BENCH_KIT_REFERENCE_MEMORY_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "flagstone/page_options.h"
#include "flagstone/status.h"
#include "lib/base/memory_account.h"
#include "lib/page/extent_range.h"

namespace flagstone::bench {

class ReferenceMemory {
 public:
  // RESOURCE_EXHAUSTED when the memory is not to be had.
  static Result<std::unique_ptr<ReferenceMemory>> Allocate(uint64_t bytes, PageKind page_kind);

  char* data() { return reinterpret_cast<char*>(range_->base()); }
  uint64_t bytes() const { return bytes_; }
  // Counted in /proc/self/smaps where that can be read.
  PageReport granted() const;

 private:
  ReferenceMemory(uint64_t bytes, std::unique_ptr<base::MemoryAccount> account,
                  std::unique_ptr<page::ExtentRange> range)
      : bytes_(bytes), account_(std::move(account)), range_(std::move(range)) {}

  const uint64_t bytes_;
  const std::unique_ptr<base::MemoryAccount> account_;
  const std::unique_ptr<page::ExtentRange> range_;
};

// "2 MiB 100 %", "transparent 2 MiB 98 %, 4 KiB 2 % (by call)".
std::string DescribePages(const PageReport& report);

}  // namespace flagstone::bench

#endif  // FLAGSTONE_BENCH_KIT_REFERENCE_MEMORY_H_
