#include "text/added_tokens.h"

#include <gtest/gtest.h>

#include "text/tokenizer_json.h"

namespace lodestone::testing {
namespace {

struct Case {
  AddedTokens tokens;
  Vocabulary vocabulary;
};

Result<Case> Read(const std::vector<std::string>& tokens, const std::string& normalizer = "null") {
  std::string list;
  for (const std::string& token : tokens) list += (list.empty() ? "" : ",") + token;
  const Json json = *ParseJson("[" + list + "]", "test");
  const Json normalizer_json = *ParseJson(normalizer, "test");
  LODESTONE_ASSIGN_OR_RETURN(const Normalizer read,
                             Normalizer::Read(&normalizer_json, {"tokenizer.json", "normalizer"}));
  Case result;
  LODESTONE_ASSIGN_OR_RETURN(result.tokens,
                             AddedTokens::Read(&json, {"tokenizer.json", "added_tokens"}, read, result.vocabulary));
  return result;
}

// Text in plain, tokens in braces.
std::string Split(const Result<Case>& in, std::string_view text, bool normalized = false, bool parse_special = true) {
  if (!in.ok()) return in.error().message;
  std::string out;
  for (const AddedTokenSpan& span : in->tokens.Split(text, normalized, parse_special)) {
    const std::string part(text.substr(span.range.begin, span.range.end - span.range.begin));
    out += span.id ? "{" + part + "}" : "(" + part + ")";
  }
  return out;
}

TEST(AddedTokens, TheLongestAtTheLeftmostPlaceWins) {
  const auto in = Read({AddedTokenJson(0, "ab", {}), AddedTokenJson(1, "abc", {}), AddedTokenJson(2, "bcd", {}),
                        AddedTokenJson(3, "  ", {}), AddedTokenJson(4, "    ", {})});
  EXPECT_EQ(Split(in, "abcd"), "{abc}(d)");
  EXPECT_EQ(Split(in, "xabdbcd"), "(x){ab}(d){bcd}");
  EXPECT_EQ(Split(in, "       "), "{    }{  }( )");
  EXPECT_EQ(Split(in, "plain"), "(plain)");
  EXPECT_EQ(Split(in, ""), "");
}

TEST(AddedTokens, SpecialOnesAreTextUnlessAskedFor) {
  const auto in = Read({AddedTokenJson(0, "<s>", {"special"}), AddedTokenJson(1, "<t>", {})});
  EXPECT_EQ(Split(in, "a<s>b<t>", false, true), "(a){<s>}(b){<t>}");
  EXPECT_EQ(Split(in, "a<s>b<t>", false, false), "(a<s>b){<t>}");
}

TEST(AddedTokens, StripsTakeWhitespace) {
  const auto in = Read({AddedTokenJson(0, "<l>", {"lstrip"}), AddedTokenJson(1, "<r>", {"rstrip"})});
  EXPECT_EQ(Split(in, "a \n<l> b"), "(a){ \n<l>}( b)");
  EXPECT_EQ(Split(in, "a <r>\u3000 b"), "(a ){<r>\u3000 }(b)");
  EXPECT_EQ(Split(in, "<r>  <l>"), "{<r>  }{<l>}") << "white space belongs to one token";
}

TEST(AddedTokens, SingleWordsHaveNoWordCharacterBeside) {
  const auto in = Read({AddedTokenJson(0, "cat", {"single_word"})});
  EXPECT_EQ(Split(in, "cat a cat, cats \u00e9cat"), "{cat}( a ){cat}(, cats \u00e9cat)");
}

TEST(AddedTokens, NormalizedOnesAreMatchedAsTheNormalizerWritesThem) {
  const auto in =
      Read({AddedTokenJson(0, "ABC", {"normalized"}), AddedTokenJson(1, "DEF", {})}, R"({"type":"Lowercase"})");
  EXPECT_EQ(Split(in, "ABC DEF", false), "(ABC ){DEF}");
  EXPECT_EQ(Split(in, "abc def", true), "{abc}( def)");
}

TEST(AddedTokens, Refusals) {
  const auto message = [](const Result<Case>& in) { return in.ok() ? "" : in.error().message; };
  EXPECT_NE(message(Read({AddedTokenJson(0, "", {})})).find("an empty token"), std::string::npos);
  EXPECT_NE(message(Read({AddedTokenJson(0, std::string(2000, 'a'), {})})).find("the limit is 1024"),
            std::string::npos);
  EXPECT_NE(message(Read({AddedTokenJson(0, "a", {}), AddedTokenJson(0, "b", {})})).find("id 0 has two tokens"),
            std::string::npos);
  EXPECT_NE(message(Read({AddedTokenJson(0, "a", {}), AddedTokenJson(1, "a", {})})).find("has two ids, 0 and 1"),
            std::string::npos);
  EXPECT_NE(message(Read({AddedTokenJson(1 << 30, "a", {})})).find("added_tokens[0].id"), std::string::npos);
}

}  // namespace
}  // namespace lodestone::testing
