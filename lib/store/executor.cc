#include "lib/store/executor.h"

#include <pthread.h>
#include <sched.h>

#include <cstring>
#include <system_error>

namespace flagstone::store {
namespace {

// What a thread takes on before it looks whether it shall stop.
constexpr uint64_t kRecordsPerTurn = 16384;

Status Pin(std::thread& thread, const std::vector<int>& processors) {
  cpu_set_t set;
  CPU_ZERO(&set);
  for (const int processor : processors) CPU_SET(static_cast<size_t>(processor), &set);
  const int error = pthread_setaffinity_np(thread.native_handle(), sizeof(set), &set);
  if (error == 0) return Status::Ok();
  return Status::Error(StatusCode::kInvalidArgument,
                       std::string("MaintenanceOptions::cpu_affinity: ") + std::strerror(error) +
                           "; name processors that this process may run on (nproc, taskset -p)");
}

}  // namespace

Status Executor::Start() {
  for (uint32_t i = 0; i < options_.thread_count; ++i) {
    try {
      threads_.emplace_back([this, i] { ThreadMain(i); });
    } catch (const std::system_error& error) {
      Stop();
      return Status::Error(StatusCode::kResourceExhausted,
                           std::string("maintenance thread: ") + error.what() +
                               "; raise the limit of threads (ulimit -u) or use "
                               "MaintenanceMode::kCallerDriven");
    }
    const std::string name = options_.thread_name + "-" + std::to_string(i);
    pthread_setname_np(threads_.back().native_handle(), name.c_str());
    if (options_.cpu_affinity.empty()) continue;
    if (Status pinned = Pin(threads_.back(), options_.cpu_affinity); !pinned.ok()) {
      Stop();
      return pinned;
    }
  }
  return Status::Ok();
}

void Executor::Stop() {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    stopping_ = true;
  }
  stop_.notify_all();
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
}

bool Executor::RunAll(uint64_t records_max) {
  bool more = false;
  for (const Task& task : tasks_) more |= task(records_max);
  return more;
}

// Thread i starts with task i, so that the tasks run side by side when there are threads for them.
void Executor::ThreadMain(size_t first_task) {
  for (;;) {
    for (size_t i = 0; i < tasks_.size(); ++i) {
      tasks_[(first_task + i) % tasks_.size()](kRecordsPerTurn);
    }
    std::unique_lock<std::mutex> lock(mutex_);
    if (stop_.wait_for(lock, options_.interval, [this] { return stopping_; })) return;
  }
}

}  // namespace flagstone::store
