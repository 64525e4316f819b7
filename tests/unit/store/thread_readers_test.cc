// What: one-call reads: each thread has a reader of its own, for as long as both it and the store
//       live, and never one of another store.
// How:  threads and stores that come and go in every order; the number of sessions is counted by
//       how many more may be opened.
#include <gtest/gtest.h>

#include <atomic>
#include <optional>
#include <thread>
#include <vector>

#include "flagstone/store.h"

namespace flagstone {
namespace {

struct Value {
  uint64_t number;
};

struct Shelf {
  explicit Shelf(uint64_t number, uint32_t sessions_max = 8) {
    StoreOptions options;
    options.memory.limit_bytes = 64 << 20;
    options.sessions_max = sessions_max;
    store.emplace(*Store::OpenInMemory(options));
    table.emplace(*store->CreateTableOf<Value>("values"));
    Session session = *store->NewSession();
    id = *session.Insert(*table, Value{number});
  }
  Result<std::optional<Value>> Read() { return store->GetCopy(*table, id); }

  std::optional<Store> store;
  std::optional<RecordTableOf<Value>> table;
  RecordId id;
};

TEST(ThreadReadersTest, AThreadThatReadsTwoStoresInTurnGetsEachOnesRecords) {
  Shelf one(1);
  Shelf two(2);
  for (int i = 0; i < 100; ++i) {
    EXPECT_EQ((**one.Read()).number, 1u);
    EXPECT_EQ((**two.Read()).number, 2u);
  }
}

TEST(ThreadReadersTest, AStoreThatIsGoneIsNeverReadAgain) {
  for (uint64_t life = 1; life <= 50; ++life) {
    Shelf shelf(life);
    EXPECT_EQ((**shelf.Read()).number, life);
    Store moved = std::move(*shelf.store);
    EXPECT_EQ((**moved.GetCopy(*shelf.table, shelf.id)).number, life);
    EXPECT_TRUE(moved.Close().ok());
    EXPECT_EQ(moved.GetCopy(*shelf.table, shelf.id).code(), StatusCode::kFailedPrecondition);
  }
}

TEST(ThreadReadersTest, AThreadThatEndsLeavesItsReaderToTheNext) {
  Shelf shelf(7, 2);
  for (int i = 0; i < 100; ++i) {
    std::thread([&] { EXPECT_EQ((**shelf.Read()).number, 7u); }).join();
  }
  EXPECT_TRUE(shelf.store->NewSession().ok());
}

TEST(ThreadReadersTest, AThreadMayOutliveTheStore) {
  std::optional<Shelf> shelf(std::in_place, 3);
  std::atomic<int> step{0};
  std::thread reader([&] {
    EXPECT_EQ((**shelf->Read()).number, 3u);
    step = 1;
    while (step != 2) std::this_thread::yield();
    Shelf another(4);
    EXPECT_EQ((**another.Read()).number, 4u);
  });
  while (step != 1) std::this_thread::yield();
  shelf.reset();
  step = 2;
  reader.join();
}

TEST(ThreadReadersTest, WithoutAFreeSessionTheErrorNamesTheOption) {
  Shelf shelf(5, 1);
  Session only = *shelf.store->NewSession();
  const Result<std::optional<Value>> read = shelf.Read();
  EXPECT_EQ(read.code(), StatusCode::kResourceExhausted);
  EXPECT_NE(read.status().message().find("sessions_max"), std::string::npos);
}

TEST(ThreadReadersTest, AVisitorMayReadTheSameStoreAgain) {
  Shelf shelf(6);
  int depth = 0;
  const auto visit = [&](auto&& self, const Value& value) -> void {
    EXPECT_EQ(value.number, 6u);
    if (++depth == 10) return;
    EXPECT_TRUE(
        *shelf.store->Read(*shelf.table, shelf.id, [&](const Value& inner) { self(self, inner); }));
  };
  EXPECT_TRUE(
      *shelf.store->Read(*shelf.table, shelf.id, [&](const Value& value) { visit(visit, value); }));
  EXPECT_EQ(depth, 10);
}

struct ReadsWhenItEnds {
  Shelf* shelf = nullptr;
  std::atomic<StatusCode>* seen = nullptr;
  ~ReadsWhenItEnds() {
    if (shelf != nullptr) *seen = shelf->Read().code();
  }
};
thread_local ReadsWhenItEnds reads_when_it_ends;

TEST(ThreadReadersTest, AThreadThatEndsIsToldSo) {
  Shelf shelf(8);
  std::atomic<StatusCode> seen{StatusCode::kOk};
  std::thread([&] {
    reads_when_it_ends.shelf = &shelf;  // constructed first, so it ends last
    reads_when_it_ends.seen = &seen;
    EXPECT_EQ((**shelf.Read()).number, 8u);
  }).join();
  EXPECT_EQ(seen, StatusCode::kFailedPrecondition);
}

}  // namespace
}  // namespace flagstone
