// Help pages that look alike: options with the name of their value, descriptions and explanations
// wrapped at 100 columns, then examples and exit codes.
#ifndef FLAGSTONE_TOOLS_FLAGSTONE_HELP_TEXT_H_
#define FLAGSTONE_TOOLS_FLAGSTONE_HELP_TEXT_H_

#include <CLI/CLI.hpp>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace flagstone::tool {

// CLI11's, but `--pages KIND` instead of `--pages KIND:{4k,thp,2m,1g}`: the descriptions name the
// values and say what they mean. Commands inherit it, so the program takes it before it adds any.
class HelpFormatter : public CLI::Formatter {
 public:
  std::string make_option_opts(const CLI::Option* option) const override;
  std::string make_option_desc(const CLI::Option* option) const override;
};

// How a help page ends.
struct HelpEnd {
  std::string about;  // sentences; "\n" between paragraphs
  std::vector<std::string> examples;
  // Of the exit codes 0 and 1, and of 3 where the command has it. 2 means the same everywhere.
  std::string done;
  std::string failed;
  std::string wrong_answer = "";
};
std::string HelpFooter(const HelpEnd& end);

// `text` with a line break at the last space before every `columns`; "\n" in it stay.
std::string Wrapped(std::string_view text, size_t columns);

}  // namespace flagstone::tool

#endif  // FLAGSTONE_TOOLS_FLAGSTONE_HELP_TEXT_H_
