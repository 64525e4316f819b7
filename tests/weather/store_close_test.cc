// What: a store is closed while other threads use it: whoever is first is served, whoever is later
// is
//       told so, and nothing is torn away under anybody.
#include <atomic>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "tests/support/test_scale.h"
#include "tests/weather/store_weather.h"

namespace flagstone::testkit {
namespace {

constexpr int kStores = 100;

class StoreCloseTest : public testing::Test {
 protected:
  // `race(store, table, id)` in a fresh store with one record, again and again.
  template <typename Race>
  void ForManyStores(Race&& race) {
    const uint64_t count = tests::ScaledCount(kStores);
    for (uint64_t i = 0; i < count; ++i) {
      Store store = *Store::OpenInMemory(TestStoreOptions());
      const auto table = *store.CreateTableOf<int64_t>("table");
      const RecordId id = *(*store.NewSession()).Insert(table, int64_t{7});
      race(store, table, id);
    }
  }
};

TEST_F(StoreCloseTest, TwoThreadsMayCloseIt) {
  ForManyStores([](Store& store, const auto&, RecordId) {
    std::thread other([&store] { EXPECT_TRUE(store.Close().ok()); });
    EXPECT_TRUE(store.Close().ok());
    other.join();
    EXPECT_TRUE(store.Close().ok());
  });
}

TEST_F(StoreCloseTest, OneCallReadsEndAsTheyBeganOrAreTold) {
  ForManyStores([](Store& store, const auto& table, RecordId id) {
    std::atomic<bool> has_read{false};
    Status last;
    std::thread reader([&] {
      for (;;) {
        Result<std::optional<int64_t>> value = store.GetCopy(table, id);
        has_read = true;
        if (!value.ok()) {
          last = std::move(value).status();
          return;
        }
        ASSERT_EQ(*value, std::optional<int64_t>(7));
      }
    });
    while (!has_read) std::this_thread::yield();
    EXPECT_TRUE(store.Close().ok());
    reader.join();
    ExpectError(last, StatusCode::kFailedPrecondition, {"closed"});
    ExpectError(store.Explain(table.untyped(), id).status(), StatusCode::kFailedPrecondition,
                {"closed"});
    EXPECT_FALSE(store.FindTable("table").has_value());
  });
}

TEST_F(StoreCloseTest, NoSessionIsOpenInAStoreThatIsClosed) {
  ForManyStores([](Store& store, const auto& table, RecordId id) {
    std::atomic<bool> is_closed{false};
    std::thread opener([&] {
      for (;;) {
        Result<Session> session = store.NewSession();
        if (!session.ok()) {
          EXPECT_EQ(session.code(), StatusCode::kFailedPrecondition);
          return;
        }
        ASSERT_FALSE(is_closed) << "a session was opened in a closed store";
        EXPECT_TRUE(*session->UpdateTo(table, id, int64_t{8}));
        EXPECT_FALSE(is_closed) << "the store was closed under a session";
      }
    });
    Status closed;
    do {
      closed = store.Close();
      EXPECT_TRUE(closed.ok() || closed.code() == StatusCode::kFailedPrecondition);
    } while (!closed.ok());
    is_closed = true;
    opener.join();
  });
}

}  // namespace
}  // namespace flagstone::testkit
