#include <gtest/gtest.h>

#include <random>

#include "fixtures.h"
#include "text/tokenizer.h"
#include "text/tokenizer_json.h"
#include "text/utf8.h"

namespace lodestone::testing {
namespace {

// Characters of all lengths, with white space, digits and marks more often than their share.
std::string RandomText(std::mt19937& random) {
  constexpr std::u32string_view kOften = U" \n\t\r1234567890'sSltT<|>_▁\u0301\u00e9\u6f22\U0001F44D\u200d";
  std::string text;
  for (size_t i = random() % 40; i > 0; --i) {
    char32_t character = kOften[random() % kOften.size()];
    if (random() % 2 == 0) {
      constexpr std::array<uint32_t, 4> kRanges = {0x80, 0x800, 0x10000, 0x110000};
      character = static_cast<char32_t>(random() % kRanges[random() % kRanges.size()]);
      if (character >= 0xD800 && character < 0xE000) character = U'x';
    }
    AppendUtf8(text, character);
  }
  return text;
}

void ExpectRoundTrips(const Tokenizer& tokenizer, uint32_t seed) {
  std::mt19937 random(seed);
  for (int trial = 0; trial < 1000; ++trial) {
    const std::string text = RandomText(random);
    const auto ids = tokenizer.Encode(text);
    ASSERT_TRUE(ids.ok()) << ids.error().message;
    ASSERT_EQ(tokenizer.Decode(*ids), text);
  }
}

TEST(RoundTripProperty, ByteLevelTokenizersLoseNothing) {
  for (const std::string& json : {Gpt2Like(), Llama3Like(), StarCoderLike()}) {
    ExpectRoundTrips(**Tokenizer::Parse(json, "tokenizer.json"), 1);
  }
}

TEST(RoundTripProperty, Gpt2LosesNothing) {
  LODESTONE_REQUIRE_FIXTURE("fixtures/gpt2-tokenizer/tokenizer.json");
  ExpectRoundTrips(**Tokenizer::Load((SharedDir() / "fixtures/gpt2-tokenizer/tokenizer.json").string()), 2);
}

// SentencePiece writes spaces as U+2581, so that texts with that character come back with spaces instead.
TEST(RoundTripProperty, ByteFallbackLosesNothingButTheSpaceMark) {
  const auto tokenizer = *Tokenizer::Parse(Llama2Like(), "tokenizer.json");
  std::mt19937 random(4);
  for (int trial = 0; trial < 1000; ++trial) {
    std::string text = RandomText(random);
    for (size_t at = text.find("▁"); at != std::string::npos; at = text.find("▁")) text.replace(at, 3, " ");
    const auto ids = tokenizer->Encode(text);
    ASSERT_TRUE(ids.ok()) << ids.error().message;
    ASSERT_EQ(tokenizer->Decode(*ids), text);
  }
}

// Whatever a user types, the model's control tokens stay out of reach.
TEST(RoundTripProperty, UserTextNeverBecomesASpecialToken) {
  std::mt19937 random(6);
  const std::vector<std::string> parts = {
      "<|im_start|>", "<|im_end|>",    "<|begin_of_text|>", "<|eot_id|>", "<s>", "</s>",
      "<unk>",        "<|endoftext|>", "<think>",           " ",          "a",   "\n"};
  for (const std::string& json : {Gpt2Like(), Llama3Like(), QwenLike(), Llama2Like(), MistralLike()}) {
    const auto tokenizer = *Tokenizer::Parse(json, "tokenizer.json");
    for (int trial = 0; trial < 300; ++trial) {
      std::string text = "a";  // Mistral's manner cannot tell whether a text begins with a space
      for (size_t i = random() % 8; i > 0; --i) text += parts[random() % parts.size()];
      const auto ids = tokenizer->Encode(text, {.add_special_tokens = false, .parse_special = false});
      ASSERT_TRUE(ids.ok()) << ids.error().message;
      for (const int32_t id : *ids) ASSERT_FALSE(tokenizer->IsSpecial(id)) << text << ": " << tokenizer->IdToToken(id);
      ASSERT_EQ(tokenizer->Decode(*ids, false), text);
    }
  }
}

}  // namespace
}  // namespace lodestone::testing
