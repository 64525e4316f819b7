// The public Store: thin calls of the store core.
#include "flagstone/store.h"

#include <cstring>
#include <utility>

#include "lib/base/check.h"
#include "lib/store/store_core.h"

namespace flagstone {

Result<Store> Store::OpenInMemory(const StoreOptions& options) {
  Result<std::unique_ptr<store::StoreCore>> core = store::StoreCore::Create(options);
  if (!core.ok()) return core.status();
  return Store(std::move(*core));
}

Store::Store(std::unique_ptr<store::StoreCore> core)
    : core_(std::move(core)), serial_(core_->thread_readers().serial()) {}
Store::Store(Store&& other) noexcept
    : core_(std::move(other.core_)), serial_(other.serial_.load(std::memory_order_relaxed)) {}

Store& Store::operator=(Store&& other) noexcept {
  Store old(std::move(core_));
  core_ = std::move(other.core_);
  serial_.store(other.serial_.load(std::memory_order_relaxed), std::memory_order_relaxed);
  return *this;
}

Store::~Store() {
  if (core_ == nullptr || core_->Close().ok()) return;
  // Sessions or guards still use the memory, or this is a forked child that owns no thread of it:
  // taking it away would be worse than keeping it.
  FLAGSTONE_DCHECK(!core_->engine().registry().alive() &&
                   "a store was destroyed while sessions or guards of it are alive");
  static_cast<void>(core_.release());
}

Status Store::Close() {
  FLAGSTONE_RETURN_IF_ERROR(core_->Close());
  // Threads remember readers; from here on they ask, and are told.
  serial_.store(kClosedSerial, std::memory_order_release);
  return Status::Ok();
}

Result<RecordTable> Store::CreateTable(std::string_view name, const TableOptions& options) {
  return core_->CreateTable(name, options);
}

std::optional<RecordTable> Store::FindTable(std::string_view name) const {
  return core_->FindTable(name);
}

Result<RecordTable> Store::OpenTable(std::string_view name, uint32_t record_bytes) const {
  std::optional<RecordTable> table = core_->FindTable(name);
  if (!table.has_value()) {
    return Status::Error(StatusCode::kFailedPrecondition,
                         "table '" + std::string(name) + "' does not exist; create it");
  }
  if (table->record_bytes() != record_bytes) {
    return Status::Error(StatusCode::kFailedPrecondition,
                         "table '" + std::string(name) + "' has records of " +
                             std::to_string(table->record_bytes()) + " bytes, not " +
                             std::to_string(record_bytes) +
                             "; open it with the type it was "
                             "created with");
  }
  return *table;
}

Result<Reader> Store::NewReader() {
  Result<std::unique_ptr<txn::SessionCore>> core = core_->NewSession();
  if (!core.ok()) return core.status();
  return Reader(std::move(*core));
}

Result<Session> Store::NewSession() {
  Result<std::unique_ptr<txn::SessionCore>> core = core_->NewSession();
  if (!core.ok()) return core.status();
  return Session(std::move(*core));
}

Reader* Store::FindThreadReader() {
  Result<Reader*> reader = core_->thread_readers().OfThisThread();
  if (!reader.ok()) return nullptr;
  internal::thread_reader = {core_->thread_readers().serial(), *reader};
  return *reader;
}

Status Store::NoThreadReader() {
  Result<Reader*> reader = core_->thread_readers().OfThisThread();
  if (!reader.ok()) return std::move(reader).status();
  // Another session has ended since.
  return Status::Error(StatusCode::kResourceExhausted,
                       "no session was free for a one-call read, but one is now: retry, or raise "
                       "StoreOptions::sessions_max");
}

const IdLayout& Store::id_layout() const { return core_->options().ids.layout; }

Result<uint32_t> Store::SizeClassOf(RecordId id) const {
  const IdCodec& codec = core_->engine().codec();
  FLAGSTONE_RETURN_IF_ERROR(codec.CheckId(id));
  return codec.size_class(id);
}

Result<std::optional<AbsenceReason>> Store::Explain(const RecordTable& table, RecordId id) {
  return core_->Explain(table, id);
}

bool Store::Maintain(const MaintenanceBudget& budget) {
  return core_->Maintain(budget.records_max);
}

Status Store::ReserveRecords(const RecordTable& table, uint64_t record_count) {
  return core_->ReserveRecords(table, record_count);
}
Result<uint64_t> Store::CompactStorage() { return core_->CompactStorage(); }
StoreStatistics Store::Statistics() const { return core_->Statistics(); }
Result<PageReport> Store::VerifyPages() const { return core_->VerifyPages(); }

}  // namespace flagstone
