#include <gtest/gtest.h>

#include <string>

#include "base/json.h"
#include "fixtures.h"
#include "text/goldens.h"
#include "text/tokenizer.h"
#include "text/tokenizer_json.h"

namespace lodestone::testing {
namespace {

using TokenizerPtr = std::shared_ptr<const Tokenizer>;

TokenizerPtr Parse(const std::string& json) {
  Result<TokenizerPtr> tokenizer = Tokenizer::Parse(json, "tokenizer.json");
  EXPECT_TRUE(tokenizer.ok()) << tokenizer.error().message;
  return tokenizer.ok() ? *tokenizer : nullptr;
}

void ExpectGoldens(const TokenizerPtr& tokenizer, const Goldens& goldens) {
  ASSERT_NE(tokenizer, nullptr);
  ASSERT_EQ(goldens.size(), kGoldenTexts.size());
  for (size_t i = 0; i < goldens.size(); ++i) {
    SCOPED_TRACE(kGoldenTexts[i]);
    // The reference implementation matches special tokens wherever the text spells them.
    const auto ids = tokenizer->Encode(kGoldenTexts[i], {.add_special_tokens = true, .parse_special = true});
    ASSERT_TRUE(ids.ok()) << ids.error().message;
    EXPECT_EQ(*ids, goldens[i].ids);
    EXPECT_EQ(tokenizer->Decode(goldens[i].ids), goldens[i].decoded == nullptr ? kGoldenTexts[i] : goldens[i].decoded);
  }
}

TEST(TokenizerGolden, Gpt2Like) { ExpectGoldens(Parse(Gpt2Like()), kGpt2LikeGoldens); }
TEST(TokenizerGolden, Llama3Like) { ExpectGoldens(Parse(Llama3Like()), kLlama3LikeGoldens); }
TEST(TokenizerGolden, QwenLike) { ExpectGoldens(Parse(QwenLike()), kQwenLikeGoldens); }
TEST(TokenizerGolden, StarCoderLike) { ExpectGoldens(Parse(StarCoderLike()), kStarCoderLikeGoldens); }
TEST(TokenizerGolden, Llama2Like) { ExpectGoldens(Parse(Llama2Like()), kLlama2LikeGoldens); }
TEST(TokenizerGolden, MistralLike) { ExpectGoldens(Parse(MistralLike()), kMistralLikeGoldens); }

TEST(TokenizerGolden, Gpt2) {
  LODESTONE_REQUIRE_FIXTURE("fixtures/gpt2-tokenizer/tokenizer.json");
  const auto tokenizer = Tokenizer::Load((SharedDir() / "fixtures/gpt2-tokenizer/tokenizer.json").string());
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.error().message;
  EXPECT_EQ((*tokenizer)->vocab_size(), 50257);
  EXPECT_EQ(*(*tokenizer)->Encode("Hello world"), (std::vector<int32_t>{15496, 995}));
  EXPECT_EQ(*(*tokenizer)->Encode("Hello, world!"), (std::vector<int32_t>{15496, 11, 995, 0}));
  EXPECT_EQ((*tokenizer)->IdToToken(995), "Ġworld");
  EXPECT_EQ((*tokenizer)->TokenToId("<|endoftext|>"), 50256);
  ExpectGoldens(*tokenizer, kGpt2Goldens);
}

TEST(TokenizerGolden, Stories260k) {
  LODESTONE_REQUIRE_FIXTURE("fixtures/stories260k/tokenizer.json");
  const auto folder = SharedDir() / "fixtures/stories260k";
  const auto tokenizer = Tokenizer::Load((folder / "tokenizer.json").string());
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.error().message;
  ExpectGoldens(*tokenizer, kStories260kGoldens);

  const Result<Json> expected = ReadJsonFile((folder / "expected_greedy.json").string(), 1 << 20);
  ASSERT_TRUE(expected.ok()) << expected.error().message;
  const std::string text = *expected->Find("text")->as_string();
  std::vector<int32_t> ids;
  for (const Json& id : *expected->Find("ids")->as_array()) ids.push_back(static_cast<int32_t>(*id.as_int()));
  EXPECT_EQ((*tokenizer)->Decode(ids), text);
  const auto encoded = (*tokenizer)->Encode(text);
  ASSERT_TRUE(encoded.ok()) << encoded.error().message;
  EXPECT_EQ(encoded->front(), 1) << "<s>";
  EXPECT_EQ((*tokenizer)->Decode(*encoded), text);
}

}  // namespace
}  // namespace lodestone::testing
