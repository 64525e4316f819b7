// Judges what a machine offers: what is fine, what costs speed, what stands in a store's way, and
// the command that mends it.
//
// Place       Between machine_probe and `doctor`. Pure, so that tests can describe any machine.
// Threads     Any.
// See         docs/guide/huge_pages.md, tests/tools/machine_checks_test.cc
#ifndef FLAGSTONE_TOOLS_FLAGSTONE_MACHINE_CHECKS_H_
#define FLAGSTONE_TOOLS_FLAGSTONE_MACHINE_CHECKS_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "tools/flagstone/machine_probe.h"

namespace flagstone::tool {

enum class Verdict : uint8_t {
  kOk,
  kNote,  // a fact to know; nothing to mend
  kWarn,  // works, slower or with less than it could have
  kFail,  // a store, or what was asked about, does not work
};

// "ok", "note", "warn", "fail".
std::string_view VerdictName(Verdict verdict);

struct Check {
  std::string name;
  Verdict verdict = Verdict::kOk;
  std::string finding;
  // What to run, as root of the host where it changes a setting; empty: nothing to do.
  std::string remedy;
};

// In the order they are printed.
std::vector<Check> CheckMachine(const MachineFacts& facts);

}  // namespace flagstone::tool

#endif  // FLAGSTONE_TOOLS_FLAGSTONE_MACHINE_CHECKS_H_
