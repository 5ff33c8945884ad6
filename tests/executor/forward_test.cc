// The executor against the plain double-precision model, architecture by architecture.
#include <gtest/gtest.h>

#include "hash_weights.h"
#include "reference_model.h"
#include "runner.h"
#include "test_models.h"

namespace lodestone::testing {
namespace {

void ExpectForward(const ModelConfig& config) {
  const HashWeights weights(7);
  const auto tokens = SomeTokens(70, config.vocab, 3);  // more than one KV page
  const auto expected = ReferenceModel(config, weights).Forward(tokens);

  // How far f32 rounding can carry the logits: measured on the reference itself, four noisy runs, with a margin of
  // four.
  double bound = 0;
  for (uint32_t seed = 1; seed <= 4; ++seed) {
    const auto noisy = ReferenceModel(config, weights, seed).Forward(tokens);
    for (size_t t = 0; t < tokens.size(); ++t) {
      for (int v = 0; v < config.vocab; ++v) bound = std::max(bound, std::abs(noisy[t][v] - expected[t][v]));
    }
  }
  bound *= 4;

  Runner runner(config, *ParseRecipe("f32"), weights, {});
  const auto rows = RowsOf(tokens);
  const auto table = Runner::Pages(1, 2);
  const auto logits = runner.Run({.id = 1, .load = {}, .rows = rows, .page_table = table, .pages_per_sequence = 2});
  ASSERT_EQ(logits.size(), tokens.size() * config.vocab);
  double worst = 0, largest = 0;
  size_t at = 0;
  for (size_t i = 0; i < logits.size(); ++i) {
    const double want = expected[i / config.vocab][i % config.vocab];
    largest = std::max(largest, std::abs(want));
    if (std::abs(logits[i] - want) > worst) {
      worst = std::abs(logits[i] - want);
      at = i;
    }
  }
  EXPECT_LE(worst, bound) << config.name << " at token " << at / config.vocab << ", logit " << at % config.vocab
                          << ": expected " << expected[at / config.vocab][at % config.vocab] << ", actual "
                          << logits[at];
  EXPECT_LT(bound, 0.01 * largest) << "the bound says nothing";
}

TEST(Forward, Llama) { ExpectForward(TinyLlama()); }
TEST(Forward, Gpt2) { ExpectForward(TinyGpt2()); }
TEST(Forward, GptNeoXParallelResidualAndPartialRotary) { ExpectForward(TinyNeoX()); }
TEST(Forward, GraniteMultipliersBiasesHeadNormsTied) { ExpectForward(TinyGranite()); }

TEST(Forward, SlidingWindow) {
  ModelConfig config = TinyLlama();
  config.sliding_window = 9;
  ExpectForward(config);
}

TEST(Forward, Llama3RopeScaling) {
  ModelConfig config = TinyLlama();
  config.rope.theta = 500;
  config.rope.llama3_factor = 8;
  config.rope.low_freq_factor = 1;
  config.rope.high_freq_factor = 4;
  config.rope.original_positions = 32;
  ExpectForward(config);
}

// Quantised recipes round, so they differ from f32; but finer formats must come closer to it.
TEST(Forward, MoreBitsComeCloserToF32) {
  const ModelConfig config = TinyLlama();
  const HashWeights weights(7);
  const auto tokens = SomeTokens(70, config.vocab, 3);
  const auto rows = RowsOf(tokens);
  const auto table = Runner::Pages(1, 2);
  const Pass pass{.id = 1, .load = {}, .rows = rows, .page_table = table, .pages_per_sequence = 2};
  const auto error = [&](const char* recipe) {
    Runner exact(config, *ParseRecipe("f32"), weights, {}), rounded(config, *ParseRecipe(recipe), weights, {});
    const auto want = exact.Run(pass), got = rounded.Run(pass);
    double difference = 0, power = 0;
    for (size_t i = 0; i < want.size(); ++i) {
      difference += (want[i] - got[i]) * (want[i] - got[i]);
      power += want[i] * want[i];
    }
    return std::sqrt(difference / power);
  };
  const double bf16 = error("bf16"), w8a8 = error("w8a8"), w4a8 = error("w4a8"), grouped = error("w4a8:g32"),
               w4a4 = error("w4a4");
  EXPECT_LT(bf16, w8a8);
  EXPECT_LT(w8a8, w4a8);
  EXPECT_LT(w4a8, w4a4);
  EXPECT_LT(grouped, w4a4);
  EXPECT_LT(w4a4, 1.0);  // still correlated with what it rounds
}

}  // namespace
}  // namespace lodestone::testing
