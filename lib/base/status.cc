#include "flagstone/status.h"

#include "lib/base/check.h"

namespace flagstone {

std::string_view StatusCodeName(StatusCode code) {
  switch (code) {
    case StatusCode::kOk: return "OK";
    case StatusCode::kConflict: return "CONFLICT";
    case StatusCode::kSnapshotTooOld: return "SNAPSHOT_TOO_OLD";
    case StatusCode::kDeadlineExceeded: return "DEADLINE_EXCEEDED";
    case StatusCode::kResourceExhausted: return "RESOURCE_EXHAUSTED";
    case StatusCode::kNoSpace: return "NO_SPACE";
    case StatusCode::kInvalidArgument: return "INVALID_ARGUMENT";
    case StatusCode::kFailedPrecondition: return "FAILED_PRECONDITION";
    case StatusCode::kUnsupported: return "UNSUPPORTED";
    case StatusCode::kCorruption: return "CORRUPTION";
    case StatusCode::kIoError: return "IO_ERROR";
    case StatusCode::kReadOnlyAfterFailure: return "READ_ONLY_AFTER_FAILURE";
  }
  return "UNKNOWN";
}

void Status::DeleteText(uint64_t word) { delete reinterpret_cast<const Text*>(word); }

std::string Status::message() const {
  if (HasText(word_)) return text().message;
  if (code() != StatusCode::kConflict) return "";
  if (conflict_timestamp() == 0) {
    return "record is locked by a transaction that has not ended; retry after it has, or set a "
           "deadline to wait for it";
  }
  return "record was changed at timestamp " + std::to_string(conflict_timestamp()) +
         ", after this transaction's snapshot; retry from a snapshot at or after it";
}

std::string Status::ToString() const {
  if (ok()) return "OK";
  return std::string(StatusCodeName(code())) + ": " + message();
}

namespace internal {

void ResultHasNoValue(Status status) {
  const std::string message = status.ok() ? std::string("Result built from an OK status")
                                          : "Result has no value: " + status.ToString();
  base::CheckFailed(__FILE__, __LINE__, message.c_str());
}

}  // namespace internal
}  // namespace flagstone
