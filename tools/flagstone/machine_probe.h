// What this machine offers to a store, as plain facts; machine_checks judges them.
//
// Place       Under `doctor`. Memory comes from lib/page/host_report.h, the rest is probed here.
//             Effects ProbeMachine(): opens and closes a ring, reads clocks; with a path, writes 4
//             KiB to a file without a name there. Nothing stays.
// Threads     Any.
#ifndef FLAGSTONE_TOOLS_FLAGSTONE_MACHINE_PROBE_H_
#define FLAGSTONE_TOOLS_FLAGSTONE_MACHINE_PROBE_H_

#include <cstdint>
#include <optional>
#include <string>

#include "lib/page/host_report.h"

namespace flagstone::tool {

struct IoUringFacts {
  int setup_error = 0;                // errno of io_uring_setup(2), 0: a ring was made
  std::optional<int> disabled_level;  // kernel.io_uring_disabled, where the kernel has it
};

struct ClockFacts {
  std::string source;  // "tsc"; empty: not told
  bool tsc_available = false;
  int64_t coarse_resolution_nanos = 0;  // of CLOCK_REALTIME_COARSE
  double call_nanos = 0;                // of CLOCK_MONOTONIC, the mean of many
  bool synchronized = false;            // as far as the kernel knows
};

// "" where /proc/cpuinfo does not say.
struct CpuFacts {
  std::string model;
  bool has_crc32 = false;  // an instruction for CRC32C: sse4_2, or crc32 on aarch64
  bool has_1gib_pages = false;
};

struct DirectIoFacts {
  std::string folder;       // of the path given
  std::string file_system;  // "ext4"
  // The call that failed, and its errno; empty: 4 KiB were written around the page cache.
  std::string failed_call;
  int error = 0;
  // What buffers and offsets must be multiples of; 0: the kernel does not tell.
  uint32_t memory_alignment = 0;
  uint32_t offset_alignment = 0;
};

// Whether a store opens here with default options, and what pages it gets.
struct StoreFacts {
  std::string error;  // empty: it opened, and a record was written and read
  std::string granted_pages;
};

struct MachineFacts {
  std::string kernel;  // "6.1.0-28-amd64"
  page::HostReport host;
  bool may_lock_any_memory = false;  // CAP_IPC_LOCK
  IoUringFacts io_uring;
  ClockFacts clock;
  CpuFacts cpu;
  StoreFacts store;
  std::optional<DirectIoFacts> direct_io;
};

// Empty `path`: direct I/O is not probed.
MachineFacts ProbeMachine(const std::string& path);

// Parts of it that read text, for tests: "\nflags : fpu sse4_2\n", "CapEff:\t000001ffffffffff".
CpuFacts CpuFactsFrom(const std::string& cpuinfo);
bool MayLockAnyMemory(const std::string& status);

}  // namespace flagstone::tool

#endif  // FLAGSTONE_TOOLS_FLAGSTONE_MACHINE_PROBE_H_
