#include "base/quote.h"

#include <gtest/gtest.h>

#include "base/utf8.h"

namespace lodestone {
namespace {

TEST(QuotedTest, PlainTextStandsAsItIs) {
  EXPECT_EQ(Quoted(""), "''");
  EXPECT_EQ(Quoted("Grüße 😀"), "'Grüße 😀'");
}

TEST(QuotedTest, ControlCharactersAndBadBytesBecomeVisible) {
  EXPECT_EQ(Quoted("a\nb\tc\x1b[31m\x7f"), "'a\\nb\\tc\\x1b[31m\\x7f'");
  EXPECT_EQ(Quoted("\xff\xc3("), "'\\xff\\xc3('");
}

TEST(QuotedTest, CutsBetweenCharacters) {
  EXPECT_EQ(Quoted("abcdef", 3), "'abc…'");
  EXPECT_EQ(Quoted("abc", 3), "'abc'");
  EXPECT_EQ(Quoted("aé", 2), "'a…'");
}

TEST(Utf8Test, LengthOfWellFormedCharacters) {
  EXPECT_EQ(Utf8CharacterLength("a"), 1u);
  EXPECT_EQ(Utf8CharacterLength("é"), 2u);
  EXPECT_EQ(Utf8CharacterLength("\xE2\x82\xAC and more"), 3u);
  EXPECT_EQ(Utf8CharacterLength("\xF4\x8F\xBF\xBF"), 4u);
}

TEST(Utf8Test, ZeroForWhatIsNotUtf8) {
  for (const char* text : {"", "\x80", "\xC1\xBF", "\xC3", "\xC3(", "\xE0\x9F\xBF", "\xED\xA0\x80", "\xE2\x82",
                           "\xF0\x8F\xBF\xBF", "\xF4\x90\x80\x80", "\xF5\x80\x80\x80", "\xFF"}) {
    EXPECT_EQ(Utf8CharacterLength(text), 0u) << Quoted(text);
  }
}

TEST(ShellQuotedTest, GivesOneWord) {
  EXPECT_EQ(ShellQuoted("a-b_c/d.e:1,2=3+4@5"), "a-b_c/d.e:1,2=3+4@5");
  EXPECT_EQ(ShellQuoted(""), "''");
  EXPECT_EQ(ShellQuoted("two words"), "'two words'");
  EXPECT_EQ(ShellQuoted("it's $(here)"), "'it'\\''s $(here)'");
}

}  // namespace
}  // namespace lodestone
