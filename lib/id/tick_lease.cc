#include "lib/id/tick_lease.h"

namespace flagstone::id {

Result<uint64_t> VolatileLeaseStorage::Load() { return uint64_t{0}; }

Status VolatileLeaseStorage::Persist(uint64_t) { return Status::Ok(); }

Status VolatileLeaseStorage::PersistAtClose(uint64_t) { return Status::Ok(); }

}  // namespace flagstone::id
