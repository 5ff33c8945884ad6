#include "cli/prompts.h"

#include <gtest/gtest.h>

#include "model/open_model.h"

namespace lodestone::cli {
namespace {

using Texts = std::vector<std::string>;

TEST(Prompts, OneALine) {
  EXPECT_EQ(*ParsePrompts("one\ntwo\n", "p.txt"), (Texts{"one", "two"}));
  EXPECT_EQ(*ParsePrompts("one\r\ntwo", "p.txt"), (Texts{"one", "two"}));
  EXPECT_EQ(*ParsePrompts("\n\nlast", "p.txt"), (Texts{"", "", "last"}));
}

TEST(Prompts, JsonArrayOfStrings) {
  EXPECT_EQ(*ParsePrompts(R"(["one\ntwo", ""])", "p.json"), (Texts{"one\ntwo", ""}));
}

TEST(Prompts, RefusesOtherForms) {
  const auto message = [](const char* text, const char* name) {
    const auto prompts = ParsePrompts(text, name);
    return prompts.ok() ? "" : prompts.error().message;
  };
  EXPECT_EQ(message("", "p.txt"), "p.txt: holds no prompt");
  EXPECT_EQ(message("[]", "p.json"), "p.json: holds no prompt");
  EXPECT_EQ(message("{}", "p.json"), "p.json: found an object, expected an array of strings");
  EXPECT_EQ(message(R"(["a", 1])", "p.json"), "p.json: entry 1 is an integer, expected a string");
  EXPECT_NE(message("[", "p.json").find("p.json:1:"), std::string::npos);
}

TEST(Prompts, EmptyPromptNeedsABeginOfText) {
  const auto tokenizer = Tokenizer::Parse(
      R"({"version": "1.0", "model": {"type": "BPE", "vocab": {"a": 0, "b": 1}, "merges": []}})", "t.json");
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.error().message;
  ModelConfig config;
  config.name = "m";
  const auto refused = EncodePrompt(**tokenizer, config, "");
  ASSERT_FALSE(refused.ok());
  EXPECT_NE(refused.error().message.find("'m' has no begin-of-text token"), std::string::npos)
      << refused.error().message;
  config.bos_id = 7;
  EXPECT_EQ(*EncodePrompt(**tokenizer, config, ""), std::vector<int32_t>{7});
  EXPECT_EQ(*EncodePrompt(**tokenizer, config, "ab"), (std::vector<int32_t>{0, 1}));
}

}  // namespace
}  // namespace lodestone::cli
