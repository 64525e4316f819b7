// ScriptedLeaseStorage: a lease on a simulated disk, whose next write can be told how to end.
#ifndef FLAGSTONE_TESTS_UNIT_ID_SCRIPTED_LEASE_STORAGE_H_
#define FLAGSTONE_TESTS_UNIT_ID_SCRIPTED_LEASE_STORAGE_H_

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "lib/id/tick_lease.h"

namespace flagstone::id {

enum class WriteEnds : uint8_t {
  kWell,
  kFailedUnwritten,   // an error, and the old lease stands
  kFailedWritten,     // an error, although the bytes reached the disk
  kNoSpace,           // NO_SPACE: nothing was written
  kCrashedUnwritten,  // the machine stops before the write
  kCrashedWritten,    // the machine stops after it
};

class ScriptedLeaseStorage final : public LeaseStorage {
 public:
  Result<uint64_t> Load() override {
    if (load_error.ok()) return lease_end;
    return load_error;
  }
  Status Persist(uint64_t end) override { return Write(end); }
  Status PersistAtClose(uint64_t end) override { return Write(end); }

  // What is on the disk.
  uint64_t lease_end = 0;
  Status load_error;
  // How the next write ends; kWell again afterwards.
  WriteEnds next_write = WriteEnds::kWell;
  // Set by the crashes; the test drops the source and calls Restart().
  bool crashed = false;
  // Runs while a write is under way, as other threads do.
  std::function<void()> meanwhile;
  std::vector<uint64_t> asked;

  void Restart() {
    crashed = false;
    next_write = WriteEnds::kWell;
  }

 private:
  Status Write(uint64_t end) {
    asked.push_back(end);
    if (meanwhile) meanwhile();
    const WriteEnds ends = next_write;
    next_write = WriteEnds::kWell;
    const bool written = ends == WriteEnds::kWell || ends == WriteEnds::kFailedWritten ||
                         ends == WriteEnds::kCrashedWritten;
    if (written) lease_end = end;
    crashed |= ends == WriteEnds::kCrashedUnwritten || ends == WriteEnds::kCrashedWritten;
    if (ends == WriteEnds::kWell) return Status::Ok();
    if (ends == WriteEnds::kNoSpace)
      return Status::Error(StatusCode::kNoSpace, "lease file: disk full");
    return Status::Error(StatusCode::kIoError, "lease file: fdatasync failed");
  }
};

}  // namespace flagstone::id

#endif  // FLAGSTONE_TESTS_UNIT_ID_SCRIPTED_LEASE_STORAGE_H_
