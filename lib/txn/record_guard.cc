#include "flagstone/record_guard.h"

namespace flagstone {

Status RecordGuard::Explain(StatusCode code) {
  switch (code) {
    case StatusCode::kOk: return Status::Ok();
    case StatusCode::kResourceExhausted:
      return Status::Error(code,
                           "every guard slot of this session is in use; release guards, or raise "
                           "StoreOptions::guards_per_session (at most 64)");
    case StatusCode::kInvalidArgument:
      return Status::Error(code,
                           "the table belongs to another store than this session; use the handle "
                           "that this store's OpenTable() returns");
    default:
      return Status::Error(code,
                           "this session was opened before fork(): a child process cannot use its "
                           "parent's store; open one of its own");
  }
}

}  // namespace flagstone
