// A service that uses flagstone: built and run against the subproject and every way of
// installation.
//
// Prints the version of the library it runs with, so that the test sees the library answer.
#include <cstdio>

#include "flagstone/store.h"
#include "flagstone/version.h"

namespace {

struct Account {
  long long balance;
};

// A batch in a store of its own: code of the headers that is compiled here, with this program's
// flags, and calls of the library.
bool MovesMoney() {
  flagstone::StoreOptions options;
  options.memory.limit_bytes = 64 << 20;
  options.pages.page_kind = flagstone::PageKind::k4KiB;
  flagstone::Result<flagstone::Store> store = flagstone::Store::OpenInMemory(options);
  if (!store.ok()) return false;
  const auto accounts = store->CreateTableOf<Account>("accounts");
  flagstone::Result<flagstone::Session> session = store->NewSession();
  if (!accounts.ok() || !session.ok()) return false;
  const auto from = session->Insert(*accounts, Account{100});
  if (!from.ok()) return false;
  flagstone::WriteBatch batch;
  batch.Update(*accounts, *from, [](Account& account) { account.balance -= 30; });
  const size_t to = batch.Insert(*accounts, Account{30});
  flagstone::ApplyResult result;
  if (!session->Apply(batch, result).ok()) return false;
  return session->Get(*accounts, *from)->balance == 70 &&
         session->Get(*accounts, result.operations()[to].id)->balance == 30;
}

}  // namespace

int main() {
  const flagstone::Result<int> absent =
      flagstone::Status::Error(flagstone::StatusCode::kInvalidArgument, "record size 0");
  if (absent.ok() || absent.status().ToString() != "INVALID_ARGUMENT: record size 0") return 1;
  if (!MovesMoney()) return 2;
  std::puts(flagstone::Version());
  return 0;
}
