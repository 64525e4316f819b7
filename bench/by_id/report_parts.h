// What the reports of all benchmarks by ID say alike.
#ifndef FLAGSTONE_BENCH_BY_ID_REPORT_PARTS_H_
#define FLAGSTONE_BENCH_BY_ID_REPORT_PARTS_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>

#include "bench/by_id/by_id_options.h"
#include "flagstone/page_options.h"
#include "flagstone/store.h"

namespace flagstone::bench {

// Machine and settings; no rows.
BenchReport NewReport(const std::string& bench, const ByIdOptions& options);

// Adds what pages both sides have, verified; a remark when they differ from what was asked, because
// then rows about pages say something else than they seem to.
void AddGranted(BenchReport& report, const ByIdOptions& options, const Store& store,
                const PageReport& reference);
void AddGranted(BenchReport& report, const ByIdOptions& options, const Store& store);

// Resident memory of this process, explicit huge pages included.
uint64_t ResidentBytes();

// How many requests a trace over so many records has: all of them matter, but beyond 2^24 the
// working set does not grow any more.
size_t TraceRequests(uint64_t record_count);

// Counts what one call of `block` (after some that are not counted) takes from heap and kernel, on
// the calling thread, and adds a row for each.
void AddSteadyStateRows(BenchReport& report, const std::string& name,
                        const std::function<void()>& block);

}  // namespace flagstone::bench

#endif  // FLAGSTONE_BENCH_BY_ID_REPORT_PARTS_H_
