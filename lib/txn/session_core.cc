// SessionCore: places and slots, reads, locks, and changes that are transactions of their own.
#include "lib/txn/session_core.h"

#include <ctime>
#include <limits>
#include <string>
#include <utility>

#include "flagstone/internal/newest_version.h"
#include "lib/base/check.h"
#include "lib/base/planted_bug.h"
#include "lib/txn/copy_payload.h"
#include "lib/txn/publish.h"
#include "lib/txn/record_lock.h"
#include "lib/txn/tidier.h"

namespace flagstone {

namespace internal {

void PendingChange::GiveUp() {
  session->GiveVersionSlot(*part, version, version_link);
  txn::Unlock(*home, link_before);
  session = nullptr;
}

}  // namespace internal

namespace txn {
namespace {

using base::Planted;
using base::PlantedBug;
using internal::BeginOf;
using internal::IdOf;
using internal::kLive;
using internal::kLookCloser;
using internal::kQueued;
using internal::kTombstone;
using internal::OlderOf;
using internal::PendingChange;
using internal::PinScope;
using internal::SlotHeader;
using internal::StdAtomics;
using internal::Timestamp;

// How many changes before its use a version slot is fetched.
constexpr uint32_t kVersionSlotsAhead = 4;

// Versions a session makes before it does a cycle of maintenance itself, if nobody else does: the
// length of the longest chain, which a visit walks while it holds the record (about 2 ms).
constexpr uint32_t kVersionsWithoutPassMax = 16'384;

// Between two looks at a lock that another transaction holds.
constexpr timespec kLockPollInterval{0, 20'000};
constexpr uint32_t kLockPollsWithoutSleep = 100;

}  // namespace

SessionCounts& SessionCounts::operator+=(const SessionCounts& other) {
  inserts += other.inserts;
  updates += other.updates;
  deletes += other.deletes;
  undeletes += other.undeletes;
  commits += other.commits;
  rollbacks += other.rollbacks;
  conflicts += other.conflicts;
  chain_reads += other.chain_reads;
  snapshots_too_old += other.snapshots_too_old;
  return *this;
}

SessionCounts SessionCore::counts() const {
  return {.inserts = counters_.inserts.value(),
          .updates = counters_.updates.value(),
          .deletes = counters_.deletes.value(),
          .undeletes = counters_.undeletes.value(),
          .commits = counters_.commits.value(),
          .rollbacks = counters_.rollbacks.value(),
          .conflicts = counters_.conflicts.value(),
          .chain_reads = participant_.chain_reads.load(std::memory_order_relaxed),
          .snapshots_too_old = counters_.snapshots_too_old.value()};
}

Result<std::unique_ptr<SessionCore>> SessionCore::Create(Engine& engine, Tidier& tidier) {
  FLAGSTONE_RETURN_IF_ERROR(engine.CheckAlive());
  // Caches: of one table and one size class. Those of others are 0.8 KiB each and not counted.
  constexpr uint64_t kSessionBytes = internal::kParticipantBytes + sizeof(SessionCore) +
                                     ChangedRing::kCapacity * sizeof(uint64_t) +
                                     sizeof(slab::HomeSlotCache) + sizeof(slab::VersionSlotCache);
  base::MemoryCharge charge;
  if (engine.options().account != nullptr) {
    Result<base::MemoryCharge> taken =
        base::MemoryCharge::Take(*engine.options().account, MemoryComponent::kOther, kSessionBytes,
                                 base::MemoryPool::kDeleteReserve);
    if (!taken.ok()) {
      return Status::Error(StatusCode::kResourceExhausted,
                           "a session does not fit: " + std::string(taken.status().message()));
    }
    charge = *std::move(taken);
  }
  Result<internal::Participant*> participant = engine.registry().Join();
  if (!participant.ok()) return participant.status();
  std::unique_ptr<SessionCore> core;
  try {
    core.reset(new SessionCore(engine, tidier, **participant, std::move(charge)));
  } catch (...) {
    engine.registry().Leave(*participant);
    throw;
  }
  tidier.Attach(*core);
  return core;
}

SessionCore::SessionCore(Engine& engine, Tidier& tidier, internal::Participant& participant,
                         base::MemoryCharge charge)
    : engine_(engine), tidier_(tidier), participant_(participant), charge_(std::move(charge)) {}

SessionCore::~SessionCore() {
  if (!engine_.registry().alive()) return;  // the child of a fork owns none of this
  FLAGSTONE_CHECK(!transaction_.running &&
                  "a session ended while its transaction runs: commit it or roll it back before");
  FLAGSTONE_CHECK(!participant_.HoldsGuard() &&
                  "a session ended while guards of it are alive: release them before");
  tidier_.Detach(*this);
  GiveWithheld();
  for (size_t i = 0; i < home_caches_.size(); ++i) {
    if (home_caches_[i] && !Planted(PlantedBug::kEndedSessionKeepsSlots))
      home_cache_parts_[i]->slots.GiveBackUnissued(*home_caches_[i]);
  }
  GiveBackRun();
  for (uint32_t size_class = 0; size_class < kSizeClassCount; ++size_class) {
    if (version_caches_[size_class]) {
      engine_.class_state(size_class)->versions.GiveBack(*version_caches_[size_class]);
    }
  }
  engine_.registry().Leave(&participant_);
}

// --- places

SlotHeader* SessionCore::PlaceOf(const TableState& table, uint64_t id, TablePart** part) const {
  TablePart* found =
      table.parts[engine_.codec().size_class(RecordId(id))].load(std::memory_order_acquire);
  if (found == nullptr) return nullptr;
  const internal::TableView& view = found->view;
  const bool names_slot = Planted(PlantedBug::kInsideOfRunIsRead)
                              ? view.places.IndexExists(id)
                              : view.NamesSlot(id & view.geometry.index_mask);
  // ID 0 is no ID, but it is what a slot without a record holds.
  if (id == 0 || (id & view.prefix_mask) != view.prefix || !names_slot) {
    return nullptr;
  }
  *part = found;
  return view.places.SlotOf(id);
}

bool SessionCore::OwnsPlace(const TablePart& part, uint64_t id) {
  const internal::TableView& view = part.view;
  const uint64_t extent = (id & view.slot_mask) >> view.geometry.index_bits;
  return OwnerOfSlot(view, extent, id & view.geometry.index_mask) == view.number;
}

SlotHeader* SessionCore::Locate(const TableState& table, uint64_t id, TablePart** part) const {
  SlotHeader* home = PlaceOf(table, id, part);
  return home != nullptr && OwnsPlace(**part, id) ? home : nullptr;
}

RecordGuard SessionCore::GuardOn(std::atomic<uint64_t>& guard, SlotHeader* slot,
                                 const TablePart& part, RecordId id) {
  participant_.Guard(guard, reinterpret_cast<uint64_t>(slot));
  return RecordGuard(slot, guard, part.view, id);
}

bool SessionCore::OwnGuardOn(const SlotHeader* slot) const {
  for (const auto& guard : participant_.guards) {
    if (guard.load(std::memory_order_relaxed) == reinterpret_cast<uint64_t>(slot)) return true;
  }
  return false;
}

Status SessionCore::ReserveHomeSlot(TablePart& part, slab::HomeSlotCache** reserved) {
  if (part.cache_number >= home_caches_.size()) {
    home_cache_parts_.resize(part.cache_number + 1);
    home_caches_.resize(part.cache_number + 1);
  }
  std::unique_ptr<slab::HomeSlotCache>& cache = home_caches_[part.cache_number];
  if (cache == nullptr) {
    cache = std::make_unique<slab::HomeSlotCache>();
    home_cache_parts_[part.cache_number] = &part;
  }
  *reserved = cache.get();
  if (!cache->empty()) [[likely]]
    return Status::Ok();
  Status status = part.slots.Refill(*cache);
  // Deleted records may only wait for maintenance to free their slots.
  if (status.ok() || tidier_.ReclaimNow() == 0) return status;
  return part.slots.Refill(*cache);
}

void SessionCore::GiveHomeSlot(TablePart& part, const slab::FreedSlot& freed) {
  part.slots.Give(std::span(&freed, 1));
}

Status SessionCore::ReserveVersionSlot(TablePart& part, slab::VersionUse use) {
  if (NeedsRun(part, use)) return ReserveRun(part);
  std::unique_ptr<slab::VersionSlotCache>& cache = version_caches_[part.view.class_number];
  if (cache == nullptr) cache = std::make_unique<slab::VersionSlotCache>();
  if (cache->count > 0) [[likely]]
    return Status::Ok();
  AwaitMaintenance(slab::kVersionBatchMax);
  Status status = part.class_state.versions.Refill(*cache, use);
  if (status.ok() || tidier_.ReclaimNow() == 0) return status;
  return part.class_state.versions.Refill(*cache, use);
}

Status SessionCore::ReserveRun(TablePart& part) {
  GiveBackRun();  // a call that threw has left it
  AwaitMaintenance(part.view.run_slots);
  slab::VersionPool& versions = part.class_state.versions;
  Result<internal::VersionLink> run = versions.TakeRun(part.view.run_slots);
  if (!run.ok()) {
    if (tidier_.ReclaimNow() == 0) return run.status();
    run = versions.TakeRun(part.view.run_slots);
    if (!run.ok()) return run.status();
  }
  reserved_run_ = *run;
  reserved_run_part_ = &part;
  return Status::Ok();
}

void SessionCore::AwaitMaintenance(uint32_t version_slots) {
  if (const uint64_t passes = tidier_.pass_count(); passes != passes_seen_) {
    passes_seen_ = passes;
    versions_since_pass_ = 0;
  }
  versions_since_pass_ += version_slots;
  if (versions_since_pass_ <= kVersionsWithoutPassMax) return;
  versions_since_pass_ = 0;
  tidier_.Help();
}

void SessionCore::GiveBackRun() {
  if (reserved_run_ == 0) return;
  reserved_run_part_->class_state.versions.Give(std::span(&reserved_run_, 1));
  reserved_run_ = 0;
}

void SessionCore::TakeVersionSlot(PendingChange& change, slab::VersionUse use) {
  if (NeedsRun(*change.part, use)) {
    change.version_link = std::exchange(reserved_run_, 0);
  } else {
    slab::VersionSlotCache& cache = *version_caches_[change.part->view.class_number];
    change.version_link = cache.links[--cache.count];
    // Maintenance read it last, on another processor: fetched when the write comes, it would hold
    // up the commit, which waits for all stores before it.
    if (cache.count >= kVersionSlotsAhead) {
      __builtin_prefetch(
          change.part->view.geometry.At(cache.links[cache.count - kVersionSlotsAhead]), 1);
    }
  }
  change.version = change.part->view.geometry.At(change.version_link);
}

void SessionCore::GiveVersionSlot(TablePart& part, SlotHeader* version,
                                  internal::VersionLink link) {
  if (OwnGuardOn(version)) {
    withheld_.push_back({&part, version, link, {}});  // there is room: see TransactionRead()
    return;
  }
  if (part.view.run_slots > 1) {
    // Also a tombstone's single slot, which the cache would take: its link alone does not say so.
    part.class_state.versions.Give(std::span(&link, 1));
    return;
  }
  slab::VersionSlotCache& cache = *version_caches_[part.view.class_number];
  if (cache.count == std::size(cache.links)) {
    cache.count -= slab::kVersionBatchMax;
    part.class_state.versions.Give(std::span(cache.links + cache.count, slab::kVersionBatchMax));
  }
  cache.links[cache.count++] = link;
}

Status SessionCore::CheckUse(const TableState& table) const {
  FLAGSTONE_RETURN_IF_ERROR(engine_.CheckAlive());
  return engine_.CheckOwn(table);
}

Status SessionCore::CheckPayload(const TableState& table, size_t payload_bytes) {
  if (payload_bytes == table.record_bytes) [[likely]]
    return Status::Ok();
  return Status::Error(StatusCode::kInvalidArgument, "table '" + table.name + "': a record has " +
                                                         std::to_string(table.record_bytes) +
                                                         " bytes, not " +
                                                         std::to_string(payload_bytes));
}

Status SessionCore::CheckLockWait(std::chrono::nanoseconds lock_wait) {
  if (lock_wait.count() >= 0) [[likely]]
    return Status::Ok();
  return Status::Error(
      StatusCode::kInvalidArgument,
      "lock_wait is " + std::to_string(lock_wait.count()) + " ns; it must be 0 or more");
}

// --- reads

RecordGuard SessionCore::Read(TableState& table, RecordId id) {
  if (!engine_.registry().alive()) return RecordGuard(StatusCode::kFailedPrecondition);
  if (!engine_.CheckOwn(table).ok()) return RecordGuard(StatusCode::kInvalidArgument);
  std::atomic<uint64_t>* guard = participant_.FreeGuard();
  if (guard == nullptr) return RecordGuard(StatusCode::kResourceExhausted);
  TablePart* part = nullptr;
  SlotHeader* home = PlaceOf(table, id.value(), &part);
  if (home == nullptr) return RecordGuard();
  if (RecordGuard found = ReadWithoutPin(*guard, home, *part, id)) return found;
  PinScope pin(participant_);
  if (!OwnsPlace(*part, id.value())) return RecordGuard();
  if (internal::ReadableAtHome(*home, id.value())) return GuardOn(*guard, home, *part, id);
  participant_.CountChainRead();
  SlotHeader* found = internal::FindVisible<StdAtomics>(
      *home, id.value(), engine_.commits().horizon(), part->view.geometry);
  if (found == nullptr || !(found->version.load(std::memory_order_relaxed) & kLive)) {
    return RecordGuard();
  }
  return GuardOn(*guard, found, *part, id);
}

// As the inlined reads do, of a table too small for extents of its own, or one more guard beside
// others: a session that holds guards all the time is not pinned all the time, which every cycle of
// maintenance would have to wait for.
RecordGuard SessionCore::ReadWithoutPin(std::atomic<uint64_t>& guard, SlotHeader* home,
                                        const TablePart& part, RecordId id) {
  participant_.Guard(guard, reinterpret_cast<uint64_t>(home));  // before the first load of it
  if (OwnsPlace(part, id.value())) {
    const uint64_t word = home->id.load(std::memory_order_acquire);
    if (word == id.value()) return RecordGuard(home, guard, part.view, id);
    std::atomic<uint64_t>* const second =
        word == (id.value() | kLookCloser) ? participant_.FreeGuard() : nullptr;
    if (second != nullptr) {
      SlotHeader* const version = internal::GuardNewest(
          participant_, *second, *home, engine_.commits().horizon_word(), part.view.geometry);
      if (version != nullptr) {
        internal::Participant::ReleaseGuard(guard);
        participant_.CountChainRead();
        return RecordGuard(version, *second, part.view, id);
      }
    }
  }
  internal::Participant::ReleaseGuard(guard);
  return RecordGuard();
}

// --- locking

SlotHeader* SessionCore::NewestOf(const PendingChange& change) const {
  const internal::VersionLink newest = internal::NewestOf(change.link_before);
  return newest != 0 ? change.part->view.geometry.At(newest) : change.home;
}

SlotHeader* SessionCore::NewestLiveOf(const PendingChange& change) const {
  const internal::SlotGeometry& geometry = change.part->view.geometry;
  const auto live = [](SlotHeader* slot) {
    return (slot->version.load(std::memory_order_acquire) & kLive) != 0;
  };
  internal::VersionLink link = internal::NewestOf(change.link_before);
  for (; link != 0; link = OlderOf(geometry.At(link)->link.load(std::memory_order_acquire))) {
    if (live(geometry.At(link))) return geometry.At(link);
  }
  return live(change.home) ? change.home : nullptr;
}

Result<bool> SessionCore::Lock(TableState& table, RecordId id, std::chrono::nanoseconds lock_wait,
                               std::optional<Timestamp> snapshot, Base base, PendingChange& change,
                               SlotHeader** newest) {
  int64_t deadline = 0;
  for (uint32_t poll = 0;; ++poll) {
    {
      PinScope pin(participant_);
      TablePart* part = nullptr;
      SlotHeader* home = Locate(table, id.value(), &part);
      if (home == nullptr || IdOf(home->id.load(std::memory_order_acquire)) != id.value()) {
        return false;
      }
      if (std::optional<uint64_t> before = TryLockForChange<StdAtomics>(*home)) {
        change.part = part;
        change.home = home;
        change.link_before = *before;
        change.id = id.value();
        AwaitSettled(*home, *before);
        SlotHeader* top = NewestOf(change);
        const uint64_t version = top->version.load(std::memory_order_acquire);
        // Reclaimed between the look and the lock.
        if (IdOf(home->id.load(std::memory_order_acquire)) != id.value()) {
          Unlock(*home, *before);
          return false;
        }
        const uint64_t state = base == Base::kNewestLive ? kLive : kTombstone;
        if (snapshot.has_value() && BeginOf(version) > *snapshot &&
            !Planted(PlantedBug::kNoSnapshotCheck)) {
          // Changed, deleted or brought back since the snapshot. What the snapshot itself does not
          // see in the state to build on is absent for it all the same.
          const SlotHeader* seen =
              internal::FindVisible<StdAtomics>(*home, id.value(), *snapshot, part->view.geometry);
          const bool conflict =
              seen != nullptr && (seen->version.load(std::memory_order_relaxed) & state) != 0;
          Unlock(*home, *before);
          if (!conflict) return false;
          counters_.conflicts.Add();
          return Status::Conflict(BeginOf(version));
        }
        if ((version & state) == 0) {
          Unlock(*home, *before);
          return false;
        }
        *newest = base == Base::kNewestLive ? top : NewestLiveOf(change);
        if (*newest == nullptr) {
          Unlock(*home, *before);
          return false;
        }
        return true;
      }
    }
    if (lock_wait.count() == 0) {
      counters_.conflicts.Add();
      return Status::Conflict(0);
    }
    const int64_t now = engine_.clock().MonotonicNanos();
    if (deadline == 0) {
      constexpr int64_t kForever = std::numeric_limits<int64_t>::max();
      deadline = lock_wait.count() < kForever - now ? now + lock_wait.count() : kForever;
    }
    if (now >= deadline) {
      return Status::Error(StatusCode::kDeadlineExceeded,
                           "record " + id.ToString() + " of table '" + table.name +
                               "' was still locked by another transaction after " +
                               std::to_string(lock_wait.count() / 1000) +
                               " us; roll back and retry, or wait longer");
    }
    if (poll < kLockPollsWithoutSleep) {
      StdAtomics::Pause(poll);
    } else {
      nanosleep(&kLockPollInterval, nullptr);
    }
  }
}

// --- publishing

void SessionCore::NoteChanged(uint64_t id, uint64_t link_before) {
  if (link_before & kQueued) return;
  while (changed_.room() == 0) tidier_.Help();
  changed_.Push(id);
}

void SessionCore::MakeRoom(uint64_t entries) {
  if (changed_.room() < entries + ChangedRing::kCapacity / 4) [[unlikely]]
    tidier_.HelpIfIdle();
}

Result<bool> SessionCore::PublishSingle(PendingChange& change, uint64_t state,
                                        SessionCounter& counter) {
  CommitInOrder(engine_.commits(), [&](Timestamp at) {
    PublishVersion(*change.home, *change.version, change.version_link, change.link_before,
                   change.id, at, state);
  });
  change.session = nullptr;
  NoteChanged(change.id, change.link_before);
  counter.Add();
  counters_.commits.Add();
  return true;
}

// --- single changes

Status SessionCore::ChooseInsertPart(TableState& table, size_t payload_bytes,
                                     std::optional<uint32_t> size_class, TablePart** part) {
  FLAGSTONE_RETURN_IF_ERROR(CheckUse(table));
  FLAGSTONE_RETURN_IF_ERROR(CheckPayload(table, payload_bytes));
  *part = table.parts[table.size_class].load(std::memory_order_acquire);
  if (!size_class.has_value() || *size_class == table.size_class) [[likely]]
    return Status::Ok();
  if (*size_class >= kSizeClassCount ||
      RunSlotsIn(*size_class, table.record_bytes + internal::kSlotHeaderBytes) == 0) {
    return Status::Error(StatusCode::kInvalidArgument,
                         "table '" + table.name + "': size class " + std::to_string(*size_class) +
                             " does not hold records of " + std::to_string(table.record_bytes) +
                             " bytes; the smallest is " + std::to_string(table.size_class) +
                             ", the largest " + std::to_string(kSizeClassCount - 1));
  }
  Result<TablePart*> other = engine_.PartOf(table, *size_class);
  if (!other.ok()) return std::move(other).status();
  *part = *other;
  return Status::Ok();
}

Status SessionCore::PrepareInserts(TablePart& part, const std::byte* payloads,
                                   std::span<RecordId> ids, size_t* prepared) {
  const internal::TableView& view = part.view;
  const std::byte* payload = payloads + *prepared * view.payload_bytes;
  while (*prepared < ids.size()) {
    slab::HomeSlotCache* cache = nullptr;
    FLAGSTONE_RETURN_IF_ERROR(ReserveHomeSlot(part, &cache));
    const uint32_t tick = engine_.ticks().Current();
    if (tick == id::kNoTick) return slab::TicksUsedUp();
    const uint64_t id_of_slot_0 =
        engine_.codec().Encode({tick, view.class_number, engine_.options().node, 0}).value();
    do {
      const uint32_t slot = cache->Take();
      // The commit waits until its stores have their lines: fetched while earlier records are made.
      if (const auto ahead = cache->Ahead()) __builtin_prefetch(view.HomeOf(*ahead), 1);
      CopyPayload(internal::PayloadOf(view.HomeOf(slot)), payload, view.payload_bytes);
      payload += view.payload_bytes;
      ids[(*prepared)++] = RecordId(id_of_slot_0 | slot);
    } while (*prepared < ids.size() && !cache->empty());
  }
  return Status::Ok();
}

Status SessionCore::PrepareInsert(TablePart& part, const std::byte* payload, RecordId* id,
                                  SlotHeader** home) {
  size_t prepared = 0;
  FLAGSTONE_RETURN_IF_ERROR(PrepareInserts(part, payload, std::span(id, 1), &prepared));
  *home = part.view.HomeOf(id->value());
  return Status::Ok();
}

Result<RecordId> SessionCore::Insert(TableState& table, std::span<const std::byte> payload,
                                     std::optional<uint32_t> size_class) {
  TablePart* part = nullptr;
  FLAGSTONE_RETURN_IF_ERROR(ChooseInsertPart(table, payload.size(), size_class, &part));
  RecordId id;
  SlotHeader* home = nullptr;
  FLAGSTONE_RETURN_IF_ERROR(PrepareInsert(*part, payload.data(), &id, &home));
  CommitInOrder(engine_.commits(), [&](Timestamp at) { PublishInsert(*home, id.value(), at); });
  SettleInsert(*home, id.value());
  counters_.inserts.Add();
  counters_.commits.Add();
  return id;
}

Status SessionCore::PrepareInsertWithId(TableState& table, RecordId id,
                                        std::span<const std::byte> payload, TablePart** part,
                                        SlotHeader** home) {
  FLAGSTONE_RETURN_IF_ERROR(CheckUse(table));
  FLAGSTONE_RETURN_IF_ERROR(CheckPayload(table, payload.size()));
  FLAGSTONE_RETURN_IF_ERROR(engine_.codec().CheckId(id));
  const IdFields fields = engine_.codec().fields(id);
  const uint32_t run_slots =
      RunSlotsIn(fields.size_class, table.record_bytes + internal::kSlotHeaderBytes);
  if (fields.node != engine_.options().node || run_slots == 0) {
    return Status::Error(StatusCode::kInvalidArgument,
                         "ID " + id.ToString() + " cannot be inserted into table '" + table.name +
                             "': it has node " + std::to_string(fields.node) + " and size class " +
                             std::to_string(fields.size_class) + "; this store has node " +
                             std::to_string(engine_.options().node) +
                             " and the table needs at least size class " +
                             std::to_string(table.size_class));
  }
  const uint32_t index = engine_.codec().Decode(id).index;
  if (const uint32_t slots = SizeClassSlotsPerExtent(fields.size_class);
      !StartsRun(index, run_slots, slots)) {
    return Status::Error(StatusCode::kInvalidArgument,
                         "ID " + id.ToString() + " cannot be inserted into table '" + table.name +
                             "': its slot has index " + std::to_string(index) +
                             " in its extent, and records of " +
                             std::to_string(table.record_bytes) + " bytes begin at multiples of " +
                             std::to_string(run_slots) + " up to " +
                             std::to_string(slots / run_slots * run_slots - run_slots));
  }
  // The IDs that this store issues carry later ticks, whatever clock the ID comes from and whatever
  // becomes of it: also when its place is refused, or the transaction rolled back. A slot that has
  // carried the ID's tick never issues it again, so own IDs that are given once more move nothing.
  if (fields.tick >= engine_.ticks().Current() && LastTickAt(id) < fields.tick) {
    FLAGSTONE_RETURN_IF_ERROR(engine_.ticks().RaiseAbove(fields.tick));
  }
  Result<TablePart*> found = engine_.PartOfGiven(table, fields);
  if (!found.ok()) return found.status();
  *part = *found;
  FLAGSTONE_RETURN_IF_ERROR(TakeGivenSlot(**part, fields));
  const internal::SlotGeometry& geometry = (*part)->view.geometry;
  *home = geometry.HomeAt(fields.slot >> geometry.index_bits, fields.slot & geometry.index_mask);
  CopyPayload(internal::PayloadOf(*home), payload.data(), payload.size());
  return Status::Ok();
}

Status SessionCore::TakeGivenSlot(TablePart& part, const IdFields& fields) {
  Status taken = part.slots.TakeAt(fields.slot, fields.tick);
  if (taken.code() != StatusCode::kFailedPrecondition) return taken;
  // Not free yet: a slot that this session holds in advance, or a deleted record not reclaimed yet.
  if (part.cache_number < home_caches_.size() && home_caches_[part.cache_number] != nullptr) {
    part.slots.GiveBackUnissued(*home_caches_[part.cache_number]);
  }
  taken = part.slots.TakeAt(fields.slot, fields.tick);
  if (taken.code() != StatusCode::kFailedPrecondition || HoldsLiveRecord(part, fields.slot)) {
    return taken;
  }
  tidier_.ReclaimNow();
  return part.slots.TakeAt(fields.slot, fields.tick);
}

uint32_t SessionCore::LastTickAt(RecordId id) {
  PinScope pin(participant_);
  const TablePart* const part = engine_.PartOfId(id);
  if (part == nullptr || !part->view.NamesSlot(engine_.codec().Decode(id).index)) return 0;
  const SlotHeader& slot = *part->view.HomeOf(SlotOf(id.value()));
  if (const uint64_t last = IdOf(slot.id.load(std::memory_order_acquire)); last != 0) {
    return TickOf(last);
  }
  // A free slot's version word has no state, and the tick in place of a timestamp.
  const uint64_t word = slot.version.load(std::memory_order_acquire);
  return (word & internal::kStateMask) == 0 ? static_cast<uint32_t>(BeginOf(word)) : 0;
}

bool SessionCore::HoldsLiveRecord(const TablePart& part, uint64_t slot) {
  PinScope pin(participant_);
  if (!OwnsPlace(part, slot)) return false;
  SlotHeader& home = *part.view.HomeOf(slot);
  const uint64_t id = IdOf(home.id.load(std::memory_order_acquire));
  if (id == 0) return false;
  const SlotHeader* newest =
      internal::FindVisible<StdAtomics>(home, id, engine_.commits().horizon(), part.view.geometry);
  return newest != nullptr && (newest->version.load(std::memory_order_relaxed) & kLive) != 0;
}

Status SessionCore::InsertWithId(TableState& table, RecordId id,
                                 std::span<const std::byte> payload) {
  TablePart* part = nullptr;
  SlotHeader* home = nullptr;
  FLAGSTONE_RETURN_IF_ERROR(PrepareInsertWithId(table, id, payload, &part, &home));
  CommitInOrder(engine_.commits(), [&](Timestamp at) { PublishInsert(*home, id.value(), at); });
  SettleInsert(*home, id.value());
  counters_.inserts.Add();
  counters_.commits.Add();
  return Status::Ok();
}

Status SessionCore::InsertMany(TableState& table, std::span<const std::byte> payloads,
                               std::span<RecordId> ids) {
  TablePart* part = nullptr;
  FLAGSTONE_RETURN_IF_ERROR(ChooseInsertPart(table, table.record_bytes, std::nullopt, &part));
  FLAGSTONE_RETURN_IF_ERROR(CheckWriteCount(ids.size()));
  size_t prepared = 0;
  const auto undo = [&] {
    for (const RecordId id : ids.first(prepared)) {
      GiveHomeSlot(*part, {SlotOf(id.value()), TickOf(id.value())});
    }
  };
  try {
    if (Status status = PrepareInserts(*part, payloads.data(), ids, &prepared); !status.ok()) {
      undo();
      return status;
    }
  } catch (...) {
    undo();
    throw;
  }
  if (ids.empty()) return Status::Ok();
  const internal::TableView& view = part->view;
  CommitInOrder(engine_.commits(), [&](Timestamp at) {
    for (const RecordId id : ids) PublishInsert(*view.HomeOf(id.value()), id.value(), at);
  });
  for (const RecordId id : ids) SettleInsert(*view.HomeOf(id.value()), id.value());
  counters_.inserts.Add(ids.size());
  counters_.commits.Add();
  return Status::Ok();
}

Result<bool> SessionCore::LockForSingle(TableState& table, RecordId id,
                                        std::chrono::nanoseconds lock_wait, slab::VersionUse use,
                                        Base base, PendingChange& change, SlotHeader** newest) {
  FLAGSTONE_RETURN_IF_ERROR(CheckUse(table));
  FLAGSTONE_RETURN_IF_ERROR(CheckLockWait(lock_wait));
  TablePart* part = nullptr;
  if (Locate(table, id.value(), &part) == nullptr) return false;
  MakeRoom(1);
  FLAGSTONE_RETURN_IF_ERROR(ReserveVersionSlot(*part, use));
  Result<bool> locked = Lock(table, id, lock_wait, std::nullopt, base, change, newest);
  if (!locked.ok() || !*locked) {
    GiveBackRun();
    return locked;
  }
  TakeVersionSlot(change, use);
  change.session = this;
  return true;
}

Result<bool> SessionCore::PrepareUpdate(TableState& table, RecordId id,
                                        std::chrono::nanoseconds lock_wait, PendingChange& change) {
  SlotHeader* newest = nullptr;
  Result<bool> locked = LockForSingle(table, id, lock_wait, slab::VersionUse::kUpdate,
                                      Base::kNewestLive, change, &newest);
  if (!locked.ok() || !*locked) return locked;
  CopyPayload(internal::PayloadOf(change.version), internal::PayloadOf(newest), table.record_bytes);
  return true;
}

void SessionCore::PublishUpdate(PendingChange& change) {
  static_cast<void>(PublishSingle(change, kLive, counters_.updates));
}

Result<bool> SessionCore::UpdateTo(TableState& table, RecordId id,
                                   std::span<const std::byte> payload,
                                   std::chrono::nanoseconds lock_wait) {
  FLAGSTONE_RETURN_IF_ERROR(CheckPayload(table, payload.size()));
  PendingChange change;
  SlotHeader* newest = nullptr;  // none of its payload stays
  Result<bool> locked = LockForSingle(table, id, lock_wait, slab::VersionUse::kUpdate,
                                      Base::kNewestLive, change, &newest);
  if (!locked.ok() || !*locked) return locked;
  CopyPayload(internal::PayloadOf(change.version), payload.data(), payload.size());
  return PublishSingle(change, kLive, counters_.updates);
}

Result<bool> SessionCore::Delete(TableState& table, RecordId id,
                                 std::chrono::nanoseconds lock_wait) {
  PendingChange change;
  SlotHeader* newest = nullptr;
  Result<bool> locked = LockForSingle(table, id, lock_wait, slab::VersionUse::kDelete,
                                      Base::kNewestLive, change, &newest);
  if (!locked.ok() || !*locked) return locked;
  return PublishSingle(change, kTombstone, counters_.deletes);
}

Result<bool> SessionCore::Undelete(TableState& table, RecordId id,
                                   std::chrono::nanoseconds lock_wait) {
  PendingChange change;
  SlotHeader* newest = nullptr;
  Result<bool> locked = LockForSingle(table, id, lock_wait, slab::VersionUse::kUpdate,
                                      Base::kNewestDeleted, change, &newest);
  if (!locked.ok() || !*locked) return locked;
  CopyPayload(internal::PayloadOf(change.version), internal::PayloadOf(newest), table.record_bytes);
  return PublishSingle(change, kLive, counters_.undeletes);
}

}  // namespace txn
}  // namespace flagstone
