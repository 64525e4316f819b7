// What: records longer than a slot do all that others do; IDs that lead into the middle of one are
//       absent, whatever its payload says.
// How:  each fact for the sizes around the steps: one slot, two, a shared slab's, an extent's.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <deque>
#include <optional>
#include <stdexcept>
#include <vector>

#include "flagstone/store.h"
#include "lib/base/manual_clock.h"

namespace flagstone {
namespace {

using Bytes = std::vector<std::byte>;

constexpr uint32_t kLargestClass = kSizeClassCount - 1;
constexpr uint32_t kIndexBits = SizeClassIndexBits(kLargestClass);

// Every word follows from the value, with a period that no stride divides: a torn payload shows,
// and one that lies elsewhere.
Bytes BytesOf(uint64_t value, uint32_t record_bytes) {
  Bytes bytes(record_bytes);
  std::array<uint64_t, 512> words;
  for (uint64_t i = 0; i < words.size(); ++i) words[i] = (value + 1) * 0x9e3779b97f4a7c15 + i;
  for (size_t at = 0; at < bytes.size(); at += sizeof(words)) {
    std::memcpy(bytes.data() + at, words.data(), std::min(sizeof(words), bytes.size() - at));
  }
  return bytes;
}

bool Equal(std::span<const std::byte> a, std::span<const std::byte> b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size()) == 0;
}

bool Shows(const RecordGuard& guard, const Bytes& bytes) {
  return guard && Equal(guard.bytes(), bytes);
}

StoreOptions Options() {
  StoreOptions options;
  options.memory.limit_bytes = 128 << 20;
  options.pages.page_kind = PageKind::k4KiB;
  options.maintenance.mode = MaintenanceMode::kCallerDriven;
  return options;
}

void Settle(Store& store) {
  for (int idle = 0; idle < 3;) idle = store.Maintain() ? 0 : idle + 1;
}

class LongRecordTest : public testing::TestWithParam<uint32_t> {
 protected:
  LongRecordTest()
      : store_(*Store::OpenInMemory(Options())),
        session_(*store_.NewSession()),
        table_(*store_.CreateTable("long", {GetParam(), std::nullopt})) {}

  static uint32_t run_slots() { return (GetParam() + 24 + 7167) / 7168; }
  static Bytes Record(uint64_t value) { return BytesOf(value, GetParam()); }
  RecordId Insert(uint64_t value) { return *session_.Insert(table_, Record(value)); }
  void ExpectValue(RecordId id, uint64_t value) {
    EXPECT_TRUE(Shows(session_.Get(table_, id), Record(value))) << value;
  }

  Store store_;
  Session session_;
  RecordTable table_;
};
INSTANTIATE_TEST_SUITE_P(Sizes, LongRecordTest,
                         testing::Values(7'144u, 7'145u, 14'312u, 14'313u, 28'648u, 28'649u,
                                         100'000u, 1'046'505u, 2'093'032u));

TEST_P(LongRecordTest, AnInsertedRecordIsReadByItsIdWhichNamesTheFirstSlotOfARun) {
  std::vector<RecordId> ids;
  for (uint64_t i = 0; i < 10; ++i) ids.push_back(Insert(i));
  for (uint64_t i = 0; i < 10; ++i) {
    ExpectValue(ids[i], i);
    EXPECT_EQ(*store_.SizeClassOf(ids[i]), kLargestClass);
    const uint32_t index = IdCodec(store_.id_layout()).Decode(ids[i]).index;
    EXPECT_EQ(index % run_slots(), 0u);
    EXPECT_LE(index + run_slots(), kRunSlotsMax);
    EXPECT_EQ(*store_.Explain(table_, ids[i]), std::nullopt);
  }
  EXPECT_TRUE(*store_.Read(table_, ids[3], [](std::span<const std::byte> bytes) {
    EXPECT_TRUE(Equal(bytes, Record(3)));
  }));
  std::vector<RecordGuard> guards(ids.size());
  session_.MultiGet(table_, ids, guards);
  for (uint64_t i = 0; i < 10; ++i) EXPECT_TRUE(Shows(guards[i], Record(i)));
}

TEST_P(LongRecordTest, UpdatesAreSeenAtOnceAndComeHome) {
  const RecordId id = Insert(0);
  for (uint64_t i = 1; i <= 10; ++i) {
    ASSERT_TRUE(*session_.Update(table_, id, [&](std::span<std::byte> payload) {
      ASSERT_TRUE(Equal(payload, Record(i - 1)));
      std::memcpy(payload.data(), Record(i).data(), payload.size());
    }));
    ExpectValue(id, i);
  }
  Settle(store_);
  ExpectValue(id, 10);
  const StoreStatistics statistics = store_.Statistics();
  EXPECT_EQ(statistics.maintenance.homecomings, 1u);
  EXPECT_EQ(statistics.maintenance.versions_freed, 10u);
  // What a session holds ready of one slot each; runs are not held.
  if (run_slots() > 1) {
    EXPECT_EQ(statistics.size_classes[0].version_slots_used, 0u);
  }
}

TEST_P(LongRecordTest, ADeletedRecordIsGoneAndUndeletedUntilReclaimed) {
  const RecordId id = Insert(0);
  ASSERT_TRUE(*session_.UpdateTo(table_, id, Record(1)));
  ASSERT_TRUE(*session_.Delete(table_, id));
  EXPECT_FALSE(session_.Get(table_, id));
  EXPECT_FALSE(*session_.UpdateTo(table_, id, Record(2)));
  ASSERT_TRUE(*session_.Undelete(table_, id));
  ExpectValue(id, 1);
  Settle(store_);
  ExpectValue(id, 1);
  ASSERT_TRUE(*session_.Delete(table_, id));
  Settle(store_);
  EXPECT_FALSE(*session_.Undelete(table_, id));
  EXPECT_EQ(*store_.Explain(table_, id), AbsenceReason::kGone);
  EXPECT_EQ(store_.Statistics().maintenance.records_reclaimed, 1u);
}

TEST_P(LongRecordTest, ATransactionIsSeenWhollyOrRolledBackWithoutATrace) {
  const RecordId a = Insert(1);
  const RecordId b = Insert(2);
  Session other = *store_.NewSession();
  const uint64_t used = store_.Statistics().tables[0].slots_used;
  RecordId made;
  {
    Transaction undone = *session_.Begin();
    ASSERT_TRUE(*undone.UpdateTo(table_, a, Record(10)));
    ASSERT_TRUE(*undone.Delete(table_, b));
    made = *undone.Insert(table_, Record(3));
    EXPECT_TRUE(Shows(*undone.Get(table_, a), Record(10)));
    EXPECT_TRUE(Shows(*undone.Get(table_, made), Record(3)));
    EXPECT_FALSE(*undone.Get(table_, b));
  }
  ExpectValue(a, 1);
  ExpectValue(b, 2);
  EXPECT_FALSE(session_.Get(table_, made));
  Settle(store_);
  if (run_slots() > 9) {
    EXPECT_EQ(store_.Statistics().tables[0].slots_used, used);
  }

  Transaction done = *session_.Begin();
  ASSERT_TRUE(*done.UpdateTo(table_, a, Record(10)));
  ASSERT_TRUE(*done.UpdateTo(table_, a, Record(11)));
  ASSERT_TRUE(*done.UpdateTo(table_, b, Record(20)));
  ASSERT_TRUE(*done.Delete(table_, b));
  made = *done.Insert(table_, Record(3));
  EXPECT_TRUE(Shows(other.Get(table_, a), Record(1)));
  EXPECT_TRUE(Shows(other.Get(table_, b), Record(2)));
  ASSERT_TRUE(done.Commit().ok());
  EXPECT_TRUE(Shows(other.Get(table_, a), Record(11)));
  EXPECT_FALSE(other.Get(table_, b));
  EXPECT_TRUE(Shows(other.Get(table_, made), Record(3)));
  Settle(store_);
  EXPECT_TRUE(Shows(other.Get(table_, a), Record(11)));
}

TEST_P(LongRecordTest, AConflictAndAThrowingUpdaterLeaveTheRecordAndNoRunBehind) {
  const RecordId id = Insert(0);
  Session other = *store_.NewSession();
  {
    Transaction holder = *other.Begin();
    ASSERT_TRUE(*holder.UpdateTo(table_, id, Record(1)));
    EXPECT_EQ(session_.UpdateTo(table_, id, Record(2)).code(), StatusCode::kConflict);
    Transaction late = *session_.Begin();
    EXPECT_EQ(late.UpdateTo(table_, id, Record(2)).code(), StatusCode::kConflict);
    if (run_slots() > 1) {
      EXPECT_EQ(store_.Statistics().size_classes[0].version_slots_used, run_slots());
    }
  }
  const auto failing = [](std::span<std::byte> payload) {
    std::ranges::fill(payload, std::byte{0xff});
    throw std::runtime_error("no");
  };
  EXPECT_THROW(static_cast<void>(session_.Update(table_, id, failing)), std::runtime_error);
  ExpectValue(id, 0);
  if (run_slots() > 1) {
    EXPECT_EQ(store_.Statistics().size_classes[0].version_slots_used, 0u);
  }
  EXPECT_FALSE(*session_.UpdateTo(table_, RecordId(0), Record(2)));
  EXPECT_TRUE(*session_.UpdateTo(table_, id, Record(2)));
  ExpectValue(id, 2);
}

TEST_P(LongRecordTest, ASnapshotAndAGuardKeepTheirVersionThroughUpdatesHomecomingsAndTheEnd) {
  const RecordId id = Insert(0);
  Session other = *store_.NewSession();
  Transaction snapshot = *other.Begin();
  const RecordGuard at_home = session_.Get(table_, id);
  ASSERT_TRUE(*session_.UpdateTo(table_, id, Record(1)));
  const RecordGuard version = session_.Get(table_, id);
  for (uint64_t i = 2; i < 20; ++i) {
    ASSERT_TRUE(*session_.UpdateTo(table_, id, Record(i)));
    if (i % 3 == 0) Settle(store_);
    ASSERT_TRUE(Shows(*snapshot.Get(table_, id), Record(0)));
  }
  ASSERT_TRUE(*session_.Delete(table_, id));
  Settle(store_);
  EXPECT_TRUE(Shows(at_home, Record(0)));
  EXPECT_TRUE(Shows(version, Record(1)));
  EXPECT_TRUE(Shows(*snapshot.Get(table_, id), Record(0)));
  EXPECT_FALSE(session_.Get(table_, id));
  EXPECT_EQ(at_home.id(), id);
}

TEST_P(LongRecordTest, ASnapshotReadsWhatWasCopiedAsideBeforeTheHomecoming) {
  const RecordId id = Insert(0);
  Session other = *store_.NewSession();
  Transaction snapshot = *other.Begin();
  for (uint64_t i = 1; i < 5; ++i) {
    ASSERT_TRUE(*session_.UpdateTo(table_, id, Record(i)));
    Settle(store_);
    ExpectValue(id, i);
    EXPECT_TRUE(Shows(*snapshot.Get(table_, id), Record(0)));
  }
  EXPECT_GE(store_.Statistics().maintenance.homecomings, 4u);
  snapshot.Rollback();
  Settle(store_);
  if (run_slots() > 1) {
    EXPECT_EQ(store_.Statistics().size_classes[0].version_slots_used, 0u);
  }
}

TEST_P(LongRecordTest, ThePastIsReadWithinTheRetentionWindow) {
  StoreOptions options = Options();
  options.snapshots.history_retention = std::chrono::hours(1);
  Store store = *Store::OpenInMemory(options);
  Session session = *store.NewSession();
  const RecordTable table = *store.CreateTable("long", {GetParam(), std::nullopt});
  const RecordId id = *session.Insert(table, Record(0));
  std::vector<uint64_t> timestamps;
  for (uint64_t i = 1; i < 6; ++i) {
    timestamps.push_back(session.Get(table, id).timestamp());
    ASSERT_TRUE(*session.UpdateTo(table, id, Record(i)));
    Settle(store);
  }
  for (uint64_t i = 0; i < 5; ++i) {
    TransactionOptions as_of;
    as_of.as_of_timestamp = timestamps[i];
    Transaction past = *session.Begin(as_of);
    EXPECT_TRUE(Shows(*past.Get(table, id), Record(i)));
  }
}

TEST_P(LongRecordTest, ABatchIsInsertedAndAGivenIdIsTakenOnlyAtTheStartOfARun) {
  std::vector<RecordId> ids(4);
  Bytes all;
  for (uint64_t i = 0; i < ids.size(); ++i) {
    const Bytes one = Record(i);
    all.insert(all.end(), one.begin(), one.end());
  }
  ASSERT_TRUE(session_.InsertMany(table_, all, ids).ok());
  for (uint64_t i = 0; i < ids.size(); ++i) ExpectValue(ids[i], i);

  const IdCodec codec(store_.id_layout());
  IdFields fields = codec.fields(ids[0]);
  fields.slot = 7u << kIndexBits;
  const Bytes nine = Record(9);
  const RecordId given = codec.Encode(fields);
  ASSERT_TRUE(session_.InsertWithId(table_, given, nine).ok());
  ExpectValue(given, 9);
  for (uint32_t index = 1; index < std::min(run_slots(), 8u); ++index) {
    fields.slot = (7u << kIndexBits) + index;
    const Status refused = session_.InsertWithId(table_, codec.Encode(fields), nine);
    EXPECT_EQ(refused.code(), StatusCode::kInvalidArgument);
    EXPECT_THAT(refused.message(),
                testing::AllOf(testing::HasSubstr("index " + std::to_string(index)),
                               testing::HasSubstr("multiples of " + std::to_string(run_slots()))));
  }
  // Past the last run.
  for (uint32_t index = kRunSlotsMax / run_slots() * run_slots(); index < kRunSlotsMax; ++index) {
    fields.slot = (7u << kIndexBits) + index;
    EXPECT_EQ(session_.InsertWithId(table_, codec.Encode(fields), nine).code(),
              StatusCode::kInvalidArgument);
  }
  ExpectValue(given, 9);
}

// A user who may choose the bytes of his record can guess the IDs that lead into it, and write
// there what a settled record of that ID looks like.
using RunRecordTest = LongRecordTest;
INSTANTIATE_TEST_SUITE_P(Sizes, RunRecordTest,
                         testing::Values(7'145u, 14'313u, 28'649u, 100'000u, 2'093'032u));

TEST_P(RunRecordTest, AnIdThatLeadsIntoARecordIsAbsentWhateverTheRecordHolds) {
  const IdCodec codec(store_.id_layout());
  const RecordId id = Insert(0);
  const RecordId later = Insert(0);
  const auto forge = [&](Bytes& bytes) {
    std::vector<RecordId> forged;
    for (uint32_t i = 1; i < run_slots(); ++i) {
      IdFields fields = codec.fields(id);
      fields.slot += i;
      forged.push_back(codec.Encode(fields));
      // ID word, version word (live since 1), link word; then what would be the payload.
      const std::array<uint64_t, 3> header = {forged.back().value(), uint64_t{1} << 12 | 1 << 8, 0};
      const size_t at = size_t{i} * kStrideBytesMax - 24;
      std::memcpy(bytes.data() + at, header.data(), std::min(sizeof(header), bytes.size() - at));
    }
    return forged;
  };
  Bytes hostile = Record(1);
  const std::vector<RecordId> forged = forge(hostile);
  ASSERT_TRUE(*session_.UpdateTo(table_, id, hostile));
  Settle(store_);
  ASSERT_TRUE(Shows(session_.Get(table_, id), hostile));
  Transaction snapshot = *session_.Begin();
  Session other = *store_.NewSession();
  const Bytes another = Record(2);
  for (const RecordId inside : forged) {
    ASSERT_FALSE(other.Get(table_, inside));
    ASSERT_FALSE(*snapshot.Get(table_, inside));
    ASSERT_FALSE(*other.UpdateTo(table_, inside, another));
    ASSERT_FALSE(*other.Delete(table_, inside));
    ASSERT_FALSE(*other.Undelete(table_, inside));
    ASSERT_EQ(*store_.Explain(table_, inside), AbsenceReason::kMalformed);
    ASSERT_FALSE(other.InsertWithId(table_, inside, another).ok());
    ASSERT_EQ(*store_.Read(table_, inside, [](std::span<const std::byte>) {}), false);
  }
  RecordGuard guards[1];
  other.MultiGet(table_, std::span(forged).first(1), guards);
  EXPECT_FALSE(guards[0]);
  snapshot.Rollback();
  Settle(store_);
  EXPECT_TRUE(Shows(session_.Get(table_, id), hostile));
  EXPECT_TRUE(Shows(session_.Get(table_, later), Record(0)));
}

TEST_P(LongRecordTest, AGuardHoldsWhileAThousandUpdatesPass) {
  // The longest ones less often: each update copies them twice.
  const uint64_t updates = GetParam() > 1'000'000 ? 100 : 1'000;
  const RecordId id = Insert(0);
  std::deque<std::pair<RecordGuard, uint64_t>> held;
  held.emplace_back(session_.Get(table_, id), 0);
  for (uint64_t i = 1; i <= updates; ++i) {
    ASSERT_TRUE(*session_.Update(table_, id, [i](std::span<std::byte> payload) {
      std::memset(payload.data(), static_cast<int>(i % 251), payload.size());
    }));
    if (i % 7 == 0) {
      held.emplace_back(session_.Get(table_, id), i);
      if (held.size() > 5) held.erase(held.begin() + 1);
    }
    static_cast<void>(store_.Maintain());
    if (i % 100 != 0) continue;
    for (const auto& [guard, value] : held) {
      const Bytes filled(GetParam(), std::byte{static_cast<unsigned char>(value % 251)});
      ASSERT_TRUE(Shows(guard, value == 0 ? Record(0) : filled)) << value;
    }
  }
}

TEST_P(LongRecordTest, CompactionGivesTheExtentsBackAndStaleIdsStayAbsent) {
  // The first extents of versions, of single slots and of runs, stay.
  const MemoryUsage usage = store_.Statistics().memory;
  EXPECT_EQ(usage.used_bytes - usage.component_used_bytes[MemoryComponent::kOther],
            kExtentBytes * (run_slots() > 1 ? 2 : 1));
  const uint64_t empty = store_.Statistics().memory.used_bytes;
  const int count = GetParam() > 1'000'000 ? 20 : GetParam() > 50'000 ? 200 : 1'000;
  std::vector<RecordId> ids;
  for (int i = 0; i < count; ++i) ids.push_back(Insert(static_cast<uint64_t>(i)));
  for (int i = 0; i < count; i += 7) ASSERT_TRUE(*session_.UpdateTo(table_, ids[i], Record(1)));
  const StoreStatistics full = store_.Statistics();
  EXPECT_GE(full.tables[0].slots_used, ids.size() * run_slots());
  EXPECT_LT(full.tables[0].slots_used, (ids.size() + 10) * run_slots());
  EXPECT_EQ(full.tables[0].slots_used % run_slots(), 0u);
  EXPECT_EQ(full.tables[0].run_slots, run_slots());
  EXPECT_GE(full.memory.used_bytes - empty, ids.size() * GetParam());
  for (const RecordId id : ids) ASSERT_TRUE(*session_.Delete(table_, id));
  session_ = *store_.NewSession();  // the one before held slots ready
  EXPECT_GE(*store_.CompactStorage(), full.memory.used_bytes - empty);
  EXPECT_EQ(store_.Statistics().memory.used_bytes, empty);
  for (const RecordId id : ids) ASSERT_FALSE(session_.Get(table_, id));
  for (int i = 0; i < count / 2; ++i) {
    const RecordId id = Insert(5);
    ASSERT_EQ(std::ranges::count(ids, id), 0);
  }
  for (const RecordId id : ids) ASSERT_FALSE(session_.Get(table_, id));
}

TEST_P(LongRecordTest, AtTheMemoryLimitDeletesWorkUpdatesAreStillPossibleAndRoomComesBack) {
  std::vector<RecordId> ids;
  const Bytes record = Record(0);
  for (;;) {
    Result<RecordId> id = session_.Insert(table_, record);
    if (!id.ok()) {
      EXPECT_EQ(id.code(), StatusCode::kResourceExhausted) << id.status().ToString();
      break;
    }
    ids.push_back(*id);
  }
  // All but the reserve, two extents of versions, and what does not divide.
  const uint64_t usable = Options().memory.limit_bytes - (8 << 20);
  EXPECT_GE(ids.size(), usable / kExtentBytes * (kRunSlotsMax / run_slots()) * 9 / 10);
  for (uint64_t i = 1; i <= 20; ++i) {
    ASSERT_TRUE(*session_.UpdateTo(table_, ids[i % 5], Record(i)));
    ExpectValue(ids[i % 5], i);
  }
  // Whatever a snapshot holds back, deletes have their slots.
  Session other = *store_.NewSession();
  Transaction snapshot = *other.Begin();
  const size_t doomed = std::min<size_t>(ids.size() / 2, 140);
  for (size_t i = 0; i < doomed; ++i) {
    const Result<bool> deleted = session_.Delete(table_, ids[i]);
    ASSERT_TRUE(deleted.ok() && *deleted) << i << ": " << deleted.status().ToString();
  }
  EXPECT_TRUE(Shows(*snapshot.Get(table_, ids[doomed - 1]), doomed > 5 ? Record(0) : Record(20)));
  snapshot.Rollback();
  for (size_t i = 0; i < doomed; ++i) {
    ASSERT_TRUE(session_.Insert(table_, record).ok()) << i;
  }
  for (size_t i = doomed; i < ids.size(); i += 97) {
    ASSERT_TRUE(Shows(session_.Get(table_, ids[i]), record)) << i;
  }
}

TEST_P(LongRecordTest, ARunIsUsedAgainUnderALaterTickOnly) {
  base::ManualClock clock(1'800'000'000);
  StoreOptions options = Options();
  options.clock = &clock;
  Store store = *Store::OpenInMemory(options);
  Session session = *store.NewSession();
  const RecordTable table = *store.CreateTable("long", {GetParam(), std::nullopt});
  const uint32_t slot_mask = IdCodec(store.id_layout()).slot_max();
  const RecordId first = *session.Insert(table, Record(0));
  ASSERT_TRUE(*session.Delete(table, first));
  Settle(store);
  const RecordId second = *session.Insert(table, Record(1));
  EXPECT_NE(second.value() & slot_mask, first.value() & slot_mask);
  clock.AdvanceSeconds(1);
  std::vector<RecordId> more;
  bool used_again = false;
  for (int i = 0; i < 8; ++i) {
    more.push_back(*session.Insert(table, Record(2)));
    used_again |= (more.back().value() & slot_mask) == (first.value() & slot_mask);
  }
  EXPECT_TRUE(used_again || run_slots() == 1);
  EXPECT_FALSE(session.Get(table, first));
}

// --- sizes, classes, types

class LongTableTest : public testing::Test {
 protected:
  LongTableTest() : store_(*Store::OpenInMemory(Options())), session_(*store_.NewSession()) {}
  Store store_;
  Session session_;
};

TEST_F(LongTableTest, ARecordMustFitAnExtent) {
  const Status refused = store_.CreateTable("too long", {2'093'033, std::nullopt}).status();
  EXPECT_EQ(refused.code(), StatusCode::kInvalidArgument);
  EXPECT_THAT(refused.message(),
              testing::AllOf(testing::HasSubstr("'too long'"), testing::HasSubstr("2093033"),
                             testing::HasSubstr("1 to 2093032")));
  EXPECT_TRUE(store_.CreateTable("longest", {2'093'032, std::nullopt}).ok());
}

TEST_F(LongTableTest, LongRecordsGoToTheLargestClassAndNoOther) {
  const RecordTable table = *store_.CreateTable("long", {20'000, kLargestClass});
  EXPECT_EQ(table.size_class(), kLargestClass);
  const Status refused = store_.CreateTable("other", {20'000, 30}).status();
  EXPECT_EQ(refused.code(), StatusCode::kInvalidArgument);
  EXPECT_THAT(refused.message(), testing::HasSubstr("need 31 to 31"));
  const Bytes record = BytesOf(1, 20'000);
  const RecordId id = *session_.InsertInClass(table, record, kLargestClass);
  EXPECT_TRUE(Shows(session_.Get(table, id), record));
  EXPECT_EQ(session_.InsertInClass(table, record, 30).code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(session_.InsertInClass(table, record, 32).code(), StatusCode::kInvalidArgument);
  const IdCodec codec(store_.id_layout());
  EXPECT_EQ(
      session_.InsertWithId(table, codec.Encode({codec.tick(id), 30, 0, 5 << 9}), record).code(),
      StatusCode::kInvalidArgument);
}

TEST_F(LongTableTest, TablesOfManyLengthsShareTheClassAndKeepApart) {
  std::vector<RecordTable> tables;
  std::vector<std::vector<RecordId>> ids;
  for (const uint32_t bytes : {6'200u, 7'144u, 7'145u, 20'000u, 28'648u, 50'000u, 300'000u}) {
    tables.push_back(*store_.CreateTable(std::to_string(bytes), {bytes, std::nullopt}));
    ids.emplace_back();
  }
  for (uint64_t i = 0; i < 40; ++i) {
    for (size_t t = 0; t < tables.size(); ++t) {
      ids[t].push_back(*session_.Insert(tables[t], BytesOf(i + t, tables[t].record_bytes())));
    }
  }
  for (size_t t = 0; t < tables.size(); ++t) {
    for (uint64_t i = 0; i < 40; ++i) {
      ASSERT_TRUE(
          Shows(session_.Get(tables[t], ids[t][i]), BytesOf(i + t, tables[t].record_bytes())));
      for (size_t other = 0; other < tables.size(); ++other) {
        if (other == t) continue;
        ASSERT_FALSE(session_.Get(tables[other], ids[t][i]));
        ASSERT_EQ(*store_.Explain(tables[other], ids[t][i]), AbsenceReason::kOtherTable);
      }
    }
  }
  const StoreStatistics statistics = store_.Statistics();
  ASSERT_EQ(statistics.size_classes.size(), 1u);
  // Of single slots, 2, 3, 4, 7 and 42.
  EXPECT_EQ(statistics.size_classes[0].version_extents, 6u);
}

// An extent that was a long table's goes to one of single slots and back: stale IDs of the one are
// places inside of records of the other, whose payload holds just those IDs.
TEST_F(LongTableTest, AStaleIdIsAbsentWhenItsPlaceLiesInsideOfALaterLongRecord) {
  base::ManualClock clock(1'800'000'000);
  StoreOptions options = Options();
  options.clock = &clock;
  Store store = *Store::OpenInMemory(options);
  Session session = *store.NewSession();
  Session other = *store.NewSession();
  const RecordTable single = *store.CreateTable("single", {7'000, std::nullopt});
  const RecordTable longest = *store.CreateTable("long", {200'000, std::nullopt});
  std::vector<RecordId> stale;
  for (uint64_t i = 0; i < 1'000; ++i) stale.push_back(*session.Insert(single, BytesOf(i, 7'000)));
  // Changed and deleted under a snapshot: they stand in the lists of maintenance.
  Transaction snapshot = *other.Begin();
  for (const RecordId id : stale) ASSERT_TRUE(*session.UpdateTo(single, id, BytesOf(1, 7'000)));
  Settle(store);
  for (const RecordId id : stale) ASSERT_TRUE(*session.Delete(single, id));
  snapshot.Rollback();
  ASSERT_GT(*store.CompactStorage(), 0u);
  clock.AdvanceSeconds(2);

  const IdCodec codec(store.id_layout());
  std::vector<std::pair<RecordId, Bytes>> records;
  size_t covered = 0;
  for (int i = 0; i < 60; ++i) {
    const RecordId id = *session.Insert(longest, BytesOf(7, 200'000));
    const uint32_t slot = codec.slot(id);
    Bytes bytes = BytesOf(7, 200'000);
    for (const RecordId old : stale) {
      const uint32_t at = codec.slot(old) - slot;
      if (codec.slot(old) <= slot || at > 27) continue;
      const std::array<uint64_t, 3> header = {old.value(), uint64_t{1} << 12 | 1 << 8, 0};
      std::memcpy(bytes.data() + size_t{at} * kStrideBytesMax - 24, header.data(), 24);
      ++covered;
    }
    ASSERT_TRUE(*session.UpdateTo(longest, id, bytes));
    records.emplace_back(id, std::move(bytes));
  }
  EXPECT_GT(covered, 500u);
  Settle(store);
  for (const RecordId old : stale) {
    ASSERT_FALSE(session.Get(single, old));
    ASSERT_FALSE(session.Get(longest, old));
    ASSERT_FALSE(*session.Delete(single, old));
  }
  for (const auto& [id, bytes] : records) ASSERT_TRUE(Shows(session.Get(longest, id), bytes));
}

// Maintenance comes late to the list of records that waited for a snapshot: they are reclaimed, and
// their extents are another table's, when it looks. What lies there now must not be taken for them.
TEST_F(LongTableTest, MaintenanceDoesNotTakeTheInsideOfALongRecordForOneThatIsGone) {
  base::ManualClock clock(1'800'000'000);
  StoreOptions options = Options();
  options.clock = &clock;
  Store store = *Store::OpenInMemory(options);
  Session session = *store.NewSession();
  const auto small = *store.CreateTableOf<uint64_t>("small");
  const RecordTable single = *store.CreateTable("single", {7'000, std::nullopt});
  const RecordTable longest = *store.CreateTable("long", {200'000, std::nullopt});
  std::vector<RecordId> ahead;
  for (uint64_t i = 0; i < 20'000; ++i) ahead.push_back(*session.Insert(small, i));
  std::vector<RecordId> stale;
  for (uint64_t i = 0; i < 600; ++i) stale.push_back(*session.Insert(single, BytesOf(i, 7'000)));
  {
    Session other = *store.NewSession();
    const Transaction snapshot = *other.Begin();
    for (const RecordId id : ahead) ASSERT_TRUE(*session.UpdateTo(small, id, uint64_t{1}));
    for (const RecordId id : stale) ASSERT_TRUE(*session.UpdateTo(single, id, BytesOf(1, 7'000)));
    Settle(store);
  }
  EXPECT_EQ(store.Statistics().maintenance.deferred_records, 20'600u);
  for (const RecordId id : stale) ASSERT_TRUE(*session.Delete(single, id));
  for (const RecordId id : ahead) ASSERT_TRUE(*session.Delete(small, id));
  // So few at a time that changed records always come first.
  while (store.Statistics().maintenance.waiting_records > 0) store.Maintain({64});
  session = *store.NewSession();
  ASSERT_GT(*store.CompactStorage(), 0u);
  ASSERT_GT(store.Statistics().maintenance.deferred_records, 600u);
  clock.AdvanceSeconds(2);

  const IdCodec codec(store.id_layout());
  std::vector<std::pair<RecordId, Bytes>> records;
  size_t covered = 0;
  for (int i = 0; i < 40; ++i) {
    const RecordId id = *session.Insert(longest, BytesOf(7, 200'000));
    Bytes bytes = BytesOf(7, 200'000);
    for (const RecordId old : stale) {
      const uint32_t at = codec.slot(old) - codec.slot(id);
      if (codec.slot(old) <= codec.slot(id) || at > 27) continue;
      // Deleted at the first timestamp: to be reclaimed.
      const std::array<uint64_t, 3> header = {old.value(), uint64_t{1} << 12 | 2 << 8, 0};
      std::memcpy(bytes.data() + size_t{at} * kStrideBytesMax - 24, header.data(), 24);
      ++covered;
    }
    ASSERT_TRUE(*session.UpdateTo(longest, id, bytes));
    records.emplace_back(id, std::move(bytes));
    while (store.Statistics().maintenance.waiting_records > 0) store.Maintain({1});
  }
  EXPECT_GT(covered, 300u);
  Settle(store);
  EXPECT_EQ(store.Statistics().maintenance.deferred_records, 0u);
  for (const auto& [id, bytes] : records) ASSERT_TRUE(Shows(session.Get(longest, id), bytes));
}

TEST_F(LongTableTest, ACycleOfMaintenanceEndsWhenItHasCopiedEnoughAndTheNextOneGoesOn) {
  const RecordTable table = *store_.CreateTable("long", {1'000'000, std::nullopt});
  std::vector<RecordId> ids;
  for (uint64_t i = 0; i < 20; ++i) {
    ids.push_back(*session_.Insert(table, BytesOf(i, 1'000'000)));
    ASSERT_TRUE(*session_.UpdateTo(table, ids.back(), BytesOf(100 + i, 1'000'000)));
  }
  static_cast<void>(store_.Maintain());
  // 8 MiB and the record that passes them.
  EXPECT_EQ(store_.Statistics().maintenance.homecomings, 9u);
  EXPECT_EQ(store_.Statistics().maintenance.waiting_records, 11u);
  Settle(store_);
  EXPECT_EQ(store_.Statistics().maintenance.homecomings, 20u);
  for (uint64_t i = 0; i < 20; ++i) {
    EXPECT_TRUE(Shows(session_.Get(table, ids[i]), BytesOf(100 + i, 1'000'000)));
  }
}

struct Page {
  uint64_t number;
  std::array<uint64_t, 4'000> words;
};
static_assert(RecordType<Page> && sizeof(Page) == 32'008);
struct Extent {
  std::array<char, 2'093'032> bytes;
};
struct MoreThanAnExtent {
  std::array<char, 2'093'033> bytes;
};
static_assert(RecordType<Extent> && !RecordType<MoreThanAnExtent>);

TEST_F(LongTableTest, TypedTablesHoldLongRecords) {
  const auto pages = *store_.CreateTableOf<Page>("pages");
  Page page{};
  page.number = 1;
  page.words[3'999] = 7;
  const RecordId id = *session_.Insert(pages, page);
  ASSERT_TRUE(*session_.Update(pages, id, [](Page& p) { p.words[0] = 5; }));
  {
    const TypedGuard<Page> guard = session_.Get(pages, id);
    ASSERT_TRUE(guard);
    EXPECT_EQ(guard->number, 1u);
    EXPECT_EQ(guard->words[0], 5u);
    EXPECT_EQ(guard->words[3'999], 7u);
  }
  EXPECT_EQ((*store_.GetCopy(pages, id))->words[0], 5u);
  page.number = 2;
  ASSERT_TRUE(*session_.UpdateTo(pages, id, page));
  EXPECT_EQ(session_.Get(pages, id)->number, 2u);
  EXPECT_TRUE(store_.OpenTableOf<Page>("pages").ok());
}

TEST_F(LongTableTest, ATableThatFindsNoMemoryForItsRunsLeavesNoTrace) {
  StoreOptions options = Options();
  options.memory.component_limit_bytes[MemoryComponent::kVersions] = 2 << 20;  // one extent
  Store store = *Store::OpenInMemory(options);
  EXPECT_EQ(store.CreateTable("long", {20'000, std::nullopt}).code(),
            StatusCode::kResourceExhausted);
  EXPECT_TRUE(store.Statistics().size_classes.empty());
  EXPECT_EQ(store.Statistics().memory.used_bytes, 0u);
  EXPECT_TRUE(store.CreateTable("long", {7'000, std::nullopt}).ok());
}

}  // namespace
}  // namespace flagstone
