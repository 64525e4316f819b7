#include "tests/support/white_box_checker.h"

#include <algorithm>
#include <iterator>
#include <map>
#include <set>
#include <unordered_map>

namespace flagstone::testkit {
namespace {

constexpr size_t kViolationsKept = 20;

class WhiteBoxChecker {
 public:
  WhiteBoxChecker(const History& history, const WhiteBoxOptions& options)
      : history_(history), options_(options) {}

  WhiteBoxReport Check() {
    CollectVersions();
    for (uint32_t txn = 0; txn < history_.txns.size(); ++txn) CheckVisibility(txn);
    if (options_.level != IsolationLevel::kReadCommitted) CheckFirstCommitterWins();
    CheckRealTime();
    CheckLogOrder();
    if (options_.level == IsolationLevel::kSerializable) {
      for (uint32_t txn = 0; txn < history_.txns.size(); ++txn) CheckReadsStillNewest(txn);
    }
    return std::move(report_);
  }

 private:
  struct Version {
    uint64_t ts;
    uint32_t writer;
    bool operator<(const Version& other) const { return ts < other.ts; }
  };

  const HistoryTxn& Txn(uint32_t index) const { return history_.txns[index]; }
  // Indeterminate transactions with a commit timestamp are in the commit order.
  bool Wrote(const HistoryTxn& txn) const {
    return txn.outcome != TxnOutcome::kAborted && txn.commit_ts != 0;
  }
  void Violated(const std::string& text) {
    if (report_.violation_count++ < kViolationsKept) report_.violations.push_back(text);
  }
  static std::string Place(uint32_t txn, uint64_t key) {
    return "T" + std::to_string(txn) + ", k=" + std::to_string(key);
  }

  void CollectVersions() {
    std::map<uint64_t, uint32_t> committed;
    for (uint32_t txn = 0; txn < history_.txns.size(); ++txn) {
      const HistoryTxn& t = Txn(txn);
      std::set<uint64_t> keys;
      for (const HistoryOp& op : t.ops) {
        if (op.kind == HistoryOp::Kind::kAppend) keys.insert(op.key);
      }
      if (t.outcome == TxnOutcome::kCommitted && !keys.empty() && t.commit_ts == 0) {
        Violated("rule 4 (commit order): T" + std::to_string(txn) +
                 " committed writes without a timestamp");
      }
      if (!Wrote(t)) continue;
      const auto [other, unique] = committed.insert({t.commit_ts, txn});
      if (!unique) {
        Violated("rule 4 (commit order): T" + std::to_string(txn) + " and T" +
                 std::to_string(other->second) + " both committed at " +
                 std::to_string(t.commit_ts));
      }
      if (t.commit_ts <= t.start_ts) {
        Violated("rule 4 (commit order): T" + std::to_string(txn) + " committed at " +
                 std::to_string(t.commit_ts) + ", not after its start " +
                 std::to_string(t.start_ts));
      }
      for (const uint64_t key : keys) versions_[key].push_back({t.commit_ts, txn});
    }
    for (auto& [key, versions] : versions_) std::sort(versions.begin(), versions.end());
  }

  // Calls check(op, read_ts) for the reads that do not follow an own append to their key.
  template <typename Check>
  void ForEachExternalRead(uint32_t txn, Check check) {
    std::set<uint64_t> own;
    for (const HistoryOp& op : Txn(txn).ops) {
      if (op.kind == HistoryOp::Kind::kAppend) {
        own.insert(op.key);
      } else if (own.count(op.key) == 0) {
        check(op, op.read_ts != 0 ? op.read_ts : Txn(txn).start_ts);
      }
    }
  }

  void CheckVisibility(uint32_t txn) {
    ForEachExternalRead(txn, [&](const HistoryOp& op, uint64_t read_ts) {
      ++report_.reads_checked;
      uint64_t expected = 0;
      if (const auto found = versions_.find(op.key); found != versions_.end()) {
        const auto& versions = found->second;
        const auto after = std::upper_bound(versions.begin(), versions.end(), Version{read_ts, 0});
        if (after != versions.begin()) expected = std::prev(after)->ts;
      }
      if (op.version_ts == expected) return;
      Violated("rule 1 (visibility): " + Place(txn, op.key) + " at " + std::to_string(read_ts) +
               " saw version " + std::to_string(op.version_ts) + ", expected " +
               std::to_string(expected));
    });
  }

  void CheckFirstCommitterWins() {
    for (const auto& [key, versions] : versions_) {
      for (size_t i = 1; i < versions.size(); ++i) {
        const uint64_t start = Txn(versions[i].writer).start_ts;
        if (start >= versions[i - 1].ts) continue;
        Violated("rule 2 (first committer wins): " + Place(versions[i].writer, key) + " began at " +
                 std::to_string(start) + " and replaced the version of T" +
                 std::to_string(versions[i - 1].writer) + " committed at " +
                 std::to_string(versions[i - 1].ts));
      }
    }
  }

  // Sweep in order of time: the highest commit acknowledged so far bounds every later start.
  void CheckRealTime() {
    std::vector<uint32_t> by_begin, by_end;
    for (uint32_t txn = 0; txn < history_.txns.size(); ++txn) {
      by_begin.push_back(txn);
      if (Txn(txn).outcome == TxnOutcome::kCommitted && Wrote(Txn(txn))) by_end.push_back(txn);
    }
    std::sort(by_begin.begin(), by_begin.end(),
              [&](uint32_t a, uint32_t b) { return Txn(a).begin_time < Txn(b).begin_time; });
    std::sort(by_end.begin(), by_end.end(),
              [&](uint32_t a, uint32_t b) { return Txn(a).end_time < Txn(b).end_time; });
    size_t ended = 0;
    uint64_t newest = 0;
    uint32_t newest_txn = 0;
    for (const uint32_t txn : by_begin) {
      for (; ended < by_end.size() && Txn(by_end[ended]).end_time < Txn(txn).begin_time; ++ended) {
        if (Txn(by_end[ended]).commit_ts <= newest) continue;
        newest = Txn(by_end[ended]).commit_ts;
        newest_txn = by_end[ended];
      }
      if (newest <= Txn(txn).start_ts) continue;
      Violated("rule 3 (real time): T" + std::to_string(txn) + " began at " +
               std::to_string(Txn(txn).start_ts) + " after T" + std::to_string(newest_txn) +
               " was acknowledged at " + std::to_string(newest));
    }
  }

  void CheckLogOrder() {
    const auto& log = options_.log_order;
    if (log.empty()) return;
    for (size_t i = 1; i < log.size(); ++i) {
      if (log[i - 1] < log[i]) continue;
      Violated("rule 4 (commit order): the log holds " + std::to_string(log[i - 1]) + " before " +
               std::to_string(log[i]));
    }
    const std::set<uint64_t> logged(log.begin(), log.end());
    for (uint32_t txn = 0; txn < history_.txns.size(); ++txn) {
      if (Txn(txn).outcome != TxnOutcome::kCommitted || !Wrote(Txn(txn))) continue;
      if (logged.count(Txn(txn).commit_ts) != 0) continue;
      Violated("rule 4 (commit order): T" + std::to_string(txn) + " committed at " +
               std::to_string(Txn(txn).commit_ts) + " is not in the log");
    }
  }

  void CheckReadsStillNewest(uint32_t txn) {
    const uint64_t commit = Txn(txn).commit_ts;
    if (!Wrote(Txn(txn))) return;
    ForEachExternalRead(txn, [&](const HistoryOp& op, uint64_t) {
      const auto found = versions_.find(op.key);
      if (found == versions_.end()) return;
      const auto& versions = found->second;
      const auto next =
          std::upper_bound(versions.begin(), versions.end(), Version{op.version_ts, 0});
      if (next == versions.end() || next->ts >= commit) return;
      Violated("rule 5 (reads newest at commit): " + Place(txn, op.key) + " read version " +
               std::to_string(op.version_ts) + " and committed at " + std::to_string(commit) +
               " after T" + std::to_string(next->writer) + " had replaced it at " +
               std::to_string(next->ts));
    });
  }

  const History& history_;
  const WhiteBoxOptions& options_;
  WhiteBoxReport report_;
  std::unordered_map<uint64_t, std::vector<Version>> versions_;
};

std::string EntriesText(const std::vector<IndexEntry>& entries) {
  std::string text;
  for (size_t i = 0; i < entries.size() && i < 5; ++i) {
    text += " (" + entries[i].key + ", " + std::to_string(entries[i].id) + ")";
  }
  return text + (entries.size() > 5 ? " ..." : "");
}

}  // namespace

std::string WhiteBoxReport::ToString() const {
  if (ok()) return "clean, " + std::to_string(reads_checked) + " reads";
  std::string text = std::to_string(violation_count) + " violations\n";
  for (const std::string& line : violations) text += line + "\n";
  return text;
}

WhiteBoxReport CheckWhiteBox(const History& history, const WhiteBoxOptions& options) {
  return WhiteBoxChecker(history, options).Check();
}

std::string CompareIndexWithRecords(std::vector<IndexEntry> index,
                                    std::vector<IndexEntry> records) {
  std::sort(index.begin(), index.end());
  std::sort(records.begin(), records.end());
  std::vector<IndexEntry> extra, missing;
  std::set_difference(index.begin(), index.end(), records.begin(), records.end(),
                      std::back_inserter(extra));
  std::set_difference(records.begin(), records.end(), index.begin(), index.end(),
                      std::back_inserter(missing));
  std::string text;
  if (!missing.empty()) {
    text += std::to_string(missing.size()) + " records not in the index:" + EntriesText(missing);
  }
  if (!extra.empty()) {
    text += (text.empty() ? "" : "; ") + std::to_string(extra.size()) +
            " entries without a record:" + EntriesText(extra);
  }
  return text;
}

}  // namespace flagstone::testkit
