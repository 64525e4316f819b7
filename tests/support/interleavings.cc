#include <algorithm>
#include <array>
#include <map>
#include <memory>
#include <optional>
#include <set>

#include "tests/support/hermitage.h"

namespace flagstone::testkit {
namespace {

using State = std::map<uint64_t, Value>;
using Writes = std::map<uint64_t, std::optional<Value>>;
using Kind = ScriptStep::Kind;

std::optional<Value> Find(const State& state, uint64_t key) {
  const auto found = state.find(key);
  return found == state.end() ? std::nullopt : std::optional<Value>(found->second);
}
void Apply(const Writes& writes, State& state) {
  for (const auto& [key, value] : writes) {
    if (value.has_value()) {
      state[key] = *value;
    } else {
      state.erase(key);
    }
  }
}

std::string StepText(const ScriptStep& step) {
  const std::string key = std::to_string(step.key);
  const std::string value = std::to_string(step.value);
  switch (step.kind) {
    case Kind::kRead: return "r(" + key + ")";
    case Kind::kWrite: return "w(" + key + "," + value + ")";
    case Kind::kAdd: return "add(" + key + "," + value + ")";
    case Kind::kInsert: return "ins(" + key + "," + value + ")";
    case Kind::kDelete: return "del(" + key + ")";
    case Kind::kCommit: return "c";
    case Kind::kAbort: return "a";
  }
  return "?";
}

struct StepResult {
  StepOutcome outcome = StepOutcome::kOk;
  Value value = 0;
  bool operator==(const StepResult&) const = default;
};

// What a transaction should answer, given what it may see of others.
struct Expectation {
  Writes own;
  std::map<uint64_t, Value> last_read;

  std::optional<Value> Look(const State& others, uint64_t key) const {
    const auto mine = own.find(key);
    return mine == own.end() ? Find(others, key) : mine->second;
  }
  Value ToWrite(const ScriptStep& step) const {
    if (step.kind != Kind::kAdd) return step.value;
    const auto read = last_read.find(step.key);
    return (read == last_read.end() ? 0 : read->second) + step.value;
  }
  StepResult Next(const ScriptStep& step, const State& others) {
    const std::optional<Value> before = Look(others, step.key);
    switch (step.kind) {
      case Kind::kRead:
        if (!before.has_value()) return {StepOutcome::kAbsent, 0};
        last_read[step.key] = *before;
        return {StepOutcome::kOk, *before};
      case Kind::kWrite:
      case Kind::kAdd:
        if (!before.has_value()) return {StepOutcome::kAbsent, 0};
        own[step.key] = ToWrite(step);
        return {};
      case Kind::kInsert:
        if (before.has_value()) return {StepOutcome::kExists, 0};
        own[step.key] = step.value;
        return {};
      case Kind::kDelete:
        if (!before.has_value()) return {StepOutcome::kAbsent, 0};
        own[step.key] = std::nullopt;
        return {};
      case Kind::kCommit:
      case Kind::kAbort: return {};
    }
    return {};
  }
};

// One interleaving on one engine.
class InterleavingRun {
 public:
  InterleavingRun(IsolationSubject& subject, const SessionScripts& scripts, IsolationLevel level,
                  InterleavingReport& report)
      : subject_(subject), level_(level), report_(report) {
    txns_[0].script = &scripts.first;
    txns_[1].script = &scripts.second;
  }

  // order[i]: which session makes the i-th step.
  void Run(const std::vector<uint8_t>& order) {
    SetUp();
    for (const uint8_t session : order) Step(txns_[session]);
    JudgeCommits();
    JudgeFinalState();
    ++report_.interleavings;
    if (failure_.empty()) return;
    if (report_.failure_count++ < 10) report_.failures.push_back(failure_ + "; " + steps_text_);
  }

 private:
  enum class End : uint8_t { kOpen, kCommitted, kGaveUp, kConflict };
  struct Txn {
    const std::vector<ScriptStep>* script = nullptr;
    TxnHandle handle = 0;
    bool begun = false;
    size_t next = 0;
    End end = End::kOpen;
    uint32_t begin_position = 0;
    uint32_t end_position = 0;
    State snapshot;
    Expectation expectation;
    std::vector<StepResult> results;
  };

  void Fail(const std::string& what) {
    if (failure_.empty()) failure_ = what;
  }
  std::string NameOf(const Txn& txn) const { return &txn == &txns_[0] ? "T1" : "T2"; }

  void SetUp() {
    committed_ = {{1, 10}, {2, 20}};
    initial_ = committed_;
    const TxnHandle setup = subject_.Begin(IsolationLevel::kSnapshot);
    for (const auto& [key, value] : initial_) {
      if (subject_.Insert(setup, key, value) != StepOutcome::kOk) Fail("set-up could not insert");
    }
    if (subject_.Commit(setup) != StepOutcome::kOk) Fail("set-up could not commit");
  }

  void Step(Txn& txn) {
    ++position_;
    if (!txn.begun) {
      steps_text_ += NameOf(txn) + " b, ";
      txn.handle = subject_.Begin(level_);
      txn.begun = true;
      txn.begin_position = position_;
      txn.snapshot = committed_;
      return;
    }
    const ScriptStep& step = (*txn.script)[txn.next++];
    if (txn.end != End::kOpen) return;  // aborted by a conflict
    Expectation& expectation = txn.expectation;
    const Value to_write = expectation.ToWrite(step);
    const bool sees_latest = level_ == IsolationLevel::kReadCommitted;
    const StepResult found = Perform(txn, step, to_write);
    steps_text_ += NameOf(txn) + " " + StepText(step) + "=" +
                   std::string(StepOutcomeName(found.outcome)) +
                   (step.kind == Kind::kRead && found.outcome == StepOutcome::kOk
                        ? ":" + std::to_string(found.value)
                        : "") +
                   ", ";
    if (found.outcome == StepOutcome::kConflict) return EndTxn(txn, End::kConflict);
    const StepResult expected = expectation.Next(step, sees_latest ? committed_ : txn.snapshot);
    txn.results.push_back(found);
    if (found != expected) {
      Fail(NameOf(txn) + " " + StepText(step) + " answered " +
           std::string(StepOutcomeName(found.outcome)) + " " + std::to_string(found.value) +
           ", expected " + std::string(StepOutcomeName(expected.outcome)) + " " +
           std::to_string(expected.value));
    }
    if (step.kind == Kind::kCommit) EndTxn(txn, End::kCommitted);
    if (step.kind == Kind::kAbort) EndTxn(txn, End::kGaveUp);
  }

  StepResult Perform(Txn& txn, const ScriptStep& step, Value to_write) {
    switch (step.kind) {
      case Kind::kRead: {
        const ReadStep read = subject_.Read(txn.handle, step.key);
        return {read.outcome, read.outcome == StepOutcome::kOk ? read.value : 0};
      }
      case Kind::kWrite:
      case Kind::kAdd: return {subject_.Write(txn.handle, step.key, to_write), 0};
      case Kind::kInsert: return {subject_.Insert(txn.handle, step.key, step.value), 0};
      case Kind::kDelete: return {subject_.Delete(txn.handle, step.key), 0};
      case Kind::kCommit: return {subject_.Commit(txn.handle), 0};
      case Kind::kAbort: subject_.Abort(txn.handle); return {};
    }
    return {};
  }

  void EndTxn(Txn& txn, End end) {
    txn.end = end;
    txn.end_position = position_;
    if (end == End::kCommitted) {
      Apply(txn.expectation.own, committed_);
      ++report_.committed;
    } else if (end == End::kConflict) {
      subject_.Abort(txn.handle);
      ++report_.conflicts;
    }
  }

  static std::set<uint64_t> KeysOf(const Txn& txn, bool with_reads) {
    std::set<uint64_t> keys;
    for (const ScriptStep& step : *txn.script) {
      const bool ends = step.kind == Kind::kCommit || step.kind == Kind::kAbort;
      if (!ends && (with_reads || step.kind != Kind::kRead)) keys.insert(step.key);
    }
    return keys;
  }
  static bool Intersect(const std::set<uint64_t>& a, const std::set<uint64_t>& b) {
    return std::any_of(a.begin(), a.end(), [&](uint64_t key) { return b.count(key) != 0; });
  }

  void JudgeCommits() {
    Txn& t1 = txns_[0];
    Txn& t2 = txns_[1];
    const bool overlap = t1.begin_position < t2.end_position && t2.begin_position < t1.end_position;
    if (t1.end == End::kConflict || t2.end == End::kConflict) {
      const bool reads_count = level_ == IsolationLevel::kSerializable;
      const bool reason = overlap && (Intersect(KeysOf(t1, reads_count), KeysOf(t2, false)) ||
                                      Intersect(KeysOf(t1, false), KeysOf(t2, reads_count)));
      if (!reason) {
        ++report_.false_conflicts;
        Fail("a conflict without a reason");
      }
      if (t1.end == t2.end) Fail("both sessions were told of a conflict: nobody was first");
    }
    if (t1.end != End::kCommitted || t2.end != End::kCommitted) return;
    if (overlap && level_ != IsolationLevel::kReadCommitted) {
      for (const auto& [key, value] : t1.expectation.own) {
        if (t2.expectation.own.count(key) == 0) continue;
        Fail("both replaced record " + std::to_string(key) + " without seeing the other");
      }
    }
    const bool first_second = t1.begin_position < t2.end_position && ExplainedBy(t1, t2);
    const bool second_first = t2.begin_position < t1.end_position && ExplainedBy(t2, t1);
    if (first_second || second_first) return;
    ++report_.not_serializable;
    if (level_ == IsolationLevel::kSerializable) Fail("no serial order explains what both saw");
  }

  // Whether running `a` and then `b` alone gives the same answers and the same end.
  bool ExplainedBy(const Txn& a, const Txn& b) const {
    State state = initial_;
    for (const Txn* txn : {&a, &b}) {
      Expectation alone;
      for (size_t i = 0; i < txn->results.size(); ++i) {
        if (alone.Next((*txn->script)[i], state) != txn->results[i]) return false;
      }
      Apply(alone.own, state);
    }
    return state == committed_;
  }

  void JudgeFinalState() {
    const TxnHandle last = subject_.Begin(IsolationLevel::kSnapshot);
    for (uint64_t key = 1; key <= 5; ++key) {
      const ReadStep read = subject_.Read(last, key);
      const std::optional<Value> expected = Find(committed_, key);
      const bool right = expected.has_value()
                             ? read.outcome == StepOutcome::kOk && read.value == *expected
                             : read.outcome == StepOutcome::kAbsent;
      if (!right) Fail("in the end record " + std::to_string(key) + " is wrong");
    }
    subject_.Abort(last);
  }

  IsolationSubject& subject_;
  const IsolationLevel level_;
  InterleavingReport& report_;
  std::array<Txn, 2> txns_;
  State initial_;
  State committed_;
  uint32_t position_ = 0;
  std::string steps_text_;
  std::string failure_;
};

}  // namespace

const std::vector<SessionScripts>& StandardScripts() {
  const auto r = [](uint64_t key) { return ScriptStep{Kind::kRead, key, 0}; };
  const auto w = [](uint64_t key, Value value) { return ScriptStep{Kind::kWrite, key, value}; };
  const auto add = [](uint64_t key, Value value) { return ScriptStep{Kind::kAdd, key, value}; };
  const auto ins = [](uint64_t key, Value value) { return ScriptStep{Kind::kInsert, key, value}; };
  const auto del = [](uint64_t key) { return ScriptStep{Kind::kDelete, key, 0}; };
  const ScriptStep c{Kind::kCommit, 0, 0};
  const ScriptStep a{Kind::kAbort, 0, 0};
  static const std::vector<SessionScripts> scripts = {
      {"lost update", {r(1), add(1, 1), c}, {r(1), add(1, 2), c}},
      {"write skew", {r(1), r(2), w(1, 11), c}, {r(1), r(2), w(2, 21), c}},
      {"read skew", {r(1), r(2), r(1), c}, {w(1, 12), w(2, 18), c}},
      {"write cycle", {w(1, 11), w(2, 21), c}, {w(1, 12), w(2, 22), c}},
      {"opposite order", {w(1, 11), w(2, 21), c}, {w(2, 22), w(1, 12), c}},
      {"overlap in the second write", {w(1, 11), w(2, 21), c}, {w(2, 22), c}},
      {"aborted write", {w(1, 101), w(2, 102), a}, {r(1), r(2), add(1, 1), c}},
      {"intermediate write", {w(1, 101), w(1, 11), c}, {r(1), r(1), r(2), c}},
      {"circular flow", {w(1, 11), r(2), c}, {w(2, 22), r(1), c}},
      {"absent-key skew", {r(4), ins(3, 30), c}, {r(3), ins(4, 40), c}},
      {"insert race", {r(3), ins(3, 30), c}, {ins(3, 31), r(3), c}},
      {"delete against update", {r(1), del(1), c}, {r(1), add(1, 5), r(1), c}},
      {"delete and insert again", {del(1), ins(1, 10), c}, {r(1), add(1, 1), c}},
      {"delete against read", {del(1), del(2), c}, {r(1), r(2), ins(3, 30), c}},
      {"disjoint", {r(1), w(1, 11), c}, {r(2), w(2, 21), c}},
      {"own writes", {w(1, 11), r(1), del(1), r(1), c}, {r(1), ins(3, 30), r(3), a}},
  };
  return scripts;
}

InterleavingReport RunAllInterleavings(const IsolationSubjectFactory& open_subject,
                                       const SessionScripts& scripts, IsolationLevel level) {
  InterleavingReport report;
  // One step more per session: the begin.
  std::vector<uint8_t> order(scripts.first.size() + 1, 0);
  order.resize(order.size() + scripts.second.size() + 1, 1);
  do {
    const std::unique_ptr<IsolationSubject> subject = open_subject();
    InterleavingRun(*subject, scripts, level, report).Run(order);
  } while (std::next_permutation(order.begin(), order.end()));
  for (std::string& failure : report.failures) failure.insert(0, scripts.name + ": ");
  return report;
}

void InterleavingReport::Add(const InterleavingReport& other) {
  interleavings += other.interleavings;
  committed += other.committed;
  conflicts += other.conflicts;
  false_conflicts += other.false_conflicts;
  not_serializable += other.not_serializable;
  failure_count += other.failure_count;
  failures.insert(failures.end(), other.failures.begin(), other.failures.end());
}

std::string InterleavingReport::ToString() const {
  std::string text = std::to_string(interleavings) + " interleavings, " +
                     std::to_string(committed) + " commits, " + std::to_string(conflicts) +
                     " conflicts (" + std::to_string(false_conflicts) + " false), " +
                     std::to_string(not_serializable) + " not serializable, " +
                     std::to_string(failure_count) + " failures";
  for (const std::string& failure : failures) text += "\n" + failure;
  return text;
}

}  // namespace flagstone::testkit
