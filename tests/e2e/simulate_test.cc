// The run of the NorthPole paper, simulated without weights.
#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "base/file.h"
#include "base/json.h"
#include "e2e/program.h"

namespace lodestone::testing {
namespace {

std::vector<std::string> Paper() {
  return {"simulate", "--model", "granite-3b-14l",  "--appliance", "northpole-16",    "--recipe", "w4a4",
          "--users",  "28",      "--micro-batches", "14",          "--prompt-tokens", "1024",     "--tokens",
          "1024"};
}

TEST(Simulate, PaperRunIsWithinTwoPercentOfThePublishedFigures) {
  const Json record = RunJson(Paper());
  EXPECT_NEAR(MeasureOf(record, "system_throughput_tokens_per_s"), 28356, 0.02 * 28356);
  EXPECT_NEAR(MeasureOf(record, "latency_s_per_token"), 0.987e-3, 0.02 * 0.987e-3);
  EXPECT_NEAR(MeasureOf(record, "energy_metric_tokens_per_j"), 42.2, 0.02 * 42.2);
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
    fitted = fitted || assumption.Find("name")->as_string()->ends_with("operator_start_cycles");
  }
  EXPECT_TRUE(fitted);
  for (const Json& stage : *record.Find("stages")->as_array()) {
    const double occupancy = *stage.Find("occupancy")->as_number();
    EXPECT_GT(occupancy, 0);
    EXPECT_LE(occupancy, 1);
  }
  EXPECT_EQ(record.Find("stages")->as_array()->size(), 16u);
}

// Nothing is fitted on the rack, and whoever reads the figures beside its published one is told.
TEST(Simulate, RackStandsBesideItsPublishedLatencyAsAPrediction) {
  const std::vector<std::string> rack{
      "simulate", "--model", "granite-3.3-8b",  "--appliance", "northpole-288", "--recipe", "w4a8c8",
      "--users",  "28",      "--prompt-tokens", "1024",        "--tokens",      "1024"};
  const Outcome outcome = RunProgram(rack);
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_NE(outcome.out.find("DeBole"), std::string::npos) << outcome.out;
  EXPECT_NE(outcome.out.find("No constant is fitted on this run"), std::string::npos) << outcome.out;
  EXPECT_EQ(outcome.out.find("is no evidence"), std::string::npos) << outcome.out;
  const Json record = RunJson(rack);
  ASSERT_NE(record.Find("published_run"), nullptr);
  EXPECT_EQ(*record.Find("published_run")->Find("name")->as_string(), "northpole-rack2025");
}

TEST(Simulate, IdealAloneUsesNoFittedConstant) {
  std::vector<std::string> words = Paper();
  words.push_back("--ideal");
  const Json record = RunJson(words);
  for (const Json& assumption : *record.Find("assumed")->as_array()) {
    EXPECT_FALSE(assumption.Find("name")->as_string()->ends_with("operator_start_cycles"));
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

// No constant is fitted on the rack: DeBole et al., arXiv 2511.15950, print 2.8 ms between the tokens of a user.
TEST(Simulate, RackIsPredictedWithTheConstantsOfThePaperRun) {
  const Json record = RunJson({"simulate", "--model", "granite-3.3-8b", "--appliance", "northpole-288", "--recipe",
                               "w4a8c8", "--users", "28", "--prompt-tokens", "1024", "--tokens", "1024"});
  EXPECT_NEAR(MeasureOf(record, "itl_s"), 2.8e-3, 0.15 * 2.8e-3);
  EXPECT_EQ(*record.Find("instances")->as_int(), 3);
  const Json& itl = *record.Find("measures")->Find("itl_s");
  EXPECT_LT(*itl.Find("low")->as_number(), 2.8e-3);
  EXPECT_GT(*itl.Find("high")->as_number(), 2.8e-3);
}

TEST(Simulate, EveryMeasureLiesBetweenItsEnds) {
  const Json record = RunJson(Paper());
  int ranged = 0;
  for (const auto& [name, measure] : *record.Find("measures")->as_object()) {
    if (!measure.Find("low")->as_number()) continue;
    ++ranged;
    EXPECT_LE(*measure.Find("low")->as_number(), *measure.Find("value")->as_number()) << name;
    EXPECT_GE(*measure.Find("high")->as_number(), *measure.Find("value")->as_number()) << name;
  }
  EXPECT_GE(ranged, 8);
}

TEST(Simulate, EnergyIsTheSumOfItsPartsAndOfTheStages) {
  const Json record = RunJson(Paper());
  const Json& energy = *record.Find("energy");
  double parts = 0;
  for (const char* part : {"static_j", "matrix_j", "memory_j", "vector_j", "network_j", "link_j"}) {
    parts += *energy.Find(part)->as_number();
  }
  EXPECT_NEAR(parts, *energy.Find("total_j")->as_number(), 1e-9 * parts);
  double dynamic = *energy.Find("static_j")->as_number();
  for (const Json& stage : *record.Find("stages")->as_array()) dynamic += *stage.Find("dynamic_j")->as_number();
  EXPECT_NEAR(dynamic, parts, 1e-9 * parts);
}

TEST(Simulate, TransfersThroughTheHostAreSlowerAndShownBesideDirectOnes) {
  std::vector<std::string> words = Paper();
  words.insert(words.end(), {"--transfers", "host"});
  const Outcome outcome = RunProgram(words);
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_NE(outcome.out.find("card to card"), std::string::npos) << outcome.out;
  EXPECT_NE(outcome.out.find("through host memory"), std::string::npos);
  words.push_back("--json");
  EXPECT_LT(MeasureOf(RunJson(words), "system_throughput_tokens_per_s"),
            MeasureOf(RunJson(Paper()), "system_throughput_tokens_per_s"));
}

TEST(Simulate, SensitivityCoversEveryConstantWithoutASource) {
  std::vector<std::string> words = Paper();
  words.push_back("--sensitivity");
  const Json record = RunJson(words);
  std::set<std::string> figures;
  for (const Json& row : *record.Find("sensitivity")->Find("figures")->as_array()) {
    figures.insert(*row.Find("figure")->as_string());
  }
  for (const Json& assumption : *record.Find("assumed")->as_array()) {
    EXPECT_TRUE(figures.contains(*assumption.Find("name")->as_string())) << *assumption.Find("name")->as_string();
  }
}

TEST(Simulate, WritesATraceAndAPageThatStandAlone) {
  const TemporaryFolder folder;
  std::vector<std::string> words = Paper();
  words.insert(words.end(), {"--report", folder.path() + "/run.html"});
  const Outcome outcome = RunProgram(words);
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_EQ(
      RunProgram({"simulate", "--model", "granite-3b-14l", "--appliance", "northpole-16", "--recipe", "w4a4", "--users",
                  "3", "--prompt-tokens", "9", "--tokens", "3", "--trace", folder.path() + "/run.json"})
          .exit_code,
      0);
  const auto trace = ReadFile(folder.path() + "/run.json", size_t{1} << 30);
  ASSERT_TRUE(trace.ok());
  EXPECT_TRUE(ParseJson(*trace, "run.json").ok());
  const auto page = ReadFile(folder.path() + "/run.html", size_t{1} << 30);
  ASSERT_TRUE(page.ok());
  EXPECT_NE(page->find("28,356"), std::string::npos);
  for (const char* stranger : {"<script", "http://", "src=", "@import"}) {
    const size_t found = page->find(stranger);
    EXPECT_TRUE(found == std::string::npos || page->compare(found, 18, "http://www.w3.org/") == 0)
        << page->substr(found, 80);
  }
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
