#include "flagstone/version.h"

#include <gtest/gtest.h>

namespace flagstone {
namespace {

// What: the number users see is the one the project is released under.
// How:  the build passes the project's version; the header states its own.
TEST(VersionTest, IsTheProjectsVersion) { EXPECT_STREQ(Version(), FLAGSTONE_PROJECT_VERSION); }

}  // namespace
}  // namespace flagstone
