// Status and Result<T>: how a call says that it could not do what was asked.
//
// Place       Below everything. Public headers and every module return these.
// Invariants  1. An OK Status has no message and owns nothing; copying it costs a move.
//             2. Absence of a record is never a Status (see RecordGuard), nor a Status absence.
//             3. A Status that is not OK always has a message that names the thing, the place, the
//                number and the way out.
// Threads     Values; no sharing, no locking.
// Cost        One word. OK is 0; an error is one allocation with its message, except Conflict(),
//             which allocates nothing because it is an everyday answer.
#ifndef FLAGSTONE_STATUS_H_
#define FLAGSTONE_STATUS_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
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
  // What is moved from keeps its code and loses its message.
  Status(Status&& other) noexcept : word_(other.word_) {
    if (HasText(word_)) other.word_ = WordOf(other.text().code, 0);
  }
  Status& operator=(Status&& other) noexcept {
    Status moved(std::move(other));
    std::swap(word_, moved.word_);
    return *this;
  }
  Status(const Status& other) : word_(other.word_) {
    if (HasText(word_)) word_ = WordOf(new Text(other.text()));
  }
  Status& operator=(const Status& other) { return *this = Status(other); }
  ~Status() {
    if (HasText(word_)) [[unlikely]]
      DeleteText(word_);
  }

  static Status Ok() { return Status(); }
  // `code` is not kOk. `message` names the thing, the place, the number and the way out, in one
  // line.
  static Status Error(StatusCode code, std::string message) {
    return Status(WordOf(new Text{code, 0, std::move(message)}));
  }
  // Another transaction was first. `timestamp` is the commit timestamp to wait for, or 0 when the
  // other one has not committed yet. Allocates nothing.
  static Status Conflict(uint64_t timestamp) {
    return Status(WordOf(StatusCode::kConflict, timestamp));
  }

  // The same failure, seen from further out: `where` and ": " stand before the message.
  FLAGSTONE_EXPORT Status At(std::string_view where) const;

  bool ok() const { return word_ == 0; }
  StatusCode code() const {
    return HasText(word_) ? text().code : static_cast<StatusCode>((word_ & 0xff) >> 1);
  }
  // CONFLICT: the commit timestamp a retry must see, 0 when the winner is still running.
  uint64_t conflict_timestamp() const {
    return HasText(word_) ? text().number : word_ >> kNumberShift;
  }
  // The text without the code. Empty when ok().
  FLAGSTONE_EXPORT std::string message() const;
  // "CODE: message", or "OK".
  FLAGSTONE_EXPORT std::string ToString() const;

 private:
  struct Text {
    StatusCode code;
    uint64_t number;
    std::string message;
  };
  static constexpr int kNumberShift = 8;  // a commit timestamp has 52 bits

  static bool HasText(uint64_t word) { return word != 0 && (word & 1) == 0; }
  static uint64_t WordOf(const Text* text) { return reinterpret_cast<uint64_t>(text); }
  static uint64_t WordOf(StatusCode code, uint64_t number) {
    return number << kNumberShift | static_cast<uint64_t>(code) << 1 | 1;
  }
  FLAGSTONE_EXPORT static void DeleteText(uint64_t word);
  explicit Status(uint64_t word) : word_(word) {}
  const Text& text() const { return *reinterpret_cast<const Text*>(word_); }

  // 0: OK. Odd: a number, a code of 7 bits, 1. Else the address of an owned Text.
  uint64_t word_ = 0;
};
static_assert(sizeof(Status) == 8, "a Result fits two registers' worth of memory");

namespace internal {
// Stops through the check handler: value() was called on an error, a broken invariant of the host.
// Takes a copy: a Result whose address is known to nobody stays in registers.
[[noreturn]] FLAGSTONE_EXPORT void ResultHasNoValue(Status status);
}  // namespace internal

// Either a T or the Status that says why there is none. Never both, never an OK Status.
template <typename T>
class [[nodiscard]] Result {
 public:
  Result(T value) : value_(std::move(value)) {}         // NOLINT(google-explicit-constructor)
  Result(Status status) : status_(std::move(status)) {  // NOLINT(google-explicit-constructor)
    if (status_.ok()) internal::ResultHasNoValue(status_);
  }

  bool ok() const { return status_.ok(); }
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
    if (!status_.ok()) [[unlikely]]
      internal::ResultHasNoValue(status_);
    if constexpr (kPlain) {
      return value_;
    } else {
      return *value_;
    }
  }

  // Plain values lie there whatever the status is, so that a Result of one is two registers.
  static constexpr bool kPlain =
      std::is_trivially_copyable_v<T> && std::is_default_constructible_v<T>;
  Status status_;
  std::conditional_t<kPlain, T, std::optional<T>> value_{};
};

}  // namespace flagstone

// Returns from the enclosing function when the expression's Status is not OK.
#define FLAGSTONE_RETURN_IF_ERROR(expression)                                          \
  do {                                                                                 \
    if (::flagstone::Status flagstone_status_ = (expression); !flagstone_status_.ok()) \
      return flagstone_status_;                                                        \
  } while (false)

#endif  // FLAGSTONE_STATUS_H_
