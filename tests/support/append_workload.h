// Random transactions that append to lists, and the history of what they saw.
//
// Life        Each session runs transactions of a few reads and appends on the keys that are
//             active; a key is retired after `appends_per_key`, and a fresh one takes its place. A
//             last transaction reads every key there ever was. Profiles Short lives (8) find what
//             goes wrong with absent keys, long ones (40) what goes wrong with old versions: run
//             both.
// Threads     kThreads: one real thread per session. kInterleaved: all sessions in turn on the
//             calling thread, the same history for the same seed where the engine is deterministic.
#ifndef FLAGSTONE_TESTS_SUPPORT_APPEND_WORKLOAD_H_
#define FLAGSTONE_TESTS_SUPPORT_APPEND_WORKLOAD_H_

#include <cstdint>
#include <string>

#include "tests/support/history.h"
#include "tests/support/isolation_subject.h"

namespace flagstone::testkit {

enum class SessionScheduling : uint8_t { kThreads, kInterleaved };

struct AppendWorkloadOptions {
  IsolationLevel level = IsolationLevel::kSnapshot;
  SessionScheduling scheduling = SessionScheduling::kThreads;
  uint32_t sessions = 4;
  uint32_t txns = 2'560;
  uint32_t ops_per_txn_max = 5;
  uint32_t active_keys = 6;
  uint32_t appends_per_key = 8;  // at most AppendList::kValuesMax
  uint32_t abort_one_in = 16;    // transactions given up on purpose
  uint64_t seed = 1;
};
inline constexpr uint32_t kShortKeyLife = 8;
inline constexpr uint32_t kLongKeyLife = 40;

struct AppendWorkloadResult {
  History history;
  uint64_t committed = 0;
  uint64_t conflicts = 0;
  // Not empty: an engine answered kError, or a list did not fit; what and where.
  std::string error;
  // "seed 7, 4 sessions, snapshot, 2560 transactions (1900 committed, 420 conflicts)"
  std::string description;
};

AppendWorkloadResult RunAppendWorkload(const AppendWorkloadOptions& options,
                                       const AppendSessionFactory& open_session);

}  // namespace flagstone::testkit

#endif  // FLAGSTONE_TESTS_SUPPORT_APPEND_WORKLOAD_H_
