#include "tools/flagstone/geoip_record.h"

#include <arpa/inet.h>

#include <charconv>
#include <cstring>

#include "tools/flagstone/terminal.h"

namespace flagstone::tool {
namespace {

Status Bad(std::string reason) {
  return Status::Error(StatusCode::kInvalidArgument, std::move(reason));
}

struct Fields {
  std::string_view first;
  std::string_view last;
  std::string_view country;
};

Result<Fields> FieldsOf(std::string_view line) {
  if (const size_t nul = line.find('\0'); nul != std::string_view::npos) {
    return Bad("NUL byte at column " + std::to_string(nul + 1) + ": this is no text");
  }
  std::array<std::string_view, 3> fields;
  size_t count = 0;
  for (std::string_view rest = line;; ++count) {
    const size_t comma = rest.find(',');
    if (count < fields.size()) fields[count] = rest.substr(0, comma);
    if (comma == std::string_view::npos) break;
    rest.remove_prefix(comma + 1);
  }
  if (++count != fields.size()) {
    return Bad("found " + std::to_string(count) + (count == 1 ? " field" : " fields") +
               ", wanted are 3: first,last,country");
  }
  return Fields{fields[0], fields[1], fields[2]};
}

Result<std::array<char, 2>> ParseCountry(std::string_view text) {
  const auto is_letter = [](char c) { return (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'); };
  if (text == "??" || (text.size() == 2 && is_letter(text[0]) && is_letter(text[1]))) {
    return std::array<char, 2>{text[0], text[1]};
  }
  return Bad("country is '" + Escaped(text, 20) + "', wanted are two of A-Z and 0-9, or ??");
}

Status ParseAddress(const char* field, std::string_view text, uint32_t* address) {
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), *address);
  if (parsed.ec == std::errc() && parsed.ptr == text.data() + text.size()) return Status::Ok();
  if (text.empty()) return Bad(std::string(field) + " address is missing");
  return Bad(std::string(field) + " address is '" + Escaped(text, 40) +
             "', wanted is a number from 0 to 4294967295");
}

Status ParseAddress(const char* field, std::string_view text, Ipv6Range::Address* address) {
  char terminated[INET6_ADDRSTRLEN] = {};
  if (text.empty()) return Bad(std::string(field) + " address is missing");
  if (text.size() < sizeof terminated) {
    std::memcpy(terminated, text.data(), text.size());
    if (inet_pton(AF_INET6, terminated, address->data()) == 1) return Status::Ok();
  }
  return Bad(std::string(field) + " address is '" + Escaped(text, 40) +
             "', wanted is an IPv6 address");
}

template <typename Range>
Result<Range> ParseLine(std::string_view line) {
  Result<Fields> fields = FieldsOf(line);
  if (!fields.ok()) return std::move(fields).status();
  Range range;
  FLAGSTONE_RETURN_IF_ERROR(ParseAddress("first", fields->first, &range.first));
  FLAGSTONE_RETURN_IF_ERROR(ParseAddress("last", fields->last, &range.last));
  Result<std::array<char, 2>> country = ParseCountry(fields->country);
  if (!country.ok()) return std::move(country).status();
  range.country = *country;
  if (range.last < range.first) {
    return Bad("first address " + AddressText(range.first) + " lies behind the last, " +
               AddressText(range.last));
  }
  return range;
}

}  // namespace

Result<Ipv4Range> ParseIpv4Line(std::string_view line) { return ParseLine<Ipv4Range>(line); }
Result<Ipv6Range> ParseIpv6Line(std::string_view line) { return ParseLine<Ipv6Range>(line); }

std::string AddressText(uint32_t address) {
  return std::to_string(address >> 24) + "." + std::to_string(address >> 16 & 255) + "." +
         std::to_string(address >> 8 & 255) + "." + std::to_string(address & 255);
}

std::string AddressText(const Ipv6Range::Address& address) {
  char text[INET6_ADDRSTRLEN] = {};
  inet_ntop(AF_INET6, address.data(), text, sizeof text);
  return text;
}

}  // namespace flagstone::tool
