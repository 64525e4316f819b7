// What the program may assume about where its output goes: colour, width, a progress line.
//
// Place       Under every command. Results go to stdout, everything else to stderr.
// Invariants  1. Colour only where --color asks for it or, by default, on a terminal whose user has
//                not set NO_COLOR (https://no-color.org) and that is not "dumb".
//             2. Text that came from outside is shown with control characters escaped: a file must
//                not be able to move the cursor.
// Threads     One.
#ifndef FLAGSTONE_TOOLS_FLAGSTONE_TERMINAL_H_
#define FLAGSTONE_TOOLS_FLAGSTONE_TERMINAL_H_

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <string>
#include <string_view>

#include "flagstone/status.h"
#include "tools/flagstone/exit_code.h"

namespace flagstone::tool {

// --color and --progress.
enum class When : uint8_t { kAuto, kAlways, kNever };

// "auto", "always" or "never"; the command line parser lets nothing else through.
When WhenNamed(std::string_view name);

// What the environment says, apart from the process so that tests can say it.
struct TerminalFacts {
  bool is_terminal = false;
  bool no_color_set = false;  // NO_COLOR is there and not empty
  bool is_dumb = false;       // TERM is "dumb" or absent
};
TerminalFacts FactsOf(std::FILE* stream);
bool ColorWanted(When color, const TerminalFacts& facts);
bool ProgressWanted(When progress, const TerminalFacts& facts);

enum class Ink : uint8_t { kBold, kDim, kGreen, kYellow, kRed };

// Paints words, or leaves them as they are.
class Paint {
 public:
  static Paint Plain() { return Paint(kPlain); }
  static Paint For(When color, std::FILE* stream);

  std::string operator()(Ink ink, std::string_view text) const;

 private:
  enum Kind : uint8_t { kPlain, kColored };
  explicit Paint(Kind kind) : kind_(kind) {}
  Kind kind_;
};

// Printable ASCII and well-formed UTF-8 of more than one byte stay; the rest becomes \n, \t, \x1b;
// at most `bytes_max` of the text, then "...".
std::string Escaped(std::string_view text, size_t bytes_max = 60);

// One line on stderr: "flagstone: <message>". Returns the code for the caller to pass on.
ExitCode Complain(std::string_view message, ExitCode code = ExitCode::kFailed);
ExitCode Complain(const Status& status);

// A line on stderr that is drawn over itself.
class ProgressLine {
 public:
  enum class Mode : uint8_t { kShown, kHidden };
  explicit ProgressLine(Mode mode) : mode_(mode) {}
  ~ProgressLine() { Clear(); }
  ProgressLine(const ProgressLine&) = delete;
  ProgressLine& operator=(const ProgressLine&) = delete;

  // `done` of `total`; a total of 0 is unknown. Draws ten times a second at most.
  void Show(std::string_view what, uint64_t done, uint64_t total, std::string_view detail);
  void Clear();

 private:
  Mode mode_;
  bool drawn_ = false;
  int64_t next_draw_nanos_ = 0;
};

// "[#######-------------]" of `width` cells; the share is clamped to [0, 1].
std::string ProgressBar(double share, size_t width);

}  // namespace flagstone::tool

#endif  // FLAGSTONE_TOOLS_FLAGSTONE_TERMINAL_H_
