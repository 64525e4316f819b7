#include "tests/support/append_workload.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <iterator>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "tests/support/seeded_random.h"

namespace flagstone::testkit {
namespace {

// Which keys are active, and the next value of each.
class KeyRing {
 public:
  KeyRing(uint32_t active_keys, uint32_t appends_per_key)
      : appends_per_key_(std::min(appends_per_key, AppendList::kValuesMax)) {
    for (uint32_t i = 0; i < active_keys; ++i) active_.push_back({NewKey(), 0});
  }

  uint64_t KeyToRead(uint32_t choice) {
    const std::lock_guard lock(mutex_);
    return active_[choice % active_.size()].key;
  }
  // Takes one of the appends the key has left.
  std::pair<uint64_t, uint32_t> TakeAppend(uint32_t choice) {
    const std::lock_guard lock(mutex_);
    ActiveKey& active = active_[choice % active_.size()];
    const std::pair<uint64_t, uint32_t> taken = {active.key, ++active.appends};
    if (active.appends == appends_per_key_) active = {NewKey(), 0};
    return taken;
  }
  uint64_t key_count() const { return key_count_; }

 private:
  struct ActiveKey {
    uint64_t key;
    uint32_t appends;
  };
  uint64_t NewKey() { return ++key_count_; }

  const uint32_t appends_per_key_;
  std::mutex mutex_;
  uint64_t key_count_ = 0;
  std::vector<ActiveKey> active_;
};

uint64_t Now() {
  return static_cast<uint64_t>(std::chrono::steady_clock::now().time_since_epoch().count());
}

// One session's transactions, one step at a time.
class SessionDriver {
 public:
  SessionDriver(const AppendWorkloadOptions& options, uint32_t index,
                std::unique_ptr<AppendSession> session, KeyRing& keys)
      : options_(options),
        index_(index),
        session_(std::move(session)),
        keys_(keys),
        random_(options.seed, index + 1) {}

  bool in_txn() const { return in_txn_; }
  const std::string& error() const { return error_; }
  std::vector<HistoryTxn>& txns() { return txns_; }

  // Begins, does one operation, or ends. Returns false after an error.
  bool Step() {
    if (!in_txn_) {
      Begin();
    } else if (ops_left_ > 0) {
      --ops_left_;
      const bool goes_on = random_.OneIn(2) ? Append() : ReadOnly();
      if (!goes_on) AbortTxn();
    } else if (random_.OneIn(options_.abort_one_in)) {
      AbortTxn();
    } else {
      Commit();
    }
    return error_.empty();
  }

  // The last word: what every key holds.
  void ReadEverything() {
    Begin();
    for (uint64_t key = 1; key <= keys_.key_count(); ++key) {
      if (in_txn_ && !Read(key).second) AbortTxn();
    }
    if (in_txn_) Commit();
  }

 private:
  void Begin() {
    txn_ = HistoryTxn();
    txn_.session = index_;
    txn_.begin_time = Now();
    const StepOutcome outcome = session_->Begin(options_.level);
    if (outcome != StepOutcome::kOk) return Fail("begin", 0, outcome);
    in_txn_ = true;
    ops_left_ = 1 + random_.Below(options_.ops_per_txn_max);
  }

  std::pair<AppendRead, bool> Read(uint64_t key) {
    AppendRead read = session_->Read(key);
    if (read.outcome == StepOutcome::kAbsent) read.list.count = 0;
    if (read.outcome == StepOutcome::kConflict) return {read, false};
    if (read.outcome != StepOutcome::kOk && read.outcome != StepOutcome::kAbsent) {
      Fail("read", key, read.outcome);
      return {read, false};
    }
    if (read.list.count > AppendList::kValuesMax) {
      Fail("read of an impossible list length", key, read.outcome);
      return {read, false};
    }
    HistoryOp op = HistoryOp::Read(
        key, {read.list.values.begin(), read.list.values.begin() + read.list.count});
    op.version_ts = read.version_ts;
    op.read_ts = read.read_ts;
    txn_.ops.push_back(std::move(op));
    return {read, true};
  }
  bool ReadOnly() { return Read(keys_.KeyToRead(random_.Below(1u << 30))).second; }

  bool Append() {
    const auto [key, value] = keys_.TakeAppend(random_.Below(1u << 30));
    auto [read, goes_on] = Read(key);
    if (!goes_on) return false;
    if (read.list.count == AppendList::kValuesMax) {
      Fail("append to a list that has grown too long", key, StepOutcome::kOk);
      return false;
    }
    read.list.values[read.list.count++] = value;
    const StepOutcome outcome = session_->Write(key, read.list);
    // A refused write is evidence too: nobody may ever see the value.
    txn_.ops.push_back(HistoryOp::Append(key, value));
    if (outcome == StepOutcome::kOk) return true;
    // Under read committed, what was absent when it was read may have been inserted since.
    const bool overtaken =
        options_.level == IsolationLevel::kReadCommitted && outcome == StepOutcome::kExists;
    if (outcome != StepOutcome::kConflict && !overtaken) Fail("write", key, outcome);
    return false;
  }

  void Commit() {
    const StepOutcome outcome = session_->Commit();
    if (outcome == StepOutcome::kOk) {
      End(TxnOutcome::kCommitted);
    } else if (outcome == StepOutcome::kIndeterminate) {
      End(TxnOutcome::kIndeterminate);
    } else {
      if (outcome != StepOutcome::kConflict) Fail("commit", 0, outcome);
      AbortTxn();
    }
  }

  void AbortTxn() {
    session_->Abort();
    End(TxnOutcome::kAborted);
  }
  void End(TxnOutcome outcome) {
    // The clock tells threads apart faster than a store reaches them: the commit's last store
    // leaves this processor's store buffer first, as it does before anything else this thread
    // stores.
    stores_have_left_.exchange(true, std::memory_order_seq_cst);
    txn_.end_time = Now();
    txn_.outcome = outcome;
    const TxnTimestamps timestamps = session_->timestamps();
    txn_.start_ts = timestamps.start_ts;
    txn_.commit_ts = outcome == TxnOutcome::kAborted ? 0 : timestamps.commit_ts;
    txns_.push_back(std::move(txn_));
    in_txn_ = false;
  }

  void Fail(const char* what, uint64_t key, StepOutcome outcome) {
    if (!error_.empty()) return;
    error_ = "session " + std::to_string(index_) + ", transaction " + std::to_string(txns_.size()) +
             ": " + what + " of k=" + std::to_string(key) + " answered " +
             std::string(StepOutcomeName(outcome));
  }

  const AppendWorkloadOptions& options_;
  const uint32_t index_;
  std::unique_ptr<AppendSession> session_;
  KeyRing& keys_;
  SeededRandom random_;
  std::atomic<bool> stores_have_left_{false};
  bool in_txn_ = false;
  uint32_t ops_left_ = 0;
  HistoryTxn txn_;
  std::vector<HistoryTxn> txns_;
  std::string error_;
};

using Drivers = std::vector<std::unique_ptr<SessionDriver>>;

void RunThreads(const AppendWorkloadOptions& options, Drivers& drivers) {
  std::atomic<uint32_t> begun{0};
  std::vector<std::thread> threads;
  for (uint32_t i = 0; i < drivers.size(); ++i) {
    threads.emplace_back([&, i] {
      SessionDriver& driver = *drivers[i];
      SeededRandom noise(options.seed, 1'000 + i);
      while (driver.in_txn() || begun.fetch_add(1, std::memory_order_relaxed) < options.txns) {
        do {
          if (!driver.Step()) return;
          // Few processors run few threads at once: giving the turn away inside of transactions
          // is what makes them overlap.
          if (noise.OneIn(2)) std::this_thread::yield();
        } while (driver.in_txn());
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

void RunInterleaved(const AppendWorkloadOptions& options, Drivers& drivers) {
  SeededRandom turns(options.seed, 0);
  uint32_t begun = 0;
  for (;;) {
    Drivers::value_type& driver = drivers[turns.Below(static_cast<uint32_t>(drivers.size()))];
    if (!driver->in_txn() && begun++ >= options.txns) break;
    if (!driver->Step()) return;
  }
  for (auto& driver : drivers) {
    while (driver->in_txn() && driver->Step()) {
    }
  }
}

}  // namespace

AppendWorkloadResult RunAppendWorkload(const AppendWorkloadOptions& options,
                                       const AppendSessionFactory& open_session) {
  KeyRing keys(options.active_keys, options.appends_per_key);
  Drivers drivers;
  for (uint32_t i = 0; i < options.sessions; ++i) {
    drivers.push_back(std::make_unique<SessionDriver>(options, i, open_session(i), keys));
  }
  if (options.scheduling == SessionScheduling::kThreads) {
    RunThreads(options, drivers);
  } else {
    RunInterleaved(options, drivers);
  }

  AppendWorkloadResult result;
  std::vector<HistoryTxn>& txns = result.history.txns;
  for (auto& driver : drivers) {
    if (result.error.empty()) result.error = driver->error();
    std::move(driver->txns().begin(), driver->txns().end(), std::back_inserter(txns));
    driver->txns().clear();
  }
  for (const HistoryTxn& txn : txns) {
    result.committed += txn.outcome == TxnOutcome::kCommitted ? 1 : 0;
    result.conflicts += txn.outcome == TxnOutcome::kAborted ? 1 : 0;
  }
  if (result.error.empty()) {
    SessionDriver& last = *drivers.front();
    last.ReadEverything();
    result.error = last.error();
    std::move(last.txns().begin(), last.txns().end(), std::back_inserter(txns));
    result.history.ends_with_full_read = txns.back().outcome == TxnOutcome::kCommitted;
    if (!result.history.ends_with_full_read && result.error.empty()) {
      result.error = "the final read of every key did not commit";
    }
  }
  result.description = "seed " + std::to_string(options.seed) + ", " +
                       std::to_string(options.sessions) + " sessions, " +
                       std::string(IsolationLevelName(options.level)) + ", " +
                       std::to_string(result.committed + result.conflicts) + " transactions (" +
                       std::to_string(result.committed) + " committed, " +
                       std::to_string(result.conflicts) + " aborted)";
  return result;
}

}  // namespace flagstone::testkit
