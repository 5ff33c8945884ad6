#include "text/unicode.h"

#include <gtest/gtest.h>

namespace lodestone {
namespace {

TEST(Unicode, NormalForms) {
  EXPECT_EQ(*Normalize("cafe\u0301", NormalForm::kNfc), "caf\u00e9");
  EXPECT_EQ(*Normalize("caf\u00e9", NormalForm::kNfd), "cafe\u0301");
  EXPECT_EQ(*Normalize("\ufb01 \u2460 \u00bd", NormalForm::kNfkc), "fi 1 1\u20442");
  EXPECT_EQ(*Normalize("\u00e9\ufb01", NormalForm::kNfkd), "e\u0301fi");
  EXPECT_EQ(*Normalize("\ufb01", NormalForm::kNfc), "\ufb01");
  EXPECT_EQ(*Normalize("\uac01", NormalForm::kNfd), "\u1100\u1161\u11a8");  // a Hangul syllable
  EXPECT_EQ(*Normalize("\u1100\u1161\u11a8", NormalForm::kNfc), "\uac01");
  EXPECT_EQ(*Normalize("a\0b", NormalForm::kNfc), "a");  // the literal ends at its zero
  EXPECT_EQ(*Normalize(std::string_view("\u00e9\0b", 4), NormalForm::kNfd), std::string("e\u0301\0b", 5));
}

TEST(Unicode, MarksAreOrderedByClassAndStableWithin) {
  // U+0316 and U+0323 (class 220, below) come before U+0301 and U+0308 (class 230, above).
  EXPECT_EQ(*Normalize("a\u0301\u0316\u0308\u0323", NormalForm::kNfd), "a\u0316\u0323\u0301\u0308");
  EXPECT_EQ(*Normalize("a\u0316\u0301", NormalForm::kNfc), "\u00e1\u0316");
}

TEST(Unicode, LongRunsOfMarksKeepEveryMark) {
  std::string text = "a";
  for (int i = 0; i < 100000; ++i) text += "\u0301\u0316";
  const Result<std::string> normal = Normalize(text, NormalForm::kNfd);
  ASSERT_TRUE(normal.ok());
  EXPECT_EQ(normal->size(), text.size());
  EXPECT_TRUE(normal->starts_with("a\u0316\u0316"));
  EXPECT_TRUE(normal->ends_with("\u0301\u0301"));
}

TEST(Unicode, Lowercase) {
  EXPECT_EQ(Lowercase("ABC \u00c9 \u0416 \u03a3"), "abc \u00e9 \u0436 \u03c3");
  EXPECT_EQ(Lowercase("\u0130"), "i\u0307");
  EXPECT_EQ(Lowercase("\u1e9e"), "\u00df");
}

TEST(Unicode, Whitespace) {
  for (const char32_t c : {U'\t', U' ', U'\u0085', U'\u00a0', U'\u2003', U'\u3000'}) EXPECT_TRUE(IsWhitespace(c)) << +c;
  for (const char32_t c : {U'\u180e', U'\u200b', U'\u001c', U'a'}) EXPECT_FALSE(IsWhitespace(c)) << +c;
}

TEST(Unicode, WordCharacters) {
  for (const char32_t c : {U'a', U'_', U'7', U'\u00e9', U'\u0301', U'\u6f22', U'\u24b6', U'\u200d'})
    EXPECT_TRUE(IsWord(c));
  for (const char32_t c : {U' ', U'-', U'\u00bd', U'<', U'\u2122'}) EXPECT_FALSE(IsWord(c)) << +c;
}

}  // namespace
}  // namespace lodestone
