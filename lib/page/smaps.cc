#include "lib/page/smaps.h"

#include <charconv>
#include <optional>

#include "lib/page/page_size.h"

namespace flagstone::page {
namespace {

// The fields of one mapping, in bytes.
struct Mapping {
  AddressRange range;
  bool writable = false;
  uint64_t kernel_page_bytes = 0;
  uint64_t resident_bytes = 0;
  uint64_t huge_bytes = 0;  // transparent, of all three kinds of memory
  uint64_t hugetlb_bytes = 0;
  uint64_t locked_bytes = 0;
};

std::string_view TakeLine(std::string_view* text) {
  const size_t end = text->find('\n');
  const std::string_view line = text->substr(0, end);
  text->remove_prefix(end == std::string_view::npos ? text->size() : end + 1);
  return line;
}

// "7f12a0000000-7f12a0200000 rw-p 00000000 00:00 0   name"
std::optional<Mapping> ParseHead(std::string_view line) {
  const size_t dash = line.find('-');
  const size_t space = line.find(' ');
  if (dash == std::string_view::npos || space == std::string_view::npos || dash > space ||
      line.size() < space + 3) {
    return std::nullopt;
  }
  Mapping mapping;
  const auto begin = std::from_chars(line.data(), line.data() + dash, mapping.range.begin, 16);
  const auto end =
      std::from_chars(line.data() + dash + 1, line.data() + space, mapping.range.end, 16);
  if (begin.ec != std::errc() || begin.ptr != line.data() + dash || end.ec != std::errc() ||
      end.ptr != line.data() + space) {
    return std::nullopt;
  }
  mapping.writable = line[space + 2] == 'w';
  return mapping;
}

// "AnonHugePages:      2048 kB"
void ParseField(std::string_view line, Mapping* mapping) {
  const size_t colon = line.find(':');
  if (colon == std::string_view::npos) return;
  const std::string_view key = line.substr(0, colon);
  const size_t digits = line.find_first_not_of(' ', colon + 1);
  if (digits == std::string_view::npos) return;
  uint64_t kib = 0;
  if (std::from_chars(line.data() + digits, line.data() + line.size(), kib).ec != std::errc())
    return;
  const uint64_t bytes = kib * 1024;
  if (key == "KernelPageSize") mapping->kernel_page_bytes = bytes;
  if (key == "Rss") mapping->resident_bytes = bytes;
  if (key == "AnonHugePages" || key == "ShmemPmdMapped" || key == "FilePmdMapped") {
    mapping->huge_bytes += bytes;
  }
  if (key == "Shared_Hugetlb" || key == "Private_Hugetlb") mapping->hugetlb_bytes += bytes;
  if (key == "Locked") mapping->locked_bytes = bytes;
}

void Add(const Mapping& mapping, AddressRange range, Residency* sum) {
  if (mapping.range.begin < range.begin || mapping.range.end > range.end) return;
  const auto add = [sum](PageKind kind, uint64_t bytes) {
    sum->bytes_by_kind[static_cast<size_t>(kind)] += bytes;
  };
  ++sum->mapping_count;
  sum->bytes_locked += mapping.locked_bytes;
  if (!mapping.writable) return;
  sum->bytes_writable += mapping.range.end - mapping.range.begin;
  if (mapping.kernel_page_bytes == PageBytes(PageKind::k1GiB)) {
    add(PageKind::k1GiB, mapping.hugetlb_bytes);
  } else if (mapping.kernel_page_bytes == PageBytes(PageKind::k2MiB)) {
    add(PageKind::k2MiB, mapping.hugetlb_bytes);
  } else {
    add(PageKind::kTransparent2MiB, mapping.huge_bytes);
    if (mapping.resident_bytes > mapping.huge_bytes) {
      add(PageKind::k4KiB, mapping.resident_bytes - mapping.huge_bytes);
    }
  }
}

}  // namespace

Residency ResidencyFromSmaps(std::string_view text, AddressRange range) {
  Residency sum;
  std::optional<Mapping> current;
  while (!text.empty()) {
    const std::string_view line = TakeLine(&text);
    if (std::optional<Mapping> head = ParseHead(line)) {
      if (current) Add(*current, range, &sum);
      current = head;
    } else if (current) {
      ParseField(line, &*current);
    }
  }
  if (current) Add(*current, range, &sum);
  return sum;
}

}  // namespace flagstone::page
