#include "lib/epoch/registry.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <set>
#include <vector>

namespace flagstone::epoch {
namespace {

using internal::Participant;

TEST(RegistryTest, JoinsUpToTheLimitAndUsesTheSeatsOfThoseWhoLeft) {
  auto registry = *Registry::Create(3, 64);
  std::vector<Participant*> joined;
  for (int i = 0; i < 3; ++i) joined.push_back(*registry->Join());
  EXPECT_EQ(std::set<Participant*>(joined.begin(), joined.end()).size(), 3u);
  EXPECT_EQ(registry->joined_count(), 3u);
  const Status full = registry->Join().status();
  EXPECT_EQ(full.code(), StatusCode::kResourceExhausted);
  EXPECT_NE(full.message().find("sessions_max"), std::string::npos);
  registry->Leave(joined[1]);
  EXPECT_EQ(*registry->Join(), joined[1]);
  for (Participant* participant : joined) registry->Leave(participant);
  EXPECT_EQ(registry->joined_count(), 0u);
}

TEST(RegistryTest, AParticipantHasTheGuardsItWasOpenedWith) {
  for (const uint32_t guards : {1u, 7u, 64u}) {
    auto registry = *Registry::Create(1, guards);
    Participant* participant = *registry->Join();
    for (uint64_t i = 0; i < guards; ++i) {
      std::atomic<uint64_t>* free = participant->FreeGuard();
      ASSERT_NE(free, nullptr);
      participant->Guard(*free, 4096);
    }
    EXPECT_EQ(participant->FreeGuard(), nullptr);
    // Any one that ends is the next to be found.
    for (uint64_t i = 0; i < guards; ++i) {
      participant->ReleaseGuard(participant->guards[i]);
      EXPECT_EQ(participant->FreeGuard(), &participant->guards[i]);
      participant->Guard(participant->guards[i], 4096);
    }
    for (uint64_t i = 0; i < guards; ++i) participant->ReleaseGuard(participant->guards[i]);
    registry->Leave(participant);
  }
}

TEST(RegistryTest, InUseWalksAllWhoEverJoined) {
  auto registry = *Registry::Create(8, 4);
  Participant* first = *registry->Join();
  Participant* second = *registry->Join();
  registry->Leave(first);
  std::vector<Participant*> seen;
  for (Participant* participant : registry->in_use()) seen.push_back(participant);
  EXPECT_EQ(seen, (std::vector<Participant*>{first, second}));
  registry->Leave(second);
}

TEST(RegistryTest, AForkedChildFindsItWiped) {
  auto registry = *Registry::Create(2, 64);
  Participant* participant = *registry->Join();
  const pid_t child = fork();
  if (child == 0) {
    participant->ReleaseGuard(participant->guards[3]);  // a guard of the parent ends
    const bool wiped = !registry->alive() && participant->AnotherGuard() == nullptr;
    _exit(wiped ? 0 : 1);
  }
  int status = 0;
  waitpid(child, &status, 0);
  EXPECT_EQ(WEXITSTATUS(status), 0);
  EXPECT_TRUE(registry->alive());
  EXPECT_NE(participant->FreeGuard(), nullptr);
  registry->Leave(participant);
}

}  // namespace
}  // namespace flagstone::epoch
