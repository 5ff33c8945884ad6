#include <gtest/gtest.h>

#include "model/open_model.h"

namespace lodestone {
namespace {

TEST(ByteTokenizer, EveryByteIsAToken) {
  const auto made = MakeByteTokenizer(512);
  ASSERT_TRUE(made.ok()) << made.error().message;
  const Tokenizer& tokenizer = **made;
  const auto ids = tokenizer.Encode("hé", {});
  ASSERT_TRUE(ids.ok()) << ids.error().message;
  EXPECT_EQ(*ids, (std::vector<int32_t>{kByteTokenizerBos, 'h', 0xC3, 0xA9}));
  EXPECT_EQ(tokenizer.Decode(*ids), "hé");
  EXPECT_EQ(tokenizer.vocab_size(), 512);
}

// Made-up words above the bytes read as words, differ from each other, and no text encodes to them.
TEST(ByteTokenizer, IdsAboveTheBytesAreWords) {
  const auto made = MakeByteTokenizer(4096);
  ASSERT_TRUE(made.ok()) << made.error().message;
  std::string text;
  for (int32_t id = kByteTokenizerEos + 1; id < 4096; ++id) {
    const std::string word = (*made)->Decode(std::vector<int32_t>{id});
    ASSERT_GE(word.size(), 3u) << id;
    EXPECT_EQ(word.front(), ' ');
    text += word;
  }
  const auto ids = (*made)->Encode(text, {});
  ASSERT_TRUE(ids.ok());
  for (const int32_t id : *ids) EXPECT_LE(id, kByteTokenizerBos);
}

TEST(ByteTokenizer, RefusesASmallVocabulary) {
  const auto made = MakeByteTokenizer(69);
  ASSERT_FALSE(made.ok());
  EXPECT_NE(made.error().message.find("258 ids or more; this shape has 69"), std::string::npos) << made.error().message;
}

TEST(OpenModel, ReadsRandomNames) {
  const auto plain = ParseRandomModel("random:nano-14l");
  ASSERT_TRUE(plain.ok() && plain->has_value());
  EXPECT_EQ((*plain)->shape, "nano-14l");
  EXPECT_EQ((*plain)->seed, 1u);
  EXPECT_EQ((*ParseRandomModel("random:nano-14l@77"))->seed, 77u);
  EXPECT_FALSE(ParseRandomModel("random:nano-14l@x").ok());
  EXPECT_FALSE(ParseRandomModel("random:nano-14l@").ok());
  EXPECT_FALSE(ParseRandomModel("./random:dir")->has_value());
}

TEST(OpenModel, RefusesAShapeWithoutWeights) {
  const auto model = OpenModel("granite-3b-14l");
  ASSERT_FALSE(model.ok());
  EXPECT_NE(model.error().message.find("'random:granite-3b-14l'"), std::string::npos) << model.error().message;
}

}  // namespace
}  // namespace lodestone
