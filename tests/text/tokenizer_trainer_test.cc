#include "text/tokenizer_trainer.h"

#include <gtest/gtest.h>

#include <random>

#include "text/tokenizer.h"
#include "text/utf8.h"

namespace lodestone::testing {
namespace {

constexpr std::string_view kText =
    "def fibonacci(n):\n    if n < 2:\n        return n\n    return fibonacci(n - 1) + fibonacci(n - 2)\n\n\n"
    "def factorial(n):\n    if n < 2:\n        return 1\n    return n * factorial(n - 1)\n";

Result<Json> Train(const TokenizerTraining& training, const std::vector<std::string_view>& texts) {
  LODESTONE_ASSIGN_OR_RETURN(TokenizerTrainer trainer, TokenizerTrainer::Make(training));
  for (const std::string_view text : texts) LODESTONE_RETURN_IF_ERROR(trainer.Add(text));
  return trainer.Train();
}

std::shared_ptr<const Tokenizer> Read(const Result<Json>& json) {
  EXPECT_TRUE(json.ok()) << json.error().message;
  const auto tokenizer = Tokenizer::Parse(json->Dump(), "tokenizer.json");
  EXPECT_TRUE(tokenizer.ok()) << tokenizer.error().message;
  return *tokenizer;
}

TEST(TokenizerTrainer, BytesThenMergesThenSpecialTokens) {
  const auto tokenizer = Read(Train({.vocabulary = 270, .special = {"<|endoftext|>", "<|pad|>"}}, {kText}));
  EXPECT_EQ(tokenizer->vocab_size(), 270);
  EXPECT_EQ(tokenizer->TokenToId("a"), 'a');
  EXPECT_EQ(tokenizer->TokenToId("Ġ"), ' ');
  EXPECT_EQ(tokenizer->TokenToId("<|endoftext|>"), 268);
  EXPECT_EQ(tokenizer->TokenToId("<|pad|>"), 269);
  EXPECT_TRUE(tokenizer->IsSpecial(268));
  EXPECT_FALSE(tokenizer->IsSpecial(267));
}

TEST(TokenizerTrainer, ATextItLearnedFromIsShort) {
  const auto tokenizer = Read(Train({.vocabulary = 297}, {kText, kText}));
  const auto ids = tokenizer->Encode(kText);
  ASSERT_TRUE(ids.ok());
  EXPECT_LT(ids->size(), kText.size() / 2);
  EXPECT_EQ(tokenizer->Decode(*ids), kText);
}

TEST(TokenizerTrainer, WordsStayApart) {
  // No merge crosses the border of two words, however often they stand together.
  std::string text;
  for (int i = 0; i < 50; ++i) text += "ab cd\n";
  const auto tokenizer = Read(Train({.vocabulary = 259}, {text}));
  EXPECT_TRUE(tokenizer->TokenToId("ab").has_value());
  EXPECT_FALSE(tokenizer->TokenToId("bĠ").has_value());
}

TEST(TokenizerTrainer, TheOrderOfTheTextsDoesNotMatter) {
  const std::string other = "lambda x: x ** 2 if x else factorial(3)\n\n\n";
  EXPECT_EQ(Train({.vocabulary = 280}, {kText, other})->Dump(), Train({.vocabulary = 280}, {other, kText})->Dump());
}

TEST(TokenizerTrainer, Llama3CutsNumbersInThrees) {
  std::string text;
  for (int i = 0; i < 20; ++i) text += "123456 ";
  EXPECT_TRUE(Read(Train({.vocabulary = 262}, {text}))->TokenToId("123456").has_value());
  const auto tokenizer = Read(Train({.vocabulary = 260, .cutting = "llama3"}, {text}));
  EXPECT_TRUE(tokenizer->TokenToId("456").has_value());
  EXPECT_FALSE(tokenizer->TokenToId("3456").has_value());
}

TEST(TokenizerTrainer, RefusesWhatItCannotDo) {
  const std::vector<std::pair<TokenizerTraining, std::string>> cases{
      {{.vocabulary = 255}, "expected 256"},
      {{.vocabulary = 256, .special = {"<|a|>"}}, "expected 257"},
      {{.vocabulary = 1 << 23}, "a vocabulary of 8388608"},
      {{.vocabulary = 300, .cutting = "gpt-5"}, "'gpt-5' is not one to train with"},
      {{.vocabulary = 300, .special = {"x"}}, "one character"},
      {{.vocabulary = 300, .special = {"<a>", "<a>"}}, "twice"},
      {{.vocabulary = 300, .special = {""}}, "empty"},
      {{.vocabulary = 300, .special = {"\xFF\xFE"}}, "not UTF-8"}};
  for (const auto& [training, expected] : cases) {
    const auto trainer = TokenizerTrainer::Make(training);
    ASSERT_FALSE(trainer.ok()) << expected;
    EXPECT_NE(trainer.error().message.find(expected), std::string::npos) << trainer.error().message;
  }
  TokenizerTrainer trainer = *TokenizerTrainer::Make({.vocabulary = 300});
  const Status status = trainer.Add("abc\xFF");
  ASSERT_FALSE(status.ok());
  EXPECT_NE(status.error().message.find("0xFF at offset 3"), std::string::npos) << status.error().message;
}

TEST(TokenizerTrainer, TooLittleTextSaysHowManyTokensItMakes) {
  const Result<Json> json = Train({.vocabulary = 1000, .special = {"<|end|>"}}, {"ab ab"});
  ASSERT_FALSE(json.ok());
  EXPECT_EQ(json.error().code, ErrorCode::kInfeasible);
  EXPECT_NE(json.error().message.find("a vocabulary of 258 at most"), std::string::npos) << json.error().message;
}

TEST(TokenizerTrainerProperty, EveryTextComesBack) {
  std::mt19937 random(5);
  for (const char* cutting : {"gpt-2", "llama3"}) {
    const auto tokenizer = Read(Train({.vocabulary = 290, .cutting = cutting, .special = {"<|end|>"}}, {kText, kText}));
    for (int trial = 0; trial < 300; ++trial) {
      std::string text;
      for (auto i = random() % 30; i > 0; --i) {
        if (random() % 3 == 0) {
          const size_t at = random() % kText.size();
          text += kText.substr(at, random() % 12);
        } else {
          const auto character = static_cast<char32_t>(random() % (random() % 2 == 0 ? 0x80 : 0x110000));
          AppendUtf8(text, character >= 0xD800 && character < 0xE000 ? U'x' : character);
        }
      }
      const auto ids = tokenizer->Encode(text);
      ASSERT_TRUE(ids.ok()) << ids.error().message;
      ASSERT_EQ(tokenizer->Decode(*ids, false), text);
    }
  }
}

}  // namespace
}  // namespace lodestone::testing
