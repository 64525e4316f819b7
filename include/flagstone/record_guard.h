// RecordGuard: a record's bytes, read where they lie.
//
// Life        Returned by a read. While it lives, exactly the version it shows stays as it is,
//             whatever happens to the record: updates, deletion, the table's growth. Nothing else
//             is held back.
// Invariants  1. Present: bytes() is one version's payload, immutable.
//             2. Empty and code() == kOk: the record is absent for this read. Any other code: the
//                read could not be done, and says nothing about the record.
// Threads     Used and destroyed by the user of the session it came from.
// Owns        one of the session's guard slots (StoreOptions::guards_per_session).
// Lifetime    Must end before the session it came from: a session that ends under a guard stops the
//             process. A store that is destroyed under one stops debug builds; release builds then
//             keep the memory mapped.
#ifndef FLAGSTONE_RECORD_GUARD_H_
#define FLAGSTONE_RECORD_GUARD_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>

#include "flagstone/export.h"
#include "flagstone/internal/participant.h"
#include "flagstone/internal/slot.h"
#include "flagstone/internal/table_view.h"
#include "flagstone/record_id.h"
#include "flagstone/status.h"

namespace flagstone {

class [[nodiscard]] RecordGuard {
 public:
  RecordGuard() = default;
  ~RecordGuard() { Release(); }
  RecordGuard(RecordGuard&& other) noexcept
      : slot_(std::exchange(other.slot_, nullptr)),
        guard_(other.guard_),
        view_(other.view_),
        id_(other.id_),
        code_(other.code_) {}
  RecordGuard& operator=(RecordGuard&& other) noexcept {
    if (this != &other) {
      Release();
      slot_ = std::exchange(other.slot_, nullptr);
      guard_ = other.guard_;
      view_ = other.view_;
      id_ = other.id_;
      code_ = other.code_;
    }
    return *this;
  }

  // True when the record is present.
  explicit operator bool() const { return slot_ != nullptr; }
  // kOk, also for an absent record. kResourceExhausted: every guard slot of the session is in use.
  // kFailedPrecondition: the session was opened before a fork. kInvalidArgument: the table is
  // another store's (seen for certain in debug builds only, see record_table.h).
  StatusCode code() const { return code_; }
  // code() with its explanation.
  Status status() const { return Explain(code_); }

  // Present records only, here and below. Valid while the guard lives; 8-byte aligned.
  std::span<const std::byte> bytes() const {
    return {reinterpret_cast<const std::byte*>(internal::PayloadOf(slot_)), view_->payload_bytes};
  }
  RecordId id() const { return id_; }
  // Commit timestamp of the version shown; 0 for an uncommitted write of the own transaction.
  uint64_t timestamp() const {
    return internal::BeginOf(slot_->version.load(std::memory_order_relaxed));
  }

  // Lets go of the version now.
  void Release() {
    if (slot_ == nullptr) return;
    slot_ = nullptr;
    internal::Participant::ReleaseGuard(*guard_);
  }

  // For the library: a guard on `slot`, announced in the session's guard slot `guard`; an empty one
  // with a code.
  RecordGuard(const internal::SlotHeader* slot, std::atomic<uint64_t>& guard,
              const internal::TableView& view, RecordId id)
      : slot_(slot), guard_(&guard), view_(&view), id_(id) {}
  explicit RecordGuard(StatusCode code) : code_(code) {}

 private:
  // Static, so that a guard's address stays unknown and its fields in registers.
  FLAGSTONE_EXPORT static Status Explain(StatusCode code);

  const internal::SlotHeader* slot_ = nullptr;
  std::atomic<uint64_t>* guard_ = nullptr;
  const internal::TableView* view_ = nullptr;
  // The slot is not asked: it has no ID before a commit, and none after reclamation.
  RecordId id_;
  StatusCode code_ = StatusCode::kOk;
};

// The same for a record type: `guard->field`.
template <typename T>
class [[nodiscard]] TypedGuard {
 public:
  TypedGuard() = default;
  explicit TypedGuard(RecordGuard guard) : guard_(std::move(guard)) {}

  explicit operator bool() const { return static_cast<bool>(guard_); }
  StatusCode code() const { return guard_.code(); }
  Status status() const { return guard_.status(); }
  const T& operator*() const { return *reinterpret_cast<const T*>(guard_.bytes().data()); }
  const T* operator->() const { return &**this; }
  RecordId id() const { return guard_.id(); }
  uint64_t timestamp() const { return guard_.timestamp(); }
  void Release() { guard_.Release(); }

 private:
  RecordGuard guard_;
};

}  // namespace flagstone

#endif  // FLAGSTONE_RECORD_GUARD_H_
