#include "report/measure.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>

namespace lodestone {
namespace {

const std::vector<std::string> kNames{"tokens_generated",
                                      "prompt_time_s",
                                      "token_gen_time_s",
                                      "system_throughput_tokens_per_s",
                                      "throughput_tokens_per_s_per_card",
                                      "latency_s_per_token",
                                      "space_metric_tokens_per_s_per_transistor",
                                      "energy_metric_tokens_per_j",
                                      "ttft_s",
                                      "itl_s"};

Measure Named(const BatchRun& run, const std::string& name) {
  for (Measure& measure : MeasuresOf(run)) {
    if (measure.name == name) return std::move(measure);
  }
  ADD_FAILURE() << "no measure " << name;
  return {};
}
double ValueOf(const BatchRun& run, const std::string& name) {
  return Named(run, name).value.value_or(std::numeric_limits<double>::quiet_NaN());
}

// The run of the paper: 28 users, 1,024 tokens each, 1.0112 s, 16 cards of 42 W and 22e9 transistors.
BatchRun Hpec() {
  BatchRun run;
  run.users = 28;
  run.tokens_generated = 28 * 1024;
  run.prompt_time_s = 0.1;
  run.token_gen_time_s = 28 * 1024 / 28356.0 - 0.1;
  run.cards = 16;
  run.power_w_per_card = 42;
  run.transistors_per_card = 22e9;
  run.ttft_s = 0.05;
  run.itl_s = 0.0009;
  run.provenance = Provenance::kSimulated;
  run.power_provenance = Provenance::kPublished;
  return run;
}

TEST(Measures, AreThosePublishedForThePapersRun) {
  const BatchRun run = Hpec();
  EXPECT_DOUBLE_EQ(ValueOf(run, "tokens_generated"), 28672);
  EXPECT_DOUBLE_EQ(ValueOf(run, "prompt_time_s"), 0.1);
  EXPECT_NEAR(ValueOf(run, "system_throughput_tokens_per_s"), 28356, 1e-6);
  EXPECT_NEAR(ValueOf(run, "throughput_tokens_per_s_per_card"), 1772.25, 1e-6);
  EXPECT_NEAR(ValueOf(run, "latency_s_per_token"), 0.98745e-3, 1e-8);
  EXPECT_NEAR(ValueOf(run, "space_metric_tokens_per_s_per_transistor"), 1772.25 / 22e9, 1e-15);
  EXPECT_NEAR(ValueOf(run, "energy_metric_tokens_per_j"), 42.196, 1e-3);
  EXPECT_DOUBLE_EQ(ValueOf(run, "ttft_s"), 0.05);
  EXPECT_DOUBLE_EQ(ValueOf(run, "itl_s"), 0.0009);
}

TEST(Measures, ComeInTheOrderOfTheirNamesWithUnits) {
  const auto measures = MeasuresOf(Hpec());
  ASSERT_EQ(measures.size(), kNames.size());
  const std::vector<std::string> units{
      "tokens", "s", "s", "tokens/s", "tokens/s/card", "s/token", "tokens/s/transistor", "tokens/J", "s", "s"};
  for (size_t i = 0; i < kNames.size(); ++i) {
    EXPECT_EQ(measures[i].name, kNames[i]);
    EXPECT_EQ(measures[i].unit, units[i]);
    EXPECT_EQ(measures[i].provenance, Provenance::kSimulated);
  }
}

TEST(Measures, AnEnergyThatRestsOnAnotherSourceSaysSo) {
  BatchRun run = Hpec();
  EXPECT_EQ(Named(run, "energy_metric_tokens_per_j").reason, "rests on a published power of 42 W a card");
  run.power_provenance = Provenance::kUserStated;
  EXPECT_EQ(Named(run, "energy_metric_tokens_per_j").provenance, Provenance::kUserStated);
  run.provenance = run.power_provenance = Provenance::kMeasured;
  EXPECT_EQ(Named(run, "energy_metric_tokens_per_j").reason, "");
}

TEST(Measures, WhatIsUnknownIsUnavailableWithItsReason) {
  BatchRun run = Hpec();
  run.power_w_per_card = run.transistors_per_card = run.ttft_s = run.itl_s = std::nullopt;
  run.power_reason = "this host has no energy counter";
  for (const auto& [name, reason] : std::vector<std::pair<std::string, std::string>>{
           {"energy_metric_tokens_per_j", "this host has no energy counter"},
           {"space_metric_tokens_per_s_per_transistor", "the number of transistors of a card is not known"},
           {"ttft_s", "no user had a first token"},
           {"itl_s", "no user had a second token"}}) {
    const Measure measure = Named(run, name);
    EXPECT_FALSE(measure.value.has_value()) << name;
    EXPECT_EQ(measure.reason, reason);
    EXPECT_FALSE(measure.unit.empty());
  }
  EXPECT_TRUE(Named(run, "latency_s_per_token").value.has_value());
  run.power_w_per_card = 0;
  EXPECT_FALSE(Named(run, "energy_metric_tokens_per_j").value.has_value());
}

TEST(Measures, ARunWithoutTimeOrTokensHasNoRates) {
  BatchRun run = Hpec();
  run.prompt_time_s = run.token_gen_time_s = 0;
  for (const char* name : {"system_throughput_tokens_per_s", "throughput_tokens_per_s_per_card", "latency_s_per_token",
                           "space_metric_tokens_per_s_per_transistor", "energy_metric_tokens_per_j"}) {
    EXPECT_FALSE(Named(run, name).value.has_value()) << name;
    EXPECT_EQ(Named(run, name).reason, "no time passed") << name;
  }
  EXPECT_DOUBLE_EQ(ValueOf(run, "tokens_generated"), 28672);
  run = Hpec();
  run.tokens_generated = 0;
  EXPECT_EQ(Named(run, "latency_s_per_token").reason, "no token was generated");
}

TEST(Measures, ANumberThatIsNoneIsUnavailable) {
  const Measure measure = Measure::Of("x", std::nan(""), "s", Provenance::kMeasured);
  EXPECT_FALSE(measure.value.has_value());
  EXPECT_NE(measure.reason.find("not a number"), std::string::npos);
  EXPECT_EQ(Measure::Unavailable("x", "s", Provenance::kMeasured, "").reason, "not known");
}

TEST(Measures, JsonHasEveryKeyAlways) {
  Measure measure = Measure::Of("itl_s", 0.5, "s", Provenance::kEstimated);
  EXPECT_EQ(ToJson(measure).Dump(-1),
            R"({"value":0.5,"unit":"s","provenance":"estimated","low":null,"high":null,"reason":null})");
  measure.low = 0.25;
  measure.high = 1;
  EXPECT_EQ(ToJson(measure).Dump(-1),
            R"({"value":0.5,"unit":"s","provenance":"estimated","low":0.25,"high":1.0,"reason":null})");
  EXPECT_EQ(ToJson(Measure::Unavailable("itl_s", "s", Provenance::kMeasured, "one token")).Dump(-1),
            R"({"value":null,"unit":"s","provenance":"measured","low":null,"high":null,"reason":"one token"})");
}

// The paper's equations are tied to each other; a ratio of doubles is off by a few roundings.
TEST(MeasuresProperty, TheEquationsAgree) {
  for (uint32_t seed = 0; seed < 500; ++seed) {
    std::mt19937 random(seed);
    const auto draw = [&](double low, double high) {
      return std::uniform_real_distribution<double>(low, high)(random);
    };
    BatchRun run;
    run.users = std::floor(draw(1, 500));
    run.tokens_generated = run.users * std::floor(draw(1, 4000));
    run.prompt_time_s = draw(0, 10);
    run.token_gen_time_s = draw(1e-3, 100);
    run.cards = static_cast<int>(draw(1, 300));
    run.power_w_per_card = draw(1, 700);
    run.transistors_per_card = draw(1e9, 1e11);
    const double system = ValueOf(run, "system_throughput_tokens_per_s");
    const double latency = ValueOf(run, "latency_s_per_token");
    const auto near = [&](double a, double b) { EXPECT_NEAR(a, b, 8 * 0x1p-52 * std::abs(b)) << "seed " << seed; };
    near(latency, run.users / system);
    near(system * (run.prompt_time_s + run.token_gen_time_s), run.tokens_generated);
    near(ValueOf(run, "throughput_tokens_per_s_per_card") * run.cards, system);
    near(ValueOf(run, "energy_metric_tokens_per_j") * *run.power_w_per_card * run.cards, system);
    near(ValueOf(run, "space_metric_tokens_per_s_per_transistor") * *run.transistors_per_card * run.cards, system);
  }
}

}  // namespace
}  // namespace lodestone
