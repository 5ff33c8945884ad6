#include "cli/layout.h"

#include <gtest/gtest.h>

namespace lodestone::cli {
namespace {

TEST(Layout, WrapsAtSpacesWithAnIndent) {
  EXPECT_EQ(Wrap("one two three", 8, 2), "one two\n  three");
  EXPECT_EQ(Wrap("one", 2, 0), "one");
  EXPECT_EQ(Wrap("", 10, 4), "");
  EXPECT_EQ(Wrap("a [b c d] e", 6, 0), "a\n[b c d]\ne");
  EXPECT_EQ(Wrap("  name    text text", 14, 10), "  name    text\n          text");
}

TEST(Layout, CountsCharactersNotBytes) {
  EXPECT_EQ(Columns("µs – …"), 6);
  EXPECT_EQ(Wrap("µµµ µµµ", 7, 0), "µµµ µµµ");
}

TEST(Layout, HidesControlCharacters) {
  EXPECT_EQ(WithoutControls("a\x1b[2Jb\x07"), "a·[2Jb·");
  EXPECT_EQ(WithoutControls("a\uFFFDb"), "a·b");
  EXPECT_EQ(WithoutControls("line\n\ttab"), "line\n\ttab");
  EXPECT_EQ(WithoutControls("\xC2\x9B"
                            "31m é"),
            "·31m é");
  EXPECT_EQ(WithoutControls(std::string("\0\x7f", 2)), "··");
}

TEST(Layout, PlainNumbersKeepTheirDigits) {
  EXPECT_EQ(PlainNumber(0.6), "0.6");
  EXPECT_EQ(PlainNumber(1252), "1252");
  EXPECT_EQ(PlainNumber(4e8), "400,000,000");
  EXPECT_EQ(PlainNumber(1e-6), "1e-06");
}

}  // namespace
}  // namespace lodestone::cli
