#include "text/normalizer.h"

#include <gtest/gtest.h>

#include "text/tokenizer_json.h"

namespace lodestone::testing {
namespace {

std::string Apply(const std::string& json, std::string_view text) {
  const Result<Json> document = ParseJson(json, "test");
  if (!document.ok()) return document.error().message;
  const Result<Normalizer> normalizer = Normalizer::Read(&*document, {"tokenizer.json", "normalizer"});
  if (!normalizer.ok()) return normalizer.error().message;
  const Result<std::string> result = normalizer->Apply(text);
  return result.ok() ? *result : result.error().message;
}

TEST(Normalizer, EachStep) {
  EXPECT_EQ(Apply("null", " A "), " A ");
  EXPECT_EQ(Apply(R"({"type":"Prepend","prepend":"▁"})", "a"), "▁a");
  EXPECT_EQ(Apply(R"({"type":"Prepend","prepend":"▁"})", ""), "");
  EXPECT_EQ(Apply(R"({"type":"Replace","pattern":{"String":"."},"content":"--"})", "a.b."), "a--b--");
  EXPECT_EQ(Apply(R"({"type":"Replace","pattern":{"Regex":" {2,}"},"content":""})", "a b   c"), "a bc");
  EXPECT_EQ(Apply(R"({"type":"NFC"})", "e\u0301"), "\u00e9");
  EXPECT_EQ(Apply(R"({"type":"NFD"})", "\u00e9"), "e\u0301");
  EXPECT_EQ(Apply(R"({"type":"NFKC"})", "\ufb01"), "fi");
  EXPECT_EQ(Apply(R"({"type":"NFKD"})", "\ufb01\u00e9"), "fie\u0301");
  EXPECT_EQ(Apply(R"({"type":"Lowercase"})", "AbC"), "abc");
  EXPECT_EQ(Apply(R"({"type":"Strip","strip_left":true,"strip_right":false})", "\u3000 a "), "a ");
  EXPECT_EQ(Apply(R"({"type":"Strip","strip_left":false,"strip_right":true})", " a \u3000"), " a");
  EXPECT_EQ(Apply(R"({"type":"Strip","strip_left":true,"strip_right":true})", "  "), "");
}

TEST(Normalizer, StepsOfNestedSequencesFollowEachOther) {
  const std::string inner =
      SequenceJson("normalizers", {R"({"type":"Lowercase"})", R"({"type":"Prepend","prepend":"X"})"});
  EXPECT_EQ(Apply(SequenceJson("normalizers", {inner, R"({"type":"Prepend","prepend":"Y"})"}), "A"), "YXa");
}

TEST(Normalizer, RefusesReplacementsThatBlowTextsUp) {
  std::vector<std::string> steps;
  for (int i = 0; i < 4; ++i) {
    steps.push_back(R"({"type":"Replace","pattern":{"String":"a"},"content":"aaaaaaaaaaaaaaaa"})");
  }
  EXPECT_NE(Apply(SequenceJson("normalizers", steps), "a").find("is too long"), std::string::npos);
  steps.pop_back();
  EXPECT_EQ(Apply(SequenceJson("normalizers", steps), "a").size(), 4096u);
}

}  // namespace
}  // namespace lodestone::testing
