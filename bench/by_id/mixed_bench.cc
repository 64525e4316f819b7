// `flagstone bench mixed`: YCSB-B and YCSB-A, and what the writes among the reads cost.
#include <algorithm>
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

namespace flagstone::bench {
namespace {

constexpr double kYcsbTheta = 0.99;

// YCSB's core workloads, by the part of their requests that are updates.
struct Workload {
  const char* key;
  const char* name;
  double update_part;
  std::optional<Goal> goal;  // against the read-only rate
};
const Workload kReadOnly = {"c", "read-only", 0, std::nullopt};
const Workload kMostlyReads = {"b", "YCSB-B: 95 % gets, 5 % updates", 0.05, AtLeast(0.8)};
const Workload kHalfUpdates = {"a", "YCSB-A: 50 % gets, 50 % updates", 0.5, AtLeast(0.5)};

enum class Request : uint8_t { kGet, kUpdate };

// One thread's requests: which record, and what is done to it.
struct RequestList {
  std::vector<RecordId> ids;
  std::vector<Request> requests;
  std::vector<uint64_t> expected;      // by block: sum of the payloads that gets read
  std::vector<uint64_t> update_count;  // by block
};

template <typename Record>
RequestList ListOf(const RequestTrace& trace, const std::vector<RecordId>& ids, double update_part,
                   uint64_t seed) {
  base::Random random(seed);
  RequestList list;
  list.ids = trace.IdsOf(ids);
  for (size_t block = 0; block < trace.block_count(); ++block) {
    uint64_t sum = 0;
    uint64_t updates = 0;
    for (size_t i = 0; i < kBlockRequests; ++i) {
      const bool update = random.Fraction() < update_part;
      list.requests.push_back(update ? Request::kUpdate : Request::kGet);
      if (update) ++updates;
      if (!update) sum += Record::SumOf(trace.numbers(block)[i]);
    }
    list.expected.push_back(sum);
    list.update_count.push_back(updates);
  }
  return list;
}

// One thread's counts, read when it has stopped.
struct alignas(64) ThreadCounts {
  uint64_t updates = 0;
  uint64_t conflicts = 0;  // two threads at one record: tried again at once
};

template <typename Record>
[[gnu::noinline]] uint64_t MixedLoop(Session& session, const RecordTableOf<Record>& table,
                                     const RecordId* ids, const Request* requests,
                                     ThreadCounts& counts) {
  uint64_t sum = 0;
  for (size_t i = 0; i < kBlockRequests; ++i) {
    if (requests[i] == Request::kGet) {
      const TypedGuard<Record> record = session.Get(table, ids[i]);
      if (record) [[likely]]
        sum += record->Sum();
      continue;
    }
    for (;;) {
      const Result<bool> updated =
          session.Update(table, ids[i], [](Record& record) { record.CountUpdate(); });
      if (updated.ok()) [[likely]] {
        if (!*updated) [[unlikely]]
          WrongAnswer("update", 0, 1);
        break;
      }
      if (updated.code() != StatusCode::kConflict) StopBench("update", updated.status());
      ++counts.conflicts;
    }
  }
  return sum;
}

template <typename Record>
class MixedBench {
 public:
  explicit MixedBench(const ByIdOptions& options) : options_(options) {}

  Result<BenchReport> Run() {
    BenchReport report = NewReport("mixed", options_);
    Progress("fill");
    Result<std::unique_ptr<FilledStore<Record>>> store =
        FilledStore<Record>::Make({options_.record_count, Record::kStrideBytes, options_.page_kind,
                                   MaintenanceMode::kBackground});
    if (!store.ok()) return std::move(store).status();
    store_ = *std::move(store);
    AddGranted(report, options_, store_->store());
    if (Status status = Prepare(); !status.ok()) return status;
    AddRows(report, 1);
    AddRows(report, options_.thread_count);
    CheckEveryUpdateIsThere();
    return report;
  }

 private:
  void Progress(std::string_view what) const {
    if (options_.on_progress) options_.on_progress(what);
  }

  Status Prepare() {
    Progress("draw requests");
    const ZipfGenerator zipf(options_.record_count, kYcsbTheta);
    // Each thread has requests of its own; together they are as many as those of the other benches.
    const size_t request_count = TraceRequests(options_.record_count) / options_.thread_count;
    for (uint32_t i = 0; i < options_.thread_count; ++i) {
      const RequestTrace trace = RequestTrace::Zipf(zipf, request_count, options_.seed * 1000 + i);
      for (const Workload* workload : {&kReadOnly, &kMostlyReads, &kHalfUpdates}) {
        lists_.push_back(std::make_unique<RequestList>(ListOf<Record>(
            trace, store_->ids(), workload->update_part, options_.seed + lists_.size())));
      }
      Result<Session> session = store_->store().NewSession();
      if (!session.ok()) return std::move(session).status();
      sessions_.push_back(*std::move(session));
    }
    counts_.resize(options_.thread_count);
    return Status::Ok();
  }

  // `which` counts the workloads as Prepare() makes their lists.
  Turn TurnWith(size_t which, uint32_t thread_count) {
    std::vector<Block> blocks;
    for (uint32_t i = 0; i < thread_count; ++i) {
      blocks.push_back([this, i, &list = *lists_[i * 3 + which], next = size_t{0}]() mutable {
        const size_t block = next;
        next = next + 1 == list.expected.size() ? 0 : next + 1;
        const size_t first = block * kBlockRequests;
        CheckAnswer("mixed",
                    MixedLoop<Record>(sessions_[i], store_->table(), &list.ids[first],
                                      &list.requests[first], counts_[i]),
                    list.expected[block]);
        counts_[i].updates += list.update_count[block];
        return uint64_t{kBlockRequests};
      });
    }
    return ParallelTurnOf(std::move(blocks));
  }

  void AddRows(BenchReport& report, uint32_t thread_count) {
    const std::string threads =
        std::to_string(thread_count) + (thread_count == 1 ? " thread" : " threads");
    Progress(threads);
    const uint64_t conflicts_before = ConflictCount();
    AlternatingRounds rounds(options_.rounds);
    const size_t reads = rounds.Add("read-only", TurnWith(0, thread_count));
    const size_t mostly = rounds.Add("YCSB-B", TurnWith(1, thread_count));
    const size_t half = rounds.Add("YCSB-A", TurnWith(2, thread_count));
    rounds.Run();
    const std::string note = "Zipf 0.99, scrambled; " +
                             std::to_string(ConflictCount() - conflicts_before) +
                             " conflicts, tried again at once";
    const auto row = [&](size_t contestant, const Workload& workload) {
      report.rows.push_back(
          SpeedRow(rounds, {contestant, reads},
                   {std::string("ycsb_") + workload.key + "_" + std::to_string(thread_count),
                    std::string(workload.name) + ", " + threads, note},
                   workload.goal));
    };
    row(mostly, kMostlyReads);
    row(half, kHalfUpdates);
  }

  uint64_t ConflictCount() const {
    uint64_t count = 0;
    for (const ThreadCounts& counts : counts_) count += counts.conflicts;
    return count;
  }

  void CheckEveryUpdateIsThere() {
    uint64_t found = 0;
    uint64_t made = 0;
    for (const ThreadCounts& counts : counts_) made += counts.updates;
    for (uint64_t n = 0; n < options_.record_count; ++n) {
      const TypedGuard<Record> record = sessions_[0].Get(store_->table(), store_->ids()[n]);
      if (!record) WrongAnswer("a record after updates", 0, 1);
      CheckAnswer("a record after updates", record->Sum(), Record::SumOf(n));
      found += record->UpdateCount(n);
    }
    CheckAnswer("all updates", found, made);
  }

  const ByIdOptions& options_;
  std::unique_ptr<FilledStore<Record>> store_;
  std::vector<std::unique_ptr<RequestList>> lists_;  // by thread, then workload
  std::vector<Session> sessions_;                    // by thread
  std::vector<ThreadCounts> counts_;                 // by thread
};

}  // namespace

Result<BenchReport> RunMixedBench(const ByIdOptions& options) {
  return WithRecordOfStride(options,
                            [&]<typename Record>() { return MixedBench<Record>(options).Run(); });
}

}  // namespace flagstone::bench
