// Why memory was not granted, in words that name the setting to change.
//
// Place       Beside ExtentRange. Reads limits and pools through SystemMemory after a call failed.
// See         docs/guide/huge_pages.md, which lists the same settings with their checks
#ifndef FLAGSTONE_LIB_PAGE_PAGE_SHORTAGE_H_
#define FLAGSTONE_LIB_PAGE_PAGE_SHORTAGE_H_

#include <cstdint>
#include <optional>
#include <string>

#include "flagstone/page_options.h"
#include "flagstone/status.h"
#include "lib/page/system_memory.h"

namespace flagstone::page {

enum class ShortageScope : uint8_t {
  kThisKind,   // the next rung of the ladder may do
  kEveryKind,  // no rung will: growth fails
};

struct Shortage {
  StatusCode code = StatusCode::kResourceExhausted;
  ShortageScope scope = ShortageScope::kThisKind;
  std::string reason;  // one line: what was missing, how much, the setting to change
};

// Explicit pages of `kind` could not be had: `call` gave `error` for `bytes` of them.
Shortage ExplainExplicit(SystemMemory& system, PageKind kind, const char* call, int error,
                         uint64_t bytes, std::optional<int> numa_node);

// Transparent pages would not be used; nullopt when the kernel's mode allows them.
std::optional<Shortage> ExplainTransparentMode(SystemMemory& system);

// Addresses or ordinary memory: `call` gave `error` for `bytes`.
Shortage ExplainOrdinary(SystemMemory& system, const char* call, int error, uint64_t bytes);

// Blocks of a file on a tmpfs: its mount is full. NO_SPACE.
Shortage ExplainFullMount(const std::string& directory, const char* call, int error,
                          uint64_t bytes);

// mlock(2) gave `error` for `bytes` more.
Shortage ExplainLock(SystemMemory& system, int error, uint64_t bytes);

// mbind(2) or set_mempolicy(2) gave `error`.
Shortage ExplainNode(int node, int error);

}  // namespace flagstone::page

#endif  // FLAGSTONE_LIB_PAGE_PAGE_SHORTAGE_H_
