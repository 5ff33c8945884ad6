#include "text/tokenizer.h"

#include <gtest/gtest.h>

#include "base/temporary_folder.h"
#include "text/tokenizer_json.h"

namespace lodestone::testing {
namespace {

using Ids = std::vector<int32_t>;

std::shared_ptr<const Tokenizer> Parse(const std::string& json) {
  auto tokenizer = Tokenizer::Parse(json, "tokenizer.json");
  LODESTONE_CHECK(tokenizer.ok());
  return *std::move(tokenizer);
}

TEST(Tokenizer, LooksTokensUpBothWays) {
  const auto tokenizer = Parse(QwenLike());
  EXPECT_EQ(tokenizer->vocab_size(), kByteLevelSize + 3);
  EXPECT_EQ(tokenizer->TokenToId("<|im_end|>"), kByteLevelSize + 1);
  EXPECT_EQ(tokenizer->TokenToId("Ġthe"), 258);
  EXPECT_EQ(tokenizer->TokenToId("nothing"), std::nullopt);
  EXPECT_EQ(tokenizer->IdToToken(258), "Ġthe");
  EXPECT_EQ(tokenizer->IdToToken(-1), "");
  EXPECT_EQ(tokenizer->IdToToken(kByteLevelSize + 3), "");
  EXPECT_TRUE(tokenizer->IsSpecial(kByteLevelSize));
  EXPECT_FALSE(tokenizer->IsSpecial(kByteLevelSize + 2)) << "<think> is added, but not special";
  EXPECT_FALSE(tokenizer->IsSpecial(258));
  EXPECT_FALSE(tokenizer->IsSpecial(-1));
}

TEST(Tokenizer, IdsMayHaveGaps) {
  const auto tokenizer =
      Parse(R"({"model":{"type":"BPE","vocab":{"a":3,"b":7},"merges":[]},"decoder":{"type":"Fuse"}})");
  EXPECT_EQ(tokenizer->vocab_size(), 8);
  EXPECT_EQ(tokenizer->IdToToken(5), "");
  EXPECT_EQ(*tokenizer->Encode("ab"), (Ids{3, 7}));
  EXPECT_EQ(tokenizer->Decode(Ids{3, 5, 7, 100, -4}), "ab");
}

TEST(Tokenizer, UserTextDoesNotBecomeSpecialTokensUnlessAsked) {
  const auto tokenizer = Parse(QwenLike());
  const std::string text = "<|im_start|>a";
  EXPECT_EQ(*tokenizer->Encode(text, {.parse_special = true}), (Ids{kByteLevelSize, 'a'}));
  const Ids plain = *tokenizer->Encode(text);
  EXPECT_EQ(plain.size(), text.size());
  EXPECT_EQ(tokenizer->Decode(plain), text);
  EXPECT_EQ(*tokenizer->Encode("<think>"), (Ids{kByteLevelSize + 2})) << "added tokens that are not special are text";
}

TEST(Tokenizer, NoWayOfTheModelLeadsToASpecialTokenFromUserText) {
  // The special token is a token of the model too: as a whole piece, by a merge, and as a character.
  const std::string special =
      "[" + AddedTokenJson(2, "ab", {"special"}) + "," + AddedTokenJson(3, "c", {"special"}) + "]";
  for (const char* ignore_merges : {"true", "false"}) {
    const auto tokenizer = Parse(TokenizerText{
        .model = R"({"type":"BPE","vocab":{"a":0,"b":1,"ab":2,"c":3,"?":4},"merges":["a b"],"unk_token":"?",)"
                 R"("ignore_merges":)" +
                 std::string(ignore_merges) + "}",
        .added_tokens = special}
                                     .Json());
    EXPECT_EQ(*tokenizer->Encode("ab"), (Ids{0, 1}));
    EXPECT_EQ(*tokenizer->Encode("c"), (Ids{4}));
    EXPECT_EQ(*tokenizer->Encode("abc", {.parse_special = true}), (Ids{2, 3}));
  }
  const auto words = Parse(TokenizerText{.model = WordLevelModel({"[UNK]", "AUG", "[CLS]"}),
                                         .pre_tokenizer = R"({"type":"WhitespaceSplit"})",
                                         .added_tokens = "[" + AddedTokenJson(2, "[CLS]", {"special"}) + "]"}
                               .Json());
  EXPECT_EQ(*words->Encode("AUG [CLS]"), (Ids{1, 0}));
  EXPECT_EQ(*words->Encode("AUG[CLS]", {.parse_special = true}), (Ids{1, 2}));
}

TEST(Tokenizer, AddedTokensAreNoTokensOfTheModel) {
  // The pre-tokenizer makes the added token's text a piece of its own only after added tokens were looked for.
  const auto tokenizer =
      Parse(TokenizerText{.model = R"({"type":"BPE","vocab":{"x":0,"y":1,"X":2},"merges":[],"ignore_merges":true})",
                          .normalizer = R"({"type":"Lowercase"})",
                          .added_tokens = "[" + AddedTokenJson(3, "xy", {}) + "]"}
                .Json());
  EXPECT_EQ(*tokenizer->Encode("XY"), (Ids{0, 1}));
  EXPECT_EQ(*tokenizer->Encode("xy"), (Ids{3}));
}

TEST(Tokenizer, PostProcessorRunsOnRequest) {
  const auto tokenizer = Parse(MistralLike());
  const Ids bare = *tokenizer->Encode("a", {.add_special_tokens = false});
  EXPECT_EQ(*tokenizer->Encode("a"), (Ids{1, bare[0], bare[1], 2}));
  EXPECT_EQ(*tokenizer->Encode(""), (Ids{1, 2}));
  EXPECT_TRUE(tokenizer->Encode("", {.add_special_tokens = false})->empty());
}

TEST(Tokenizer, PostProcessorsOfASequenceNest) {
  const auto tokenizer = Parse(
      TokenizerText{.model = R"({"type":"BPE","vocab":{"a":0,"<":1,">":2,"[":3},"merges":[]})",
                    .post_processor = SequenceJson("processors", {TemplateJson("<", 1, ">", 2), TemplateJson("[", 3)})}
          .Json());
  EXPECT_EQ(*tokenizer->Encode("a"), (Ids{3, 1, 0, 2}));
}

TEST(Tokenizer, DecodingSkipsSpecialTokensUnlessTold) {
  const auto tokenizer = Parse(Llama2Like());
  const Ids ids = *tokenizer->Encode("Hello wor!");
  EXPECT_EQ(tokenizer->Decode(ids), "Hello wor!");
  EXPECT_EQ(tokenizer->Decode(ids, false), "<s> Hello wor!");
}

TEST(Tokenizer, ByteFallbackSpellsUnknownCharacters) {
  const auto tokenizer = Parse(Llama2Like());
  const Ids ids = *tokenizer->Encode("\u6f22", {.add_special_tokens = false});
  EXPECT_EQ(ids, (Ids{259, 3 + 0xE6, 3 + 0xBC, 3 + 0xA2}));
  EXPECT_EQ(tokenizer->Decode(ids), "\u6f22");
}

TEST(Tokenizer, CodonsOfGenSlm) {
  const auto tokenizer = Parse(TokenizerText{.model = WordLevelModel({"[UNK]", "ATG", "AAA", "TAA"}),
                                             .pre_tokenizer = R"({"type":"WhitespaceSplit"})"}
                                   .Json());
  EXPECT_EQ(*tokenizer->Encode("ATG AAA NNN TAA"), (Ids{1, 2, 0, 3}));
  EXPECT_EQ(tokenizer->Decode(Ids{1, 2, 3}), "ATG AAA TAA");
  const auto strict = Parse(TokenizerText{.model = WordLevelModel({"ATG"})}.Json());
  EXPECT_NE(strict->Encode("NNN").status().error().message.find("'NNN' is not in the vocabulary"), std::string::npos);
}

TEST(Tokenizer, RefusesTextThatIsNotUtf8) {
  const auto ids = Parse(Gpt2Like())->Encode("ab\xFF");
  ASSERT_FALSE(ids.ok());
  EXPECT_EQ(ids.error().code, ErrorCode::kInvalid);
  EXPECT_EQ(ids.error().message, "the text is not UTF-8: byte 0xFF at offset 2");
}

TEST(Tokenizer, ModelsWithoutATypeAreBpe) {
  const auto tokenizer = Parse(R"({"model":{"dropout":null,"unk_token":null,"vocab":{"a":0},"merges":[]}})");
  EXPECT_EQ(*tokenizer->Encode("aa"), (Ids{0, 0}));
}

TEST(Tokenizer, PaddingIsIgnored) {
  const auto tokenizer =
      Parse(R"({"padding":{"strategy":"BatchLongest"},"model":{"type":"BPE","vocab":{"a":0},"merges":[]}})");
  EXPECT_EQ(*tokenizer->Encode("a"), (Ids{0}));
}

TEST(Tokenizer, LoadNamesTheFile) {
  const TemporaryFolder folder;
  const std::string good = folder.Write("tokenizer.json", Gpt2Like()).string();
  const std::string bad = folder.Write("bad.json", "{\n\"model\": nothing}").string();
  EXPECT_TRUE(Tokenizer::Load(good).ok());
  const auto broken = Tokenizer::Load(bad);
  ASSERT_FALSE(broken.ok());
  EXPECT_NE(broken.error().message.find("bad.json:2"), std::string::npos) << broken.error().message;
  const auto missing = Tokenizer::Load((folder.path() / "missing.json").string());
  ASSERT_FALSE(missing.ok());
  EXPECT_NE(missing.error().message.find("missing.json"), std::string::npos);
}

TEST(StreamDecoder, FinishMakesItReadyForANewText) {
  StreamDecoder stream(Parse(Llama2Like()));
  for (int round = 0; round < 2; ++round) {
    EXPECT_EQ(stream.Push(1), "");
    EXPECT_EQ(stream.Push(259), "") << "the space in front is stripped";
    EXPECT_EQ(stream.Push(3 + 0xC3), "");
    EXPECT_EQ(stream.Push(3 + 0xA9), "");
    EXPECT_EQ(stream.Push(259), "\u00e9 ");
    EXPECT_EQ(stream.Push(3 + 0xC3), "");
    EXPECT_EQ(stream.Finish(), "\uFFFD");
  }
}

}  // namespace
}  // namespace lodestone::testing
