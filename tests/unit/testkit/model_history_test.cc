#include "tests/support/model_history.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "tests/support/planted_bugs.h"

namespace flagstone::testkit {
namespace {

enum class ShelfBug : uint8_t {
  kNone,
  kSnapshotsSeeUpdates,   // snapshots share the newest values
  kAbortKeepsFirst,       // an aborted transaction leaves its first change
  kDeleteTakesNeighbour,  // a delete at times takes the next key as well
  kReopenLosesNewest,     // a reopened store lacks its last insert
  kScanSkipsLast,         // a scan of more than eight rows ends early
  kMaintainDropsOld,      // reclamation forgets the oldest open snapshot
  kCount,
};
constexpr const char* kShelfBugNames[] = {"none",
                                          "snapshots see updates",
                                          "abort keeps first change",
                                          "delete takes neighbour",
                                          "reopen loses newest",
                                          "scan skips last",
                                          "maintain drops old"};

// A store that is a map: correct, or broken as the template says.
template <ShelfBug kBug>
class Shelf : public ModelSubject {
 public:
  explicit Shelf(uint32_t tables) : tables_(tables) {}

  StepOutcome Change(const ModelChange& change) override {
    auto& table = tables_[change.table];
    const bool present = table.count(change.key) != 0;
    if (change.kind == ModelOpKind::kInsert) {
      if (present) return StepOutcome::kExists;
      newest_ = {change.table, change.key};
      table[change.key] = change.value;
      return StepOutcome::kOk;
    }
    if (!present) return StepOutcome::kAbsent;
    if (change.kind == ModelOpKind::kUpdate) {
      table[change.key] = change.value;
      return StepOutcome::kOk;
    }
    const auto next = table.erase(table.find(change.key));
    if (kBug == ShelfBug::kDeleteTakesNeighbour && ++deletes_ % 8 == 0 && next != table.end()) {
      table.erase(next);
    }
    return StepOutcome::kOk;
  }
  std::vector<StepOutcome> RunTxn(const std::vector<ModelChange>& changes,
                                  ModelOp::TxnEnd end) override {
    const Tables before = tables_;
    std::vector<StepOutcome> outcomes;
    for (const ModelChange& change : changes) outcomes.push_back(Change(change));
    if (end == ModelOp::TxnEnd::kAbort) {
      tables_ = before;
      if (kBug == ShelfBug::kAbortKeepsFirst) static_cast<void>(Change(changes[0]));
    }
    return outcomes;
  }
  std::optional<Value> Read(uint32_t table, uint64_t key) override {
    return Find(tables_, table, key);
  }
  ModelRows Scan(uint32_t table) override {
    ModelRows rows(tables_[table].begin(), tables_[table].end());
    if (kBug == ShelfBug::kScanSkipsLast && rows.size() > 8) rows.pop_back();
    return rows;
  }
  uint64_t OpenSnapshot() override {
    snapshots_[++handles_] = tables_;
    return handles_;
  }
  ModelRows ScanSnapshot(uint64_t snapshot, uint32_t table) override {
    const Tables& tables = At(snapshot);
    return {tables[table].begin(), tables[table].end()};
  }
  std::optional<Value> ReadSnapshot(uint64_t snapshot, uint32_t table, uint64_t key) override {
    return Find(At(snapshot), table, key);
  }
  void CloseSnapshot(uint64_t snapshot) override { snapshots_.erase(snapshot); }
  void Maintain() override {
    if (kBug == ShelfBug::kMaintainDropsOld && snapshots_.size() > 1) {
      for (auto& table : snapshots_.begin()->second) table.clear();
    }
  }
  std::string Reopen() override {
    snapshots_.clear();
    if (kBug == ShelfBug::kReopenLosesNewest) tables_[newest_.first].erase(newest_.second);
    return "";
  }

 private:
  using Tables = std::vector<std::map<uint64_t, Value>>;
  const Tables& At(uint64_t snapshot) {
    return kBug == ShelfBug::kSnapshotsSeeUpdates ? tables_ : snapshots_[snapshot];
  }
  static std::optional<Value> Find(const Tables& tables, uint32_t table, uint64_t key) {
    const auto found = tables[table].find(key);
    if (found == tables[table].end()) return std::nullopt;
    return found->second;
  }

  Tables tables_;
  std::map<uint64_t, Tables> snapshots_;
  uint64_t handles_ = 0;
  uint64_t deletes_ = 0;
  std::pair<uint32_t, uint64_t> newest_{0, 0};
};

ModelReport RunShelf(ShelfBug bug, uint64_t seed) {
  ModelHistoryOptions options;
  options.seed = seed;
  options.ops = 600;
  return WithPlantedBug(bug, [&](auto constant) {
    return RunModelHistory(options, [](uint32_t tables) {
      return std::make_unique<Shelf<decltype(constant)::value>>(tables);
    });
  });
}

// What: histories agree with a correct store and expose each planted bug within twenty seeds.
TEST(ModelHistoryTest, PlantedBugsAreCaughtAndACorrectStoreIsNot) {
  ScorecardRow row;
  row.name = "model histories of a toy";
  row.unit = "steps";
  row.seed = 1;
  const std::string problems = ProveByPlantedBugs<ShelfBug>(
      row, [](ShelfBug bug) { return kShelfBugNames[static_cast<size_t>(bug)]; },
      [](ShelfBug bug) {
        CheckVerdict verdict;
        for (uint64_t seed = 1; seed <= 20 && verdict.failure.empty(); ++seed) {
          const ModelReport report = RunShelf(bug, seed);
          verdict.count += report.steps;
          verdict.failure = report.failure;
        }
        return verdict;
      });
  EXPECT_EQ(problems, "");
  EXPECT_EQ(row.grade(), ScorecardGrade::kGreen) << row.ToString();
  EXPECT_EQ(row.count, 20u * 600u);
}

TEST(ModelHistoryTest, FailuresAreShrunkToAFewSteps) {
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    const ModelReport report = RunShelf(ShelfBug::kSnapshotsSeeUpdates, seed);
    if (report.ok()) continue;
    // A snapshot, a change, a look.
    EXPECT_LE(std::count(report.ops_text.begin(), report.ops_text.end(), '\n'), 6)
        << report.failure << "\n"
        << report.ops_text;
    EXPECT_NE(report.failure.find("seed " + std::to_string(seed)), std::string::npos);
    return;
  }
  FAIL() << "no seed showed the bug";
}

TEST(ModelHistoryTest, PlansFollowFromTheSeedAndDifferInWhatTheyLeaveOut) {
  const auto text = [](uint64_t seed) {
    ModelHistoryOptions options;
    options.seed = seed;
    options.ops = 50;
    std::string all;
    for (const ModelOp& op : MakeModelOps(options).ops) all += DescribeModelOp(op) + "\n";
    return all;
  };
  EXPECT_EQ(text(3), text(3));
  EXPECT_NE(text(3), text(4));
  std::vector<uint32_t> left_out(kModelOpKinds, 0);
  for (uint64_t seed = 0; seed < 100; ++seed) {
    ModelHistoryOptions options;
    options.seed = seed;
    options.never = {ModelOpKind::kReopen};
    const ModelPlan plan = MakeModelOps(options);
    for (const ModelOpKind kind : plan.left_out) ++left_out[static_cast<size_t>(kind)];
    for (const ModelOp& op : plan.ops) {
      ASSERT_EQ(std::count(plan.left_out.begin(), plan.left_out.end(), op.kind), 0);
    }
  }
  EXPECT_EQ(left_out[static_cast<size_t>(ModelOpKind::kReopen)], 100u);
  EXPECT_EQ(left_out[static_cast<size_t>(ModelOpKind::kInsert)], 0u);
  EXPECT_GT(left_out[static_cast<size_t>(ModelOpKind::kTxn)], 25u);
  EXPECT_LT(left_out[static_cast<size_t>(ModelOpKind::kTxn)], 75u);
}

}  // namespace
}  // namespace flagstone::testkit
