// Stays one file although it is long: the scheduler, the memory and the three strategies share one
// state machine whose steps only make sense side by side.
#include "tests/support/model_scheduler.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <sstream>

#include "tests/support/fiber.h"
#include "tests/support/seeded_random.h"

namespace flagstone::testkit {
namespace {

// An agent is what the scheduler can let act: a fiber (even) or the head of its store buffer (odd).
constexpr int kAgentsMax = 2 * kModelFibersMax;
constexpr int kNoAgent = -1;
int RunAgent(int fiber) { return 2 * fiber; }
int FlushAgent(int fiber) { return 2 * fiber + 1; }
bool IsFlush(int agent) { return agent % 2 != 0; }
int FiberOf(int agent) { return agent / 2; }

bool Acquires(std::memory_order order) {
  return order == std::memory_order_acquire || order == std::memory_order_acq_rel ||
         order == std::memory_order_seq_cst || order == std::memory_order_consume;
}
bool Releases(std::memory_order order) {
  return order == std::memory_order_release || order == std::memory_order_acq_rel ||
         order == std::memory_order_seq_cst;
}

enum class TraceKind : uint8_t {
  kLoad,
  kStoreBuffered,
  kStore,
  kFlush,
  kUpdate,
  kCompareExchange,
  kCompareExchangeFailed,
  kCellRead,
  kCellWrite,
  kCellRecycle,
  kCellReuse,
  kPause,
  kBarrier,
};

struct TraceEntry {
  TraceKind kind;
  int8_t fiber;
  uint32_t location;
  uint64_t before;
  uint64_t after;
};

const char* TraceVerb(TraceKind kind) {
  switch (kind) {
    case TraceKind::kLoad: return "loads";
    case TraceKind::kStoreBuffered: return "stores into its buffer";
    case TraceKind::kStore: return "stores";
    case TraceKind::kFlush: return "(store buffer reaches memory)";
    case TraceKind::kUpdate: return "updates";
    case TraceKind::kCompareExchange: return "compare-exchanges";
    case TraceKind::kCompareExchangeFailed: return "fails to compare-exchange";
    case TraceKind::kCellRead: return "reads cell";
    case TraceKind::kCellWrite: return "writes cell";
    case TraceKind::kCellRecycle: return "recycles cell";
    case TraceKind::kCellReuse: return "reuses cell";
    case TraceKind::kPause: return "pauses";
    case TraceKind::kBarrier: return "runs a heavy barrier";
  }
  return "?";
}

}  // namespace

class ModelScheduler {
 public:
  explicit ModelScheduler(const ExploreOptions& options) : options_(options) {}
  ~ModelScheduler() { active_ = nullptr; }

  ExploreReport Explore(const std::function<void(Execution&)>& body);

  static ModelScheduler* active() { return active_; }
  bool in_fiber() const { return current_ >= 0; }
  int current() const { return current_; }
  uint32_t NextLocationId() { return ++location_count_; }
  void Fail(std::string_view message);

  uint64_t Load(const ModelLocation& location, std::memory_order order);
  void Store(ModelLocation& location, uint64_t bits, std::memory_order order);
  uint64_t Update(ModelLocation& location, uint64_t (*change)(uint64_t, uint64_t), uint64_t operand,
                  std::memory_order order);
  bool CompareExchange(ModelLocation& location, uint64_t& expected, uint64_t desired,
                       std::memory_order success, std::memory_order failure);
  uint64_t ReadCell(const ModelLocation& location);
  void WriteCell(ModelLocation& location, uint64_t bits);
  void RecycleCell(ModelLocation& location);
  void ReuseCell(ModelLocation& location, uint64_t bits);
  void Forget(const ModelLocation& location);
  void DrainEveryBuffer();
  void Pause();

 private:
  enum class FiberState : uint8_t { kReady, kPaused, kDone };
  struct BufferedStore {
    ModelLocation* location;
    uint64_t bits;
    ModelClock release;
  };
  struct ModelFiber {
    Fiber stack;
    FiberState state = FiberState::kDone;
    std::vector<BufferedStore> buffer;  // front is the oldest
    ModelClock clock;
    uint64_t own_changes = 0;
    uint64_t foreign_changes_seen = 0;
  };
  struct DfsChoice {
    uint8_t chosen;
    uint8_t count;
  };

  static void FiberEntry();
  void RunExecution(const std::function<void(Execution&)>& body);
  void BeginExecution();
  void RunFibers();
  void ScheduleUntilRunnable();
  void SchedulePoint() {
    if (in_fiber()) ScheduleUntilRunnable();
  }
  void SwitchTo(int fiber);
  int ChooseAgent();
  int EnabledAgents(std::array<int8_t, kAgentsMax>& agents);
  int ChooseRandomly(const std::array<int8_t, kAgentsMax>& agents, int count);
  int ChooseByPriority(const std::array<int8_t, kAgentsMax>& agents, int count);
  int ChooseNextInTree(const std::array<int8_t, kAgentsMax>& agents, int count);
  int ChooseReplayed(const std::array<int8_t, kAgentsMax>& agents, int count);
  bool NextBranch();
  void Flush(int fiber);
  void DrainOwnBuffer();
  void ChangeMemory(ModelLocation& location, uint64_t bits, int fiber);
  uint64_t Visible(const ModelLocation& location) const;
  ModelFiber& fiber(int index) { return fibers_[static_cast<size_t>(index)]; }
  const ModelFiber& fiber(int index) const { return fibers_[static_cast<size_t>(index)]; }
  uint64_t ForeignChanges(const ModelFiber& fiber) const { return changes_ - fiber.own_changes; }
  uint32_t Tick() { return ++fiber(current_).clock.at[static_cast<size_t>(current_)]; }
  void CheckCellAlive(const ModelLocation& location, const char* verb);
  void CheckCellOrder(const ModelLocation& location, const char* verb);
  void CheckReadersOrdered(const ModelLocation& location);
  std::string NameOf(uint32_t id) const;
  std::string TraceText() const;
  std::string ScheduleText() const;
  void Trace(TraceKind kind, int fiber, uint32_t location, uint64_t before, uint64_t after) {
    trace_.push_back({kind, static_cast<int8_t>(fiber), location, before, after});
  }

  static thread_local ModelScheduler* active_;

  const ExploreOptions& options_;
  ExploreReport report_;
  Fiber main_;
  std::array<ModelFiber, kModelFibersMax> fibers_;
  Execution* execution_ = nullptr;

  // State of the running execution.
  int fiber_count_ = 0;
  int current_ = -1;
  uint32_t location_count_ = 0;
  uint64_t changes_ = 0;
  uint32_t idle_rounds_ = 0;
  uint32_t step_count_ = 0;
  uint32_t preemptions_ = 0;
  bool failed_ = false;
  std::string failure_;
  std::vector<TraceEntry> trace_;
  std::vector<int8_t> schedule_;
  ModelAtomic<uint64_t>* meeting_point_ = nullptr;

  // Strategies.
  SeededRandom random_{0};
  uint32_t flush_one_in_ = 1;   // kRandom: how rarely a store leaves a buffer
  uint32_t switch_one_in_ = 1;  // kRandom: how rarely the running fiber is left
  std::array<uint32_t, kAgentsMax> priorities_{};
  std::vector<uint32_t> demotion_steps_;
  uint32_t demoted_ = 0;
  uint32_t steps_expected_ = 16;
  std::vector<DfsChoice> tree_path_;
  size_t tree_depth_ = 0;
  std::vector<int8_t> replay_;
  size_t replayed_ = 0;

  friend struct ModelAtomics;
};

thread_local ModelScheduler* ModelScheduler::active_ = nullptr;

// --- One execution

ExploreReport ModelScheduler::Explore(const std::function<void(Execution&)>& body) {
  if (active_ != nullptr) std::abort();  // explorations do not nest
  active_ = this;
  std::istringstream replay(options_.replay_schedule);
  for (std::string agent; replay >> agent;) {
    const bool flush = agent[0] == 'f';
    const int index = std::atoi(agent.c_str() + (flush ? 1 : 0));
    replay_.push_back(static_cast<int8_t>(flush ? FlushAgent(index) : RunAgent(index)));
  }
  const uint64_t executions_max = replay_.empty() ? options_.executions_max : 1;
  while (report_.executions < executions_max) {
    const uint64_t seed = options_.seed + report_.executions;
    random_ = SeededRandom(seed);
    RunExecution(body);
    ++report_.executions;
    report_.steps += step_count_;
    if (failed_) {
      report_.failed = true;
      report_.failing_seed = seed;
      break;
    }
    if (options_.strategy == ExploreStrategy::kBoundedPreemption && !NextBranch()) {
      report_.complete = true;
      break;
    }
  }
  return report_;
}

void ModelScheduler::RunExecution(const std::function<void(Execution&)>& body) {
  BeginExecution();
  Execution execution;
  execution_ = &execution;
  ModelAtomic<uint64_t> meeting_point(0);
  meeting_point_ = &meeting_point;
  body(execution);
  fiber_count_ = static_cast<int>(execution.bodies_.size());
  if (!failed_) RunFibers();
  if (!failed_) {
    for (const auto& check : execution.checks_) check();
  }
  if (failed_) {
    report_.failure = failure_;
    report_.trace = TraceText();
    report_.schedule = ScheduleText();
    for (int i = 0; i < fiber_count_; ++i) {
      fiber(i).buffer.clear();
      if (fiber(i).state != FiberState::kDone) fiber(i).stack.Abandon();
    }
  }
  meeting_point_ = nullptr;
  execution_ = nullptr;
}

void ModelScheduler::BeginExecution() {
  fiber_count_ = 0;
  current_ = -1;
  location_count_ = 0;
  changes_ = 0;
  idle_rounds_ = 0;
  step_count_ = 0;
  preemptions_ = 0;
  failed_ = false;
  trace_.clear();
  schedule_.clear();
  tree_depth_ = 0;
  replayed_ = 0;
  constexpr std::array<uint32_t, 4> kRareness = {1, 2, 4, 16};
  flush_one_in_ = kRareness[random_.Below(4)];
  switch_one_in_ = kRareness[random_.Below(3)];
  if (options_.strategy == ExploreStrategy::kPct) {
    for (uint32_t i = 0; i < kAgentsMax; ++i) priorities_[i] = options_.pct_depth + i;
    for (uint32_t i = kAgentsMax - 1; i > 0; --i) {
      std::swap(priorities_[i], priorities_[random_.Below(i + 1)]);
    }
    demoted_ = 0;
    demotion_steps_.clear();
    for (uint32_t i = 1; i < options_.pct_depth; ++i) {
      demotion_steps_.push_back(1 + random_.Below(steps_expected_));
    }
  }
}

void ModelScheduler::RunFibers() {
  for (int i = 0; i < fiber_count_; ++i) {
    ModelFiber& f = fiber(i);
    f.state = FiberState::kReady;
    f.buffer.clear();
    f.clock = ModelClock();
    f.own_changes = 0;
    f.foreign_changes_seen = 0;
    if (!f.stack.started()) f.stack.Start(&ModelScheduler::FiberEntry);
  }
  const int agent = ChooseAgent();
  if (agent == kNoAgent) return;
  const int first = FiberOf(agent);
  current_ = first;
  SwitchFiber(main_, fiber(first).stack);
  current_ = -1;
  steps_expected_ = std::max(steps_expected_, step_count_);
}

void ModelScheduler::FiberEntry() {
  FiberEntered();
  for (;;) {
    ModelScheduler& scheduler = *active_;
    const int self = scheduler.current_;
    try {
      scheduler.execution_->bodies_[static_cast<size_t>(self)]();
    } catch (const std::exception& exception) {
      scheduler.Fail(std::string("exception left a fiber: ") + exception.what());
    }
    scheduler.fiber(self).state = FiberState::kDone;
    scheduler.ScheduleUntilRunnable();
  }
}

// Lets agents act until the running fiber is chosen (again). For a fiber that has ended that is the
// next execution.
void ModelScheduler::ScheduleUntilRunnable() {
  for (;;) {
    const int agent = ChooseAgent();
    if (agent == kNoAgent) {
      const int self = current_;
      SwitchFiber(fiber(self).stack, main_);
      return;
    }
    if (IsFlush(agent)) {
      Flush(FiberOf(agent));
      continue;
    }
    const int next = FiberOf(agent);
    if (next != current_) {
      SwitchTo(next);
    }
    return;
  }
}

void ModelScheduler::SwitchTo(int next) {
  const int self = current_;
  current_ = next;
  SwitchFiber(fiber(self).stack, fiber(next).stack);
}

void ModelScheduler::Fail(std::string_view message) {
  if (failed_) return;
  failed_ = true;
  failure_ = message;
  if (in_fiber()) {
    failure_ = "T" + std::to_string(current_) + ": " + failure_;
    const int self = current_;
    SwitchFiber(fiber(self).stack, main_);
    std::abort();  // an abandoned stack is never resumed
  }
}

// --- Choosing

// The running fiber first, if it can go on; then the others; then the store buffers.
int ModelScheduler::EnabledAgents(std::array<int8_t, kAgentsMax>& agents) {
  size_t count = 0;
  const auto add = [&](int agent) { agents[count++] = static_cast<int8_t>(agent); };
  if (in_fiber() && fiber(current_).state == FiberState::kReady) add(RunAgent(current_));
  for (int i = 0; i < fiber_count_; ++i) {
    if (i != current_ && fiber(i).state == FiberState::kReady) add(RunAgent(i));
  }
  for (int i = 0; i < fiber_count_; ++i) {
    if (!fiber(i).buffer.empty()) add(FlushAgent(i));
  }
  return static_cast<int>(count);
}

// kNoAgent: everything is over (or has failed), the main stack goes on.
int ModelScheduler::ChooseAgent() {
  std::array<int8_t, kAgentsMax> agents;
  int count = EnabledAgents(agents);
  if (count == 0) {
    std::string waiting;
    for (int i = 0; i < fiber_count_; ++i) {
      if (fiber(i).state != FiberState::kPaused) continue;
      waiting += " T" + std::to_string(i);
      fiber(i).state = FiberState::kReady;
    }
    if (waiting.empty()) return kNoAgent;
    if (++idle_rounds_ > options_.idle_rounds_max) {
      for (int i = 0; i < fiber_count_; ++i) {
        if (fiber(i).state == FiberState::kReady) fiber(i).state = FiberState::kPaused;
      }
      failed_ = true;
      failure_ = "deadlock: nobody can change memory any more, waiting:" + waiting;
      return kNoAgent;
    }
    count = EnabledAgents(agents);
  }
  if (++step_count_ > options_.steps_max) {
    failed_ = true;
    failure_ = "livelock: more than " + std::to_string(options_.steps_max) + " steps";
    return kNoAgent;
  }
  int agent;
  if (!replay_.empty()) {
    agent = ChooseReplayed(agents, count);
    if (agent == kNoAgent) return kNoAgent;
  } else if (options_.strategy == ExploreStrategy::kBoundedPreemption) {
    agent = ChooseNextInTree(agents, count);
  } else if (count == 1) {
    agent = agents[0];
  } else if (options_.strategy == ExploreStrategy::kPct) {
    agent = ChooseByPriority(agents, count);
  } else {
    agent = ChooseRandomly(agents, count);
  }
  schedule_.push_back(static_cast<int8_t>(agent));
  return agent;
}

int ModelScheduler::ChooseRandomly(const std::array<int8_t, kAgentsMax>& agents, int count) {
  int flush_begin = 0;
  while (flush_begin < count && !IsFlush(agents[static_cast<size_t>(flush_begin)])) ++flush_begin;
  const auto pick = [&](int begin, int end) {
    return agents[static_cast<size_t>(begin) + random_.Below(static_cast<uint32_t>(end - begin))];
  };
  if (flush_begin == 0) return pick(0, count);
  if (flush_begin < count && random_.OneIn(flush_one_in_ * 2)) return pick(flush_begin, count);
  const bool can_stay = in_fiber() && agents[0] == RunAgent(current_);
  if (can_stay && !random_.OneIn(switch_one_in_)) return agents[0];
  return pick(0, flush_begin);
}

int ModelScheduler::ChooseByPriority(const std::array<int8_t, kAgentsMax>& agents, int count) {
  const auto highest = [&] {
    int best = agents[0];
    for (int i = 1; i < count; ++i) {
      const int agent = agents[static_cast<size_t>(i)];
      if (priorities_[static_cast<size_t>(agent)] > priorities_[static_cast<size_t>(best)]) {
        best = agent;
      }
    }
    return best;
  };
  for (const uint32_t step : demotion_steps_) {
    if (step == step_count_) priorities_[static_cast<size_t>(highest())] = demoted_++;
  }
  return highest();
}

int ModelScheduler::ChooseNextInTree(const std::array<int8_t, kAgentsMax>& agents, int count) {
  const bool can_stay = in_fiber() && agents[0] == RunAgent(current_);
  if (count == 1 || (can_stay && preemptions_ >= options_.preemptions_max)) return agents[0];
  if (tree_depth_ == tree_path_.size()) tree_path_.push_back({0, static_cast<uint8_t>(count)});
  DfsChoice& choice = tree_path_[tree_depth_++];
  if (choice.count != count) {
    failed_ = true;
    failure_ = "the program under test is not deterministic: a repeated schedule had other choices";
    return agents[0];
  }
  if (can_stay && choice.chosen != 0) ++preemptions_;
  return agents[choice.chosen];
}

// Moves to the next leaf of the choice tree; false when there is none.
bool ModelScheduler::NextBranch() {
  tree_path_.resize(tree_depth_);
  while (!tree_path_.empty() && tree_path_.back().chosen + 1 == tree_path_.back().count) {
    tree_path_.pop_back();
  }
  if (tree_path_.empty()) return false;
  ++tree_path_.back().chosen;
  return true;
}

int ModelScheduler::ChooseReplayed(const std::array<int8_t, kAgentsMax>& agents, int count) {
  const auto end = agents.begin() + count;
  if (replayed_ < replay_.size() && std::find(agents.begin(), end, replay_[replayed_]) != end) {
    return replay_[replayed_++];
  }
  failed_ = true;
  failure_ =
      "the schedule to replay does not fit this program after step " + std::to_string(replayed_);
  return kNoAgent;
}

// --- Memory

uint64_t ModelScheduler::Visible(const ModelLocation& location) const {
  if (in_fiber()) {
    const auto& buffer = fiber(current_).buffer;
    for (auto entry = buffer.rbegin(); entry != buffer.rend(); ++entry) {
      if (entry->location == &location) return entry->bits;
    }
  }
  return location.bits_;
}

void ModelScheduler::ChangeMemory(ModelLocation& location, uint64_t bits, int writer) {
  if (location.bits_ == bits) return;
  location.bits_ = bits;
  ++changes_;
  ++fiber(writer).own_changes;
  idle_rounds_ = 0;
  for (int i = 0; i < fiber_count_; ++i) {
    if (i != writer && fiber(i).state == FiberState::kPaused) fiber(i).state = FiberState::kReady;
  }
}

void ModelScheduler::Flush(int index) {
  auto& buffer = fiber(index).buffer;
  const BufferedStore store = buffer.front();
  buffer.erase(buffer.begin());
  Trace(TraceKind::kFlush, index, store.location->id_, store.location->bits_, store.bits);
  store.location->release_ = store.release;
  ChangeMemory(*store.location, store.bits, index);
}

void ModelScheduler::DrainOwnBuffer() {
  while (!fiber(current_).buffer.empty()) {
    Flush(current_);
    SchedulePoint();
  }
}

// What membarrier does: every thread passes a full barrier, one after the other, before it returns.
void ModelScheduler::DrainEveryBuffer() {
  if (!in_fiber()) return;
  SchedulePoint();
  Trace(TraceKind::kBarrier, current_, 0, 0, 0);
  DrainOwnBuffer();
  for (int i = 0; i < fiber_count_; ++i) {
    // Only what was stored before the barrier came by has to leave.
    for (size_t count = fiber(i).buffer.size(); count > 0 && !fiber(i).buffer.empty(); --count) {
      Flush(i);
    }
    SchedulePoint();
  }
}

void ModelScheduler::Pause() {
  if (!in_fiber()) return;
  ModelFiber& self = fiber(current_);
  Trace(TraceKind::kPause, current_, 0, 0, 0);
  if (ForeignChanges(self) == self.foreign_changes_seen) self.state = FiberState::kPaused;
  SchedulePoint();
  self.foreign_changes_seen = ForeignChanges(self);
}

uint64_t ModelScheduler::Load(const ModelLocation& location, std::memory_order order) {
  SchedulePoint();
  const uint64_t bits = Visible(location);
  if (in_fiber()) {
    if (Acquires(order)) fiber(current_).clock.Join(location.release_);
    Trace(TraceKind::kLoad, current_, location.id_, bits, bits);
  }
  return bits;
}

void ModelScheduler::Store(ModelLocation& location, uint64_t bits, std::memory_order order) {
  if (!in_fiber()) {
    location.bits_ = bits;
    return;
  }
  SchedulePoint();
  ModelFiber& self = fiber(current_);
  ModelClock release;
  if (Releases(order)) {
    release = self.clock;
    Tick();
  }
  const bool buffered = options_.memory == MemoryModel::kTotalStoreOrder;
  if (buffered && order != std::memory_order_seq_cst) {
    Trace(TraceKind::kStoreBuffered, current_, location.id_, Visible(location), bits);
    self.buffer.push_back({&location, bits, release});
    return;
  }
  DrainOwnBuffer();
  Trace(TraceKind::kStore, current_, location.id_, location.bits_, bits);
  location.release_ = release;
  ChangeMemory(location, bits, current_);
}

uint64_t ModelScheduler::Update(ModelLocation& location, uint64_t (*change)(uint64_t, uint64_t),
                                uint64_t operand, std::memory_order order) {
  if (!in_fiber()) {
    const uint64_t before = location.bits_;
    location.bits_ = change(before, operand);
    return before;
  }
  SchedulePoint();
  DrainOwnBuffer();
  ModelFiber& self = fiber(current_);
  const uint64_t before = location.bits_;
  const uint64_t after = change(before, operand);
  Trace(TraceKind::kUpdate, current_, location.id_, before, after);
  if (Acquires(order)) self.clock.Join(location.release_);
  if (Releases(order)) {
    location.release_.Join(self.clock);
    Tick();
  }
  ChangeMemory(location, after, current_);
  return before;
}

bool ModelScheduler::CompareExchange(ModelLocation& location, uint64_t& expected, uint64_t desired,
                                     std::memory_order success, std::memory_order failure) {
  if (in_fiber()) {
    SchedulePoint();
    DrainOwnBuffer();
  }
  const uint64_t before = location.bits_;
  if (before != expected) {
    if (in_fiber()) {
      Trace(TraceKind::kCompareExchangeFailed, current_, location.id_, before, desired);
      if (Acquires(failure)) fiber(current_).clock.Join(location.release_);
    }
    expected = before;
    return false;
  }
  if (!in_fiber()) {
    location.bits_ = desired;
    return true;
  }
  ModelFiber& self = fiber(current_);
  Trace(TraceKind::kCompareExchange, current_, location.id_, before, desired);
  if (Acquires(success)) self.clock.Join(location.release_);
  if (Releases(success)) {
    location.release_.Join(self.clock);
    Tick();
  }
  ChangeMemory(location, desired, current_);
  return true;
}

// --- Plain cells

void ModelScheduler::CheckCellAlive(const ModelLocation& location, const char* verb) {
  if (!location.recycled_) [[likely]]
    return;
  Fail(std::string(verb) + " cell " + NameOf(location.id_) + " after it was recycled (generation " +
       std::to_string(location.generation_) + ")");
}

void ModelScheduler::CheckCellOrder(const ModelLocation& location, const char* verb) {
  if (options_.cell_races == CellRaces::kIgnored || location.writer_ < 0) return;
  const uint32_t known = fiber(current_).clock.at[static_cast<size_t>(location.writer_)];
  if (location.writer_ == current_ || location.write_time_ <= known) return;
  Fail(std::string("race: ") + verb + " cell " + NameOf(location.id_) +
       " without an acquire that orders it after the write by T" +
       std::to_string(location.writer_));
}

void ModelScheduler::CheckReadersOrdered(const ModelLocation& location) {
  if (options_.cell_races == CellRaces::kIgnored) return;
  for (int i = 0; i < fiber_count_; ++i) {
    const auto index = static_cast<size_t>(i);
    if (i == current_ || location.read_times_.at[index] <= fiber(current_).clock.at[index])
      continue;
    Fail("race: writes cell " + NameOf(location.id_) +
         " without an acquire that orders it after the read by T" + std::to_string(i));
  }
}

uint64_t ModelScheduler::ReadCell(const ModelLocation& location) {
  SchedulePoint();
  const uint64_t bits = Visible(location);
  if (in_fiber()) Trace(TraceKind::kCellRead, current_, location.id_, bits, bits);
  CheckCellAlive(location, "reads");
  if (in_fiber()) {
    CheckCellOrder(location, "reads");
    location.read_times_.at[static_cast<size_t>(current_)] = Tick();
  }
  return bits;
}

void ModelScheduler::WriteCell(ModelLocation& location, uint64_t bits) {
  SchedulePoint();
  if (in_fiber()) Trace(TraceKind::kCellWrite, current_, location.id_, Visible(location), bits);
  CheckCellAlive(location, "writes");
  if (!in_fiber()) {
    location.bits_ = bits;
    return;
  }
  CheckCellOrder(location, "writes");
  CheckReadersOrdered(location);
  location.writer_ = static_cast<int8_t>(current_);
  location.write_time_ = Tick();
  if (options_.memory == MemoryModel::kTotalStoreOrder) {
    fiber(current_).buffer.push_back({&location, bits, ModelClock()});
  } else {
    ChangeMemory(location, bits, current_);
  }
}

void ModelScheduler::RecycleCell(ModelLocation& location) {
  SchedulePoint();
  if (in_fiber()) {
    Trace(TraceKind::kCellRecycle, current_, location.id_, location.bits_, location.bits_);
  }
  CheckCellAlive(location, "recycles");
  location.recycled_ = true;
  ++location.generation_;
}

void ModelScheduler::ReuseCell(ModelLocation& location, uint64_t bits) {
  if (!location.recycled_) Fail("reuses cell " + NameOf(location.id_) + " that is still in use");
  location.recycled_ = false;
  if (in_fiber()) {
    Trace(TraceKind::kCellReuse, current_, location.id_, location.bits_, bits);
    // Whoever read the former life must be ordered before the new one.
    CheckReadersOrdered(location);
  }
  WriteCell(location, bits);
}

void ModelScheduler::Forget(const ModelLocation& location) {
  for (int i = 0; i < fiber_count_; ++i) {
    auto& buffer = fiber(i).buffer;
    const auto lands_here = [&](const BufferedStore& store) { return store.location == &location; };
    if (buffer.empty() || std::none_of(buffer.begin(), buffer.end(), lands_here)) continue;
    std::erase_if(buffer, lands_here);
    if (i != current_) {
      Fail("location " + NameOf(location.id_) + " is destroyed while a store by T" +
           std::to_string(i) + " is still on its way to it");
    }
  }
}

// --- Text

std::string ModelScheduler::NameOf(uint32_t id) const {
  if (execution_ != nullptr) {
    for (const auto& [named, name] : execution_->names_) {
      if (named == id) return name;
    }
  }
  return "#" + std::to_string(id);
}

std::string ModelScheduler::TraceText() const {
  std::string text;
  for (const TraceEntry& entry : trace_) {
    text += "T" + std::to_string(entry.fiber) + " " + TraceVerb(entry.kind);
    if (entry.location != 0) {
      text += " " + NameOf(entry.location) + " ";
      char number[64];
      if (entry.before == entry.after) {
        std::snprintf(number, sizeof(number), "= 0x%llx",
                      static_cast<unsigned long long>(entry.after));
      } else {
        std::snprintf(number, sizeof(number), "0x%llx -> 0x%llx",
                      static_cast<unsigned long long>(entry.before),
                      static_cast<unsigned long long>(entry.after));
      }
      text += number;
    }
    text += "\n";
  }
  return text;
}

std::string ModelScheduler::ScheduleText() const {
  std::string text;
  for (const int8_t agent : schedule_) {
    if (!text.empty()) text += ' ';
    text += (IsFlush(agent) ? "f" : "") + std::to_string(FiberOf(agent));
  }
  return text;
}

std::string ExploreReport::ToString() const {
  std::string text = std::to_string(executions) + " executions, " + std::to_string(steps) +
                     " steps" + (complete ? ", the whole bounded space" : "");
  if (!failed) return text + ", no failure";
  return text + "\nFAILED: " + failure + "\nseed " + std::to_string(failing_seed) + "\nschedule " +
         schedule + "\n" + trace;
}

// --- The public face

Execution::~Execution() {
  bodies_.clear();
  checks_.clear();
  while (!owned_.empty()) {
    const Owned last = owned_.back();
    owned_.pop_back();
    last.destroy(last.object);
  }
}

void Execution::Spawn(std::function<void()> body) {
  if (bodies_.size() == kModelFibersMax) {
    ModelFail("more than " + std::to_string(kModelFibersMax) + " fibers");
    return;
  }
  bodies_.push_back(std::move(body));
}
void Execution::Finally(std::function<void()> check) { checks_.push_back(std::move(check)); }
void Execution::Name(const ModelLocation& location, const char* name) {
  names_.emplace_back(location.id_, name);
}

ExploreReport Explore(const ExploreOptions& options, const std::function<void(Execution&)>& body) {
  ModelScheduler scheduler(options);
  return scheduler.Explore(body);
}

void ModelFail(std::string_view message) {
  ModelScheduler* const scheduler = ModelScheduler::active();
  if (scheduler == nullptr) {
    std::fprintf(stderr, "ModelFail outside an exploration: %.*s\n",
                 static_cast<int>(message.size()), message.data());
    std::abort();
  }
  scheduler->Fail(message);
}

int ModelFiberIndex() {
  const ModelScheduler* const scheduler = ModelScheduler::active();
  return scheduler == nullptr ? -1 : scheduler->current();
}

ModelLocation::ModelLocation(uint64_t bits) : bits_(bits) {
  if (ModelScheduler* const scheduler = ModelScheduler::active()) id_ = scheduler->NextLocationId();
}
ModelLocation::~ModelLocation() {
  if (ModelScheduler* const scheduler = ModelScheduler::active()) scheduler->Forget(*this);
}

namespace {
ModelScheduler& Scheduler() {
  ModelScheduler* const scheduler = ModelScheduler::active();
  if (scheduler == nullptr) {
    std::fprintf(stderr, "modelled memory is used outside of Explore()\n");
    std::abort();
  }
  return *scheduler;
}
}  // namespace

uint64_t ModelLocation::LoadWord(std::memory_order order) const {
  return Scheduler().Load(*this, order);
}
void ModelLocation::StoreWord(uint64_t bits, std::memory_order order) {
  Scheduler().Store(*this, bits, order);
}
uint64_t ModelLocation::UpdateWord(uint64_t (*change)(uint64_t, uint64_t), uint64_t operand,
                                   std::memory_order order) {
  return Scheduler().Update(*this, change, operand, order);
}
bool ModelLocation::CompareExchangeWord(uint64_t& expected, uint64_t desired,
                                        std::memory_order success, std::memory_order failure) {
  return Scheduler().CompareExchange(*this, expected, desired, success, failure);
}
uint64_t ModelLocation::ReadCellWord() const { return Scheduler().ReadCell(*this); }
void ModelLocation::WriteCellWord(uint64_t bits) { Scheduler().WriteCell(*this, bits); }
void ModelLocation::RecycleCell() { Scheduler().RecycleCell(*this); }
void ModelLocation::ReuseCell(uint64_t bits) { Scheduler().ReuseCell(*this, bits); }

void ModelAtomics::MeetHeavyBarrier() {
  Scheduler().meeting_point_->fetch_add(1, std::memory_order_seq_cst);
}
void ModelAtomics::HeavyBarrier(internal::BarrierKind kind) {
  if (kind == internal::BarrierKind::kAsymmetric) {
    Scheduler().DrainEveryBuffer();
  } else {
    MeetHeavyBarrier();
  }
}
void ModelAtomics::Pause(uint32_t) { Scheduler().Pause(); }

}  // namespace flagstone::testkit
