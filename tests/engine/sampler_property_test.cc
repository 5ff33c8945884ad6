// Statistics of the sampler. All keys are fixed, so each test is one number against one bound, the same everywhere.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>

#include "engine/sampler.h"

namespace lodestone {
namespace {

// χ² of `counts` against `probabilities`.
double ChiSquare(const std::vector<int>& counts, const std::vector<double>& probabilities, int draws) {
  double sum = 0;
  for (size_t i = 0; i < counts.size(); ++i) {
    const double expected = probabilities[i] * draws;
    sum += (counts[i] - expected) * (counts[i] - expected) / expected;
  }
  return sum;
}

// The value that χ² with k degrees of freedom exceeds with probability 1e-6 (z = 4.753): Wilson and Hilferty, 1931.
double Bound(double k) { return k * std::pow(1 - 2 / (9 * k) + 4.753 * std::sqrt(2 / (9 * k)), 3); }

TEST(SamplerProperty, KeyedUniformIsUniformOverEachWordOfItsKey) {
  constexpr int kBins = 64, kDraws = 64000;
  for (int word = 0; word < 3; ++word) {
    std::vector<int> counts(kBins);
    for (int i = 0; i < kDraws; ++i) {
      const uint64_t n = static_cast<uint64_t>(i);
      const double u = KeyedUniform(word == 0 ? n : 1, word == 1 ? n : 2, word == 2 ? i : 3);
      ASSERT_GE(u, 0);
      ASSERT_LT(u, 1);
      ++counts[static_cast<size_t>(u * kBins)];
    }
    EXPECT_LT(ChiSquare(counts, std::vector<double>(kBins, 1.0 / kBins), kDraws), Bound(kBins - 1)) << "word " << word;
  }
}

TEST(SamplerProperty, NeighbouringPositionsAreIndependent) {
  constexpr size_t kBins = 8;
  constexpr int kDraws = 64000;
  std::vector<int> counts(kBins * kBins);
  for (int64_t i = 0; i < kDraws; ++i) {
    const auto bin = [&](int64_t position) { return static_cast<size_t>(KeyedUniform(9, 4, position) * kBins); };
    ++counts[bin(i) * kBins + bin(i + 1)];
  }
  EXPECT_LT(ChiSquare(counts, std::vector<double>(counts.size(), 1.0 / static_cast<double>(counts.size())), kDraws),
            Bound(static_cast<double>(counts.size()) - 1));
}

TEST(SamplerProperty, DrawsFollowTheSoftmaxOfEveryCut) {
  constexpr int kDraws = 20000;
  for (uint32_t seed = 0; seed < 12; ++seed) {
    std::mt19937 random(seed);
    std::vector<float> logits(12);
    for (float& logit : logits) logit = std::uniform_real_distribution<float>(-1, 1)(random);
    Sampling sampling;
    sampling.seed = seed;
    sampling.temperature = std::uniform_real_distribution<double>(0.5, 2)(random);
    if (seed % 3 == 1) sampling.top_k = 5;
    if (seed % 3 == 2) sampling.top_p = 0.7;

    // The plain definition: sort, cut, normalise.
    std::vector<size_t> order(logits.size());
    for (size_t i = 0; i < order.size(); ++i) order[i] = i;
    std::sort(order.begin(), order.end(), [&](size_t a, size_t b) { return logits[a] > logits[b]; });
    if (sampling.top_k > 0) order.resize(static_cast<size_t>(sampling.top_k));
    double total = 0;
    std::vector<double> weights;
    for (size_t i : order)
      total += weights.emplace_back(std::exp(static_cast<double>(logits[i]) / sampling.temperature));
    double kept = 0;
    size_t count = 0;
    while (count < order.size() && (kept < sampling.top_p * total || sampling.top_p == 1)) kept += weights[count++];
    weights.resize(count);
    for (double& w : weights) w /= kept;

    Sampler sampler;
    std::vector<int> counts(count);
    for (int64_t position = 0; position < kDraws; ++position) {
      const auto id = static_cast<size_t>(*sampler.Sample(logits, sampling, {}, 1, position));
      const auto rank = static_cast<size_t>(std::find(order.begin(), order.end(), id) - order.begin());
      ASSERT_LT(rank, count) << "seed " << seed << ": token " << id << " should have been cut";
      ++counts[rank];
    }
    EXPECT_LT(ChiSquare(counts, weights, kDraws), Bound(static_cast<double>(count) - 1)) << "seed " << seed;
  }
}

}  // namespace
}  // namespace lodestone
