// One random history on one thread in which every call is first tried with each of its allocations
// failing in turn, until it succeeds; after each failure the store must be what a model says.
#ifndef FLAGSTONE_TESTS_SUPPORT_ALLOCATION_SCRIPT_H_
#define FLAGSTONE_TESTS_SUPPORT_ALLOCATION_SCRIPT_H_

#include <cstdint>

#include "tests/support/store_workloads.h"

namespace flagstone::testkit {

// Counts failed allocations. The program links failing_allocator.cc.
WorkloadVerdict RunAllocationScript(uint64_t seed);

}  // namespace flagstone::testkit

#endif  // FLAGSTONE_TESTS_SUPPORT_ALLOCATION_SCRIPT_H_
