// Counts heap allocations of the calling thread: the proof that a path makes none.
//
// Place       Linking allocation_counter_dep replaces malloc and its family in that test program by
//             ones that count and forward to glibc (operator new comes through malloc). Under the
//             sanitizers their own hooks count instead.
// Threads     Each thread counts its own.
// Cost        One thread-local increment per allocation.
#ifndef FLAGSTONE_TESTS_SUPPORT_ALLOCATION_COUNTER_H_
#define FLAGSTONE_TESTS_SUPPORT_ALLOCATION_COUNTER_H_

#include <cstdint>

namespace flagstone::testkit {

// Allocations (malloc, calloc, realloc, aligned ones, operator new) by this thread so far.
uint64_t ThreadAllocations();

// Counts from its construction on.
class AllocationCounter {
 public:
  AllocationCounter() : begin_(ThreadAllocations()) {}
  uint64_t count() const { return ThreadAllocations() - begin_; }

 private:
  uint64_t begin_;
};

}  // namespace flagstone::testkit

#endif  // FLAGSTONE_TESTS_SUPPORT_ALLOCATION_COUNTER_H_
