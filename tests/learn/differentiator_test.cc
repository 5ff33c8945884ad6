#include "learn/differentiator.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>

#include "learn/double_model.h"
#include "learn/finite_differences.h"
#include "learn/run_model.h"
#include "learn/training_model.h"

namespace lodestone {
namespace {

using testing::DenseDirection;
using testing::Distance;
using testing::DoubleModel;
using testing::Gamma;
using testing::Norm;
using testing::RandomBatch;
using testing::SingleElement;
using testing::Slope;
using testing::SlopeAlong;
using testing::TinyGpt2;
using testing::TinyGranite;
using testing::TinyLlama;
using testing::TinyNeoX;
using testing::TrainingConfigs;
using testing::TrainingModel;

TEST(DifferentiatorTest, GradientsAgreeWithFiniteDifferencesInDouble) {
  for (const ModelConfig& config : TrainingConfigs()) {
    TrainingModel model(config, "f32");
    const RandomBatch random(2, 6, config.vocab);
    const std::vector<float> gradients = model.Gradients(random.All(), 0.5f);
    DoubleModel exact(config, model.parameters);
    // Terms of the size of other gradients may cancel: a bias of the keys, for one, changes nothing.
    const double cancelled = 0x1p-24 * Norm(gradients);
    for (const Parameter& p : model.parameters.list()) {
      const std::span<const float> gradient = std::span(gradients).subspan(p.offset, p.count());
      for (const bool dense : {true, false}) {
        const std::vector<double> u = dense ? DenseDirection(p) : SingleElement(p);
        const Slope slope = SlopeAlong(u, p.offset, random.All(), exact);
        double actual = 0;
        for (size_t i = 0; i < u.size(); ++i) actual += double{gradient[i]} * u[i];
        const double bound = Gamma(config, random.All()) * Norm(gradient) + cancelled + 0.5 * slope.error;
        ASSERT_NEAR(actual, 0.5 * slope.value, bound) << config.name << ", " << ToString(p.id) << ", " << dense;
        ASSERT_LT(bound, 2e-3 * Norm(gradient) + 2 * cancelled)
            << config.name << ", " << ToString(p.id) << ": a bound so wide would hide mistakes";
      }
    }
  }
}

// A model of small random widths, of every mixture that the operators allow, also those of no family.
ModelConfig RandomConfig(uint64_t seed) {
  const auto draw = [&](int least, int most) {
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return least + static_cast<int>((seed >> 33) % static_cast<uint64_t>(most - least + 1));
  };
  ModelConfig c;
  c.name = "random-" + std::to_string(seed % 1000);
  c.layers = draw(1, 2);
  c.hidden = draw(4, 40);
  c.ffn = draw(1, 40);
  c.kv_heads = draw(1, 3);
  c.heads = c.kv_heads * draw(1, 3);
  c.head_dim = 2 * draw(1, 9);
  c.vocab = draw(2, 60);
  c.max_positions = 100;
  c.norm = draw(0, 1) == 0 ? NormKind::kRms : NormKind::kLayer;
  c.norm_eps = 1e-3;
  c.activation = static_cast<ActivationKind>(draw(0, 2));
  c.gated_mlp = draw(0, 1) == 1;
  c.parallel_residual = draw(0, 1) == 1;
  c.position = draw(0, 1) == 0 ? PositionKind::kRotary : PositionKind::kLearned;
  c.rope.rotary_dim = c.position == PositionKind::kRotary ? 2 * draw(1, c.head_dim / 2) : 0;
  c.sliding_window = draw(0, 2) * 3;
  c.qkv_bias = draw(0, 1) == 1;
  c.attention_output_bias = draw(0, 1) == 1;
  c.mlp_bias = draw(0, 1) == 1;
  c.qk_norm = draw(0, 1) == 1;
  c.tied_embeddings = draw(0, 1) == 1;
  c.embedding_multiplier = draw(1, 3);
  c.residual_multiplier = 0.5 * draw(1, 3);
  c.logits_multiplier = 0.25 * draw(1, 4);
  c.attention_scale = 1 / std::sqrt(static_cast<double>(c.head_dim));
  return c;
}

TEST(DifferentiatorPropertyTest, AnyMixtureOfOperatorsAgreesWithFiniteDifferences) {
  for (uint64_t seed = 1; seed <= 40; ++seed) {
    const ModelConfig config = RandomConfig(seed * 7919);
    TrainingModel model(config, "f32", 1 + static_cast<int>(seed % 3), {.recompute = seed % 2 == 0, .block_mask = {}});
    const RandomBatch random(1 + static_cast<int>(seed % 3), 1 + static_cast<int>(seed % 9), config.vocab, seed);
    const std::vector<float> gradients = model.Gradients(random.All());
    DoubleModel exact(config, model.parameters);
    std::vector<double> u(gradients.size(), 0.0);
    for (const Parameter& p : model.parameters.list()) {
      const std::vector<double> of_tensor = DenseDirection(p);
      std::copy(of_tensor.begin(), of_tensor.end(), u.begin() + p.offset);
    }
    const Slope slope = SlopeAlong(u, 0, random.All(), exact);
    double actual = 0;
    for (size_t i = 0; i < u.size(); ++i) actual += double{gradients[i]} * u[i];
    const double length = std::sqrt(static_cast<double>(model.parameters.list().size()));
    const double bound = Gamma(config, random.All()) * Norm(gradients) * length + slope.error;
    EXPECT_NEAR(actual, slope.value, bound) << config.name << ", seed " << seed;
    EXPECT_LT(bound, 1e-2 * Norm(gradients)) << config.name << ", seed " << seed;
  }
}

TEST(DifferentiatorTest, LogitsAndLossAreThoseOfTheExecutor) {
  for (const ModelConfig& config : TrainingConfigs()) {
    for (const std::string recipe : {"f32", "bf16"}) {
      TrainingModel model(config, recipe);
      const RandomBatch random(2, 70, config.vocab);
      testing::RunningModel engine(config, recipe, testing::HashWeights(5));
      const std::vector<float> logits = *model.differentiator->Logits(random.All());
      double nats = 0;
      for (int s = 0; s < 2; ++s) {
        const Batch one = random.Sequences(s, s + 1);
        const std::vector<float> expected = engine.Logits(one.tokens);
        const std::span<const float> actual = std::span(logits).subspan(s * expected.size(), expected.size());
        // Attention's sums run in another order; where values are rounded to bf16 on their way, that may turn a
        // rounding (2⁻⁹) once a layer and more.
        const double unit = recipe == "bf16" ? 0x1p-9 * 4 * config.layers : Gamma(config, one);
        ASSERT_LE(Distance(actual, expected), unit * Norm(expected)) << config.name << " " << recipe;
        for (size_t r = 0; r < one.targets.size(); ++r) {
          const auto row = std::span(expected).subspan(r * config.vocab, config.vocab);
          if (one.targets[r] >= 0) nats += testing::Surprises(row)[one.targets[r]];
        }
      }
      const Loss loss = *model.differentiator->Evaluate(random.All());
      EXPECT_EQ(loss.tokens, 112);
      EXPECT_NEAR(loss.nats, nats, (recipe == "bf16" ? 0x1p-6 : 1e-4) * nats) << config.name << " " << recipe;
    }
  }
}

TEST(DifferentiatorTest, EvaluatingAndAccumulatingGiveTheSameLoss) {
  TrainingModel model(TinyLlama(), "f32");
  const RandomBatch random(3, 9, model.config.vocab);
  const Loss evaluated = *model.differentiator->Evaluate(random.All());
  const Loss accumulated = *model.differentiator->Accumulate(random.All(), 1, {});
  EXPECT_EQ(evaluated.nats, accumulated.nats);
  EXPECT_EQ(evaluated.tokens, accumulated.tokens);
  EXPECT_EQ(model.differentiator->Evaluate(random.All())->nats, evaluated.nats);
}

TEST(DifferentiatorTest, BitsDoNotDependOnThreads) {
  for (const ModelConfig& config : TrainingConfigs()) {
    for (const std::string recipe : {"f32", "bf16"}) {
      const RandomBatch random(2, 37, config.vocab);
      TrainingModel one(config, recipe, 1);
      const std::vector<float> expected = one.Gradients(random.All());
      for (const int threads : {2, 3}) {
        TrainingModel more(config, recipe, threads);
        EXPECT_EQ(more.Gradients(random.All()), expected) << config.name << " " << recipe << " " << threads;
      }
    }
  }
}

TEST(DifferentiatorTest, RecomputationGivesTheSameBitsInLessMemory) {
  for (const ModelConfig& config : TrainingConfigs()) {
    for (const std::string recipe : {"f32", "bf16"}) {
      const RandomBatch random(2, 21, config.vocab);
      TrainingModel kept(config, recipe), recomputed(config, recipe, 1, {.recompute = true, .block_mask = {}});
      EXPECT_EQ(kept.Gradients(random.All()), recomputed.Gradients(random.All())) << config.name << " " << recipe;
    }
  }
  ModelConfig deep = TinyLlama();
  deep.layers = 12;
  const RandomBatch random(2, 64, deep.vocab);
  TrainingModel kept(deep, "f32"), recomputed(deep, "f32", 1, {.recompute = true, .block_mask = {}});
  kept.Gradients(random.All());
  recomputed.Gradients(random.All());
  EXPECT_LT(recomputed.differentiator->activation_bytes(), kept.differentiator->activation_bytes() / 2);
}

TEST(DifferentiatorTest, ABatchIsTheSumOfItsSequences) {
  for (const ModelConfig& config : TrainingConfigs()) {
    TrainingModel model(config, "f32");
    const RandomBatch random(3, 8, config.vocab);
    const std::vector<float> together = model.Gradients(random.All());
    model.parameters.ZeroGradients();
    double nats = 0;
    for (int s = 0; s < 3; ++s) nats += model.differentiator->Accumulate(random.Sequences(s, s + 1), 1, {})->nats;
    EXPECT_NEAR(nats, model.differentiator->Evaluate(random.All())->nats, 1e-10 * nats);
    EXPECT_LE(Distance(model.parameters.all_gradients(), together), Gamma(config, random.All()) * Norm(together));
  }
}

TEST(DifferentiatorTest, BitsOfARowDependOnItsOwnSequenceAlone) {
  for (const ModelConfig& config : TrainingConfigs()) {
    for (const std::string recipe : {"f32", "bf16"}) {
      TrainingModel model(config, recipe, 2);
      const RandomBatch random(3, 19, config.vocab);
      const std::vector<float> together = *model.differentiator->Logits(random.All());
      for (int s = 0; s < 3; ++s) {
        const std::vector<float> alone = *model.differentiator->Logits(random.Sequences(s, s + 1));
        EXPECT_TRUE(std::equal(alone.begin(), alone.end(), together.begin() + s * alone.size())) << config.name;
      }
    }
  }
}

// Logits of a wide vocabulary are computed some rows at a time: 128 here, so two chunks for the batch, one for each of
// its sequences.
TEST(DifferentiatorTest, ChunksOfLogitsAddUp) {
  ModelConfig config = TinyLlama();
  config.layers = config.heads = config.kv_heads = 1;
  config.hidden = config.ffn = 16;
  config.vocab = 1 << 17;
  config.tied_embeddings = true;
  TrainingModel model(config, "f32", 2);
  const RandomBatch random(2, 70, config.vocab);
  const std::vector<float> together = model.Gradients(random.All());
  const double nats = model.differentiator->Evaluate(random.All())->nats;
  model.parameters.ZeroGradients();
  double sum = 0;
  for (int s = 0; s < 2; ++s) sum += model.differentiator->Accumulate(random.Sequences(s, s + 1), 1, {})->nats;
  EXPECT_NEAR(sum, nats, 1e-10 * nats);
  EXPECT_LE(Distance(model.parameters.all_gradients(), together), 1e-5 * Norm(together));
}

TEST(DifferentiatorTest, DroppedBlocksComputeAsZerosAndGetNoGradient) {
  const WeightId pruned{WeightKind::kUp, 1};
  kernels::BlockMask mask{.block_rows = 16, .block_columns = 16, .rows = 5, .columns = 3, .kept = {}};  // of [80][48]
  for (int block = 0; block < 15; ++block) mask.kept.push_back(block % 3 != 1);
  const auto mask_of = [&](const WeightId& id) { return id == pruned ? &mask : nullptr; };
  TrainingModel dense(TinyLlama(), "f32"), masked(TinyLlama(), "f32", 1, {.recompute = false, .block_mask = mask_of});
  const Parameter& p = *dense.parameters.Find(pruned, ParameterRole::kTensor);
  const auto dropped = [&](int64_t i) { return i % p.columns / 16 == 1; };
  for (int64_t i = 0; i < p.count(); ++i) {
    if (dropped(i)) dense.parameters.values(p)[i] = 0;
  }
  const RandomBatch random(2, 9, dense.config.vocab);
  EXPECT_EQ(*masked.differentiator->Logits(random.All()), *dense.differentiator->Logits(random.All()));
  const std::vector<float> expected = dense.Gradients(random.All()), actual = masked.Gradients(random.All());
  for (int64_t i = 0; i < static_cast<int64_t>(actual.size()); ++i) {
    const bool is_dropped = i >= p.offset && i < p.offset + p.count() && dropped(i - p.offset);
    ASSERT_EQ(actual[i], is_dropped ? 0.0f : expected[i]) << i;
  }
}

TEST(DifferentiatorTest, GradientsAddUpAndScale) {
  TrainingModel model(TinyGpt2(), "f32");
  const RandomBatch random(1, 8, model.config.vocab);
  const std::vector<float> once = model.Gradients(random.All(), 1);
  const std::vector<float> twice = model.Gradients(random.All(), 2);  // a power of two scales exactly
  for (size_t i = 0; i < once.size(); ++i) ASSERT_EQ(twice[i], 2 * once[i]) << i;
  ASSERT_TRUE(model.differentiator->Accumulate(random.All(), 1, {}).ok());
  const double bound = Gamma(model.config, random.All()) * Norm(twice);
  EXPECT_LE(Distance(model.parameters.all_gradients(), twice), 1.5 * Norm(once) + bound);
  EXPECT_GE(Distance(model.parameters.all_gradients(), twice), Norm(once) - bound);
}

TEST(DifferentiatorTest, Bf16GradientsAreNearThoseOfF32) {
  for (const ModelConfig& config : TrainingConfigs()) {
    const RandomBatch random(2, 24, config.vocab);
    TrainingModel f32(config, "f32"), bf16(config, "bf16");
    const std::vector<float> expected = f32.Gradients(random.All()), actual = bf16.Gradients(random.All());
    // Some tens of roundings of 2⁻⁹ each meet on the way of a gradient, and add up as random ones do.
    EXPECT_LE(Distance(actual, expected), 16 * 0x1p-9 * Norm(expected)) << config.name;
    EXPECT_GT(Distance(actual, expected), 0x1p-12 * Norm(expected)) << config.name << ": nothing was rounded";
  }
}

TEST(DifferentiatorTest, TargetsThatAreNotCountedDoNotMatter) {
  TrainingModel model(TinyNeoX(), "f32");
  RandomBatch random(2, 8, model.config.vocab);
  std::fill(random.targets().begin() + 8, random.targets().end(), -1);
  const std::vector<float> together = model.Gradients(random.All());
  const std::vector<float> first = model.Gradients(random.Sequences(0, 1));
  EXPECT_LE(Distance(first, together), Gamma(model.config, random.All()) * Norm(first));

  std::fill(random.targets().begin(), random.targets().end(), -1);
  const std::vector<float> none = model.Gradients(random.All());
  EXPECT_EQ(Norm(none), 0);
  const Loss loss = *model.differentiator->Evaluate(random.All());
  EXPECT_EQ(loss.tokens, 0);
  EXPECT_EQ(loss.mean(), 0);
}

TEST(DifferentiatorTest, GradientsAreFinalWhenTheyAreSaidToBe) {
  for (const ModelConfig& config : TrainingConfigs()) {
    TrainingModel model(config, "f32");
    const RandomBatch random(2, 8, config.vocab);
    std::vector<int64_t> begins;
    std::vector<std::vector<float>> seen;
    const auto ready = [&](int64_t begin) {
      begins.push_back(begin);
      const auto now = model.parameters.all_gradients();
      seen.emplace_back(now.begin() + begin, now.end());
    };
    ASSERT_TRUE(model.differentiator->Accumulate(random.All(), 1, ready).ok());
    ASSERT_EQ(begins.size(), 2u + static_cast<size_t>(config.layers));
    EXPECT_EQ(begins.back(), 0);
    const auto all = model.parameters.all_gradients();
    for (size_t i = 0; i < begins.size(); ++i) {
      if (i > 0) EXPECT_LT(begins[i], begins[i - 1]);
      EXPECT_TRUE(std::equal(seen[i].begin(), seen[i].end(), all.begin() + begins[i])) << config.name << " " << i;
    }
  }
}

TEST(DifferentiatorTest, ALossThatIsNotFiniteNamesTheFirstOperator) {
  for (const float value : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
    TrainingModel model(TinyGranite(), "f32");
    const RandomBatch random(2, 8, model.config.vocab);
    model.parameters.values(*model.parameters.Find({WeightKind::kUp, 1}, ParameterRole::kTensor))[7] = value;
    for (const auto& result :
         {model.differentiator->Evaluate(random.All()), model.differentiator->Accumulate(random.All(), 1, {})}) {
      ASSERT_FALSE(result.ok());
      EXPECT_NE(result.error().message.find("layer 1 up_proj is the first operator"), std::string::npos)
          << result.error().message;
    }
  }
  TrainingModel model(TinyLlama(), "f32");
  const RandomBatch random(1, 4, model.config.vocab);
  model.parameters.values(*model.parameters.Find({WeightKind::kOutput, -1}, ParameterRole::kTensor))[3] =
      std::numeric_limits<float>::infinity();
  const auto result = model.differentiator->Evaluate(random.All());
  ASSERT_FALSE(result.ok());
  EXPECT_NE(result.error().message.find("the output layer does not"), std::string::npos) << result.error().message;
}

TEST(DifferentiatorTest, ImpossibleBatchesAreRefusedByName) {
  TrainingModel model(TinyLlama(), "f32");
  const auto refusal = [&](const Batch& batch) {
    const auto loss = model.differentiator->Accumulate(batch, 1, {});
    EXPECT_FALSE(loss.ok());
    return loss.ok() ? "" : loss.error().message;
  };
  RandomBatch random(2, 8, model.config.vocab);
  random.tokens()[9] = model.config.vocab;
  EXPECT_EQ(refusal(random.All()), "sequence 1, position 1: token 50 lies outside the vocabulary of 50");
  random.tokens()[9] = 0;
  random.targets()[3] = -2;
  EXPECT_EQ(refusal(random.All()), "sequence 0, position 3: target -2 lies outside the vocabulary of 50");
  const RandomBatch longer(1, 513, model.config.vocab);
  EXPECT_EQ(refusal(longer.All()), "sequences of 513 tokens; model 'tiny-llama' has 512 positions");
  Batch unequal = longer.All();
  unequal.length = 512;
  EXPECT_EQ(refusal(unequal), "513 tokens and 513 targets; expected 1 sequences × 512 of each");
  EXPECT_NE(refusal({}).find("0 sequences of 0 tokens"), std::string::npos);

  const std::vector<int32_t> zeros(int64_t{40'000} * 512, 0);  // some 150 GB
  const std::string message = refusal({.sequences = 40'000, .length = 512, .tokens = zeros, .targets = zeros});
  EXPECT_NE(message.find("20480000 rows need "), std::string::npos) << message;
  EXPECT_NE(message.find("recompute"), std::string::npos) << message;
}

}  // namespace
}  // namespace lodestone
