// operator new that fails once, at the n-th allocation of the calling thread. Replaces the
// program's allocator, so it is linked into single test programs and no part of the kit.
#ifndef FLAGSTONE_TESTS_SUPPORT_FAILING_ALLOCATOR_H_
#define FLAGSTONE_TESTS_SUPPORT_FAILING_ALLOCATOR_H_

#include <cstdint>
#include <functional>

#include "flagstone/status.h"

namespace flagstone::testkit {

enum class AllocationOutcome : uint8_t {
  kDone,       // the allocation failed, and the call did without
  kStatus,     // the call answered with an error
  kThrown,     // std::bad_alloc passed through
  kNoFailure,  // the call made fewer allocations
};

// Runs `call` so that its n-th allocation on this thread fails (from 1).
AllocationOutcome FailAllocation(uint64_t n, const std::function<Status()>& call);

// Inside FailAllocation(): what the test itself allocates does not count.
class OwnAllocations {
 public:
  OwnAllocations();
  ~OwnAllocations();
  OwnAllocations(const OwnAllocations&) = delete;
  OwnAllocations& operator=(const OwnAllocations&) = delete;

 private:
  const uint64_t until_failure_before_;
};

}  // namespace flagstone::testkit

#endif  // FLAGSTONE_TESTS_SUPPORT_FAILING_ALLOCATOR_H_
