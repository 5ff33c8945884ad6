// A small model with its parameters and differentiator, and batches for it.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "hash_weights.h"
#include "host/thread_pool.h"
#include "learn/differentiator.h"
#include "learn/parameters.h"
#include "test_models.h"

namespace lodestone::testing {

struct TrainingModel {
  TrainingModel(const ModelConfig& model, const std::string& recipe, int thread_count = 1,
                DifferentiatorOptions options = {})
      : config(model), threads(thread_count), parameters(*Parameters::Make(config, *ParseRecipe(recipe))) {
    const Status loaded = parameters.Load(HashWeights(5));
    EXPECT_TRUE(loaded.ok()) << loaded.error().message;
    auto made = Differentiator::Make(config, *ParseRecipe(recipe), parameters, threads, std::move(options));
    EXPECT_TRUE(made.ok()) << made.error().message;
    differentiator = *std::move(made);
  }

  // The gradients of one batch, from zero.
  std::vector<float> Gradients(const Batch& batch, float scale = 1) {
    parameters.ZeroGradients();
    const auto loss = differentiator->Accumulate(batch, scale, {});
    EXPECT_TRUE(loss.ok()) << loss.error().message;
    const std::span<const float> all = parameters.all_gradients();
    return {all.begin(), all.end()};
  }

  ModelConfig config;
  ThreadPool threads;
  Parameters parameters;
  std::unique_ptr<Differentiator> differentiator;
};

// Tokens and the targets one later, at random; every fifth target is not counted.
class RandomBatch {
 public:
  RandomBatch(int sequences, int length, int vocab, uint64_t seed = 1) : sequences_(sequences), length_(length) {
    for (int i = 0; i < sequences * length; ++i) {
      tokens_.push_back(Next(seed, vocab));
      targets_.push_back(i % 5 == 3 ? -1 : Next(seed, vocab));
    }
  }

  Batch All() const { return Sequences(0, sequences_); }
  Batch Sequences(int begin, int end) const {
    const auto first = static_cast<size_t>(begin * length_), count = static_cast<size_t>((end - begin) * length_);
    return {.sequences = end - begin,
            .length = length_,
            .tokens = std::span(tokens_).subspan(first, count),
            .targets = std::span(targets_).subspan(first, count)};
  }
  std::vector<int32_t>& targets() { return targets_; }
  std::vector<int32_t>& tokens() { return tokens_; }

 private:
  static int32_t Next(uint64_t& seed, int vocab) {
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return static_cast<int32_t>((seed >> 33) % static_cast<uint64_t>(vocab));
  }

  int sequences_, length_;
  std::vector<int32_t> tokens_, targets_;
};

// Every family, and what only some models have: shared KV heads, a window, norms of heads, partial rotation,
// multipliers.
inline std::vector<ModelConfig> TrainingConfigs() {
  ModelConfig window = TinyLlama();
  window.name = "tiny-window";
  window.sliding_window = 4;
  window.kv_heads = 1;
  std::vector<ModelConfig> configs = {TinyLlama(), TinyGpt2(), TinyNeoX(), TinyGranite(), window};
  for (ModelConfig& config : configs) config.layers = 2;
  return configs;
}

}  // namespace lodestone::testing
