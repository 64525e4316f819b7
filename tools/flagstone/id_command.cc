#include "tools/flagstone/id_command.h"

#include <cstdio>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "flagstone/clock.h"
#include "flagstone/id_layout.h"
#include "flagstone/internal/slot.h"
#include "flagstone/record_id.h"
#include "lib/base/utc_time.h"
#include "tools/flagstone/help_text.h"
#include "tools/flagstone/number_text.h"

namespace flagstone::tool {
namespace {

using Json = nlohmann::ordered_json;

constexpr double kSecondsPerYear = 365.25 * 86400;

struct IdArguments {
  std::vector<std::string> ids;
  std::string layout_name = "standalone";
  std::optional<int64_t> epoch;
  std::optional<uint32_t> tick_seconds;
  std::optional<uint32_t> tick_bits;
  std::optional<uint32_t> node_bits;
  std::optional<uint32_t> slot_bits;
  bool json = false;

  bool names_a_field() const {
    return epoch || tick_seconds || tick_bits || node_bits || slot_bits;
  }
};

Result<IdLayout> LayoutOf(const IdArguments& arguments) {
  if (arguments.layout_name != "custom") {
    if (arguments.names_a_field()) {
      return Status::Error(StatusCode::kInvalidArgument,
                           "--epoch, --tick-seconds, --tick-bits, --node-bits and --slot-bits need "
                           "--layout=custom, the layout is " +
                               arguments.layout_name);
    }
    return IdLayoutNamed(arguments.layout_name);
  }
  IdLayout layout;
  layout.epoch_unix_seconds = arguments.epoch.value_or(layout.epoch_unix_seconds);
  layout.tick_seconds = arguments.tick_seconds.value_or(layout.tick_seconds);
  layout.node_bits = arguments.node_bits.value_or(layout.node_bits);
  // Of the three widths, the one that was not given takes what is left of the 58 bits.
  const auto rest = [](uint32_t a, uint32_t b) {
    return a + b < IdLayout::kFreeBits ? IdLayout::kFreeBits - a - b : 0;
  };
  if (arguments.tick_bits) {
    layout.tick_bits = *arguments.tick_bits;
    layout.slot_bits = arguments.slot_bits.value_or(rest(layout.tick_bits, layout.node_bits));
  } else if (arguments.slot_bits) {
    layout.slot_bits = *arguments.slot_bits;
    layout.tick_bits = rest(layout.slot_bits, layout.node_bits);
  } else {
    layout.slot_bits = rest(layout.tick_bits, layout.node_bits);
  }
  FLAGSTONE_RETURN_IF_ERROR(layout.ValidateFields());
  return layout;
}

std::string HexOf(RecordId id) {
  char text[24];
  std::snprintf(text, sizeof text, "0x%016llx", static_cast<unsigned long long>(id.value()));
  return text;
}

// The IDs of the command line; "-" stands for the words of standard input.
std::vector<std::string> AllIds(const std::vector<std::string>& given) {
  std::vector<std::string> all;
  for (const std::string& text : given) {
    if (text != "-") {
      all.push_back(text);
      continue;
    }
    for (std::string word; std::cin >> word;) all.push_back(word);
  }
  return all;
}

Json JsonOf(const DecodedId& decoded) {
  return {{"id", decoded.id.ToString()},
          {"hexadecimal", HexOf(decoded.id)},
          {"decimal", decoded.id.value()},
          {"created_from", base::FormatUtc(decoded.created_from_unix_seconds)},
          {"created_until", base::FormatUtc(decoded.created_until_unix_seconds)},
          {"tick", decoded.fields.tick},
          {"size_class", decoded.fields.size_class},
          {"stride_bytes", decoded.stride_bytes},
          {"node", decoded.fields.node},
          {"slot", decoded.fields.slot},
          {"extent", decoded.extent},
          {"index", decoded.index},
          {"offset_in_class_bytes", uint64_t{decoded.extent} * kExtentBytes +
                                        uint64_t{decoded.index} * decoded.stride_bytes}};
}

Json JsonOf(const IdLayout& layout) {
  return {{"epoch", base::FormatUtc(layout.epoch_unix_seconds)},
          {"tick_seconds", layout.tick_seconds},
          {"tick_bits", layout.tick_bits},
          {"size_class_bits", kSizeClassBits},
          {"node_bits", layout.node_bits},
          {"slot_bits", layout.slot_bits},
          {"end", base::FormatUtc(layout.end_unix_seconds())}};
}

std::string BitsOf(uint64_t value, uint32_t width) {
  std::string bits;
  for (uint32_t i = width; i > 0; --i) bits.push_back((value >> (i - 1) & 1) != 0 ? '1' : '0');
  return bits;
}

void PrintDecoded(const DecodedId& decoded, const Paint& paint) {
  std::printf("%s  %s  created %s  class %u (%u B)  node %u  slot %u (extent %u, index %u)\n",
              paint(Ink::kBold, decoded.id.ToString()).c_str(), HexOf(decoded.id).c_str(),
              base::FormatUtc(decoded.created_from_unix_seconds).c_str(), decoded.fields.size_class,
              decoded.stride_bytes, decoded.fields.node, decoded.fields.slot, decoded.extent,
              decoded.index);
}

void PrintField(const Paint& paint, const char* name, const std::string& bits,
                const std::string& meaning) {
  std::printf("  %s  %-31s %s\n", paint(Ink::kBold, std::string(name)).c_str(), bits.c_str(),
              meaning.c_str());
}

void PrintExplained(const DecodedId& decoded, const IdLayout& layout, const Paint& paint) {
  const IdFields& fields = decoded.fields;
  std::printf("%s = %s = %llu\n", paint(Ink::kBold, decoded.id.ToString()).c_str(),
              HexOf(decoded.id).c_str(), static_cast<unsigned long long>(decoded.id.value()));
  PrintField(paint, "top bit   ", "0", "always 0: the ID fits a signed 64-bit column");
  PrintField(paint, "tick      ", BitsOf(fields.tick, layout.tick_bits),
             std::to_string(fields.tick) + ": created at or after " +
                 base::FormatUtc(decoded.created_from_unix_seconds) + ", before " +
                 base::FormatUtc(decoded.created_until_unix_seconds));
  PrintField(paint, "size class", BitsOf(fields.size_class, kSizeClassBits),
             std::to_string(fields.size_class) + ": slots of " +
                 std::to_string(decoded.stride_bytes) + " bytes");
  PrintField(paint, "node      ", BitsOf(fields.node, layout.node_bits),
             layout.node_bits == 0 ? "no bits in this layout: one store by itself"
                                   : std::to_string(fields.node) + ": which store issued it");
  PrintField(paint, "slot      ", BitsOf(fields.slot, layout.slot_bits),
             std::to_string(fields.slot) + ": extent " + std::to_string(decoded.extent) +
                 ", index " + std::to_string(decoded.index));
  const uint64_t offset =
      uint64_t{decoded.extent} * kExtentBytes + uint64_t{decoded.index} * decoded.stride_bytes;
  std::printf(
      "  The record lies %s bytes behind the start of its size class:\n"
      "  %u * 2 MiB + %u * %u bytes. That sum is the whole look-up.\n",
      CountText(offset).c_str(), decoded.extent, decoded.index, decoded.stride_bytes);
}

enum class Detail : uint8_t { kLine, kDrawing };

// Reads every ID; those that are none are reported and do not keep the others from being shown.
ExitCode ShowIds(const IdArguments& arguments, Detail detail, const Program& program) {
  Result<IdLayout> layout = LayoutOf(arguments);
  if (!layout.ok()) return Complain(layout.status().message(), ExitCode::kUsage);
  const IdCodec codec(*layout);
  const Paint paint = program.paint();
  ExitCode code = ExitCode::kDone;
  Json decoded_ids = Json::array();
  for (const std::string& text : AllIds(arguments.ids)) {
    Result<RecordId> id = RecordId::Parse(text);
    const Status status = id.ok() ? codec.CheckId(*id) : id.status();
    if (!status.ok()) {
      if (arguments.json) {
        decoded_ids.push_back({{"input", text}, {"error", status.message()}});
        code = ExitCode::kFailed;
      } else {
        code = Complain(status.message());
      }
      continue;
    }
    const DecodedId decoded = codec.Decode(*id);
    if (arguments.json) {
      decoded_ids.push_back(JsonOf(decoded));
    } else if (detail == Detail::kLine) {
      PrintDecoded(decoded, paint);
    } else {
      PrintExplained(decoded, *layout, paint);
    }
  }
  if (arguments.json) {
    const Json all = {{"layout", JsonOf(*layout)}, {"ids", decoded_ids}};
    std::printf("%s\n", all.dump(2, ' ', false, Json::error_handler_t::replace).c_str());
  }
  return code;
}

void PrintLayout(const IdLayout& layout, const std::string& name, const Paint& paint) {
  const double years =
      static_cast<double>(layout.tick_count() * layout.tick_seconds) / kSecondsPerYear;
  const double years_left =
      static_cast<double>(layout.end_unix_seconds() - SystemClock().UnixSecondsCoarse()) /
      kSecondsPerYear;
  std::printf("%s\n", paint(Ink::kBold, "Layout " + name).c_str());
  std::printf(
      "  | 0 | tick %u | size class %u | node %u | slot %u |   bits, most significant first\n",
      layout.tick_bits, kSizeClassBits, layout.node_bits, layout.slot_bits);
  std::printf("  ticks      of %u s from %s until %s: %.1f years, %.1f of them left\n",
              layout.tick_seconds, base::FormatUtc(layout.epoch_unix_seconds).c_str(),
              base::FormatUtc(layout.end_unix_seconds()).c_str(), years, years_left);
  std::printf("  nodes      %u: stores that can share this ID space\n", layout.node_count());
  std::printf("  slots      records of a size class that can be in memory at one time:\n\n");
  std::printf("    class  stride  record up to      extents            slots   all of them\n");
  for (uint32_t size_class = 0; size_class < kSizeClassCount; ++size_class) {
    std::printf(
        "    %5u  %4u B  %10u B  %11s  %15s  %12s\n", size_class, SizeClassStrideBytes(size_class),
        SizeClassStrideBytes(size_class) - static_cast<uint32_t>(sizeof(internal::SlotHeader)),
        CountText(layout.ExtentsPerClass(size_class)).c_str(),
        CountText(layout.SlotsPerClass(size_class)).c_str(),
        BytesText(uint64_t{layout.ExtentsPerClass(size_class)} * kExtentBytes).c_str());
  }
}

ExitCode ShowLayout(const IdArguments& arguments, const Program& program) {
  Result<IdLayout> layout = LayoutOf(arguments);
  if (!layout.ok()) return Complain(layout.status().message(), ExitCode::kUsage);
  const Status creatable = layout->Validate(SystemClock().UnixSecondsCoarse());
  if (arguments.json) {
    Json all = JsonOf(*layout);
    all["usable_for_a_new_store"] = creatable.ok();
    if (!creatable.ok()) all["why_not"] = creatable.message();
    Json& classes = all["size_classes"] = Json::array();
    for (uint32_t size_class = 0; size_class < kSizeClassCount; ++size_class) {
      classes.push_back({{"size_class", size_class},
                         {"stride_bytes", SizeClassStrideBytes(size_class)},
                         {"extents", layout->ExtentsPerClass(size_class)},
                         {"slots", layout->SlotsPerClass(size_class)}});
    }
    std::printf("%s\n", all.dump(2).c_str());
  } else {
    PrintLayout(*layout, arguments.layout_name, program.paint());
  }
  if (creatable.ok()) return ExitCode::kDone;
  return arguments.json ? ExitCode::kFailed : Complain(creatable.message());
}

void AddLayoutOptions(CLI::App* command, IdArguments* arguments) {
  command
      ->add_option(
          "--layout", arguments->layout_name,
          "The store's layout: standalone (default), large, fleet; or custom, which takes the "
          "five options below")
      ->check(CLI::IsMember({"standalone", "large", "fleet", "custom"}))
      ->type_name("NAME");
  const auto custom = [&](const char* name, auto& field, const char* description) {
    command->add_option(name, field, description)->group("Custom layout")->type_name("N");
  };
  custom("--epoch", arguments->epoch, "Start of tick 0, seconds since 1970, default 1735689600");
  custom("--tick-seconds", arguments->tick_seconds, "Length of a tick, 1 to 3600, default 1");
  custom("--tick-bits", arguments->tick_bits,
         "20 to 31; what the other two leave of 58 by default");
  custom("--node-bits", arguments->node_bits, "0 to 16, default 0");
  custom("--slot-bits", arguments->slot_bits,
         "16 to 30; what the other two leave of 58 by default");
  command->add_flag("--json", arguments->json, "Print JSON");
}

CLI::App* AddIdCommand(CLI::App* id, const char* name, const char* description,
                       const std::shared_ptr<IdArguments>& arguments, const HelpEnd& end) {
  CLI::App* const command = id->add_subcommand(name, description);
  AddLayoutOptions(command, arguments.get());
  command->footer(HelpFooter(end));
  return command;
}

void AddIds(CLI::App* command, IdArguments* arguments) {
  command
      ->add_option("ID", arguments->ids,
                   "Text form, decimal, or hexadecimal after 0x; - reads them from standard input")
      ->required()
      ->type_name("");
}

}  // namespace

void AddIdCommands(CLI::App& app, Program& program) {
  CLI::App* const id = app.add_subcommand("id", "What record IDs say about themselves");
  id->require_subcommand(1);
  constexpr const char* kAllAreIds = "every ID is one of the layout";
  constexpr const char* kSomeAreNot = "at least one is not; the others are shown";
  id->footer(HelpFooter({
      .about = "An ID is a time, a size class and a place. These commands need no store, only its "
               "layout.",
      .examples = {"flagstone id decode r0e5dak0r028t5 0x0715aa9830012345",
                   "flagstone id explain r0e5dak0r028t5", "flagstone id layout --layout=fleet"},
      .done = "done",
      .failed = "an ID is none of the layout, or a new store may not have the layout",
  }));
  const auto add_shower = [&](const char* name, const char* description, Detail detail,
                              const HelpEnd& end) {
    const auto arguments = std::make_shared<IdArguments>();
    CLI::App* const command = AddIdCommand(id, name, description, arguments, end);
    AddIds(command, arguments.get());
    command->callback([arguments, detail, &program] {
      program.exit_code = ShowIds(*arguments, detail, program);
    });
  };
  add_shower("decode", "One line for each ID", Detail::kLine,
             {.about = "",
              .examples = {"flagstone id decode r0e5dak0r028t5",
                           "flagstone id decode --json 510501703393551173",
                           "cut -f1 ids.tsv | flagstone id decode -"},
              .done = kAllAreIds,
              .failed = kSomeAreNot});
  add_shower("explain", "The bits of each ID and what they mean", Detail::kDrawing,
             {.about = "",
              .examples = {"flagstone id explain r0e5dak0r028t5",
                           "flagstone id explain --layout=fleet 0x0e2b553320001234"},
              .done = kAllAreIds,
              .failed = kSomeAreNot});
  const auto arguments = std::make_shared<IdArguments>();
  CLI::App* const layout = AddIdCommand(
      id, "layout", "The bits of a layout, how long it lasts, how much fits", arguments,
      {.about = "",
       .examples = {"flagstone id layout --layout=fleet",
                    "flagstone id layout --layout=custom --tick-seconds=4 --tick-bits=29 "
                    "--node-bits=3"},
       .done = "a new store may have this layout",
       .failed = "it may not: too little of its time is left"});
  layout->callback([arguments, &program] { program.exit_code = ShowLayout(*arguments, program); });
}

}  // namespace flagstone::tool
