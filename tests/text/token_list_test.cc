#include "text/token_list.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/json.h"
#include "fixtures.h"
#include "text/byte_level.h"
#include "text/tokenizer.h"

namespace lodestone {
namespace {

using Ids = std::vector<int32_t>;

std::shared_ptr<const Tokenizer> Make(const TokenList& list) {
  auto tokenizer = Tokenizer::Make(list, "model.gguf");
  EXPECT_TRUE(tokenizer.ok()) << tokenizer.error().message;
  return *std::move(tokenizer);
}

std::string ErrorOf(const TokenList& list) {
  const auto tokenizer = Tokenizer::Make(list, "model.gguf");
  return tokenizer.ok() ? "accepted" : tokenizer.error().message;
}

void Add(TokenList& list, const std::string& token, float score, TokenKind kind = TokenKind::kNormal) {
  list.tokens.push_back(token);
  list.scores.push_back(score);
  list.kinds.push_back(kind);
}

// 0 to 2 as SentencePiece numbers them, then 256 bytes, then `pieces` with scores −1, −2, …
TokenList SentencePiece(const std::vector<std::string>& pieces) {
  TokenList list;
  list.model = TokenList::Model::kSentencePiece;
  Add(list, "<unk>", 0, TokenKind::kUnknown);
  Add(list, "<s>", 0, TokenKind::kControl);
  Add(list, "</s>", 0, TokenKind::kControl);
  constexpr std::string_view kDigits = "0123456789ABCDEF";
  for (size_t byte = 0; byte < 256; ++byte) {
    Add(list, std::string("<0x") + kDigits[byte / 16] + kDigits[byte % 16] + ">", 0, TokenKind::kByte);
  }
  float score = 0;
  for (const std::string& piece : pieces) Add(list, piece, score -= 1);
  list.bos = 1, list.eos = 2, list.unknown = 0;
  return list;
}
constexpr int32_t kByte0 = 3, kFirst = 259;

Ids Text(const Tokenizer& tokenizer, std::string_view text) {
  return *tokenizer.Encode(text, {.add_special_tokens = false});
}

TEST(SentencePieceTest, TheBestScoreMergesFirst) {
  // "bc" beats "ab", although "ab" stands further left.
  const auto tokenizer = Make(SentencePiece({"bc", "ab", "abc", "a", "b", "c", "▁"}));
  const int32_t bc = kFirst, ab = kFirst + 1, abc = kFirst + 2, a = kFirst + 3, space = kFirst + 6;
  EXPECT_EQ(Text(*tokenizer, "ab"), (Ids{space, ab}));
  EXPECT_EQ(Text(*tokenizer, "bca"), (Ids{space, bc, a}));
  EXPECT_EQ(Text(*tokenizer, "abc"), (Ids{space, abc})) << "a and bc make abc, by a rule that no list of merges states";
  EXPECT_EQ(*tokenizer->Encode("a"), (Ids{1, space, a})) << "a text begins with BOS unless the list says otherwise";
}

TEST(SentencePieceTest, OfEqualScoresTheLeftmostPairMerges) {
  TokenList list = SentencePiece({"aa", "a", "▁"});
  const auto tokenizer = Make(list);
  EXPECT_EQ(Text(*tokenizer, "aaa"), (Ids{kFirst + 2, kFirst, kFirst + 1}));
  // Two tokens of one score: the pair further left wins over the order of the vocabulary.
  list = SentencePiece({"bc", "ab", "a", "b", "c", "▁"});
  list.scores[kFirst + 1] = list.scores[kFirst];
  EXPECT_EQ(Text(*Make(list), "abc"), (Ids{kFirst + 5, kFirst + 1, kFirst + 4}));
}

TEST(SentencePieceTest, WhatHasNoTokenIsBytes) {
  const auto tokenizer = Make(SentencePiece({"a", "▁"}));
  EXPECT_EQ(Text(*tokenizer, "aé"), (Ids{kFirst + 1, kFirst, kByte0 + 0xC3, kByte0 + 0xA9}));
  EXPECT_EQ(tokenizer->Decode(Text(*tokenizer, "aé 🙂\n")), "aé 🙂\n");
}

TEST(SentencePieceTest, WithoutByteTokensUnknownsFuse) {
  TokenList list;
  list.model = TokenList::Model::kSentencePiece;
  Add(list, "<unk>", 0, TokenKind::kUnknown);
  Add(list, "▁", -1);
  Add(list, "a", -2);
  list.unknown = 0;
  list.add_bos = false;
  EXPECT_EQ(Text(*Make(list), "aéß a"), (Ids{1, 2, 0, 1, 2}));
}

TEST(SentencePieceTest, TheSpaceInFrontIsAChoice) {
  TokenList list = SentencePiece({"a", "▁"});
  list.space_prefix = false;
  const auto plain = Make(list);
  EXPECT_EQ(Text(*plain, "a a"), (Ids{kFirst, kFirst + 1, kFirst}));
  EXPECT_EQ(plain->Decode(Ids{kFirst + 1, kFirst}), " a");
  list.space_prefix = true;
  EXPECT_EQ(Make(list)->Decode(Ids{kFirst + 1, kFirst}), "a");
}

TEST(SentencePieceTest, KindsDecideWhatTextMaySpell) {
  TokenList list = SentencePiece({"a", "b", "▁", "<", "s", ">", "<s"});
  Add(list, "ab", 0, TokenKind::kUnused);
  Add(list, "<tool>", 0, TokenKind::kUserDefined);
  const auto tokenizer = Make(list);
  const int32_t a = kFirst, b = kFirst + 1, space = kFirst + 2, end = kFirst + 5, begin = kFirst + 6, tool = kFirst + 8;
  EXPECT_EQ(Text(*tokenizer, "ab"), (Ids{space, a, b})) << "an unused token is never made";
  EXPECT_EQ(Text(*tokenizer, "<s>"), (Ids{space, begin, end})) << "a control token is never spelled by a user";
  EXPECT_EQ(*tokenizer->Encode("<s>", {.add_special_tokens = false, .parse_special = true}), (Ids{1}));
  EXPECT_EQ(Text(*tokenizer, "a<tool>b"), (Ids{space, a, tool, space, b}));
  EXPECT_TRUE(tokenizer->IsSpecial(1));
  EXPECT_FALSE(tokenizer->IsSpecial(tool));
}

// The alphabet of bytes and two merges.
TokenList ByteLevel(const std::string& cutting) {
  TokenList list;
  for (int byte = 0; byte < 256; ++byte) list.tokens.push_back(ToByteLevel(std::string(1, static_cast<char>(byte))));
  list.tokens.insert(list.tokens.end(), {"Ġt", "Ġth", "12", "123", "<|end|>"});
  list.kinds.assign(list.tokens.size(), TokenKind::kNormal);
  list.kinds.back() = TokenKind::kControl;
  list.merges = {"Ġ t", "Ġt h", "1 2", "12 3"};
  list.cutting = cutting;
  list.bos = list.eos = 260;
  return list;
}

TEST(ByteLevelListTest, MergesByRankWithinThePiecesOfTheNamedCutting) {
  const Ids words = {'a', 257, 'e', ' '};
  EXPECT_EQ(Text(*Make(ByteLevel("gpt-2")), "a the "), words);
  EXPECT_EQ(Text(*Make(ByteLevel("gpt-2")), "1234"), (Ids{259, '4'}));
  EXPECT_EQ(Text(*Make(ByteLevel("refact")), "123"), (Ids{'1', '2', '3'})) << "digits stand alone";
  EXPECT_EQ(Text(*Make(ByteLevel("qwen2")), "12"), (Ids{'1', '2'}));
  EXPECT_EQ(*Make(ByteLevel("llama-bpe"))->Encode("1234"), (Ids{260, 259, '4'})) << "three digits, BOS in front";
  EXPECT_EQ(*Make(ByteLevel("gpt-2"))->Encode("a"), (Ids{'a'})) << "no BOS unless the list says so";
}

TEST(ByteLevelListTest, EveryCuttingIsBuiltAndRoundTrips) {
  const std::string unknown = ErrorOf(ByteLevel("made-up"));
  EXPECT_NE(unknown.find("model.gguf: the pre-tokenizer 'made-up' is not supported; supported are "), std::string::npos)
      << unknown;
  const size_t begin = unknown.find("supported are ") + 14;
  int known = 0;
  for (size_t at = begin; at < unknown.size(); ++known) {
    const size_t end = std::min(unknown.find(", ", at), unknown.size());
    const auto tokenizer = Make(ByteLevel(unknown.substr(at, end - at)));
    const std::string text = "It's a the 1234 naïve…\n\n  x=+1 漢字🙂 ";
    EXPECT_EQ(tokenizer->Decode(Text(*tokenizer, text)), text) << unknown.substr(at, end - at);
    at = end + 2;
  }
  EXPECT_GT(known, 15);
}

TEST(ByteLevelListTest, EndsStandWhereTheListAsks) {
  TokenList list = ByteLevel("gpt-2");
  list.add_bos = list.add_eos = true;
  EXPECT_EQ(*Make(list)->Encode("a"), (Ids{260, 'a', 260}));
  list.bos.reset();
  EXPECT_EQ(ErrorOf(list), "model.gguf: the file asks for BOS with each text and does not say which token that is");
}

TEST(ByteLevelListTest, Gpt2sVocabularyGivesTheIdsOfItsTokenizerJson) {
  constexpr const char* kFixture = "fixtures/gpt2-tokenizer/tokenizer.json";
  LODESTONE_REQUIRE_FIXTURE(kFixture);
  const std::string path = (testing::SharedDir() / kFixture).string();
  const auto expected = Tokenizer::Load(path);
  const auto json = ReadJsonFile(path, 16 << 20);
  ASSERT_TRUE(expected.ok() && json.ok());
  TokenList list;
  list.cutting = "gpt-2";
  const Json& model = *json->Find("model");
  list.tokens.resize(model.Find("vocab")->as_object()->size());
  list.kinds.assign(list.tokens.size(), TokenKind::kNormal);
  for (const auto& [token, id] : *model.Find("vocab")->as_object()) {
    list.tokens[static_cast<size_t>(*id.as_int())] = token;
    if (token == "<|endoftext|>") list.kinds[static_cast<size_t>(*id.as_int())] = TokenKind::kControl;
  }
  for (const Json& merge : *model.Find("merges")->as_array()) {
    const Json::Array* halves = merge.as_array();
    list.merges.push_back(halves == nullptr ? *merge.as_string()
                                            : *(*halves)[0].as_string() + " " + *(*halves)[1].as_string());
  }
  const auto tokenizer = Make(list);
  for (const char* text :
       {"", "Hello world", "It's  1234 naïve…\n\n  x=+1 漢字🙂 ", "<|endoftext|>", " \t\n  a"}) {
    EXPECT_EQ(*tokenizer->Encode(text), *(*expected)->Encode(text)) << text;
  }
}

TEST(TokenListTest, RefusesWhatDoesNotFitTogether) {
  const auto broken = [](auto change) {
    TokenList list = ByteLevel("gpt-2");
    change(list);
    return ErrorOf(list);
  };
  EXPECT_EQ(broken([](TokenList& l) { l.kinds.pop_back(); }), "model.gguf: 260 types of tokens for 261 tokens");
  EXPECT_EQ(broken([](TokenList& l) { l.tokens[300 - 45] = "\xff"; }), "model.gguf: token 255, '\\xff', is not UTF-8");
  EXPECT_EQ(broken([](TokenList& l) { l.tokens[5] = "Ġt"; }), "model.gguf: token 'Ġt' has two ids, 5 and 256");
  EXPECT_EQ(broken([](TokenList& l) { l.eos = 261; }),
            "model.gguf: the token that ends a text has id 261, outside the vocabulary of 261");
  EXPECT_EQ(broken([](TokenList& l) { l.merges[1] = "a b c"; }),
            "model.gguf: merge 1 is 'a b c', expected two tokens with a space between");
  EXPECT_EQ(broken([](TokenList& l) { l.merges[1] = "x y"; }),
            "model.gguf: merge 1, 'x y': 'xy' is not in the vocabulary");
  TokenList scores = SentencePiece({"a"});
  scores.scores.pop_back();
  EXPECT_EQ(ErrorOf(scores), "model.gguf: 259 scores for 260 tokens");
  scores.scores.push_back(std::nanf(""));
  EXPECT_EQ(ErrorOf(scores), "model.gguf: the score of token 259 is not a number");
}

}  // namespace
}  // namespace lodestone
