// Every command: its JSON parses, its screen fits, its exit code says how it went.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>

#include "e2e/program.h"

namespace lodestone::testing {
namespace {

const std::vector<std::vector<std::string>>& CommandLines() {
  static const std::vector<std::vector<std::string>> kLines{
      {"demo"},
      {"generate", "--model", "random:nano-14l", "--prompt", "a", "--prompt", "b", "--tokens", "4"},
      {"generate", "--model", "random:nano-14l", "--prompt", "a", "--tokens", "4", "--recipe", "w4a4", "--appliance",
       "northpole-16", "--power-w", "40"},
      {"plan", "--model", "granite-3.3-8b", "--appliance", "northpole-288", "--recipe", "w4a8c8", "--users", "28",
       "--context", "2048"},
      {"plan", "--model", "gpt2", "--appliance", "cpu", "--recipe", "f32"},
      {"simulate", "--model", "gpt2", "--appliance", "northpole-16", "--prompt-tokens", "16", "--tokens", "16"},
      {"models"},
      {"models", "gpt2"},
      {"hardware"},
      {"hardware", "cpu"},
      {"hardware", "northpole-288"},
      {"hardware", "list"},
      {"hardware", "show", "a100-40gb"},
      {"hardware", "show", "northpole-16"},
      {"published"},
      {"published", "--machine", "h100-sxm", "--model", "llama-3-8b"},
      {"published", "--source", "survey-2410.04466"},
      {"published", "--source", "northpole-hpec2024"},
      {"version"}};
  return kLines;
}

int Columns(const std::string& line) {
  return static_cast<int>(std::count_if(line.begin(), line.end(), [](char c) { return (c & 0xC0) != 0x80; }));
}

TEST(Commands, JsonOfEveryCommandParses) {
  for (const std::vector<std::string>& words : CommandLines()) {
    SCOPED_TRACE(words[0]);
    EXPECT_FALSE(RunJson(words).is_null());
  }
}

TEST(Commands, ScreensFitAHundredColumns) {
  for (const std::vector<std::string>& words : CommandLines()) {
    const Outcome outcome = RunProgram(words);
    EXPECT_EQ(outcome.exit_code, 0) << words[0] << ": " << outcome.err;
    EXPECT_EQ(outcome.err, "") << words[0];
    for (size_t begin = 0; begin < outcome.out.size(); begin = outcome.out.find('\n', begin) + 1) {
      const std::string line = outcome.out.substr(begin, outcome.out.find('\n', begin) - begin);
      EXPECT_LE(Columns(line), 100) << line;
    }
  }
}

TEST(Commands, HelpIsAResult) {
  for (const char* command : {"demo", "generate", "plan", "simulate", "models", "hardware", "version"}) {
    const Outcome outcome = RunProgram({command, "--help"});
    EXPECT_EQ(outcome.exit_code, 0);
    EXPECT_TRUE(outcome.out.starts_with(std::string("lodestone ") + command)) << outcome.out;
    EXPECT_NE(outcome.out.find("Examples"), std::string::npos);
  }
}

TEST(Commands, WithoutACommandTheHelpIsShown) {
  EXPECT_EQ(RunProgram({}).exit_code, 2);
  const Outcome outcome = RunProgram({"--help"});
  EXPECT_EQ(outcome.exit_code, 0);
  EXPECT_NE(outcome.out.find("generate"), std::string::npos);
}

TEST(Commands, DemoSaysWhoseTextItIsAndThatTokensAreEqual) {
  const Outcome outcome = RunProgram({"demo"});
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  // A program outside of the checkout, and not installed, has no model beside it.
  const bool random = outcome.out.find("weights are random") != std::string::npos;
  EXPECT_TRUE(random || outcome.out.find("models/nano") != std::string::npos) << outcome.out;
  EXPECT_NE(outcome.out.find("tokens are identical"), std::string::npos) << outcome.out;
  EXPECT_NE(outcome.out.find("28,356"), std::string::npos) << outcome.out;
}

TEST(Commands, PlanOfThePaperIsThatOfThePaper) {
  const Json plan = RunJson({"plan", "--model", "granite-3b-14l", "--appliance", "northpole-16", "--recipe",
                             "w4a4:static", "--users", "28", "--context", "2048"});
  const Json::Array& stages = *plan.Find("stages")->as_array();
  ASSERT_EQ(stages.size(), 16u);
  const Json& memory = *stages[3].Find("memory");
  EXPECT_EQ(*memory.Find("weight_codes_bytes")->as_int(), 104 << 20);
  EXPECT_EQ(*memory.Find("kv_codes_bytes")->as_int(), 56 << 20);
  EXPECT_EQ(*memory.Find("capacity_bytes")->as_int(), 192 << 20);
  EXPECT_EQ(*stages[14].Find("memory")->Find("weight_codes_bytes")->as_int() +
                *stages[15].Find("memory")->Find("weight_codes_bytes")->as_int(),
            192 << 20);
  const int64_t users = *plan.Find("max_users")->as_int();
  EXPECT_TRUE(users == 43 || users == 44) << users;
}

TEST(Commands, FiguresCarryTheirProvenance) {
  const Json record =
      RunJson({"generate", "--model", "random:nano-14l", "--prompt", "a", "--tokens", "4", "--power-w", "50"});
  const Json& energy = *record.Find("measures")->Find("energy_metric_tokens_per_j");
  EXPECT_EQ(*energy.Find("provenance")->as_string(), "user-stated");
  const Json& space = *record.Find("measures")->Find("space_metric_tokens_per_s_per_transistor");
  EXPECT_TRUE(space.Find("value")->is_null());
  EXPECT_FALSE(space.Find("reason")->as_string()->empty());
  EXPECT_EQ(*record.Find("measures")->Find("itl_s")->Find("provenance")->as_string(), "measured");
}

TEST(Commands, PromptsComeFromAFile) {
  const TemporaryFolder folder;
  const std::string lines = folder.Write("p.txt", "one\ntwo\n");
  const std::string json = folder.Write("p.json", R"(["one", "two"])");
  const std::vector<std::string> head{"generate", "--model", "random:nano-14l", "--tokens", "6", "--prompts"};
  std::vector<std::string> from_lines = head, from_json = head;
  from_lines.push_back(lines);
  from_json.push_back(json);
  const auto tokens = TokensOf(RunJson(from_lines));
  EXPECT_EQ(tokens.size(), 2u);
  EXPECT_EQ(tokens, TokensOf(RunJson(from_json)));
}

TEST(Commands, AFullDiskIsReported) {
  const Outcome outcome = RunProgram({"models"});
  ASSERT_EQ(outcome.exit_code, 0);
  const std::string command = std::string("'") + LODESTONE_PROGRAM + "' models > /dev/full 2> /dev/null";
  EXPECT_EQ(WEXITSTATUS(std::system(command.c_str())), 1);
}

}  // namespace
}  // namespace lodestone::testing
