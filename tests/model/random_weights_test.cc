#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "model/weight_source.h"
#include "test_models.h"

namespace lodestone {
namespace {

using testing::TinyGpt2;
using testing::TinyLlama;

std::vector<float> Row(const WeightSource& source, const ModelConfig& config, const WeightId& id, int64_t row) {
  std::vector<float> out(static_cast<size_t>(ShapeOf(config, id).columns));
  const Status status = source.ReadRow(id, row, out);
  EXPECT_TRUE(status.ok()) << status.error().message;
  return out;
}

// Golden values, computed apart from this code: the same seed must mean the same model on every machine and in every
// later version.
TEST(RandomWeightsTest, ASeedMeansTheSameModelForever) {
  const ModelConfig c = TinyLlama();
  const std::vector<float> row = Row(*RandomWeights(c, 1), c, {WeightKind::kQ, 2}, 7);
  EXPECT_EQ(row[0], 0x1.afd386p-5f);
  EXPECT_EQ(row[1], 0x1.342bbap-5f);
  EXPECT_EQ(row[47], 0x1.9d065cp-6f);
}

TEST(RandomWeightsTest, SeedsTensorsLayersAndRowsDiffer) {
  const ModelConfig c = TinyLlama();
  std::set<std::vector<float>> rows;
  for (const uint64_t seed : {0u, 1u, 2u}) {
    const auto source = RandomWeights(c, seed);
    for (const WeightKind kind : {WeightKind::kQ, WeightKind::kGate, WeightKind::kUp}) {
      for (int layer = 0; layer < 3; ++layer) {
        for (int64_t row = 0; row < 4; ++row) rows.insert(Row(*source, c, {kind, layer}, row));
      }
    }
  }
  EXPECT_EQ(rows.size(), size_t{3 * 3 * 3 * 4});
}

TEST(RandomWeightsTest, NormsAreOneBiasesZeroAndTiedOutputIsTheEmbedding) {
  const ModelConfig c = TinyGpt2();
  const auto source = RandomWeights(c, 3);
  for (const float x : Row(*source, c, {WeightKind::kFinalNorm, -1}, 0)) EXPECT_EQ(x, 1);
  for (const float x : Row(*source, c, {WeightKind::kFinalNormBias, -1}, 0)) EXPECT_EQ(x, 0);
  for (const float x : Row(*source, c, {WeightKind::kUpBias, 1}, 0)) EXPECT_EQ(x, 0);
  EXPECT_EQ(Row(*source, c, {WeightKind::kOutput, -1}, 9), Row(*source, c, {WeightKind::kEmbedding, -1}, 9));
  EXPECT_NE(Row(*source, TinyLlama(), {WeightKind::kOutput, -1}, 9), std::vector<float>(48));
  EXPECT_EQ(source->Describe(), "random weights, seed 3");
}

TEST(RandomWeightsTest, RefusesWhatTheModelDoesNotHave) {
  const ModelConfig c = TinyLlama();
  const auto source = RandomWeights(c, 1);
  std::vector<float> row(48);
  const auto code = [&](const WeightId& id, int64_t at, size_t columns) {
    const Status status = source->ReadRow(id, at, std::span(row).first(columns));
    return status.ok() ? "ok" : ToString(status.error().code);
  };
  EXPECT_STREQ(code({WeightKind::kQBias, 0}, 0, 48), ToString(ErrorCode::kNotFound));
  EXPECT_STREQ(code({WeightKind::kQueryStep, 0}, 0, 1), ToString(ErrorCode::kNotFound));
  EXPECT_STREQ(code({WeightKind::kQ, 0}, 64, 48), ToString(ErrorCode::kInvalid));
  EXPECT_STREQ(code({WeightKind::kQ, 0}, 0, 47), ToString(ErrorCode::kInvalid));
}

// Over n values of variance s², the mean has deviation s/√n and the variance s² √((k − 1)/n), with kurtosis k = 2.7 for
// a sum of four uniform words; six deviations are allowed.
TEST(RandomWeightsPropertyTest, MomentsAreThoseOfTheStatedDistribution) {
  ModelConfig c = TinyLlama();
  c.vocab = 4000;
  constexpr double kDeviation = 0.02, kKurtosis = 2.7;
  for (uint64_t seed = 0; seed < 8; ++seed) {
    const auto source = RandomWeights(c, seed);
    double sum = 0, squares = 0, lagged = 0, fourth = 0, largest = 0, previous = 0;
    double n = 0;
    for (int64_t row = 0; row < c.vocab; ++row) {
      for (const float value : Row(*source, c, {WeightKind::kEmbedding, -1}, row)) {
        const double x = value;
        sum += x;
        squares += x * x;
        fourth += x * x * x * x;
        lagged += x * previous;
        previous = x;
        largest = std::max(largest, std::fabs(x));
        n += 1;
      }
    }
    const double variance = kDeviation * kDeviation;
    EXPECT_LT(std::fabs(sum / n), 6 * kDeviation / std::sqrt(n)) << "seed " << seed;
    EXPECT_LT(std::fabs(squares / n - variance), 6 * variance * std::sqrt((kKurtosis - 1) / n)) << "seed " << seed;
    EXPECT_LT(std::fabs(lagged / n), 6 * variance / std::sqrt(n)) << "seed " << seed;
    // The fourth power's own deviation is below √(E x⁸) = √49 variance² for this bounded distribution.
    EXPECT_LT(std::fabs(fourth / n - kKurtosis * variance * variance), 6 * 7 * variance * variance / std::sqrt(n))
        << "seed " << seed;
    EXPECT_LE(largest, kDeviation * 2 * std::sqrt(3.0) * 1.001) << "seed " << seed;
    EXPECT_GT(largest, kDeviation * 3) << "seed " << seed;
  }
}

}  // namespace
}  // namespace lodestone
