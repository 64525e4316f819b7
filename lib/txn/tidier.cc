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
      RunLocked(kHelpRecordsMax);
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
  const uint64_t done = RunLocked(records_max);
  mutex_.Unlock();
  return done > 0;
}

void Tidier::Help() {
  base::MutexLock lock(&mutex_);
  ++counters_.helped_cycles;
  RunLocked(kHelpRecordsMax);
}

uint64_t Tidier::ReclaimNow() {
  base::MutexLock lock(&mutex_);
  const uint64_t before = counters_.versions_freed + counters_.records_reclaimed;
  // What the first cycle unlinks, the second frees; what is queued behind it takes more.
  int idle = 0;
  int blocked = 0;
  for (int cycle = 0; cycle < kCyclesInOneCallMax && idle < 2; ++cycle) {
    const uint64_t freed = counters_.versions_freed + counters_.records_reclaimed;
    const uint64_t blocked_before = counters_.cycles_blocked;
    RunLocked(kHelpRecordsMax);
    if (counters_.cycles_blocked > blocked_before && ++blocked < kBlockedCyclesMax) {
      // A reader that lost its processor in the middle of a call. It says nothing about what could
      // be freed, and needs the processor more than this thread.
      nanosleep(&kBlockedCyclePause, nullptr);
      --cycle;
      continue;
    }
    idle = counters_.versions_freed + counters_.records_reclaimed == freed ? idle + 1 : 0;
  }
  return counters_.versions_freed + counters_.records_reclaimed - before;
}

TidierCounters Tidier::counters() const {
  base::MutexLock lock(&mutex_);
  TidierCounters counters = counters_;
  counters.deferred_records = deferred_.size();
  counters.waiting_records = batch_.size() + again_.size();
  for (SessionCore* session : sessions_) {
    counters.waiting_records += session->changed().waiting_count();
  }
  counters.oldest_snapshot = needed_.oldest();
  return counters;
}

// --- the cycle

uint64_t Tidier::RunLocked(uint64_t records_max) {
  try {
    return RunSteps(records_max);
  } catch (const std::bad_alloc&) {
    // Each step makes its room before it takes anything on: what it did not come to is in batch_,
    // in again_ or among the retiring slots, and the next cycle goes on with it.
    ++counters_.cycles_out_of_memory;
    return 0;
  }
}

uint64_t Tidier::RunSteps(uint64_t records_max) {
  // 1. From now on no snapshot begins below the horizon, nor below the retained history.
  RaiseFloors();
  // 2. What was changed; all of it was published before the barrier.
  GatherChanged(records_max);
  CutOldSnapshots();
  if (NothingToDo()) return 0;
  ++counters_.cycles;
  // 3. The barrier. Whoever is pinned across it may still see what was there before.
  const auto participants = engine_.registry().in_use();
  grace_.Start(participants, engine_.registry().barrier_kind());
  for (uint32_t spin = 0; !grace_.Passed() && !Planted(PlantedBug::kPinsIgnored); ++spin) {
    if (spin == 1024) {
      ++counters_.cycles_blocked;
      again_.insert(again_.end(), batch_.begin(), batch_.end());
      batch_.clear();
      return 1;
    }
    StdAtomics::Pause(spin % 64);
  }
  // 4. What readers hold beyond their calls.
  guarded_.Collect(participants);
  needed_.Collect(participants, Planted(PlantedBug::kHistoryForgotten)
                                    ? settled_
                                    : std::min(settled_, retained_from_));
  // 5. Free what was unlinked before the barrier, 6. visit what was changed before it, and what
  // waited for
  //    a snapshot that has ended.
  passes_.store(passes_.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
  progress_ = FreeRetired();
  GatherDeferred(records_max);
  VisitAll();
  return progress_;
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
  for (const RetiredVersion& retired : retiring_versions_) ++retired_counts_[retired.size_class];
  for (uint32_t size_class = 0; size_class < kSizeClassCount; ++size_class) {
    freed_versions_[size_class].reserve(std::exchange(retired_counts_[size_class], 0));
  }
  freed_homes_.reserve(retiring_homes_.size());
  std::erase_if(retiring_versions_, [&](const RetiredVersion& retired) {
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
  std::erase_if(retiring_homes_, [&](const RetiredHome& retired) {
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
  base::MutexLock lock(&mutex_);
  const auto mapped_bytes = [this]() ABSL_NO_THREAD_SAFETY_ANALYSIS {
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
  };
  const uint64_t before = mapped_bytes();
  // Bring home and free: what one cycle unlinks, the next one frees.
  int quiet = 0;
  const int cycles_max =
      Planted(PlantedBug::kCompactionAwaitsQuiet) ? 1 << 30 : kCyclesInOneCallMax;
  for (int cycle = 0; cycle < cycles_max && quiet < 2; ++cycle) {
    quiet = RunLocked(kHelpRecordsMax) == 0 ? quiet + 1 : 0;
  }
  std::vector<slab::TableSlots*> retracted;
  for (uint16_t number = 1; engine_.table(number) != nullptr; ++number) {
    for (auto& part : engine_.table(number)->parts) {
      TablePart* const at = part.load(std::memory_order_acquire);
      if (at != nullptr && at->slots.RetractEmptySlabs() > 0) retracted.push_back(&at->slots);
      if (at != nullptr) at->slots.ReturnSparsePages();
    }
  }
  if (!retracted.empty()) {
    const auto participants = engine_.registry().in_use();
    grace_.Start(participants, engine_.registry().barrier_kind());
    for (uint32_t spin = 0; !grace_.Passed(); ++spin) StdAtomics::Pause(spin);
    guarded_.Collect(participants);
    for (slab::TableSlots* slots : retracted) {
      slots->ReturnRetracted([this](uint64_t from, uint64_t to) ABSL_NO_THREAD_SAFETY_ANALYSIS {
        return guarded_.HoldsAnyIn(from, to);
      });
    }
  }
  for (uint32_t size_class = 0; size_class < kSizeClassCount; ++size_class) {
    if (ClassState* state = engine_.class_state(size_class)) state->versions.ReturnEmptyExtents();
  }
  const uint64_t after = mapped_bytes();
  return before > after ? before - after : 0;
}

}  // namespace flagstone::txn
