#include "lib/store/store_core.h"

#include <algorithm>
#include <utility>

#include "lib/base/check.h"
#include "lib/base/utf8.h"
#include "lib/epoch/grace.h"

namespace flagstone::store {
namespace {

constexpr size_t kTableNameBytesMax = 128;

Status CheckTableName(std::string_view name) {
  const auto refuse = [&name](const std::string& why) {
    return Status::Error(StatusCode::kInvalidArgument,
                         "a table name of " + std::to_string(name.size()) + " bytes " + why +
                             ": it must have 1 to " + std::to_string(kTableNameBytesMax) +
                             " bytes of UTF-8 and no control characters");
  };
  if (name.empty()) return refuse("is empty");
  if (name.size() > kTableNameBytesMax) return refuse("is too long");
  const auto control =
      std::find_if(name.begin(), name.end(), [](unsigned char c) { return c < 0x20 || c == 0x7f; });
  if (control != name.end()) {
    return refuse("has a control character at byte " + std::to_string(control - name.begin()));
  }
  if (!base::IsUtf8(name)) return refuse("is not UTF-8");
  return Status::Ok();
}

uint64_t QuarterUnlessSet(uint64_t set, uint64_t limit) { return set != 0 ? set : limit / 4; }

}  // namespace

Result<std::unique_ptr<StoreCore>> StoreCore::Create(const StoreOptions& options) {
  Clock& clock = options.clock != nullptr ? *options.clock : SystemClock();
  FLAGSTONE_RETURN_IF_ERROR(options.Validate());
  FLAGSTONE_RETURN_IF_ERROR(options.ids.Validate(clock.UnixNanos() / 1'000'000'000));
  std::unique_ptr<StoreCore> core(new StoreCore(options, clock));
  FLAGSTONE_RETURN_IF_ERROR(core->Open());
  return core;
}

StoreCore::StoreCore(const StoreOptions& options, Clock& clock)
    : options_(options),
      clock_(clock),
      account_(options.memory),
      thread_readers_(std::make_shared<ThreadReaders>([this] { return NewThreadReader(); })) {}

Status StoreCore::Open() {
  Result<std::unique_ptr<id::TickSource>> ticks =
      id::TickSource::Open({.codec = IdCodec(options_.ids.layout),
                            .clock = clock_,
                            .storage = leases_,
                            .clock_jumps = options_.ids.clock_jumps});
  if (!ticks.ok()) return ticks.status();
  ticks_ = std::move(*ticks);

  txn::EngineOptions engine;
  engine.layout = options_.ids.layout;
  engine.node = options_.ids.node;
  engine.sessions_max = options_.sessions_max;
  engine.guards_per_session = options_.guards_per_session;
  engine.transaction_writes_max = options_.transaction_writes_max;
  engine.extents_max = options_.memory.limit_bytes / kExtentBytes +
                       (options_.memory.limit_bytes % kExtentBytes != 0 ? 1 : 0);
  engine.account = &account_;
  engine.reserve = [this](const std::string& name, uint64_t extents_max,
                          MemoryComponent component) {
    return ReserveRange(name, extents_max, component);
  };
  Result<std::unique_ptr<txn::Engine>> created =
      txn::Engine::Create(std::move(engine), clock_, *ticks_);
  if (!created.ok()) return created.status();
  engine_ = std::move(*created);

  txn::TidierOptions tidier;
  tidier.snapshot_age_ns_max = std::chrono::nanoseconds(options_.snapshots.age_max).count();
  tidier.version_bytes_max =
      QuarterUnlessSet(options_.snapshots.version_bytes_max, options_.memory.limit_bytes);
  tidier.history_ns = std::chrono::nanoseconds(options_.snapshots.history_retention).count();
  tidier_ = std::make_unique<txn::Tidier>(*engine_, tidier);

  executor_ = std::make_unique<Executor>(
      options_.maintenance,
      std::vector<Executor::Task>{[this](uint64_t records_max) { return TidyTask(records_max); },
                                  [this](uint64_t) { return TickTask(); }});
  if (options_.maintenance.mode == MaintenanceMode::kBackground) return executor_->Start();
  return Status::Ok();
}

StoreCore::~StoreCore() {
  executor_.reset();  // its tasks use everything else
  thread_readers_->Close();
}

Result<std::unique_ptr<page::ExtentRange>> StoreCore::ReserveRange(const std::string& name,
                                                                   uint64_t extents_max,
                                                                   MemoryComponent component) {
  page::ExtentRangeOptions range;
  range.pages = options_.pages;
  range.extent_count_max = static_cast<uint32_t>(extents_max);
  range.name = name;
  range.component = component;
  range.on_fallback = [this](const PageFallback& fallback) {
    Log(LogLevel::kWarning, fallback.range_name + ": " +
                                std::string(PageKindName(fallback.granted)) + " pages instead of " +
                                std::string(PageKindName(fallback.wanted)) + ": " +
                                fallback.reason);
    if (options_.listener != nullptr) options_.listener->OnPageFallback(fallback);
  };
  return page::ExtentRange::Reserve(std::move(range), account_);
}

void StoreCore::Log(LogLevel level, const std::string& message) const {
  if (options_.logger != nullptr) options_.logger->Log(level, message);
}

// --- closing

Status StoreCore::Close() {
  FLAGSTONE_RETURN_IF_ERROR(engine_->CheckAlive());
  base::MutexLock lock(&opening_mutex_);
  if (closed_.load(std::memory_order_relaxed)) return Status::Ok();
  FLAGSTONE_RETURN_IF_ERROR(CheckNoSessions());
  executor_->Stop();
  FLAGSTONE_RETURN_IF_ERROR(ticks_->Close());
  // One-call reads of other threads may be under way: their readers, and what they read, stay until
  // the store is destroyed.
  closed_.store(true, std::memory_order_release);
  thread_readers_->Refuse();
  return Status::Ok();
}

Status StoreCore::CheckNoSessions() const {
  const uint32_t open = engine_->registry().joined_count() - thread_reader_count_;
  if (open == 0) return Status::Ok();
  epoch::GuardedSlots guarded;
  guarded.Collect(engine_->registry().in_use());
  return Status::Error(StatusCode::kFailedPrecondition,
                       "store cannot close: " + std::to_string(open) +
                           " sessions are open and hold " + std::to_string(guarded.count()) +
                           " guards; end them first");
}

Status StoreCore::CheckOpen() const {
  FLAGSTONE_RETURN_IF_ERROR(engine_->CheckAlive());
  if (!closed_.load(std::memory_order_acquire)) return Status::Ok();
  return Status::Error(StatusCode::kFailedPrecondition, "the store is closed; open another one");
}

// --- tables

Result<RecordTable> StoreCore::CreateTable(std::string_view name, const TableOptions& options) {
  FLAGSTONE_RETURN_IF_ERROR(CheckOpen());
  FLAGSTONE_RETURN_IF_ERROR(CheckTableName(name));
  const std::string quoted = "table '" + std::string(name) + "': ";
  if (options.record_bytes == 0 || options.record_bytes > internal::kRecordBytesMax) {
    return Status::Error(StatusCode::kInvalidArgument,
                         quoted + "TableOptions::record_bytes is " +
                             std::to_string(options.record_bytes) + "; it must be 1 to " +
                             std::to_string(internal::kRecordBytesMax));
  }
  // What no slot holds is a run of the largest.
  const uint32_t smallest = std::min(
      SizeClassFor(options.record_bytes + internal::kSlotHeaderBytes), kSizeClassCount - 1);
  const uint32_t size_class = options.size_class.value_or(smallest);
  if (size_class < smallest || size_class >= kSizeClassCount) {
    return Status::Error(StatusCode::kInvalidArgument,
                         quoted + "TableOptions::size_class is " + std::to_string(size_class) +
                             "; records of " + std::to_string(options.record_bytes) +
                             " bytes need " + std::to_string(smallest) + " to " +
                             std::to_string(kSizeClassCount - 1));
  }
  {
    // The name is taken while the table is made: making it may take mutex_ for its ranges.
    base::MutexLock lock(&mutex_);
    if (!tables_.emplace(std::string(name), nullptr).second) {
      return Status::Error(StatusCode::kInvalidArgument,
                           quoted + "there is a table of that name; open it, or use another name");
    }
  }
  const auto free_name = [this, key = std::string(name)] {
    base::MutexLock lock(&mutex_);
    tables_.erase(key);
  };
  Result<txn::TableState*> state = nullptr;
  try {
    state = engine_->AddTable(std::string(name), options.record_bytes, size_class);
  } catch (...) {
    free_name();
    throw;
  }
  if (!state.ok()) {
    free_name();
    return state.status();
  }
  base::MutexLock lock(&mutex_);
  tables_.find(std::string(name))->second = *state;
  return RecordTable(&(*state)->parts[size_class].load(std::memory_order_acquire)->view, *state);
}

std::optional<RecordTable> StoreCore::FindTable(std::string_view name) const {
  if (!CheckOpen().ok()) return std::nullopt;
  base::MutexLock lock(&mutex_);
  const auto found = tables_.find(std::string(name));
  if (found == tables_.end() || found->second == nullptr) return std::nullopt;
  txn::TableState* state = found->second;
  return RecordTable(&state->parts[state->size_class].load(std::memory_order_acquire)->view, state);
}

Result<std::unique_ptr<txn::SessionCore>> StoreCore::NewSession() {
  base::MutexLock lock(&opening_mutex_);
  return OpenSession();
}

Result<std::unique_ptr<Reader>> StoreCore::NewThreadReader() {
  base::MutexLock lock(&opening_mutex_);
  Result<std::unique_ptr<txn::SessionCore>> session = OpenSession();
  if (!session.ok()) return std::move(session).status();
  auto reader = std::make_unique<Reader>(*std::move(session));
  ++thread_reader_count_;  // it stays until the store is destroyed
  return reader;
}

Result<std::unique_ptr<txn::SessionCore>> StoreCore::OpenSession() {
  FLAGSTONE_RETURN_IF_ERROR(CheckOpen());
  return txn::SessionCore::Create(*engine_, *tidier_);
}

// --- maintenance

bool StoreCore::TidyTask(uint64_t records_max) {
  const bool more = tidier_->RunCycle(records_max);
  if (options_.listener != nullptr || options_.logger != nullptr) {
    const uint64_t cut = tidier_->counters().snapshots_cut;
    const uint64_t reported = snapshots_cut_reported_.exchange(cut, std::memory_order_relaxed);
    if (cut > reported) {
      Log(LogLevel::kWarning,
          std::to_string(cut - reported) +
              " snapshots passed SnapshotOptions::age_max or version_bytes_max and were given up");
      if (options_.listener != nullptr) options_.listener->OnSnapshotsCut(cut - reported);
    }
  }
  return more;
}

bool StoreCore::TickTask() {
  ticks_->Refresh();
  if (ticks_->RenewalDue()) {
    if (Status renewed = ticks_->Renew(); !renewed.ok()) {
      Log(LogLevel::kError, "lease of ID ticks: " + renewed.ToString());
    }
  }
  return false;
}

Status StoreCore::ReserveRecords(const RecordTable& table, uint64_t record_count) {
  FLAGSTONE_RETURN_IF_ERROR(CheckOpen());
  txn::TableState& state = table.state();
  FLAGSTONE_RETURN_IF_ERROR(engine_->CheckOwn(state));
  Result<txn::TablePart*> part = engine_->PartOf(state, state.size_class);
  if (!part.ok()) return part.status();
  return (*part)->slots.Reserve(record_count);
}

bool StoreCore::Maintain(uint64_t records_max) {
  if (!CheckOpen().ok()) return false;
  return executor_->RunAll(records_max);
}

Result<uint64_t> StoreCore::CompactStorage() {
  FLAGSTONE_RETURN_IF_ERROR(CheckOpen());
  return tidier_->CompactStorage();
}

// --- looking at it

Result<std::optional<AbsenceReason>> StoreCore::Explain(const RecordTable& table, RecordId id) {
  using Reason = std::optional<AbsenceReason>;
  FLAGSTONE_RETURN_IF_ERROR(CheckOpen());
  FLAGSTONE_RETURN_IF_ERROR(engine_->CheckOwn(table.state()));
  const IdCodec& codec = engine_->codec();
  if (!codec.IsWellFormed(id)) return Reason(AbsenceReason::kMalformed);
  if (codec.node(id) != options_.ids.node) return Reason(AbsenceReason::kOtherNode);
  if (codec.tick(id) > ticks_->Current()) return Reason(AbsenceReason::kNotYetIssued);
  const txn::TablePart* part = engine_->PartOfId(id);
  if (part != nullptr && part->view.number != table.view().number) {
    return Reason(AbsenceReason::kOtherTable);
  }
  // Inside of a run, or where none fits, is no slot of a record.
  const DecodedId decoded = codec.Decode(id);
  if (decoded.fields.size_class == table.size_class() && !table.view().NamesSlot(decoded.index)) {
    return Reason(AbsenceReason::kMalformed);
  }
  Result<Reader*> reader = thread_readers_->OfThisThread();
  if (!reader.ok()) return std::move(reader).status();
  const RecordGuard guard = (*reader)->Get(table, id);
  if (guard.code() != StatusCode::kOk) return guard.status();
  return guard ? Reason() : Reason(AbsenceReason::kGone);
}

PageReport StoreCore::SumPages(bool verify) const {
  PageReport sum;
  sum.requested = options_.pages.page_kind;
  sum.verification = verify ? PageVerification::kBySmaps : PageVerification::kByCall;
  const auto add = [&sum, verify](const page::ExtentRange& range) {
    PageReport report = range.Report();
    if (verify) {
      if (Result<PageReport> verified = range.Verify(); verified.ok()) {
        report = *std::move(verified);
      } else {
        sum.verification = PageVerification::kByCall;
      }
    }
    for (size_t kind = 0; kind < kPageKindCount; ++kind) {
      sum.bytes_by_kind[kind] += report.bytes_by_kind[kind];
    }
    sum.bytes_untouched += report.bytes_untouched;
    sum.bytes_returned += report.bytes_returned;
    sum.bytes_returned_in_parts += report.bytes_returned_in_parts;
    sum.bytes_reserved += report.bytes_reserved;
    sum.bytes_locked += report.bytes_locked;
    sum.fallbacks.insert(sum.fallbacks.end(), report.fallbacks.begin(), report.fallbacks.end());
  };
  for (uint32_t size_class = 0; size_class < kSizeClassCount; ++size_class) {
    if (const txn::ClassState* state = engine_->class_state(size_class)) {
      add(state->space->home_range());
      add(state->space->version_range());
    }
  }
  return sum;
}

Result<PageReport> StoreCore::VerifyPages() const {
  FLAGSTONE_RETURN_IF_ERROR(CheckOpen());
  PageReport report = SumPages(/*verify=*/true);
  if (report.verification == PageVerification::kBySmaps) return report;
  return Status::Error(StatusCode::kIoError,
                       "/proc/self/smaps could not be read, so the pages are not verified; mount "
                       "/proc, or use Statistics() for what the kernel's calls granted");
}

StoreStatistics StoreCore::Statistics() const {
  StoreStatistics statistics;
  // A thread of the parent may have held any mutex at the moment of the fork.
  if (!engine_->registry().alive()) return statistics;
  statistics.horizon = engine_->commits().horizon();
  statistics.sessions = engine_->registry().joined_count();
  statistics.memory = account_.Usage();
  statistics.pages = SumPages(/*verify=*/false);

  const txn::TidierCounters tidier = tidier_->counters();
  // The horizon goes on meanwhile.
  statistics.oldest_snapshot = std::min(tidier.oldest_snapshot, statistics.horizon);
  MaintenanceStatistics& maintenance = statistics.maintenance;
  maintenance.cycles = tidier.cycles;
  maintenance.cycles_blocked = tidier.cycles_blocked;
  maintenance.helped_cycles = tidier.helped_cycles;
  maintenance.visits = tidier.visits;
  maintenance.homecomings = tidier.homecomings;
  maintenance.versions_freed = tidier.versions_freed;
  maintenance.records_reclaimed = tidier.records_reclaimed;
  maintenance.snapshots_cut = tidier.snapshots_cut;
  maintenance.waiting_records = tidier.waiting_records;
  maintenance.deferred_records = tidier.deferred_records;

  const txn::SessionCounts operations = tidier_->SessionTotals();
  statistics.operations = {
      operations.inserts,   operations.updates,     operations.deletes,
      operations.undeletes, operations.commits,     operations.rollbacks,
      operations.conflicts, operations.chain_reads, operations.snapshots_too_old};

  const id::TickSourceStats ids = ticks_->stats();
  statistics.ids = {ids.current_tick, ids.ticks_left, ids.ahead_of_clock_ticks,
                    ids.run_ahead_count};

  for (uint32_t size_class = 0; size_class < kSizeClassCount; ++size_class) {
    const txn::ClassState* state = engine_->class_state(size_class);
    if (state == nullptr) continue;
    const slab::ExtentCounts counts = state->space->counts();
    statistics.size_classes.push_back(
        {size_class, SizeClassStrideBytes(size_class), counts.home_mapped - counts.home_returned,
         counts.version_mapped, state->versions.used_count(), state->versions.free_count()});
  }
  for (uint16_t number = 1; const txn::TableState* table = engine_->table(number); ++number) {
    slab::SlotOccupancy occupancy;
    for (const auto& part : table->parts) {
      if (const txn::TablePart* at = part.load(std::memory_order_acquire)) {
        occupancy += at->slots.occupancy();
      }
    }
    const txn::TablePart* home = table->parts[table->size_class].load(std::memory_order_acquire);
    statistics.tables.push_back({table->name, table->record_bytes, table->size_class,
                                 SizeClassStrideBytes(table->size_class), home->view.run_slots,
                                 occupancy.slab_count, occupancy.used, occupancy.free,
                                 occupancy.unused, occupancy.retired});
  }
  return statistics;
}

}  // namespace flagstone::store
