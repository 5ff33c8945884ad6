// A GGUF file wherever a directory may stand: the fixture stories260k, written as one.
#include <gtest/gtest.h>

#include "e2e/program.h"
#include "fixtures.h"
#include "model/gguf_stories.h"

namespace lodestone::testing {
namespace {

std::vector<std::string> Generate(const std::string& model, const std::string& recipe, int tokens) {
  return {"generate", "--model", model, "--recipe", recipe, "--prompt", "", "--tokens", std::to_string(tokens)};
}

TEST(Gguf, GreedyTokensAreThoseOfTheDirectory) {
  LODESTONE_REQUIRE_FIXTURE(kStoriesFixture);
  const std::string directory = (SharedDir() / kStoriesFixture).string();
  const TemporaryFolder folder;
  const std::string file = folder.Write("stories.gguf", StoriesAsGguf(kTensorF32));
  const auto expected = ReadJsonFile(directory + "/expected_greedy.json", 1 << 20);
  ASSERT_TRUE(expected.ok()) << expected.error().message;
  std::vector<int64_t> ids;
  for (const Json& id : *expected->Find("ids")->as_array()) ids.push_back(*id.as_int());
  ASSERT_EQ(ids.size(), 199u);
  EXPECT_EQ(TokensOf(RunJson(Generate(file, "f32", 199))), std::vector<std::vector<int64_t>>{ids});
  for (const char* recipe : {"bf16", "w8a8", "w4a8:g32", "w4a4"}) {
    EXPECT_EQ(TokensOf(RunJson(Generate(file, recipe, 64))), TokensOf(RunJson(Generate(directory, recipe, 64))))
        << recipe;
  }
}

TEST(Gguf, QuantisedFilesRunInEveryRecipe) {
  LODESTONE_REQUIRE_FIXTURE(kStoriesFixture);
  const TemporaryFolder folder;
  const std::string q8 = folder.Write("q8.gguf", StoriesAsGguf(kTensorQ8_0));
  const std::string q4 = folder.Write("q4.gguf", StoriesAsGguf(kTensorQ4_0));
  for (const char* recipe : {"f32", "w8a8", "w4a8:g32"}) {
    for (const std::string& file : {q8, q4}) {
      const Json record = RunJson(Generate(file, recipe, 32));
      ASSERT_EQ(TokensOf(record).size(), 1u);
      EXPECT_EQ(TokensOf(record)[0].size(), 32u) << recipe;
    }
  }
  const Outcome outcome = RunProgram(Generate(q8, "f32", 20));
  EXPECT_TRUE(outcome.out.starts_with("Once upon a time, there was a little girl named Lily")) << outcome.out;
}

TEST(Gguf, CommandsThatNeedTheShapeAloneTakeIt) {
  LODESTONE_REQUIRE_FIXTURE(kStoriesFixture);
  const TemporaryFolder folder;
  const std::string file = folder.Write("stories.gguf", StoriesAsGguf(kTensorQ4_0));
  const std::vector<std::vector<std::string>> commands = {
      {"plan", "--model", file},
      {"simulate", "--model", file, "--appliance", "northpole-16", "--prompt-tokens", "16", "--tokens", "16"},
      {"models", file},
  };
  for (const std::vector<std::string>& words : commands) {
    const Outcome outcome = RunProgram(words);
    EXPECT_EQ(outcome.exit_code, 0) << words[0] << ": " << outcome.err;
    EXPECT_NE(outcome.out.find("stories"), std::string::npos) << outcome.out;
  }
}

}  // namespace
}  // namespace lodestone::testing
