// A multi-version engine of a hundred lines behind one mutex, correct at every level, and broken in
// one of many ways on request: it shows that the isolation tests find what they are for.
#ifndef FLAGSTONE_TESTS_UNIT_TESTKIT_TOY_MVCC_H_
#define FLAGSTONE_TESTS_UNIT_TESTKIT_TOY_MVCC_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "tests/support/isolation_subject.h"

namespace flagstone::testkit {

enum class ToyBug : uint8_t {
  kNone,
  kNoFirstCommitterWins,  // commit never looks for newer versions of what it replaces
  kChecksFirstKeyOnly,    // ... only for its first key
  kReadsLatest,           // reads ignore the snapshot
  kDirtyReads,            // reads see what others have not committed
  kReclaimsTooEarly,      // keeps the two newest versions whatever snapshots need
  kValidateThenInstall,   // commit lets others in between its check and its writes
  kNoReadValidation,      // serializable does not look at what it read
  kAbsentKeysNotTracked,  // ... not at what it found absent
  kStaleSnapshot,         // begin takes a timestamp from a while ago
  kLosesWrites,           // now and then a commit forgets its last write
  kScansNotTracked,       // serializable does not look at what it scanned
  kInstallsHalf,          // a commit's first write is visible before the others
  kUniqueNotChecked,      // two records may get one unique value
  kAbortLeaks,            // an aborted transaction leaves its first write
};

class ToyMvcc {
 public:
  using Content = std::optional<AppendList>;

  explicit ToyMvcc(ToyBug bug) : bug_(bug) {}

  struct Txn {
    IsolationLevel level = IsolationLevel::kSnapshot;
    uint64_t start_ts = 0;
    uint64_t commit_ts = 0;
    bool open = false;
    std::map<uint64_t, uint64_t> reads;  // key -> timestamp of the version seen
    std::vector<uint64_t> write_order;
    std::map<uint64_t, Content> writes;
    std::vector<std::pair<ValuePredicate, std::vector<std::pair<uint64_t, Value>>>> scans;
  };
  struct Seen {
    Content content;
    uint64_t ts = 0;
    uint64_t read_ts = 0;
  };

  void Begin(Txn& txn, IsolationLevel level) {
    const std::lock_guard lock(mutex_);
    txn = Txn();
    txn.level = level;
    txn.open = true;
    txn.start_ts = bug_ == ToyBug::kStaleSnapshot && clock_ > 6 ? clock_ - 6 : clock_;
    open_.insert(&txn);
  }

  Seen Read(Txn& txn, uint64_t key) {
    const std::lock_guard lock(mutex_);
    const Seen seen = Look(txn, key);
    if (bug_ != ToyBug::kAbsentKeysNotTracked || seen.ts != 0) txn.reads.emplace(key, seen.ts);
    return seen;
  }

  std::vector<std::pair<uint64_t, Value>> Scan(Txn& txn, const ValuePredicate& matches) {
    const std::lock_guard lock(mutex_);
    auto found = Matching(txn, matches);
    // Remembered as others see it: own writes are no reason to fail.
    if (bug_ != ToyBug::kScansNotTracked) {
      Txn others = txn;
      others.writes.clear();
      txn.scans.emplace_back(matches, Matching(others, matches));
    }
    return found;
  }

  void Write(Txn& txn, uint64_t key, Content content) {
    const std::lock_guard lock(mutex_);
    if (txn.writes.insert_or_assign(key, std::move(content)).second) txn.write_order.push_back(key);
  }

  bool Commit(Txn& txn) {
    std::unique_lock lock(mutex_);
    if (!Validates(txn)) return false;
    if (bug_ == ToyBug::kValidateThenInstall) {
      lock.unlock();
      for (int i = 0; i < 4; ++i) std::this_thread::yield();
      lock.lock();
    }
    Install(txn);
    Close(txn);
    return true;
  }

  // `during` runs when the commit has begun and has not returned.
  bool CommitWith(Txn& txn, const std::function<void()>& during) {
    if (bug_ != ToyBug::kInstallsHalf) {
      during();
      return Commit(txn);
    }
    Txn first = txn;
    first.write_order.resize(1);
    txn.write_order.erase(txn.write_order.begin());
    {
      const std::lock_guard lock(mutex_);
      Install(first);
    }
    during();
    const std::lock_guard lock(mutex_);
    Install(txn);
    Close(txn);
    return true;
  }

  // From now on no two records may hold the same value.
  void RequireUniqueValues() { unique_values_ = true; }

  std::string Describe() {
    const std::lock_guard lock(mutex_);
    Txn now;
    now.start_ts = clock_;
    std::string text;
    for (const auto& [key, value] : Matching(now, [](Value) { return true; })) {
      text += std::to_string(key) + "=" + std::to_string(value) + " ";
    }
    return text;
  }

  void Abort(Txn& txn) {
    const std::lock_guard lock(mutex_);
    if (bug_ == ToyBug::kAbortLeaks && txn.open && !txn.write_order.empty()) {
      txn.write_order.resize(1);
      Install(txn);
    }
    Close(txn);
  }

 private:
  struct Version {
    uint64_t ts;
    Content content;
  };

  Seen Look(const Txn& txn, uint64_t key) const {
    if (const auto own = txn.writes.find(key); own != txn.writes.end()) {
      return {own->second, txn.start_ts, txn.start_ts};
    }
    if (bug_ == ToyBug::kDirtyReads) {
      for (const Txn* other : open_) {
        const auto dirty = other->writes.find(key);
        if (dirty != other->writes.end()) return {dirty->second, other->start_ts, txn.start_ts};
      }
    }
    const bool latest = bug_ == ToyBug::kReadsLatest || txn.level == IsolationLevel::kReadCommitted;
    const uint64_t read_ts = latest ? clock_ : txn.start_ts;
    const uint64_t reported = txn.level == IsolationLevel::kReadCommitted ? read_ts : txn.start_ts;
    const auto versions = versions_.find(key);
    if (versions == versions_.end()) return {std::nullopt, 0, reported};
    for (auto version = versions->second.rbegin(); version != versions->second.rend(); ++version) {
      if (version->ts <= read_ts) return {version->content, version->ts, reported};
    }
    return {std::nullopt, 0, reported};
  }

  std::vector<std::pair<uint64_t, Value>> Matching(const Txn& txn,
                                                   const ValuePredicate& matches) const {
    std::set<uint64_t> keys;
    for (const auto& [key, versions] : versions_) keys.insert(key);
    for (const auto& [key, content] : txn.writes) keys.insert(key);
    std::vector<std::pair<uint64_t, Value>> found;
    for (const uint64_t key : keys) {
      const Content content = Look(txn, key).content;
      if (content.has_value() && matches(content->values[0])) {
        found.emplace_back(key, content->values[0]);
      }
    }
    return found;
  }

  uint64_t NewestTs(uint64_t key) const {
    const auto versions = versions_.find(key);
    return versions == versions_.end() ? 0 : versions->second.back().ts;
  }

  bool Validates(const Txn& txn) const {
    if (unique_values_ && bug_ != ToyBug::kUniqueNotChecked && TakesTakenValue(txn)) return false;
    if (txn.level == IsolationLevel::kReadCommitted) return true;
    for (const uint64_t key : txn.write_order) {
      if (bug_ == ToyBug::kNoFirstCommitterWins) break;
      if (NewestTs(key) > txn.start_ts) return false;
      if (bug_ == ToyBug::kChecksFirstKeyOnly) break;
    }
    if (txn.level != IsolationLevel::kSerializable || txn.writes.empty()) return true;
    if (bug_ == ToyBug::kNoReadValidation) return true;
    for (const auto& [key, ts] : txn.reads) {
      if (txn.writes.count(key) == 0 && NewestTs(key) > txn.start_ts) return false;
    }
    Txn now;
    now.start_ts = clock_;
    for (const auto& [matches, found] : txn.scans) {
      if (Matching(now, matches) != found) return false;
    }
    return true;
  }

  bool TakesTakenValue(const Txn& txn) const {
    Txn after;
    after.start_ts = clock_;
    after.writes = txn.writes;
    std::set<Value> values;
    for (const auto& [key, value] : Matching(after, [](Value) { return true; })) {
      if (!values.insert(value).second) return true;
    }
    return false;
  }

  void Install(Txn& txn) {
    if (txn.writes.empty()) return;
    txn.commit_ts = ++clock_;
    size_t installed = 0;
    for (const uint64_t key : txn.write_order) {
      const bool last = ++installed == txn.write_order.size();
      if (bug_ == ToyBug::kLosesWrites && last && clock_ % 40 == 0) continue;
      auto& versions = versions_[key];
      versions.push_back({clock_, txn.writes[key]});
      if (bug_ == ToyBug::kReclaimsTooEarly && versions.size() > 2)
        versions.erase(versions.begin());
    }
  }

  void Close(Txn& txn) {
    open_.erase(&txn);
    txn.open = false;
  }

  const ToyBug bug_;
  bool unique_values_ = false;
  std::mutex mutex_;
  uint64_t clock_ = 0;
  std::map<uint64_t, std::vector<Version>> versions_;
  std::set<Txn*> open_;
};

class ToyAppendSession : public AppendSession {
 public:
  explicit ToyAppendSession(ToyMvcc& store) : store_(store) {}

  StepOutcome Begin(IsolationLevel level) override {
    store_.Begin(txn_, level);
    return StepOutcome::kOk;
  }
  AppendRead Read(uint64_t key) override {
    const ToyMvcc::Seen seen = store_.Read(txn_, key);
    AppendRead read;
    if (seen.content.has_value()) {
      read.list = *seen.content;
    } else {
      read.outcome = StepOutcome::kAbsent;
    }
    read.version_ts = seen.ts;
    read.read_ts = seen.read_ts;
    return read;
  }
  StepOutcome Write(uint64_t key, const AppendList& list) override {
    store_.Write(txn_, key, list);
    return StepOutcome::kOk;
  }
  StepOutcome Commit() override {
    return store_.Commit(txn_) ? StepOutcome::kOk : StepOutcome::kConflict;
  }
  void Abort() override { store_.Abort(txn_); }
  TxnTimestamps timestamps() const override { return {txn_.start_ts, txn_.commit_ts}; }

 private:
  ToyMvcc& store_;
  ToyMvcc::Txn txn_;
};

class ToySubject : public IsolationSubject {
 public:
  enum class Values : uint8_t { kAny, kUnique };
  explicit ToySubject(ToyBug bug, Values values = Values::kAny) : store_(bug), values_(values) {
    if (values == Values::kUnique) store_.RequireUniqueValues();
  }

  bool Has(Capability capability) const override {
    return capability != Capability::kUniqueValue || values_ == Values::kUnique;
  }
  TxnHandle Begin(IsolationLevel level) override {
    txns_.push_back(std::make_unique<ToyMvcc::Txn>());
    store_.Begin(*txns_.back(), level);
    return static_cast<TxnHandle>(txns_.size() - 1);
  }
  ReadStep Read(TxnHandle txn, uint64_t key) override {
    const ToyMvcc::Seen seen = store_.Read(*txns_[txn], key);
    if (!seen.content.has_value()) return {StepOutcome::kAbsent, 0};
    return {StepOutcome::kOk, seen.content->values[0]};
  }
  StepOutcome Write(TxnHandle txn, uint64_t key, Value value) override {
    if (Read(txn, key).outcome == StepOutcome::kAbsent) return StepOutcome::kAbsent;
    Put(txn, key, value);
    return StepOutcome::kOk;
  }
  StepOutcome Insert(TxnHandle txn, uint64_t key, Value value) override {
    if (Read(txn, key).outcome == StepOutcome::kOk) return StepOutcome::kExists;
    Put(txn, key, value);
    return StepOutcome::kOk;
  }
  StepOutcome Delete(TxnHandle txn, uint64_t key) override {
    if (Read(txn, key).outcome == StepOutcome::kAbsent) return StepOutcome::kAbsent;
    store_.Write(*txns_[txn], key, std::nullopt);
    return StepOutcome::kOk;
  }
  StepOutcome Commit(TxnHandle txn) override {
    return store_.Commit(*txns_[txn]) ? StepOutcome::kOk : StepOutcome::kConflict;
  }
  void Abort(TxnHandle txn) override { store_.Abort(*txns_[txn]); }
  StepOutcome CommitWith(TxnHandle txn, const std::function<void()>& during) override {
    return store_.CommitWith(*txns_[txn], during) ? StepOutcome::kOk : StepOutcome::kConflict;
  }
  std::string DescribeIndexes() override { return store_.Describe(); }
  ScanStep Scan(TxnHandle txn, const ValuePredicate& matches) override {
    return {StepOutcome::kOk, store_.Scan(*txns_[txn], matches)};
  }
  ScanStep ReverseScan(TxnHandle txn, const ValuePredicate& matches) override {
    return Scan(txn, matches);
  }

 private:
  void Put(TxnHandle txn, uint64_t key, Value value) {
    AppendList list;
    list.count = 1;
    list.values[0] = static_cast<uint32_t>(value);
    store_.Write(*txns_[txn], key, list);
  }

  ToyMvcc store_;
  const Values values_;
  std::vector<std::unique_ptr<ToyMvcc::Txn>> txns_;
};

}  // namespace flagstone::testkit

#endif  // FLAGSTONE_TESTS_UNIT_TESTKIT_TOY_MVCC_H_
