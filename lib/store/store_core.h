// StoreCore: the composition root. Builds the modules from the options and wires them; knows none
// of their insides.
//
// Life        Create() in order: account, clock and ticks, engine, tidier, executor. Close() in
//             reverse.
// Threads     As Store.
#ifndef FLAGSTONE_LIB_STORE_STORE_CORE_H_
#define FLAGSTONE_LIB_STORE_STORE_CORE_H_

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "flagstone/store.h"
#include "lib/base/memory_account.h"
#include "lib/base/mutex.h"
#include "lib/id/tick_lease.h"
#include "lib/id/tick_source.h"
#include "lib/store/executor.h"
#include "lib/store/thread_readers.h"
#include "lib/txn/engine.h"
#include "lib/txn/session_core.h"
#include "lib/txn/tidier.h"

namespace flagstone::store {

class StoreCore {
 public:
  static Result<std::unique_ptr<StoreCore>> Create(const StoreOptions& options);
  ~StoreCore();
  StoreCore(const StoreCore&) = delete;
  StoreCore& operator=(const StoreCore&) = delete;

  Status Close();

  Result<RecordTable> CreateTable(std::string_view name, const TableOptions& options);
  std::optional<RecordTable> FindTable(std::string_view name) const;
  Result<std::unique_ptr<txn::SessionCore>> NewSession();

  ThreadReaders& thread_readers() { return *thread_readers_; }

  Status ReserveRecords(const RecordTable& table, uint64_t record_count);
  bool Maintain(uint64_t records_max);
  Result<uint64_t> CompactStorage();
  Result<std::optional<AbsenceReason>> Explain(const RecordTable& table, RecordId id);
  StoreStatistics Statistics() const;
  Result<PageReport> VerifyPages() const;
  txn::Engine& engine() { return *engine_; }
  const StoreOptions& options() const { return options_; }

 private:
  StoreCore(const StoreOptions& options, Clock& clock);
  Result<std::unique_ptr<page::ExtentRange>> ReserveRange(const std::string& name,
                                                          uint64_t extents_max,
                                                          MemoryComponent component);
  Status Open();
  // FAILED_PRECONDITION when it is closed, or was opened before a fork.
  Status CheckOpen() const;
  Status CheckNoSessions() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(opening_mutex_);
  Result<std::unique_ptr<txn::SessionCore>> OpenSession()
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(opening_mutex_);
  Result<std::unique_ptr<Reader>> NewThreadReader();
  bool TidyTask(uint64_t records_max);
  bool TickTask();
  PageReport SumPages(bool verify) const;
  void Log(LogLevel level, const std::string& message) const;

  // set at open
  const StoreOptions options_;
  Clock& clock_;
  base::MemoryAccount account_;
  id::VolatileLeaseStorage leases_;
  std::unique_ptr<id::TickSource> ticks_;
  std::unique_ptr<txn::Engine> engine_;
  std::unique_ptr<txn::Tidier> tidier_;
  std::unique_ptr<Executor> executor_;

  // Shared with the threads that have one of them, for the moment in which they give it back.
  const std::shared_ptr<ThreadReaders> thread_readers_;
  std::atomic<uint64_t> snapshots_cut_reported_{0};

  // Sessions are opened, and the store is closed, one after the other: what Close() has counted
  // does not grow behind its back. Taken before all other mutexes.
  base::Mutex opening_mutex_;

  // atomic: set once under opening_mutex_
  std::atomic<bool> closed_{false};

  uint32_t thread_reader_count_ ABSL_GUARDED_BY(opening_mutex_) = 0;

  mutable base::Mutex mutex_;
  std::map<std::string, txn::TableState*, std::less<>> tables_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace flagstone::store

#endif  // FLAGSTONE_LIB_STORE_STORE_CORE_H_
