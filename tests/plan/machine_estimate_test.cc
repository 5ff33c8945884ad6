#include "plan/machine_estimate.h"

#include <gtest/gtest.h>

#include "test_machine.h"
#include "test_models.h"

namespace lodestone {
namespace {

using testing::Calibrated;
using testing::Ideal;
using testing::RoundMachine;

// Seven billion parameters, as Llama 2.
ModelConfig Llama7() {
  ModelConfig config = testing::TinyLlama();
  config.name = "llama-7";
  config.layers = 32;
  config.hidden = 4096;
  config.ffn = 11008;
  config.heads = config.kv_heads = 32;
  config.head_dim = config.rope.rotary_dim = 128;
  config.vocab = 32000;
  config.max_positions = 1 << 20;
  return config;
}

Recipe Bf16() { return *ParseRecipe("bf16"); }

InferenceEstimate Estimate(const Deployment& deployment, const InferenceLoad& load,
                           const ModelConfig& config = Llama7(), const Recipe& recipe = Bf16()) {
  Result<InferenceEstimate> estimate = EstimateInference(config, recipe, deployment, load);
  EXPECT_TRUE(estimate.ok()) << (estimate.ok() ? "" : estimate.error().message);
  return *std::move(estimate);
}

Error Refusal(const Deployment& deployment, const InferenceLoad& load, const ModelConfig& config = Llama7()) {
  const Result<InferenceEstimate> estimate = EstimateInference(config, Bf16(), deployment, load);
  EXPECT_FALSE(estimate.ok());
  return estimate.ok() ? Error{} : estimate.error();
}

TEST(MachineEstimate, IdealDecodingIsBytesOverBandwidth) {
  const InferenceEstimate estimate = Estimate(Ideal(), {.batch = 1, .prompt_tokens = 1000, .output_tokens = 100});
  // Of a layer 4 h² + 3 h f weights, and the output layer; KV of 2 × 4096 values a layer and position, read at 1050 of
  // them on average. 2 bytes each, 1 TB/s. Norms and activations are what is left.
  const double weights = 2.0 * (32 * (4.0 * 4096 * 4096 + 3.0 * 4096 * 11008) + 32000.0 * 4096);
  const double kv = 2.0 * 2 * 4096 * 32 * 1050;
  ASSERT_TRUE(estimate.tpot_s);
  EXPECT_GT(estimate.tpot_s->typical, (weights + kv) / 1e12);
  EXPECT_LT(estimate.tpot_s->typical, (weights + kv) / 1e12 * 1.003);
  // All bytes that the kernels of the middle step list, at 1 TB/s.
  double bytes = 0;
  for (const OperatorShare& share : estimate.decode) bytes += static_cast<double>(share.bytes);
  EXPECT_NEAR(estimate.tpot_s->typical, bytes / 1e12, 1e-9);
}

TEST(MachineEstimate, IdealPromptsAreOperationsOverRate) {
  const InferenceEstimate estimate = Estimate(Ideal(), {.batch = 4, .prompt_tokens = 2000, .output_tokens = 1});
  const double linear = 2.0 * 8000 * 32 * (4.0 * 4096 * 4096 + 3.0 * 4096 * 11008);
  const double attention = 4 * (4.0 * 2000 * 2001 / 2) * 4096 * 32;
  const double compute_s = (linear + attention) / 100e12;
  EXPECT_GT(estimate.ttft_s.typical, compute_s);
  EXPECT_LT(estimate.ttft_s.typical, compute_s * 1.1);  // row operators are bound by memory, one after the other
  EXPECT_FALSE(estimate.tpot_s);
  EXPECT_DOUBLE_EQ(estimate.total_s.typical, estimate.ttft_s.typical);
}

TEST(MachineEstimate, StepsCostWhatTheFactorsSay) {
  const InferenceLoad load{.batch = 8, .prompt_tokens = 100, .output_tokens = 50};
  Deployment with = Ideal(), without = Ideal();
  with.level = without.level = EstimateLevel::kCalibrated;
  with.efficiency = without.efficiency = IdealEfficiency();
  with.efficiency->launch_s.value = 10e-6;
  with.efficiency->step_s.value = 1e-3;
  with.efficiency->sequence_s.value = 1e-4;
  with.efficiency->run_s.value = 0.5;
  // 10 kernels a layer, of which the last starts with the next layer's first; embedding, norm and output.
  const double a_step = (32 * 9 + 3) * 10e-6 + 1e-3 + 8 * 1e-4;
  const InferenceEstimate slow = Estimate(with, load), fast = Estimate(without, load);
  EXPECT_NEAR(slow.tpot_s->typical - fast.tpot_s->typical, a_step, 1e-9);
  EXPECT_NEAR(slow.ttft_s.typical - fast.ttft_s.typical, a_step + 0.5, 1e-9);
  EXPECT_NEAR(slow.total_s.typical - fast.total_s.typical, 50 * a_step + 0.5, 1e-8);
}

TEST(MachineEstimate, MeasuresFollowFromTheTimes) {
  const InferenceEstimate e = Estimate(Calibrated(), {.batch = 16, .prompt_tokens = 512, .output_tokens = 256});
  EXPECT_EQ(e.concurrent, 16);
  EXPECT_NEAR(e.total_s.typical, e.ttft_s.typical + 255 * e.tpot_s->typical, 1e-9);
  EXPECT_NEAR(e.output_tokens_per_s.typical, 16 * 256 / e.total_s.typical, 1e-6);
  EXPECT_NEAR(e.total_tokens_per_s.typical, 16 * 768 / e.total_s.typical, 1e-6);
  EXPECT_NEAR(e.output_tokens_per_s_per_user->typical, 1 / e.tpot_s->typical, 1e-9);
  EXPECT_EQ(e.power_basis, "typical");
  EXPECT_NEAR(e.output_tokens_per_joule->typical, e.output_tokens_per_s.typical / 300, 1e-9);
  EXPECT_NEAR(*e.space_metric, e.output_tokens_per_s.typical / 50e9, 1e-15);
  // 2 USD an hour.
  EXPECT_NEAR(*e.usd_per_million_output_tokens, 2 / (e.output_tokens_per_s.typical * 3600 / 1e6), 1e-9);
}

TEST(MachineEstimate, WhatIsUnknownIsAbsentWithAReason) {
  Machine machine = RoundMachine();
  machine.typical_w = machine.transistors = machine.price_usd_per_hour = std::nullopt;
  const InferenceLoad load{.batch = 1, .prompt_tokens = 16, .output_tokens = 16};
  const InferenceEstimate estimate = Estimate(Ideal(machine), load);
  EXPECT_FALSE(estimate.watts_per_device);
  EXPECT_FALSE(estimate.output_tokens_per_joule);
  EXPECT_NE(estimate.power_basis.find("limit_w"), std::string::npos);
  EXPECT_FALSE(estimate.space_metric);
  EXPECT_FALSE(estimate.usd_per_million_output_tokens);
  machine.limit_w = testing::Sheet(400);
  EXPECT_EQ(Estimate(Ideal(machine), load).power_basis, "limit");
}

TEST(MachineEstimate, RequestsThatMemoryDoesNotHoldWait) {
  Machine machine = RoundMachine();
  // Weights and tables of 13.5 GB; a request of 2048 positions keeps 1.07 GB of KV: seven or eight fit in 22 GB.
  machine.memory[0].capacity_bytes = testing::Sheet(22e9);
  const InferenceLoad eight{.batch = 7, .prompt_tokens = 1024, .output_tokens = 1024};
  InferenceLoad many = eight;
  many.batch = 70;
  const InferenceEstimate few = Estimate(Ideal(machine), eight), all = Estimate(Ideal(machine), many);
  EXPECT_LT(all.concurrent, 10);
  EXPECT_GE(all.concurrent, 7);
  EXPECT_LT(all.output_tokens_per_s.typical, few.output_tokens_per_s.typical * 1.2);
  EXPECT_GT(all.total_s.typical, 8 * few.total_s.typical);
  EXPECT_LE(all.ledger.used(), all.ledger.capacity);
  EXPECT_EQ(Estimate(Ideal(), many).concurrent, 70);
}

TEST(MachineEstimate, WhatDoesNotFitSaysWhatWould) {
  Machine machine = RoundMachine();
  machine.memory[0].capacity_bytes = testing::Sheet(10e9);
  const InferenceLoad load{.batch = 1, .prompt_tokens = 128, .output_tokens = 128};
  const Error weights = Refusal(Ideal(machine), load);
  EXPECT_EQ(weights.code, ErrorCode::kInfeasible);
  EXPECT_NE(weights.message.find("weight codes"), std::string::npos) << weights.message;
  EXPECT_NE(weights.message.find("devices"), std::string::npos) << weights.message;
  machine.memory[0].capacity_bytes = testing::Sheet(15e9);
  const Error kv = Refusal(Ideal(machine), {.batch = 1, .prompt_tokens = 8000, .output_tokens = 1000});
  EXPECT_NE(kv.message.find("positions would fit"), std::string::npos) << kv.message;
  Deployment two = Ideal(machine);
  two.parallelism.tensor = 2;
  EXPECT_EQ(Estimate(two, load).devices, 2);
}

TEST(MachineEstimate, TensorParallelHalvesBytesAndAddsAllReduces) {
  const InferenceLoad load{.batch = 4, .prompt_tokens = 1000, .output_tokens = 101};
  Deployment two = Ideal();
  two.parallelism.tensor = 2;
  const InferenceEstimate one = Estimate(Ideal(), load), split = Estimate(two, load);
  // Two all-reduces a layer of 4 rows × 8192 bytes, and the logits gathered.
  const double reduces = 64 * (2e-6 + 4 * 8192 / 100e9);
  const double logits = 1e-6 + 4 * 64000 / 2.0 / 100e9;
  const double bytes = split.tpot_s->typical - reduces - logits;
  EXPECT_GT(bytes, one.tpot_s->typical / 2);
  EXPECT_LT(bytes, one.tpot_s->typical / 2 * 1.01);  // norms are whole on both
  EXPECT_LT(split.ledger.weight_codes, one.ledger.weight_codes * 51 / 100);
  const auto found = std::find_if(split.decode.begin(), split.decode.end(),
                                  [](const OperatorShare& share) { return share.name == "all-reduce"; });
  ASSERT_NE(found, split.decode.end());
  EXPECT_EQ(found->count, 64);
  EXPECT_NEAR(found->seconds, reduces, 1e-12);
  EXPECT_EQ(found->bound, RooflineBound::kLink);
}

TEST(MachineEstimate, APipelineKeepsItsStagesBusyOnlyWithGroups) {
  Deployment four = Ideal();
  four.parallelism.pipeline = 4;
  const InferenceLoad one{.batch = 1, .prompt_tokens = 512, .output_tokens = 128},
      many{.batch = 32, .prompt_tokens = 512, .output_tokens = 128};
  // One request waits for all stages; a batch is dealt to four groups, so that the stages work side by side.
  EXPECT_GE(Estimate(four, one).tpot_s->typical, Estimate(Ideal(), one).tpot_s->typical);
  EXPECT_GT(Estimate(four, many).output_tokens_per_s.typical,
            1.5 * Estimate(Ideal(), many).output_tokens_per_s.typical);
  EXPECT_LT(Estimate(four, many).output_tokens_per_s.typical, 4 * Estimate(Ideal(), many).output_tokens_per_s.typical);
  EXPECT_LT(Estimate(four, one).ledger.weight_codes, Estimate(Ideal(), one).ledger.weight_codes / 3);
  Deployment apart = four;
  apart.overlap_pipeline = false;
  EXPECT_GT(Estimate(apart, many).total_s.typical, Estimate(four, many).total_s.typical);
}

TEST(MachineEstimate, CopiesMultiplyThroughputAlone) {
  Deployment three = Calibrated();
  three.parallelism.data = 3;
  const InferenceLoad load{.batch = 4, .prompt_tokens = 64, .output_tokens = 64};
  const InferenceEstimate one = Estimate(Calibrated(), load), copies = Estimate(three, load);
  EXPECT_DOUBLE_EQ(copies.total_s.typical, one.total_s.typical);
  EXPECT_NEAR(copies.output_tokens_per_s.typical, 3 * one.output_tokens_per_s.typical, 1e-6);
  EXPECT_NEAR(copies.output_tokens_per_s_per_device.typical, one.output_tokens_per_s_per_device.typical, 1e-6);
  EXPECT_EQ(copies.devices, 3);
}

TEST(MachineEstimate, ChunksOfAPromptReadKvAndWeightsAgain) {
  const InferenceLoad load{.batch = 2, .prompt_tokens = 4000, .output_tokens = 2};
  Deployment chunked = Ideal();
  chunked.prefill_chunk = 128;
  const InferenceEstimate whole = Estimate(Ideal(), load), pieces = Estimate(chunked, load);
  EXPECT_GT(pieces.ttft_s.typical, whole.ttft_s.typical);
  EXPECT_LT(pieces.ledger.buffers, whole.ledger.buffers / 10);
  chunked.prefill_chunk = 4000;
  EXPECT_NEAR(Estimate(chunked, load).ttft_s.typical, whole.ttft_s.typical, 1e-3 * whole.ttft_s.typical);
}

TEST(MachineEstimate, FormatsWithoutAUnitAreRefusedByName) {
  Machine machine = RoundMachine();
  machine.peak_ops_per_s = {};
  machine.peak_ops_per_s[static_cast<size_t>(RateFormat::kInt8)] = testing::Sheet(1e12);
  const Error error = Refusal(Ideal(machine), {.batch = 1, .prompt_tokens = 8, .output_tokens = 8});
  EXPECT_EQ(error.code, ErrorCode::kInfeasible);
  EXPECT_NE(error.message.find("bf16"), std::string::npos) << error.message;
}

TEST(MachineEstimate, SizesOutOfBoundsAreRefused) {
  EXPECT_EQ(Refusal(Ideal(), {.batch = 0, .prompt_tokens = 1, .output_tokens = 1}).code, ErrorCode::kInvalid);
  EXPECT_EQ(Refusal(Ideal(), {.batch = 1, .prompt_tokens = 0, .output_tokens = 1}).code, ErrorCode::kInvalid);
  EXPECT_EQ(Refusal(Ideal(), {.batch = 1, .prompt_tokens = 1, .output_tokens = 0}).code, ErrorCode::kInvalid);
  const Error positions = Refusal(Ideal(), {.batch = 1, .prompt_tokens = 1 << 20, .output_tokens = 1});
  EXPECT_NE(positions.message.find("positions"), std::string::npos);
  Deployment deployment = Ideal();
  deployment.parallelism.pipeline = 33;
  EXPECT_EQ(Refusal(deployment, {.batch = 1, .prompt_tokens = 8, .output_tokens = 8}).code, ErrorCode::kInvalid);
  deployment = Ideal();
  deployment.level = EstimateLevel::kSelfCalibrated;
  EXPECT_EQ(Refusal(deployment, {.batch = 1, .prompt_tokens = 8, .output_tokens = 8}).code, ErrorCode::kUnsupported);
}

TEST(MachineEstimate, AttentionThatCannotBeCountedIsRefused) {
  ModelConfig config = Llama7();
  config.max_positions = int64_t{1} << 30;
  Deployment deployment = Ideal();
  deployment.machine.memory[0].capacity_bytes = std::nullopt;  // nothing is too large
  const InferenceLoad load{.batch = 1, .prompt_tokens = (int64_t{1} << 30) - 1, .output_tokens = 1};
  EXPECT_NE(Refusal(deployment, load, config).message.find("more operations than"), std::string::npos);
}

TEST(MachineEstimate, WhatIfsChangeWhatTheyName) {
  const InferenceLoad load{.batch = 1, .prompt_tokens = 2000, .output_tokens = 100};
  const Result<std::vector<WhatIf>> changes = WhatWouldChange(Llama7(), Bf16(), Ideal(), load);
  ASSERT_TRUE(changes.ok()) << changes.error().message;
  const auto find = [&](std::string_view what) {
    for (const WhatIf& change : *changes) {
      if (change.change.find(what) != std::string::npos) return change;
    }
    ADD_FAILURE() << what;
    return WhatIf{};
  };
  EXPECT_NEAR(find("bandwidth").decode, 0.5, 0.001);  // decoding is bound by memory
  EXPECT_GT(find("bandwidth").prefill, 0.9);
  EXPECT_DOUBLE_EQ(find("compute").decode, 1);
  EXPECT_LT(find("compute").prefill, 0.6);
  EXPECT_NEAR(find("weights").decode, 0.54, 0.01);  // 13.2 of 14.3 GB halved
  for (const WhatIf& change : *changes) EXPECT_EQ(change.change.find("links"), std::string::npos);
}

TEST(MachineEstimate, APlanTimedAtItsFactorsIsTheEstimate) {
  const InferenceLoad load{.batch = 8, .prompt_tokens = 300, .output_tokens = 40};
  const Deployment deployment = Calibrated();
  const Result<InferencePlan> plan = InferencePlan::Of(Llama7(), Bf16(), deployment, load);
  ASSERT_TRUE(plan.ok());
  const InferenceEstimate estimate = Estimate(deployment, load);
  EXPECT_DOUBLE_EQ(plan->TimesAt(plan->factors()).total_s, estimate.total_s.typical);
  Factors ideal;
  EXPECT_LT(plan->TimesAt(ideal).total_s, estimate.total_s.typical);
  EXPECT_EQ(plan->concurrent(), 8);
}

TEST(MachineEstimate, ExpertsOfCopiesInAPipelineMeetOverTheNetwork) {
  // Four copies of four stages: two copies a server, so that two of the four devices of a stage do.
  ModelConfig config = testing::TinyMixtral();
  config.layers = 4;
  Deployment deployment = Ideal();
  deployment.parallelism = {.pipeline = 4, .data = 4, .expert = 4};
  const InferenceLoad load{.batch = 4, .prompt_tokens = 16, .output_tokens = 16};
  EXPECT_NE(Refusal(deployment, load, config).message.find("network.bytes_per_s"), std::string::npos);
  deployment.machine.network_bytes_per_s = testing::Sheet(10e9);
  const InferenceEstimate estimate = Estimate(deployment, load, config);
  for (const OperatorShare& share : estimate.decode) {
    if (share.name != "all-to-all") continue;
    // Of a row's two experts a quarter to each; twice a layer, one request a group.
    const double quarter = 2.0 * config.hidden * 2 / 4;
    EXPECT_NEAR(share.seconds, 8 * (1e-6 + quarter / 100e9 + 2 * quarter / 10e9), 1e-12);
    return;
  }
  FAIL() << "no all-to-all";
}

TEST(MachineEstimate, MixturesReadTheExpertsThatAreAsked) {
  ModelConfig config = testing::TinyMixtral();
  config.experts = 8;
  config.hidden = 1024;
  config.ffn = 4096;
  const InferenceEstimate one = Estimate(Ideal(), {.batch = 1, .prompt_tokens = 16, .output_tokens = 16}, config);
  const InferenceEstimate many = Estimate(Ideal(), {.batch = 64, .prompt_tokens = 16, .output_tokens = 16}, config);
  const auto bytes = [](const InferenceEstimate& estimate) {
    for (const OperatorShare& share : estimate.decode) {
      if (share.name == "experts") return static_cast<double>(share.bytes);
    }
    return 0.0;
  };
  EXPECT_GT(bytes(one), 0);
  EXPECT_NEAR(bytes(many) / bytes(one), 4, 0.3);  // all eight instead of two
}

}  // namespace
}  // namespace lodestone
