#include "lib/txn/engine.h"

#include <utility>

#include "lib/base/check.h"

namespace flagstone::txn {

Result<std::unique_ptr<Engine>> Engine::Create(EngineOptions options, Clock& clock,
                                               id::TickSource& ticks) {
  Result<std::unique_ptr<epoch::Registry>> registry =
      epoch::Registry::Create(options.sessions_max, options.guards_per_session);
  if (!registry.ok()) return registry.status();
  return std::unique_ptr<Engine>(
      new Engine(std::move(options), clock, ticks, std::move(*registry)));
}

Engine::Engine(EngineOptions options, Clock& clock, id::TickSource& ticks,
               std::unique_ptr<epoch::Registry> registry)
    : options_(std::move(options)),
      codec_(options_.layout),
      clock_(clock),
      ticks_(ticks),
      registry_(std::move(registry)) {}

Engine::~Engine() = default;

Status Engine::OpenedBeforeFork() {
  return Status::Error(StatusCode::kFailedPrecondition,
                       "this store was opened before fork(): a child process cannot use its "
                       "parent's store; open one of its own");
}

Status Engine::OfAnotherStore(const TableState& table) {
  return Status::Error(StatusCode::kInvalidArgument,
                       "table '" + table.name +
                           "' belongs to another store than this session; use the handle that "
                           "this store's OpenTable() returns");
}

Result<ClassState*> Engine::ClassOf(uint32_t size_class, uint32_t run_slots) {
  if (ClassState* found = classes_[size_class].load(std::memory_order_relaxed)) {
    FLAGSTONE_RETURN_IF_ERROR(found->versions.Prepare(run_slots));
    return found;
  }
  Result<std::unique_ptr<slab::ClassSpace>> space = slab::ClassSpace::Create(
      size_class, options_.layout.slot_bits, options_.extents_max, options_.reserve);
  if (!space.ok()) return space.status();
  auto state = std::make_unique<ClassState>(std::move(*space));
  FLAGSTONE_RETURN_IF_ERROR(state->versions.Prepare(run_slots));
  owned_classes_.reserve(owned_classes_.size() + 1);
  owned_classes_.push_back(std::move(state));
  ClassState* added = owned_classes_.back().get();
  classes_[size_class].store(added, std::memory_order_release);
  return added;
}

Result<TableState*> Engine::AddTable(const std::string& name, uint32_t record_bytes,
                                     uint32_t size_class) {
  // One after the other, so that numbers have no gaps when one of them fails.
  base::MutexLock creating(&creating_);
  TableState* table = nullptr;
  {
    base::MutexLock lock(&mutex_);
    if (owned_tables_.size() + 1 == kTableCountMax) {
      return Status::Error(StatusCode::kResourceExhausted, "table '" + name + "': all " +
                                                               std::to_string(kTableCountMax - 1) +
                                                               " tables of a store are in use");
    }
    auto state = std::make_unique<TableState>();
    state->engine = this;
    state->name = name;
    state->number = static_cast<uint16_t>(owned_tables_.size() + 1);
    state->record_bytes = record_bytes;
    state->size_class = size_class;
    table = state.get();
    owned_tables_.push_back(std::move(state));
  }
  // Nobody has seen the number yet: after a failure the next table takes this one's place.
  const auto take_back = [this] {
    base::MutexLock lock(&mutex_);
    owned_tables_.pop_back();
  };
  try {
    if (Result<TablePart*> part = PartOf(*table, size_class); !part.ok()) {
      take_back();
      return part.status();
    }
  } catch (...) {
    take_back();
    throw;
  }
  tables_[table->number].store(table, std::memory_order_release);
  return table;
}

Result<TablePart*> Engine::PartOf(TableState& table, uint32_t size_class) {
  if (TablePart* found = table.parts[size_class].load(std::memory_order_acquire)) return found;
  base::MutexLock lock(&mutex_);
  if (TablePart* found = table.parts[size_class].load(std::memory_order_relaxed)) return found;
  internal::TableView view{};
  view.run_slots = RunSlotsIn(size_class, table.record_bytes + internal::kSlotHeaderBytes);
  FLAGSTONE_CHECK(view.run_slots > 0);
  Result<ClassState*> state = ClassOf(size_class, view.run_slots);
  if (!state.ok()) return state.status();
  slab::ClassSpace& space = *(*state)->space;
  view.prefix = codec_.Encode({0, size_class, options_.node, 0}).value();
  // The top bit, which is 0 in every ID, is selected too.
  view.prefix_mask =
      codec_.Encode({0, kSizeClassCount - 1, codec_.node_max(), 0}).value() | uint64_t{1} << 63;
  view.slot_mask = codec_.slot_max();
  view.geometry = space.geometry();
  const internal::SlotGeometry& geometry = view.geometry;
  internal::HomePlaces<internal::TableShape>& places = view.places;
  places.shape = {geometry.index_mask, geometry.stride, geometry.slots_per_extent,
                  geometry.index_bits};
  places.place_mask = (view.prefix_mask & ~(uint64_t{1} << 63)) | view.slot_mask;
  const uint64_t first_extent = view.prefix >> geometry.index_bits;
  places.biased_base =
      reinterpret_cast<uint64_t>(geometry.base) - (first_extent << internal::kExtentShift);
  // The inlined read does not ask whether an index is inside of a run; PlaceOf() does.
  const bool inlined_reads =
      registry_->barrier_kind() == internal::BarrierKind::kAsymmetric && view.run_slots == 1;
  Result<slab::OwnedExtents> owned = slab::OwnedExtents::Map(
      (places.place_mask >> geometry.index_bits) + 1, first_extent,
      inlined_reads ? slab::OwnedExtentsUse::kByReaders : slab::OwnedExtentsUse::kNone);
  if (!owned.ok()) return std::move(owned).status();
  places.owned = owned->entries();
  view.horizon = &commits_.horizon_word();
  view.extent_owner = space.extent_owner();
  view.shared_owner = space.shared_owner();
  view.slots_per_shared_slab = space.slots_per_shared_slab();
  view.number = table.number;
  view.payload_bytes = table.record_bytes;
  view.class_number = size_class;
  table.owned_parts.reserve(table.owned_parts.size() + 1);
  table.owned_parts.push_back(std::make_unique<TablePart>(view, **state, *std::move(owned), ticks_,
                                                          codec_.tick_max(), next_cache_number_++));
  TablePart* part = table.owned_parts.back().get();
  table.parts[size_class].store(part, std::memory_order_release);
  return part;
}

Result<TablePart*> Engine::PartOfGiven(TableState& table, const IdFields& fields) {
  const uint32_t size_class = fields.size_class;
  if (TablePart* found = table.parts[size_class].load(std::memory_order_acquire)) return found;
  const uint32_t index_bits = SizeClassIndexBits(size_class);
  const slab::SlabOwner owner{
      table.number, RunSlotsIn(size_class, table.record_bytes + internal::kSlotHeaderBytes)};
  const slab::GivenPlace place{fields.slot >> index_bits,
                               fields.slot & ((uint32_t{1} << index_bits) - 1), fields.tick};
  const ClassState* state = class_state(size_class);
  FLAGSTONE_RETURN_IF_ERROR(state != nullptr ? state->space->CheckHomeSlabAt(owner, place)
                                             : slab::ClassSpace::CheckPlace(
                                                   size_class, options_.extents_max, owner, place));
  return PartOf(table, size_class);
}

TablePart* Engine::PartOfId(RecordId id) const {
  const uint32_t size_class = codec_.size_class(id);
  const ClassState* state = class_state(size_class);
  if (state == nullptr || !codec_.IsWellFormed(id) || codec_.node(id) != options_.node) {
    return nullptr;
  }
  const internal::SlotGeometry& geometry = state->space->geometry();
  internal::TableView view{};
  view.extent_owner = state->space->extent_owner();
  view.shared_owner = state->space->shared_owner();
  view.slots_per_shared_slab = state->space->slots_per_shared_slab();
  const uint32_t slot = codec_.slot(id);
  const uint16_t owner = OwnerOfSlot(view, slot >> geometry.index_bits, slot & geometry.index_mask);
  TableState* owning = table(owner);
  return owning == nullptr ? nullptr : owning->parts[size_class].load(std::memory_order_acquire);
}

}  // namespace flagstone::txn
