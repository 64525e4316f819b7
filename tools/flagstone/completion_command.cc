#include "tools/flagstone/completion_command.h"

#include <cstdio>
#include <map>
#include <memory>
#include <vector>

#include "flagstone/version.h"
#include "tools/flagstone/help_text.h"

namespace flagstone::tool {
namespace {

// How the value of an option is completed: from a list of words, from the file system, or not.
struct ValueCompletion {
  enum class Source : uint8_t { kNone, kWords, kFiles, kFolders };
  Source source = Source::kNone;
  std::string words;

  auto operator<=>(const ValueCompletion&) const = default;
};

// The script is a case statement over "COMMAND OPTION"; equal answers share a branch.
struct Definition {
  std::string commands;                           // patterns of "COMMAND SUBCOMMAND"
  std::map<ValueCompletion, std::string> values;  // -> patterns of "COMMAND OPTION"
  std::string words_of;                           // branches: what stands without a dash
  std::string options_of;                         // branches: what begins with one
};

void AddPattern(std::string& patterns, const std::string& pattern) {
  patterns += (patterns.empty() ? "" : " | ") + pattern;
}

void AddWord(std::string& words, const std::string& word) {
  words += (words.empty() ? "" : " ") + word;
}

// CLI11 describes a check against a set as {auto,always,never}, or {2m->1,4k->0} when it also
// translates.
std::string WordsOfSet(const std::string& type) {
  const size_t begin = type.find('{');
  const size_t end = type.find('}', begin);
  if (begin == std::string::npos || end == std::string::npos) return "";
  std::string words;
  std::string word;
  for (size_t i = begin + 1; i <= end; ++i) {
    if (type[i] != ',' && i != end) {
      word += type[i];
      continue;
    }
    AddWord(words, word.substr(0, word.find("->")));
    word.clear();
  }
  return words;
}

ValueCompletion ValueOf(const CLI::Option& option) {
  const std::string type = option.get_type_name();
  if (const std::string words = WordsOfSet(type); !words.empty()) {
    return {ValueCompletion::Source::kWords, words};
  }
  const std::string name = type.substr(0, type.find(':'));
  if (name == "FILE") return {ValueCompletion::Source::kFiles, ""};
  if (name == "FOLDER") return {ValueCompletion::Source::kFolders, ""};
  return {};
}

std::vector<std::string> NamesOf(const CLI::Option& option) {
  std::vector<std::string> names;
  for (const std::string& name : option.get_snames()) names.push_back("-" + name);
  for (const std::string& name : option.get_lnames()) names.push_back("--" + name);
  return names;
}

std::string GenerateCommand(const ValueCompletion& value) {
  switch (value.source) {
    case ValueCompletion::Source::kWords:
      return "mapfile -t COMPREPLY < <(compgen -W '" + value.words + "' -- \"$current\")";
    case ValueCompletion::Source::kFiles:
      return "compopt -o filenames 2> /dev/null; "
             "mapfile -t COMPREPLY < <(compgen -f -- \"$current\")";
    case ValueCompletion::Source::kFolders:
      return "compopt -o filenames 2> /dev/null; "
             "mapfile -t COMPREPLY < <(compgen -d -- \"$current\")";
    case ValueCompletion::Source::kNone: break;
  }
  return ":";  // a number, or an ID: nobody can say which
}

bool IsFlag(const CLI::Option& option) { return option.get_items_expected_max() == 0; }

// Adds an option's names to `options`, and to the patterns of those that take a value. A pattern
// begins with `behind`, an open quotation of the command that the option stands behind.
void AddOption(const CLI::Option& option, const std::string& behind, Definition& definition,
               std::string& options) {
  for (const std::string& name : NamesOf(option)) {
    AddWord(options, name);
    if (!IsFlag(option)) {
      AddPattern(definition.values[ValueOf(option)], behind + " " + name + "'");
    }
  }
}

// The options that may stand behind the commands of `app`: those of its own, except that help is
// each command's own and the version the program's alone.
std::string Inherited(const CLI::App& app, std::string options) {
  if (app.get_parent() != nullptr) return options;
  for (const CLI::Option* option : app.get_options()) {
    if (option == app.get_help_ptr() || option == app.get_version_ptr()) continue;
    for (const std::string& name : NamesOf(*option)) AddWord(options, name);
  }
  return options;
}

void AddCommand(const CLI::App& app, const std::string& path, const std::string& inherited,
                Definition& definition) {
  std::string options;
  for (const CLI::Option* option : app.get_options()) {
    if (option->get_positional()) continue;
    // What the program itself is told may stand behind every command, too.
    AddOption(*option, app.get_parent() == nullptr ? "*'" : "'" + path, definition, options);
  }
  if (!inherited.empty()) AddWord(options, inherited);
  definition.options_of += "    '" + path + "') options='" + options + "' ;;\n";

  // Where neither a command nor a word can stand, options are offered without a dash, too.
  bool takes_words = false;
  ValueCompletion value;
  for (const CLI::App* command : app.get_subcommands([](const CLI::App*) { return true; })) {
    takes_words = true;
    value.source = ValueCompletion::Source::kWords;
    AddWord(value.words, command->get_name());
    AddPattern(definition.commands, "'" + path + " " + command->get_name() + "'");
    AddCommand(*command, path + " " + command->get_name(), Inherited(app, inherited), definition);
  }
  for (const CLI::Option* option : app.get_options()) {
    if (!option->get_positional()) continue;
    takes_words = true;
    value = ValueOf(*option);
  }
  if (!takes_words) return;
  definition.words_of += "      '" + path + "') " + GenerateCommand(value) + "; return ;;\n";
}

}  // namespace

std::string BashCompletion(const CLI::App& app) {
  Definition definition;
  AddCommand(app, app.get_name(), "", definition);
  std::string with_value;
  std::string values_of;
  for (const auto& [value, patterns] : definition.values) {
    with_value += (with_value.empty() ? "" : " | ") + patterns;
    if (value.source == ValueCompletion::Source::kNone) continue;
    values_of += "      " + patterns + ") " + GenerateCommand(value) + " ;;\n";
  }
  return std::string("# bash completion of flagstone ") + Version() +
         R"(, written by `flagstone completion bash`
_flagstone() {
  local command=)" +
         app.get_name() + R"( option= options= word i
  local current=${COMP_WORDS[COMP_CWORD]}
  COMPREPLY=()
  # What stands before the cursor: commands, options, values. --option=value comes as three words.
  for ((i = 1; i < COMP_CWORD; ++i)); do
    word=${COMP_WORDS[i]}
    if [[ $word == '=' ]]; then
      continue
    elif [[ -n $option ]]; then
      option=
      continue
    fi
    case "$command $word" in
      )" +
         definition.commands + R"() command+=" $word" ;;
      )" +
         with_value + R"() option=$word ;;
    esac
  done
  if [[ $current == '=' ]]; then
    current=
  fi
  if [[ -n $option ]]; then
    case "$command $option" in
)" + values_of +
         R"(    esac
    return
  fi
  if [[ $current != -* ]]; then
    case $command in
)" + definition.words_of +
         R"(    esac
  fi
  case $command in
)" + definition.options_of +
         R"(  esac
  mapfile -t COMPREPLY < <(compgen -W "$options" -- "$current")
}
complete -F _flagstone )" +
         app.get_name() + "\n";
}

void AddCompletionCommand(CLI::App& app, Program& program) {
  CLI::App* const completion =
      app.add_subcommand("completion", "Print what a shell needs to complete this command line");
  // Second owner: the callback, which runs when this function has returned.
  const auto shell = std::make_shared<std::string>();
  completion->add_option("SHELL", *shell, "bash")
      ->required()
      ->check(CLI::IsMember({"bash"}))
      ->type_name("");
  completion->footer(HelpFooter({
      .about = "An installed flagstone has it where bash-completion looks. The script needs bash 4 "
               "or later and nothing else.",
      .examples = {"source <(flagstone completion bash)",
                   "flagstone completion bash > "
                   "~/.local/share/bash-completion/completions/flagstone"},
      .done = "the script was printed",
      .failed = "standard output could not be written",
  }));
  completion->callback([shell, &app, &program] {
    std::fputs(BashCompletion(app).c_str(), stdout);
    program.exit_code = ExitCode::kDone;
  });
}

}  // namespace flagstone::tool
