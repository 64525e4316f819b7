#include "flagstone/record_id.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <string>
#include <type_traits>
#include <unordered_set>
#include <vector>

#include "lib/base/random.h"

namespace flagstone {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

static_assert(std::is_trivially_copyable_v<RecordId> && sizeof(RecordId) == 8);
static_assert(!std::is_convertible_v<uint64_t, RecordId>, "an ID is never made by accident");
static_assert(!std::is_convertible_v<RecordId, uint64_t>);
static_assert(RecordId(7) == RecordId(7) && RecordId(7) < RecordId(8));
static_assert(RecordId().is_null() && !RecordId(1).is_null());
static_assert(noexcept(RecordId(1).Text()));

constexpr uint64_t kLargest = (uint64_t{1} << 63) - 1;

std::vector<RecordId> SomeIds() {
  std::vector<RecordId> ids = {
      RecordId(0),       RecordId(1), RecordId(31), RecordId(32), RecordId(kLargest - 1),
      RecordId(kLargest)};
  for (int bit = 0; bit < 63; ++bit) ids.emplace_back(uint64_t{1} << bit);
  base::Random random(1);
  for (int i = 0; i < 10'000; ++i) ids.emplace_back(random.Next() >> random.Between(1, 60));
  return ids;
}

std::string ParseError(std::string_view text) {
  const Result<RecordId> id = RecordId::Parse(text);
  if (id.ok()) return "parsed as " + id->ToString();
  EXPECT_EQ(id.code(), StatusCode::kInvalidArgument);
  return id.status().message();
}

TEST(RecordIdTest, TextFormIsFixed) {
  EXPECT_EQ(RecordId(0).ToString(), "r0000000000000");
  EXPECT_EQ(RecordId(1).ToString(), "r0000000000001");
  EXPECT_EQ(RecordId(0x0715aa9830012345).ToString(), "r0e5dak0r028t5");
  EXPECT_EQ(RecordId(kLargest).ToString(), "r7zzzzzzzzzzzz");
  EXPECT_EQ(RecordId(UINT64_MAX).ToString(), "rfzzzzzzzzzzzz");
}

TEST(RecordIdTest, EveryNotationReadsBack) {
  for (const RecordId id : SomeIds()) {
    char hex[24];
    std::snprintf(hex, sizeof hex, "0x%llx", static_cast<unsigned long long>(id.value()));
    std::string upper = id.ToString();
    for (char& c : upper) c = static_cast<char>(std::toupper(c));
    for (const std::string& text :
         {id.ToString(), upper, std::to_string(id.value()), std::string(hex)}) {
      const Result<RecordId> parsed = RecordId::Parse(text);
      ASSERT_TRUE(parsed.ok()) << parsed.status().ToString();
      ASSERT_EQ(parsed->value(), id.value()) << text;
    }
  }
}

TEST(RecordIdTest, TextSortsAsTheIdsDo) {
  std::vector<RecordId> ids = SomeIds();
  std::vector<std::string> texts;
  for (const RecordId id : ids) texts.push_back(id.ToString());
  std::sort(ids.begin(), ids.end());
  std::sort(texts.begin(), texts.end());
  for (size_t i = 0; i < ids.size(); ++i) ASSERT_EQ(texts[i], ids[i].ToString());
}

TEST(RecordIdTest, LeadingZerosAndDigitCaseDoNotMatterInNumbers) {
  EXPECT_EQ(RecordId::Parse("0000000000000000000000000000042")->value(), 42u);
  EXPECT_EQ(RecordId::Parse("0X00fF")->value(), 0xffu);
}

TEST(RecordIdTest, ErrorsNameTheCharacterAndItsPlace) {
  EXPECT_THAT(ParseError(""), HasSubstr("it is empty"));
  EXPECT_THAT(ParseError("12a4"), AllOf(HasSubstr("\"12a4\""), HasSubstr("'a' at character 3"),
                                        HasSubstr("decimal digit"), HasSubstr("0x")));
  EXPECT_THAT(ParseError("-1"), HasSubstr("'-' at character 1"));
  EXPECT_THAT(ParseError(" 1"), HasSubstr("a space at character 1"));
  EXPECT_THAT(ParseError("1\n"), HasSubstr("byte 0x0a at character 2"));
  EXPECT_THAT(ParseError("0x12g"),
              AllOf(HasSubstr("'g' at character 5"), HasSubstr("hexadecimal")));
  EXPECT_THAT(ParseError("0x"), HasSubstr("no digit follows 0x"));
  // The letters a reader would take for digits are no digits.
  for (const char* letter : {"i", "l", "o", "u", "I", "L", "O", "U"}) {
    EXPECT_THAT(ParseError("r000000000000" + std::string(letter)),
                HasSubstr("'" + std::string(letter) + "' at character 14"));
  }
  EXPECT_THAT(ParseError(std::string_view("r00\0000000000", 13)),
              HasSubstr("byte 0x00 at character 4"));
}

TEST(RecordIdTest, ErrorsNameTheLength) {
  EXPECT_THAT(ParseError("r"), HasSubstr("it has 1 characters, and a text form has 14"));
  EXPECT_THAT(ParseError("r000000000001"), HasSubstr("it has 13 characters"));
  EXPECT_THAT(ParseError("r00000000000001"), HasSubstr("it has 15 characters"));
}

TEST(RecordIdTest, NumbersWithTheTopBitAreNoIds) {
  for (const char* text :
       {"9223372036854775808", "18446744073709551615", "18446744073709551617",
        "99999999999999999999999999", "0x8000000000000000", "0x10000000000000001", "r8000000000000",
        "rfzzzzzzzzzzzz", "rzzzzzzzzzzzzz"}) {
    EXPECT_THAT(ParseError(text), HasSubstr("above 9223372036854775807")) << text;
  }
  EXPECT_EQ(RecordId::Parse("9223372036854775807")->value(), kLargest);
  EXPECT_EQ(RecordId::Parse("0x7fffffffffffffff")->value(), kLargest);
}

TEST(RecordIdTest, HostileTextIsQuotedShortAndPrintable) {
  const std::string message = ParseError(std::string(100'000, '\x1b'));
  EXPECT_LT(message.size(), 300u);
  for (const char c : message) EXPECT_TRUE(c >= 0x20 && c < 0x7f);
}

// What: bytes nobody meant as an ID are refused or read back as exactly one ID.
TEST(RecordIdTest, RandomTextNeverReadsAsTwoThings) {
  constexpr std::string_view kAlphabet = "0123456789abcdefrRxX zZoO-\n";
  base::Random random(2);
  int parsed_count = 0;
  for (int i = 0; i < 200'000; ++i) {
    std::string text;
    for (uint64_t n = random.Below(22); n > 0; --n)
      text += kAlphabet[random.Below(kAlphabet.size())];
    const Result<RecordId> id = RecordId::Parse(text);
    if (!id.ok()) continue;
    ++parsed_count;
    const Result<RecordId> again = RecordId::Parse(id->ToString());
    ASSERT_TRUE(again.ok()) << text;
    ASSERT_EQ(*again, *id) << text;
  }
  EXPECT_GT(parsed_count, 100);
}

TEST(RecordIdTest, HashSpreadsNeighbouringSlotsAndTicks) {
  std::set<size_t> low_bits;
  for (uint64_t i = 0; i < 1024; ++i) {
    low_bits.insert(std::hash<RecordId>()(RecordId(i << 33)) & 0xffff);
  }
  // 1024 balls in 65,536 bins: about 8 collide.
  EXPECT_GT(low_bits.size(), 950u);
  std::unordered_set<RecordId> set = {RecordId(1), RecordId(1), RecordId(2)};
  EXPECT_EQ(set.size(), 2u);
}

TEST(RecordIdTest, ReasonsOfAbsenceHaveNames) {
  EXPECT_EQ(AbsenceReasonName(AbsenceReason::kNotYetIssued), "not yet issued");
  EXPECT_EQ(AbsenceReasonName(AbsenceReason::kGone), "gone");
  EXPECT_EQ(AbsenceReasonName(AbsenceReason::kOtherNode), "another node's");
  EXPECT_EQ(AbsenceReasonName(AbsenceReason::kOtherTable), "another table's");
  EXPECT_EQ(AbsenceReasonName(AbsenceReason::kMalformed), "malformed");
}

}  // namespace
}  // namespace flagstone
