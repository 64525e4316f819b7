// What: colour and progress go where they are wanted, and text from outside cannot act on the
// terminal.
#include "tools/flagstone/terminal.h"

#include <gtest/gtest.h>

#include <string>

namespace flagstone::tool {
namespace {

constexpr TerminalFacts kTerminal{.is_terminal = true, .no_color_set = false, .is_dumb = false};

TEST(TerminalTest, ColourIsForTerminalsWhoseUserWantsIt) {
  EXPECT_TRUE(ColorWanted(When::kAuto, kTerminal));
  EXPECT_FALSE(ColorWanted(When::kAuto, {.is_terminal = false}));
  EXPECT_FALSE(ColorWanted(When::kAuto, {.is_terminal = true, .no_color_set = true}));
  EXPECT_FALSE(ColorWanted(When::kAuto, {.is_terminal = true, .is_dumb = true}));
}

TEST(TerminalTest, TheOptionWinsOverTheEnvironment) {
  EXPECT_TRUE(ColorWanted(When::kAlways, {.is_terminal = false, .no_color_set = true}));
  EXPECT_FALSE(ColorWanted(When::kNever, kTerminal));
}

TEST(TerminalTest, ProgressDoesNotCareAboutColour) {
  EXPECT_TRUE(ProgressWanted(When::kAuto, {.is_terminal = true, .no_color_set = true}));
  EXPECT_FALSE(ProgressWanted(When::kAuto, {.is_terminal = false}));
  EXPECT_TRUE(ProgressWanted(When::kAlways, {.is_terminal = false}));
  EXPECT_FALSE(ProgressWanted(When::kNever, kTerminal));
}

TEST(TerminalTest, PlainPaintChangesNothing) {
  EXPECT_EQ(Paint::Plain()(Ink::kRed, "word"), "word");
  EXPECT_EQ(Paint::For(When::kAlways, stdout)(Ink::kRed, "word"), "\033[31mword\033[0m");
}

TEST(TerminalTest, ForeignTextIsEscaped) {
  EXPECT_EQ(Escaped("plain, text"), "plain, text");
  EXPECT_EQ(Escaped("gr\xc3\xbc\xc3\x9f"), "gr\xc3\xbc\xc3\x9f");
  EXPECT_EQ(Escaped("\033]0;x\a\n\t\r\\"), "\\x1b]0;x\\x07\\n\\t\\r\\\\");
  EXPECT_EQ(Escaped("\x7f\x80\xff"), "\\x7f\\x80\\xff");
  EXPECT_EQ(Escaped("\xc2\x9b"
                    "31m"),
            "\\xc2\\x9b31m");                             // the one-character form of ESC [
  EXPECT_EQ(Escaped("\xc0\xaf"), "\\xc0\\xaf");           // overlong
  EXPECT_EQ(Escaped("\xed\xa0\x80"), "\\xed\\xa0\\x80");  // a surrogate
  EXPECT_EQ(Escaped("\xe2\x82"), "\\xe2\\x82");           // cut off
}

TEST(TerminalTest, LongTextIsCut) {
  EXPECT_EQ(Escaped(std::string(100, 'a'), 10), "aaaaaaaaaa...");
  EXPECT_EQ(Escaped(std::string(10, 'a'), 10), "aaaaaaaaaa");
}

TEST(TerminalTest, TheBarIsAsLongAsItIsWide) {
  EXPECT_EQ(ProgressBar(0, 4), "[----]");
  EXPECT_EQ(ProgressBar(0.5, 4), "[##--]");
  EXPECT_EQ(ProgressBar(1, 4), "[####]");
  EXPECT_EQ(ProgressBar(7, 4), "[####]");
  EXPECT_EQ(ProgressBar(-1, 4), "[----]");
}

}  // namespace
}  // namespace flagstone::tool
