#include "tests/support/model_history.h"

#include <algorithm>
#include <cstddef>

#include "tests/support/seeded_random.h"

namespace flagstone::testkit {
namespace {

using Tables = std::vector<std::map<uint64_t, Value>>;

// How often each kind is drawn where it is not left out, in the order of ModelOpKind.
constexpr uint32_t kWeights[kModelOpKinds] = {16, 16, 10, 10, 3, 8, 3, 8, 2, 3, 1};
constexpr uint32_t kVerifyEvery = 64;
constexpr uint32_t kShrinkRunsMax = 400;

const char* KindName(ModelOpKind kind) {
  switch (kind) {
    case ModelOpKind::kInsert: return "insert";
    case ModelOpKind::kUpdate: return "update";
    case ModelOpKind::kDelete: return "delete";
    case ModelOpKind::kRead: return "read";
    case ModelOpKind::kScan: return "scan";
    case ModelOpKind::kTxn: return "transaction";
    case ModelOpKind::kOpenSnapshot: return "open snapshot";
    case ModelOpKind::kReadSnapshot: return "read snapshot";
    case ModelOpKind::kCloseSnapshot: return "close snapshot";
    case ModelOpKind::kMaintain: return "maintain";
    case ModelOpKind::kReopen: return "reopen";
  }
  return "?";
}

std::string Text(const std::optional<Value>& value) {
  return value.has_value() ? std::to_string(*value) : "absent";
}

StepOutcome ApplyTo(Tables& tables, const ModelChange& change) {
  auto& table = tables[change.table];
  const bool present = table.count(change.key) != 0;
  if (change.kind == ModelOpKind::kInsert) {
    if (present) return StepOutcome::kExists;
    table[change.key] = change.value;
    return StepOutcome::kOk;
  }
  if (!present) return StepOutcome::kAbsent;
  if (change.kind == ModelOpKind::kUpdate) {
    table[change.key] = change.value;
  } else {
    table.erase(change.key);
  }
  return StepOutcome::kOk;
}

std::string DescribeChange(const ModelChange& change) {
  return std::string(KindName(change.kind)) + " t" + std::to_string(change.table) + " k" +
         std::to_string(change.key) +
         (change.kind == ModelOpKind::kDelete ? "" : " = " + std::to_string(change.value));
}

// Plays operations on the subject and on the maps, until they differ.
class ModelPlayer {
 public:
  ModelPlayer(ModelSubject& subject, uint32_t tables, uint32_t open_snapshots_max)
      : subject_(subject), open_snapshots_max_(open_snapshots_max), tables_(tables) {}

  // "" or how the subject differs.
  std::string Play(const ModelOp& op) {
    switch (op.kind) {
      case ModelOpKind::kInsert:
      case ModelOpKind::kUpdate:
      case ModelOpKind::kDelete: {
        const ModelChange change = {op.kind, op.table, op.key, op.value};
        return CompareOutcome(subject_.Change(change), ApplyTo(tables_, change));
      }
      case ModelOpKind::kRead: return CompareValue(subject_.Read(op.table, op.key), tables_, op);
      case ModelOpKind::kScan: return CompareRows(subject_.Scan(op.table), tables_[op.table]);
      case ModelOpKind::kTxn: return PlayTxn(op);
      case ModelOpKind::kOpenSnapshot:
        if (snapshots_.size() < open_snapshots_max_) {
          snapshots_.push_back({subject_.OpenSnapshot(), tables_});
        }
        return "";
      case ModelOpKind::kReadSnapshot: {
        if (snapshots_.empty()) return "";
        const Snapshot& snapshot = Chosen(op);
        const std::string rows = CompareRows(subject_.ScanSnapshot(snapshot.handle, op.table),
                                             snapshot.tables[op.table]);
        if (!rows.empty()) return "snapshot: " + rows;
        return CompareValue(subject_.ReadSnapshot(snapshot.handle, op.table, op.key),
                            snapshot.tables, op);
      }
      case ModelOpKind::kCloseSnapshot:
        if (snapshots_.empty()) return "";
        subject_.CloseSnapshot(Chosen(op).handle);
        snapshots_.erase(snapshots_.begin() + static_cast<ptrdiff_t>(ChosenIndex(op)));
        return "";
      case ModelOpKind::kMaintain: subject_.Maintain(); return "";
      case ModelOpKind::kReopen: {
        snapshots_.clear();
        const std::string failure = subject_.Reopen();
        return failure.empty() ? CompareEverything() : "reopen: " + failure;
      }
    }
    return "";
  }

  std::string CompareEverything() {
    for (uint32_t table = 0; table < tables_.size(); ++table) {
      const std::string rows = CompareRows(subject_.Scan(table), tables_[table]);
      if (!rows.empty()) return "table " + std::to_string(table) + ": " + rows;
    }
    const std::string own = subject_.Verify();
    return own.empty() ? "" : "verify: " + own;
  }

 private:
  struct Snapshot {
    uint64_t handle;
    Tables tables;
  };

  size_t ChosenIndex(const ModelOp& op) const {
    return static_cast<uint64_t>(op.value) % snapshots_.size();
  }
  const Snapshot& Chosen(const ModelOp& op) const { return snapshots_[ChosenIndex(op)]; }

  std::string PlayTxn(const ModelOp& op) {
    Tables after = tables_;
    const std::vector<StepOutcome> found = subject_.RunTxn(op.changes, op.end);
    if (found.size() != op.changes.size()) return "the transaction answered for other steps";
    for (size_t i = 0; i < found.size(); ++i) {
      const std::string difference = CompareOutcome(found[i], ApplyTo(after, op.changes[i]));
      if (!difference.empty()) return DescribeChange(op.changes[i]) + ": " + difference;
    }
    if (op.end == ModelOp::TxnEnd::kCommit) tables_ = std::move(after);
    for (const ModelChange& change : op.changes) {
      const ModelOp read = {ModelOpKind::kRead, change.table, change.key, 0, {}, op.end};
      const std::string difference = Play(read);
      if (!difference.empty()) return "afterwards " + DescribeModelOp(read) + ": " + difference;
    }
    return "";
  }

  static std::string CompareOutcome(StepOutcome found, StepOutcome expected) {
    if (found == expected) return "";
    return "answered " + std::string(StepOutcomeName(found)) + ", expected " +
           std::string(StepOutcomeName(expected));
  }
  static std::string CompareValue(const std::optional<Value>& found, const Tables& tables,
                                  const ModelOp& op) {
    const auto place = tables[op.table].find(op.key);
    const std::optional<Value> expected =
        place == tables[op.table].end() ? std::nullopt : std::optional<Value>(place->second);
    return found == expected ? "" : "found " + Text(found) + ", expected " + Text(expected);
  }
  static std::string CompareRows(const ModelRows& found,
                                 const std::map<uint64_t, Value>& expected) {
    const ModelRows rows(expected.begin(), expected.end());
    if (found == rows) return "";
    const auto [in_found, in_rows] =
        std::mismatch(found.begin(), found.end(), rows.begin(), rows.end());
    const auto text = [](auto at, auto end) {
      return at == end ? std::string("the end")
                       : "k" + std::to_string(at->first) + " = " + std::to_string(at->second);
    };
    return "scan of " + std::to_string(found.size()) + " rows, expected " +
           std::to_string(rows.size()) + "; first difference: found " +
           text(in_found, found.end()) + ", expected " + text(in_rows, rows.end());
  }

  ModelSubject& subject_;
  const uint32_t open_snapshots_max_;
  Tables tables_;
  std::vector<Snapshot> snapshots_;
};

ModelOpKind DrawKind(SeededRandom& random, const std::vector<uint32_t>& weights) {
  uint32_t total = 0;
  for (const uint32_t weight : weights) total += weight;
  uint32_t ticket = random.Below(total);
  for (size_t kind = 0; kind < weights.size(); ++kind) {
    if (ticket < weights[kind]) return static_cast<ModelOpKind>(kind);
    ticket -= weights[kind];
  }
  return ModelOpKind::kRead;
}

std::string OpsText(const ModelPlan& plan) {
  std::string text;
  for (const ModelOp& op : plan.ops) text += DescribeModelOp(op) + "\n";
  return text;
}

// Leaves out chunks, halving their size, as long as what remains still fails (Zeller's ddmin).
ModelReport Shrink(ModelPlan plan, ModelReport failing, const ModelHistoryOptions& options,
                   const ModelSubjectFactory& open_subject) {
  plan.ops.resize(std::min<size_t>(plan.ops.size(), failing.steps));
  uint32_t runs = 0;
  for (size_t chunk = plan.ops.size() / 2; chunk > 0; chunk /= 2) {
    for (size_t begin = 0; begin < plan.ops.size() && runs < kShrinkRunsMax;) {
      ModelPlan shorter = plan;
      const size_t end = std::min(begin + chunk, shorter.ops.size());
      shorter.ops.erase(shorter.ops.begin() + static_cast<ptrdiff_t>(begin),
                        shorter.ops.begin() + static_cast<ptrdiff_t>(end));
      ++runs;
      const ModelReport again = RunModelOps(shorter, options, open_subject);
      if (again.ok()) {
        begin += chunk;
        continue;
      }
      failing.failure = again.failure;
      plan = std::move(shorter);
      plan.ops.resize(std::min<size_t>(plan.ops.size(), again.steps));
    }
  }
  failing.ops_text = OpsText(plan);
  return failing;
}

}  // namespace

std::string DescribeModelOp(const ModelOp& op) {
  const std::string place = " t" + std::to_string(op.table) + " k" + std::to_string(op.key);
  switch (op.kind) {
    case ModelOpKind::kInsert:
    case ModelOpKind::kUpdate:
    case ModelOpKind::kDelete: return DescribeChange({op.kind, op.table, op.key, op.value});
    case ModelOpKind::kRead: return "read" + place;
    case ModelOpKind::kScan: return "scan t" + std::to_string(op.table);
    case ModelOpKind::kReadSnapshot:
    case ModelOpKind::kCloseSnapshot:
      return std::string(KindName(op.kind)) + " #" + std::to_string(op.value) +
             (op.kind == ModelOpKind::kReadSnapshot ? place : "");
    case ModelOpKind::kTxn: {
      std::string text = "transaction {";
      for (const ModelChange& change : op.changes) text += " " + DescribeChange(change) + ";";
      return text + (op.end == ModelOp::TxnEnd::kCommit ? " commit }" : " abort }");
    }
    case ModelOpKind::kOpenSnapshot:
    case ModelOpKind::kMaintain:
    case ModelOpKind::kReopen: return KindName(op.kind);
  }
  return "?";
}

ModelPlan MakeModelOps(const ModelHistoryOptions& options) {
  SeededRandom random(options.seed);
  ModelPlan plan;
  plan.tables = 1 + random.Below(options.tables_max);
  // Few keys make operations meet, many make tables grow: both happen.
  const uint32_t keys = 1 + random.Below(random.OneIn(2) ? options.keys_max : 8);
  std::vector<uint32_t> weights(kWeights, kWeights + kModelOpKinds);
  for (size_t kind = 0; kind < kModelOpKinds; ++kind) {
    const auto as_kind = static_cast<ModelOpKind>(kind);
    const bool never =
        std::find(options.never.begin(), options.never.end(), as_kind) != options.never.end();
    // Something must be written and something looked at.
    const bool needed = as_kind == ModelOpKind::kInsert || as_kind == ModelOpKind::kRead;
    if (!never && (needed || random.OneIn(2))) continue;
    weights[kind] = 0;
    plan.left_out.push_back(as_kind);
  }
  const auto draw_change = [&] {
    ModelChange change;
    change.kind = static_cast<ModelOpKind>(random.Below(3));
    change.table = random.Below(plan.tables);
    change.key = random.Below(keys);
    change.value = random.Below(1'000'000);
    return change;
  };
  for (uint32_t i = 0; i < options.ops; ++i) {
    ModelOp op;
    op.kind = DrawKind(random, weights);
    const ModelChange place = draw_change();
    op.table = place.table;
    op.key = place.key;
    op.value = place.value;
    if (op.kind == ModelOpKind::kTxn) {
      const uint32_t count = 1 + random.Below(6);
      for (uint32_t j = 0; j < count; ++j) op.changes.push_back(draw_change());
      op.end = random.OneIn(4) ? ModelOp::TxnEnd::kAbort : ModelOp::TxnEnd::kCommit;
    }
    plan.ops.push_back(std::move(op));
  }
  return plan;
}

ModelReport RunModelOps(const ModelPlan& plan, const ModelHistoryOptions& options,
                        const ModelSubjectFactory& open_subject) {
  ModelReport report;
  const std::unique_ptr<ModelSubject> subject = open_subject(plan.tables);
  ModelPlayer player(*subject, plan.tables, options.open_snapshots_max);
  for (const ModelOp& op : plan.ops) {
    std::string difference = player.Play(op);
    ++report.steps;
    if (difference.empty() && report.steps % kVerifyEvery == 0) {
      difference = player.CompareEverything();
    }
    if (difference.empty()) continue;
    report.failure = "step " + std::to_string(report.steps) + ", " + DescribeModelOp(op) + ": " +
                     difference + " (seed " + std::to_string(options.seed) + ")";
    return report;
  }
  const std::string difference = player.CompareEverything();
  if (!difference.empty()) {
    report.failure = "at the end: " + difference + " (seed " + std::to_string(options.seed) + ")";
  }
  return report;
}

ModelReport RunModelHistory(const ModelHistoryOptions& options,
                            const ModelSubjectFactory& open_subject) {
  const ModelPlan plan = MakeModelOps(options);
  const ModelReport report = RunModelOps(plan, options, open_subject);
  return report.ok() ? report : Shrink(plan, report, options, open_subject);
}

}  // namespace flagstone::testkit
