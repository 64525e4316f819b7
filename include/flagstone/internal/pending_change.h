// A change of one record between the moment its record was locked and the moment it is published or
// given up. Lives on the stack of an inlined Update(), so that the updater runs without a virtual
// call.
#ifndef FLAGSTONE_INTERNAL_PENDING_CHANGE_H_
#define FLAGSTONE_INTERNAL_PENDING_CHANGE_H_

#include <cstdint>

#include "flagstone/export.h"
#include "flagstone/internal/slot.h"

namespace flagstone::txn {
class SessionCore;
struct TablePart;
}  // namespace flagstone::txn

namespace flagstone::internal {

struct PendingChange {
  txn::SessionCore* session = nullptr;  // nullptr: nothing to give up
  txn::TablePart* part = nullptr;
  SlotHeader* home = nullptr;
  SlotHeader* version = nullptr;  // holds the new payload, seen by nobody yet
  VersionLink version_link = 0;
  uint64_t link_before = 0;  // of the home slot, without lock
  uint64_t id = 0;

  PendingChange() = default;
  PendingChange(const PendingChange&) = delete;
  PendingChange& operator=(const PendingChange&) = delete;
  // Unlocks the record as it was: the change was not published (the updater threw).
  ~PendingChange() {
    if (session != nullptr) GiveUp();
  }
  FLAGSTONE_EXPORT void GiveUp();
};

}  // namespace flagstone::internal

#endif  // FLAGSTONE_INTERNAL_PENDING_CHANGE_H_
