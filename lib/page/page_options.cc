#include "flagstone/page_options.h"

namespace flagstone {
namespace {

constexpr int kNumaNodeMax = 1023;
constexpr size_t kPathBytesMax = 4000;  // PATH_MAX less a file name

}  // namespace

std::string_view PageKindName(PageKind kind) {
  switch (kind) {
    case PageKind::k4KiB: return "4 KiB";
    case PageKind::kTransparent2MiB: return "transparent 2 MiB";
    case PageKind::k2MiB: return "2 MiB";
    case PageKind::k1GiB: return "1 GiB";
  }
  return "unknown";
}

Status PageOptions::Validate() const {
  const auto refuse = [](const std::string& what) {
    return Status::Error(StatusCode::kInvalidArgument, "page options: " + what);
  };
  if (static_cast<size_t>(page_kind) >= kPageKindCount) {
    return refuse("page_kind is " + std::to_string(static_cast<int>(page_kind)) +
                  ", allowed: 0 (4 KiB) to 3 (1 GiB)");
  }
  if (require_huge_pages && page_kind == PageKind::k4KiB) {
    return refuse(
        "require_huge_pages is true and page_kind is 4 KiB, allowed with it: transparent 2 MiB, "
        "2 MiB, 1 GiB");
  }
  if (numa_node && (*numa_node < 0 || *numa_node > kNumaNodeMax)) {
    return refuse("numa_node is " + std::to_string(*numa_node) + ", allowed: 0 to " +
                  std::to_string(kNumaNodeMax) + ", or none");
  }
  if (backing_directory.size() > kPathBytesMax ||
      backing_directory.find('\0') != std::string::npos) {
    return refuse("backing_directory has " + std::to_string(backing_directory.size()) +
                  " bytes, allowed: 0 to " + std::to_string(kPathBytesMax) +
                  " without a zero byte");
  }
  return Status::Ok();
}

}  // namespace flagstone
