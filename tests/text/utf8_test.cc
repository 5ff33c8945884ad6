#include "text/utf8.h"

#include <gtest/gtest.h>

#include <random>

namespace lodestone {
namespace {

using Kind = Utf8Unit::Kind;

TEST(Utf8, ReadsCharactersOfEachLength) {
  const std::string text = "a\u00e9\u6f22\U0001F44D";
  EXPECT_EQ(ReadUtf8(text, 0).value, U'a');
  EXPECT_EQ(ReadUtf8(text, 1).value, U'\u00e9');
  EXPECT_EQ(ReadUtf8(text, 3).value, U'\u6f22');
  EXPECT_EQ(ReadUtf8(text, 6).value, U'\U0001F44D');
  EXPECT_EQ(ReadUtf8(text, 6).length, 4u);
  EXPECT_EQ(CountCharacters(text), 4u);
  EXPECT_EQ(PreviousCharacter(text, 10), 6u);
  EXPECT_EQ(PreviousCharacter(text, 3), 1u);
}

TEST(Utf8, ReadsBackWhatItWrites) {
  for (const char32_t character : {0x0, 0x7F, 0x80, 0x7FF, 0x800, 0xD7FF, 0xE000, 0xFFFF, 0x10000, 0x10FFFF}) {
    std::string text;
    AppendUtf8(text, character);
    const Utf8Unit unit = ReadUtf8(text, 0);
    EXPECT_EQ(unit.kind, Kind::kCharacter);
    EXPECT_EQ(unit.value, character);
    EXPECT_EQ(unit.length, text.size());
  }
}

TEST(Utf8, NamesMaximalSubparts) {
  const auto expect = [](std::string_view text, Kind kind, uint32_t length) {
    EXPECT_EQ(ReadUtf8(text, 0).kind, kind) << text.size();
    EXPECT_EQ(ReadUtf8(text, 0).length, length);
  };
  expect("\x80", Kind::kInvalid, 1);
  expect("\xC0\x80", Kind::kInvalid, 1);          // overlong
  expect("\xED\xA0\x80", Kind::kInvalid, 1);      // a surrogate
  expect("\xF4\x90\x80\x80", Kind::kInvalid, 1);  // above U+10FFFF
  expect("\xF0\x9F\x91x", Kind::kInvalid, 3);
  expect("\xF0\x9F\x91", Kind::kTruncated, 3);
}

TEST(Utf8, FindsTheFirstInvalidByte) {
  EXPECT_EQ(FindInvalidUtf8("plain \u00e9"), std::nullopt);
  EXPECT_EQ(FindInvalidUtf8("ab\xFF"), 2u);
  EXPECT_EQ(FindInvalidUtf8("ab\u00e9\xE6\xBC"), 4u);
}

TEST(Utf8, RepairReplacesEachMaximalSubpart) {
  Utf8Repair repair;
  EXPECT_EQ(repair.Push("a\xF0\x9F"), "a");
  EXPECT_EQ(repair.Push("\x91\x8D"), "\U0001F44D");
  EXPECT_EQ(repair.Push("\xE6\xBCz\xFF\xFE"), "\uFFFDz\uFFFD\uFFFD");
  EXPECT_EQ(repair.Push("\xE6\xBC"), "");
  EXPECT_EQ(repair.Finish(), "\uFFFD");
  EXPECT_EQ(repair.Finish(), "");
}

TEST(Utf8Property, RepairDoesNotDependOnTheCut) {
  std::mt19937 random(7);
  constexpr std::string_view kBytes = "a\xC3\xA9\xE6\xBC\xA2\xF0\x9F\x91\x8D\xFF\x80\xED\xA0";
  for (int trial = 0; trial < 2000; ++trial) {
    std::string bytes;
    for (size_t i = random() % 20; i > 0; --i) bytes += kBytes[random() % kBytes.size()];
    Utf8Repair whole, cut;
    std::string expected = whole.Push(bytes);
    expected += whole.Finish();
    std::string actual;
    for (size_t done = 0; done < bytes.size();) {
      const size_t size = 1 + random() % 3;
      actual += cut.Push(std::string_view(bytes).substr(done, size));
      EXPECT_EQ(FindInvalidUtf8(actual), std::nullopt);
      done += size;
    }
    actual += cut.Finish();
    ASSERT_EQ(actual, expected);
    if (!FindInvalidUtf8(bytes)) {
      ASSERT_EQ(actual, bytes);
    }
  }
}

}  // namespace
}  // namespace lodestone
