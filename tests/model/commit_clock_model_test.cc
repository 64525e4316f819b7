// What: the horizon is one order of all commits and never covers a version that is not stored.
#include <gtest/gtest.h>

#include <array>

#include "lib/txn/commit_clock.h"
#include "tests/model/model_run.h"

namespace flagstone::model {
namespace {

using internal::Timestamp;
using testkit::ModelAssert;
using testkit::ModelAtomics;
using testkit::ModelCell;

enum class ClockDefect : uint8_t { kNone, kHorizonFirst, kOrderIgnored, kCount };

struct CommitLog {
  // Fewer marks than commits, so that one waits for its mark's place.
  txn::BasicCommitClock<ModelAtomics, 2, 1> clock;
  std::array<ModelCell<uint64_t>, 5> stored;  // by timestamp
};

TEST(CommitClockModelTest, TheHorizonNeverCoversAnUnstoredVersion) {
  ProveModel<ClockDefect>(
      "commit clock", 100'000, {ClockDefect::kHorizonFirst, ClockDefect::kOrderIgnored},
      [](ClockDefect defect) {
        return defect == ClockDefect::kHorizonFirst ? "horizon advanced before the store"
                                                    : "horizon advanced out of order";
      },
      [](testkit::Execution& e, internal::BarrierKind, ClockDefect defect) {
        CommitLog& log = e.Make<CommitLog>();
        for (int i = 0; i < 4; ++i) {
          e.Spawn([&log, defect] {
            const Timestamp at = log.clock.Reserve();
            if (defect == ClockDefect::kHorizonFirst) log.clock.Complete(at);
            log.stored[at].Write(at);
            if (defect == ClockDefect::kNone) log.clock.Complete(at);
            if (defect == ClockDefect::kOrderIgnored) {
              const_cast<ModelAtomics::Atomic<uint64_t>&>(log.clock.horizon_word())
                  .store(at, std::memory_order_release);
            }
          });
        }
        e.Spawn([&log] {
          Timestamp last = 0;
          for (int i = 0; i < 3; ++i) {
            const Timestamp horizon = log.clock.horizon();
            ModelAssert(horizon >= last, "the horizon went back");
            last = horizon;
            for (Timestamp at = 1; at <= horizon; ++at) {
              ModelAssert(log.stored[at].Read() == at, "the horizon covers an unstored version");
            }
          }
        });
        e.Finally([&log] { ModelAssert(log.clock.horizon() == 4, "a commit is not covered"); });
      });
}

}  // namespace
}  // namespace flagstone::model
