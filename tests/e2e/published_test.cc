// `lodestone published`, as its users run it.
#include <gtest/gtest.h>

#include <algorithm>

#include "program.h"

namespace lodestone::testing {
namespace {

int64_t LinesOf(const std::string& text) { return std::count(text.begin(), text.end(), '\n'); }

TEST(Published, CsvAndJsonHaveTheSameFigures) {
  const std::vector<std::string> words{"published", "--machine", "mi250", "--model", "qwen2-7b"};
  std::vector<std::string> csv = words;
  csv.insert(csv.end(), {"--format", "csv"});
  const Outcome outcome = RunProgram(csv);
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_TRUE(outcome.out.starts_with("source,place,system,")) << outcome.out.substr(0, 80);
  const Json json = RunJson(words);
  ASSERT_NE(json.as_array(), nullptr);
  EXPECT_EQ(LinesOf(outcome.out), 1 + static_cast<int64_t>(json.as_array()->size()));
  EXPECT_GE(json.as_array()->size(), 50u);
}

TEST(Published, SoundFiguresHaveNoCaution) {
  const Json all = RunJson({"published", "--machine", "mi300x"});
  const Json sound = RunJson({"published", "--machine", "mi300x", "--sound"});
  EXPECT_LT(sound.as_array()->size(), all.as_array()->size());
  for (const Json& figure : *sound.as_array()) EXPECT_TRUE(figure.Find("caution")->is_null());
}

TEST(Published, RefusesWordsThatNoFigureHas) {
  const Outcome outcome = RunProgram({"published", "--machine", "h100"});
  EXPECT_EQ(outcome.exit_code, 1);
  EXPECT_NE(outcome.err.find("no published figure has 'h100'; there is h100-sxm"), std::string::npos) << outcome.err;
  EXPECT_EQ(RunProgram({"published", "--format", "xml"}).exit_code, 1);
  const Outcome nothing = RunProgram({"published", "--machine", "l4", "--stack", "llama.cpp"});
  EXPECT_EQ(nothing.exit_code, 1);
  EXPECT_NE(nothing.err.find("no figure matches"), std::string::npos) << nothing.err;
}

}  // namespace
}  // namespace lodestone::testing
