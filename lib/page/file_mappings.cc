// The kernel mappings of an ExtentRange on explicit pages, joined to few.
#include <sys/mman.h>

#include <iterator>

#include "lib/base/check.h"
#include "lib/page/extent_memory.h"
#include "lib/page/extent_range.h"

namespace flagstone::page {

// The kernel never joins neighbouring mappings of huge page files, and a process has 65530 of them
// at most. A new one is joined with its left neighbour while that is not longer, like the digits of
// a binary counter: n extents mapped one by one stand in log2(n) mappings, each laid out log2(n)
// times.
void ExtentRange::AddFileMapping(PageKind kind, Span span) {
  file_mappings_[span.first] = span.count;
  for (;;) {
    const auto current = file_mappings_.find(span.first);
    if (current == file_mappings_.begin()) return;
    const auto left = std::prev(current);
    const Span left_span{left->first, left->second};
    if (left_span.end() != span.first || left_span.count > span.count ||
        extent_at(left_span.first).kind != kind || !JoinMappings(kind, left_span, span)) {
      return;
    }
    left->second += span.count;
    file_mappings_.erase(current);
    span = {left_span.first, left_span.count + span.count};
  }
}

int ExtentRange::LayFile(const BackingFile& file, Span span) {
  // The pages are there: MAP_NORESERVE only says that no second set is to be set aside for them,
  // and MAP_POPULATE spares the first reader a fault each. (It also makes them data for SEEK_DATA,
  // by which an attaching process knows them.)
  void* mapped = nullptr;
  const int error = system_.Map({.address = extent_address(span.first),
                                 .bytes = BytesOf(span.count),
                                 .protection = PROT_READ | PROT_WRITE,
                                 .flags = MAP_SHARED | MAP_FIXED | MAP_NORESERVE | MAP_POPULATE,
                                 .fd = file.fd(),
                                 .offset = static_cast<off_t>(BytesOf(span.first))},
                                &mapped);
  if (error == 0) AdviseInheritance(span);
  return error;
}

bool ExtentRange::JoinMappings(PageKind kind, Span left, Span right) {
  int error = 0;
  BackingFile* const file = FileOf(kind, &error);
  const auto lay = [&](Span span) { return LayFile(*file, span); };
  // One call replaces both under the kernel's lock: a reader meets the old mapping or the new one.
  if (lay({left.first, left.count + right.count}) == 0) return true;
  // The records are in the file still; without their mapping the process cannot go on.
  FLAGSTONE_CHECK(lay(left) == 0 && lay(right) == 0);
  return false;
}

void ExtentRange::RemoveFileMappings(Span span) {
  auto next = file_mappings_.upper_bound(span.first);
  if (next != file_mappings_.begin()) --next;
  while (next != file_mappings_.end() && next->first < span.end()) {
    const Span found{next->first, next->second};
    if (found.end() <= span.first) {
      ++next;
      continue;
    }
    // What needs memory comes first: when there is none, nothing has changed.
    if (found.end() > span.end()) file_mappings_[span.end()] = found.end() - span.end();
    if (found.first < span.first) {
      next->second = span.first - found.first;
      ++next;
    } else {
      next = file_mappings_.erase(next);
    }
  }
}

}  // namespace flagstone::page
