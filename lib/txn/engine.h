// The engine: what all sessions of one store share.
//
// Place       Below store (which builds it, names tables, runs its maintenance), above slab, id and
//             epoch. Sessions (session_core.h) and the tidier (tidier.h) work on it.
// Life        Created at open; classes and tables are added and never removed; destroyed when no
//             session is left.
// Threads     AddTable(): any. The lists are grown under mutex_ and published by atomic pointers,
//             so that readers and maintenance look them up without a lock.
#ifndef FLAGSTONE_LIB_TXN_ENGINE_H_
#define FLAGSTONE_LIB_TXN_ENGINE_H_

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "flagstone/clock.h"
#include "flagstone/id_layout.h"
#include "flagstone/internal/table_view.h"
#include "flagstone/status.h"
#include "lib/base/memory_account.h"
#include "lib/base/mutex.h"
#include "lib/epoch/registry.h"
#include "lib/id/tick_source.h"
#include "lib/slab/class_space.h"
#include "lib/slab/table_slots.h"
#include "lib/slab/version_pool.h"
#include "lib/txn/commit_clock.h"

namespace flagstone::txn {

class SessionCore;

inline constexpr uint32_t kTableCountMax = 4096;

// One size class in use: its addresses, and the version slots its tables share.
struct ClassState {
  explicit ClassState(std::unique_ptr<slab::ClassSpace> space_in)
      : space(std::move(space_in)), versions(*space) {}
  const std::unique_ptr<slab::ClassSpace> space;
  slab::VersionPool versions;
};

// A table's part in one size class.
struct TablePart {
  TablePart(const internal::TableView& view_in, ClassState& class_in, slab::OwnedExtents owned,
            id::TickSource& ticks, uint32_t tick_max, uint32_t number)
      : view(view_in),
        class_state(class_in),
        slots({view_in.number, view_in.run_slots}, *class_in.space, std::move(owned), ticks,
              tick_max),
        cache_number(number) {}
  const internal::TableView view;
  ClassState& class_state;
  slab::TableSlots slots;
  const uint32_t cache_number;  // where a session keeps its cache of slots of this part
};

class Engine;

struct TableState {
  const Engine* engine = nullptr;  // whose table it is
  std::string name;
  uint16_t number = 0;
  uint32_t record_bytes = 0;
  uint32_t size_class = 0;  // where records go unless another class is asked for
  // By size class; set once, never changed. Written under Engine::mutex_, read by all.
  std::array<std::atomic<TablePart*>, kSizeClassCount> parts{};
  std::vector<std::unique_ptr<TablePart>> owned_parts;  // guarded by Engine::mutex_
};

struct EngineOptions {
  IdLayout layout;
  uint32_t node = 0;
  uint32_t sessions_max = 256;
  uint32_t guards_per_session = 16;
  uint32_t transaction_writes_max = 1u << 20;
  uint64_t extents_max = 0;  // for one class, from the memory limit
  slab::RangeFactory reserve;
  base::MemoryAccount* account = nullptr;  // pays for what sessions hold; outlives the engine
};

class Engine {
 public:
  static Result<std::unique_ptr<Engine>> Create(EngineOptions options, Clock& clock,
                                                id::TickSource& ticks);
  ~Engine();
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  // A table of records of `record_bytes`, at home in `size_class`, which holds them.
  Result<TableState*> AddTable(const std::string& name, uint32_t record_bytes, uint32_t size_class);
  // The table's part in `size_class`, which holds its records; made when it is not there yet.
  Result<TablePart*> PartOf(TableState& table, uint32_t size_class);

  // The same for an ID that was made elsewhere: a part, whose class takes memory, is only made when
  // the ID's place is not refused.
  Result<TablePart*> PartOfGiven(TableState& table, const IdFields& fields);

  // nullptr when there is no such table.
  TableState* table(uint16_t number) const {
    return number < kTableCountMax ? tables_[number].load(std::memory_order_acquire) : nullptr;
  }
  ClassState* class_state(uint32_t size_class) const {
    return classes_[size_class].load(std::memory_order_acquire);
  }
  // The part that holds this ID's slot; nullptr when no table owns the slot. Any bits are allowed.
  TablePart* PartOfId(RecordId id) const;

  CommitClock& commits() { return commits_; }
  epoch::Registry& registry() { return *registry_; }
  const IdCodec& codec() const { return codec_; }
  id::TickSource& ticks() { return ticks_; }
  Clock& clock() { return clock_; }
  const EngineOptions& options() const { return options_; }

  // Timestamps below are not handed to new snapshots: the versions there may be gone. Written by
  // maintenance, read when a snapshot begins.
  std::atomic<uint64_t>& snapshot_floor() { return snapshot_floor_; }
  std::atomic<uint64_t>& history_floor() { return history_floor_; }

  Status CheckAlive() const {
    if (registry_->alive()) [[likely]]
      return Status::Ok();
    return OpenedBeforeFork();
  }
  // INVALID_ARGUMENT for a handle of another store's table.
  Status CheckOwn(const TableState& table) const {
    if (table.engine == this) [[likely]]
      return Status::Ok();
    return OfAnotherStore(table);
  }

 private:
  static Status OpenedBeforeFork();
  static Status OfAnotherStore(const TableState& table);
  Engine(EngineOptions options, Clock& clock, id::TickSource& ticks,
         std::unique_ptr<epoch::Registry> registry);
  // With version slots for records that take runs of `run_slots`.
  Result<ClassState*> ClassOf(uint32_t size_class, uint32_t run_slots)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  // set at open
  const EngineOptions options_;
  const IdCodec codec_;
  Clock& clock_;
  id::TickSource& ticks_;
  const std::unique_ptr<epoch::Registry> registry_;

  CommitClock commits_;
  alignas(64) std::atomic<uint64_t> snapshot_floor_{0};
  std::atomic<uint64_t> history_floor_{0};

  base::Mutex creating_;  // taken before mutex_
  mutable base::Mutex mutex_;
  // atomic: set under mutex_, read by all
  std::array<std::atomic<ClassState*>, kSizeClassCount> classes_{};
  std::array<std::atomic<TableState*>, kTableCountMax> tables_{};
  std::vector<std::unique_ptr<ClassState>> owned_classes_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::unique_ptr<TableState>> owned_tables_ ABSL_GUARDED_BY(mutex_);
  uint32_t next_cache_number_ ABSL_GUARDED_BY(mutex_) = 0;
};

// The table that owns a slot, 0 when none does: the extent's owner, or the slab's in a shared
// extent.
inline uint16_t OwnerOfSlot(const internal::TableView& view, uint64_t extent, uint64_t index) {
  const uint16_t owner = view.extent_owner[extent].load(std::memory_order_acquire);
  if (owner != internal::kExtentShared) return owner;
  const uint64_t slab = index / view.slots_per_shared_slab;
  if (slab >= internal::kSlabsPerSharedExtent) return internal::kExtentUnowned;
  return view.shared_owner[extent * internal::kSlabsPerSharedExtent + slab].load(
      std::memory_order_acquire);
}

}  // namespace flagstone::txn

#endif  // FLAGSTONE_LIB_TXN_ENGINE_H_
