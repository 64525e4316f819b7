#include "tests/support/hermitage.h"

#include <functional>
#include <memory>
#include <optional>
#include <utility>

namespace flagstone::testkit {
namespace {

using Pairs = std::vector<std::pair<uint64_t, Value>>;
constexpr auto kAll = [](Value) { return true; };

std::string Text(const std::optional<Value>& value) {
  return value.has_value() ? std::to_string(*value) : "absent";
}
std::string Text(const Pairs& pairs) {
  std::string text = "{";
  for (const auto& [key, value] : pairs) {
    text += " " + std::to_string(key) + ":" + std::to_string(value);
  }
  return text + " }";
}

// The engine a schedule plays on, and what it has done wrong so far.
class Stage {
 public:
  Stage(std::unique_ptr<IsolationSubject> subject, IsolationLevel level)
      : subject_(std::move(subject)), level_(level) {
    const TxnHandle setup = subject_->Begin(IsolationLevel::kSnapshot);
    Expect(subject_->Insert(setup, 1, 10) == StepOutcome::kOk, "set-up could not insert record 1");
    Expect(subject_->Insert(setup, 2, 20) == StepOutcome::kOk, "set-up could not insert record 2");
    Expect(subject_->Commit(setup) == StepOutcome::kOk, "set-up could not commit");
  }

  IsolationSubject& subject() { return *subject_; }
  IsolationLevel level() const { return level_; }
  bool serializable() const { return level_ == IsolationLevel::kSerializable; }
  bool read_committed() const { return level_ == IsolationLevel::kReadCommitted; }
  const std::string& failure() const { return failure_; }
  void Expect(bool condition, const std::string& otherwise) {
    if (!condition && failure_.empty()) failure_ = otherwise;
  }

  // What a new transaction sees.
  std::optional<Value> Now(uint64_t key) {
    const TxnHandle txn = subject_->Begin(IsolationLevel::kSnapshot);
    const ReadStep read = subject_->Read(txn, key);
    Expect(read.outcome == StepOutcome::kOk || read.outcome == StepOutcome::kAbsent,
           "a new transaction could not read record " + std::to_string(key));
    subject_->Abort(txn);
    if (read.outcome != StepOutcome::kOk) return std::nullopt;
    return read.value;
  }
  void ExpectNow(uint64_t key, std::optional<Value> expected) {
    const std::optional<Value> found = Now(key);
    Expect(found == expected, "in the end record " + std::to_string(key) + " is " + Text(found) +
                                  ", expected " + Text(expected));
  }

 private:
  std::unique_ptr<IsolationSubject> subject_;
  const IsolationLevel level_;
  std::string failure_;
};

// One session with one transaction. After a conflict it is aborted and its further steps do
// nothing.
class Session {
 public:
  Session(Stage& stage, std::string name)
      : stage_(stage), name_(std::move(name)), txn_(stage.subject().Begin(stage.level())) {}

  bool alive() const { return state_ == State::kOpen; }
  bool committed() const { return state_ == State::kCommitted; }

  std::optional<Value> Read(uint64_t key) {
    if (!alive()) return std::nullopt;
    const ReadStep read = stage_.subject().Read(txn_, key);
    Accept("read", key, read.outcome, StepOutcome::kAbsent);
    if (read.outcome != StepOutcome::kOk) return std::nullopt;
    return read.value;
  }
  Session& Sees(uint64_t key, std::optional<Value> expected) {
    const std::optional<Value> found = Read(key);
    if (alive()) {
      stage_.Expect(found == expected, name_ + " read record " + std::to_string(key) + " as " +
                                           Text(found) + ", expected " + Text(expected));
    }
    return *this;
  }
  Session& Writes(uint64_t key, Value value) {
    return Step("write", key, [&] { return stage_.subject().Write(txn_, key, value); });
  }
  Session& Inserts(uint64_t key, Value value) {
    return Step("insert", key, [&] { return stage_.subject().Insert(txn_, key, value); });
  }
  // A refusal because the value exists ends the session as a conflict would.
  Session& InsertsOrExists(uint64_t key, Value value) {
    if (!alive()) return *this;
    const StepOutcome outcome = stage_.subject().Insert(txn_, key, value);
    if (outcome == StepOutcome::kExists) return Aborts();
    Accept("insert", key, outcome, StepOutcome::kOk);
    return *this;
  }
  Session& Deletes(uint64_t key) {
    return Step("delete", key, [&] { return stage_.subject().Delete(txn_, key); });
  }
  Pairs Scan(const ValuePredicate& matches) {
    if (!alive()) return {};
    ScanStep scan = stage_.subject().Scan(txn_, matches);
    Accept("scan", 0, scan.outcome, StepOutcome::kOk);
    return std::move(scan.found);
  }
  Session& Finds(const ValuePredicate& matches, const Pairs& expected) {
    const Pairs found = Scan(matches);
    if (alive()) {
      stage_.Expect(found == expected,
                    name_ + " found " + Text(found) + ", expected " + Text(expected));
    }
    return *this;
  }
  Session& FindsBackwards(const ValuePredicate& matches, const Pairs& expected) {
    if (!alive()) return *this;
    const ScanStep scan = stage_.subject().ReverseScan(txn_, matches);
    Accept("reverse scan", 0, scan.outcome, StepOutcome::kOk);
    if (alive()) {
      stage_.Expect(scan.found == expected, name_ + " found backwards " + Text(scan.found) +
                                                ", expected " + Text(expected));
    }
    return *this;
  }
  Session& DeletesWhere(const ValuePredicate& matches) {
    for (const auto& [key, value] : Scan(matches)) Deletes(key);
    return *this;
  }
  Session& UpdatesWhere(const ValuePredicate& matches, const std::function<Value(Value)>& change) {
    for (const auto& [key, value] : Scan(matches)) Writes(key, change(value));
    return *this;
  }
  Session& Commits() {
    if (!alive()) return *this;
    return EndWith(stage_.subject().Commit(txn_));
  }
  Session& CommitsWith(const std::function<void()>& during) {
    if (!alive()) return *this;
    return EndWith(stage_.subject().CommitWith(txn_, during));
  }
  Session& Aborts() {
    if (!alive()) return *this;
    stage_.subject().Abort(txn_);
    state_ = State::kAborted;
    return *this;
  }
  Session& MustCommit() {
    Commits();
    stage_.Expect(committed(), name_ + " could not commit");
    return *this;
  }
  Session& MustNotCommit() {
    Commits();
    stage_.Expect(!committed(), name_ + " committed, expected a conflict");
    return *this;
  }

 private:
  enum class State : uint8_t { kOpen, kCommitted, kAborted };

  template <typename Call>
  Session& Step(const char* what, uint64_t key, Call call) {
    if (alive()) Accept(what, key, call(), StepOutcome::kOk);
    return *this;
  }
  // `also` is the outcome that is as good as kOk.
  void Accept(const char* what, uint64_t key, StepOutcome outcome, StepOutcome also) {
    if (outcome == StepOutcome::kOk || outcome == also) return;
    stage_.Expect(outcome == StepOutcome::kConflict, name_ + ": " + what + " of record " +
                                                         std::to_string(key) + " answered " +
                                                         std::string(StepOutcomeName(outcome)));
    Aborts();
  }
  Session& EndWith(StepOutcome outcome) {
    if (outcome == StepOutcome::kOk) {
      state_ = State::kCommitted;
    } else {
      Accept("commit", 0, outcome, StepOutcome::kOk);
    }
    return *this;
  }

  Stage& stage_;
  const std::string name_;
  const TxnHandle txn_;
  State state_ = State::kOpen;
};

// Exactly one of two may commit under serializable; under snapshot both must.
// Both try to commit; where they may not both, one of them must.
void CommitBoth(Session& t1, Session& t2) {
  t1.Commits();
  t2.Commits();
}
void ExpectOneCommitted(Stage& stage, const Session& t1, const Session& t2, const char* both) {
  stage.Expect(!(t1.committed() && t2.committed()), both);
  stage.Expect(t1.committed() || t2.committed(), "neither committed");
}
void CommitWriteSkew(Stage& stage, Session& t1, Session& t2) {
  CommitBoth(t1, t2);
  if (stage.serializable()) {
    ExpectOneCommitted(stage, t1, t2, "both committed: write skew");
  } else {
    stage.Expect(t1.committed() && t2.committed(), "snapshot isolation refused a write skew");
  }
}

void G0(Stage& stage) {
  Session t1(stage, "T1"), t2(stage, "T2");
  t1.Writes(1, 11);
  t2.Writes(1, 12);
  t1.Writes(2, 21).Commits();
  t2.Writes(2, 22).Commits();
  stage.Expect(t1.committed() || t2.committed(), "neither committed");
  const auto one = stage.Now(1), two = stage.Now(2);
  stage.Expect((one == 11 && two == 21) || (one == 12 && two == 22),
               "mixed writes: " + Text(one) + ", " + Text(two));
}
void G1a(Stage& stage) {
  Session t1(stage, "T1"), t2(stage, "T2");
  t1.Writes(1, 101);
  t2.Sees(1, 10).Sees(2, 20);
  t1.Aborts();
  t2.Sees(1, 10).Sees(2, 20).MustCommit();
  stage.ExpectNow(1, 10);
}
void G1b(Stage& stage) {
  Session t1(stage, "T1"), t2(stage, "T2");
  t1.Writes(1, 101);
  t2.Sees(1, 10);
  t1.Writes(1, 11).MustCommit();
  t2.Sees(1, stage.read_committed() ? 11 : 10).MustCommit();
  stage.ExpectNow(1, 11);
}
void G1c(Stage& stage) {
  Session t1(stage, "T1"), t2(stage, "T2");
  t1.Writes(1, 11);
  t2.Writes(2, 22);
  t1.Sees(2, 20);
  t2.Sees(1, 10);
  CommitBoth(t1, t2);
  if (stage.serializable()) {
    ExpectOneCommitted(stage, t1, t2, "both committed: write skew");
  }
  stage.Expect(t1.committed() || t2.committed(), "neither committed");
}
void ObservedTransactionVanishes(Stage& stage) {
  Session t1(stage, "T1"), t2(stage, "T2");
  t1.Writes(1, 11).Writes(2, 19);
  t2.Writes(1, 12);
  t1.Commits();
  Session t3(stage, "T3");
  const Value one = t1.committed() ? 11 : 10, two = t1.committed() ? 19 : 20;
  t3.Sees(1, one);
  t2.Writes(2, 18);
  t3.Sees(2, two);
  t2.Commits();
  t3.Sees(2, two).Sees(1, one).MustCommit();
  stage.Expect(!(t1.committed() && t2.committed()), "T1 and T2 both replaced record 1");
}
void PredicateManyPrecedersRead(Stage& stage) {
  Session t1(stage, "T1"), t2(stage, "T2");
  t1.Finds([](Value v) { return v == 30; }, {});
  t2.Inserts(3, 30).MustCommit();
  t1.Finds([](Value v) { return v % 3 == 0; }, {}).MustCommit();
}
void PredicateManyPrecedersWrite(Stage& stage) {
  Session t1(stage, "T1"), t2(stage, "T2");
  t1.UpdatesWhere(kAll, [](Value v) { return v + 10; });
  t2.DeletesWhere([](Value v) { return v == 20; });
  CommitBoth(t1, t2);
  ExpectOneCommitted(stage, t1, t2, "both committed although both changed record 2");
}
void LostUpdateOf(Stage& stage, Value first, Value second) {
  Session t1(stage, "T1"), t2(stage, "T2");
  t1.Sees(1, 10);
  t2.Sees(1, 10);
  t1.Writes(1, first);
  t2.Writes(1, second);
  t1.MustCommit();
  t2.MustNotCommit();
  stage.ExpectNow(1, first);
}
void LostUpdate(Stage& stage) { LostUpdateOf(stage, 11, 12); }
void ReadSkew(Stage& stage) {
  Session t1(stage, "T1"), t2(stage, "T2");
  t1.Sees(1, 10);
  t2.Sees(1, 10).Sees(2, 20).Writes(1, 12).Writes(2, 18).MustCommit();
  t1.Sees(2, 20).MustCommit();
}
void ReadSkewByPredicate(Stage& stage) {
  Session t1(stage, "T1"), t2(stage, "T2");
  t1.Finds([](Value v) { return v % 5 == 0; }, {{1, 10}, {2, 20}});
  t2.UpdatesWhere([](Value v) { return v == 10; }, [](Value) { return 12; }).MustCommit();
  t1.Finds([](Value v) { return v % 3 == 0; }, {}).MustCommit();
}
void ReadSkewThenPredicateWrite(Stage& stage) {
  Session t1(stage, "T1"), t2(stage, "T2");
  t1.Sees(1, 10);
  t2.Sees(1, 10).Sees(2, 20).Writes(1, 12).Writes(2, 18).MustCommit();
  t1.DeletesWhere([](Value v) { return v == 20; }).MustNotCommit();
  stage.ExpectNow(2, 18);
}
void WriteSkew(Stage& stage) {
  Session t1(stage, "T1"), t2(stage, "T2");
  t1.Sees(1, 10).Sees(2, 20);
  t2.Sees(1, 10).Sees(2, 20);
  t1.Writes(1, 11);
  t2.Writes(2, 21);
  CommitWriteSkew(stage, t1, t2);
}
void PredicateWriteSkew(Stage& stage) {
  const auto thirds = [](Value v) { return v % 3 == 0; };
  Session t1(stage, "T1"), t2(stage, "T2");
  t1.Finds(thirds, {});
  t2.Finds(thirds, {});
  t1.Inserts(3, 30);
  t2.Inserts(4, 42);
  CommitWriteSkew(stage, t1, t2);
}
void ReadOnlyAnomaly(Stage& stage) {
  Session t1(stage, "T1");
  t1.Sees(1, 10).Sees(2, 20);
  Session t2(stage, "T2");
  t2.Writes(2, 25).MustCommit();
  Session t3(stage, "T3");
  t3.Sees(1, 10).Sees(2, 25).MustCommit();
  t1.Writes(1, 0);
  if (stage.serializable()) {
    t1.MustNotCommit();
  } else {
    t1.MustCommit();
  }
}
void AbsentKeyWriteSkew(Stage& stage) {
  Session t1(stage, "T1"), t2(stage, "T2");
  t1.Sees(4, std::nullopt);
  t2.Sees(3, std::nullopt);
  t1.Inserts(3, 30);
  t2.Inserts(4, 40);
  CommitWriteSkew(stage, t1, t2);
}
void DeleteAndReinsert(Stage& stage) {
  Session t1(stage, "T1");
  t1.Sees(1, 10);
  Session t2(stage, "T2");
  t2.Deletes(1).MustCommit();
  Session t3(stage, "T3");
  t3.Sees(1, std::nullopt).Inserts(1, 10).MustCommit();
  t1.Writes(1, 11).MustNotCommit();
  stage.ExpectNow(1, 10);
}
void ZeroRowDelete(Stage& stage) {
  Session t1(stage, "T1"), t2(stage, "T2");
  t1.DeletesWhere([](Value v) { return v == 30; });
  t2.DeletesWhere([](Value v) { return v == 31; });
  t1.Inserts(3, 31);
  t2.Inserts(4, 30);
  CommitWriteSkew(stage, t1, t2);
}
void ReadYourWrites(Stage& stage) {
  Session t1(stage, "T1");
  t1.Inserts(3, 30).Writes(1, 11).Deletes(2);
  const Pairs expected = {{1, 11}, {3, 30}};
  t1.Finds(kAll, expected).FindsBackwards(kAll, expected);
  t1.Finds([](Value v) { return v == 10 || v == 20; }, {});
  t1.Sees(2, std::nullopt).Sees(3, 30).MustCommit();
  Session t2(stage, "T2");
  t2.Finds(kAll, expected).FindsBackwards(kAll, expected).MustCommit();
}
void LongFork(Stage& stage) {
  Session t1(stage, "T1"), t2(stage, "T2");
  t1.Writes(1, 11);
  t2.Writes(2, 21);
  t1.MustCommit();
  Session t3(stage, "T3");
  t3.Sees(1, 11);
  t2.MustCommit();
  Session t4(stage, "T4");
  t3.Sees(2, 20);
  t4.Sees(2, 21).Sees(1, 11).MustCommit();
  t3.MustCommit();
}
void UniqueInsertRace(Stage& stage) {
  Session t1(stage, "T1"), t2(stage, "T2");
  t1.Inserts(3, 30);
  // An engine may also refuse at once, as a value that exists.
  t2.InsertsOrExists(4, 30);
  CommitBoth(t1, t2);
  ExpectOneCommitted(stage, t1, t2, "both inserted the unique value 30");
}
void WriteDuringCommit(Stage& stage) {
  Session t1(stage, "T1");
  t1.Writes(1, 11);
  std::optional<Session> t2;
  std::optional<Value> seen;
  t1.CommitsWith([&] {
    t2.emplace(stage, "T2");
    seen = t2->Read(1);
    t2->Writes(1, 12);
  });
  stage.Expect(t1.committed(), "T1 could not commit");
  stage.Expect(t2.has_value(), "the sync point was not reached");
  if (!t2.has_value()) return;
  t2->Commits();
  stage.Expect(!t2->committed() || seen == 11, "T2 replaced a version it had not seen");
  stage.ExpectNow(1, t2->committed() ? 12 : 11);
}
void ReadModifyWriteAfterOwnWrite(Stage& stage) {
  Session t1(stage, "T1");
  t1.Writes(1, 11).Sees(1, 11).Writes(1, 12).Sees(1, 12).Sees(2, 20).MustCommit();
  stage.ExpectNow(1, 12);
}
void RollbackLeavesIndexes(Stage& stage) {
  const std::string before = stage.subject().DescribeIndexes();
  Session t1(stage, "T1");
  t1.Writes(1, 11).Inserts(3, 30).Deletes(2).Aborts();
  stage.Expect(stage.subject().DescribeIndexes() == before, "the rollback left traces in an index");
  stage.ExpectNow(1, 10);
  stage.ExpectNow(2, 20);
  stage.ExpectNow(3, std::nullopt);
}
void SnapshotDuringCommit(Stage& stage) {
  Session t1(stage, "T1");
  t1.Writes(1, 11).Writes(2, 21);
  std::optional<Session> t2;
  std::optional<Value> one;
  t1.CommitsWith([&] {
    t2.emplace(stage, "T2");
    one = t2->Read(1);
  });
  stage.Expect(t2.has_value(), "the sync point was not reached");
  if (!t2.has_value()) return;
  const std::optional<Value> two = t2->Read(2), again = t2->Read(1);
  stage.Expect(one == again, "the snapshot changed from " + Text(one) + " to " + Text(again));
  stage.Expect((one == 10 && two == 20) || (one == 11 && two == 21),
               "half a commit was seen: " + Text(one) + ", " + Text(two));
}

struct Schedule {
  const char* name;
  void (*play)(Stage&);
  IsolationLevel weakest;
  std::vector<Capability> needs;
};

const std::vector<Schedule>& Schedules() {
  constexpr auto kRc = IsolationLevel::kReadCommitted;
  constexpr auto kSi = IsolationLevel::kSnapshot;
  static const std::vector<Schedule> schedules = {
      {"G0", G0, kRc, {}},
      {"G1a", G1a, kRc, {}},
      {"G1b", G1b, kRc, {}},
      {"G1c", G1c, kRc, {}},
      {"OTV", ObservedTransactionVanishes, kSi, {}},
      {"PMP read", PredicateManyPrecedersRead, kSi, {Capability::kScan}},
      {"PMP write", PredicateManyPrecedersWrite, kSi, {Capability::kScan}},
      {"P4 lost update", LostUpdate, kSi, {}},
      {"G-single", ReadSkew, kSi, {}},
      {"G-single by predicate", ReadSkewByPredicate, kSi, {Capability::kScan}},
      {"G-single, predicate write", ReadSkewThenPredicateWrite, kSi, {Capability::kScan}},
      {"G2-item write skew", WriteSkew, kSi, {}},
      {"G2 predicate write skew", PredicateWriteSkew, kSi, {Capability::kScan}},
      {"G2 read-only anomaly", ReadOnlyAnomaly, kSi, {}},
      {"absent-key write skew", AbsentKeyWriteSkew, kSi, {}},
      {"delete and insert again", DeleteAndReinsert, kSi, {}},
      {"zero-row delete", ZeroRowDelete, kSi, {Capability::kScan}},
      {"read your writes", ReadYourWrites, kRc, {Capability::kScan, Capability::kReverseScan}},
      {"long fork", LongFork, kSi, {}},
      {"unique insert race", UniqueInsertRace, kRc, {Capability::kUniqueValue}},
      {"write during commit", WriteDuringCommit, kSi, {Capability::kSyncPoints}},
      {"read-modify-write of own write", ReadModifyWriteAfterOwnWrite, kRc, {}},
      {"rollback leaves indexes", RollbackLeavesIndexes, kRc, {Capability::kIndexComparison}},
      {"snapshot during commit", SnapshotDuringCommit, kSi, {Capability::kSyncPoints}},
  };
  return schedules;
}

void Play(const Schedule& schedule, const IsolationSubjectFactory& open_subject,
          IsolationLevel level, ScheduleResult& result) {
  if (level < schedule.weakest) {
    result.verdict = ScheduleResult::Verdict::kNotRun;
    result.detail = "says nothing at " + std::string(IsolationLevelName(level));
    return;
  }
  Stage stage(open_subject(), level);
  for (const Capability need : schedule.needs) {
    if (stage.subject().Has(need)) continue;
    result.verdict = ScheduleResult::Verdict::kNotRun;
    result.detail += (result.detail.empty() ? "needs " : ", ") + std::string(CapabilityName(need));
  }
  if (result.verdict == ScheduleResult::Verdict::kNotRun) return;
  schedule.play(stage);
  result.detail = stage.failure();
  if (schedule.play == LostUpdate && result.detail.empty()) {
    // Equal bytes are no excuse: the second writer still has not seen the first.
    Stage same_bytes(open_subject(), level);
    LostUpdateOf(same_bytes, 11, 11);
    if (!same_bytes.failure().empty()) result.detail = "same bytes: " + same_bytes.failure();
  }
  if (!result.detail.empty()) result.verdict = ScheduleResult::Verdict::kFailed;
}

std::string Line(const ScheduleResult& result) {
  const char* const verdict = result.verdict == ScheduleResult::Verdict::kPassed   ? "passed"
                              : result.verdict == ScheduleResult::Verdict::kFailed ? "FAILED"
                                                                                   : "not run";
  return std::to_string(result.number) + " " + result.name + ": " + verdict +
         (result.detail.empty() ? "" : " (" + result.detail + ")") + "\n";
}

}  // namespace

std::vector<ScheduleResult> RunHermitage(const IsolationSubjectFactory& open_subject,
                                         IsolationLevel level) {
  std::vector<ScheduleResult> results;
  for (const Schedule& schedule : Schedules()) {
    ScheduleResult& result = results.emplace_back();
    result.number = static_cast<uint32_t>(results.size());
    result.name = schedule.name;
    Play(schedule, open_subject, level, result);
  }
  return results;
}

std::string DescribeSchedules(const std::vector<ScheduleResult>& results) {
  std::string text;
  for (const ScheduleResult& result : results) text += Line(result);
  return text;
}

std::string DescribeFailures(const std::vector<ScheduleResult>& results) {
  std::string text;
  for (const ScheduleResult& result : results) {
    if (result.verdict == ScheduleResult::Verdict::kFailed) text += Line(result);
  }
  return text;
}

}  // namespace flagstone::testkit
