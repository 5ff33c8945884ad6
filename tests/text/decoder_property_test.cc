#include <gtest/gtest.h>

#include <random>

#include "text/decode_stages.h"
#include "text/decoder.h"
#include "text/tokenizer.h"
#include "text/tokenizer_json.h"
#include "text/utf8.h"

namespace lodestone::testing {
namespace {

// The steps as tokenizer.json defines them, on the whole list of tokens at once.
struct OnWholeList {
  using Tokens = std::vector<std::string>;
  Tokens tokens;

  Tokens operator()(const ByteLevelStep&) const {
    std::string bytes;
    for (const std::string& token : tokens) bytes += FromByteLevel(token).value_or(token);
    std::string text;
    for (size_t i = 0; i < bytes.size();) {
      const Utf8Unit unit = ReadUtf8(bytes, i);
      text += unit.kind == Utf8Unit::Kind::kCharacter ? bytes.substr(i, unit.length) : "\uFFFD";
      i += unit.length;
    }
    return {text};
  }
  Tokens operator()(const ReplaceStep& step) const {
    Tokens out = tokens;
    for (std::string& token : out) {
      for (size_t at = token.find(step.pattern); at != std::string::npos;
           at = token.find(step.pattern, at + step.content.size())) {
        token.replace(at, step.pattern.size(), step.content);
      }
    }
    return out;
  }
  Tokens operator()(const ByteFallbackStep&) const {
    Tokens out;
    std::string run;
    const auto end_run = [&] {
      if (run.empty()) return;
      if (FindInvalidUtf8(run)) {
        for (size_t i = 0; i < run.size(); ++i) out.push_back("\uFFFD");
      } else {
        out.push_back(run);
      }
      run.clear();
    };
    for (const std::string& token : tokens) {
      if (token.size() == 6 && token.starts_with("<0x")) {
        run += static_cast<char>(std::stoi(token.substr(3, 2), nullptr, 16));
      } else {
        end_run();
        out.push_back(token);
      }
    }
    end_run();
    return out;
  }
  Tokens operator()(const FuseStep&) const {
    std::string all;
    for (const std::string& token : tokens) all += token;
    return {all};
  }
  Tokens operator()(const StripStep& step) const {
    Tokens out = tokens;
    for (std::string& token : out) {
      for (size_t i = 0; i < step.start && token.starts_with(step.content); ++i) token.erase(0, step.content.size());
      for (size_t i = 0; i < step.stop && token.ends_with(step.content); ++i) {
        token.resize(token.size() - step.content.size());
      }
    }
    return out;
  }
  Tokens operator()(const MetaspaceStep& step) const {
    Tokens out = tokens;
    for (size_t i = 0; i < out.size(); ++i) {
      const std::string space = i == 0 && step.prepended ? "" : " ";
      for (size_t at = out[i].find(step.replacement); at != std::string::npos; at = out[i].find(step.replacement, at)) {
        out[i].replace(at, step.replacement.size(), space);
      }
    }
    return out;
  }
  Tokens operator()(const JoinStep&) const {
    Tokens out = tokens;
    for (size_t i = 1; i < out.size(); ++i) out[i].insert(out[i].begin(), ' ');
    return out;
  }
};

TEST(DecoderProperty, StreamingEqualsTheDefinitionOnTheWholeList) {
  const std::vector<std::string> steps = {ByteLevelStepJson(true, true),
                                          R"({"type":"Replace","pattern":{"String":"▁"},"content":" "})",
                                          R"({"type":"Replace","pattern":{"String":"aba"},"content":"X"})",
                                          R"({"type":"Replace","pattern":{"String":"aa"},"content":"b"})",
                                          R"({"type":"ByteFallback"})",
                                          R"({"type":"Fuse"})",
                                          R"({"type":"Strip","content":" ","start":1,"stop":0})",
                                          R"({"type":"Strip","content":"a","start":2,"stop":3})",
                                          R"({"type":"Strip","content":"▁","start":0,"stop":1})",
                                          R"({"type":"Metaspace","replacement":"▁","prepend_scheme":"first"})",
                                          R"({"type":"Metaspace","replacement":"▁","prepend_scheme":"never"})"};
  const std::vector<std::string> tokens = {"a", "b", "ab",     "ba",     " ",      "  a", "▁", "▁a", "a▁", "aa",
                                           "",  "é", "<0xC3>", "<0xA9>", "<0x41>", "ðŁ",  "Ġ", "ĳ",  "ĳį"};
  std::mt19937 random(11);
  for (int trial = 0; trial < 5000; ++trial) {
    std::vector<std::string> chosen;
    for (size_t i = random() % 5; i > 0; --i) chosen.push_back(steps[random() % steps.size()]);
    const std::string json = SequenceJson("decoders", chosen);
    const Json document = *ParseJson(json, "test");
    const Result<Decoder> decoder = Decoder::Read(&document, {"tokenizer.json", "decoder"});
    ASSERT_TRUE(decoder.ok()) << decoder.error().message;
    DecodeRun run(*decoder);
    OnWholeList whole;
    std::string streamed;
    for (size_t i = random() % 12; i > 0; --i) {
      whole.tokens.push_back(tokens[random() % tokens.size()]);
      const std::string text = run.Push(whole.tokens.back());
      ASSERT_EQ(FindInvalidUtf8(text), std::nullopt) << "a split character";
      streamed += text;
    }
    streamed += run.Finish();
    std::string trace = json + " on";
    for (const std::string& token : whole.tokens) trace += " '" + token + "'";
    for (const DecodeStep& step : decoder->steps()) whole.tokens = std::visit(whole, step);
    std::string expected;
    for (const std::string& token : whole.tokens) expected += token;
    ASSERT_EQ(streamed, expected) << trace;
  }
}

TEST(DecoderProperty, StreamDecoderEqualsDecodeOnRandomIds) {
  std::mt19937 random(5);
  for (const std::string& json : {Gpt2Like(), Llama3Like(), QwenLike(), Llama2Like(), MistralLike()}) {
    const auto tokenizer = *Tokenizer::Parse(json, "tokenizer.json");
    for (int trial = 0; trial < 500; ++trial) {
      const bool skip_special = trial % 2 == 0;
      StreamDecoder stream(tokenizer, skip_special);
      std::vector<int32_t> ids;
      std::string text;
      for (size_t i = random() % 30; i > 0; --i) {
        ids.push_back(static_cast<int32_t>(random() % static_cast<uint32_t>(tokenizer->vocab_size() + 2)) - 1);
        const std::string part = stream.Push(ids.back());
        ASSERT_EQ(FindInvalidUtf8(part), std::nullopt);
        text += part;
      }
      ASSERT_EQ(text + stream.Finish(), tokenizer->Decode(ids, skip_special));
    }
  }
}

}  // namespace
}  // namespace lodestone::testing
