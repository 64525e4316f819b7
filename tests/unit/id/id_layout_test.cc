#include "flagstone/id_layout.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "flagstone/id_options.h"
#include "lib/base/random.h"
#include "lib/base/utc_time.h"

namespace flagstone {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

constexpr int64_t kNow = 1'795'249'000;  // 2026-11-21
// Eight stores, 4 s ticks, since 2024.
constexpr IdLayout kCustom{1'704'067'200, 4, /*tick_bits=*/29, /*node_bits=*/3, /*slot_bits=*/26};
constexpr std::array kLayouts = {id_layouts::kStandalone, id_layouts::kLarge, id_layouts::kFleet,
                                 kCustom};

// Encoding is a constant expression, and so is decoding.
constexpr IdCodec kStandaloneCodec(id_layouts::kStandalone);
static_assert(kStandaloneCodec.Encode({59'430'220, 3, 0, 74'565}) == RecordId(0x0715aa9830012345));
static_assert(kStandaloneCodec.tick(RecordId(0x0715aa9830012345)) == 59'430'220);
static_assert(noexcept(kStandaloneCodec.Encode({})) && noexcept(kStandaloneCodec.slot(RecordId())));

struct Golden {
  IdLayout layout;
  IdFields fields;
  uint64_t value;
  const char* text;
  const char* created;
};

constexpr Golden kGolden[] = {
    {id_layouts::kStandalone,
     {1, 0, 0, 0},
     0x0000000200000000,
     "r0000008000000",
     "2025-01-01T00:00:01Z"},
    {id_layouts::kStandalone,
     {59430220, 3, 0, 74565},
     0x0715aa9830012345,
     "r0e5dak0r028t5",
     "2026-11-19T20:23:40Z"},
    {id_layouts::kStandalone,
     {1073741823, 31, 0, 268435235},
     0x7fffffffffffff23,
     "r7zzzzzzzzzzs3",
     "2059-01-10T13:37:03Z"},
    {id_layouts::kLarge,
     {1, 0, 0, 1},
     0x0000000800000001,
     "r0000010000001",
     "2025-01-01T00:00:02Z"},
    {id_layouts::kLarge,
     {29715110, 12, 0, 536875572},
     0x0e2b553320001234,
     "r0watn6cg004hm",
     "2026-11-19T20:23:40Z"},
    {id_layouts::kLarge,
     {268435455, 31, 0, 1073741603},
     0x7fffffffffffff23,
     "r7zzzzzzzzzzs3",
     "2042-01-05T18:48:30Z"},
    {id_layouts::kFleet,
     {1, 0, 63, 0},
     0x00000020fc000000,
     "r0000043y00000",
     "2025-01-01T00:00:16Z"},
    {id_layouts::kFleet,
     {3714388, 8, 5, 1048577},
     0x0715aa8814100001,
     "r0e5dah0a10001",
     "2026-11-19T20:23:28Z"},
    {id_layouts::kFleet,
     {67108863, 31, 63, 67108643},
     0x7fffffffffffff23,
     "r7zzzzzzzzzzs3",
     "2059-01-10T13:36:48Z"},
    {kCustom,
     {22761955, 20, 6, 1027},
     0x056d478e98000403,
     "r0ava7htc00103",
     "2026-11-19T19:03:40Z"},
};

IdFields RandomFields(const IdLayout& layout, base::Random& random) {
  const uint32_t size_class = static_cast<uint32_t>(random.Below(kSizeClassCount));
  const uint64_t extent = random.Below(layout.ExtentsPerClass(size_class));
  const uint64_t index = random.Below(SizeClassSlotsPerExtent(size_class));
  return {static_cast<uint32_t>(random.Between(1, static_cast<int64_t>(layout.tick_count()) - 1)),
          size_class, static_cast<uint32_t>(random.Below(layout.node_count())),
          static_cast<uint32_t>(extent << SizeClassIndexBits(size_class) | index)};
}

// Every layout there can be, as far as bits go.
std::vector<IdLayout> EveryBitLayout() {
  std::vector<IdLayout> layouts;
  for (uint32_t tick = 0; tick <= 64; ++tick) {
    for (uint32_t node = 0; node <= 64; ++node) {
      if (tick + node > IdLayout::kFreeBits) continue;
      const IdLayout layout{IdLayout::kDefaultEpochUnixSeconds, 1, tick, node,
                            IdLayout::kFreeBits - tick - node};
      if (layout.IsWellFormed()) layouts.push_back(layout);
    }
  }
  return layouts;
}

std::string ValidateError(const IdLayout& layout, int64_t now = kNow) {
  const Status status = layout.Validate(now);
  if (status.ok()) return "valid";
  EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
  return status.message();
}

TEST(IdLayoutTest, GoldenValuesStayForEver) {
  for (const Golden& golden : kGolden) {
    const IdCodec codec(golden.layout);
    SCOPED_TRACE(golden.text);
    EXPECT_EQ(codec.Encode(golden.fields).value(), golden.value);
    EXPECT_EQ(codec.fields(RecordId(golden.value)), golden.fields);
    EXPECT_EQ(RecordId(golden.value).ToString(), golden.text);
    EXPECT_EQ(base::FormatUtc(codec.CreatedUnixSeconds(RecordId(golden.value))), golden.created);
    EXPECT_TRUE(codec.IsWellFormed(RecordId(golden.value)));
  }
}

// What: the golden table of the format document is what the code does.
// How:  read every row "| `layout` | tick | class | node | slot | `hex` | decimal | `text` |
// created |".
TEST(IdLayoutTest, TheFormatDocumentsTableIsTrue) {
  std::ifstream document(std::string(FLAGSTONE_SOURCE_ROOT) + "/docs/format/record_id.md");
  ASSERT_TRUE(document.is_open());
  size_t rows = 0;
  for (std::string line; std::getline(document, line);) {
    if (line.find("| `0x") == std::string::npos) continue;
    for (char& c : line) c = c == '|' || c == '`' ? ' ' : c;
    std::istringstream cells(line);
    std::string name, hex, decimal, text, created;
    IdFields fields;
    cells >> name >> fields.tick >> fields.size_class >> fields.node >> fields.slot >> hex >>
        decimal >> text >> created;
    ASSERT_FALSE(cells.fail()) << line;
    const IdLayout layout = name == "custom" ? kCustom : *IdLayoutNamed(name);
    const IdCodec codec(layout);
    const RecordId id = codec.Encode(fields);
    EXPECT_EQ(RecordId::Parse(hex)->value(), id.value()) << line;
    EXPECT_EQ(std::to_string(id.value()), decimal) << line;
    EXPECT_EQ(id.ToString(), text) << line;
    EXPECT_EQ(base::FormatUtc(codec.CreatedUnixSeconds(id)), created) << line;
    ++rows;
  }
  EXPECT_EQ(rows, std::size(kGolden));
}

TEST(IdLayoutTest, EveryFieldSurvivesTheRoundTripInEveryLayout) {
  base::Random random(3);
  const std::vector<IdLayout> layouts = EveryBitLayout();
  ASSERT_GT(layouts.size(), 50u);
  for (const IdLayout& layout : layouts) {
    const IdCodec codec(layout);
    for (int i = 0; i < 200; ++i) {
      const IdFields fields = RandomFields(layout, random);
      const RecordId id = codec.Encode(fields);
      ASSERT_EQ(codec.fields(id), fields) << layout.ToString();
      ASSERT_EQ(id.value() >> 63, 0u);
      ASSERT_TRUE(codec.IsWellFormed(id)) << codec.Describe(id);
      ASSERT_TRUE(codec.CheckId(id).ok()) << codec.Describe(id);
    }
  }
}

// What: IDs sort by creation, whatever the rest of their fields.
TEST(IdLayoutTest, IdsOrderByTickFirst) {
  base::Random random(4);
  for (const IdLayout& layout : kLayouts) {
    const IdCodec codec(layout);
    for (int i = 0; i < 10'000; ++i) {
      const IdFields a = RandomFields(layout, random);
      const IdFields b = RandomFields(layout, random);
      if (a.tick == b.tick) continue;
      ASSERT_EQ(codec.Encode(a) < codec.Encode(b), a.tick < b.tick);
    }
  }
}

TEST(IdLayoutTest, ForgedBitsDecodeWithinBoundsAndAreJudgedAlike) {
  base::Random random(5);
  for (const IdLayout& layout : kLayouts) {
    const IdCodec codec(layout);
    int malformed_count = 0;
    for (int i = 0; i < 20'000; ++i) {
      const RecordId id(random.Next() >> random.Below(40));
      ASSERT_LT(codec.size_class(id), kSizeClassCount);
      ASSERT_LE(codec.node(id), codec.node_max());
      ASSERT_LE(codec.slot(id), codec.slot_max());
      ASSERT_EQ(codec.IsWellFormed(id), codec.CheckId(id).ok()) << codec.Describe(id);
      malformed_count += codec.IsWellFormed(id) ? 0 : 1;
    }
    EXPECT_GT(malformed_count, 100);
  }
}

TEST(IdLayoutTest, MalformedIdsAreToldWhy) {
  const IdCodec& codec = kStandaloneCodec;
  EXPECT_THAT(codec.CheckId(RecordId()).message(), HasSubstr("null ID"));
  EXPECT_THAT(codec.CheckId(RecordId(uint64_t{1} << 63)).message(), HasSubstr("top bit is 1"));
  EXPECT_THAT(
      codec.CheckId(RecordId(5)).message(),
      AllOf(HasSubstr("r0000000000005"), HasSubstr("tick is 0, allowed are 1 to 1073741823")));
  // 56-byte slots: 37,449 in an extent, in 16 bits.
  EXPECT_THAT(codec.CheckId(codec.Encode({9, 3, 0, 37'449})).message(),
              AllOf(HasSubstr("size class 3"),
                    HasSubstr("index in the extent is 37449, allowed are 0 to 37448")));
  EXPECT_TRUE(codec.CheckId(codec.Encode({9, 3, 0, 37'448})).ok());
}

TEST(IdLayoutTest, FieldsOutOfRangeAreNamed) {
  const IdCodec codec(id_layouts::kFleet);
  EXPECT_THAT(codec.CheckFields({1u << 26, 0, 0, 0}).message(),
              HasSubstr("tick is 67108864, allowed are 1 to 67108863"));
  EXPECT_THAT(codec.CheckFields({1, 32, 0, 0}).message(),
              HasSubstr("size class is 32, allowed are 0 to 31"));
  EXPECT_THAT(codec.CheckFields({1, 0, 64, 0}).message(),
              HasSubstr("node is 64, allowed are 0 to 63"));
  EXPECT_THAT(codec.CheckFields({1, 0, 0, 1u << 26}).message(), HasSubstr("slot is 67108864"));
  EXPECT_TRUE(codec.CheckFields({67108863, 31, 63, 67108643}).ok());
}

TEST(IdLayoutTest, DecodingSaysEverything) {
  const DecodedId decoded = kStandaloneCodec.Decode(RecordId(0x0715aa9830012345));
  EXPECT_EQ(decoded.fields, (IdFields{59'430'220, 3, 0, 74'565}));
  EXPECT_EQ(decoded.stride_bytes, 56u);
  EXPECT_EQ(decoded.extent, 1u);
  EXPECT_EQ(decoded.index, 9029u);
  EXPECT_EQ(decoded.created_until_unix_seconds - decoded.created_from_unix_seconds, 1);
  EXPECT_EQ(kStandaloneCodec.Describe(decoded.id),
            "record ID r0e5dak0r028t5 (0x0715aa9830012345): created 2026-11-19T20:23:40Z (tick "
            "59430220 of "
            "1 s), size class 3 (56 bytes), node 0, slot 74565 (extent 1, index 9029)");
  EXPECT_THAT(kStandaloneCodec.Describe(RecordId()), HasSubstr("names no record"));
}

TEST(IdLayoutTest, TicksAndMomentsAgree) {
  const IdCodec codec(id_layouts::kFleet);
  const int64_t epoch = IdLayout::kDefaultEpochUnixSeconds;
  EXPECT_EQ(codec.TickAt(INT64_MIN), 0u);
  EXPECT_EQ(codec.TickAt(epoch - 1), 0u);
  EXPECT_EQ(codec.TickAt(epoch + 15), 0u);
  EXPECT_EQ(codec.TickAt(epoch + 16), 1u);
  EXPECT_EQ(codec.TickStart(1), epoch + 16);
  EXPECT_EQ(codec.TickAt(id_layouts::kFleet.end_unix_seconds() - 1), codec.tick_max());
  EXPECT_EQ(codec.TickAt(INT64_MAX), codec.tick_max());
  for (const int64_t moment : {kNow, kNow + 1, kNow + 100'000'000}) {
    EXPECT_LE(codec.TickStart(codec.TickAt(moment)), moment);
    EXPECT_GT(codec.TickStart(codec.TickAt(moment) + 1), moment);
  }
}

TEST(IdLayoutTest, PresetsLiveAndHoldWhatTheirNamesPromise) {
  EXPECT_EQ(base::FormatUtc(id_layouts::kStandalone.end_unix_seconds()), "2059-01-10T13:37:04Z");
  EXPECT_EQ(base::FormatUtc(id_layouts::kLarge.end_unix_seconds()), "2042-01-05T18:48:32Z");
  EXPECT_EQ(base::FormatUtc(id_layouts::kFleet.end_unix_seconds()), "2059-01-10T13:37:04Z");
  EXPECT_EQ(id_layouts::kStandalone.SlotsPerClass(0), 268'435'456u);
  EXPECT_EQ(id_layouts::kStandalone.SlotsPerClass(31), 153'092'096u);
  EXPECT_EQ(id_layouts::kLarge.SlotsPerClass(0), 1'073'741'824u);
  EXPECT_EQ(id_layouts::kLarge.SlotsPerClass(31), 612'368'384u);
  EXPECT_EQ(id_layouts::kFleet.SlotsPerClass(3), 38'347'776u);
  EXPECT_EQ(id_layouts::kFleet.node_count(), 64u);
  for (const IdLayout& layout : kLayouts) EXPECT_TRUE(layout.Validate(kNow).ok());
}

TEST(IdLayoutTest, ALayoutDescribesItself) {
  EXPECT_EQ(
      id_layouts::kFleet.ToString(),
      "tick 26 bits of 16 s, size class 5 bits, node 6 bits, slot 26 bits; 2025-01-01T00:00:00Z to "
      "2059-01-10T13:37:04Z; 38273024 to 67108864 slots per size class");
}

TEST(IdLayoutTest, PresetsHaveNames) {
  EXPECT_EQ(*IdLayoutNamed("standalone"), id_layouts::kStandalone);
  EXPECT_EQ(*IdLayoutNamed("large"), id_layouts::kLarge);
  EXPECT_EQ(*IdLayoutNamed("fleet"), id_layouts::kFleet);
  EXPECT_THAT(IdLayoutNamed("tiny").status().message(),
              AllOf(HasSubstr("\"tiny\""), HasSubstr("standalone, large and fleet")));
}

TEST(IdLayoutTest, ValidationNamesFieldValueAndRange) {
  IdLayout layout = id_layouts::kStandalone;
  layout.tick_seconds = 0;
  EXPECT_THAT(ValidateError(layout), HasSubstr("tick_seconds is 0, allowed are 1 to 3600"));
  layout = id_layouts::kStandalone;
  layout.tick_bits = 32;
  EXPECT_THAT(ValidateError(layout), HasSubstr("tick_bits is 32, allowed are 20 to 31"));
  layout = id_layouts::kStandalone;
  layout.node_bits = 17;
  EXPECT_THAT(ValidateError(layout), HasSubstr("node_bits is 17, allowed are 0 to 16"));
  layout = id_layouts::kStandalone;
  layout.slot_bits = 31;
  EXPECT_THAT(ValidateError(layout), HasSubstr("slot_bits is 31, allowed are 16 to 30"));
  layout = id_layouts::kStandalone;
  layout.node_bits = 1;
  EXPECT_THAT(ValidateError(layout),
              AllOf(HasSubstr("node_bits 1"), HasSubstr("is 59, allowed is exactly 58")));
  layout = id_layouts::kStandalone;
  layout.epoch_unix_seconds = -1;
  EXPECT_THAT(ValidateError(layout), HasSubstr("epoch_unix_seconds is -1"));
  layout.epoch_unix_seconds = INT64_MAX;
  EXPECT_THAT(ValidateError(layout), HasSubstr("epoch_unix_seconds is 9223372036854775807"));
}

TEST(IdLayoutTest, AnEpochInTheFutureIsRefusedWithTheTimeTheHostBelieves) {
  EXPECT_THAT(ValidateError(id_layouts::kStandalone, 1000),
              AllOf(HasSubstr("2025-01-01T00:00:00Z"), HasSubstr("1970-01-01T00:16:40Z"),
                    HasSubstr("set the clock")));
}

TEST(IdLayoutTest, ALayoutNeedsTenYearsOfTicksToTheSecond) {
  for (const IdLayout& layout : kLayouts) {
    const int64_t last_chance = layout.end_unix_seconds() - IdLayout::kLifeSecondsMin;
    EXPECT_EQ(ValidateError(layout, last_chance), "valid");
    EXPECT_THAT(ValidateError(layout, last_chance + 1),
                AllOf(HasSubstr("10.0 years from now"), HasSubstr("choose more tick_bits")));
  }
  // 20 bits of a second last twelve days.
  const IdLayout short_lived{IdLayout::kDefaultEpochUnixSeconds, 1, 20, 8, 30};
  EXPECT_THAT(ValidateError(short_lived),
              HasSubstr("end at 2025-01-13T03:16:16Z, -1.9 years from now"));
}

TEST(IdOptionsTest, TheNodeMustFitTheLayout) {
  IdOptions options;
  EXPECT_TRUE(options.Validate(kNow).ok());
  options.node = 1;
  EXPECT_THAT(options.Validate(kNow).message(), HasSubstr("node is 1, allowed are 0 to 0"));
  options.layout = id_layouts::kFleet;
  options.node = 63;
  EXPECT_TRUE(options.Validate(kNow).ok());
  options.node = 64;
  EXPECT_THAT(options.Validate(kNow).message(), HasSubstr("node is 64, allowed are 0 to 63"));
  options.layout.tick_seconds = 0;
  EXPECT_THAT(options.Validate(kNow).message(), HasSubstr("tick_seconds"));
}

TEST(IdCodecDeathTest, ACodecOfAMalformedLayoutStopsWithTheField) {
  IdLayout layout;
  layout.slot_bits = 7;
  EXPECT_DEATH(static_cast<void>(IdCodec(layout)), "slot_bits is 7");
}

}  // namespace
}  // namespace flagstone
