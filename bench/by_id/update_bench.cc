// `flagstone bench update`: how near a committed update comes to changing a word of an array.
#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "bench/by_id/by_id_options.h"
#include "bench/by_id/filled_store.h"
#include "bench/by_id/flat_slots.h"
#include "bench/by_id/report_parts.h"
#include "bench/by_id/request_trace.h"
#include "bench/by_id/row_maker.h"
#include "bench/by_id/stride_choice.h"
#include "bench/kit/keep.h"

namespace flagstone::bench {
namespace {

constexpr size_t kReadsOfTransaction = 4;
constexpr size_t kUpdatesOfTransaction = 2;
constexpr size_t kRequestsOfTransaction = kReadsOfTransaction + kUpdatesOfTransaction;
constexpr size_t kTransactionsOfBlock = kBlockRequests / kRequestsOfTransaction;

// --- the measured loops --------------------------------------------------------------------------

// Read-modify-write of one word.
template <typename Record>
[[gnu::noinline]] void RawUpdateLoop(char* slots, const uint64_t* numbers) {
  for (size_t i = 0; i < kBlockRequests; ++i) ++FlatSlots<Record>::At(slots, numbers[i]).words[0];
}

template <typename Record>
[[gnu::noinline]] void UpdateLoop(Session& session, const RecordTableOf<Record>& table,
                                  const RecordId* ids) {
  for (size_t i = 0; i < kBlockRequests; ++i) {
    const Result<bool> updated =
        session.Update(table, ids[i], [](Record& record) { record.CountUpdate(); });
    if (!updated.ok()) [[unlikely]]
      StopBench("update", updated.status());
    if (!*updated) [[unlikely]]
      WrongAnswer("update", 0, 1);
  }
}

// One word of each record read; the reads' sum. The same words are changed as in RawUpdateLoop.
template <typename Record>
[[gnu::noinline]] uint64_t RawTransactionLoop(char* slots, const uint64_t* numbers) {
  uint64_t sum = 0;
  for (size_t t = 0; t < kTransactionsOfBlock; ++t) {
    const uint64_t* const mine = numbers + t * kRequestsOfTransaction;
    for (size_t i = 0; i < kReadsOfTransaction; ++i) {
      sum += FlatSlots<Record>::At(slots, mine[i]).words[0];
    }
    for (size_t i = kReadsOfTransaction; i < kRequestsOfTransaction; ++i) {
      ++FlatSlots<Record>::At(slots, mine[i]).words[0];
    }
  }
  return sum;
}

// Snapshot isolation, committed. The sum of the payloads read.
template <typename Record>
[[gnu::noinline]] uint64_t TransactionLoop(Session& session, const RecordTableOf<Record>& table,
                                           const RecordId* ids) {
  uint64_t sum = 0;
  for (size_t t = 0; t < kTransactionsOfBlock; ++t) {
    const RecordId* const mine = ids + t * kRequestsOfTransaction;
    Result<Transaction> transaction = session.Begin();
    if (!transaction.ok()) [[unlikely]]
      StopBench("begin", transaction.status());
    for (size_t i = 0; i < kReadsOfTransaction; ++i) {
      const Result<TypedGuard<Record>> record = transaction->Get(table, mine[i]);
      if (!record.ok()) [[unlikely]]
        StopBench("get in a transaction", record.status());
      if (*record) [[likely]]
        sum += (*record)->Sum();
    }
    for (size_t i = kReadsOfTransaction; i < kRequestsOfTransaction; ++i) {
      const Result<bool> updated =
          transaction->Update(table, mine[i], [](Record& record) { record.CountUpdate(); });
      if (!updated.ok()) [[unlikely]]
        StopBench("update in a transaction", updated.status());
      if (!*updated) [[unlikely]]
        WrongAnswer("update in a transaction", 0, 1);
    }
    const Result<uint64_t> committed = transaction->Commit();
    if (!committed.ok()) [[unlikely]]
      StopBench("commit", committed.status());
  }
  return sum;
}

// --- the benchmark -------------------------------------------------------------------------------

template <typename Record>
class UpdateBench {
 public:
  explicit UpdateBench(const ByIdOptions& options) : options_(options) {}

  Result<BenchReport> Run() {
    BenchReport report = NewReport("update", options_);
    if (Status status = Prepare(); !status.ok()) return status;
    AddGranted(report, options_, store_->store(), slots_->memory().granted());
    if (options_.on_progress) options_.on_progress("updates");
    AlternatingRounds rounds(options_.rounds);
    const size_t raw = rounds.Add("raw update", RawUpdates());
    const size_t update = rounds.Add("update", Updates());
    const size_t raw_transaction = rounds.Add("raw accesses", RawTransactions());
    const size_t transaction = rounds.Add("transaction", Transactions());
    rounds.Run();
    report.rows.push_back(TimeRow(rounds, {update, raw},
                                  {"update", "update of one record, committed",
                                   "all maintenance of the changes runs beside it"},
                                  AtMost(5)));
    report.rows.push_back(TimeRow(
        rounds, {transaction, raw_transaction},
        {"transaction", "transaction of 4 reads and 2 updates", "snapshot isolation, committed"},
        AtMost(8)));
    // Counted calls are slow to make, so the steady state is looked at when nothing is timed.
    AddSteadyStateRows(report, "update", [block = Updates()] { block(); });
    AddSteadyStateRows(report, "transaction", [block = Transactions()] { block(); });
    const MaintenanceStatistics maintenance = store_->store().Statistics().maintenance;
    report.remarks.push_back(std::to_string(updates_) + " updates, " +
                             std::to_string(maintenance.homecomings) + " homecomings, " +
                             std::to_string(maintenance.helped_cycles) +
                             " cycles of maintenance run by the writer itself");
    CheckEveryUpdateIsThere();
    return report;
  }

 private:
  Status Prepare() {
    if (options_.on_progress) options_.on_progress("fill");
    Result<std::unique_ptr<FilledStore<Record>>> store =
        FilledStore<Record>::Make({options_.record_count, Record::kStrideBytes, options_.page_kind,
                                   MaintenanceMode::kBackground});
    if (!store.ok()) return std::move(store).status();
    store_ = *std::move(store);
    Result<Session> session = store_->store().NewSession();
    if (!session.ok()) return std::move(session).status();
    session_.emplace(*std::move(session));
    Result<std::unique_ptr<FlatSlots<Record>>> slots =
        FlatSlots<Record>::Make(options_.record_count, options_.page_kind);
    if (!slots.ok()) return std::move(slots).status();
    slots_ = *std::move(slots);
    trace_ = std::make_unique<RequestTrace>(RequestTrace::Uniform(
        options_.record_count, TraceRequests(options_.record_count), options_.seed));
    ids_ = trace_->IdsOf(store_->ids());
    return Status::Ok();
  }

  const RecordId* ids_of(size_t block) const { return ids_.data() + block * kBlockRequests; }

  Block RawUpdates() {
    return [this, cursor = TraceCursor(*trace_, 0)]() mutable {
      RawUpdateLoop<Record>(slots_->base(), trace_->numbers(cursor.Next()));
      raw_updates_ += kBlockRequests;
      return uint64_t{kBlockRequests};
    };
  }
  Block Updates() {
    return [this, cursor = TraceCursor(*trace_, 0)]() mutable {
      UpdateLoop<Record>(*session_, store_->table(), ids_of(cursor.Next()));
      updates_ += kBlockRequests;
      return uint64_t{kBlockRequests};
    };
  }
  Block RawTransactions() {
    return [this, cursor = TraceCursor(*trace_, 0)]() mutable {
      // What the reads find depends on the updates before them: used, but known only in sum.
      uint64_t sum = RawTransactionLoop<Record>(slots_->base(), trace_->numbers(cursor.Next()));
      Launder(sum);
      raw_updates_ += kTransactionsOfBlock * kUpdatesOfTransaction;
      return uint64_t{kTransactionsOfBlock};
    };
  }
  Block Transactions() {
    return [this, cursor = TraceCursor(*trace_, 0), expected = ExpectedOfTransactions()]() mutable {
      const size_t block = cursor.Next();
      CheckAnswer("transaction", TransactionLoop<Record>(*session_, store_->table(), ids_of(block)),
                  expected[block]);
      updates_ += kTransactionsOfBlock * kUpdatesOfTransaction;
      return uint64_t{kTransactionsOfBlock};
    };
  }
  std::vector<uint64_t> ExpectedOfTransactions() const {
    std::vector<uint64_t> expected(trace_->block_count());
    for (size_t block = 0; block < expected.size(); ++block) {
      const uint64_t* const numbers = trace_->numbers(block);
      for (size_t i = 0; i < kTransactionsOfBlock * kRequestsOfTransaction; ++i) {
        if (i % kRequestsOfTransaction < kReadsOfTransaction) {
          expected[block] += Record::SumOf(numbers[i]);
        }
      }
    }
    return expected;
  }

  void CheckEveryUpdateIsThere() {
    uint64_t found = 0;
    uint64_t raw_found = 0;
    for (uint64_t n = 0; n < options_.record_count; ++n) {
      const TypedGuard<Record> record = session_->Get(store_->table(), store_->ids()[n]);
      if (!record) WrongAnswer("a record after updates", 0, 1);
      CheckAnswer("a record after updates", record->Sum(), Record::SumOf(n));
      found += record->UpdateCount(n);
      raw_found += slots_->at(n).UpdateCount(n);
    }
    CheckAnswer("all updates", found, updates_);
    CheckAnswer("all raw updates", raw_found, raw_updates_);
  }

  const ByIdOptions& options_;
  std::unique_ptr<FilledStore<Record>> store_;
  std::unique_ptr<FlatSlots<Record>> slots_;
  std::unique_ptr<RequestTrace> trace_;
  std::vector<RecordId> ids_;
  std::optional<Session> session_;
  uint64_t updates_ = 0;
  uint64_t raw_updates_ = 0;
};

}  // namespace

Result<BenchReport> RunUpdateBench(const ByIdOptions& options) {
  return WithRecordOfStride(options,
                            [&]<typename Record>() { return UpdateBench<Record>(options).Run(); });
}

}  // namespace flagstone::bench
