#include "text/bpe.h"

#include <gtest/gtest.h>

#include "text/tokenizer.h"
#include "text/tokenizer_json.h"

namespace lodestone::testing {
namespace {

std::string Model(const char* vocab, const char* merges, const char* more = "") {
  return R"({"type":"BPE","vocab":)" + std::string(vocab) + R"(,"merges":)" + merges + more + "}";
}

// The tokens that a text becomes, separated by bars.
std::string Tokens(const std::string& model, std::string_view text) {
  const auto tokenizer = Tokenizer::Parse(TokenizerText{.model = model}.Json(), "tokenizer.json");
  if (!tokenizer.ok()) return tokenizer.error().message;
  const auto ids = (*tokenizer)->Encode(text);
  if (!ids.ok()) return ids.error().message;
  std::string out;
  for (const int32_t id : *ids) out += (out.empty() ? "" : "|") + std::string((*tokenizer)->IdToToken(id));
  return out;
}

TEST(Bpe, TheBestRankedPairMergesFirstAndTheLeftmostOfEqualRank) {
  const char* vocab = R"({"a":0,"b":1,"c":2,"ab":3,"bc":4,"aa":5,"aab":6})";
  EXPECT_EQ(Tokens(Model(vocab, R"(["b c","a b"])"), "abc"), "a|bc");
  EXPECT_EQ(Tokens(Model(vocab, R"(["a b","b c"])"), "abc"), "ab|c");
  EXPECT_EQ(Tokens(Model(vocab, R"(["a a"])"), "aaa"), "aa|a");
  EXPECT_EQ(Tokens(Model(vocab, R"(["a a","aa b"])"), "aaab"), "aa|a|b");
  EXPECT_EQ(Tokens(Model(vocab, R"([["a","b"],["a","ab"]])"), "aab"), "aab");
}

TEST(Bpe, TokensWithSpacesNeedPairs) {
  EXPECT_EQ(Tokens(Model(R"({" ":0,"a":1," a":2})", R"([[" ","a"]])"), " a"), " a");
  EXPECT_NE(Tokens(Model(R"({" ":0,"a":1," a":2})", R"(["  a"])"), " a").find("merges[0]"), std::string::npos);
}

TEST(Bpe, UnknownCharacters) {
  const char* vocab = R"({"<unk>":0,"a":1,"<0xC3>":2,"<0xA9>":3})";
  EXPECT_EQ(Tokens(Model(vocab, "[]", R"(,"unk_token":"<unk>")"), "axya"), "a|<unk>|<unk>|a");
  EXPECT_EQ(Tokens(Model(vocab, "[]", R"(,"unk_token":"<unk>","fuse_unk":true)"), "axya"), "a|<unk>|a");
  EXPECT_EQ(Tokens(Model(vocab, "[]", R"(,"unk_token":"<unk>","byte_fallback":true)"), "\u00e9x"),
            "<0xC3>|<0xA9>|<unk>");
  EXPECT_NE(Tokens(Model(vocab, "[]"), "ax").find("'x' (U+0078) has no token"), std::string::npos);
}

TEST(Bpe, IgnoreMergesTakesWholePieces) {
  const char* vocab = R"({"a":0,"b":1,"ab":2})";
  EXPECT_EQ(Tokens(Model(vocab, "[]", R"(,"ignore_merges":true)"), "ab"), "ab");
  EXPECT_EQ(Tokens(Model(vocab, "[]", R"(,"ignore_merges":true)"), "aba"), "a|b|a");
  EXPECT_EQ(Tokens(Model(vocab, "[]"), "ab"), "a|b");
}

// A million characters in one piece: hours if merging were quadratic.
TEST(Bpe, LongPieces) {
  const auto tokenizer = *Tokenizer::Parse(
      TokenizerText{.model = Model(R"({"a":0,"aa":1,"aaaa":2,"b":3})", R"(["a a","aa aa"])")}.Json(), "tokenizer.json");
  const auto ids = tokenizer->Encode(std::string(1000000, 'a'));
  ASSERT_TRUE(ids.ok());
  EXPECT_EQ(*ids, std::vector<int32_t>(250000, 2));
}

}  // namespace
}  // namespace lodestone::testing
