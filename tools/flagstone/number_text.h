// Numbers as people read them: "385,602", "14.9 MiB", "1.9 us", "5.3 million".
#ifndef FLAGSTONE_TOOLS_FLAGSTONE_NUMBER_TEXT_H_
#define FLAGSTONE_TOOLS_FLAGSTONE_NUMBER_TEXT_H_

#include <cstdint>
#include <string>

namespace flagstone::tool {

// Every digit, in groups of three.
std::string CountText(uint64_t count);
// Three significant digits at most, with the largest unit of which there is one.
std::string BytesText(uint64_t bytes);
std::string NanosText(double nanos);
// "812 thousand", "5.3 million"; below 10,000 every digit.
std::string RoundText(double count);

}  // namespace flagstone::tool

#endif  // FLAGSTONE_TOOLS_FLAGSTONE_NUMBER_TEXT_H_
