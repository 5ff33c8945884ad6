// The run of the NorthPole paper, simulated without weights.
#include <gtest/gtest.h>

#include <cmath>

#include "e2e/program.h"

namespace lodestone::testing {
namespace {

std::vector<std::string> Paper() {
  return {"simulate", "--model", "granite-3b-14l",  "--appliance", "northpole-16",    "--recipe", "w4a4",
          "--users",  "28",      "--micro-batches", "14",          "--prompt-tokens", "1024",     "--tokens",
          "1024"};
}

TEST(Simulate, PaperRunIsWithinFivePercentOfThePublishedFigures) {
  const Json record = RunJson(Paper());
  EXPECT_NEAR(MeasureOf(record, "system_throughput_tokens_per_s"), 28356, 0.05 * 28356);
  EXPECT_NEAR(MeasureOf(record, "latency_s_per_token"), 0.987e-3, 0.05 * 0.987e-3);
  EXPECT_EQ(MeasureOf(record, "tokens_generated"), 28 * 1024);
  // Prompt and decode apart, and together the whole (equation 2).
  const double total = MeasureOf(record, "prompt_time_s") + MeasureOf(record, "token_gen_time_s");
  EXPECT_NEAR(28 * 1024 / total, MeasureOf(record, "system_throughput_tokens_per_s"), 1);
}

TEST(Simulate, RecordHoldsIdealPublishedAndAssumedFigures) {
  const Json record = RunJson(Paper());
  const Json* ideal = record.Find("ideal");
  ASSERT_NE(ideal, nullptr);
  const double rate = *ideal->Find("system_throughput_tokens_per_s")->Find("value")->as_number();
  EXPECT_GT(rate, MeasureOf(record, "system_throughput_tokens_per_s"));
  ASSERT_NE(record.Find("published"), nullptr);
  EXPECT_GE(record.Find("published")->as_array()->size(), 5u);
  bool fitted = false;
  for (const Json& assumption : *record.Find("assumed")->as_array()) {
    fitted = fitted || assumption.Find("name")->as_string()->ends_with("operator_overhead_cycles");
  }
  EXPECT_TRUE(fitted);
  for (const Json& stage : *record.Find("stages")->as_array()) {
    const double occupancy = *stage.Find("occupancy")->as_number();
    EXPECT_GT(occupancy, 0);
    EXPECT_LE(occupancy, 1);
  }
  EXPECT_EQ(record.Find("stages")->as_array()->size(), 16u);
}

TEST(Simulate, IdealAloneUsesNoFittedConstant) {
  std::vector<std::string> words = Paper();
  words.push_back("--ideal");
  const Json record = RunJson(words);
  for (const Json& assumption : *record.Find("assumed")->as_array()) {
    EXPECT_FALSE(assumption.Find("name")->as_string()->ends_with("operator_overhead_cycles"));
  }
  EXPECT_EQ(MeasureOf(record, "system_throughput_tokens_per_s"),
            *record.Find("ideal")->Find("system_throughput_tokens_per_s")->Find("value")->as_number());
}

TEST(Simulate, SameInputSameBytes) {
  const Outcome first = RunProgram(Paper()), second = RunProgram(Paper());
  EXPECT_EQ(first.exit_code, 0) << first.err;
  EXPECT_EQ(first.out, second.out);
  EXPECT_NE(first.out.find("28,356"), std::string::npos) << first.out;
}

// Tokens or not, the clock is the same: a run with tokens takes the virtual time that simulate says.
TEST(Simulate, TimesAreThoseOfARunWithTokens) {
  const Json simulated =
      RunJson({"simulate", "--model", "random:nano-14l", "--appliance", "northpole-16", "--recipe", "w4a8", "--users",
               "6", "--micro-batches", "4", "--prompt-tokens", "9", "--tokens", "10", "--prefill-chunk", "4"});
  // Eight bytes and the begin-of-text token are nine prompt tokens.
  const Json generated = RunJson({"generate", "--model", "random:nano-14l", "--appliance", "northpole-16", "--recipe",
                                  "w4a8", "--users", "6", "--micro-batches", "4", "--prompt", "lodeston", "--tokens",
                                  "10", "--prefill-chunk", "4", "--ignore-eos"});
  for (const char* name : {"prompt_time_s", "token_gen_time_s", "ttft_s", "itl_s", "system_throughput_tokens_per_s"}) {
    EXPECT_EQ(MeasureOf(simulated, name), MeasureOf(generated, name)) << name;
  }
}

}  // namespace
}  // namespace lodestone::testing
