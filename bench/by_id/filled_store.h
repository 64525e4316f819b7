// FilledStore: a store with one table of numbered records, as a service would hold it.
#ifndef FLAGSTONE_BENCH_BY_ID_FILLED_STORE_H_
#define FLAGSTONE_BENCH_BY_ID_FILLED_STORE_H_

#include <algorithm>
#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "bench/by_id/bench_record.h"
#include "flagstone/store.h"

namespace flagstone::bench {

struct FilledStoreOptions {
  uint64_t record_count = 0;
  uint32_t stride_bytes = 0;
  PageKind page_kind = PageKind::k2MiB;
  MaintenanceMode maintenance = MaintenanceMode::kBackground;
};

// Defaults, but for the pages, who maintains, and a memory limit above what the bench fills in.
StoreOptions StoreOptionsFor(const FilledStoreOptions& options);
// Until no change waits for maintenance. RESOURCE_EXHAUSTED after ten seconds without progress.
Status AwaitMaintenance(const Store& store);

template <typename Record>
class FilledStore {
 public:
  static Result<std::unique_ptr<FilledStore>> Make(const FilledStoreOptions& options) {
    Result<Store> store = Store::OpenInMemory(StoreOptionsFor(options));
    if (!store.ok()) return std::move(store).status();
    Result<RecordTableOf<Record>> table = store->CreateTableOf<Record>("bench");
    if (!table.ok()) return std::move(table).status();
    std::unique_ptr<FilledStore> filled(new FilledStore(*std::move(store), *table));
    if (Status status = filled->Fill(options.record_count); !status.ok()) return status;
    return filled;
  }

  Store& store() { return store_; }
  const RecordTableOf<Record>& table() const { return table_; }
  // By number of the record.
  const std::vector<RecordId>& ids() const { return ids_; }

 private:
  FilledStore(Store store, RecordTableOf<Record> table) : store_(std::move(store)), table_(table) {}

  Status Fill(uint64_t record_count) {
    Result<Session> session = store_.NewSession();
    if (!session.ok()) return std::move(session).status();
    constexpr uint64_t kBatch = 64;
    std::array<Record, kBatch> records;
    ids_.resize(record_count);
    for (uint64_t first = 0; first < record_count; first += kBatch) {
      const uint64_t count = std::min(kBatch, record_count - first);
      for (uint64_t i = 0; i < count; ++i) records[i] = Record::Of(first + i);
      Status status = session->InsertMany(table_, std::span<const Record>(records.data(), count),
                                          std::span(ids_).subspan(first, count));
      if (!status.ok()) return status;
    }
    return AwaitMaintenance(store_);
  }

  Store store_;
  RecordTableOf<Record> table_;
  std::vector<RecordId> ids_;
};

}  // namespace flagstone::bench

#endif  // FLAGSTONE_BENCH_BY_ID_FILLED_STORE_H_
