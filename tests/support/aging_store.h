// A store that gives snapshots up after ten seconds, on a clock which only the test moves: one
// record, a session that writes it and one whose snapshots grow old.
#ifndef FLAGSTONE_TESTS_SUPPORT_AGING_STORE_H_
#define FLAGSTONE_TESTS_SUPPORT_AGING_STORE_H_

#include <chrono>
#include <cstdint>

#include "flagstone/store.h"
#include "lib/base/manual_clock.h"
#include "tests/support/store_subjects.h"

namespace flagstone::testkit {

template <RecordType T>
struct AgingStore {
  static constexpr int64_t kAgeMaxSeconds = 10;

  explicit AgingStore(const T& record)
      : store(*Store::OpenInMemory(OptionsWith(clock))),
        writer(*store.NewSession()),
        reader(*store.NewSession()),
        table(*store.CreateTableOf<T>("rows")),
        id(*writer.Insert(table, record)) {}
  AgingStore(const AgingStore&) = delete;
  AgingStore& operator=(const AgingStore&) = delete;

  // Time goes on after maintenance has had its look, as between two rounds of its thread.
  void Pass(int64_t seconds) {
    static_cast<void>(store.Maintain());
    clock.AdvanceSeconds(seconds);
  }

  base::ManualClock clock{1'800'000'000};
  Store store;
  Session writer;
  Session reader;
  RecordTableOf<T> table;
  RecordId id;

 private:
  static StoreOptions OptionsWith(base::ManualClock& clock) {
    StoreOptions options = TestStoreOptions();
    options.clock = &clock;
    options.snapshots.age_max = std::chrono::seconds(kAgeMaxSeconds);
    return options;
  }
};

}  // namespace flagstone::testkit

#endif  // FLAGSTONE_TESTS_SUPPORT_AGING_STORE_H_
