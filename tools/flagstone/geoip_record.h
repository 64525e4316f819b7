// The records of the demonstration: ranges of IP addresses and the country they are used in.
//
// Place       What one line of Debian's /usr/share/tor/geoip and geoip6 becomes.
// Errors      Parse...(): INVALID_ARGUMENT whose message is the reason alone; the importer adds
//             file and line. See tests/tools/geoip_record_test.cc
#ifndef FLAGSTONE_TOOLS_FLAGSTONE_GEOIP_RECORD_H_
#define FLAGSTONE_TOOLS_FLAGSTONE_GEOIP_RECORD_H_

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "flagstone/status.h"

namespace flagstone::tool {

// What each range may spend in the demonstration; the transfer moves some of it.
inline constexpr uint32_t kCreditAtStart = 100;

struct Ipv4Range {
  using Address = uint32_t;
  uint32_t first = 0;
  uint32_t last = 0;
  std::array<char, 2> country{};
  uint16_t unused = 0;
  uint32_t credit = kCreditAtStart;

  friend bool operator==(const Ipv4Range&, const Ipv4Range&) = default;
};
static_assert(sizeof(Ipv4Range) == 16);

struct Ipv6Range {
  using Address = std::array<uint8_t, 16>;  // network order, so that it compares as addresses do
  Address first{};
  Address last{};
  std::array<char, 2> country{};
  uint16_t unused = 0;
  uint32_t credit = kCreditAtStart;

  friend bool operator==(const Ipv6Range&, const Ipv6Range&) = default;
};
static_assert(sizeof(Ipv6Range) == 40);

// `line`: "first,last,country", addresses as decimal numbers.
Result<Ipv4Range> ParseIpv4Line(std::string_view line);
// The same with addresses as RFC 4291 writes them: "2001:db8::,2001:db8::ffff,AU".
Result<Ipv6Range> ParseIpv6Line(std::string_view line);

std::string AddressText(uint32_t address);
std::string AddressText(const Ipv6Range::Address& address);

}  // namespace flagstone::tool

#endif  // FLAGSTONE_TOOLS_FLAGSTONE_GEOIP_RECORD_H_
