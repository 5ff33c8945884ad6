#include <gtest/gtest.h>

#include <random>

#include "plan/machine_estimate.h"
#include "test_machine.h"
#include "test_models.h"

namespace lodestone {
namespace {

using testing::Calibrated;

struct Case {
  ModelConfig config;
  Recipe recipe;
  Deployment deployment;
  InferenceLoad load;
};

Case RandomCase(std::mt19937& random) {
  const auto pick = [&](std::initializer_list<int> values) { return *(values.begin() + random() % values.size()); };
  const auto between = [&](double low, double high) {
    return low * std::pow(high / low, static_cast<double>(random() % 1000) / 1000);
  };
  Case made;
  ModelConfig& config = made.config;
  config = testing::TinyLlama();
  config.layers = pick({2, 8, 30});
  config.kv_heads = pick({2, 4, 8});
  config.heads = config.kv_heads * (config.kv_heads == 2 ? 4 : pick({1, 4}));
  config.head_dim = config.rope.rotary_dim = pick({64, 128});
  config.hidden = config.heads * config.head_dim;
  config.ffn = config.hidden * pick({2, 4});
  config.vocab = pick({1000, 32000, 128000});
  config.max_positions = 1 << 20;
  config.parallel_residual = random() % 5 == 0;
  const char* recipes[] = {"f32", "bf16", "w8a8", "w4a16", "w4a8:g128"};
  made.recipe = *ParseRecipe(recipes[random() % 5]);
  Machine machine = testing::RoundMachine();
  machine.memory[0].bytes_per_s->value = between(1e10, 1e13);
  machine.memory[0].capacity_bytes->value = between(1e9, 1e12);
  machine.link_bytes_per_s->value = between(1e9, 1e12);
  for (auto& peak : machine.peak_ops_per_s) {
    if (peak) peak->value *= between(0.01, 100);
  }
  made.deployment = Calibrated(machine);
  made.deployment.parallelism = {.tensor = pick({1, 1, 2}), .pipeline = pick({1, 1, 2}), .data = pick({1, 1, 3})};
  if (random() % 3 == 0) made.deployment.prefill_chunk = pick({16, 100, 512});
  made.load = {
      .batch = pick({1, 3, 16, 64}), .prompt_tokens = pick({1, 37, 1000}), .output_tokens = pick({1, 2, 50, 999})};
  return made;
}

class MachineEstimateProperty : public ::testing::Test {
 protected:
  static Result<InferenceEstimate> Answer(const Case& c) {
    return EstimateInference(c.config, c.recipe, c.deployment, c.load);
  }
  // Each of `count` random cases that has an answer.
  template <typename Check>
  void ForAll(int count, Check check) {
    std::mt19937 random(20241105);
    int answered = 0;
    for (int i = 0; i < count; ++i) {
      const Case made = RandomCase(random);
      const Result<InferenceEstimate> estimate = Answer(made);
      if (!estimate.ok()) {
        EXPECT_EQ(estimate.error().code, ErrorCode::kInfeasible) << estimate.error().message;
        continue;
      }
      ++answered;
      SCOPED_TRACE(i);
      check(made, *estimate);
    }
    EXPECT_GT(answered, count / 2);
  }
};

void ExpectOrdered(const Range& range) {
  EXPECT_GT(range.low, 0);
  EXPECT_LE(range.low, range.typical);
  EXPECT_LE(range.typical, range.high);
}

TEST_F(MachineEstimateProperty, LowIsAtMostTypicalIsAtMostHigh) {
  ForAll(300, [](const Case&, const InferenceEstimate& e) {
    ExpectOrdered(e.ttft_s);
    ExpectOrdered(e.total_s);
    ExpectOrdered(e.output_tokens_per_s);
    ExpectOrdered(e.output_tokens_per_s_per_device);
    if (e.tpot_s) ExpectOrdered(*e.tpot_s);
    EXPECT_LT(e.total_s.low, e.total_s.high);
  });
}

TEST_F(MachineEstimateProperty, RatesAloneAreABound) {
  ForAll(200, [](const Case& c, const InferenceEstimate& e) {
    Case ideal = c;
    ideal.deployment.level = EstimateLevel::kIdeal;
    const Result<InferenceEstimate> bound = Answer(ideal);
    ASSERT_TRUE(bound.ok()) << bound.error().message;
    EXPECT_LE(bound->total_s.typical, e.total_s.typical * (1 + 1e-12));
    EXPECT_LE(bound->ttft_s.typical / std::max(bound->concurrent, 1), e.ttft_s.typical / std::max(e.concurrent, 1) * 2);
    EXPECT_EQ(bound->total_s.low, bound->total_s.high);  // nothing to vary
  });
}

TEST_F(MachineEstimateProperty, ABetterMachineIsNeverSlower) {
  ForAll(200, [](const Case& c, const InferenceEstimate& e) {
    const auto with = [&](auto change) {
      Case better = c;
      change(better.deployment.machine);
      const Result<InferenceEstimate> estimate = Answer(better);
      EXPECT_TRUE(estimate.ok());
      return estimate.ok() ? estimate->total_s.typical : 0;
    };
    const double now = e.total_s.typical * (1 + 1e-12);
    EXPECT_LE(with([](Machine& m) { m.memory[0].bytes_per_s->value *= 1.5; }), now);
    EXPECT_LE(with([](Machine& m) { m.link_bytes_per_s->value *= 1.5; }), now);
    EXPECT_LE(with([](Machine& m) {
                for (auto& peak : m.peak_ops_per_s) {
                  if (peak) peak->value *= 1.5;
                }
              }),
              now);
  });
}

TEST_F(MachineEstimateProperty, MoreDevicesNeverHoldMoreEach) {
  ForAll(200, [](const Case& c, const InferenceEstimate& e) {
    if (e.concurrent < c.load.batch) return;
    Case wider = c;
    wider.deployment.parallelism.tensor *= 2;
    const Result<InferenceEstimate> estimate = Answer(wider);
    ASSERT_TRUE(estimate.ok()) << estimate.error().message;
    EXPECT_LE(estimate->ledger.used(), e.ledger.used());
    EXPECT_GE(estimate->concurrent, e.concurrent);
  });
}

TEST_F(MachineEstimateProperty, MoreWorkNeverTakesLess) {
  ForAll(200, [](const Case& c, const InferenceEstimate& e) {
    Case longer = c;
    longer.load.output_tokens += 10;
    if (const Result<InferenceEstimate> more = Answer(longer); more.ok()) {
      EXPECT_GE(more->total_s.typical, e.total_s.typical);
    }
    Case larger = c;
    larger.load.batch *= 2;
    if (const Result<InferenceEstimate> more = Answer(larger); more.ok()) {
      EXPECT_GE(more->total_s.typical, e.total_s.typical * (1 - 1e-12));
      // Requests share the reading of weights, so throughput does not fall.
      EXPECT_GE(more->output_tokens_per_s.typical, e.output_tokens_per_s.typical * 0.97);
    }
  });
}

TEST_F(MachineEstimateProperty, SharesOfAStepAreTheStep) {
  ForAll(200, [](const Case& c, const InferenceEstimate& e) {
    if (!e.tpot_s || c.deployment.parallelism.pipeline > 1 || c.load.output_tokens < 3) return;
    double sum = 0;
    for (const OperatorShare& share : e.decode) sum += share.seconds;
    // The middle step is the mean where time is affine in the context.
    EXPECT_NEAR(sum, e.tpot_s->typical, 0.02 * e.tpot_s->typical);
  });
}

}  // namespace
}  // namespace lodestone
