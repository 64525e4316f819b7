// Model checker for lock-free kernels: runs small programs under every interesting interleaving.
//
// Place       The atomics policy ModelAtomics takes the place of flagstone::internal::StdAtomics;
//             the kernel under test is compiled over it and runs on cooperative fibers.
// Life        Explore() runs its body once per execution. The body builds the shared state with
//             Execution::Make(), starts threads with Spawn() and may check the end with Finally().
//             Model Total store order, as x86-64 has it: each fiber owns a FIFO of stores (relaxed,
//             release, plain) that memory has not seen yet and that the scheduler lets out one by
//             one whenever it likes. Loads look into the own buffer first. Read-modify-writes and
//             sequentially consistent stores wait until the own buffer is empty. A membarrier
//             empties all buffers. compare_exchange_weak never fails spuriously. Beyond TSO,
//             happens-before between release and acquire is tracked and plain accesses (ModelCell)
//             that are not ordered by it are reported as races.
// Invariants  1. An execution is a function of its choices: replaying a schedule gives the same
//                trace.
//             2. Pause() gives the turn away until another fiber has changed memory, so spinning
//                never fills the exploration; when all wait for each other, that is a deadlock.
// Threads     An exploration and all its fibers live on the calling thread. Kernels must not use
//             thread_local or real blocking calls.
// Errors      The first failing execution ends the exploration; the report holds message, seed,
//             schedule and trace. What its fibers had on their stacks is kept for ever (nothing can
//             unwind a thread in the middle of a destructor).
// See         Musuvathi 2007 (bounded preemption), Burckhardt 2010 (PCT), Owens 2009 (x86-TSO)
#ifndef FLAGSTONE_TESTS_SUPPORT_MODEL_SCHEDULER_H_
#define FLAGSTONE_TESTS_SUPPORT_MODEL_SCHEDULER_H_

#include <array>
#include <atomic>
#include <cstdint>
#include <cstring>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "flagstone/internal/atomics.h"

namespace flagstone::testkit {

inline constexpr int kModelFibersMax = 8;

enum class ExploreStrategy : uint8_t {
  kRandom,             // a random agent at each step, with a random bias per execution
  kPct,                // random priorities with pct_depth - 1 random demotions
  kBoundedPreemption,  // all schedules with at most preemptions_max forced switches or early
                       // flushes
};
enum class MemoryModel : uint8_t { kSequentiallyConsistent, kTotalStoreOrder };
enum class CellRaces : uint8_t { kReported, kIgnored };

struct ExploreOptions {
  ExploreStrategy strategy = ExploreStrategy::kRandom;
  MemoryModel memory = MemoryModel::kTotalStoreOrder;
  CellRaces cell_races = CellRaces::kReported;
  uint64_t executions_max = 100'000;
  uint64_t seed = 1;
  uint32_t preemptions_max = 2;
  uint32_t pct_depth = 3;
  uint32_t steps_max = 20'000;  // more is reported as a livelock
  // How often fibers that all wait are woken without any change before that is a deadlock: for
  // kernels that give up waiting after a few turns.
  uint32_t idle_rounds_max = 3;
  // Not empty: one execution with the choices of ExploreReport::schedule.
  std::string replay_schedule;
};

struct ExploreReport {
  uint64_t executions = 0;
  uint64_t steps = 0;
  bool complete = false;  // kBoundedPreemption: the whole bounded space was covered
  bool failed = false;
  std::string failure;        // what the first failing execution broke
  uint64_t failing_seed = 0;  // as ExploreOptions::seed with executions_max = 1 (not for bounded)
  std::string schedule;       // as ExploreOptions::replay_schedule
  std::string trace;          // one operation per line

  std::string ToString() const;
};

class ModelLocation;

// One execution being set up or checked. Given to the body; not kept beyond it.
class Execution {
 public:
  Execution() = default;
  Execution(const Execution&) = delete;
  Execution& operator=(const Execution&) = delete;
  ~Execution();

  // State shared by the fibers; destroyed when the execution is over, in reverse order.
  template <typename T, typename... Args>
  T& Make(Args&&... args) {
    T* made = new T(std::forward<Args>(args)...);
    owned_.push_back({made, [](void* object) { delete static_cast<T*>(object); }});
    return *made;
  }
  // At most kModelFibersMax. The body runs when all of the set-up is done.
  void Spawn(std::function<void()> body);
  // Runs when every fiber has ended and every store is in memory.
  void Finally(std::function<void()> check);
  // The name a location has in traces; `name` must be a literal.
  void Name(const ModelLocation& location, const char* name);

 private:
  friend class ModelScheduler;
  struct Owned {
    void* object;
    void (*destroy)(void*);
  };
  std::vector<Owned> owned_;
  std::vector<std::function<void()>> bodies_;
  std::vector<std::function<void()>> checks_;
  std::vector<std::pair<uint32_t, const char*>> names_;
};

ExploreReport Explore(const ExploreOptions& options, const std::function<void(Execution&)>& body);

// Ends the execution as failed. In a fiber it does not return.
void ModelFail(std::string_view message);
inline void ModelAssert(bool condition, std::string_view message) {
  if (!condition) [[unlikely]]
    ModelFail(message);
}

// The index of the running fiber in order of Spawn(), -1 in set-up and Finally().
int ModelFiberIndex();

// Vector clock: what a fiber knows of the others.
struct ModelClock {
  std::array<uint32_t, kModelFibersMax> at{};
  void Join(const ModelClock& other) {
    for (int i = 0; i < kModelFibersMax; ++i) {
      const auto index = static_cast<size_t>(i);
      if (other.at[index] > at[index]) at[index] = other.at[index];
    }
  }
};

// A word of modelled memory. Use ModelAtomic or ModelCell.
class ModelLocation {
 public:
  ModelLocation(const ModelLocation&) = delete;
  ModelLocation& operator=(const ModelLocation&) = delete;

 protected:
  explicit ModelLocation(uint64_t bits);
  ~ModelLocation();

  uint64_t LoadWord(std::memory_order order) const;
  void StoreWord(uint64_t bits, std::memory_order order);
  // Atomically replaces the word by change(word, operand); returns the word before.
  uint64_t UpdateWord(uint64_t (*change)(uint64_t word, uint64_t operand), uint64_t operand,
                      std::memory_order order);
  bool CompareExchangeWord(uint64_t& expected, uint64_t desired, std::memory_order success,
                           std::memory_order failure);
  uint64_t ReadCellWord() const;
  void WriteCellWord(uint64_t bits);
  void RecycleCell();
  void ReuseCell(uint64_t bits);

  template <typename T>
  static uint64_t ToWord(T value) {
    static_assert(std::is_trivially_copyable_v<T> && sizeof(T) <= sizeof(uint64_t));
    uint64_t bits = 0;
    std::memcpy(&bits, &value, sizeof(T));
    return bits;
  }
  template <typename T>
  static T FromWord(uint64_t bits) {
    T value;
    std::memcpy(&value, &bits, sizeof(T));
    return value;
  }

  uint32_t generation_ = 0;

 private:
  friend class ModelScheduler;
  friend class Execution;
  uint64_t bits_;
  uint32_t id_ = 0;
  bool recycled_ = false;
  // What an acquire of the current value learns.
  ModelClock release_;
  // Plain cells only: the last write and the reads since the set-up, for race detection.
  int8_t writer_ = -1;
  uint32_t write_time_ = 0;
  mutable ModelClock read_times_;
};

// The modelled counterpart of std::atomic<T> for integers, pointers and enumerations up to 8 bytes.
template <typename T>
class ModelAtomic : public ModelLocation {
 public:
  using value_type = T;
  static constexpr bool is_always_lock_free = true;

  ModelAtomic() : ModelAtomic(T{}) {}
  ModelAtomic(T value)  // NOLINT(google-explicit-constructor): as std::atomic
      : ModelLocation(ToWord(value)) {}

  T load(std::memory_order order = std::memory_order_seq_cst) const {
    return FromWord<T>(LoadWord(order));
  }
  void store(T value, std::memory_order order = std::memory_order_seq_cst) {
    StoreWord(ToWord(value), order);
  }
  T exchange(T value, std::memory_order order = std::memory_order_seq_cst) {
    return Update([](uint64_t, uint64_t operand) { return operand; }, value, order);
  }
  bool compare_exchange_strong(T& expected, T desired, std::memory_order success,
                               std::memory_order failure) {
    uint64_t word = ToWord(expected);
    const bool exchanged = CompareExchangeWord(word, ToWord(desired), success, failure);
    if (!exchanged) expected = FromWord<T>(word);
    return exchanged;
  }
  bool compare_exchange_strong(T& expected, T desired,
                               std::memory_order order = std::memory_order_seq_cst) {
    return compare_exchange_strong(expected, desired, order, WithoutRelease(order));
  }
  bool compare_exchange_weak(T& expected, T desired, std::memory_order success,
                             std::memory_order failure) {
    return compare_exchange_strong(expected, desired, success, failure);
  }
  bool compare_exchange_weak(T& expected, T desired,
                             std::memory_order order = std::memory_order_seq_cst) {
    return compare_exchange_strong(expected, desired, order);
  }

  T fetch_add(T value,
              std::memory_order order = std::memory_order_seq_cst) requires std::is_integral_v<T> {
    return Update(
        [](uint64_t word, uint64_t operand) { return ToWord(static_cast<T>(word + operand)); },
        value, order);
  }
  T fetch_sub(T value,
              std::memory_order order = std::memory_order_seq_cst) requires std::is_integral_v<T> {
    return Update(
        [](uint64_t word, uint64_t operand) { return ToWord(static_cast<T>(word - operand)); },
        value, order);
  }
  T fetch_or(T value,
             std::memory_order order = std::memory_order_seq_cst) requires std::is_integral_v<T> {
    return Update([](uint64_t word, uint64_t operand) { return word | operand; }, value, order);
  }
  T fetch_and(T value,
              std::memory_order order = std::memory_order_seq_cst) requires std::is_integral_v<T> {
    return Update([](uint64_t word, uint64_t operand) { return word & operand; }, value, order);
  }

 private:
  static std::memory_order WithoutRelease(std::memory_order order) {
    if (order == std::memory_order_acq_rel) return std::memory_order_acquire;
    if (order == std::memory_order_release) return std::memory_order_relaxed;
    return order;
  }
  T Update(uint64_t (*change)(uint64_t, uint64_t), T value, std::memory_order order) {
    return FromWord<T>(UpdateWord(change, ToWord(value), order));
  }
};

// Plain memory that is recycled: a slot, a node, a version. Reading or writing a recycled cell
// fails the execution, and so does an access that is not ordered with another thread's write.
template <typename T>
class ModelCell : public ModelLocation {
 public:
  ModelCell() : ModelCell(T{}) {}
  explicit ModelCell(T value) : ModelLocation(ToWord(value)) {}

  T Read() const { return FromWord<T>(ReadCellWord()); }
  void Write(T value) { WriteCellWord(ToWord(value)); }
  // The owner declares that nobody can reach the cell any more. Takes effect at once: it stands for
  // a decision, not for a store.
  void Recycle() { RecycleCell(); }
  // The cell gets a new life with a new value.
  void Reuse(T value) { ReuseCell(ToWord(value)); }
  // How many lives have ended.
  uint32_t generation() const { return generation_; }
};

// The atomics policy; see include/flagstone/internal/atomics.h for what each part promises.
struct ModelAtomics {
  template <typename T>
  using Atomic = ModelAtomic<T>;

  template <typename T>
  static void Announce(ModelAtomic<T>& target, T value, internal::BarrierKind kind) {
    if (kind == internal::BarrierKind::kAsymmetric) {
      target.store(value, std::memory_order_release);
    } else {
      target.exchange(value, std::memory_order_seq_cst);
      MeetHeavyBarrier();
    }
  }
  static void MeetHeavyBarrier();
  static void HeavyBarrier(internal::BarrierKind kind);
  static void Pause(uint32_t spin);
};

// The modelled counterpart of std::mutex: for code that takes its mutex as a policy.
class ModelMutex {
 public:
  ModelMutex() = default;
  ModelMutex(const ModelMutex&) = delete;
  ModelMutex& operator=(const ModelMutex&) = delete;

  void lock() {
    for (uint32_t spin = 0; !try_lock(); ++spin) ModelAtomics::Pause(spin);
  }
  bool try_lock() {
    uint32_t free = 0;
    return held_.compare_exchange_strong(free, 1, std::memory_order_acquire);
  }
  void unlock() { held_.store(0, std::memory_order_release); }

 private:
  ModelAtomic<uint32_t> held_{0};
};

}  // namespace flagstone::testkit

#endif  // FLAGSTONE_TESTS_SUPPORT_MODEL_SCHEDULER_H_
