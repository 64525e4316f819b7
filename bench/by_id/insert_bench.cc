// `flagstone bench insert`: how near an insert comes to appending to an array.
#include <chrono>
#include <cstring>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "bench/by_id/by_id_options.h"
#include "bench/by_id/filled_store.h"
#include "bench/by_id/report_parts.h"
#include "bench/by_id/request_trace.h"
#include "bench/by_id/row_maker.h"
#include "bench/by_id/stride_choice.h"
#include "bench/kit/reference_memory.h"

namespace flagstone::bench {
namespace {

// What is inserted: record n has the contents of number n % kSources, so that the source stays in
// the second-level cache and its making costs nothing.
constexpr uint64_t kSources = 1024;
constexpr uint64_t kBatch = 64;
static_assert(kSources % kBatch == 0);

template <typename Record>
std::vector<Record> MakeSources() {
  std::vector<Record> sources;
  for (uint64_t n = 0; n < kSources; ++n) sources.push_back(Record::Of(n));
  return sources;
}

// --- the measured loops: kSources records each ---------------------------------------------------

// append: whole slots, header and payload, one after the other.
template <typename Record>
[[gnu::noinline]] void AppendLoop(char* slots, const char* source) {
  for (uint64_t i = 0; i < kSources; ++i) {
    std::memcpy(slots + i * Record::kStrideBytes, source + i * Record::kStrideBytes,
                Record::kStrideBytes);
  }
}

template <typename Record>
[[gnu::noinline]] void InsertLoop(Session& session, const RecordTableOf<Record>& table,
                                  const std::vector<Record>& sources, RecordId* ids) {
  for (uint64_t i = 0; i < kSources; ++i) {
    Result<RecordId> id = session.Insert(table, sources[i]);
    if (!id.ok()) [[unlikely]]
      StopBench("insert", id.status());
    ids[i] = *id;
  }
}

template <typename Record>
[[gnu::noinline]] void InsertManyLoop(Session& session, const RecordTableOf<Record>& table,
                                      const std::vector<Record>& sources, RecordId* ids) {
  for (uint64_t first = 0; first < kSources; first += kBatch) {
    const Status status = session.InsertMany(table, std::span(sources).subspan(first, kBatch),
                                             std::span(ids + first, kBatch));
    if (!status.ok()) [[unlikely]]
      StopBench("insert in batches", status);
  }
}

// --- one contestant ------------------------------------------------------------------------------

// Where the memory of the inserted records comes from.
enum class Room : uint8_t {
  kFresh,     // a new store: its growth, down to the kernel's zeroing of pages, is in the time
  kReserved,  // a new store that took its memory before: Store::ReserveRecords()
  kReused,    // slots of deleted records, after maintenance has taken them back
};

template <typename Record>
class InsertTurns {
 public:
  using Loop = void (*)(Session&, const RecordTableOf<Record>&, const std::vector<Record>&,
                        RecordId*);

  InsertTurns(const ByIdOptions& options, Room room, Loop loop)
      : options_(options), room_(room), loop_(loop), sources_(MakeSources<Record>()) {
    // Touched now: the list of IDs is the caller's, not the store's.
    const uint64_t count = room == Room::kReused
                               ? std::min<uint64_t>(options.record_count, kReusedCountMax)
                               : options.record_count;
    ids_.resize(std::max<uint64_t>(count / kSources, 1) * kSources);
  }

  // Fills stores until `seconds` of inserting have passed. Making them, checking and emptying them
  // is outside the time.
  std::vector<double> Run(double seconds) {
    double passed = 0;
    uint64_t inserted = 0;
    while (passed < seconds) {
      if (room_ != Room::kReused || !open_) Open();
      if (room_ == Room::kReused) Empty();
      const uint64_t before = inserted;
      while (passed < seconds && inserted - before < ids_.size()) {
        passed += SecondsOf(ids_.data() + (inserted - before));
        inserted += kSources;
      }
      Check(inserted - before);
    }
    if (room_ != Room::kReused) open_.reset();
    return {passed * 1e9 / static_cast<double>(inserted)};
  }

 private:
  static constexpr uint64_t kReusedCountMax = 4'000'000;

  struct OpenStore {
    Store store;
    Session session;
    RecordTableOf<Record> table;
  };

  void Open() {
    open_.reset();
    filled_ = 0;
    FilledStoreOptions options;
    options.record_count = ids_.size();
    options.stride_bytes = Record::kStrideBytes;
    options.page_kind = options_.page_kind;
    Result<Store> store = Store::OpenInMemory(StoreOptionsFor(options));
    if (!store.ok()) StopBench("open a store", store.status());
    Result<Session> session = store->NewSession();
    if (!session.ok()) StopBench("open a session", session.status());
    Result<RecordTableOf<Record>> table = store->CreateTableOf<Record>("bench");
    if (!table.ok()) StopBench("create a table", table.status());
    open_.reset(new OpenStore{*std::move(store), *std::move(session), *table});
    if (room_ == Room::kReserved) {
      const Status status = open_->store.ReserveRecords(open_->table, ids_.size());
      if (!status.ok()) StopBench("reserve", status);
    }
    if (room_ == Room::kReused) {
      for (uint64_t done = 0; done < ids_.size(); done += kSources) {
        loop_(open_->session, open_->table, sources_, ids_.data() + done);
      }
      filled_ = ids_.size();
    }
  }
  void Empty() {
    for (uint64_t n = 0; n < filled_; ++n) {
      const Result<bool> deleted = open_->session.Delete(open_->table, ids_[n]);
      if (!deleted.ok()) StopBench("delete", deleted.status());
      CheckAnswer("delete", *deleted ? 1 : 0, 1);
    }
    filled_ = 0;
    if (Status status = AwaitMaintenance(open_->store); !status.ok()) {
      StopBench("reclaim", status);
    }
  }
  double SecondsOf(RecordId* ids) {
    const auto begin = std::chrono::steady_clock::now();
    loop_(open_->session, open_->table, sources_, ids);
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  }
  void Check(uint64_t count) {
    uint64_t sum = 0;
    uint64_t expected = 0;
    for (uint64_t n = 0; n < count; ++n) {
      if (const TypedGuard<Record> record = open_->session.Get(open_->table, ids_[n])) {
        sum += record->Sum();
      }
      expected += Record::SumOf(n % kSources);
    }
    CheckAnswer("insert", sum, expected);
    filled_ = count;
  }

  const ByIdOptions& options_;
  const Room room_;
  const Loop loop_;
  const std::vector<Record> sources_;
  std::vector<RecordId> ids_;
  uint64_t filled_ = 0;  // of ids_, from the front
  std::unique_ptr<OpenStore> open_;
};

// --- the benchmark -------------------------------------------------------------------------------

template <typename Record>
Block AppendBlock(ReferenceMemory& memory, uint64_t slot_count) {
  std::vector<char> source(kSources * Record::kStrideBytes);
  for (uint64_t n = 0; n < kSources; ++n) {
    const Record record = Record::Of(n);
    std::memcpy(source.data() + n * Record::kStrideBytes + internal::kSlotHeaderBytes, &record,
                sizeof(record));
  }
  return [&memory, slot_count, source = std::move(source), next = uint64_t{0}]() mutable {
    if (next + kSources > slot_count) next = 0;
    char* const slots = memory.data() + next * Record::kStrideBytes;
    AppendLoop<Record>(slots, source.data());
    CheckAnswer("append", std::memcmp(slots, source.data(), Record::kStrideBytes) == 0 ? 1 : 0, 1);
    next += kSources;
    return kSources;
  };
}

template <typename Record>
Result<BenchReport> RunInserts(const ByIdOptions& options) {
  BenchReport report = NewReport("insert", options);
  if (options.on_progress) options.on_progress("inserts");
  const uint64_t slot_count = std::max(options.record_count / kSources, uint64_t{1}) * kSources;
  Result<std::unique_ptr<ReferenceMemory>> memory =
      ReferenceMemory::Allocate(slot_count * Record::kStrideBytes, options.page_kind);
  if (!memory.ok()) return std::move(memory).status();
  {
    Result<std::unique_ptr<FilledStore<Record>>> sample = FilledStore<Record>::Make(
        {1000, Record::kStrideBytes, options.page_kind, MaintenanceMode::kBackground});
    if (!sample.ok()) return std::move(sample).status();
    AddGranted(report, options, (*sample)->store(), (*memory)->granted());
  }
  InsertTurns<Record> one_fresh(options, Room::kFresh, InsertLoop<Record>);
  InsertTurns<Record> many_fresh(options, Room::kFresh, InsertManyLoop<Record>);
  InsertTurns<Record> one_reserved(options, Room::kReserved, InsertLoop<Record>);
  InsertTurns<Record> many_reserved(options, Room::kReserved, InsertManyLoop<Record>);
  InsertTurns<Record> one_reused(options, Room::kReused, InsertLoop<Record>);
  InsertTurns<Record> many_reused(options, Room::kReused, InsertManyLoop<Record>);
  const auto turn_of = [](InsertTurns<Record>& turns) {
    return Turn([&turns](double seconds) { return turns.Run(seconds); });
  };
  AlternatingRounds rounds(options.rounds);
  const size_t append = rounds.Add("append", AppendBlock<Record>(**memory, slot_count));
  const size_t one = rounds.Add("insert", turn_of(one_fresh));
  const size_t many = rounds.Add("insert in batches", turn_of(many_fresh));
  const size_t one_ready = rounds.Add("insert, reserved", turn_of(one_reserved));
  const size_t many_ready = rounds.Add("insert in batches, reserved", turn_of(many_reserved));
  const size_t one_again = rounds.Add("insert again", turn_of(one_reused));
  const size_t many_again = rounds.Add("insert in batches again", turn_of(many_reused));
  rounds.Run();
  const char* const growth = "growth included: the kernel zeroes the pages in this time";
  const char* const ready = "mapped before by Store::ReserveRecords(), touched for the first time";
  const char* const reuse = "into slots of deleted records, populated as append's memory is";
  auto& rows = report.rows;
  rows.push_back(TimeRow(rounds, {one, append},
                         {"insert_one", "insert, one at a time, new memory", growth}, AtMost(4)));
  rows.push_back(TimeRow(rounds, {many, append},
                         {"insert_batch_64", "insert in batches of 64, new memory", growth},
                         AtMost(3)));
  rows.push_back(TimeRow(rounds, {one_ready, append},
                         {"insert_one_reserved", "insert, one at a time, memory reserved", ready},
                         AtMost(4)));
  rows.push_back(TimeRow(
      rounds, {many_ready, append},
      {"insert_batch_64_reserved", "insert in batches of 64, memory reserved", ready}, AtMost(3)));
  rows.push_back(TimeRow(rounds, {one_again, append},
                         {"insert_one_reused", "insert, one at a time, memory used before", reuse},
                         AtMost(4)));
  rows.push_back(TimeRow(
      rounds, {many_again, append},
      {"insert_batch_64_reused", "insert in batches of 64, memory used before", reuse}, AtMost(3)));
  return report;
}

}  // namespace

Result<BenchReport> RunInsertBench(const ByIdOptions& options) {
  return WithRecordOfStride(options,
                            [&]<typename Record>() { return RunInserts<Record>(options); });
}

}  // namespace flagstone::bench
