#include "flagstone/record_id.h"

#include <algorithm>
#include <cstdint>
#include <cstdio>

namespace flagstone {
namespace {

constexpr uint64_t kTopBit = uint64_t{1} << 63;

// What a user typed may be long or binary; a message quotes this much of it.
constexpr size_t kQuotedCharsMax = 40;

std::string Quoted(std::string_view text) {
  std::string quoted = "\"";
  for (const char c : text.substr(0, kQuotedCharsMax)) {
    const bool printable = c >= 0x20 && c < 0x7f && c != '"';
    quoted += printable ? c : '?';
  }
  quoted += text.size() > kQuotedCharsMax ? "...\"" : "\"";
  return quoted;
}

std::string NameOf(char c) {
  if (c >= 0x21 && c < 0x7f) return std::string("'") + c + "'";
  if (c == ' ') return "a space";
  char hex[16];
  std::snprintf(hex, sizeof hex, "byte 0x%02x",
                static_cast<unsigned>(static_cast<unsigned char>(c)));
  return hex;
}

Status NotAnId(std::string_view text, const std::string& reason) {
  return Status::Error(
      StatusCode::kInvalidArgument,
      "record ID " + Quoted(text) + ": " + reason +
          "; write r and 13 base-32 digits, a decimal number, or 0x and hexadecimal "
          "digits");
}

Status WrongCharacter(std::string_view text, size_t index, const char* expected) {
  return NotAnId(text, NameOf(text[index]) + " at character " + std::to_string(index + 1) +
                           " is not " + expected);
}

// The value of one digit, or -1. Case does not matter.
int DigitOfBase32(char c) {
  constexpr std::string_view kLower = "0123456789abcdefghjkmnpqrstvwxyz";
  if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  const size_t digit = kLower.find(c);
  return digit == std::string_view::npos ? -1 : static_cast<int>(digit);
}

int DigitOfBase16(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

int DigitOfBase10(char c) { return c >= '0' && c <= '9' ? c - '0' : -1; }

constexpr size_t kAnyLength = SIZE_MAX;

struct Notation {
  size_t prefix_chars;
  size_t chars_max;  // what stands behind is for the caller to judge
  uint64_t base;
  int (*digit_of)(char);
  const char* digit_name;
};

constexpr Notation kText{1, RecordId::kTextChars, 32, DigitOfBase32,
                         "a base-32 digit (0-9 and a-z without i, l, o, u)"};
constexpr Notation kHexadecimal{2, kAnyLength, 16, DigitOfBase16, "a hexadecimal digit"};
constexpr Notation kDecimal{0, kAnyLength, 10, DigitOfBase10, "a decimal digit"};

// Accumulates the digits after the prefix; stops at the first wrong one, or where the value would
// not fit.
Result<RecordId> ParseDigits(std::string_view text, const Notation& notation) {
  const size_t end = std::min(text.size(), notation.chars_max);
  uint64_t value = 0;
  for (size_t i = notation.prefix_chars; i < end; ++i) {
    const int digit = notation.digit_of(text[i]);
    if (digit < 0) return WrongCharacter(text, i, notation.digit_name);
    const uint64_t added = static_cast<uint64_t>(digit);
    if (value > (kTopBit - 1 - added) / notation.base) {
      return NotAnId(text,
                     "the number is above 9223372036854775807 (2^63 - 1), and the top bit of a "
                     "record ID is 0");
    }
    value = value * notation.base + added;
  }
  return RecordId(value);
}

}  // namespace

std::string RecordId::ToString() const {
  const TextChars text = Text();
  return std::string(text.data(), text.size());
}

Result<RecordId> RecordId::Parse(std::string_view text) {
  if (text.empty()) return NotAnId(text, "it is empty");
  if (text[0] == 'r' || text[0] == 'R') {
    // Characters before length: the first wrong one says more than "too long" does.
    Result<RecordId> id = ParseDigits(text, kText);
    if (id.ok() && text.size() != kTextChars) {
      return NotAnId(text, "it has " + std::to_string(text.size()) +
                               " characters, and a text form has " + std::to_string(kTextChars));
    }
    return id;
  }
  if (text.size() >= 2 && text[0] == '0' && (text[1] == 'x' || text[1] == 'X')) {
    if (text.size() == 2) return NotAnId(text, "no digit follows 0x");
    return ParseDigits(text, kHexadecimal);
  }
  return ParseDigits(text, kDecimal);
}

std::string_view AbsenceReasonName(AbsenceReason reason) {
  switch (reason) {
    case AbsenceReason::kNotYetIssued: return "not yet issued";
    case AbsenceReason::kGone: return "gone";
    case AbsenceReason::kOtherNode: return "another node's";
    case AbsenceReason::kOtherTable: return "another table's";
    case AbsenceReason::kMalformed: return "malformed";
  }
  return "unknown";
}

}  // namespace flagstone
