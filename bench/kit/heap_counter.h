// Counts the heap bytes a thread has ever taken, where the program's allocator can tell.
//
// jemalloc counts per thread, exactly, at no cost. glibc's malloc does not; there the answer is
// "not countable" and never a guess.
#ifndef FLAGSTONE_BENCH_KIT_HEAP_COUNTER_H_
#define FLAGSTONE_BENCH_KIT_HEAP_COUNTER_H_

#include <cstdint>
#include <optional>
#include <string>

namespace flagstone::bench {

// Bytes the calling thread has allocated since it began; it never falls, and it grows with every
// allocation.
std::optional<uint64_t> ThreadAllocatedBytes();

// "jemalloc 5.3.0", "the C library's malloc".
std::string AllocatorName();

}  // namespace flagstone::bench

#endif  // FLAGSTONE_BENCH_KIT_HEAP_COUNTER_H_
