// What: IDs that were made elsewhere come into a store whatever their order, are refused without a
//       trace, and name one record for ever.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <deque>
#include <string>
#include <thread>
#include <unordered_set>
#include <utility>
#include <vector>

#include "lib/base/manual_clock.h"
#include "tests/support/seeded_random.h"
#include "tests/support/test_scale.h"
#include "tests/weather/store_weather.h"

namespace flagstone::testkit {
namespace {

struct Exported {
  size_t table;
  RecordId id;
  int64_t value;
};

class GivenIdsTest : public testing::Test {
 protected:
  StoreOptions Options(ClockJumps clock_jumps = ClockJumps::kBounded) {
    StoreOptions options = TestStoreOptions();
    options.clock = &clock_;
    options.ids.clock_jumps = clock_jumps;
    return options;
  }
  Store Open(ClockJumps clock_jumps = ClockJumps::kBounded) {
    return *Store::OpenInMemory(Options(clock_jumps));
  }
  static std::vector<RecordTableOf<int64_t>> Tables(Store& store, size_t count) {
    std::vector<RecordTableOf<int64_t>> tables;
    for (size_t i = 0; i < count; ++i) {
      tables.push_back(*store.CreateTableOf<int64_t>("table" + std::to_string(i)));
    }
    return tables;
  }
  static Status Give(Session& session, const RecordTableOf<int64_t>& table, RecordId id,
                     int64_t value) {
    return session.InsertWithId(table, id, value);
  }
  // The records of a store whose tables have `counts` of them, inserted by turns.
  std::vector<Exported> Export(const std::vector<size_t>& counts) {
    Store store = Open();
    const auto tables = Tables(store, counts.size());
    Session session = *store.NewSession();
    std::vector<Exported> all;
    for (size_t i = 0; i < *std::max_element(counts.begin(), counts.end()); ++i) {
      for (size_t table = 0; table < counts.size(); ++table) {
        if (i >= counts[table]) continue;
        const auto value = static_cast<int64_t>(all.size());
        all.push_back({table, *session.Insert(tables[table], value), value});
      }
    }
    return all;
  }
  static void Shuffle(std::vector<Exported>& records, uint64_t seed) {
    SeededRandom random(seed);
    for (size_t i = records.size(); i > 1; --i) {
      std::swap(records[i - 1], records[random.Below(i)]);
    }
  }
  // The same orders for all: as issued, reversed, table by table both ways, shuffled.
  static std::vector<std::vector<Exported>> Orders(const std::vector<Exported>& records) {
    std::vector<std::vector<Exported>> orders(5, records);
    std::reverse(orders[1].begin(), orders[1].end());
    const auto by_table = [](const Exported& a, const Exported& b) { return a.table < b.table; };
    std::stable_sort(orders[2].begin(), orders[2].end(), by_table);
    orders[3] = orders[2];
    std::reverse(orders[3].begin(), orders[3].end());
    Shuffle(orders[4], 3);
    return orders;
  }
  static bool ReadsInline(const RecordTableOf<int64_t>& table, RecordId id) {
    const internal::TableView& view = table.untyped().view();
    const uint64_t extent = (id.value() & view.slot_mask) >> view.geometry.index_bits;
    return view.extent_owner[extent].load() == view.number &&
           table.places()
                   .owned[(id.value() & view.places.place_mask) >> view.geometry.index_bits]
                   .load() != 0;
  }

  base::ManualClock clock_{1'800'000'000};
};

// The fear: the first table takes the extent that it shares with others in the origin.
TEST_F(GivenIdsTest, SmallTablesOfOneExtentAreImportedInAnyOrder) {
  const std::vector<Exported> records = Export({9'000, 3, 5'000, 700});
  for (const std::vector<Exported>& order : Orders(records)) {
    Store store = Open();
    const auto tables = Tables(store, 4);
    Session session = *store.NewSession();
    for (const Exported& record : order) {
      ASSERT_TRUE(Give(session, tables[record.table], record.id, record.value).ok());
    }
    std::unordered_set<RecordId> ids;
    for (const Exported& record : order) {
      ids.insert(record.id);
      for (size_t table = 0; table < tables.size(); ++table) {
        const TypedGuard<int64_t> guard = session.Get(tables[table], record.id);
        ASSERT_EQ(static_cast<bool>(guard), table == record.table);
        if (guard) {
          ASSERT_EQ(*guard, record.value);
        }
      }
    }
    // What the store issues itself goes elsewhere.
    for (int64_t i = 0; i < 20'000; ++i) {
      ASSERT_TRUE(ids.insert(*session.Insert(tables[static_cast<size_t>(i) % 4], i)).second);
    }
    for (const Exported& record : order) {
      ASSERT_EQ(*session.Get(tables[record.table], record.id), record.value);
    }
  }
}

// What: a large table, which shares its first extent with a small one and whose other extents are
//       its own to their last slot, comes in in any order and is read inline afterwards.
TEST_F(GivenIdsTest, ALargeTableIsImportedIntoExtentsOfItsOwn) {
  const std::vector<Exported> records = Export({250'000, 100});
  for (const std::vector<Exported>& order : Orders(records)) {
    Store store = Open();
    const auto tables = Tables(store, 2);
    Session session = *store.NewSession();
    for (const Exported& record : order) {
      const Status given = Give(session, tables[record.table], record.id, record.value);
      ASSERT_TRUE(given.ok()) << given.ToString();
    }
    size_t inlined = 0;
    for (const Exported& record : order) {
      ASSERT_EQ(*session.Get(tables[record.table], record.id), record.value);
      inlined += ReadsInline(tables[record.table], record.id) ? 1 : 0;
    }
    // All but the shared extent, of which its 32 slabs lie in two, and the last one.
    const bool asymmetric = tables[0].untyped().view().extent_owner != nullptr &&
                            ReadsInline(tables[0], records[100'000].id);
    if (asymmetric) {
      EXPECT_GT(inlined, 110'000u);
    }
    for (const Exported& record : order) {
      ASSERT_TRUE(*session.Delete(tables[record.table], record.id));
    }
    Settle(store);
    ASSERT_GT(*store.CompactStorage(), 0u);
    for (size_t i = 0; i < order.size(); i += 101) {
      ASSERT_FALSE(session.Get(tables[order[i].table], order[i].id));
    }
    // Whoever comes next has the memory.
    for (int64_t i = 0; i < 300'000; ++i) ASSERT_TRUE(session.Insert(tables[1], i).ok());
  }
}

// The fear: one ID that names a far extent maps all extents up to it, for good.
TEST_F(GivenIdsTest, AFarIdTakesOneExtentAndARefusedOneTakesNothing) {
  Store store = Open();
  const auto tables = Tables(store, 2);
  Session session = *store.NewSession();
  const RecordId near = *session.Insert(tables[0], int64_t{1});
  const IdCodec codec(store.id_layout());
  const auto at = [&](uint32_t extent, uint32_t index, uint32_t size_class) {
    IdFields fields = codec.fields(near);
    fields.size_class = size_class;
    fields.slot = extent << SizeClassIndexBits(size_class) | index;
    return codec.Encode(fields);
  };
  const uint32_t home_class = codec.size_class(near);
  const uint64_t before = store.Statistics().memory.used_bytes;
  // Out of range; also of a class that the store has not used yet.
  EXPECT_EQ(Give(session, tables[0], at(32, 5, home_class), 2).code(),
            StatusCode::kInvalidArgument);
  EXPECT_EQ(Give(session, tables[0], at(32, 5, home_class + 3), 2).code(),
            StatusCode::kInvalidArgument);
  EXPECT_EQ(Give(session, tables[0], at(0, 0, home_class + 3), 2).code(),
            StatusCode::kInvalidArgument);
  EXPECT_EQ(store.Statistics().memory.used_bytes, before);
  ASSERT_TRUE(Give(session, tables[0], at(25, 5, home_class), 2).ok());
  EXPECT_EQ(store.Statistics().memory.used_bytes, before + kExtentBytes);
  // Another table's place, in a slab and between slabs.
  EXPECT_EQ(Give(session, tables[1], at(25, 6, home_class), 3).code(),
            StatusCode::kInvalidArgument);
  EXPECT_EQ(store.Statistics().memory.used_bytes, before + kExtentBytes);
  // What lies between is used like any other memory.
  int64_t count = 0;
  while (session.Insert(tables[count % 2], count).ok()) ++count;
  EXPECT_GT(count, 27 * 65'536);
  EXPECT_EQ(*session.Get(tables[0], at(25, 5, home_class)), 2);
}

// The fear: each ID walks the list of free slots.
TEST_F(GivenIdsTest, AnyOrderCostsAboutTheSame) {
  const std::vector<Exported> records = Export({50'000});
  std::vector<double> seconds;
  for (const std::vector<Exported>& order : Orders(records)) {
    Store store = Open();
    const auto tables = Tables(store, 1);
    Session session = *store.NewSession();
    const auto start = std::chrono::steady_clock::now();
    for (const Exported& record : order) {
      ASSERT_TRUE(Give(session, tables[0], record.id, record.value).ok());
    }
    seconds.push_back(
        std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  }
  // Reversed and shuffled. A walk took a hundred times as long.
  EXPECT_LT(seconds[1], 15 * seconds[0] + 0.1);
  EXPECT_LT(seconds[4], 15 * seconds[0] + 0.1);
}

// The fear: the slot of an ID that was given and not kept is free, and the tick is the current one.
TEST_F(GivenIdsTest, AnIdThatWasRolledBackOrRefusedIsNotIssuedToAnotherRecord) {
  Store store = Open();
  const auto tables = Tables(store, 1);
  Session session = *store.NewSession();
  const RecordId first = *session.Insert(tables[0], int64_t{1});
  std::unordered_set<RecordId> given;
  // Free slots, and those that the session holds ready.
  for (uint64_t i = 1; i < 1'000; i += 7) {
    const RecordId id(first.value() + i);
    Transaction transaction = *session.Begin();
    const Status status = transaction.InsertWithId(
        tables[0].untyped(), id, std::as_bytes(std::span<const int64_t>(std::vector<int64_t>{2})));
    EXPECT_TRUE(status.ok() || status.code() == StatusCode::kInvalidArgument);
    transaction.Rollback();
    given.insert(id);
  }
  for (int64_t i = 0; i < 5'000; ++i) {
    const RecordId issued = *session.Insert(tables[0], i);
    ASSERT_FALSE(given.contains(issued)) << issued.ToString();
  }
}

// The fear: a slot that another session takes, fills, changes or frees meanwhile is given away.
// How:  one session inserts, updates and deletes, another gives IDs of the same slots and of later
//       ticks, a third thread maintains; everybody's records stay what they are.
TEST_F(GivenIdsTest, SlotsThatOthersUseMeanwhileAreNotGivenAway) {
  Store store = Open(ClockJumps::kFollowAll);
  const auto table = Tables(store, 1)[0];
  const IdCodec codec(store.id_layout());
  std::atomic<uint64_t> latest{0};
  std::atomic<bool> ends{false};
  using Records = std::deque<std::pair<RecordId, int64_t>>;
  const auto keep = [&](Session& session, Records& records, RecordId id, int64_t value) {
    records.emplace_back(id, value);
    if (records.size() < 200) return;
    const auto [oldest, expected] = records.front();
    records.pop_front();
    const TypedGuard<int64_t> guard = session.Get(table, oldest);
    ASSERT_TRUE(guard && *guard == expected) << oldest.ToString();
    ASSERT_TRUE(*session.Delete(table, oldest));
  };
  std::thread inserts([&] {
    Session session = *store.NewSession();
    Records records;
    for (int64_t value = 1; !ends.load(); ++value) {
      const Result<RecordId> id = session.Insert(table, value);
      ASSERT_TRUE(id.ok()) << id.status().ToString();
      latest.store(id->value());
      ASSERT_TRUE(*session.UpdateTo(table, *id, -value));
      keep(session, records, *id, -value);
    }
  });
  std::thread maintains([&] {
    while (!ends.load()) store.Maintain();
  });
  SeededRandom random(5);
  Session session = *store.NewSession();
  Records records;
  uint64_t given = 0;
  const uint64_t count = tests::ScaledCount(100'000);
  while (latest.load() == 0) std::this_thread::yield();
  for (uint64_t i = 0; i < count; ++i) {
    const RecordId near(latest.load());
    IdFields fields = codec.fields(near);
    fields.slot = std::max<uint32_t>(1, fields.slot - std::min<uint32_t>(fields.slot, 400)) +
                  static_cast<uint32_t>(random.Below(800));
    fields.tick += 1 + static_cast<uint32_t>(random.Below(2));
    const RecordId id = codec.Encode(fields);
    const auto value = static_cast<int64_t>(i);
    if (!session.InsertWithId(table, id, value).ok()) continue;
    ++given;
    keep(session, records, id, value);
  }
  ends.store(true);
  inserts.join();
  maintains.join();
  EXPECT_GT(given, count / 100);
}

// The fear: one ID of the far future makes all later ones claim that time.
TEST_F(GivenIdsTest, AnIdOfTheFarFutureIsRefusedAndTheTicksStay) {
  Store store = Open();
  const auto tables = Tables(store, 1);
  Session session = *store.NewSession();
  const IdCodec codec(store.id_layout());
  IdFields fields = codec.fields(*session.Insert(tables[0], int64_t{1}));
  const uint32_t now = fields.tick;
  const auto give = [&](Session& to, const RecordTableOf<int64_t>& table, uint32_t tick) {
    ++fields.slot;
    fields.tick = tick;
    return Give(to, table, codec.Encode(fields), 2);
  };
  fields.slot += 500;
  ExpectError(give(session, tables[0], now + 86'400), StatusCode::kInvalidArgument,
              {"86400 ticks", "limit is 3660", "kFollowAll"});
  EXPECT_EQ(codec.tick(*session.Insert(tables[0], int64_t{3})), now);
  EXPECT_TRUE(give(session, tables[0], now + 3'660).ok());
  // Nor in small steps.
  EXPECT_FALSE(give(session, tables[0], now + 3'661).ok());
  EXPECT_FALSE(give(session, tables[0], now + 3'700).ok());
  EXPECT_EQ(codec.tick(*session.Insert(tables[0], int64_t{4})), now + 3'661);
  clock_.AdvanceSeconds(7'200);
  EXPECT_EQ(codec.tick(*session.Insert(tables[0], int64_t{5})), now + 3'661);  // its cached slots
  EXPECT_TRUE(give(session, tables[0], now + 7'200 + 3'660).ok());

  Store follower = Open(ClockJumps::kFollowAll);
  Session session_of_follower = *follower.NewSession();
  EXPECT_TRUE(give(session_of_follower, Tables(follower, 1)[0], now + 400 * 86'400).ok());
}

// The fear: an import that is repeated drives the ticks ahead, one for each record that is there.
TEST_F(GivenIdsTest, OwnIdsThatAreGivenAgainDoNotMoveTheTicks) {
  Store store = Open();
  const auto tables = Tables(store, 2);
  Session session = *store.NewSession();
  std::vector<RecordId> ids;
  for (int64_t i = 0; i < 2'000; ++i) {
    ids.push_back(*session.Insert(tables[0], i));
    EXPECT_EQ(Give(session, tables[0], ids.back(), i).code(), StatusCode::kFailedPrecondition);
    EXPECT_FALSE(Give(session, tables[1], ids.back(), i).ok());
  }
  for (const RecordId id : ids) {
    ASSERT_TRUE(*session.Delete(tables[0], id));
    EXPECT_FALSE(Give(session, tables[0], id, 0).ok());
  }
  Settle(store);
  for (const RecordId id : ids) {
    EXPECT_EQ(Give(session, tables[0], id, 0).code(), StatusCode::kInvalidArgument);
  }
  const IdCodec codec(store.id_layout());
  EXPECT_EQ(codec.tick(*session.Insert(tables[0], int64_t{0})), codec.tick(ids.front()));
  EXPECT_EQ(store.Statistics().ids.ahead_of_clock_ticks, 0u);
}

TEST_F(GivenIdsTest, AReplicaMayDeleteAndInsertTheNextIdOfTheSlotAtOnce) {
  StoreOptions options = TestStoreOptions();
  Store origin = *Store::OpenInMemory(options);
  Store copy = *Store::OpenInMemory(options);
  const auto from = *origin.CreateTableOf<int64_t>("table");
  const auto to = *copy.CreateTableOf<int64_t>("table");
  Session session = *copy.NewSession();
  const RecordId first = *(*origin.NewSession()).Insert(from, int64_t{1});
  const IdCodec codec(origin.id_layout());
  IdFields fields = codec.fields(first);
  ASSERT_TRUE(session.InsertWithId(to, first, int64_t{0}).ok());
  for (int64_t i = 1; i <= 50; ++i) {
    const RecordId before = codec.Encode(fields);
    ++fields.tick;
    const RecordId next = codec.Encode(fields);
    // In use: refused, also in a transaction, which goes on.
    Transaction txn = *session.Begin();
    EXPECT_EQ(txn.InsertWithId(to.untyped(), next, internal::BytesOf(i)).code(),
              StatusCode::kFailedPrecondition);
    EXPECT_TRUE(txn.running());
    txn.Rollback();
    ASSERT_TRUE(*session.Delete(to, before));
    const Status inserted = session.InsertWithId(to, next, i);
    ASSERT_TRUE(inserted.ok()) << i << ": " << inserted.ToString();
    EXPECT_EQ(*session.Get(to, next), i);
    EXPECT_FALSE(session.Get(to, before));
  }
}

}  // namespace
}  // namespace flagstone::testkit
