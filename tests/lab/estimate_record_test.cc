#include "lab/estimate_record.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace lodestone {
namespace {

EstimatedRun Ask(const std::string& machine, const std::string& model, const InferenceLoad& load,
                 const std::string& stack = "") {
  EstimatedRun run{.config = *LoadModelConfig(model),
                   .recipe = *ParseRecipe("bf16"),
                   .deployment = {},
                   .load = load,
                   .estimate = {}};
  Result<Machine> found = LoadMachine(machine);
  EXPECT_TRUE(found.ok()) << (found.ok() ? "" : found.error().message);
  run.deployment.machine = *std::move(found);
  run.deployment.stack = stack;
  Result<InferenceEstimate> estimate = EstimateInference(run.config, run.recipe, run.deployment, load);
  EXPECT_TRUE(estimate.ok()) << (estimate.ok() ? "" : estimate.error().message);
  run.estimate = *std::move(estimate);
  return run;
}

const Measure& Find(const RunRecord& record, std::string_view name) {
  for (const Measure& measure : record.measures) {
    if (measure.name == name) return measure;
  }
  ADD_FAILURE() << name;
  return record.measures[0];
}

TEST(EstimateRecord, MeasuresAreThoseOfThePaperWithRanges) {
  const EstimatedRun run = Ask("h100-sxm", "llama-3-8b", {.batch = 8, .prompt_tokens = 512, .output_tokens = 128});
  const RunRecord record = RecordOf(run);
  EXPECT_EQ(record.target.appliance, "h100-sxm");
  EXPECT_EQ(record.workload.users, 8);
  for (const Measure& measure : record.measures) EXPECT_EQ(measure.provenance, Provenance::kEstimated) << measure.name;
  const Measure& system = Find(record, "system_throughput_tokens_per_s");
  EXPECT_NEAR(*system.value, run.estimate.output_tokens_per_s.typical, 1e-6 * *system.value);
  EXPECT_LT(*system.low, *system.value);
  EXPECT_GT(*system.high, *system.value);
  const Measure& latency = Find(record, "latency_s_per_token");
  EXPECT_NEAR(*latency.value * *system.value, 8, 1e-9);
  EXPECT_NEAR(*latency.low * *system.high, 8, 1e-9);
  EXPECT_NE(Find(record, "energy_metric_tokens_per_j").reason.find("power"), std::string::npos);
  // Factors that no source gives are listed with their notes.
  const auto factor = std::find_if(record.assumed.begin(), record.assumed.end(),
                                   [](const Assumption& a) { return a.name.starts_with("factor."); });
  ASSERT_NE(factor, record.assumed.end());
  EXPECT_FALSE(factor->note.empty());
}

TEST(EstimateRecord, WhatAMachineDoesNotStateIsUnavailable) {
  EstimatedRun run = Ask("h100-sxm", "llama-3-8b", {.batch = 1, .prompt_tokens = 16, .output_tokens = 1});
  run.deployment.machine.price_usd_per_hour = std::nullopt;
  run.estimate.usd_per_million_output_tokens = std::nullopt;
  const RunRecord record = RecordOf(run);
  EXPECT_FALSE(Find(record, "user_throughput_tokens_per_s").value);
  EXPECT_FALSE(Find(record, "user_throughput_tokens_per_s").reason.empty());
  EXPECT_NE(Find(record, "usd_per_million_tokens").reason.find("price"), std::string::npos);
}

TEST(EstimateRecord, PublishedRowsOfTheSameCaseStandBeside) {
  const EstimatedRun run =
      Ask("a100-40gb", "llama-3-8b", {.batch = 16, .prompt_tokens = 1024, .output_tokens = 1024}, "vllm");
  const Result<std::vector<PublishedBeside>> beside = PublishedRowsBeside(run);
  ASSERT_TRUE(beside.ok()) << beside.error().message;
  ASSERT_FALSE(beside->empty());
  for (const PublishedBeside& one : *beside) {
    EXPECT_EQ(one.row->batch, 16);
    EXPECT_EQ(one.row->stack, "vllm");
    EXPECT_EQ(one.row->devices, 1);
    const bool throughput = one.row->metric == "total_throughput";
    if (throughput) {
      EXPECT_DOUBLE_EQ(one.estimated.typical, run.estimate.total_tokens_per_s.typical);
    }
  }
  EstimatedRun other = run;
  other.load.batch = 17;  // nobody published that
  EXPECT_TRUE(PublishedRowsBeside(other)->empty());
}

TEST(EstimateRecord, IdealRestsOnNoFactor) {
  EstimatedRun run = Ask("h100-sxm", "llama-3-8b", {.batch = 1, .prompt_tokens = 16, .output_tokens = 16});
  run.deployment.level = EstimateLevel::kIdeal;
  for (const Assumption& assumption : AssumptionsOf(run.deployment)) {
    EXPECT_FALSE(assumption.name.starts_with("factor.")) << assumption.name;
  }
}

}  // namespace
}  // namespace lodestone
