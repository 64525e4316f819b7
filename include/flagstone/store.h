// Store: tables of fixed-size records in memory, read by ID in about one cache miss.
//
//   Store store = *Store::OpenInMemory({});
//   auto accounts = *store.CreateTableOf<Account>("accounts");
//   Session session = *store.NewSession();
//   RecordId id = *session.Insert(accounts, Account{...});
//   if (auto account = session.Get(accounts, id)) use(account->balance);
//
// Life        Open..., any number of tables and sessions, Close() or the destructor. Guards,
//             transactions and sessions end before the store.
// Threads     Every call: any thread.
// After fork  The parent goes on; in the child every call answers FAILED_PRECONDITION. Records are
// not
//             mapped there: bytes behind a guard, or given to an updater, must not be touched.
// See         docs/api.md, docs/architecture.md
#ifndef FLAGSTONE_STORE_H_
#define FLAGSTONE_STORE_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>

#include "flagstone/export.h"
#include "flagstone/record_id.h"
#include "flagstone/record_table.h"
#include "flagstone/session.h"
#include "flagstone/statistics.h"
#include "flagstone/status.h"
#include "flagstone/store_options.h"
#include "flagstone/write_batch.h"

namespace flagstone {

namespace store {
class StoreCore;
}  // namespace store

namespace internal {
// The reader that a thread's last one-call read used, and the serial number of its store.
struct ThreadReader {
  uint64_t store_serial;  // 0: none yet
  Reader* reader;
};
extern FLAGSTONE_EXPORT thread_local constinit ThreadReader thread_reader;
}  // namespace internal

struct TableOptions {
  // Of every record of the table: 1 to 2,093,032. Up to 7,144 bytes (kStrideBytesMax less the slot
  // header) a record is one slot, of the smallest class that fits; longer ones are runs of adjacent
  // slots of the largest class, whole ones: memory is rounded up to multiples of 7,168 bytes.
  uint32_t record_bytes = 0;
  // The class records go to; empty: the smallest that fits.
  std::optional<uint32_t> size_class = std::nullopt;
};

// What one call of Maintain() may take on.
struct MaintenanceBudget {
  uint64_t records_max = 4096;  // changed records to visit: about 50 ns each
};

class FLAGSTONE_EXPORT Store {
 public:
  // A store for the lifetime of the process: a cache, a session table, a working set.
  // INVALID_ARGUMENT for options out of range; RESOURCE_EXHAUSTED when addresses or memory are not
  // to be had.
  static Result<Store> OpenInMemory(const StoreOptions& options);

  Store(Store&&) noexcept;
  Store& operator=(Store&&) noexcept;
  // Close(), as far as it can: what guards or sessions still use stays mapped for ever.
  ~Store();

  // Ends the store; again is harmless. FAILED_PRECONDITION, with nothing changed, when sessions are
  // open. One-call reads of other threads end as they began, or with FAILED_PRECONDITION.
  Status Close();

  // --- tables

  // Names: 1 to 128 bytes of UTF-8 without control characters, unique in the store.
  // INVALID_ARGUMENT.
  Result<RecordTable> CreateTable(std::string_view name, const TableOptions& options);
  // nullopt when there is no such table.
  std::optional<RecordTable> FindTable(std::string_view name) const;
  template <RecordType T>
  Result<RecordTableOf<T>> CreateTableOf(std::string_view name) {
    Result<RecordTable> table = CreateTable(name, {sizeof(T), std::nullopt});
    if (!table.ok()) return std::move(table).status();
    return RecordTableOf<T>(*table);
  }
  // FAILED_PRECONDITION when there is no such table, or its records have another size than T.
  template <RecordType T>
  Result<RecordTableOf<T>> OpenTableOf(std::string_view name) const {
    Result<RecordTable> table = OpenTable(name, sizeof(T));
    if (!table.ok()) return std::move(table).status();
    return RecordTableOf<T>(*table);
  }
  Result<RecordTable> OpenTable(std::string_view name, uint32_t record_bytes) const;
  // Takes memory until the table has room for `record_count` more records, so that a session that
  // inserts them maps nothing and cannot meet the memory limit. (Several sessions hold up to 64 KiB
  // of slots each in advance. Slots of records deleted in this tick count as room, and are used
  // from the next one on.) Explicit huge pages are filled at once, others with
  // PageOptions::prefault. What is not used can be given back by CompactStorage().
  // RESOURCE_EXHAUSTED keeps what was taken.
  Status ReserveRecords(const RecordTable& table, uint64_t record_count);
  template <RecordType T>
  Status ReserveRecords(const RecordTableOf<T>& table, uint64_t record_count) {
    return ReserveRecords(table.untyped(), record_count);
  }

  // --- sessions

  // RESOURCE_EXHAUSTED when sessions_max are open.
  Result<Reader> NewReader();
  Result<Session> NewSession();

  // --- one-call reads

  // For threads that keep no session: the first such call of a thread takes one for it, which it
  // keeps until it ends. RESOURCE_EXHAUSTED when there is none left (StoreOptions::sessions_max).

  // Calls visit(std::span<const std::byte>) on the latest committed version; false: absent. The
  // bytes are valid during the call.
  template <std::invocable<std::span<const std::byte>> Visit>
  Result<bool> Read(const RecordTable& table, RecordId id, Visit&& visit) {
    return ReadAndVisit(table, id, [&](const RecordGuard& guard) { visit(guard.bytes()); });
  }
  // Calls visit(const T&).
  template <RecordType T, std::invocable<const T&> Visit>
  Result<bool> Read(const RecordTableOf<T>& table, RecordId id, Visit&& visit) {
    return ReadAndVisit(table, id, [&](const TypedGuard<T>& guard) { visit(*guard); });
  }
  template <RecordType T>
  Result<std::optional<T>> GetCopy(const RecordTableOf<T>& table, RecordId id) {
    std::optional<T> copy;
    Result<bool> found = Read(table, id, [&](const T& record) { copy.emplace(record); });
    if (!found.ok()) return std::move(found).status();
    return copy;
  }

  // --- IDs

  const IdLayout& id_layout() const;
  // Extracts the size class of any well-formed ID; INVALID_ARGUMENT for others.
  Result<uint32_t> SizeClassOf(RecordId id) const;
  // Why a read of `id` in `table` comes back empty; nullopt when the record is there. It reads as a
  // one-call read does, with the same errors.
  Result<std::optional<AbsenceReason>> Explain(const RecordTable& table, RecordId id);

  // --- maintenance and statistics

  // One bounded piece of background work: brings changed records home, frees versions, reclaims
  // deleted records, moves the clock. True when there may be more. For
  // MaintenanceMode::kCallerDriven; harmless beside the store's own threads.
  bool Maintain(const MaintenanceBudget& budget = {});
  // Brings everything home that can be, and gives empty extents back to the system, and the empty
  // 4 KiB pages of sparse ones where the kind of pages allows it (docs/guide/huge_pages.md).
  // Returns the bytes. Runs beside everything else; records never move.
  Result<uint64_t> CompactStorage();
  StoreStatistics Statistics() const;
  // The same with the page report counted in /proc/self/smaps: milliseconds per GiB.
  Result<PageReport> VerifyPages() const;

  // For the library.
  explicit Store(std::unique_ptr<store::StoreCore> core);
  store::StoreCore& core() { return *core_; }

 private:
  template <typename Table, typename Visit>
  [[gnu::always_inline]] Result<bool> ReadAndVisit(const Table& table, RecordId id, Visit&& visit) {
    Reader* reader = internal::thread_reader.reader;
    if (internal::thread_reader.store_serial != serial_.load(std::memory_order_relaxed))
        [[unlikely]] {
      reader = FindThreadReader();
      if (reader == nullptr) return NoThreadReader();
    }
    const auto guard = reader->Get(table, id);
    if (guard) [[likely]] {
      visit(guard);
      return true;
    }
    if (guard.code() != StatusCode::kOk) [[unlikely]]
      return guard.status();
    return false;
  }
  // nullptr: NoThreadReader() says why. Two calls, so that the usual one has no Status to look at.
  Reader* FindThreadReader();
  Status NoThreadReader();

  std::unique_ptr<store::StoreCore> core_;
  static constexpr uint64_t kClosedSerial = ~uint64_t{0};  // no thread remembers a reader of it
  // Of no other store of the process, ever. atomic: Close() to one-call reads.
  std::atomic<uint64_t> serial_;
};

}  // namespace flagstone

#endif  // FLAGSTONE_STORE_H_
