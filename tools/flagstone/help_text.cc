#include "tools/flagstone/help_text.h"

namespace flagstone::tool {
namespace {

constexpr size_t kColumns = 100;

std::string ExitCodeLine(char code, const std::string& meaning) {
  constexpr size_t kIndent = 5;
  std::string line = std::string("  ") + code + "  ";
  for (const char c : Wrapped(meaning, kColumns - kIndent)) {
    line += c;
    if (c == '\n') line.append(kIndent, ' ');
  }
  return line + "\n";
}

}  // namespace

std::string HelpFormatter::make_option_opts(const CLI::Option* option) const {
  const bool many = option->get_expected_max() == CLI::detail::expected_max_vector_size;
  if (option->get_positional()) return many ? " ..." : "";
  if (option->get_items_expected_max() == 0) return "";  // a flag
  // What follows the colon are the names that CLI11 gives to its checks.
  const std::string type = option->get_type_name();
  return " " + type.substr(0, type.find(':'));
}

std::string HelpFormatter::make_option_desc(const CLI::Option* option) const {
  return Wrapped(option->get_description(), kColumns - get_column_width());
}

std::string HelpFooter(const HelpEnd& end) {
  std::string text;
  if (!end.about.empty()) text = Wrapped(end.about, kColumns) + "\n";
  text += "Examples:\n";
  for (const std::string& example : end.examples) text += "  " + example + "\n";
  text += "Exit codes:\n";
  text += ExitCodeLine('0', end.done);
  text += ExitCodeLine('1', end.failed);
  text += ExitCodeLine('2', "wrong command line; nothing was done");
  if (!end.wrong_answer.empty()) text += ExitCodeLine('3', end.wrong_answer);
  text.pop_back();  // CLI11 ends the line
  return text;
}

std::string Wrapped(std::string_view text, size_t columns) {
  std::string wrapped;
  size_t line_start = 0;  // in `wrapped`
  size_t last_space = std::string::npos;
  for (const char c : text) {
    wrapped += c;
    if (c == '\n') {
      line_start = wrapped.size();
      last_space = std::string::npos;
      continue;
    }
    if (c == ' ') last_space = wrapped.size() - 1;
    // A space that is one too far ends the line by itself.
    if (wrapped.size() - line_start > columns && last_space != std::string::npos) {
      wrapped[last_space] = '\n';
      line_start = last_space + 1;
      last_space = std::string::npos;
    }
  }
  return wrapped;
}

}  // namespace flagstone::tool
