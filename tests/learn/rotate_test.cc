#include "learn/rotate.h"

#include <gtest/gtest.h>

#include "hash_weights.h"
#include "learn/run_model.h"
#include "test_models.h"

namespace lodestone::testing {
namespace {

// Every bias and norm that an RMSNorm model can have, and a head that is no power of two.
ModelConfig Biased() {
  ModelConfig c = TinyGranite();
  c.attention_output_bias = c.mlp_bias = true;
  c.head_dim = 12;
  c.rope.rotary_dim = 12;
  return c;
}

ModelConfig Parallel() {
  ModelConfig c = TinyLlama();
  c.parallel_residual = true;
  return c;
}

ModelConfig Plain() {  // one input of the MLP, no gate
  ModelConfig c = TinyLlama();
  c.gated_mlp = false;
  c.activation = ActivationKind::kGeluTanh;
  return c;
}

double LargestOf(std::span<const float> values) {
  double largest = 0;
  for (const float value : values) largest = std::max(largest, std::abs(double{value}));
  return largest;
}

double LargestDifference(std::span<const float> a, std::span<const float> b) {
  double largest = 0;
  for (size_t i = 0; i < a.size(); ++i) largest = std::max(largest, std::abs(double{a[i]} - double{b[i]}));
  return largest;
}

TEST(RotatedWeightsProperty, ComputeTheSameModel) {
  for (const ModelConfig& config : {TinyLlama(), TinyGranite(), Biased(), Parallel(), Plain()}) {
    const HashWeights weights(7);
    const auto rotated = RotatedWeights(weights, config, 1);
    ASSERT_TRUE(rotated.ok()) << rotated.error().message;
    const std::vector<int32_t> tokens = RandomTokens(40, config.vocab, 3);
    const std::vector<float> expected = RunningModel(config, "f32", weights).Logits(tokens);
    const std::vector<float> actual = RunningModel(RotatedConfig(config), "f32", **rotated).Logits(tokens);
    // First-order bound: each sum of K products is off by at most K 2⁻²⁴ of its magnitude, errors of the layers add,
    // and norms keep activations of order one.
    const int depth = config.layers * (2 * config.hidden + config.q_width() + config.ffn) + config.hidden;
    const double bound = 2 * depth * 0x1p-24 * LargestOf(expected);
    EXPECT_LE(LargestDifference(expected, actual), bound) << config.name;
    EXPECT_GT(LargestOf(expected), 0);
  }
}

TEST(RotatedWeights, FoldNormsAndUntieTheOutput) {
  const ModelConfig config = TinyGranite();
  const HashWeights weights(7);
  const auto rotated = RotatedWeights(weights, config, 1);
  ASSERT_TRUE(rotated.ok());
  EXPECT_FALSE(RotatedConfig(config).tied_embeddings);
  std::vector<float> norm(48), output(48), embedding(48);
  for (const WeightId id : {WeightId{WeightKind::kAttentionNorm, 1}, WeightId{WeightKind::kMlpNorm, 0},
                            WeightId{WeightKind::kFinalNorm, -1}}) {
    ASSERT_TRUE((*rotated)->ReadRow(id, 0, norm).ok());
    EXPECT_EQ(norm, std::vector<float>(48, 1.0f)) << ToString(id);
  }
  ASSERT_TRUE((*rotated)->ReadRow({WeightKind::kOutput, -1}, 9, output).ok());
  ASSERT_TRUE((*rotated)->ReadRow({WeightKind::kEmbedding, -1}, 9, embedding).ok());
  EXPECT_NE(output, embedding);
}

TEST(RotatedWeights, HaveNoStepSizesAndRefuseWhatIsNotThere) {
  const ModelConfig config = TinyLlama();
  const HashWeights weights(7);
  const auto rotated = RotatedWeights(weights, config, 1);
  ASSERT_TRUE(rotated.ok());
  std::vector<float> one(1), row(48);
  EXPECT_EQ((*rotated)->ReadRow({WeightKind::kQueryStep, 0}, 0, one).error().code, ErrorCode::kNotFound);
  EXPECT_EQ((*rotated)->ReadRow({WeightKind::kOBias, 0}, 0, row).error().code, ErrorCode::kNotFound);
  EXPECT_EQ((*rotated)->ReadRow({WeightKind::kO, 3}, 0, row).error().code, ErrorCode::kNotFound);
  EXPECT_EQ((*rotated)->ReadRow({WeightKind::kDown, 0}, 48, row).error().code, ErrorCode::kInvalid);
  EXPECT_EQ((*rotated)->ReadRow({WeightKind::kDown, 0}, 0, row).error().code, ErrorCode::kInvalid);  // 80 inputs
}

TEST(RotatedWeights, RefuseLayerNormByName) {
  const HashWeights weights(7);
  const auto rotated = RotatedWeights(weights, TinyGpt2(), 1);
  ASSERT_FALSE(rotated.ok());
  EXPECT_EQ(rotated.error().code, ErrorCode::kUnsupported);
  EXPECT_NE(rotated.error().message.find("LayerNorm"), std::string::npos);
}

// Some channels of the residual stream a hundred times as large as others, as large models have them.
class Outliers final : public WeightSource {
 public:
  Status ReadRow(const WeightId& id, int64_t row, std::span<float> out) const override {
    LODESTONE_RETURN_IF_ERROR(weights_.ReadRow(id, row, out));
    if (id.kind == WeightKind::kEmbedding || id.kind == WeightKind::kPositions) {
      for (size_t i = 0; i < out.size(); i += 19) out[i] *= 100;
    }
    return {};
  }
  std::string Describe() const override { return "weights with outliers"; }

 private:
  HashWeights weights_{11};
};

TEST(RotatedWeights, SaveWhatOutliersCostInFourBits) {
  const ModelConfig config = TinyLlama();
  const Outliers weights;
  const auto rotated = RotatedWeights(weights, config, 1);
  ASSERT_TRUE(rotated.ok());
  const std::vector<int32_t> tokens = RandomTokens(60, config.vocab, 5);
  const std::vector<float> exact = RunningModel(config, "f32", weights).Logits(tokens);
  const auto error = [&](const ModelConfig& of, const WeightSource& source) {
    const std::vector<float> logits = RunningModel(of, "w4a4", source).Logits(tokens);
    double sum = 0;
    for (size_t i = 0; i < exact.size(); ++i) sum += std::pow(double{exact[i]} - double{logits[i]}, 2);
    return std::sqrt(sum);
  };
  EXPECT_LT(error(RotatedConfig(config), **rotated), error(config, weights));
}

TEST(RotatedWeights, MayBeReadFromManyThreads) {
  const ModelConfig config = TinyLlama();
  const HashWeights weights(7);
  const auto rotated = RotatedWeights(weights, config, 1), alone = RotatedWeights(weights, config, 1);
  ASSERT_TRUE(rotated.ok() && alone.ok());
  ThreadPool threads(4);
  std::vector<std::vector<float>> rows(48 * 3, std::vector<float>(80));
  threads.ParallelFor(48 * 3, [&](int64_t begin, int64_t end, int) {
    for (int64_t i = begin; i < end; ++i) {
      EXPECT_TRUE((*rotated)->ReadRow({WeightKind::kDown, static_cast<int>(i % 3)}, i / 3, rows[i]).ok());
    }
  });
  std::vector<float> row(80);
  for (int i = 0; i < 48 * 3; ++i) {
    ASSERT_TRUE((*alone)->ReadRow({WeightKind::kDown, i % 3}, i / 3, row).ok());
    EXPECT_EQ(rows[i], row);
  }
}

}  // namespace
}  // namespace lodestone::testing
