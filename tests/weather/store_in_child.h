// A store under limits that only a child process can set: it uses the store and reports by its exit
// code.
#ifndef FLAGSTONE_TESTS_WEATHER_STORE_IN_CHILD_H_
#define FLAGSTONE_TESTS_WEATHER_STORE_IN_CHILD_H_

#include <linux/capability.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <functional>
#include <string>
#include <vector>

#include "tests/weather/store_weather.h"

namespace flagstone::testkit {

// What a child found. Everything else is its death by a signal.
inline constexpr int kWorked = 0;
inline constexpr int kClearError = 1;
inline constexpr int kVagueError = 2;
inline constexpr int kWrongBytes = 3;

inline int InChild(const std::function<int()>& run) {
  std::fflush(nullptr);
  const pid_t child = fork();
  if (child == 0) _exit(run());
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

inline void Limit(__rlimit_resource resource, uint64_t bytes) {
  const rlimit limit{bytes, bytes};
  setrlimit(resource, &limit);
}

inline void DropCapabilities() {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct none[2] = {};
  syscall(SYS_capset, &header, none);
}

// Inserts and reads back. An error is clear when its code says that the host has no more, or not
// this, and its message names one of `ways_out`; "" stands for any.
inline int UseStore(const StoreOptions& options, const std::vector<std::string>& ways_out,
                    uint64_t record_count = 100'000) {
  const auto judge = [&ways_out](const Status& status) {
    const bool names_way_out =
        std::any_of(ways_out.begin(), ways_out.end(), [&status](const std::string& way_out) {
          return status.message().find(way_out) != std::string::npos;
        });
    const bool code = status.code() == StatusCode::kResourceExhausted ||
                      status.code() == StatusCode::kUnsupported ||
                      status.code() == StatusCode::kFailedPrecondition ||
                      status.code() == StatusCode::kInvalidArgument ||
                      status.code() == StatusCode::kNoSpace;
    if (code && names_way_out) return kClearError;
    std::fprintf(stderr, "vague: %s\n", status.ToString().c_str());
    return kVagueError;
  };
  Result<Store> store = Store::OpenInMemory(options);
  if (!store.ok()) return judge(store.status());
  Result<Session> session = store->NewSession();
  if (!session.ok()) return judge(session.status());
  Result<RecordTableOf<uint64_t>> table = store->CreateTableOf<uint64_t>("table");
  if (!table.ok()) return judge(table.status());
  std::vector<RecordId> ids;
  for (uint64_t i = 0; i < record_count; ++i) {
    Result<RecordId> id = session->Insert(*table, i);
    if (!id.ok()) return judge(id.status());
    ids.push_back(*id);
  }
  for (uint64_t i = 0; i < ids.size(); ++i) {
    const TypedGuard<uint64_t> guard = session->Get(*table, ids[i]);
    if (!guard || *guard != i) return kWrongBytes;
  }
  return kWorked;
}

}  // namespace flagstone::testkit

#endif  // FLAGSTONE_TESTS_WEATHER_STORE_IN_CHILD_H_
