#include "text/decoder.h"

#include <gtest/gtest.h>

#include "text/tokenizer_json.h"

namespace lodestone::testing {
namespace {

// The text of each push, and of the end, separated by bars.
std::string Decode(const std::string& json, const std::vector<std::string>& tokens) {
  const Result<Json> document = ParseJson(json, "test");
  if (!document.ok()) return document.error().message;
  const Result<Decoder> decoder = Decoder::Read(&*document, {"tokenizer.json", "decoder"});
  if (!decoder.ok()) return decoder.error().message;
  DecodeRun run(*decoder);
  std::string out;
  for (const std::string& token : tokens) out += run.Push(token) + "|";
  return out + run.Finish();
}

std::string Strip(const char* content, int start, int stop) {
  return R"({"type":"Strip","content":")" + std::string(content) + R"(","start":)" + std::to_string(start) +
         R"(,"stop":)" + std::to_string(stop) + "}";
}
std::string Replace(const char* pattern, const char* content) {
  return R"({"type":"Replace","pattern":{"String":")" + std::string(pattern) + R"("},"content":")" + content + R"("})";
}
const char* const kFuse = R"({"type":"Fuse"})";
const char* const kByteFallback = R"({"type":"ByteFallback"})";

TEST(Decoder, WithoutOneTokensAreJoinedBySpaces) { EXPECT_EQ(Decode("null", {"a", "b"}), "a| b|"); }

TEST(Decoder, ByteLevelWaitsForWholeCharacters) {
  const std::string step = ByteLevelStepJson(true, true);
  EXPECT_EQ(Decode(step, {"Hi", "Ġ\u00c3", "\u00a9"}), "Hi| |\u00e9|");
  EXPECT_EQ(Decode(step, {"\u00c3", "a"}), "|\uFFFDa|");
  EXPECT_EQ(Decode(step, {"\u00c3"}), "|\uFFFD");
  EXPECT_EQ(Decode(step, {"a b"}), "a b|") << "a token outside the alphabet stands for itself";
}

TEST(Decoder, ByteFallbackReplacesRunsAsAWhole) {
  EXPECT_EQ(Decode(kByteFallback, {"<0xC3>", "<0xA9>", "a"}), "||\u00e9a|");
  EXPECT_EQ(Decode(kByteFallback, {"<0x41>", "<0xC3>"}), "||\uFFFD\uFFFD");
  EXPECT_EQ(Decode(kByteFallback, {"<0x4G>", "<0x41", "<0x041>"}), "<0x4G>|<0x41|<0x041>|");
}

TEST(Decoder, ReplaceWorksWithinTokensAndAcrossFusedOnes) {
  EXPECT_EQ(Decode(Replace("ab", "X"), {"ab", "a", "b"}), "X|a|b|");
  EXPECT_EQ(Decode(SequenceJson("decoders", {kFuse, Replace("ab", "X")}), {"ab", "a", "b", "a", "c", "a"}),
            "X||X||ac||a");
}

TEST(Decoder, StripIsOfEachToken) {
  EXPECT_EQ(Decode(Strip(" ", 1, 0), {"  a", " b"}), " a|b|");
  EXPECT_EQ(Decode(Strip(" ", 0, 2), {"a   ", "b"}), "a |b|");
  EXPECT_EQ(Decode(SequenceJson("decoders", {kFuse, Strip(" ", 2, 0)}), {" ", " ", " ", "a"}), "|| |a|");
}

TEST(Decoder, StripAtTheEndHoldsBackOnlyWhatItMayRemove) {
  EXPECT_EQ(Decode(SequenceJson("decoders", {kFuse, Strip(" ", 0, 1)}), {"a ", " ", "b", " "}), "a| | b||");
}

TEST(Decoder, Metaspace) {
  EXPECT_EQ(Decode(R"({"type":"Metaspace","replacement":"▁","prepend_scheme":"always","split":true})", {"▁a▁b", "▁c"}),
            "ab| c|");
  EXPECT_EQ(Decode(R"({"type":"Metaspace","replacement":"▁","prepend_scheme":"never"})", {"▁a", "▁c"}), " a| c|");
  EXPECT_EQ(Decode(R"({"type":"Metaspace","replacement":"▁","add_prefix_space":false})", {"▁a"}), " a|");
}

TEST(Decoder, LlamaManner) {
  EXPECT_EQ(Decode(Llama2Decoder(), {"▁Hello", "▁", "<0xE6>", "<0xBC>", "<0xA2>", "!"}), "Hello| ||||\u6f22!|");
}

}  // namespace
}  // namespace lodestone::testing
