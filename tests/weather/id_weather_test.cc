// What: no 64 bits that a caller hands in crash a read or find a record that is not theirs, and
//       Explain() says why each came back empty.
#include <unordered_set>
#include <vector>

#include "lib/base/manual_clock.h"
#include "tests/support/seeded_random.h"
#include "tests/support/test_scale.h"
#include "tests/weather/store_weather.h"

namespace flagstone::testkit {
namespace {

class IdWeatherTest : public testing::Test {
 protected:
  IdWeatherTest()
      : store_(*Store::OpenInMemory(Options())),
        session_(*store_.NewSession()),
        table_(*store_.CreateTableOf<int64_t>("table")),
        other_(*store_.CreateTableOf<int64_t>("other")) {}

  StoreOptions Options() {
    StoreOptions options = TestStoreOptions();
    options.clock = &clock_;
    options.ids.layout = id_layouts::kFleet;
    options.ids.node = 5;
    return options;
  }
  std::optional<AbsenceReason> Explain(RecordId id) {
    EXPECT_FALSE(session_.Get(table_, id));
    return *store_.Explain(table_.untyped(), id);
  }
  // The same slot, another field.
  RecordId With(RecordId id, uint32_t IdFields::*field, uint32_t value) {
    const IdCodec codec(store_.id_layout());
    IdFields fields = codec.fields(id);
    fields.*field = value;
    return codec.Encode(fields);
  }

  base::ManualClock clock_{1'800'000'000};
  Store store_;
  Session session_;
  RecordTableOf<int64_t> table_;
  RecordTableOf<int64_t> other_;
};

TEST_F(IdWeatherTest, AMillionForgedIdsFindNothingAndHarmNothing) {
  std::unordered_set<RecordId> real;
  std::vector<RecordId> ids;
  for (int i = 0; i < 50'000; ++i) {
    ids.push_back(*session_.Insert(table_, int64_t{i}));
    real.insert(ids.back());
  }
  for (int i = 0; i < 50'000; i += 3) {
    ASSERT_TRUE(*session_.Delete(table_, ids[i]));
    real.erase(ids[i]);
  }
  Settle(store_);
  SeededRandom random(1);
  const uint64_t count = tests::ScaledCount(1'000'000);
  uint64_t answered = 0;
  for (uint64_t i = 0; i < count; ++i) {
    // Random bits; a real ID with one bit turned; a real slot under another tick.
    uint64_t bits = random.Next();
    const RecordId near = ids[random.Below(50'000)];
    if (i % 3 == 1) bits = near.value() ^ (uint64_t{1} << random.Below(64));
    if (i % 3 == 2) bits = near.value() ^ (bits & 0xff);
    const RecordId id(bits);
    for (const auto& table : {table_, other_}) {
      const TypedGuard<int64_t> guard = session_.Get(table, id);
      ASSERT_EQ(guard.code(), StatusCode::kOk);
      if (!guard) continue;
      ++answered;
      ASSERT_TRUE(&table != &other_ && real.contains(id)) << id.ToString();
    }
    if (i % 16 == 0 && !real.contains(id)) {
      ASSERT_FALSE(*session_.UpdateTo(table_, id, int64_t{-1})) << id.ToString();
      ASSERT_FALSE(*session_.Delete(table_, id)) << id.ToString();
      ASSERT_FALSE(*session_.Undelete(other_, id)) << id.ToString();
      ASSERT_NE(*store_.Explain(table_.untyped(), id), std::nullopt) << id.ToString();
    }
  }
  // Some of the near ones are the IDs of neighbours.
  EXPECT_GT(answered, 0u);
  for (int i = 1; i < 50'000; i += 3) ASSERT_EQ(*session_.Get(table_, ids[i]), i);
}

TEST_F(IdWeatherTest, ExplainTellsStaleForeignFutureAndMalformedIdsApart) {
  const RecordId id = *session_.Insert(table_, int64_t{7});
  EXPECT_EQ(*store_.Explain(table_.untyped(), id), std::nullopt);
  EXPECT_EQ(*store_.Explain(other_.untyped(), id), AbsenceReason::kOtherTable);
  EXPECT_FALSE(session_.Get(other_, id));
  EXPECT_EQ(Explain(With(id, &IdFields::node, 6)), AbsenceReason::kOtherNode);
  const IdCodec codec(store_.id_layout());
  EXPECT_EQ(Explain(With(id, &IdFields::tick, codec.tick(id) + 1000)),
            AbsenceReason::kNotYetIssued);
  EXPECT_EQ(Explain(With(id, &IdFields::tick, codec.tick(id) - 1)), AbsenceReason::kGone);
  EXPECT_EQ(Explain(With(id, &IdFields::tick, 0)), AbsenceReason::kMalformed);
  EXPECT_EQ(Explain(RecordId(id.value() | uint64_t{1} << 63)), AbsenceReason::kMalformed);
  EXPECT_EQ(Explain(RecordId()), AbsenceReason::kMalformed);
  ASSERT_TRUE(*session_.Delete(table_, id));
  EXPECT_EQ(Explain(id), AbsenceReason::kGone);
  Settle(store_);
  EXPECT_EQ(Explain(id), AbsenceReason::kGone);
}

// What: the top bit, which in an ID word says look closer, finds nothing when it comes with an ID.
// How:  records at home, just changed and just deleted, in extents that are wholly the table's.
TEST_F(IdWeatherTest, AnIdWithTheTopBitFindsNothingWhateverStateTheRecordIsIn) {
  std::vector<RecordId> ids;
  for (int i = 0; i < 200'000; ++i) ids.push_back(*session_.Insert(table_, int64_t{i}));
  Transaction txn = *session_.Begin();
  const auto expect_absent = [&](size_t i) {
    const RecordId forged(ids[i].value() | uint64_t{1} << 63);
    EXPECT_FALSE(session_.Get(table_, forged)) << i;
    EXPECT_FALSE(session_.Get(table_.untyped(), forged)) << i;
    EXPECT_FALSE(store_.GetCopy(table_, forged)->has_value()) << i;
    EXPECT_FALSE(*txn.Get(table_, forged)) << i;
    EXPECT_FALSE(*session_.Delete(table_, forged)) << i;
  };
  Session other = *store_.NewSession();
  for (size_t i = 0; i < ids.size(); i += 1'000) {
    expect_absent(i);
    ASSERT_TRUE(*other.UpdateTo(table_, ids[i], int64_t{-1}));
    expect_absent(i);
    ASSERT_TRUE(*other.Delete(table_, ids[i]));
    expect_absent(i);
  }
}

// What: an ID names one record for ever, also when its memory was given back and taken again.
TEST_F(IdWeatherTest, StaleIdsStayAbsentInReturnedAndReusedExtents) {
  std::vector<RecordId> stale;
  for (int round = 0; round < 3; ++round) {
    std::vector<RecordId> ids;
    for (int i = 0; i < 120'000; ++i) ids.push_back(*session_.Insert(table_, int64_t{i}));
    for (const RecordId id : stale) ASSERT_FALSE(session_.Get(table_, id));
    for (const RecordId id : ids) ASSERT_TRUE(*session_.Delete(table_, id));
    Settle(store_);
    ASSERT_GT(*store_.CompactStorage(), 0u);
    stale.insert(stale.end(), ids.begin(), ids.end());
    for (const RecordId id : stale) ASSERT_FALSE(session_.Get(table_, id));
    for (size_t i = 0; i < stale.size(); i += 97) {
      ASSERT_EQ(*store_.Explain(table_.untyped(), stale[i]), AbsenceReason::kGone);
    }
    if (round == 0) clock_.AdvanceSeconds(20);  // the second reuse is within one tick
  }
  std::unordered_set<RecordId> unique(stale.begin(), stale.end());
  EXPECT_EQ(unique.size(), stale.size());
}

TEST_F(IdWeatherTest, GivenIdsAreRefusedWithTheReason) {
  const RecordId id = *session_.Insert(table_, int64_t{7});
  const auto insert = [&](RecordId given) {
    return session_.InsertWithId(table_.untyped(), given, std::as_bytes(std::span("12345678", 8)));
  };
  ExpectError(insert(RecordId(~uint64_t{0})), StatusCode::kInvalidArgument, {"top bit"});
  ExpectError(insert(With(id, &IdFields::node, 6)), StatusCode::kInvalidArgument,
              {"table 'table'", "node 6", "node 5"});
  ExpectError(insert(id), StatusCode::kFailedPrecondition, {"slot", "holds a record", "delete"});
  ExpectError(insert(With(id, &IdFields::slot, IdCodec(store_.id_layout()).slot_max() - 65'535)),
              StatusCode::kInvalidArgument, {"extent", "memory limit"});
  EXPECT_EQ(*session_.Get(table_, id), 7);
}

}  // namespace
}  // namespace flagstone::testkit
