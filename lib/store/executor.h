// The executor: runs a store's background tasks on threads of its own, or on the caller's.
//
// Place       Owned by StoreCore, which gives it the tasks.
// Life        Start() for MaintenanceMode::kBackground; RunAll() for kCallerDriven and for whoever
//             wants work done now. Stop() returns when no task runs.
// Invariants  1. In kCallerDriven mode there is no thread: what runs, runs inside a call.
// Threads     RunAll(): any. Start(), Stop(): the owner.
#ifndef FLAGSTONE_LIB_STORE_EXECUTOR_H_
#define FLAGSTONE_LIB_STORE_EXECUTOR_H_

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "flagstone/status.h"
#include "flagstone/store_options.h"

namespace flagstone::store {

class Executor {
 public:
  // A bounded piece of work of at most so many records; true when there is more to do.
  using Task = std::function<bool(uint64_t records_max)>;

  Executor(const MaintenanceOptions& options, std::vector<Task> tasks)
      : options_(options), tasks_(std::move(tasks)) {}
  ~Executor() { Stop(); }
  Executor(const Executor&) = delete;
  Executor& operator=(const Executor&) = delete;

  // RESOURCE_EXHAUSTED when a thread cannot be made, INVALID_ARGUMENT for a processor that does not
  // exist.
  Status Start();
  void Stop();
  // Every task once.
  bool RunAll(uint64_t records_max);

 private:
  void ThreadMain(size_t first_task);

  // set at open
  const MaintenanceOptions options_;
  const std::vector<Task> tasks_;

  // guarded by mutex_
  std::mutex mutex_;
  std::condition_variable stop_;
  bool stopping_ = false;
  std::vector<std::thread> threads_;  // owned by the owner
};

}  // namespace flagstone::store

#endif  // FLAGSTONE_LIB_STORE_EXECUTOR_H_
