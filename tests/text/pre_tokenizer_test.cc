#include "text/pre_tokenizer.h"

#include <gtest/gtest.h>

#include "text/tokenizer_json.h"

namespace lodestone::testing {
namespace {

// The pieces, separated by bars.
std::string Cut(const std::string& json, const std::string& text, bool at_start = true) {
  const Result<Json> document = ParseJson(json, "test");
  if (!document.ok()) return document.error().message;
  const Result<PreTokenizer> pre_tokenizer = PreTokenizer::Read(&*document, {"tokenizer.json", "pre_tokenizer"});
  if (!pre_tokenizer.ok()) return pre_tokenizer.error().message;
  const Result<Pieces> pieces = pre_tokenizer->Apply(text, at_start);
  if (!pieces.ok()) return pieces.error().message;
  std::string out;
  for (const Pieces::Piece& piece : pieces->pieces) {
    if (!out.empty()) out += "|";
    out += pieces->View(piece);
  }
  return out;
}

TEST(PreTokenizer, NullLeavesTheTextWhole) {
  EXPECT_EQ(Cut("null", "a b"), "a b");
  EXPECT_EQ(Cut("null", ""), "");
}

TEST(PreTokenizer, SplitBehaviors) {
  const auto cut = [](const char* behavior, bool invert = false) {
    return Cut(RegexSplit("-", behavior, invert), "-a--b");
  };
  EXPECT_EQ(cut("Removed"), "a|b");
  EXPECT_EQ(cut("Isolated"), "-|a|-|-|b");
  EXPECT_EQ(cut("MergedWithPrevious"), "-|a-|-|b");
  EXPECT_EQ(cut("MergedWithNext"), "-a|-|-b");
  EXPECT_EQ(cut("Contiguous"), "-|a|--|b");
  EXPECT_EQ(cut("Removed", true), "-|-|-");
  EXPECT_EQ(cut("MergedWithPrevious", true), "-a|-|-b");
  EXPECT_EQ(cut("MergedWithNext", true), "-|a-|-|b");
}

TEST(PreTokenizer, SplitByText) {
  EXPECT_EQ(Cut(R"({"type":"Split","pattern":{"String":"(."},"behavior":"Isolated","invert":false})", "a(.(.b"),
            "a|(.|(.|b");
}

TEST(PreTokenizer, SplitAtEmptyMatches) { EXPECT_EQ(Cut(RegexSplit(R"((?=\p{Lu}))"), "oneTwoThree"), "one|Two|Three"); }

TEST(PreTokenizer, ByteLevel) {
  EXPECT_EQ(Cut(ByteLevelStepJson(false, true), "it's 12 x\n\n y"), "it|'s|Ġ12|Ġx|\u010a\u010a|Ġy");
  EXPECT_EQ(Cut(ByteLevelStepJson(true, true), "hi there"), "Ġhi|Ġthere");
  EXPECT_EQ(Cut(ByteLevelStepJson(true, false), " hi there"), "ĠhiĠthere");
}

TEST(PreTokenizer, Digits) {
  EXPECT_EQ(Cut(R"({"type":"Digits","individual_digits":true})", "a12\u00bd b"), "a|1|2|\u00bd| b");
  EXPECT_EQ(Cut(R"({"type":"Digits","individual_digits":false})", "a12\u00bd b"), "a|12\u00bd| b");
}

TEST(PreTokenizer, WhitespaceSplitAndWhitespaceAndPunctuation) {
  EXPECT_EQ(Cut(R"({"type":"WhitespaceSplit"})", " a,b\u3000c\n"), "a,b|c");
  EXPECT_EQ(Cut(R"({"type":"Whitespace"})", " a,b\u00bd a\u0301"), "a|,|b|\u00bd|a\u0301");
  EXPECT_EQ(Cut(R"({"type":"Punctuation"})", "a,+b"), "a|,|+|b");
  EXPECT_EQ(Cut(R"({"type":"Punctuation","behavior":"Contiguous"})", "a,+\u20acb"), "a|,+|\u20acb");
}

TEST(PreTokenizer, Metaspace) {
  const auto cut = [](const std::string& settings, const char* text, bool at_start = true) {
    return Cut(R"({"type":"Metaspace","replacement":"▁",)" + settings + "}", text, at_start);
  };
  EXPECT_EQ(cut(R"("prepend_scheme":"always","split":true)", "hi  you"), "▁hi|▁|▁you");
  EXPECT_EQ(cut(R"("prepend_scheme":"always","split":true)", " hi"), "▁hi");
  EXPECT_EQ(cut(R"("prepend_scheme":"first","split":false)", "hi you"), "▁hi▁you");
  EXPECT_EQ(cut(R"("prepend_scheme":"first","split":false)", "hi you", false), "hi▁you");
  EXPECT_EQ(cut(R"("prepend_scheme":"never")", "hi you"), "hi|▁you");
  EXPECT_EQ(cut(R"("add_prefix_space":true,"str_rep":"▁")", "hi you"), "▁hi|▁you");
  EXPECT_EQ(cut(R"("add_prefix_space":false)", "hi you"), "hi|▁you");
}

TEST(PreTokenizer, OnlyTheFirstPieceIsAtTheStart) {
  const std::string steps =
      SequenceJson("pretokenizers",
                   {RegexSplit(",", "Removed"), R"({"type":"Metaspace","replacement":"▁","prepend_scheme":"first"})"});
  EXPECT_EQ(Cut(steps, "a,b"), "▁a|b");
  EXPECT_EQ(Cut(steps, ",b"), "b");
}

TEST(PreTokenizer, StepsOfASequenceFollowEachOther) {
  EXPECT_EQ(Cut(SequenceJson("pretokenizers", {RegexSplit(kLlama3Pattern), ByteLevelStepJson(false, false)}),
                "We'll see 12345 x!!\n \n  y"),
            "We|'ll|Ġsee|Ġ|123|45|Ġx|!!\u010a|Ġ\u010a|Ġ|Ġy");
}

TEST(PreTokenizer, PatternsThatGiveUpAreAnError) {
  EXPECT_NE(Cut(RegexSplit("(?:a|aa)+[bc]"), std::string(64, 'a')).find("gave up"), std::string::npos);
}

}  // namespace
}  // namespace lodestone::testing
