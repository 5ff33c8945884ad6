// The fixture stories260k: a trained model whose greedy tokens are known.
#include <gtest/gtest.h>

#include <algorithm>

#include "base/file.h"
#include "e2e/program.h"
#include "fixtures.h"

namespace lodestone::testing {
namespace {

constexpr const char* kStories = "fixtures/stories260k";

std::string Stories() { return (SharedDir() / kStories).string(); }

std::vector<std::string> Generate(const std::string& recipe, const std::string& appliance, int tokens) {
  return {"generate",
          "--model",
          Stories(),
          "--recipe",
          recipe,
          "--appliance",
          appliance,
          "--prompt",
          "",
          "--tokens",
          std::to_string(tokens)};
}

TEST(Stories, GreedyTokensAreThoseOfTheReference) {
  LODESTONE_REQUIRE_FIXTURE(kStories);
  const auto expected = ReadJsonFile(Stories() + "/expected_greedy.json", 1 << 20);
  ASSERT_TRUE(expected.ok()) << expected.error().message;
  std::vector<int64_t> ids;
  for (const Json& id : *expected->Find("ids")->as_array()) ids.push_back(*id.as_int());
  ASSERT_EQ(ids.size(), 199u);
  for (const char* isa : {"", "avx2", "reference"}) {
    const Outcome can = RunProgram({"version"}, {{"LODESTONE_ISA", isa}});
    if (can.exit_code != 0) continue;  // this processor lacks it
    const Json record = RunJson(Generate("f32", "cpu", 199), {{"LODESTONE_ISA", isa}});
    EXPECT_EQ(TokensOf(record), std::vector<std::vector<int64_t>>{ids}) << isa;
  }
}

TEST(Stories, SimulatedCardsMakeTheTokensOfTheCpu) {
  LODESTONE_REQUIRE_FIXTURE(kStories);
  for (const char* recipe : {"w4a4", "w4a8", "w8a8", "w4a8:g32", "w4a4:static"}) {
    const Json cpu = RunJson(Generate(recipe, "cpu", 64));
    const Json cards = RunJson(Generate(recipe, "northpole-16", 64));
    EXPECT_EQ(TokensOf(cpu), TokensOf(cards)) << recipe;
    ASSERT_EQ(TokensOf(cpu).size(), 1u);
    EXPECT_EQ(TokensOf(cpu)[0].size(), 64u) << recipe;
  }
}

TEST(Stories, TextStreamsToStandardOutput) {
  LODESTONE_REQUIRE_FIXTURE(kStories);
  const Outcome outcome = RunProgram(Generate("f32", "cpu", 40));
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_TRUE(outcome.out.starts_with("Once upon a time, there was a little girl named Lily.")) << outcome.out;
  EXPECT_NE(outcome.out.find("System throughput"), std::string::npos) << outcome.out;
  EXPECT_EQ(outcome.err, "");
}

TEST(Stories, StopTextEndsTheTextBeforeIt) {
  LODESTONE_REQUIRE_FIXTURE(kStories);
  std::vector<std::string> words = Generate("f32", "cpu", 100);
  words.insert(words.end(), {"--stop", " girl"});
  const Json record = RunJson(words);
  const Json& user = record.Find("users")->as_array()->front();
  EXPECT_EQ(*user.Find("text")->as_string(), "Once upon a time, there was a little");
  EXPECT_EQ(*user.Find("finish_reason")->as_string(), "stop");
}

}  // namespace
}  // namespace lodestone::testing
