// How a request ends and which text it shows, with cards that speak a script.
#include <gtest/gtest.h>

#include "engine/engine_run.h"
#include "text/tokenizer.h"

namespace lodestone {
namespace {

using testing::kFakeVocab;

// Id 0 is the special "</s>", 1 to 26 are "a" to "z", 27 is "ab", 28 is a space, 30 to 32 are the bytes of "€".
std::shared_ptr<const Tokenizer> Letters() {
  std::string vocab = R"("</s>": 0)";
  for (int i = 1; i <= 26; ++i) vocab += fmt::format(R"(, "{}": {})", static_cast<char>('a' + i - 1), i);
  vocab += R"(, "ab": 27, " ": 28, "<0xE2>": 30, "<0x82>": 31, "<0xAC>": 32)";
  const std::string json = fmt::format(R"({{
    "version": "1.0", "truncation": null, "padding": null,
    "added_tokens": [{{"id": 0, "content": "</s>", "single_word": false, "lstrip": false, "rstrip": false,
                       "normalized": false, "special": true}}],
    "normalizer": null, "pre_tokenizer": null, "post_processor": null,
    "decoder": {{"type": "Sequence", "decoders": [{{"type": "ByteFallback"}}, {{"type": "Fuse"}}]}},
    "model": {{"type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null,
               "end_of_word_suffix": null, "fuse_unk": false, "byte_fallback": true, "vocab": {{{}}},
               "merges": []}}}})",
                                       vocab);
  auto tokenizer = Tokenizer::Parse(json, "letters");
  EXPECT_TRUE(tokenizer.ok()) << (tokenizer.ok() ? "" : tokenizer.error().message);
  return tokenizer.ok() ? *tokenizer : nullptr;
}

// After the row at position p comes script[p].
class ScriptExecutor final : public Executor {
 public:
  explicit ScriptExecutor(std::vector<int32_t> script) : script_(std::move(script)) {}
  Status Configure(std::span<const Stage>, const WeightSource&, int) override { return {}; }
  int Sections(int) const override { return 1; }
  std::string Describe() const override { return "script"; }
  int64_t ResidentBytes() const override { return 0; }
  Result<Tensor> Run(int, int, const Pass& pass, Tensor) override {
    Tensor out{0, kFakeVocab, {}};
    for (const Row& row : pass.rows) {
      if (!row.wants_logits) continue;
      const size_t begin = out.data.size();
      out.data.resize(begin + kFakeVocab);
      out.data[begin + static_cast<size_t>(script_.at(static_cast<size_t>(row.position)))] = 1;
      ++out.rows;
    }
    return out;
  }

 private:
  std::vector<int32_t> script_;
};

testing::Heard Speak(std::vector<int32_t> script, Request request) {
  VirtualTimeline clock;
  std::vector<Card> cards(1);
  cards[0].compute = std::make_unique<ScriptExecutor>(std::move(script));
  auto appliance = *Appliance::Open(testing::FakePlacement({1}), std::move(cards), {}, clock);
  testing::NoWeights weights;
  EXPECT_TRUE(appliance->Configure(&weights, 4).ok());
  Engine engine(*appliance, Letters(), testing::FakeOptions(1, 4, 4));
  request.prompt = {1};
  testing::Heard heard;
  const auto id = engine.Add(std::move(request), [&](const TokenEvent& event) {
    if (event.id) heard.ids.push_back(*event.id);
    heard.pieces.push_back(event.text);
    heard.finish = event.finish;
  });
  EXPECT_TRUE(id.ok());
  for (auto more = engine.Step(); more.ok() && *more;) more = engine.Step();
  EXPECT_EQ(engine.stats().free_pages, 4);
  return heard;
}

using Pieces = std::vector<std::string>;
using Ids = std::vector<int32_t>;

Request Tokens(int64_t max_tokens) {
  Request request;
  request.max_tokens = max_tokens;
  return request;
}

TEST(EngineText, TextComesTokenByTokenUntilTheLimit) {
  const auto heard = Speak({8, 9, 27}, Tokens(3));
  EXPECT_EQ(heard.ids, (Ids{8, 9, 27}));
  EXPECT_EQ(heard.pieces, (Pieces{"h", "i", "ab"}));
  EXPECT_EQ(heard.finish, FinishReason::kLength);
}

TEST(EngineText, AnEndTokenHasAnIdAndNoText) {
  Request request = Tokens(9);
  request.eos_ids = {49, 0};
  const auto heard = Speak({8, 9, 0, 5}, request);
  EXPECT_EQ(heard.ids, (Ids{8, 9, 0}));
  EXPECT_EQ(heard.pieces, (Pieces{"h", "i", ""}));
  EXPECT_EQ(heard.finish, FinishReason::kStop);
}

TEST(EngineText, IgnoredEndTokensGoOnAndStayOutOfTheText) {
  Request request = Tokens(4);
  request.eos_ids = {0};
  request.ignore_eos = true;
  const auto heard = Speak({8, 0, 9, 10}, request);
  EXPECT_EQ(heard.ids, (Ids{8, 0, 9, 10}));
  EXPECT_EQ(heard.text(), "hij");
  EXPECT_EQ(heard.finish, FinishReason::kLength);
}

TEST(EngineText, AnEndTokenThatIsPlainTextIsNotShownEither) {
  Request request = Tokens(9);
  request.eos_ids = {26};
  const auto heard = Speak({8, 26}, request);
  EXPECT_EQ(heard.text(), "h");
  EXPECT_EQ(heard.finish, FinishReason::kStop);
}

TEST(EngineText, AStopTextAcrossTokensIsNotShown) {
  Request request = Tokens(9);
  request.stop = {"stop"};
  const auto heard = Speak({8, 19, 20, 15, 16, 1}, request);
  EXPECT_EQ(heard.ids, (Ids{8, 19, 20, 15, 16}));
  EXPECT_EQ(heard.pieces, (Pieces{"h", "", "", "", ""}));
  EXPECT_EQ(heard.finish, FinishReason::kStop);
}

TEST(EngineText, TextHeldBackIsShownAtTheLimitAndBeforeAnEndToken) {
  Request request = Tokens(3);
  request.stop = {"stop"};
  auto heard = Speak({8, 19, 20}, request);
  EXPECT_EQ(heard.pieces, (Pieces{"h", "", "st"}));
  EXPECT_EQ(heard.finish, FinishReason::kLength);
  request.max_tokens = 9;
  request.eos_ids = {0};
  heard = Speak({8, 19, 20, 0}, request);
  EXPECT_EQ(heard.pieces, (Pieces{"h", "", "", "st"}));
  EXPECT_EQ(heard.finish, FinishReason::kStop);
}

TEST(EngineText, AStopTextInsideATokenKeepsWhatStandsBefore) {
  Request request = Tokens(9);
  request.stop = {"b"};
  const auto heard = Speak({8, 27, 1}, request);
  EXPECT_EQ(heard.ids, (Ids{8, 27}));
  EXPECT_EQ(heard.pieces, (Pieces{"h", "a"}));
  EXPECT_EQ(heard.finish, FinishReason::kStop);
}

TEST(EngineText, AStopTextAtTheLimitIsAStop) {
  Request request = Tokens(2);
  request.stop = {"hi"};
  EXPECT_EQ(Speak({8, 9}, request).finish, FinishReason::kStop);
}

TEST(EngineText, CharactersStayWholeAndABrokenOneIsReplacedAtTheEnd) {
  const auto whole = Speak({8, 30, 31, 32, 9}, Tokens(5));
  EXPECT_EQ(whole.text(), "h€i");
  EXPECT_EQ(whole.pieces[1] + whole.pieces[2], "");
  const auto cut = Speak({8, 30, 31}, Tokens(3));
  EXPECT_EQ(cut.pieces[0], "h");
  EXPECT_NE(cut.text().find("\xef\xbf\xbd"), std::string::npos);
}

TEST(EngineText, AStopTextCompletedByTheDecodersRestIsAStop) {
  Request request = Tokens(4);
  request.stop = {"€"};
  const auto heard = Speak({8, 30, 31, 32}, request);
  EXPECT_EQ(heard.text(), "h");
  EXPECT_EQ(heard.finish, FinishReason::kStop);
}

}  // namespace
}  // namespace lodestone
