// What the survey's families do to an estimate: the program, the load or the plan changes, no result is multiplied.
#include <gtest/gtest.h>

#include <cmath>

#include "plan/machine_estimate.h"
#include "test_machine.h"
#include "test_models.h"

namespace lodestone {
namespace {

using testing::Ideal;

// 16 layers of 12 × 2048² weights.
ModelConfig Model() {
  ModelConfig config = testing::TinyLlama();
  config.name = "model";
  config.layers = 16;
  config.hidden = 2048;
  config.ffn = 8192;
  config.heads = config.kv_heads = 16;
  config.head_dim = config.rope.rotary_dim = 128;
  config.vocab = 1024;
  config.max_positions = 1 << 20;
  return config;
}

constexpr InferenceLoad kLoad{.batch = 2, .prompt_tokens = 4000, .output_tokens = 401};

Result<InferenceEstimate> With(const std::vector<std::string>& words, const InferenceLoad& load = kLoad,
                               Deployment deployment = Ideal()) {
  Result<Methods> methods = ParseMethods(words);
  if (!methods.ok()) return methods.error();
  deployment.methods = *std::move(methods);
  return EstimateInference(Model(), *ParseRecipe("bf16"), deployment, load);
}

double Tpot(const std::vector<std::string>& words, const InferenceLoad& load = kLoad) {
  const Result<InferenceEstimate> estimate = With(words, load);
  EXPECT_TRUE(estimate.ok()) << (estimate.ok() ? "" : estimate.error().message);
  return estimate.ok() && estimate->tpot_s ? estimate->tpot_s->typical : NAN;
}

TEST(MachineMethods, EvictionBoundsWhatAttentionReads) {
  // KV of 2 × 2048 values a layer in 2 bytes, two requests at 4200 positions on average; 1 TB/s.
  const double a_position = 2.0 * 2 * 2048 * 2 * 16 / 1e12;
  EXPECT_NEAR(Tpot({}) - Tpot({"kv-budget=1000"}), a_position * 3200, a_position * 5);
  EXPECT_DOUBLE_EQ(Tpot({"kv-budget=100000"}), Tpot({}));
}

TEST(MachineMethods, SparseWeightsAreNotRead) {
  const InferenceLoad one{.batch = 1, .prompt_tokens = 16, .output_tokens = 64};
  const double dense = Tpot({}, one);
  EXPECT_NEAR(Tpot({"weight-sparsity=tiles:0.5"}, one) / dense, 0.5, 0.03);
  EXPECT_NEAR(Tpot({"weight-sparsity=2:4"}, one) / dense, 0.5 + 0.0625, 0.03);  // two bits a kept weight of 16
  EXPECT_NEAR(Tpot({"weight-sparsity=0.5"}, one) / dense, 0.5 + 0.0625, 0.03);  // a bit a weight of 16
}

TEST(MachineMethods, EarlyExitLeavesLayersOutWhileDecoding) {
  const Result<InferenceEstimate> whole = With({}), exits = With({"early-exit=0.5"});
  ASSERT_TRUE(whole.ok() && exits.ok());
  EXPECT_NEAR(exits->tpot_s->typical / whole->tpot_s->typical, 0.5, 0.01);
  EXPECT_DOUBLE_EQ(exits->ttft_s.typical, whole->ttft_s.typical);
  EXPECT_EQ(exits->ledger.weight_codes, whole->ledger.weight_codes);
}

TEST(MachineMethods, BytesThatFusionSaves) {
  EXPECT_GT(Tpot({"unfused"}), Tpot({}));
  const Result<InferenceEstimate> online = With({}), written = With({"materialised-softmax"});
  ASSERT_TRUE(online.ok() && written.ok());
  // Attention alone waits for them: whole squares of f32 scores, written, masked and read, and of bf16 P, written and
  // read, for 16 heads of 16 layers; in place of 4 × 2048 operations a pair that is not masked.
  const double scores_s = 2 * 4000.0 * 4000 * 16 * 16 * (4 * 4 + 2 * 2) / 1e12;
  const double products_s = 4000.0 * 4001 * 16 * 4 * 2048 / 100e12;
  EXPECT_NEAR(written->ttft_s.typical - online->ttft_s.typical, scores_s - products_s, 0.03 * scores_s);
}

TEST(MachineMethods, SpeculationIsRoundsOfDraftAndCheck) {
  // A draft of 4 of 16 layers proposes three tokens; all are taken, or none.
  const InferenceLoad one{.batch = 1, .prompt_tokens = 64, .output_tokens = 401};
  const double alone = Tpot({}, one);
  const double none = Tpot({"self-speculation=4:tokens=3:acceptance=0"}, one);
  const double most = Tpot({"self-speculation=4:tokens=3:acceptance=0.999"}, one);
  EXPECT_NEAR(none / alone, 1 + 3 * 0.25, 0.02);  // bytes of a quarter three times, then of all
  EXPECT_NEAR(most, none / 4, none * 0.005);
}

TEST(MachineMethods, ADraftModelNeedsMemoryOfItsOwn) {
  const InferenceLoad load{.batch = 2, .prompt_tokens = 1000, .output_tokens = 401};
  const std::vector<std::string> draft = {"speculative=llama-68m:tokens=3:acceptance=0.7"};
  const Result<InferenceEstimate> alone = With({}, load), drafted = With(draft, load);
  ASSERT_TRUE(alone.ok());
  ASSERT_TRUE(drafted.ok()) << drafted.error().message;
  EXPECT_GT(drafted->ledger.used(), alone->ledger.used() + 100'000'000);
  EXPECT_GT(drafted->ttft_s.typical, alone->ttft_s.typical);
  const Result<InferenceEstimate> longer = With(draft, kLoad);
  ASSERT_FALSE(longer.ok());  // the draft's positions end before the model's
  EXPECT_NE(longer.error().message.find("llama-68m has 2048"), std::string::npos) << longer.error().message;
}

TEST(MachineMethods, TheModelsOwnLayersDraftAsSparseAsTheyAre) {
  const InferenceLoad one{.batch = 1, .prompt_tokens = 64, .output_tokens = 401};
  const double alone = Tpot({"weight-sparsity=2:4"}, one);
  EXPECT_NEAR(Tpot({"self-speculation=4:tokens=3:acceptance=0", "weight-sparsity=2:4"}, one) / alone, 1 + 3 * 0.25,
              0.02);
}

TEST(MachineMethods, LayersInTheHostsMemoryAreStreamed) {
  const Result<InferenceEstimate> here = With({}), half = With({"offload=layers:8@host"});
  ASSERT_TRUE(here.ok());
  ASSERT_TRUE(half.ok()) << half.error().message;
  // 8 layers of (4 + 12) × 2048² weights in 2 bytes, and norms of two times 2048 f32, at 10 GB/s.
  const double streamed = 8 * (2.0 * 16 * 2048 * 2048 + 2 * 4 * 2048) / 10e9;
  EXPECT_GT(half->tpot_s->typical, streamed);
  EXPECT_NEAR(half->tpot_s->typical, streamed, 0.001 * streamed);
  EXPECT_LT(half->ledger.weight_codes, 0.55 * static_cast<double>(here->ledger.weight_codes));
}

TEST(MachineMethods, AnotherMachineTakesItsPart) {
  const Result<InferenceEstimate> here = With({}), split = With({"offload=layers:8@xeon-8488c"}),
                                  kv = With({"offload=attention@xeon-8488c"});
  ASSERT_TRUE(here.ok());
  ASSERT_TRUE(split.ok()) << split.error().message;
  ASSERT_TRUE(kv.ok()) << kv.error().message;
  EXPECT_GT(split->tpot_s->typical, here->tpot_s->typical);
  EXPECT_EQ(kv->ledger.kv_codes, 0);
}

TEST(MachineMethods, AnotherMachineHoldsNoMoreThanItsMemory) {
  // 131,072 bytes of KV a position: 4,401 of them 577 MB, of 17.2 GB; nothing of it on the device.
  const InferenceLoad many{.batch = 200, .prompt_tokens = 4000, .output_tokens = 401};
  const Result<InferenceEstimate> held = With({"offload=attention@aimx"}, many);
  ASSERT_TRUE(held.ok()) << held.error().message;
  EXPECT_EQ(held->concurrent, 29);
  EXPECT_FALSE(held->output_tokens_per_joule);  // two machines draw power, and one is counted
  EXPECT_NE(held->power_basis.find("aimx"), std::string::npos);
  const Result<InferenceEstimate> none =
      With({"offload=attention@aimx"}, {.batch = 1, .prompt_tokens = 200'000, .output_tokens = 1});
  ASSERT_FALSE(none.ok());
  EXPECT_NE(none.error().message.find("16.0 GiB of aimx"), std::string::npos) << none.error().message;
}

TEST(MachineMethods, WhatIsNotModelledIsRefusedByName) {
  Deployment pipeline = Ideal();
  pipeline.parallelism.pipeline = 2;
  const auto refusal = [](const Result<InferenceEstimate>& estimate) {
    EXPECT_FALSE(estimate.ok());
    return estimate.ok() ? std::string() : estimate.error().message;
  };
  EXPECT_NE(refusal(With({"self-speculation=4:tokens=3:acceptance=0.5"}, kLoad, pipeline)).find("speculation"),
            std::string::npos);
  EXPECT_NE(refusal(With({"offload=layers:4@host"}, kLoad, pipeline)).find("offload"), std::string::npos);
  EXPECT_NE(refusal(With({"offload=experts@host"})).find("experts"), std::string::npos);
  EXPECT_NE(refusal(With({"offload=layers:17@host"})).find("17"), std::string::npos);
  Deployment alone = Ideal();
  alone.machine.host_link_bytes_per_s = std::nullopt;
  EXPECT_NE(refusal(With({"offload=layers:4@host"}, kLoad, alone)).find("host.link_bytes_per_s"), std::string::npos);
}

}  // namespace
}  // namespace lodestone
