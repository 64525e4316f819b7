// What: one line becomes one record, or a reason in words.
#include "tools/flagstone/geoip_record.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <string_view>

namespace flagstone::tool {
namespace {

using testing::HasSubstr;

std::string Country(const std::array<char, 2>& country) {
  return std::string(country.data(), country.size());
}

TEST(GeoipRecordTest, ALineOfTheRealFileIsARecord) {
  const Ipv4Range range = *ParseIpv4Line("16777216,16777471,AU");
  EXPECT_EQ(range.first, 0x01000000u);
  EXPECT_EQ(range.last, 0x010000ffu);
  EXPECT_EQ(Country(range.country), "AU");
  EXPECT_EQ(range.credit, kCreditAtStart);
  EXPECT_EQ(AddressText(range.first), "1.0.0.0");
  EXPECT_EQ(Country(ParseIpv4Line("15726992,15726999,??")->country), "??");
}

TEST(GeoipRecordTest, TheEndsOfTheAddressSpaceAreAddresses) {
  const Ipv4Range all = *ParseIpv4Line("0,4294967295,ZZ");
  EXPECT_EQ(all.first, 0u);
  EXPECT_EQ(all.last, 0xffffffffu);
  EXPECT_EQ(ParseIpv4Line("7,7,A1")->last, 7u);
  EXPECT_TRUE(ParseIpv6Line("::,ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff,EU").ok());
}

TEST(GeoipRecordTest, AnIpv6LineIsARecordInNetworkOrder) {
  const Ipv6Range range = *ParseIpv6Line("2001:2::,2001:2:0:ffff:ffff:ffff:ffff:ffff,JP");
  EXPECT_EQ(range.first[0], 0x20);
  EXPECT_EQ(range.first[3], 0x02);
  EXPECT_EQ(range.last[15], 0xff);
  EXPECT_EQ(AddressText(range.first), "2001:2::");
  EXPECT_EQ(Country(range.country), "JP");
}

// What: each way in which a line can be wrong has a reason that names the field and what it holds.
TEST(GeoipRecordTest, EveryMalformedLineHasItsReason) {
  struct Case {
    std::string_view line;
    const char* reason;
  };
  const Case cases[] = {
      {"1,2", "found 2 fields, wanted are 3"},
      {"1", "found 1 field, wanted are 3"},
      {"1,2,AU,x", "found 4 fields, wanted are 3"},
      {",,,,,,", "found 7 fields"},
      {",2,AU", "first address is missing"},
      {"1,,AU", "last address is missing"},
      {"1,2,", "country is ''"},
      {"-1,2,AU", "first address is '-1'"},
      {"+1,2,AU", "first address is '+1'"},
      {"1,4294967296,AU", "last address is '4294967296', wanted is a number from 0 to 4294967295"},
      {"1,99999999999999999999999,AU", "last address is '99999999999999999999999'"},
      {"1.5,2,AU", "first address is '1.5'"},
      {" 1,2,AU", "first address is ' 1'"},
      {"0x10,20,AU", "first address is '0x10'"},
      {"1,2 ,AU", "last address is '2 '"},
      {"20,10,AU", "first address 0.0.0.20 lies behind the last, 0.0.0.10"},
      {"1,2,au", "country is 'au'"},
      {"1,2,AUS", "country is 'AUS'"},
      {"1,2,A", "country is 'A'"},
      {"1,2,\xc3\xa4", "country is '\xc3\xa4'"},
      {"1,2,A\x1b", "country is 'A\\x1b'"},
      {"2001::,2002::,AU", "first address is '2001::'"},
      {std::string_view("1,2,A\0", 6), "NUL byte at column 6"},
      {std::string_view("\0", 1), "NUL byte at column 1"},
  };
  for (const Case& bad : cases) {
    SCOPED_TRACE(bad.line);
    const Result<Ipv4Range> range = ParseIpv4Line(bad.line);
    ASSERT_FALSE(range.ok());
    EXPECT_EQ(range.code(), StatusCode::kInvalidArgument);
    EXPECT_THAT(range.status().message(), HasSubstr(bad.reason));
  }
}

TEST(GeoipRecordTest, EveryMalformedIpv6LineHasItsReason) {
  const std::string long_address(5000, 'f');
  for (const std::string& line :
       {std::string("16777216,16777471,AU"), std::string("2001::g,2002::,AU"),
        std::string("2001:::,2002::,AU"), std::string("1:2:3:4:5:6:7:8:9,2002::,AU"),
        std::string("2001::%eth0,2002::,AU"), long_address + ",2002::,AU"}) {
    const Result<Ipv6Range> range = ParseIpv6Line(line);
    ASSERT_FALSE(range.ok()) << line;
    EXPECT_THAT(range.status().message(), HasSubstr("wanted is an IPv6 address"));
    EXPECT_LT(range.status().message().size(), 120u);
  }
  EXPECT_THAT(ParseIpv6Line("2002::,2001::,AU").status().message(),
              HasSubstr("2002:: lies behind the last, 2001::"));
}

}  // namespace
}  // namespace flagstone::tool
