#include "learn/quantize_model.h"

#include <gtest/gtest.h>

#include "fixtures.h"
#include "hash_weights.h"
#include "learn/run_model.h"
#include "model/open_model.h"
#include "test_models.h"

namespace lodestone::testing {
namespace {

constexpr QuantizeMethod kAllMethods[] = {QuantizeMethod::kRtn, QuantizeMethod::kGptq, QuantizeMethod::kRotate,
                                          QuantizeMethod::kRotateGptq};

Status Quantize(const ModelConfig& config, const std::string& recipe, QuantizeMethod method,
                const WeightSource& weights, std::span<const int32_t> tokens, StoredModel& stored, int threads = 1) {
  ThreadPool pool(threads);
  return QuantizeModel(config, *ParseRecipe(recipe), method, weights, tokens, pool, stored);
}

TEST(QuantizeMethod, HasFourNames) {
  for (const QuantizeMethod method : kAllMethods) {
    const auto parsed = ParseQuantizeMethod(ToString(method));
    ASSERT_TRUE(parsed.ok());
    EXPECT_EQ(*parsed, method);
  }
  const auto unknown = ParseQuantizeMethod("awq");
  ASSERT_FALSE(unknown.ok());
  EXPECT_NE(unknown.error().message.find("rotate+gptq"), std::string::npos);
  EXPECT_FALSE(NeedsCalibration(QuantizeMethod::kRotate));
  EXPECT_TRUE(NeedsCalibration(QuantizeMethod::kRotateGptq));
}

TEST(TensorsOf, ListsATiedTableOnceAFormat) {
  const auto tensors = TensorsOf(TinyGranite(), *ParseRecipe("w4a8"));
  ASSERT_TRUE(tensors.ok());
  int tables = 0;
  for (const auto& matrix : tensors->matrices) tables += matrix.id.kind == WeightKind::kEmbedding;
  EXPECT_EQ(tables, 2);
  EXPECT_EQ(tensors->matrices.size(), 2u + 3 * 7);
  EXPECT_EQ(tensors->vectors.size(), 3u * (2 + 3 + 2) + 1);  // norms, biases of QKV, norms of Q and K; the final norm
  EXPECT_EQ(TensorsOf(TinyLlama(), *ParseRecipe("w4a8c8"))->vectors.size(), 3u * (2 + 8) + 2);  // with step sizes
}

TEST(QuantizeModel, GivesEveryTensorOnceAndTheModelRuns) {
  const HashWeights weights(5);
  for (const ModelConfig& config : {TinyLlama(), TinyGranite(), TinyGpt2(), TinyNeoX()}) {
    const std::vector<int32_t> text = RandomTokens(90, config.vocab, 1), prompt = RandomTokens(8, config.vocab, 2);
    for (const std::string recipe : {"w4a8:g32", "w8a8", "w4a4:static"}) {
      for (const QuantizeMethod method : kAllMethods) {
        StoredModel stored;
        const Status status = Quantize(config, recipe, method, weights, text, stored);
        const bool rotates = method == QuantizeMethod::kRotate || method == QuantizeMethod::kRotateGptq;
        if (rotates && config.norm == NormKind::kLayer) {
          EXPECT_EQ(status.error().code, ErrorCode::kUnsupported);
          continue;
        }
        ASSERT_TRUE(status.ok()) << config.name << " " << recipe << ": " << status.error().message;
        const StoredTensors expected = *TensorsOf(stored.config(), *ParseRecipe(recipe));
        EXPECT_EQ(stored.matrices(), expected.matrices.size());
        EXPECT_EQ(stored.vectors(), expected.vectors.size());
        for (const float logit : RunningModel(stored.config(), recipe, stored).Logits(prompt)) {
          ASSERT_TRUE(std::isfinite(logit));
        }
      }
    }
  }
}

TEST(QuantizeModel, RoundsAsLoadingDoes) {
  const ModelConfig config = TinyGranite();
  const HashWeights weights(5);
  StoredModel stored;
  ASSERT_TRUE(Quantize(config, "w4a8:g64", QuantizeMethod::kRtn, weights, {}, stored).ok());
  const std::vector<int32_t> prompt = RandomTokens(20, config.vocab, 2);
  EXPECT_EQ(RunningModel(config, "w4a8:g64", weights).Logits(prompt),
            RunningModel(config, "w4a8:g64", stored).Logits(prompt));
}

TEST(QuantizeModel, IsTheSameForAnyNumberOfThreads) {
  const ModelConfig config = TinyLlama();
  const HashWeights weights(5);
  const std::vector<int32_t> text = RandomTokens(90, config.vocab, 1);
  StoredModel one, many;
  ASSERT_TRUE(Quantize(config, "w4a8", QuantizeMethod::kRotateGptq, weights, text, one, 1).ok());
  ASSERT_TRUE(Quantize(config, "w4a8", QuantizeMethod::kRotateGptq, weights, text, many, 4).ok());
  const StoredTensors tensors = *TensorsOf(one.config(), *ParseRecipe("w4a8"));
  for (const auto& matrix : tensors.matrices) {
    const PackedMatrix *a = one.Find(matrix.id, matrix.shape.format), *b = many.Find(matrix.id, matrix.shape.format);
    ASSERT_TRUE(a != nullptr && b != nullptr);
    EXPECT_TRUE(std::equal(a->codes.data(), a->codes.data() + a->codes.size(), b->codes.data())) << ToString(matrix.id);
  }
}

TEST(QuantizeModel, RefusesWhatIsEstimatedAlone) {
  const HashWeights weights(5);
  const auto message = [&](const ModelConfig& config, const char* recipe) {
    StoredModel stored;
    const Status status = Quantize(config, recipe, QuantizeMethod::kRtn, weights, {}, stored);
    return status.ok() ? "" : status.error().message;
  };
  EXPECT_NE(message(TinyMixtral(), "w4a8").find("a mixture of experts cannot be quantised"), std::string::npos);
  EXPECT_NE(message(TinyLlama(), "w4a16:kv8").find("leave the KV suffix out"), std::string::npos);
  EXPECT_NE(message(TinyLlama(), "f8").find("fp8"), std::string::npos);
  EXPECT_EQ(message(TinyLlama(), "w4a8"), "");
}

TEST(QuantizeModel, RefusesWhatGptqCannotUse) {
  const ModelConfig config = TinyLlama();
  const HashWeights weights(5);
  StoredModel stored;
  const std::vector<int32_t> text = {1, 2, 3}, beyond = {1, 50};
  const Status floating = Quantize(config, "bf16", QuantizeMethod::kGptq, weights, text, stored);
  ASSERT_FALSE(floating.ok());
  EXPECT_NE(floating.error().message.find("bf16"), std::string::npos);
  EXPECT_FALSE(Quantize(config, "w4a8", QuantizeMethod::kGptq, weights, {}, stored).ok());
  const Status vocabulary = Quantize(config, "w4a8", QuantizeMethod::kGptq, weights, beyond, stored);
  ASSERT_FALSE(vocabulary.ok());
  EXPECT_NE(vocabulary.error().message.find("50"), std::string::npos);
}

// A trained model, and text that it wrote itself: some to calibrate on, other to measure with.
TEST(QuantizeModel, GptqKeepsATrainedModelBetterThanRounding) {
  LODESTONE_REQUIRE_FIXTURE("fixtures/stories260k");
  const auto model = OpenModel((SharedDir() / "fixtures/stories260k").string());
  ASSERT_TRUE(model.ok()) << model.error().message;
  RunningModel exact(model->config, "f32", *model->weights);
  const std::vector<int32_t> text = SampleText(exact, *model->config.bos_id, 400, 1);
  const std::vector<int32_t> held_out = SampleText(exact, *model->config.bos_id, 200, 2);
  const std::vector<float> expected = exact.Logits(held_out);
  for (const std::string recipe : {"w4a16", "w4a8", "w4a8:g32"}) {
    double lost[2];
    for (const bool gptq : {false, true}) {
      StoredModel stored;
      const QuantizeMethod method = gptq ? QuantizeMethod::kGptq : QuantizeMethod::kRtn;
      ASSERT_TRUE(Quantize(model->config, recipe, method, *model->weights, text, stored).ok());
      RunningModel quantized(model->config, recipe, stored);
      lost[gptq] = Divergence(expected, quantized.Logits(held_out), static_cast<size_t>(model->config.vocab));
    }
    EXPECT_LT(lost[1], lost[0]) << recipe;
  }
}

}  // namespace
}  // namespace lodestone::testing
