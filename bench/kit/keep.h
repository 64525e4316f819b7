// What stops the compiler from removing or foreseeing the work that is measured. No instruction is
// added, except that values pass through a register.
#ifndef FLAGSTONE_BENCH_KIT_KEEP_H_
#define FLAGSTONE_BENCH_KIT_KEEP_H_

namespace flagstone::bench {

// `value` counts as used, and as changed by something the compiler cannot see.
template <typename T>
inline void Launder(T& value) {
  asm volatile("" : "+r"(value));
}

// The memory behind `pointer` counts as read and written.
inline void KeepMemory(const void* pointer) { asm volatile("" : : "r"(pointer) : "memory"); }

}  // namespace flagstone::bench

#endif  // FLAGSTONE_BENCH_KIT_KEEP_H_
