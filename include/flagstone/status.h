// Status and Result<T>: how a call says that it could not do what was asked.
//
// Place       Below everything. Public headers and every module return these.
// Invariants  1. An OK Status has no message and owns nothing; copying it costs a few moves.
//             2. Absence of a record is never a Status (see RecordGuard) and a Status is never
//             absence.
//             3. A Status that is not OK always has a message that names the thing, the place, the
//                number and the way out.
// Threads     Values; no sharing, no locking.
// Cost        OK: three words, no allocation. Errors: one allocation for the message, except
//             Conflict(), which allocates nothing because it is an everyday answer.
#ifndef FLAGSTONE_STATUS_H_
#define FLAGSTONE_STATUS_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "flagstone/export.h"

namespace flagstone {

// The kinds of failure a caller can branch on. docs/api.md lists the typical way out of each.
enum class StatusCode : uint8_t {
  kOk = 0,
  kConflict = 1,               // another transaction was first; retry from a later snapshot
  kSnapshotTooOld = 2,         // the snapshot passed its limit; begin again
  kDeadlineExceeded = 3,       // the caller's own time limit passed
  kResourceExhausted = 4,      // memory limit, slots, ticks, guard slots: which and how much
  kNoSpace = 5,                // disk full or quota; nothing was written
  kInvalidArgument = 6,        // the caller's mistake: field, value, allowed range
  kFailedPrecondition = 7,     // wrong state: closed, forked handle, table differs
  kUnsupported = 8,            // newer format, or a missing kernel feature that was required
  kCorruption = 9,             // bytes are wrong: file, offset, expected, found
  kIoError = 10,               // the system call, errno, file, offset
  kReadOnlyAfterFailure = 11,  // a log write or sync failed earlier; reopen
};

// The name users see in messages and JSON: "OK", "CONFLICT", "SNAPSHOT_TOO_OLD", ...
FLAGSTONE_EXPORT std::string_view StatusCodeName(StatusCode code);

class [[nodiscard]] Status {
 public:
  Status() = default;
  Status(Status&&) noexcept = default;
  Status& operator=(Status&&) noexcept = default;
  Status(const Status& other)
      : code_(other.code_),
        number_(other.number_),
        message_(other.message_ ? std::make_unique<std::string>(*other.message_) : nullptr) {}
  Status& operator=(const Status& other) { return *this = Status(other); }

  static Status Ok() { return Status(); }
  // `message` names the thing, the place, the number and the way out, in one line.
  static Status Error(StatusCode code, std::string message) {
    return Status(code, 0, std::make_unique<std::string>(std::move(message)));
  }
  // Another transaction was first. `timestamp` is the commit timestamp to wait for, or 0 when the
  // other one has not committed yet. Allocates nothing.
  static Status Conflict(uint64_t timestamp) {
    return Status(StatusCode::kConflict, timestamp, nullptr);
  }

  // The same failure, seen from further out: `where` and ": " stand before the message.
  FLAGSTONE_EXPORT Status At(std::string_view where) const;

  bool ok() const { return code_ == StatusCode::kOk; }
  StatusCode code() const { return code_; }
  // CONFLICT: the commit timestamp a retry must see, 0 when the winner is still running.
  uint64_t conflict_timestamp() const { return number_; }
  // The text without the code. Empty when ok().
  FLAGSTONE_EXPORT std::string message() const;
  // "CODE: message", or "OK".
  FLAGSTONE_EXPORT std::string ToString() const;

 private:
  Status(StatusCode code, uint64_t number, std::unique_ptr<std::string> message)
      : code_(code), number_(number), message_(std::move(message)) {}

  StatusCode code_ = StatusCode::kOk;
  uint64_t number_ = 0;
  std::unique_ptr<std::string> message_;
};

namespace internal {
// Stops through the check handler: value() was called on an error, a broken invariant of the host.
[[noreturn]] FLAGSTONE_EXPORT void ResultHasNoValue(const Status& status);
}  // namespace internal

// Either a T or the Status that says why there is none. Never both, never an OK Status.
template <typename T>
class [[nodiscard]] Result {
 public:
  Result(T value) : value_(std::move(value)) {}         // NOLINT(google-explicit-constructor)
  Result(Status status) : status_(std::move(status)) {  // NOLINT(google-explicit-constructor)
    if (status_.ok()) internal::ResultHasNoValue(status_);
  }

  bool ok() const { return value_.has_value(); }
  explicit operator bool() const { return ok(); }
  const Status& status() const& { return status_; }
  Status status() && { return std::move(status_); }
  StatusCode code() const { return status_.code(); }

  T& value() & { return Checked(); }
  const T& value() const& { return const_cast<Result*>(this)->Checked(); }
  T&& value() && { return std::move(Checked()); }
  T& operator*() & { return Checked(); }
  const T& operator*() const& { return value(); }
  T&& operator*() && { return std::move(Checked()); }
  T* operator->() { return &Checked(); }
  const T* operator->() const { return &value(); }

 private:
  T& Checked() {
    if (!value_.has_value()) internal::ResultHasNoValue(status_);
    return *value_;
  }

  Status status_;
  std::optional<T> value_;
};

}  // namespace flagstone

// Returns from the enclosing function when the expression's Status is not OK.
#define FLAGSTONE_RETURN_IF_ERROR(expression)                                          \
  do {                                                                                 \
    if (::flagstone::Status flagstone_status_ = (expression); !flagstone_status_.ok()) \
      return flagstone_status_;                                                        \
  } while (false)

#endif  // FLAGSTONE_STATUS_H_
