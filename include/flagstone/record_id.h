// RecordId: the name of one record, for ever. 64 bits; which bits mean what is the store's
// IdLayout.
//
// Place       What inserts return and reads take. The value fits a signed 64-bit column (its top
//             bit is 0).
// Invariants  1. An ID names one record and is never issued for another, across restarts, crashes,
//                restores and clock steps (docs/format/record_id.md).
//             2. IDs order as their creation ticks do; within one tick their order means nothing.
//             3. Value 0 names no record: tick 0 is never issued. Text 14 characters: 'r' and 13
//                digits of Crockford's base 32 in lower case, most significant first, e.g.
//                r0e5dak0r028t5. Fixed length, safe in URLs and file names, selected by one double
//                click, sorted by any byte-wise sort as the IDs are, and never mistaken for a
//                decimal number.
// Threads     A value.
// Cost        One register. Text(): no allocation.
#ifndef FLAGSTONE_RECORD_ID_H_
#define FLAGSTONE_RECORD_ID_H_

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "flagstone/export.h"
#include "flagstone/status.h"

namespace flagstone {

class RecordId {
 public:
  static constexpr size_t kTextChars = 14;
  using TextChars = std::array<char, kTextChars>;

  // The ID that names no record.
  constexpr RecordId() noexcept = default;
  // Any 64 bits, also forged ones: reading by an ID that names nothing gives an empty answer.
  constexpr explicit RecordId(uint64_t value) noexcept : value_(value) {}

  constexpr uint64_t value() const noexcept { return value_; }
  // True for the ID that names no record.
  constexpr bool is_null() const noexcept { return value_ == 0; }

  friend constexpr auto operator<=>(RecordId, RecordId) noexcept = default;

  // The text form described above, of any 64 bits.
  constexpr TextChars Text() const noexcept;
  FLAGSTONE_EXPORT std::string ToString() const;

  // Reads one ID: the text form (either case), a decimal number, or hexadecimal digits after 0x. No
  // white space, no sign. INVALID_ARGUMENT names the character that is wrong and its place, or why
  // the number is none (top bit set, too large). The null ID ("0") is read as such.
  FLAGSTONE_EXPORT static Result<RecordId> Parse(std::string_view text);

 private:
  uint64_t value_ = 0;
};

// Why a read by an ID came back empty.
enum class AbsenceReason : uint8_t {
  kNotYetIssued =
      0,            // its tick lies in the future of this store: forged, or from a later life of it
  kGone = 1,        // deleted, or never existed: the slot holds another record or none
  kOtherNode = 2,   // issued by a store with another node number
  kOtherTable = 3,  // names a record of another table
  // No ID of this layout: top bit, tick 0, or a slot its size class does not have; or no record's
  // place in this table: a slot in the middle of a long record.
  kMalformed = 4,
};

// The name users see: "not yet issued", "gone", "another node's", "another table's", "malformed".
FLAGSTONE_EXPORT std::string_view AbsenceReasonName(AbsenceReason reason);

constexpr RecordId::TextChars RecordId::Text() const noexcept {
  constexpr char kDigits[] = "0123456789abcdefghjkmnpqrstvwxyz";
  TextChars text{};
  text[0] = 'r';
  uint64_t rest = value_;
  for (size_t i = kTextChars - 1; i > 0; --i) {
    text[i] = kDigits[rest & 31];
    rest >>= 5;
  }
  return text;
}

}  // namespace flagstone

// The low bits of an ID are a slot number and the high ones a time, so hash tables that keep only
// some bits need them mixed: one multiplication and a fold (the constant is 2^64 / golden ratio,
// made odd).
template <>
struct std::hash<flagstone::RecordId> {
  size_t operator()(flagstone::RecordId id) const noexcept {
    const uint64_t mixed = id.value() * 0x9e3779b97f4a7c15;
    return static_cast<size_t>(mixed ^ (mixed >> 32));
  }
};

#endif  // FLAGSTONE_RECORD_ID_H_
