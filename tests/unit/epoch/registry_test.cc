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
      ASSERT_GE(participant->FindFreeGuard(), 0);
      participant->Guard(static_cast<uint64_t>(participant->FindFreeGuard()), 4096);
    }
    EXPECT_EQ(participant->FindFreeGuard(), -1);
    for (uint64_t i = 0; i < guards; ++i) participant->ReleaseGuard(i);
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
    participant->ReleaseGuard(3);  // a guard of the parent ends
    const bool wiped = !registry->alive() && participant->FindFreeGuard() == -1;
    _exit(wiped ? 0 : 1);
  }
  int status = 0;
  waitpid(child, &status, 0);
  EXPECT_EQ(WEXITSTATUS(status), 0);
  EXPECT_TRUE(registry->alive());
  EXPECT_GE(participant->FindFreeGuard(), 0);
  registry->Leave(participant);
}

}  // namespace
}  // namespace flagstone::epoch
