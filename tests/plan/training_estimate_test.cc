#include <gtest/gtest.h>

#include "plan/machine_estimate.h"
#include "plan/training_run.h"
#include "test_models.h"

namespace lodestone {
namespace {

Figure Of(double value) { return {.value = value}; }

// A device of round numbers: 100 Gop/s, 1 GB/s, four to a server; at level ideal nothing else costs.
Machine RoundMachine() {
  Machine machine;
  machine.name = "round";
  machine.file = "round.toml";
  machine.peak_ops_per_s[static_cast<size_t>(RateFormat::kBf16)] = Of(100e9);
  machine.memory.push_back({.name = "DRAM", .capacity_bytes = Of(1e9), .bytes_per_s = Of(1e9), .latency_s = {}});
  machine.devices_per_server = 4;
  machine.topology = Topology::kSwitch;
  machine.link_bytes_per_s = Of(1e9);
  machine.network_bytes_per_s = Of(1e8);
  return machine;
}

Deployment On(Machine machine, Parallelism parallelism = {}) {
  Deployment deployment;
  deployment.machine = std::move(machine);
  deployment.parallelism = parallelism;
  deployment.level = EstimateLevel::kIdeal;
  return deployment;
}

TrainingEstimate MustEstimate(const Deployment& deployment, const TrainingLoad& load,
                              const ModelConfig& config = testing::TinyGpt2()) {
  Result<TrainingEstimate> estimate = EstimateTraining(config, *ParseRecipe("bf16"), deployment, load);
  EXPECT_TRUE(estimate.ok()) << estimate.error().message;
  return estimate.ok() ? *std::move(estimate) : TrainingEstimate();
}

double SecondsOf(const TrainingEstimate& estimate, std::string_view name) {
  for (const OperatorShare& share : estimate.step) {
    if (share.name == name) return share.seconds;
  }
  return 0;
}

std::string RefusalOf(const Deployment& deployment, const TrainingLoad& load, const char* recipe = "bf16") {
  const auto estimate = EstimateTraining(testing::TinyGpt2(), *ParseRecipe(recipe), deployment, load);
  EXPECT_FALSE(estimate.ok());
  return estimate.ok() ? "" : estimate.error().message;
}

constexpr TrainingLoad kLoad{.sequence = 16, .micro_batch = 2, .gradient_accumulation = 1};

// Tiny GPT-2: three layers of 48, MLP 80, four heads of 16, vocabulary 50 (tied), 512 positions.
constexpr int64_t kLayerProducts = 4 * 48 * 64 + 2 * 48 * 80;
constexpr int64_t kLayerParameters = kLayerProducts + 3 * 64 + 48 + 80 + 48 + 4 * 48;
constexpr int64_t kParameters = 3 * kLayerParameters + 50 * 48 + 512 * 48 + 2 * 48;

TEST(TrainingEstimate, ComputeBoundStepsTakeTheirOperations) {
  Machine machine = RoundMachine();
  machine.memory[0].bytes_per_s = Of(1e18);
  const TrainingEstimate estimate = MustEstimate(On(machine), kLoad);
  // 32 rows: two operations a weight forward and four back; attention of 2 × (16 × 17 / 2) scores a head, 4 × 64
  // operations forward and 2.5 times that back.
  const double products = 2.0 * 32 * (3 * kLayerProducts + 50 * 48), scores = 3.0 * 4 * 64 * (2 * 136);
  EXPECT_NEAR(SecondsOf(estimate, "forward"), (products + scores) / 100e9, 1e-12);
  EXPECT_NEAR(SecondsOf(estimate, "backward"), (2 * products + 2.5 * scores) / 100e9, 1e-12);
  EXPECT_NEAR(estimate.step_s.typical, (3 * products + 3.5 * scores) / 100e9, 1e-11);
  EXPECT_DOUBLE_EQ(estimate.samples_per_s.typical, 2 / estimate.step_s.typical);
  EXPECT_DOUBLE_EQ(estimate.tokens_per_s.typical, 32 / estimate.step_s.typical);
  EXPECT_DOUBLE_EQ(estimate.model_flops_per_token, 6.0 * kParameters + 12.0 * 3 * 48 * 16);
  EXPECT_EQ(ParameterCount(testing::TinyGpt2()), kParameters);
}

TEST(TrainingEstimate, MemoryIsSixteenBytesAParameterAndWhatLayersKeep) {
  const TrainingEstimate::Memory memory = MustEstimate(On(RoundMachine()), kLoad).memory;
  EXPECT_EQ(memory.weights, 2 * kParameters);
  EXPECT_EQ(memory.gradients, 2 * kParameters);
  EXPECT_EQ(memory.optimizer, 12 * kParameters);
  // A row of a layer: two norms' inputs and results (48 each), Q, K, V and the result (64 each), up and its activation
  // (80 each), 2 bytes; four log-sum-exps; logits of 50 as f32.
  EXPECT_EQ(memory.activations, 32 * (3 * (2 * (4 * 48 + 4 * 64 + 2 * 80) + 4 * 4) + 4 * 50));
  EXPECT_EQ(memory.capacity, 1'000'000'000);
}

TEST(TrainingEstimate, TheOptimizerMovesTwentyEightBytesAParameter) {
  const TrainingEstimate estimate = MustEstimate(On(RoundMachine()), kLoad);
  EXPECT_NEAR(SecondsOf(estimate, "optimizer"), 28.0 * kParameters / 1e9, 1e-12);
}

TEST(TrainingEstimate, AccumulationRepeatsAllButTheOptimizer) {
  TrainingLoad load = kLoad;
  const TrainingEstimate one = MustEstimate(On(RoundMachine()), load);
  load.gradient_accumulation = 5;
  const TrainingEstimate five = MustEstimate(On(RoundMachine()), load);
  const double optimizer = SecondsOf(one, "optimizer");
  EXPECT_NEAR(five.step_s.typical, 5 * (one.step_s.typical - optimizer) + optimizer, 1e-9);
  EXPECT_EQ(five.memory.activations, one.memory.activations);
}

TEST(TrainingEstimate, RecomputationRunsTheLayersAgainAndKeepsTheStream) {
  TrainingLoad load = kLoad;
  const TrainingEstimate kept = MustEstimate(On(RoundMachine()), load);
  load.recompute = true;
  const TrainingEstimate again = MustEstimate(On(RoundMachine()), load);
  EXPECT_GT(SecondsOf(again, "recompute"), 0);
  EXPECT_LT(SecondsOf(again, "recompute"), SecondsOf(again, "forward"));
  EXPECT_NEAR(again.step_s.typical - kept.step_s.typical, SecondsOf(again, "recompute"), 1e-12);
  const int64_t layer = 32 * (2 * (4 * 48 + 4 * 64 + 2 * 80) + 4 * 4);
  EXPECT_EQ(again.memory.activations, 3 * 32 * 2 * 48 + layer + 32 * 4 * 50);
}

TEST(TrainingEstimate, CopiesSumTheirGradientsBehindTheBackward) {
  Machine slow = RoundMachine();
  slow.link_bytes_per_s = Of(1e6);
  const Parallelism four{.data = 4};
  const TrainingEstimate estimate = MustEstimate(On(slow, four), kLoad);
  // A ring moves 2 × 3/4 of two bytes a parameter.
  const double reduce = 2.0 * 3 / 4 * 2 * kParameters / 1e6;
  EXPECT_NEAR(SecondsOf(estimate, "gradients"), reduce - SecondsOf(estimate, "backward"), 1e-9);
  EXPECT_DOUBLE_EQ(estimate.samples_per_s.typical, 8 / estimate.step_s.typical);
  // Fast links leave what nothing hides: the layer that comes last.
  const TrainingEstimate fast = MustEstimate(On(RoundMachine(), four), kLoad);
  EXPECT_NEAR(SecondsOf(fast, "gradients"), reduce / 1000 / 3, 1e-9);
  // Two servers: within each as before, and between them what each of four devices has summed, a quarter.
  const TrainingEstimate eight = MustEstimate(On(RoundMachine(), {.data = 8}), kLoad);
  const double between = 2.0 / 2 * 2 * kParameters / 4 / 1e8;
  EXPECT_NEAR(SecondsOf(eight, "gradients"), (reduce / 1000 + between) / 3, 1e-9);
}

TEST(TrainingEstimate, ShardedStatesShareMemoryStageByStage) {
  TrainingLoad load = kLoad;
  const Deployment deployment = On(RoundMachine(), {.data = 4});
  const auto memory = [&](int stage) {
    load.sharded_states = stage;
    return MustEstimate(deployment, load).memory;
  };
  EXPECT_EQ(memory(0).optimizer, 12 * kParameters);
  EXPECT_EQ(memory(1).optimizer, 3 * kParameters);
  EXPECT_EQ(memory(1).gradients, 2 * kParameters);
  EXPECT_NEAR(static_cast<double>(memory(2).gradients), 0.5 * kParameters, 1);
  EXPECT_EQ(memory(2).weights, 2 * kParameters);
  EXPECT_NEAR(static_cast<double>(memory(3).weights), 0.5 * kParameters, 1);
}

TEST(TrainingEstimate, SharedGradientsAreHandedOnAfterEveryMicroBatch) {
  Machine slow = RoundMachine();
  slow.link_bytes_per_s = Of(1e6);
  const Deployment deployment = On(slow, {.data = 4});
  TrainingLoad load = kLoad;
  const double backward = SecondsOf(MustEstimate(deployment, load), "backward");
  const double scatter = 3.0 / 4 * 2 * kParameters / 1e6;
  load.gradient_accumulation = 3;
  const auto gradients = [&](int stage) {
    load.sharded_states = stage;
    return SecondsOf(MustEstimate(deployment, load), "gradients");
  };
  EXPECT_NEAR(gradients(1), 2 * scatter - backward, 1e-9);  // summed where they are, until the last
  EXPECT_NEAR(gradients(2), 2 * scatter - backward + 2 * (scatter - backward), 1e-9);
}

TEST(TrainingEstimate, APipelineWaitsForItsStages) {
  ModelConfig config = testing::TinyGpt2();
  config.layers = 4;
  TrainingLoad load = kLoad;
  load.gradient_accumulation = 6;
  Machine machine = RoundMachine();
  machine.link_bytes_per_s = Of(1e18);
  const TrainingEstimate estimate = MustEstimate(On(machine, {.pipeline = 4}), load, config);
  const double work = SecondsOf(estimate, "forward") + SecondsOf(estimate, "backward");
  EXPECT_NEAR(SecondsOf(estimate, "pipeline bubble"), work * 3 / 6, 1e-12);  // (p − 1) / m of the work
  EXPECT_EQ(estimate.samples_per_s.typical, 12 / estimate.step_s.typical);
}

TEST(TrainingEstimate, TheBusiestStageHoldsMostLayersOrTheOutput) {
  ModelConfig config = testing::TinyGpt2();
  const auto stage = [&](int layers, int vocab) {
    config.layers = layers;
    config.vocab = vocab;
    const auto run = TrainingRun::Of(config, *ParseRecipe("bf16"), On(RoundMachine(), {.pipeline = 2}), kLoad);
    EXPECT_TRUE(run.ok()) << run.error().message;
    const TrainingRun::Busiest busiest = run->BusiestStage(run->rates);
    return std::pair(busiest.layers, busiest.ends);
  };
  EXPECT_EQ(stage(4, 50), std::pair(2, true));     // both hold two: the one with the output layer takes longer
  EXPECT_EQ(stage(5, 2), std::pair(3, false));     // three layers against two and a small output layer
  EXPECT_EQ(stage(5, 50000), std::pair(2, true));  // two layers and a large one
}

TEST(TrainingEstimate, TensorParallelRanksReduceFourTimesALayer) {
  Machine machine = RoundMachine();
  const TrainingEstimate one = MustEstimate(On(machine), kLoad), two = MustEstimate(On(machine, {.tensor = 2}), kLoad);
  // Each carries half of 32 rows of 48 bf16 values twice.
  EXPECT_NEAR(SecondsOf(two, "all-reduce"), 3 * 4 * (2.0 / 2 * 32 * 48 * 2) / 1e9, 1e-12);
  EXPECT_LT(SecondsOf(two, "backward"), SecondsOf(one, "backward"));
  EXPECT_LT(two.memory.weights, one.memory.weights);
}

TEST(TrainingEstimate, StatesOnTheHostAreStreamed) {
  Machine machine = RoundMachine();
  machine.host_link_bytes_per_s = Of(1e6);
  Deployment deployment = On(machine);
  const TrainingEstimate here = MustEstimate(On(machine), kLoad);
  const auto with = [&](const char* word) {
    deployment.methods = *ParseMethods({word});
    return MustEstimate(deployment, kLoad);
  };
  // Two bytes a parameter in for either direction, less what computing hides.
  const auto expect_streamed = [](const TrainingEstimate& estimate, int64_t parameters) {
    EXPECT_NEAR(SecondsOf(estimate, "weights from the host"),
                2 * 2.0 * static_cast<double>(parameters) / 1e6 - SecondsOf(estimate, "forward") -
                    SecondsOf(estimate, "backward"),
                1e-9);
  };
  const TrainingEstimate two = with("offload=layers:2@host"), all = with("offload=layers:3@host");
  expect_streamed(two, 2 * kLayerParameters);
  expect_streamed(all, kParameters);
  EXPECT_EQ(here.memory.optimizer - two.memory.optimizer, 12 * 2 * kLayerParameters);
  EXPECT_EQ(all.memory.optimizer, 0);
  EXPECT_EQ(all.memory.weights, 2 * std::max(2 * kLayerParameters, kParameters - 3 * kLayerParameters));
  EXPECT_NE(RefusalOf(([&] {
                        Deployment none = On(RoundMachine());
                        none.methods = deployment.methods;
                        return none;
                      })(),
                      kLoad)
                .find("no link to the host"),
            std::string::npos);
}

TEST(TrainingEstimate, ActivationsStayInANearerMemoryThatHoldsThem) {
  Machine machine = RoundMachine();
  const TrainingEstimate far = MustEstimate(On(machine), kLoad);
  machine.memory.insert(machine.memory.begin(),
                        {.name = "SRAM", .capacity_bytes = Of(1e6), .bytes_per_s = Of(1e12), .latency_s = {}});
  const TrainingEstimate near = MustEstimate(On(machine), kLoad);
  EXPECT_LT(near.step_s.typical, far.step_s.typical);
  machine.memory[0].capacity_bytes = Of(1e3);
  EXPECT_EQ(MustEstimate(On(machine), kLoad).step_s.typical, far.step_s.typical);
}

TEST(TrainingEstimate, WhatIsNotFusedMovesMore) {
  Deployment deployment = On(RoundMachine());
  const double fused = MustEstimate(deployment, kLoad).step_s.typical;
  deployment.methods = *ParseMethods({"unfused"});
  const TrainingEstimate unfused = MustEstimate(deployment, kLoad);
  EXPECT_GT(unfused.step_s.typical, fused);
  deployment.methods = *ParseMethods({"unfused", "materialised-softmax"});
  const TrainingEstimate stored = MustEstimate(deployment, kLoad);
  EXPECT_GT(stored.step_s.typical, unfused.step_s.typical);
  // P of four heads, 16 positions a row, bf16.
  EXPECT_EQ(stored.memory.activations - unfused.memory.activations, 3 * 32 * 4 * 16 * 2);
}

TEST(TrainingEstimate, RefusesByName) {
  const Deployment deployment = On(RoundMachine());
  TrainingLoad load = kLoad;
  load.sequence = 513;
  EXPECT_NE(RefusalOf(deployment, load).find("513 positions, but tiny-gpt2 has 512"), std::string::npos);
  load.sequence = 0;
  EXPECT_NE(RefusalOf(deployment, load).find("sequence: found 0"), std::string::npos);
  load = kLoad;
  load.sharded_states = 2;
  EXPECT_NE(RefusalOf(deployment, load).find("nothing to share them with"), std::string::npos);
  load.sharded_states = 4;
  EXPECT_NE(RefusalOf(deployment, load).find("expected 0 to 3"), std::string::npos);
  EXPECT_NE(RefusalOf(deployment, kLoad, "w4a8").find("training in w4a8"), std::string::npos);
  EXPECT_NE(RefusalOf(deployment, kLoad, "bf16:kv8").find("training in bf16:kv8"), std::string::npos);
  EXPECT_NE(RefusalOf(deployment, kLoad, "f32").find("no unit for products of f32"), std::string::npos);
  for (const char* word : {"kv-budget=4", "early-exit=0.5", "activation-sparsity=0.5",
                           "speculative=m:tokens=2:acceptance=0.5", "offload=layers:1@aimx"}) {
    Deployment with = deployment;
    with.methods = *ParseMethods({word});
    EXPECT_NE(RefusalOf(with, kLoad).find("in training"), std::string::npos) << word;
  }
  Machine small = RoundMachine();
  small.memory[0].capacity_bytes = Of(1e6);
  const std::string full = RefusalOf(On(small), kLoad);
  for (const char* part : {"optimizer", "activations", "recomputation", "smaller micro-batch"}) {
    EXPECT_NE(full.find(part), std::string::npos) << full;
  }
}

TEST(TrainingEstimateProperty, FasterMachinesAreNeverSlower) {
  for (const Parallelism& parallelism :
       {Parallelism{}, Parallelism{.data = 8}, Parallelism{.tensor = 2, .pipeline = 3, .data = 4}}) {
    for (const int stage : {0, 3}) {
      if (stage > 0 && parallelism.data == 1) continue;
      TrainingLoad load = kLoad;
      load.gradient_accumulation = 3;
      load.sharded_states = stage;
      const double typical = MustEstimate(On(RoundMachine(), parallelism), load).step_s.typical;
      const auto with = [&](auto change) {
        Machine machine = RoundMachine();
        change(machine);
        return MustEstimate(On(machine, parallelism), load).step_s.typical;
      };
      EXPECT_LE(with([](Machine& m) { m.memory[0].bytes_per_s = Of(2e9); }), typical);
      EXPECT_LE(with([](Machine& m) { m.link_bytes_per_s = Of(2e9); }), typical);
      EXPECT_LE(with([](Machine& m) { m.network_bytes_per_s = Of(2e8); }), typical);
      EXPECT_LE(with([](Machine& m) { m.peak_ops_per_s[static_cast<size_t>(RateFormat::kBf16)] = Of(200e9); }),
                typical);
    }
  }
}

TEST(TrainingEstimateProperty, SharesAddUpToTheStep) {
  for (const Parallelism& parallelism : {Parallelism{}, Parallelism{.tensor = 2, .pipeline = 3, .data = 4}}) {
    TrainingLoad load = kLoad;
    load.recompute = true;
    load.gradient_accumulation = 2;
    const TrainingEstimate estimate = MustEstimate(On(RoundMachine(), parallelism), load);
    double sum = 0;
    for (const OperatorShare& share : estimate.step) sum += share.seconds;
    EXPECT_NEAR(sum, estimate.step_s.typical, 1e-12);
    EXPECT_LE(estimate.step_s.low, estimate.step_s.typical);
    EXPECT_LE(estimate.step_s.typical, estimate.step_s.high);
  }
}

}  // namespace
}  // namespace lodestone
