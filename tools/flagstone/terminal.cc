#include "tools/flagstone/terminal.h"

#include <unistd.h>

#include <algorithm>
#include <cstdlib>

#include "flagstone/clock.h"

namespace flagstone::tool {
namespace {

constexpr int64_t kDrawIntervalNanos = 100'000'000;
constexpr size_t kBarCells = 24;

std::string_view EscapeCodeOf(Ink ink) {
  switch (ink) {
    case Ink::kBold: return "\033[1m";
    case Ink::kDim: return "\033[2m";
    case Ink::kGreen: return "\033[32m";
    case Ink::kYellow: return "\033[33m";
    case Ink::kRed: return "\033[31m";
  }
  return "";
}

// Bytes of the UTF-8 sequence at the start of `text`; 0 when it is none, or a C1 control character.
size_t Utf8BytesAt(std::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char lead = byte(0);
  const size_t length = lead >= 0xf0 && lead <= 0xf4   ? 4
                        : lead >= 0xe0 && lead <= 0xef ? 3
                        : lead >= 0xc2 && lead <= 0xdf ? 2
                                                       : 0;
  if (length == 0 || text.size() < length) return 0;
  for (size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return 0;
  }
  const bool overlong = (lead == 0xe0 && byte(1) < 0xa0) || (lead == 0xf0 && byte(1) < 0x90);
  const bool surrogate = lead == 0xed && byte(1) >= 0xa0;
  const bool beyond = lead == 0xf4 && byte(1) >= 0x90;
  const bool control = lead == 0xc2 && byte(1) < 0xa0;
  return overlong || surrogate || beyond || control ? 0 : length;
}

}  // namespace

When WhenNamed(std::string_view name) {
  if (name == "always") return When::kAlways;
  if (name == "never") return When::kNever;
  return When::kAuto;
}

TerminalFacts FactsOf(std::FILE* stream) {
  const char* const no_color = std::getenv("NO_COLOR");
  const char* const terminal = std::getenv("TERM");
  return {.is_terminal = isatty(fileno(stream)) == 1,
          .no_color_set = no_color != nullptr && *no_color != '\0',
          .is_dumb = terminal == nullptr || std::string_view(terminal) == "dumb"};
}

bool ColorWanted(When color, const TerminalFacts& facts) {
  if (color != When::kAuto) return color == When::kAlways;
  return facts.is_terminal && !facts.no_color_set && !facts.is_dumb;
}

bool ProgressWanted(When progress, const TerminalFacts& facts) {
  if (progress != When::kAuto) return progress == When::kAlways;
  return facts.is_terminal && !facts.is_dumb;
}

Paint Paint::For(When color, std::FILE* stream) {
  return Paint(ColorWanted(color, FactsOf(stream)) ? kColored : kPlain);
}

std::string Paint::operator()(Ink ink, std::string_view text) const {
  if (kind_ == kPlain) return std::string(text);
  return std::string(EscapeCodeOf(ink)).append(text).append("\033[0m");
}

std::string Escaped(std::string_view text, size_t bytes_max) {
  constexpr char kHex[] = "0123456789abcdef";
  std::string escaped;
  size_t at = 0;
  while (at < text.size() && at < bytes_max) {
    const char c = text[at];
    const auto byte = static_cast<unsigned char>(c);
    const size_t length = byte < 0x80 ? 0 : Utf8BytesAt(text.substr(at));
    if (length != 0) {
      escaped.append(text.substr(at, length));
      at += length;
      continue;
    }
    ++at;
    if (c == '\\') {
      escaped.append("\\\\");
    } else if (byte >= 0x20 && byte < 0x7f) {
      escaped.push_back(c);
    } else if (c == '\n') {
      escaped.append("\\n");
    } else if (c == '\t') {
      escaped.append("\\t");
    } else if (c == '\r') {
      escaped.append("\\r");
    } else {
      escaped.append({'\\', 'x', kHex[byte >> 4], kHex[byte & 15]});
    }
  }
  if (at < text.size()) escaped.append("...");
  return escaped;
}

ExitCode Complain(std::string_view message, ExitCode code) {
  std::fflush(stdout);
  std::fprintf(stderr, "flagstone: %.*s\n", static_cast<int>(message.size()), message.data());
  return code;
}

ExitCode Complain(const Status& status) { return Complain(status.ToString()); }

std::string ProgressBar(double share, size_t width) {
  const double clamped = std::clamp(share, 0.0, 1.0);
  const auto filled = static_cast<size_t>(clamped * static_cast<double>(width));
  return "[" + std::string(filled, '#') + std::string(width - filled, '-') + "]";
}

void ProgressLine::Show(std::string_view what, uint64_t done, uint64_t total,
                        std::string_view detail) {
  if (mode_ == Mode::kHidden) return;
  const int64_t now = SystemClock().MonotonicNanos();
  if (now < next_draw_nanos_) return;
  next_draw_nanos_ = now + kDrawIntervalNanos;
  std::string line = "\r" + std::string(what) + " ";
  if (total != 0) {
    const double share = static_cast<double>(done) / static_cast<double>(total);
    char percent[16];
    std::snprintf(percent, sizeof percent, " %3.0f %%", std::min(share, 1.0) * 100);
    line += ProgressBar(share, kBarCells) + percent;
  }
  line.append("  ").append(detail).append("\033[K");
  std::fputs(line.c_str(), stderr);
  std::fflush(stderr);
  drawn_ = true;
}

void ProgressLine::Clear() {
  if (!drawn_) return;
  std::fputs("\r\033[K", stderr);
  std::fflush(stderr);
  drawn_ = false;
}

}  // namespace flagstone::tool
