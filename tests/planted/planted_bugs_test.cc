// What: every bug planted in the store is caught by the workload that watches its rule, and the
// same
//       workload is silent without it. Row 20 of the scorecard.
// How:  this program is linked with the store's sources compiled with FLAGSTONE_WITH_PLANTED_BUGS.
//       Under a sanitizer it is linked with the store as it is, and the workloads are silent.
#include <gtest/gtest.h>

#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "lib/base/manual_clock.h"
#include "lib/base/planted_bug.h"
#include "lib/page/extent_range.h"
#include "tests/support/aging_store.h"
#include "tests/support/allocation_script.h"
#include "tests/support/append_workload.h"
#include "tests/support/scorecard.h"
#include "tests/support/store_fears.h"
#include "tests/support/store_subjects.h"
#include "tests/support/store_workloads.h"
#include "tests/unit/page/fake_system_memory.h"

namespace flagstone::testkit {
namespace {

using base::PlantedBug;

// --- workloads: "" or what was wrong
// --------------------------------------------------------------

std::string Schedules() { return RunStoreSchedules(IsolationLevel::kSnapshot).failure; }

std::string PinnedHistories() {
  for (uint64_t seed = 1; seed <= 60; ++seed) {
    PinnedHistoryOptions options;
    options.seed = seed;
    options.commits_per_scan = 20;
    if (const std::string failure = RunPinnedHistory(options).failure; !failure.empty()) {
      return failure;
    }
  }
  return "";
}

std::string LongPinnedHistories() {
  for (uint64_t seed = 1; seed <= 10; ++seed) {
    PinnedHistoryOptions options;
    options.seed = seed;
    options.lengths = RecordLengths::kAll;
    if (const std::string failure = RunPinnedHistory(options).failure; !failure.empty()) {
      return failure;
    }
  }
  return "";
}

std::string AppendHistories() {
  for (uint64_t seed = 1; seed <= 3; ++seed) {
    AppendHistoryOptions options;
    options.seed = seed;
    if (const std::string failure = RunStoreAppendHistory(options).failure; !failure.empty()) {
      return failure;
    }
  }
  return "";
}

std::string Transfers() { return RunTransferWatch(5'000).failure; }

// A small store whose time is told.
StoreOptions OptionsWith(base::ManualClock& clock) {
  StoreOptions options = TestStoreOptions();
  options.clock = &clock;
  return options;
}

// A reader that stands in the middle of a call keeps what it may look at.
std::string PinnedReader() {
  Store store = *Store::OpenInMemory(TestStoreOptions());
  Session session = *store.NewSession();
  Reader reader = *store.NewReader();
  const auto table = *store.CreateTableOf<int64_t>("table");
  const RecordId id = *session.Insert(table, int64_t{1});
  Settle(store);
  static_cast<void>(session.UpdateTo(table, id, int64_t{2}));
  reader.core().participant().Pin();
  for (int i = 0; i < 4; ++i) static_cast<void>(store.Maintain());
  const uint64_t done = store.Statistics().maintenance.homecomings;
  reader.core().participant().Unpin();
  Settle(store);
  if (store.Statistics().maintenance.homecomings == 0) return "nothing came home at all";
  return done == 0 ? "" : "a payload was overwritten under a pinned reader";
}

// A guard on a version that is not at home keeps the version's slot from being used again.
std::string GuardOnAVersion() {
  Store store = *Store::OpenInMemory(TestStoreOptions());
  Session session = *store.NewSession();
  const auto table = *store.CreateTableOf<int64_t>("table");
  const RecordId id = *session.Insert(table, int64_t{1});
  static_cast<void>(session.UpdateTo(table, id, int64_t{2}));
  const TypedGuard<int64_t> guard = session.Get(table, id);
  for (int64_t i = 0; i < 1'000; ++i) {
    static_cast<void>(session.UpdateTo(table, id, i + 3));
    if (i % 10 == 0) Settle(store);
    if (*guard != 2) return "a guarded version was overwritten after " + std::to_string(i);
  }
  return "";
}

// Notes the IDs that were issued, and says which one was before.
std::string InsertAndDelete(Session& session, const RecordTableOf<int64_t>& table, int64_t count,
                            std::map<uint64_t, int>& seen) {
  std::vector<RecordId> ids;
  for (int64_t i = 0; i < count; ++i) {
    ids.push_back(*session.Insert(table, i));
    if (++seen[ids.back().value()] > 1) return ids.back().ToString() + " was issued twice";
  }
  for (const RecordId id : ids) static_cast<void>(session.Delete(table, id));
  return "";
}

// IDs are never issued twice, by slots that are freed one by one or with their extent.
std::string IdsWithinOneTick() {
  base::ManualClock clock(1'800'000'000);
  Store store = *Store::OpenInMemory(OptionsWith(clock));
  Session session = *store.NewSession();
  const auto table = *store.CreateTableOf<int64_t>("table");
  std::map<uint64_t, int> seen;
  for (int round = 0; round < 4; ++round) {
    const std::string twice = InsertAndDelete(session, table, 1'000, seen);
    if (!twice.empty()) return twice;
    Settle(store);
  }
  return "";
}
std::string IdsOfReturnedExtents() {
  base::ManualClock clock(1'800'000'000);
  Store store = *Store::OpenInMemory(OptionsWith(clock));
  const auto table = *store.CreateTableOf<int64_t>("table");
  std::map<uint64_t, int> seen;
  for (int round = 0; round < 3; ++round) {
    Session session = *store.NewSession();
    const std::string twice = InsertAndDelete(session, table, 10'000, seen);
    if (!twice.empty()) return twice;
    Settle(store);
    { Session ended = std::move(session); }
    static_cast<void>(store.CompactStorage());
  }
  return "";
}

// At the memory limit there is always a version slot for a delete.
std::string DeletesOfAFullStore() {
  StoreOptions options = TestStoreOptions();
  options.memory.limit_bytes = 16 << 20;
  Store store = *Store::OpenInMemory(options);
  Session session = *store.NewSession();
  Session other = *store.NewSession();
  const RecordTable table = *store.CreateTable("table", {1000, std::nullopt});
  const std::vector<std::byte> record(1000);
  std::vector<RecordId> ids;
  for (;;) {
    Result<RecordId> id = session.Insert(table, record);
    if (!id.ok()) break;
    ids.push_back(*id);
  }
  Transaction snapshot = *other.Begin();
  // Until several refusals: a session may hold a few slots more.
  for (size_t i = 0; session.UpdateTo(table, ids[i % 64], record).ok(); ++i) {
  }
  for (int i = 0; i < 100; ++i) {
    const Result<bool> deleted = session.Delete(table, ids[100 + i]);
    if (!deleted.ok()) return "delete " + std::to_string(i) + ": " + deleted.status().ToString();
  }
  return "";
}

// A snapshot over its age is told so at its next read.
std::string CutSnapshots() {
  AgingStore<int64_t> aging(0);
  Transaction snapshot = *aging.reader.Begin();
  for (int64_t i = 1; i <= 30; ++i) {
    static_cast<void>(aging.writer.UpdateTo(aging.table, aging.id, i));
    aging.Pass(1);
    Result<TypedGuard<int64_t>> seen = snapshot.Get(aging.table, aging.id);
    if (!seen.ok()) return seen.code() == StatusCode::kSnapshotTooOld ? "" : "another error";
    if (!*seen || **seen != 0) return "a snapshot that was given up reads on and sees later states";
  }
  return "a snapshot thirty seconds old reads on";
}

// The same when it does not read but writes: a record that is there is never absent for it.
std::string WriteInACutSnapshot() {
  AgingStore<int64_t> aging(0);
  const auto change = [](int64_t& value) { ++value; };
  using Write = std::function<Status(Transaction&)>;
  for (const Write& write :
       {Write([&](Transaction& txn) { return txn.Update(aging.table, aging.id, change).status(); }),
        Write([&](Transaction& txn) { return txn.Delete(aging.table, aging.id).status(); })}) {
    Transaction snapshot = *aging.reader.Begin();
    for (int64_t i = 1; i <= 30; ++i) {
      static_cast<void>(aging.writer.UpdateTo(aging.table, aging.id, i));
      aging.Pass(1);
    }
    const Status written = write(snapshot);
    if (written.code() != StatusCode::kSnapshotTooOld) {
      return "a write in a snapshot that was given up: " + written.ToString();
    }
    if (snapshot.running()) return "a transaction goes on without its snapshot";
  }
  return "";
}

// The account never says more than the limits, whoever asks.
std::string MemoryLimits() {
  StoreOptions options = TestStoreOptions();
  options.memory.limit_bytes = 32 << 20;
  for (const uint64_t slabs_max : {uint64_t{10} << 20, uint64_t{0}}) {
    options.memory.component_limit_bytes[MemoryComponent::kSlabs] = slabs_max;
    Store store = *Store::OpenInMemory(options);
    Session session = *store.NewSession();
    std::vector<RecordTable> tables;
    for (const uint32_t record_bytes : {100u, 1'000u, 4'000u}) {
      tables.push_back(*store.CreateTable("table " + std::to_string(record_bytes),
                                          {record_bytes, std::nullopt}));
    }
    for (const RecordTable& table : tables) {
      const std::vector<std::byte> record(table.record_bytes());
      while (session.Insert(table, record).ok()) {
      }
    }
    const MemoryUsage usage = store.Statistics().memory;
    if (usage.used_bytes > usage.limit_bytes) return "more memory is in use than the limit allows";
    const uint64_t slabs = usage.component_used_bytes[MemoryComponent::kSlabs];
    if (slabs_max != 0 && slabs > slabs_max) {
      return "slabs use more memory than their own limit allows";
    }
  }
  return "";
}

// What goes back to the system is there for others within the limit.
std::string ReturnedMemory() {
  Store store = *Store::OpenInMemory(TestStoreOptions());
  const auto table = *store.CreateTableOf<int64_t>("table");
  std::vector<RecordId> ids;
  {
    Session session = *store.NewSession();
    for (int64_t i = 0; i < 500'000; ++i) ids.push_back(*session.Insert(table, i));
    for (const RecordId id : ids) static_cast<void>(session.Delete(table, id));
    Settle(store);
  }
  const uint64_t used = store.Statistics().memory.used_bytes;
  const uint64_t returned = *store.CompactStorage();
  if (returned < (8 << 20)) return "an empty table gives nothing back";
  if (store.Statistics().memory.used_bytes > used - returned) return "what is gone still counts";
  return "";
}

// A slab that one table gave back has nothing in it for the next one, whatever its payloads were.
std::string SlabOfAnotherTable() {
  base::ManualClock clock(1'800'000'000);
  Store store = *Store::OpenInMemory(OptionsWith(clock));
  constexpr uint32_t kPayloadMax = kStrideBytesMax - internal::kSlotHeaderBytes;
  const RecordTable neighbour = *store.CreateTable("neighbour", {kPayloadMax, std::nullopt});
  const RecordTable pairs = *store.CreateTable("pairs", {2 * kPayloadMax, std::nullopt});
  const RecordTable next = *store.CreateTable("next", {kPayloadMax, std::nullopt});
  const IdCodec codec(store.id_layout());
  std::vector<RecordId> forged;
  // Keeps the extent that the tables share from being given back.
  Session stays = *store.NewSession();
  static_cast<void>(*stays.Insert(neighbour, std::vector<std::byte>(kPayloadMax)));
  {
    Session session = *store.NewSession();
    std::vector<RecordId> ids;
    for (int i = 0; i < 3; ++i) {
      std::vector<std::byte> record(2 * kPayloadMax);
      const RecordId id = *session.Insert(pairs, record);
      IdFields fields = codec.fields(id);
      fields.slot += 1;
      forged.push_back(codec.Encode(fields));
      // In its second slot, what a live record of the next table would begin with.
      const uint64_t header[3] = {forged.back().value(), internal::VersionWord(1, internal::kLive),
                                  0};
      std::memcpy(record.data() + kPayloadMax, header, sizeof(header));
      if (!*session.UpdateTo(pairs, id, record)) return "a record is gone";
      ids.push_back(id);
    }
    Settle(store);
    for (const RecordId id : ids) static_cast<void>(session.Delete(pairs, id));
    Settle(store);
  }
  static_cast<void>(store.CompactStorage());
  clock.AdvanceSeconds(5);
  const RecordId first = *stays.Insert(next, std::vector<std::byte>(kPayloadMax));
  const uint32_t index_bits = SizeClassIndexBits(kSizeClassCount - 1);
  if (codec.slot(first) >> index_bits != codec.slot(forged[0]) >> index_bits) {
    return "the slab was not taken over";
  }
  for (const RecordId id : forged) {
    if (stays.Get(next, id)) return id.ToString() + " was never issued and names a record";
  }
  return "";
}

// With the clock standing still, IDs come at most 60 ticks ahead of it.
std::string ChurnAtAClockThatStands() {
  base::ManualClock clock(1'800'000'000);
  StoreOptions options = OptionsWith(clock);
  options.memory.limit_bytes = 16 << 20;
  Store store = *Store::OpenInMemory(options);
  Session session = *store.NewSession();
  const RecordTable table = *store.CreateTable("table", {2'000'000, std::nullopt});
  const std::vector<std::byte> record(2'000'000);
  for (int i = 0; i < 2'000; ++i) {
    const Result<RecordId> id = session.Insert(table, record);
    const int64_t ahead = store.Statistics().ids.ahead_of_clock_ticks;
    if (ahead > 60) return "IDs are " + std::to_string(ahead) + " ticks ahead of the clock";
    if (!id.ok()) {
      const bool told = id.code() == StatusCode::kResourceExhausted && ahead > 50;
      return told ? "" : id.status().ToString();
    }
    static_cast<void>(session.Delete(table, *id));
    Settle(store);
  }
  return "no end to the ticks of one second";
}

std::string FailedAllocations() {
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    if (std::string failure = RunAllocationScript(seed).failure; !failure.empty()) return failure;
  }
  return "";
}

std::string SparseExtents() { return SplitSparseExtents(PageKind::k4KiB); }

// A range of extents on a machine without a pool of huge pages, whose mlock fails when it is asked.
std::string GrowWithoutHugePages(const PageOptions& pages, int lock_error,
                                 const std::function<std::string(const Status&, int)>& judge) {
  page::FakeSystemMemory system;
  system.memory_file_error = ENOSYS;
  system.lock_error = lock_error;
  base::MemoryAccount account(MemoryOptions{});
  int reported = 0;
  page::ExtentRangeOptions options;
  options.pages = pages;
  options.extent_count_max = 4;
  options.name = "class 640";
  options.on_fallback = [&reported](const PageFallback&) { ++reported; };
  Result<std::unique_ptr<page::ExtentRange>> range =
      page::ExtentRange::Reserve(options, account, system);
  if (!range.ok()) return range.status().ToString();
  const Status grown = (*range)->Map(0, 1).status();
  return judge(grown, reported);
}
std::string RequiredPages() {
  PageOptions pages;
  pages.page_kind = PageKind::k2MiB;
  pages.require_huge_pages = true;
  return GrowWithoutHugePages(pages, 0, [](const Status& status, int) {
    return status.ok() ? "grew on smaller pages than required" : "";
  });
}
std::string ReportedFallback() {
  PageOptions pages;
  pages.page_kind = PageKind::k2MiB;
  return GrowWithoutHugePages(pages, 0, [](const Status& status, int reported) {
    if (!status.ok()) return status.ToString();
    return std::string(reported > 0 ? "" : "smaller pages were taken and nobody was told");
  });
}
std::string LockedPages() {
  PageOptions pages;
  pages.page_kind = PageKind::k4KiB;
  pages.lock_memory = true;
  return GrowWithoutHugePages(pages, ENOMEM, [](const Status& status, int) {
    return status.ok() ? "grew without locking its memory" : "";
  });
}

#ifdef FLAGSTONE_WITH_PLANTED_BUGS
struct Plant {
  PlantedBug bug;
  uint32_t row;  // of the scorecard, whose proof it is besides row 20; 0: none
  const char* name;
  std::function<std::string()> watch;
};
const std::vector<Plant>& Plants() {
  static const std::vector<Plant> plants = {
      {PlantedBug::kNoSnapshotCheck, 6, "no snapshot check", Schedules},
      {PlantedBug::kOldestSnapshotForgotten, 8, "oldest snapshot forgotten", PinnedHistories},
      {PlantedBug::kHomecomingIgnoresGuards, 8, "homecoming ignores guards", PinnedHistories},
      {PlantedBug::kGuardedVersionFreed, 8, "guarded version freed", GuardOnAVersion},
      {PlantedBug::kPinsIgnored, 8, "pins ignored", PinnedReader},
      {PlantedBug::kNoCopyAside, 8, "no copy aside", PinnedHistories},
      {PlantedBug::kHorizonTooEarly, 6, "horizon too early", Transfers},
      {PlantedBug::kRollbackKeepsLock, 6, "rollback keeps lock", PinnedHistories},
      {PlantedBug::kRollbackLeavesInsert, 6, "rollback leaves insert", PinnedHistories},
      {PlantedBug::kSlotReusedWithinItsTick, 16, "slot reused within its tick", IdsWithinOneTick},
      {PlantedBug::kReturnedExtentForgetsTick, 16, "returned extent forgets its tick",
       IdsOfReturnedExtents},
      {PlantedBug::kNoDeleteReserve, 0, "no delete reserve", DeletesOfAFullStore},
      {PlantedBug::kCutSnapshotReadsOn, 8, "cut snapshot reads on", CutSnapshots},
      {PlantedBug::kCutSnapshotWritesOn, 8, "cut snapshot writes on", WriteInACutSnapshot},
      {PlantedBug::kTombstoneReclaimedEarly, 8, "tombstone reclaimed early", PinnedHistories},
      {PlantedBug::kHistoryForgotten, 8, "history forgotten", ReadStatesOfThePast},
      {PlantedBug::kFreshSnapshotCut, 18, "fresh snapshot cut", BeginWhileAnOldSnapshotIsCut},
      {PlantedBug::kSnapshotNeverCut, 18, "snapshot never cut", CutSnapshots},
      {PlantedBug::kEndedSessionKeepsSlots, 18, "ended session keeps slots", EndManySessions},
      {PlantedBug::kCompactionAwaitsQuiet, 18, "compaction awaits quiet",
       [] { return CompactBesideAPinnedReader(std::chrono::seconds(5)); }},
      {PlantedBug::kGuardedExtentReturned, 8, "guarded extent returned", GuardASlotOfAnEmptySlab},
      {PlantedBug::kRoomAfterTaking, 21, "room after taking", FailedAllocations},
      {PlantedBug::kRequiredPagesDoneWithout, 19, "required pages done without", RequiredPages},
      {PlantedBug::kFallbackNotReported, 19, "fallback not reported", ReportedFallback},
      {PlantedBug::kLockFailureIgnored, 19, "lock failure ignored", LockedPages},
      {PlantedBug::kInsideOfRunIsRead, 0, "inside of a long record is read", LongPinnedHistories},
      {PlantedBug::kReturnedPagesForgetTick, 16, "returned pages forget their tick", SparseExtents},
      {PlantedBug::kPageOfARecordReturned, 8, "page of a record returned", SparseExtents},
      {PlantedBug::kRestoredPagesNotCharged, 0, "restored pages not charged", SparseExtents},
      {PlantedBug::kMemoryLimitPassed, 0, "memory limit passed", MemoryLimits},
      {PlantedBug::kComponentLimitPassed, 0, "component limit passed", MemoryLimits},
      {PlantedBug::kReturnedMemoryCharged, 0, "returned memory charged", ReturnedMemory},
      {PlantedBug::kSharedSlabNotWiped, 0, "shared slab not wiped", SlabOfAnotherTable},
      {PlantedBug::kTicksRunAheadWithoutEnd, 16, "ticks run ahead without end",
       ChurnAtAClockThatStands},
  };
  return plants;
}

TEST(PlantedBugsTest, EveryPlantedBugIsCaughtByItsWorkload) {
  ScorecardRow row;
  row.number = 20;
  row.name = "planted bugs";
  row.unit = "bugs";
  row.seed = 1;
  // The rows whose proof a bug is; their counts come from the programs that run the same workloads
  // without the bugs.
  std::map<uint32_t, ScorecardRow> watched;
  const auto watch = [&watched](uint32_t number, const char* name, const char* unit,
                                uint64_t seed) {
    ScorecardRow& one = watched[number];
    one.number = number;
    one.name = name;
    one.unit = unit;
    one.seed = seed;
  };
  watched[6] = IsolationRow();
  watched[8] = ReclamationRow();
  watch(16, "clocks", "scripts", 0);
  watch(18, "stalled readers, thread churn", "readers and threads", 1);
  watch(19, "no huge pages, limits, denied calls", "configurations", 1);
  watch(21, "out of memory at the n-th allocation", "failures", 0);
  for (const Plant& plant : Plants()) {
    SCOPED_TRACE(plant.name);
    base::planted_bug.store(plant.bug);
    const std::string found = plant.watch();
    base::planted_bug.store(PlantedBug::kNone);
    ++row.count;
    if (found.empty()) {
      row.Missed(plant.name);
      if (plant.row != 0) watched.at(plant.row).Missed(plant.name);
    } else {
      row.Caught(plant.name);
      if (plant.row != 0) watched.at(plant.row).Caught(plant.name);
      std::printf("%s: %.120s\n", plant.name, found.c_str());
    }
    EXPECT_NE(found, "");
  }
  EXPECT_EQ(row.count + 1, static_cast<uint64_t>(PlantedBug::kCount));
  row.Record();
  for (const auto& [number, one] : watched) one.Record();
}
#endif  // FLAGSTONE_WITH_PLANTED_BUGS

TEST(PlantedBugsTest, TheWorkloadsAreSilentWithoutThem) {
  EXPECT_EQ(Schedules(), "");
  EXPECT_EQ(PinnedHistories(), "");
  EXPECT_EQ(LongPinnedHistories(), "");
  EXPECT_EQ(AppendHistories(), "");
  EXPECT_EQ(Transfers(), "");
  EXPECT_EQ(PinnedReader(), "");
  EXPECT_EQ(GuardOnAVersion(), "");
  EXPECT_EQ(IdsWithinOneTick(), "");
  EXPECT_EQ(IdsOfReturnedExtents(), "");
  EXPECT_EQ(DeletesOfAFullStore(), "");
  EXPECT_EQ(CutSnapshots(), "");
  EXPECT_EQ(WriteInACutSnapshot(), "");
  EXPECT_EQ(ReadStatesOfThePast(), "");
  EXPECT_EQ(BeginWhileAnOldSnapshotIsCut(), "");
  EXPECT_EQ(EndManySessions(), "");
  EXPECT_EQ(CompactBesideAPinnedReader(std::chrono::minutes(1)), "");
  EXPECT_EQ(GuardASlotOfAnEmptySlab(), "");
  EXPECT_EQ(FailedAllocations(), "");
  EXPECT_EQ(RequiredPages(), "");
  EXPECT_EQ(ReportedFallback(), "");
  EXPECT_EQ(LockedPages(), "");
  EXPECT_EQ(SparseExtents(), "");
  EXPECT_EQ(MemoryLimits(), "");
  EXPECT_EQ(ReturnedMemory(), "");
  EXPECT_EQ(SlabOfAnotherTable(), "");
  EXPECT_EQ(ChurnAtAClockThatStands(), "");
}

}  // namespace
}  // namespace flagstone::testkit
