// SessionCore: its one transaction, from Begin() to Commit() or Rollback().
#include <algorithm>
#include <bit>
#include <string>
#include <utility>

#include "lib/base/planted_bug.h"
#include "lib/txn/copy_payload.h"
#include "lib/txn/publish.h"
#include "lib/txn/record_lock.h"
#include "lib/txn/session_core.h"
#include "lib/txn/tidier.h"

namespace flagstone {

std::string_view IsolationLevelName(IsolationLevel level) {
  switch (level) {
    case IsolationLevel::kReadCommitted: return "read committed";
    case IsolationLevel::kSnapshot: return "snapshot";
    case IsolationLevel::kSerializable: return "serializable";
  }
  return "unknown";
}

namespace txn {
namespace {

using base::Planted;
using base::PlantedBug;
using internal::kLive;
using internal::kTombstone;
using internal::PendingChange;
using internal::PinScope;
using internal::SlotHeader;
using internal::StdAtomics;
using internal::Timestamp;

// From this many writes on, a transaction finds its own by a hash map instead of by looking at all.
constexpr size_t kLinearWritesMax = 16;

// A list of so many writes is kept by the session, uncounted: 100 KiB with its index. Longer ones
// are charged, and freed with their transaction.
constexpr size_t kUnchargedWritesMax = 1024;

}  // namespace

Status SessionCore::Begin(const TransactionOptions& options) {
  FLAGSTONE_RETURN_IF_ERROR(engine_.CheckAlive());
  if (transaction_.running) {
    return Status::Error(StatusCode::kFailedPrecondition,
                         "this session already has a running transaction; commit or roll it back, "
                         "or open another session");
  }
  FLAGSTONE_RETURN_IF_ERROR(CheckLockWait(options.lock_wait));
  transaction_.options = options;
  transaction_.cause = Status::Ok();
  transaction_.updater_threw = false;
  if (!withheld_.empty()) GiveWithheld();
  FLAGSTONE_RETURN_IF_ERROR(SetIsolation(options.isolation));
  if (options.as_of_timestamp.has_value()) {
    const Timestamp at = *options.as_of_timestamp;
    const Timestamp horizon = engine_.commits().horizon();
    if (at > horizon) {
      return Status::Error(StatusCode::kInvalidArgument, "as_of_timestamp " + std::to_string(at) +
                                                             " lies after the newest commit, " +
                                                             std::to_string(horizon));
    }
    if (!participant_.BeginSnapshotAt(at, engine_.history_floor())) {
      counters_.snapshots_too_old.Add();
      return Status::Error(
          StatusCode::kSnapshotTooOld,
          "as_of_timestamp " + std::to_string(at) + " lies before " +
              std::to_string(engine_.history_floor().load(std::memory_order_relaxed)) +
              ", the oldest state that StoreOptions::snapshots.history_retention keeps");
    }
    transaction_.snapshot = at;
  } else {
    transaction_.snapshot =
        participant_.BeginSnapshot(engine_.commits().horizon_word(), engine_.snapshot_floor());
  }
  transaction_.running = true;
  ++participant_.transaction_count;
  OpenHomeReads();
  return Status::Ok();
}

Status SessionCore::SetTransactionIsolation(IsolationLevel level) {
  FLAGSTONE_RETURN_IF_ERROR(CheckRunning());
  return SetIsolation(level);
}

bool SessionCore::ReadsLatest() const {
  return transaction_.options.isolation == IsolationLevel::kReadCommitted &&
         !transaction_.options.as_of_timestamp.has_value();
}

void SessionCore::OpenHomeReads() {
  participant_.home_reads = {.bound =
                                 ReadsLatest() ? internal::kTimestampMax : transaction_.snapshot};
}

Status SessionCore::SetIsolation(IsolationLevel level) {
  if (level == IsolationLevel::kSerializable) {
    return Status::Error(StatusCode::kUnsupported,
                         "isolation level serializable needs predicate protection, which this "
                         "version does not have; use IsolationLevel::kSnapshot");
  }
  if (level != IsolationLevel::kReadCommitted && level != IsolationLevel::kSnapshot) {
    return Status::Error(StatusCode::kInvalidArgument, "isolation level " +
                                                           std::to_string(static_cast<int>(level)) +
                                                           " is none; use one of IsolationLevel");
  }
  if (transaction_.running && participant_.home_reads.any) {
    return Status::Error(StatusCode::kFailedPrecondition,
                         "the isolation level is fixed with the first read or write of a "
                         "transaction; set it before");
  }
  transaction_.options.isolation = level;
  if (transaction_.running) OpenHomeReads();
  return Status::Ok();
}

Status SessionCore::CheckRunning() const {
  FLAGSTONE_RETURN_IF_ERROR(engine_.CheckAlive());
  if (transaction_.running) [[likely]]
    return Status::Ok();
  if (transaction_.updater_threw) {
    return Status::Error(StatusCode::kFailedPrecondition,
                         "an updater threw: the transaction was rolled back; begin another");
  }
  if (!transaction_.cause.ok()) return transaction_.cause;
  return Status::Error(StatusCode::kFailedPrecondition,
                       "the transaction has ended; begin another one");
}

Status SessionCore::CheckRunning(const TableState& table) const {
  FLAGSTONE_RETURN_IF_ERROR(CheckRunning());
  return engine_.CheckOwn(table);
}

Status SessionCore::Fail(Status status) {
  Rollback();
  transaction_.cause = status;
  return status;
}

void SessionCore::RollbackAfterThrow() {
  Rollback();
  transaction_.updater_threw = true;  // its text would need memory
}

bool SessionCore::SnapshotIsCut() const { return !ReadsLatest() && participant_.SnapshotIsCut(); }

Status SessionCore::SnapshotWasCut() {
  counters_.snapshots_too_old.Add();
  return Status::Error(StatusCode::kSnapshotTooOld,
                       "the snapshot at timestamp " + std::to_string(transaction_.snapshot) +
                           " passed StoreOptions::snapshots.age_max or "
                           "snapshots.version_bytes_max; begin again");
}

SessionCore::Write* SessionCore::FindWrite(uint64_t id) {
  std::vector<Write>& writes = transaction_.writes;
  if (writes.size() <= kLinearWritesMax) {
    for (Write& write : writes) {
      if (write.id == id) return &write;
    }
    return nullptr;
  }
  const uint32_t found = transaction_.write_of_id.Find(writes, id);
  return found == 0 ? nullptr : &writes[found - 1];
}

void SessionCore::WriteIndex::Reserve(size_t count, const std::vector<Write>& writes) {
  if (2 * count > places_.size()) {
    std::vector<uint32_t> larger(std::bit_ceil(4 * count));
    places_.swap(larger);
    used_ = 0;
  }
  while (used_ < writes.size()) Add(writes, static_cast<uint32_t>(used_));
}

void SessionCore::WriteIndex::Add(const std::vector<Write>& writes, uint32_t index) {
  size_t at = Start(writes[index].id) & (places_.size() - 1);
  while (places_[at] != 0) at = (at + 1) & (places_.size() - 1);
  places_[at] = index + 1;
  ++used_;
}

uint32_t SessionCore::WriteIndex::Find(const std::vector<Write>& writes, uint64_t id) const {
  size_t at = Start(id) & (places_.size() - 1);
  while (places_[at] != 0 && writes[places_[at] - 1].id != id) {
    at = (at + 1) & (places_.size() - 1);
  }
  return places_[at];
}

void SessionCore::WriteIndex::Clear() {
  if (used_ == 0) return;
  used_ = 0;
  // Small ones are kept, so that transactions in steady state allocate nothing.
  constexpr size_t kKeptPlacesMax = 4096;
  if (places_.size() <= kKeptPlacesMax) {
    std::fill(places_.begin(), places_.end(), 0);
  } else {
    std::vector<uint32_t>().swap(places_);
  }
}

Status SessionCore::ReserveWrite() {
  std::vector<Write>& writes = transaction_.writes;
  if (writes.size() == writes.capacity()) FLAGSTONE_RETURN_IF_ERROR(GrowWrites());
  if (writes.size() >= kLinearWritesMax) {
    transaction_.write_of_id.Reserve(writes.size() + 1, writes);
  }
  return Status::Ok();
}

Status SessionCore::GrowWrites() {
  std::vector<Write>& writes = transaction_.writes;
  const size_t count = std::max(kLinearWritesMax, 2 * writes.capacity());
  base::MemoryAccount* const account = engine_.options().account;
  if (count <= kUnchargedWritesMax || account == nullptr) {
    writes.reserve(count);
    return Status::Ok();
  }
  // The index has 4 to 8 places of 4 bytes for each write. The charge of the shorter list goes when
  // the longer one is there, as its memory does.
  Result<base::MemoryCharge> charge = base::MemoryCharge::Take(
      *account, MemoryComponent::kOther, count * (sizeof(Write) + 8 * sizeof(uint32_t)));
  if (!charge.ok()) {
    return Status::Error(StatusCode::kResourceExhausted,
                         "the list of a transaction of " + std::to_string(writes.size()) +
                             " writes cannot grow: " + std::string(charge.status().message()) +
                             ", or commit in parts");
  }
  writes.reserve(count);
  transaction_.charge = *std::move(charge);
  return Status::Ok();
}

void SessionCore::AddWrite(const Write& write) {
  std::vector<Write>& writes = transaction_.writes;
  writes.push_back(write);  // ReserveWrite() made the room
  participant_.home_reads.changed |= internal::HomeReads::BitOf(write.id);
  if (writes.size() <= kLinearWritesMax) return;
  transaction_.write_of_id.Add(writes, static_cast<uint32_t>(writes.size() - 1));
}

Result<RecordGuard> SessionCore::TransactionRead(TableState& table, RecordId id) {
  FLAGSTONE_RETURN_IF_ERROR(CheckRunning(table));
  participant_.home_reads.any = true;
  std::atomic<uint64_t>* guard = participant_.FreeGuard();
  if (guard == nullptr) return RecordGuard(StatusCode::kResourceExhausted).status();
  PinScope pin(participant_);
  if (!transaction_.writes.empty()) {
    if (Write* own = FindWrite(id.value()); own != nullptr) {
      if (own->part->view.number != table.number || own->kind == WriteKind::kDelete ||
          own->kind == WriteKind::kCancelled) {
        return RecordGuard();
      }
      // So that neither Commit() nor Rollback() needs memory if it is to wait for this guard.
      withheld_.reserve(withheld_.size() + transaction_.writes.size());
      return GuardOn(*guard, own->kind == WriteKind::kInsert ? own->home : own->version, *own->part,
                     id);
    }
  }
  if (SnapshotIsCut() && !Planted(PlantedBug::kCutSnapshotReadsOn)) return Fail(SnapshotWasCut());
  TablePart* part = nullptr;
  SlotHeader* home = Locate(table, id.value(), &part);
  if (home == nullptr) return RecordGuard();
  const Timestamp bound = ReadsLatest() ? engine_.commits().horizon() : transaction_.snapshot;
  SlotHeader* found =
      internal::FindVisible<StdAtomics>(*home, id.value(), bound, part->view.geometry);
  if (found == nullptr || !(found->version.load(std::memory_order_relaxed) & kLive)) {
    return RecordGuard();
  }
  return GuardOn(*guard, found, *part, id);
}

Result<RecordId> SessionCore::TransactionInsert(TableState& table,
                                                std::span<const std::byte> payload,
                                                std::optional<uint32_t> size_class) {
  FLAGSTONE_RETURN_IF_ERROR(CheckRunning(table));
  FLAGSTONE_RETURN_IF_ERROR(CheckWritable());
  if (!Planted(PlantedBug::kRoomAfterTaking)) {
    if (Status room = ReserveWrite(); !room.ok()) return Fail(std::move(room));
  }
  TablePart* part = nullptr;
  RecordId id;
  SlotHeader* home = nullptr;
  Status status = ChooseInsertPart(table, payload.size(), size_class, &part);
  if (status.ok()) status = PrepareInsert(*part, payload.data(), &id, &home);
  if (Planted(PlantedBug::kRoomAfterTaking)) static_cast<void>(ReserveWrite());
  if (!status.ok()) {
    return status.code() == StatusCode::kInvalidArgument ? std::move(status)
                                                         : Fail(std::move(status));
  }
  home->version.store(0, std::memory_order_relaxed);  // not committed: no timestamp
  AddWrite({WriteKind::kInsert, part, home, nullptr, 0, 0, id.value()});
  return id;
}

Status SessionCore::TransactionInsertWithId(TableState& table, RecordId id,
                                            std::span<const std::byte> payload) {
  FLAGSTONE_RETURN_IF_ERROR(CheckRunning(table));
  FLAGSTONE_RETURN_IF_ERROR(CheckWritable());
  TablePart* part = nullptr;
  SlotHeader* home = nullptr;
  if (Status room = ReserveWrite(); !room.ok()) return Fail(std::move(room));
  if (Status status = PrepareInsertWithId(table, id, payload, &part, &home); !status.ok()) {
    const bool leaves_all_as_it_was = status.code() == StatusCode::kInvalidArgument ||
                                      status.code() == StatusCode::kFailedPrecondition;
    return leaves_all_as_it_was ? status : Fail(std::move(status));
  }
  home->version.store(0, std::memory_order_relaxed);  // not committed: no timestamp
  AddWrite({WriteKind::kInsert, part, home, nullptr, 0, 0, id.value(), IdSource::kGiven});
  return Status::Ok();
}

Status SessionCore::CheckWritable() {
  participant_.home_reads.any = true;
  if (transaction_.options.as_of_timestamp.has_value()) {
    return Status::Error(
        StatusCode::kFailedPrecondition,
        "a transaction that reads an earlier state (as_of_timestamp) cannot write");
  }
  if (Status room = CheckWriteCount(transaction_.writes.size() + 1); !room.ok()) [[unlikely]] {
    return Fail(std::move(room));
  }
  return Status::Ok();
}

Status SessionCore::CheckWriteCount(size_t writes) const {
  const size_t writes_max = engine_.options().transaction_writes_max;
  if (writes <= writes_max) [[likely]]
    return Status::Ok();
  return Status::Error(StatusCode::kResourceExhausted,
                       "a transaction of " + std::to_string(writes) + " writes; at most " +
                           std::to_string(writes_max) +
                           " are allowed: commit in parts or raise "
                           "StoreOptions::transaction_writes_max");
}

Result<SessionCore::Write*> SessionCore::WriteForChange(TableState& table, RecordId id,
                                                        WriteKind kind, Base base) {
  FLAGSTONE_RETURN_IF_ERROR(CheckWritable());
  TablePart* part = nullptr;
  // What a snapshot that was given up saw may be gone: an absent record is believed only if, after
  // the look, it had not been.
  const auto answer_absent = [this]() -> Result<Write*> {
    if (SnapshotIsCut() && !Planted(PlantedBug::kCutSnapshotWritesOn)) {
      return Fail(SnapshotWasCut());
    }
    return nullptr;
  };
  if (Locate(table, id.value(), &part) == nullptr) return answer_absent();
  if (Status room = ReserveWrite(); !room.ok()) return Fail(std::move(room));
  const slab::VersionUse use =
      kind == WriteKind::kDelete ? slab::VersionUse::kDelete : slab::VersionUse::kUpdate;
  if (Status room = ReserveVersionSlot(*part, use); !room.ok()) return Fail(std::move(room));
  const bool latest = transaction_.options.isolation == IsolationLevel::kReadCommitted;
  PendingChange change;
  SlotHeader* newest = nullptr;
  Result<bool> locked =
      Lock(table, id, transaction_.options.lock_wait,
           latest ? std::nullopt : std::optional<Timestamp>(transaction_.snapshot), base, change,
           &newest);
  if (!locked.ok() || !*locked) GiveBackRun();
  if (!locked.ok()) {
    // A reader of the latest state may try again; a snapshot stays as old as it is.
    if (latest) return locked.status();
    return Fail(locked.status());
  }
  if (!*locked) return answer_absent();
  TakeVersionSlot(change, use);
  if (kind != WriteKind::kDelete) {
    CopyPayload(internal::PayloadOf(change.version), internal::PayloadOf(newest),
                table.record_bytes);
  }
  AddWrite({kind, change.part, change.home, change.version, change.version_link, change.link_before,
            change.id});
  return &transaction_.writes.back();
}

Result<char*> SessionCore::TransactionUpdate(TableState& table, RecordId id) {
  char* const absent = nullptr;
  FLAGSTONE_RETURN_IF_ERROR(CheckRunning(table));
  if (Write* own = FindWrite(id.value()); own != nullptr) {
    if (own->part->view.number != table.number || own->kind == WriteKind::kDelete ||
        own->kind == WriteKind::kCancelled) {
      return absent;
    }
    SlotHeader* slot = own->kind == WriteKind::kInsert ? own->home : own->version;
    if (OwnGuardOn(slot)) {
      return Status::Error(StatusCode::kFailedPrecondition,
                           "record " + id.ToString() +
                               " was written by this transaction and is being read through a "
                               "guard; release the guard before changing it again");
    }
    return internal::PayloadOf(slot);
  }
  Result<Write*> write = WriteForChange(table, id, WriteKind::kUpdate, Base::kNewestLive);
  if (!write.ok()) return write.status();
  if (*write == nullptr) return absent;
  return internal::PayloadOf((*write)->version);
}

Result<bool> SessionCore::TransactionDelete(TableState& table, RecordId id) {
  FLAGSTONE_RETURN_IF_ERROR(CheckRunning(table));
  if (Write* own = FindWrite(id.value()); own != nullptr) {
    if (own->part->view.number != table.number || own->kind == WriteKind::kDelete ||
        own->kind == WriteKind::kCancelled) {
      return false;
    }
    own->kind = own->kind == WriteKind::kInsert ? WriteKind::kCancelled : WriteKind::kDelete;
    return true;
  }
  Result<Write*> write = WriteForChange(table, id, WriteKind::kDelete, Base::kNewestLive);
  if (!write.ok()) return write.status();
  return *write != nullptr;
}

Result<bool> SessionCore::TransactionUndelete(TableState& table, RecordId id) {
  FLAGSTONE_RETURN_IF_ERROR(CheckRunning(table));
  if (const Write* own = FindWrite(id.value()); own != nullptr) {
    if (own->part->view.number != table.number) return false;
    return Status::Error(StatusCode::kFailedPrecondition,
                         "record " + id.ToString() +
                             " was changed by this transaction; roll back instead of undeleting");
  }
  Result<Write*> write = WriteForChange(table, id, WriteKind::kUpdate, Base::kNewestDeleted);
  if (!write.ok()) return write.status();
  return *write != nullptr;
}

Result<Timestamp> SessionCore::Commit() {
  FLAGSTONE_RETURN_IF_ERROR(CheckRunning());
  std::vector<Write>& writes = transaction_.writes;
  Timestamp at = 0;
  if (!writes.empty()) {
    MakeRoom(std::min<size_t>(writes.size(), ChangedRing::kCapacity / 4));
    at = engine_.commits().Reserve();
    if (Planted(PlantedBug::kHorizonTooEarly)) {
      Publish(writes.front(), at);
      engine_.commits().Complete(at);
      // Long enough for a watcher on a busy machine to have a turn.
      for (int turn = 0; turn < 100; ++turn) StdAtomics::Pause(64);
      for (size_t i = 1; i < writes.size(); ++i) Publish(writes[i], at);
    } else {
      for (const Write& write : writes) Publish(write, at);
      engine_.commits().Complete(at);
    }
    for (const Write& write : writes) {
      if (write.kind == WriteKind::kInsert) SettleInsert(*write.home, write.id);
    }
  }
  for (const Write& write : writes) {
    if (write.kind == WriteKind::kUpdate || write.kind == WriteKind::kDelete) {
      NoteChanged(write.id, write.link_before);
    } else if (write.kind == WriteKind::kCancelled) {
      GiveCancelledInsert(write, TickOf(write.id));
    }
  }
  CountWrites();
  counters_.commits.Add();
  EndTransaction();
  transaction_.cause = Status::Ok();
  return at;
}

void SessionCore::Publish(const Write& write, Timestamp at) {
  switch (write.kind) {
    case WriteKind::kInsert: PublishInsert(*write.home, write.id, at); return;
    case WriteKind::kUpdate:
    case WriteKind::kDelete:
      PublishVersion(*write.home, *write.version, write.version_link, write.link_before, write.id,
                     at, write.kind == WriteKind::kUpdate ? kLive : kTombstone);
      return;
    case WriteKind::kCancelled: return;
  }
}

void SessionCore::GiveCancelledInsert(const Write& write, uint32_t last_tick) {
  const slab::FreedSlot freed = {SlotOf(write.id), last_tick};
  if (OwnGuardOn(write.home)) {
    withheld_.push_back(
        {write.part, write.home, 0, freed});  // there is room: see TransactionRead()
  } else {
    GiveHomeSlot(*write.part, freed);
  }
}

void SessionCore::GiveWithheld() {
  std::erase_if(withheld_, [this](const WithheldSlot& withheld) {
    if (OwnGuardOn(withheld.slot)) return false;
    if (withheld.version_link != 0) {
      GiveVersionSlot(*withheld.part, withheld.slot, withheld.version_link);
    } else {
      GiveHomeSlot(*withheld.part, withheld.home);
    }
    return true;
  });
}

void SessionCore::CountWrites() {
  for (const Write& write : transaction_.writes) {
    switch (write.kind) {
      case WriteKind::kInsert: counters_.inserts.Add(); break;
      case WriteKind::kUpdate: counters_.updates.Add(); break;
      case WriteKind::kDelete: counters_.deletes.Add(); break;
      case WriteKind::kCancelled: break;
    }
  }
}

void SessionCore::Rollback() {
  if (!transaction_.running) return;
  if (!engine_.registry().alive()) {
    // The child of a fork has none of the memory that the writes point to.
    transaction_.writes.clear();
    transaction_.write_of_id.Clear();
    transaction_.running = false;
    return;
  }
  // None of it needs memory: a rollback is what is left when there is none.
  for (; !transaction_.writes.empty(); transaction_.writes.pop_back()) {
    const Write& write = transaction_.writes.back();
    if (write.kind == WriteKind::kInsert || write.kind == WriteKind::kCancelled) {
      // An ID that was given names its record elsewhere, and the caller tries again with it.
      GiveCancelledInsert(write, TickOf(write.id) - (write.id_source == IdSource::kGiven ? 1 : 0));
      if (Planted(PlantedBug::kRollbackLeavesInsert)) {
        PublishInsert(*write.home, write.id, engine_.commits().horizon());
        SettleInsert(*write.home, write.id);
      }
    } else {
      GiveVersionSlot(*write.part, write.version, write.version_link);
      if (Planted(PlantedBug::kRollbackKeepsLock)) continue;
      Unlock(*write.home, write.link_before);
    }
  }
  counters_.rollbacks.Add();
  EndTransaction();
  transaction_.cause = Status::Ok();
}

void SessionCore::EndTransaction() {
  participant_.home_reads = {};
  participant_.EndSnapshot();
  transaction_.running = false;
  if (transaction_.writes.capacity() > kUnchargedWritesMax) [[unlikely]] {
    std::vector<Write>().swap(transaction_.writes);
    transaction_.charge.Release();
  }
  transaction_.writes.clear();
  transaction_.write_of_id.Clear();
}

}  // namespace txn
}  // namespace flagstone
