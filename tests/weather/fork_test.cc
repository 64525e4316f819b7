// What: a forked child gets FAILED_PRECONDITION from every call on its parent's store and ends
//       cleanly; the parent notices nothing.
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <functional>
#include <vector>

#include "tests/weather/store_weather.h"

namespace flagstone::testkit {
namespace {

class ForkTest : public testing::Test {
 protected:
  // Number of the first check that failed in the child, 0 when all held, or the signal it died of.
  static int InChild(const std::function<int()>& checks) {
    const pid_t child = fork();
    if (child == 0) _exit(checks());
    int status = 0;
    waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
  }
  static bool Refused(const Status& status) {
    return status.code() == StatusCode::kFailedPrecondition &&
           status.message().find("fork()") != std::string::npos;
  }
};

TEST_F(ForkTest, EveryCallOfTheChildIsRefusedAndTheParentGoesOn) {
  for (const MaintenanceMode mode :
       {MaintenanceMode::kCallerDriven, MaintenanceMode::kBackground}) {
    StoreOptions options = TestStoreOptions();
    options.maintenance.mode = mode;
    std::optional<Store> store(*Store::OpenInMemory(options));
    auto session = std::make_unique<Session>(*store->NewSession());
    auto writing = std::make_unique<Session>(*store->NewSession());
    auto reader = std::make_unique<Reader>(*store->NewReader());
    const auto table = *store->CreateTableOf<int64_t>("table");
    const RecordTable& untyped = table.untyped();
    const RecordId id = *session->Insert(table, int64_t{5});
    const RecordId other = *session->Insert(table, int64_t{6});
    ASSERT_EQ(**store->GetCopy(table, id), 5);  // a pooled reader is there
    auto txn = std::make_unique<Transaction>(*writing->Begin());
    ASSERT_TRUE(*txn->UpdateTo(table, other, int64_t{7}));
    ASSERT_TRUE(txn->Insert(table, int64_t{8}).ok());
    auto guard = std::make_unique<TypedGuard<int64_t>>(session->Get(table, id));
    WriteBatch batch;
    batch.UpdateTo(table, id, int64_t{1});
    ApplyResult applied;

    const int failed = InChild([&] {
      const auto bytes = std::as_bytes(std::span("12345678", 8));
      RecordId ids[1];
      int check = 0;
      const auto holds = [&check](bool held) {
        ++check;
        return held;
      };
      if (!holds(Refused(session->Get(table, id).status()))) return check;
      guard.reset();
      if (!holds(Refused(session->Get(table, id).status()))) return check;
      if (!holds(Refused(reader->Get(table, id).status()))) return check;
      if (!holds(Refused(session->Insert(table, int64_t{1}).status()))) return check;
      if (!holds(Refused(session->InsertInClass(untyped, bytes, 9).status()))) return check;
      if (!holds(Refused(session->InsertWithId(untyped, id, bytes)))) return check;
      if (!holds(Refused(session->InsertMany(untyped, bytes, ids)))) return check;
      if (!holds(Refused(session->UpdateTo(table, id, int64_t{1}).status()))) return check;
      if (!holds(Refused(session->Update(table, id, [](int64_t&) {}).status()))) return check;
      if (!holds(Refused(session->Delete(table, id).status()))) return check;
      if (!holds(Refused(session->Undelete(table, id).status()))) return check;
      if (!holds(Refused(session->Apply(batch, applied)))) return check;
      if (!holds(!applied.failed_index().has_value())) return check;
      if (!holds(Refused(session->Begin().status()))) return check;
      if (!holds(Refused(txn->Get(table, id).status()))) return check;
      if (!holds(Refused(txn->Insert(table, int64_t{1}).status()))) return check;
      if (!holds(Refused(txn->UpdateTo(table, id, int64_t{1}).status()))) return check;
      if (!holds(Refused(txn->Delete(table, id).status()))) return check;
      if (!holds(Refused(txn->Undelete(table, id).status()))) return check;
      if (!holds(Refused(txn->Commit().status()))) return check;
      txn.reset();
      if (!holds(Refused(store->NewSession().status()))) return check;
      if (!holds(Refused(store->NewReader().status()))) return check;
      if (!holds(Refused(store->CreateTable("late", {8, std::nullopt}).status()))) return check;
      if (!holds(Refused(store->GetCopy(table, id).status()))) return check;
      if (!holds(Refused(store->CompactStorage().status()))) return check;
      if (!holds(Refused(store->VerifyPages().status()))) return check;
      if (!holds(Refused(store->Close()))) return check;
      if (!holds(!store->Maintain())) return check;
      if (!holds(!store->FindTable("table").has_value())) return check;
      if (!holds(store->Statistics().tables.empty())) return check;
      if (!holds(Refused(store->Explain(untyped, id).status()))) return check;
      reader.reset();
      writing.reset();
      session.reset();
      store.reset();
      // A store of its own works.
      Store own = *Store::OpenInMemory(TestStoreOptions());
      Session own_session = *own.NewSession();
      const auto own_table = *own.CreateTableOf<int64_t>("table");
      const RecordId own_id = *own_session.Insert(own_table, int64_t{9});
      return holds(*own_session.Get(own_table, own_id) == 9) ? 0 : check;
    });
    EXPECT_EQ(failed, 0) << "the number of the first check that failed, or 1000 and a signal";

    EXPECT_EQ(**guard, 5);
    ASSERT_TRUE(txn->Commit().ok());
    EXPECT_EQ(*session->Get(table, other), 7);
    ASSERT_TRUE(session->Apply(batch, applied).ok());
    EXPECT_EQ(*session->Get(table, id), 1);
    EXPECT_TRUE(*session->Delete(table, id));
    Settle(*store);
    guard.reset();
    txn.reset();
    reader.reset();
    writing.reset();
    session.reset();
    EXPECT_TRUE(store->Close().ok());
  }
}

}  // namespace
}  // namespace flagstone::testkit
