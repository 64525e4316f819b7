// FlatSlots: the reference. Slots of the store's stride in one flat array, payload where the store
// has it, nothing else: no header is read, no ID, no version.
#ifndef FLAGSTONE_BENCH_BY_ID_FLAT_SLOTS_H_
#define FLAGSTONE_BENCH_BY_ID_FLAT_SLOTS_H_

#include <cstdint>
#include <memory>
#include <new>
#include <utility>

#include "bench/by_id/bench_record.h"
#include "bench/kit/reference_memory.h"
#include "flagstone/internal/slot.h"

namespace flagstone::bench {

template <typename Record>
class FlatSlots {
 public:
  static Result<std::unique_ptr<FlatSlots>> Make(uint64_t record_count, PageKind page_kind) {
    Result<std::unique_ptr<ReferenceMemory>> memory =
        ReferenceMemory::Allocate(record_count * Record::kStrideBytes, page_kind);
    if (!memory.ok()) return std::move(memory).status();
    std::unique_ptr<FlatSlots> slots(new FlatSlots(*std::move(memory)));
    for (uint64_t n = 0; n < record_count; ++n) ::new (&slots->at(n)) Record(Record::Of(n));
    return slots;
  }

  Record& at(uint64_t number) { return At(base_, number); }
  // The same from the base alone, for loops that keep it in a register.
  static Record& At(char* base, uint64_t number) {
    return *reinterpret_cast<Record*>(base + number * Record::kStrideBytes +
                                      internal::kSlotHeaderBytes);
  }
  char* base() { return base_; }
  const ReferenceMemory& memory() const { return *memory_; }

 private:
  explicit FlatSlots(std::unique_ptr<ReferenceMemory> memory)
      : memory_(std::move(memory)), base_(memory_->data()) {}

  const std::unique_ptr<ReferenceMemory> memory_;
  char* const base_;
};

}  // namespace flagstone::bench

#endif  // FLAGSTONE_BENCH_BY_ID_FLAT_SLOTS_H_
