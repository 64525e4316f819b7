// What the bad-weather tests share: the rule for messages.
#ifndef FLAGSTONE_TESTS_WEATHER_STORE_WEATHER_H_
#define FLAGSTONE_TESTS_WEATHER_STORE_WEATHER_H_

#include <gtest/gtest.h>

#include <initializer_list>
#include <string>

#include "tests/support/store_subjects.h"

namespace flagstone::testkit {

// The status has the code, and its message names each of `parts`: thing, place, number, way out.
inline void ExpectError(const Status& status, StatusCode code,
                        std::initializer_list<const char*> parts) {
  EXPECT_EQ(status.code(), code) << status.ToString();
  for (const char* part : parts) {
    EXPECT_NE(status.message().find(part), std::string::npos)
        << "\"" << status.message() << "\" does not name \"" << part << "\"";
  }
}

}  // namespace flagstone::testkit

#endif  // FLAGSTONE_TESTS_WEATHER_STORE_WEATHER_H_
