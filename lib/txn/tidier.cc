#include "lib/txn/tidier.h"

#include <algorithm>
#include <ctime>
#include <new>
#include <utility>

#include "lib/base/check.h"
#include "lib/base/planted_bug.h"
#include "lib/txn/copy_payload.h"
#include "lib/txn/record_lock.h"

namespace flagstone::txn {
namespace {

using base::Planted;
using base::PlantedBug;
using internal::BeginOf;
using internal::kDeferred;
using internal::kQueued;
using internal::SlotHeader;
using internal::StdAtomics;
using internal::Timestamp;
using internal::VersionLink;

// What a session that must help takes on at once: long enough to pay for the barrier, short enough
// not to show in its tail latency (about 100 us).
constexpr uint64_t kHelpRecordsMax = 4096;

// Cycles that a call which empties the queues runs at most: writers may fill them as fast. Enough
// for what 256 sessions have queued: 256 * ChangedRing::kCapacity / kHelpRecordsMax.
constexpr int kCyclesInOneCallMax = 1024;

// After a cycle that a reader's call held up, and how many of them are waited for: half a second,
// longer than a reader is without a processor unless the machine is far beyond its load.
constexpr timespec kBlockedCyclePause{0, 100'000};
constexpr int kBlockedCyclesMax = 4096;

// How long a cycle waits for readers' calls: some microseconds, longer than a call of a running
// thread, then for what a yielded processor does at once. What then runs still is left to the next
// cycle.
constexpr uint32_t kSpinsForReader = 64;
constexpr uint32_t kYieldsForReader = 8;
constexpr uint32_t kPauseYields = ~uint32_t{0};  // Pause() of so long a wait yields

// Slabs that go back to the system between two moments in which an insert can take the table's
// mutex: about 2 ms.
constexpr size_t kSlabsReturnedAtOnce = 16;

// A cycle that has copied this much leaves the rest of its visits to the next one, so that long
// records do not make a call of thousands of visits last for seconds. About 2 ms.
constexpr uint64_t kCopiedBytesMax = 8 << 20;

// Home slots are fetched this many visits ahead.
constexpr size_t kPrefetchDistance = 8;

// History is marked at most this often; the retention window is as exact.
constexpr int64_t kHistoryMarkIntervalNs = 10'000'000;

// Set in a list entry that came from the deferred ones: the record's mark goes with it. An ID's top
// bit is 0.
constexpr uint64_t kFromDeferred = uint64_t{1} << 63;

}  // namespace

template <typename T>
void Tidier::MakeRoom(std::vector<T>& list, size_t count) {
  if (list.capacity() - list.size() < count) {
    list.reserve(std::max(2 * list.capacity(), list.size() + count));
  }
}

Tidier::Tidier(Engine& engine, const TidierOptions& options) : engine_(engine), options_(options) {
  // The window reaches back to the beginning until it is full.
  if (options_.history_ns > 0) {
    history_.push_back({engine_.clock().MonotonicNanos(), engine_.commits().horizon()});
  }
}

void Tidier::Attach(SessionCore& session) {
  base::MutexLock lock(&mutex_);
  sessions_.push_back(&session);
}

void Tidier::Detach(SessionCore& session) {
  base::MutexLock lock(&mutex_);
  // A session ends without fail: where there is no room for its list, the list is worked off.
  while (session.changed().waiting_count() > 0) {
    try {
      MakeRoom(again_, session.changed().waiting_count());
      session.changed().Drain(ChangedRing::kCapacity,
                              [this](uint64_t id) { again_.push_back(id); });
    } catch (const std::bad_alloc&) {
      RunLocked(kHelpRecordsMax, Patience::kYields);
    }
  }
  std::erase(sessions_, &session);
  ended_sessions_ += session.counts();
}

SessionCounts Tidier::SessionTotals() const {
  base::MutexLock lock(&mutex_);
  SessionCounts totals = ended_sessions_;
  for (const SessionCore* session : sessions_) totals += session->counts();
  return totals;
}

void Tidier::set_options(const TidierOptions& options) {
  base::MutexLock lock(&mutex_);
  options_ = options;
}

bool Tidier::RunCycle(uint64_t records_max) {
  if (!mutex_.TryLock()) return false;
  const uint64_t done = RunLocked(records_max, Patience::kYields);
  mutex_.Unlock();
  return done > 0;
}

void Tidier::HelpIfIdle() {
  if (!mutex_.TryLock()) return;
  RunLocked(kHelpRecordsMax, Patience::kNone);
  if (!held_up_) ++counters_.helped_cycles;
  mutex_.Unlock();
}

void Tidier::Help() {
  base::MutexLock lock(&mutex_);
  RunLocked(kHelpRecordsMax, Patience::kYields);
  if (!held_up_) ++counters_.helped_cycles;
}

uint64_t Tidier::ReclaimNow() {
  std::optional<uint64_t> first;
  uint64_t freed = 0;
  // What the first cycle unlinks, the second frees; what is queued behind it takes more. One that
  // was held up before says nothing: it sees what was changed before its barrier. What other
  // threads free meanwhile counts as well.
  int idle = 0;
  int held_up_count = 0;
  for (int cycle = 0; cycle < kCyclesInOneCallMax && idle < 2; ++cycle) {
    bool held_up = false;
    {
      base::MutexLock lock(&mutex_);
      if (!first.has_value()) first = FreedCount();
      const bool resumed = held_up_;
      RunLocked(kHelpRecordsMax, Patience::kYields);
      held_up = held_up_;
      const uint64_t freed_before = std::exchange(freed, FreedCount() - *first);
      idle = freed == freed_before && !resumed ? idle + 1 : 0;
    }
    mutex_.LetWaitersIn();
    if (!held_up || ++held_up_count == kBlockedCyclesMax) continue;
    // A reader that lost its processor in the middle of a call. It says nothing about what could be
    // freed, and needs the processor more than this thread.
    nanosleep(&kBlockedCyclePause, nullptr);
    --cycle;
    idle = 0;
  }
  return freed;
}

TidierCounters Tidier::counters() const {
  base::MutexLock lock(&mutex_);
  TidierCounters counters = counters_;
  counters.deferred_records = deferred_.size();
  counters.waiting_records = batch_.size() + again_.size();
  for (SessionCore* session : sessions_) {
    counters.waiting_records += session->changed().waiting_count();
  }
  epoch::NeededTimestamps read;  // needed_ is as of the last cycle, and knows of retained history
  read.Collect(engine_.registry().in_use(), engine_.commits().horizon());
  counters.oldest_snapshot = read.oldest();
  return counters;
}

// --- the cycle

uint64_t Tidier::RunLocked(uint64_t records_max, Patience patience) {
  try {
    return RunSteps(records_max, patience);
  } catch (const std::bad_alloc&) {
    // Each step makes its room before it takes anything on: what it did not come to is in batch_,
    // in again_ or among the retiring slots, and the next cycle goes on with it.
    ++counters_.cycles_out_of_memory;
    return 0;
  }
}

uint64_t Tidier::RunSteps(uint64_t records_max, Patience patience) {
  // 1. to 3., unless that was done and the cycle then held up.
  if (!held_up_ && !StartCycle(records_max)) return 0;
  // Whoever is pinned across the barrier may still see what was there before. One who loses his
  // processor in a call holds up this cycle, not its successors: those calls are waited for that
  // ran at the barrier, and not once more for others.
  if (!GracePassed(patience)) {
    if (!std::exchange(held_up_, true)) ++counters_.cycles_blocked;
    return 1;
  }
  held_up_ = false;
  // 4. What readers hold beyond their calls.
  const auto participants = engine_.registry().in_use();
  guarded_.Collect(participants);
  needed_.Collect(participants, Planted(PlantedBug::kHistoryForgotten)
                                    ? settled_
                                    : std::min(settled_, retained_from_));
  // 5. Free what was unlinked before the barrier, 6. visit what was changed before it, and what
  // waited for a snapshot that has ended.
  passes_.store(passes_.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
  progress_ = FreeRetired();
  GatherDeferred(records_max);
  VisitAll();
  return progress_;
}

bool Tidier::StartCycle(uint64_t records_max) {
  // 1. From now on no snapshot begins below the horizon, nor below the retained history.
  RaiseFloors();
  // 2. What was changed; all of it was published before the barrier.
  GatherChanged(records_max);
  CutOldSnapshots();
  if (NothingToDo()) return false;
  ++counters_.cycles;
  versions_before_barrier_ = retiring_versions_.size();
  homes_before_barrier_ = retiring_homes_.size();
  // 3. The barrier.
  grace_.Start(engine_.registry().in_use(), engine_.registry().barrier_kind());
  return true;
}

bool Tidier::GracePassed(Patience patience) {
  if (Planted(PlantedBug::kPinsIgnored)) return true;
  // A call that is running lasts for less; once it was waited for in vain, its thread is not
  // running.
  const uint32_t spins = held_up_ ? 1 : kSpinsForReader;
  for (uint32_t spin = 0; spin < spins; ++spin) {
    if (grace_.Passed()) return true;
    StdAtomics::Pause(0);
  }
  const uint32_t yields = patience == Patience::kYields ? kYieldsForReader : 0;
  for (uint32_t yield = 0; yield < yields; ++yield) {
    StdAtomics::Pause(kPauseYields);
    if (grace_.Passed()) return true;
  }
  return false;
}

void Tidier::RaiseFloors() {
  settled_ = engine_.commits().horizon();
  retained_from_ = settled_;
  if (options_.history_ns > 0) {
    const int64_t now = engine_.clock().MonotonicNanos();
    if (history_.empty() || now - history_.back().at_ns >= kHistoryMarkIntervalNs) {
      history_.push_back({now, settled_});
    }
    // The oldest mark that is still within the window is what the window starts at; one older mark
    // is kept, so that the window is never shorter than asked for.
    while (history_.size() > 1 && history_[1].at_ns <= now - options_.history_ns) {
      history_.pop_front();
    }
    retained_from_ = history_.front().horizon;
  } else {
    history_.clear();  // what is dropped from now on does not come back with a longer window
  }
  engine_.snapshot_floor().store(settled_, std::memory_order_release);
  engine_.history_floor().store(retained_from_, std::memory_order_release);
}

void Tidier::GatherChanged(uint64_t records_max) {
  copied_in_cycle_.clear();
  // What a cycle that ran out of memory left in batch_ is visited once more, which does no harm.
  if (batch_.empty()) std::swap(batch_, again_);
  // Sessions in turn, so that a busy one cannot starve the others.
  for (size_t i = 0; i < sessions_.size() && batch_.size() < records_max; ++i) {
    next_session_ = (next_session_ + 1) % sessions_.size();
    sessions_[next_session_]->changed().Drain(records_max - batch_.size(),
                                              [this](uint64_t id) { batch_.push_back(id); });
  }
}

void Tidier::GatherDeferred(uint64_t records_max) {
  while (!deferred_.empty() && deferred_.front().until <= needed_.oldest() &&
         batch_.size() < records_max) {
    batch_.push_back(deferred_.front().id | kFromDeferred);
    deferred_.pop_front();
  }
}

bool Tidier::NothingToDo() {
  if (!batch_.empty() || !retiring_versions_.empty() || !retiring_homes_.empty()) return false;
  if (deferred_.empty()) return true;
  // Without a barrier a snapshot that is just beginning may be missed: then the cycle runs in vain.
  needed_.Collect(engine_.registry().in_use(), std::min(settled_, retained_from_));
  return deferred_.front().until > needed_.oldest();
}

void Tidier::CutOldSnapshots() {
  uint64_t version_bytes = 0;
  if (options_.version_bytes_max > 0) {
    for (uint32_t size_class = 0; size_class < kSizeClassCount; ++size_class) {
      const ClassState* state = engine_.class_state(size_class);
      if (state == nullptr) continue;
      version_bytes += state->versions.used_count() * SizeClassStrideBytes(size_class);
    }
  }
  const bool too_many_bytes =
      options_.version_bytes_max > 0 && version_bytes > options_.version_bytes_max;
  if (!too_many_bytes && options_.snapshot_age_ns_max == 0) return;

  const int64_t now = engine_.clock().MonotonicNanos();
  std::vector<SeenSnapshot> seen;
  internal::Participant* oldest = nullptr;
  uint64_t oldest_word = 0;
  for (internal::Participant* participant : engine_.registry().in_use()) {
    const uint64_t word = participant->snapshot.load(std::memory_order_acquire);
    if (word == 0 || word == participant->snapshot_cut.load(std::memory_order_relaxed)) continue;
    int64_t since = now;
    for (const SeenSnapshot& before : seen_snapshots_) {
      if (before.participant == participant && before.word == word) since = before.since_ns;
    }
    seen.push_back({participant, word, since});
    if (options_.snapshot_age_ns_max > 0 && now - since > options_.snapshot_age_ns_max &&
        !Planted(PlantedBug::kSnapshotNeverCut)) {
      participant->snapshot_cut.store(word, std::memory_order_release);
      ++counters_.snapshots_cut;
    } else if (oldest == nullptr || word < oldest_word) {
      oldest = participant;
      oldest_word = word;
    }
  }
  // A snapshot that began after the last cycle holds nothing back yet.
  if (too_many_bytes && oldest != nullptr &&
      (internal::TimestampOf(oldest_word) < settled_ || Planted(PlantedBug::kFreshSnapshotCut))) {
    oldest->snapshot_cut.store(oldest_word, std::memory_order_release);
    ++counters_.snapshots_cut;
  }
  seen_snapshots_ = std::move(seen);
}

uint64_t Tidier::FreeRetired() {
  uint64_t freed = 0;
  // Those retired while the cycle was held up stay for the next one.
  const std::span versions = std::span(retiring_versions_).first(versions_before_barrier_);
  const std::span homes = std::span(retiring_homes_).first(homes_before_barrier_);
  for (const RetiredVersion& retired : versions) ++retired_counts_[retired.size_class];
  for (uint32_t size_class = 0; size_class < kSizeClassCount; ++size_class) {
    freed_versions_[size_class].reserve(std::exchange(retired_counts_[size_class], 0));
  }
  freed_homes_.reserve(homes.size());
  const auto erase = [](auto& list, size_t count, const auto& is_freed) {
    const auto end = list.begin() + static_cast<long>(count);
    list.erase(std::remove_if(list.begin(), end, is_freed), end);
  };
  erase(retiring_versions_, versions.size(), [&](const RetiredVersion& retired) {
    const internal::SlotGeometry& geometry =
        engine_.class_state(retired.size_class)->space->geometry();
    if (guarded_.Holds(reinterpret_cast<uint64_t>(geometry.At(retired.link))) &&
        !Planted(PlantedBug::kGuardedVersionFreed)) {
      return false;
    }
    freed_versions_[retired.size_class].push_back(retired.link);
    return true;
  });
  for (uint32_t size_class = 0; size_class < kSizeClassCount; ++size_class) {
    std::vector<VersionLink>& links = freed_versions_[size_class];
    if (links.empty()) continue;
    engine_.class_state(size_class)->versions.Give(links);
    freed += links.size();
    links.clear();
  }
  counters_.versions_freed += freed;

  TablePart* part = nullptr;
  const auto flush = [&] {
    if (!freed_homes_.empty()) part->slots.Give(freed_homes_);
    counters_.records_reclaimed += freed_homes_.size();
    freed += freed_homes_.size();
    freed_homes_.clear();
  };
  erase(retiring_homes_, homes.size(), [&](const RetiredHome& retired) {
    const internal::SlotGeometry& geometry = retired.part->view.geometry;
    const SlotHeader* home =
        geometry.HomeAt(retired.slot >> geometry.index_bits, retired.slot & geometry.index_mask);
    if (guarded_.Holds(reinterpret_cast<uint64_t>(home))) return false;
    if (retired.part != part) flush();
    part = retired.part;
    freed_homes_.push_back({retired.slot, retired.last_tick});
    return true;
  });
  flush();
  return freed;
}

void Tidier::VisitAll() {
  MakeRoom(again_, batch_.size());
  TablePart* part = nullptr;
  TablePart* ahead = nullptr;
  const auto part_of = [this](TablePart* last, uint64_t id) {
    if (last != nullptr && (id & last->view.prefix_mask) == last->view.prefix) {
      const uint64_t slot = id & last->view.slot_mask;
      if (last->view.extent_owner[slot >> last->view.geometry.index_bits].load(
              std::memory_order_relaxed) == last->view.number) {
        return last;
      }
    }
    return engine_.PartOfId(RecordId(id));
  };
  const auto prefetch = [&](size_t i) {
    if (i >= batch_.size()) return;
    ahead = part_of(ahead, batch_[i] & ~kFromDeferred);
    if (ahead == nullptr) return;
    const uint64_t slot = batch_[i] & ahead->view.slot_mask;
    const internal::SlotGeometry& geometry = ahead->view.geometry;
    __builtin_prefetch(geometry.HomeAt(slot >> geometry.index_bits, slot & geometry.index_mask), 1);
  };
  for (size_t i = 0; i < kPrefetchDistance; ++i) prefetch(i);
  copied_bytes_ = 0;
  for (size_t i = 0; i < batch_.size(); ++i) {
    if (copied_bytes_ > kCopiedBytesMax) {
      again_.insert(again_.end(), batch_.begin() + static_cast<long>(i), batch_.end());
      break;
    }
    prefetch(i + kPrefetchDistance);
    part = part_of(part, batch_[i] & ~kFromDeferred);
    if (part == nullptr) continue;  // its slab was returned
    ++counters_.visits;
    VisitRecord(batch_[i], *part);
  }
  batch_.clear();
}

void Tidier::VisitRecord(uint64_t entry, TablePart& part) {
  const uint64_t id = entry & ~kFromDeferred;
  const uint64_t slot = id & part.view.slot_mask;
  const internal::SlotGeometry& geometry = part.view.geometry;
  // A record that is gone, in an extent that another table has now: the place may be inside of a
  // long record, whose payload could hold this ID.
  if (!part.view.NamesSlot(slot & geometry.index_mask)) return;
  SlotHeader& home = *geometry.HomeAt(slot >> geometry.index_bits, slot & geometry.index_mask);
  if (internal::IdOf(home.id.load(std::memory_order_acquire)) != id) return;  // reclaimed meanwhile
  const std::optional<uint64_t> before = TryLockForTidying<StdAtomics>(home);
  if (!before.has_value()) {
    again_.push_back(entry);
    return;
  }
  uint64_t link = *before & ~(entry == id ? 0 : kDeferred);
  Visit visit = Visit::kAgain;
  try {
    visit = Tidy(part, home, id, &link);
  } catch (const std::bad_alloc&) {
    Unlock(home, link);  // it stands in batch_ still
    throw;
  }
  link &= ~kQueued;
  if (visit == Visit::kAgain) {
    link |= kQueued;
    again_.push_back(id);
  } else {
    if (visit == Visit::kDeferred) link |= kDeferred;
    ++progress_;
  }
  Unlock(home, link);
}

// --- one visit

struct Tidier::VisitedRecord {
  Tidier& tidier;
  TablePart& part;
  SlotHeader& home;
  uint64_t id;

  SlotHeader* At(VersionLink link) const { return part.view.geometry.At(link); }
  void CopyPayload(SlotHeader* to, const SlotHeader* from) const ABSL_NO_THREAD_SAFETY_ANALYSIS {
    tidier.copied_bytes_ += part.view.payload_bytes;
    txn::CopyPayload(internal::PayloadOf(to), internal::PayloadOf(from), part.view.payload_bytes);
  }
  void MakeRoomToRetire(size_t version_count) ABSL_NO_THREAD_SAFETY_ANALYSIS {
    MakeRoom(tidier.retiring_versions_, version_count);
    MakeRoom(tidier.retiring_homes_, 1);
  }
  // For a payload.
  VersionLink TakeVersionSlot() ABSL_NO_THREAD_SAFETY_ANALYSIS {
    if (part.view.run_slots > 1) {
      const Result<VersionLink> run = part.class_state.versions.TakeRun(part.view.run_slots);
      if (run.ok()) ++tidier.progress_;
      return run.ok() ? *run : 0;
    }
    slab::VersionSlotCache& cache = tidier.version_caches_[part.view.class_number];
    if (cache.count == 0 &&
        !part.class_state.versions.Refill(cache, slab::VersionUse::kUpdate).ok()) {
      return 0;
    }
    ++tidier.progress_;
    return cache.links[--cache.count];
  }
  void Retire(VersionLink link) ABSL_NO_THREAD_SAFETY_ANALYSIS {
    tidier.RetireLater(part.view.class_number, link);
  }
  void RetireHome() ABSL_NO_THREAD_SAFETY_ANALYSIS {
    const IdCodec& codec = tidier.engine_.codec();
    tidier.retiring_homes_.push_back({&part, codec.slot(RecordId(id)), codec.tick(RecordId(id))});
  }
  bool HomeIsGuarded() const ABSL_NO_THREAD_SAFETY_ANALYSIS {
    return tidier.guarded_.Holds(reinterpret_cast<uint64_t>(&home));
  }
  bool HomeWasCopied() const ABSL_NO_THREAD_SAFETY_ANALYSIS {
    return tidier.copied_in_cycle_.contains(id);
  }
  void NoteHomeCopied() ABSL_NO_THREAD_SAFETY_ANALYSIS { tidier.copied_in_cycle_.insert(id); }
  void NoteHomecoming() ABSL_NO_THREAD_SAFETY_ANALYSIS { ++tidier.counters_.homecomings; }
  void Defer(Timestamp until) ABSL_NO_THREAD_SAFETY_ANALYSIS {
    tidier.deferred_.push_back({id, until});
  }
};

Visit Tidier::Tidy(TablePart& part, SlotHeader& home, uint64_t id, uint64_t* link) {
  VisitedRecord record{*this, part, home, id};
  return chain_.Tidy(record, home, settled_, needed_, link);
}

// --- giving memory back

uint64_t Tidier::CompactStorage() {
  base::MutexLock compacting(&compacting_);
  const uint64_t before = MappedBytes();
  // 1. What can come home comes home, and what can be freed is.
  BringAllHome();
  // 2. Slabs without a record leave their tables.
  const std::vector<slab::TableSlots*> retracted = RetractEmptySlabs();
  // 3. Once nobody is in them, their memory goes.
  if (!retracted.empty()) ReturnRetracted(retracted);
  // 4. The empty pages of those that stay, and extents of versions, which nobody can be in.
  for (uint16_t number = 1; engine_.table(number) != nullptr; ++number) {
    for (auto& part : engine_.table(number)->parts) {
      TablePart* const at = part.load(std::memory_order_acquire);
      if (at != nullptr) at->slots.ReturnSparsePages();
    }
  }
  for (uint32_t size_class = 0; size_class < kSizeClassCount; ++size_class) {
    if (ClassState* state = engine_.class_state(size_class)) state->versions.ReturnEmptyExtents();
  }
  const uint64_t after = MappedBytes();
  return before > after ? before - after : 0;
}

uint64_t Tidier::MappedBytes() const {
  uint64_t extents = 0;
  uint64_t bytes_returned_in_parts = 0;
  for (uint32_t size_class = 0; size_class < kSizeClassCount; ++size_class) {
    if (const ClassState* state = engine_.class_state(size_class)) {
      const slab::ExtentCounts counts = state->space->counts();
      extents += counts.home_mapped - counts.home_returned + counts.version_mapped;
      bytes_returned_in_parts += counts.home_bytes_returned_in_parts;
    }
  }
  return extents * kExtentBytes - bytes_returned_in_parts;
}

void Tidier::BringAllHome() {
  // What one cycle unlinks, the next one frees.
  int quiet = 0;
  const int cycles_max =
      Planted(PlantedBug::kCompactionAwaitsQuiet) ? 1 << 30 : kCyclesInOneCallMax;
  for (int cycle = 0; cycle < cycles_max && quiet < 2; ++cycle) {
    bool held_up = false;
    {
      base::MutexLock lock(&mutex_);
      const bool resumed = held_up_;
      const uint64_t progress = RunLocked(kHelpRecordsMax, Patience::kYields);
      quiet = progress == 0 && !resumed ? quiet + 1 : 0;
      held_up = held_up_;
    }
    if (held_up) nanosleep(&kBlockedCyclePause, nullptr);
    mutex_.LetWaitersIn();
  }
}

std::vector<slab::TableSlots*> Tidier::RetractEmptySlabs() {
  std::vector<slab::TableSlots*> retracted;
  for (uint16_t number = 1; engine_.table(number) != nullptr; ++number) {
    for (auto& part : engine_.table(number)->parts) {
      TablePart* const at = part.load(std::memory_order_acquire);
      if (at != nullptr && at->slots.RetractEmptySlabs() > 0) retracted.push_back(&at->slots);
    }
  }
  return retracted;
}

void Tidier::ReturnRetracted(const std::vector<slab::TableSlots*>& retracted) {
  const auto participants = engine_.registry().in_use();
  epoch::GracePeriod<StdAtomics> grace;
  grace.Start(participants, engine_.registry().barrier_kind());
  for (uint32_t spin = 0; !grace.Passed(); ++spin) StdAtomics::Pause(spin);
  // A visit has no pin: it looks up the owner of a slab, then loads an ID there, within one cycle.
  // The cycle that found one of these slabs owned has ended when the mutex is free.
  { base::MutexLock cycle_that_may_run(&mutex_); }
  epoch::GuardedSlots guarded;
  guarded.Collect(participants);
  for (slab::TableSlots* slots : retracted) {
    for (bool more = true; more;) {
      more = false;
      size_t returned = 0;
      slots->ReturnRetracted([&](uint64_t from, uint64_t to) {
        if (guarded.HoldsAnyIn(from, to)) return true;
        more = returned == kSlabsReturnedAtOnce;
        returned += more ? 0 : 1;
        return more;  // left to the next piece
      });
    }
  }
}

}  // namespace flagstone::txn
