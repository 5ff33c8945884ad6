// Checkpoints with the names of Llama: what is read, and what is refused by name.
#include <gtest/gtest.h>

#include <cmath>

#include "fixtures.h"
#include "model/checkpoint_fixture.h"
#include "test_models.h"

namespace lodestone {
namespace {

using testing::CheckpointFixture;
using testing::ExpectParts;
using testing::Row;
using testing::TinyGranite;
using testing::TinyLlama;
using testing::ValueAt;

class LlamaCheckpointTest : public ::testing::Test {
 protected:
  LlamaCheckpointTest() {
    const ModelConfig c = TinyLlama();
    checkpoint_.Add("model.embed_tokens.weight", 1, c.vocab, c.hidden);
    checkpoint_.Add("model.norm.weight", 2, c.hidden);
    checkpoint_.Add("lm_head.weight", 3, c.vocab, c.hidden);
    for (int layer = 0; layer < c.layers; ++layer) {
      const std::string prefix = "model.layers." + std::to_string(layer) + ".";
      const int tag = 10 * (layer + 1);
      checkpoint_.Add(prefix + "input_layernorm.weight", tag, c.hidden);
      checkpoint_.Add(prefix + "self_attn.q_proj.weight", tag + 1, c.q_width(), c.hidden);
      checkpoint_.Add(prefix + "self_attn.k_proj.weight", tag + 2, c.kv_width(), c.hidden);
      checkpoint_.Add(prefix + "self_attn.v_proj.weight", tag + 3, c.kv_width(), c.hidden);
      checkpoint_.Add(prefix + "self_attn.o_proj.weight", tag + 4, c.hidden, c.q_width());
      checkpoint_.Add(prefix + "post_attention_layernorm.weight", tag + 5, c.hidden);
      checkpoint_.Add(prefix + "mlp.gate_proj.weight", tag + 6, c.ffn, c.hidden);
      checkpoint_.Add(prefix + "mlp.up_proj.weight", tag + 7, c.ffn, c.hidden);
      checkpoint_.Add(prefix + "mlp.down_proj.weight", tag + 8, c.hidden, c.ffn);
    }
  }
  // First value of the last row, which shows tensor and row at once.
  static float LastRow(const WeightSource& source, const ModelConfig& config, const WeightId& id) {
    const WeightShape shape = ShapeOf(config, id);
    return Row(source, id, shape.rows - 1, static_cast<size_t>(shape.columns))[0];
  }
  CheckpointFixture checkpoint_;
};

TEST_F(LlamaCheckpointTest, FindsEveryTensorInItsPlace) {
  const ModelConfig c = TinyLlama();
  const auto source = checkpoint_.Open(c);
  ASSERT_TRUE(source.ok()) << source.error().message;
  const WeightSource& weights = **source;
  EXPECT_EQ(weights.Describe(), "tiny-llama (model.safetensors)");
  EXPECT_EQ(LastRow(weights, c, {WeightKind::kEmbedding, -1}), ValueAt(1, c.vocab - 1, 0));
  EXPECT_EQ(LastRow(weights, c, {WeightKind::kFinalNorm, -1}), ValueAt(2, 0, 0));
  EXPECT_EQ(LastRow(weights, c, {WeightKind::kOutput, -1}), ValueAt(3, c.vocab - 1, 0));
  const WeightKind in_order[] = {
      WeightKind::kAttentionNorm, WeightKind::kQ,    WeightKind::kK,  WeightKind::kV,   WeightKind::kO,
      WeightKind::kMlpNorm,       WeightKind::kGate, WeightKind::kUp, WeightKind::kDown};
  for (int layer = 0; layer < c.layers; ++layer) {
    for (int i = 0; i < 9; ++i) {
      const WeightId id{in_order[i], layer};
      EXPECT_EQ(LastRow(weights, c, id), ValueAt(10 * (layer + 1) + i, ShapeOf(c, id).rows - 1, 0)) << ToString(id);
    }
  }
  // A whole row, from a tensor whose rows and columns differ.
  const std::vector<float> row = Row(weights, {WeightKind::kDown, 2}, 5, static_cast<size_t>(c.ffn));
  for (int i = 0; i < c.ffn; ++i) EXPECT_EQ(row[static_cast<size_t>(i)], ValueAt(38, 5, i));
}

TEST_F(LlamaCheckpointTest, RefusesRowsThatDoNotExist) {
  const ModelConfig c = TinyLlama();
  const auto source = checkpoint_.Open(c);
  ASSERT_TRUE(source.ok()) << source.error().message;
  std::vector<float> row(static_cast<size_t>(c.hidden));
  const auto code = [&](const WeightId& id, int64_t at, size_t columns) {
    const Status status = (*source)->ReadRow(id, at, std::span(row).first(columns));
    return status.ok() ? "ok" : ToString(status.error().code);
  };
  const size_t h = row.size();
  EXPECT_STREQ(code({WeightKind::kQ, 0}, 0, h), "ok");
  EXPECT_STREQ(code({WeightKind::kQ, 0}, c.q_width(), h), ToString(ErrorCode::kInvalid));
  EXPECT_STREQ(code({WeightKind::kQ, 0}, -1, h), ToString(ErrorCode::kInvalid));
  EXPECT_STREQ(code({WeightKind::kQ, 0}, 0, h - 1), ToString(ErrorCode::kInvalid));
  EXPECT_STREQ(code({WeightKind::kQ, c.layers}, 0, h), ToString(ErrorCode::kNotFound));
  EXPECT_STREQ(code({WeightKind::kQ, -1}, 0, h), ToString(ErrorCode::kNotFound));
  EXPECT_STREQ(code({WeightKind::kQ, -2}, 0, h), ToString(ErrorCode::kNotFound));
  EXPECT_STREQ(code({WeightKind::kQBias, 0}, 0, h), ToString(ErrorCode::kNotFound));
  EXPECT_STREQ(code({WeightKind::kQueryStep, 0}, 0, 1), ToString(ErrorCode::kNotFound));
}

TEST_F(LlamaCheckpointTest, RefusesExperts) {
  const Result<std::unique_ptr<WeightSource>> source = OpenCheckpoint("DIR", testing::TinyMixtral());
  ASSERT_FALSE(source.ok());
  EXPECT_EQ(source.error().code, ErrorCode::kUnsupported);
  ExpectParts(source.error().message, {"DIR", "a mixture of 4 experts", "not computed"});
}

TEST_F(LlamaCheckpointTest, RefusesAMissingTensor) {
  const auto whole = checkpoint_.tensors;
  for (const auto& [name, tensor] : whole) {
    checkpoint_.tensors = whole;
    checkpoint_.tensors.erase(name);
    ExpectParts(checkpoint_.ErrorOf(TinyLlama()), {"has no tensor", name, "model.safetensors"});
  }
}

TEST_F(LlamaCheckpointTest, RefusesAWrongShape) {
  checkpoint_.Add("model.layers.1.mlp.up_proj.weight", 0, 79, 48);
  ExpectParts(checkpoint_.ErrorOf(TinyLlama()),
              {"model.safetensors", "'model.layers.1.mlp.up_proj.weight'", "[79, 48]", "[80, 48]", "layer 1 up_proj"});
  checkpoint_.Add("model.layers.1.mlp.up_proj.weight", 0, 80 * 48);
  ExpectParts(checkpoint_.ErrorOf(TinyLlama()), {"[3840]", "[80, 48]"});
}

TEST_F(LlamaCheckpointTest, RefusesAWrongDtype) {
  checkpoint_.tensors["model.norm.weight"] = {"I32", {48}, std::string(48 * 4, '\0')};
  ExpectParts(checkpoint_.ErrorOf(TinyLlama()), {"'model.norm.weight'", "I32", "expected F32, F16 or BF16"});
}

TEST_F(LlamaCheckpointTest, RefusesTensorsThatTheConfigDoesNotCallFor) {
  for (const char* name : {"model.layers.0.self_attn.q_proj.bias", "model.layers.3.input_layernorm.weight",
                           "model.layers.0.self_attn.q_norm.weight", "model.layers.0.self_attn.k_scale"}) {
    CheckpointFixture checkpoint;
    checkpoint.tensors = checkpoint_.tensors;
    checkpoint.Add(name, 0, 4);
    ExpectParts(checkpoint.ErrorOf(TinyLlama()), {name, "[4]", "has no place in a llama model"});
  }
}

TEST_F(LlamaCheckpointTest, IgnoresComputedBuffers) {
  checkpoint_.Add("model.layers.0.self_attn.rotary_emb.inv_freq", 0, 8);
  EXPECT_EQ(checkpoint_.ErrorOf(TinyLlama()), "accepted");
}

TEST_F(LlamaCheckpointTest, TiedOutputIsTheEmbeddingWhateverTheFileHolds) {
  ModelConfig config = TinyLlama();
  config.tied_embeddings = true;
  for (const bool has_output : {true, false}) {
    if (!has_output) checkpoint_.tensors.erase("lm_head.weight");
    const auto source = checkpoint_.Open(config);
    ASSERT_TRUE(source.ok()) << source.error().message;
    EXPECT_EQ(LastRow(**source, config, {WeightKind::kOutput, -1}), ValueAt(1, config.vocab - 1, 0));
  }
  ExpectParts(checkpoint_.ErrorOf(TinyLlama()), {"'lm_head.weight'", "tie_word_embeddings is false"});
}

TEST_F(LlamaCheckpointTest, ReadsStepSizesWhereTheyAre) {
  checkpoint_.AddValues("lodestone.layers.2.query_step", {1}, {0.25f});
  checkpoint_.AddValues("lodestone.output_input_step", {1}, {0.5f});
  const auto source = checkpoint_.Open(TinyLlama());
  ASSERT_TRUE(source.ok()) << source.error().message;
  EXPECT_EQ(Row(**source, {WeightKind::kQueryStep, 2}, 0, 1), std::vector<float>{0.25f});
  EXPECT_EQ(Row(**source, {WeightKind::kOutputInputStep, -1}, 0, 1), std::vector<float>{0.5f});
  for (const float bad : {0.0f, -1.0f, NAN, INFINITY}) {
    checkpoint_.AddValues("lodestone.layers.2.query_step", {1}, {bad});
    ExpectParts(checkpoint_.ErrorOf(TinyLlama()), {"'lodestone.layers.2.query_step'", "positive"});
  }
}

TEST(GraniteCheckpointTest, FindsBiasesAndHeadNorms) {
  ModelConfig c = TinyGranite();
  c.layers = 1;
  c.attention_output_bias = c.mlp_bias = true;
  CheckpointFixture checkpoint;
  checkpoint.Add("model.embed_tokens.weight", 1, c.vocab, c.hidden);
  checkpoint.Add("model.norm.weight", 2, c.hidden);
  const auto linear = [&](const std::string& name, int tag, int rows, int columns) {
    checkpoint.Add("model.layers.0." + name + ".weight", tag, rows, columns);
    checkpoint.Add("model.layers.0." + name + ".bias", tag + 1, rows);
  };
  linear("self_attn.q_proj", 10, c.q_width(), c.hidden);
  linear("self_attn.k_proj", 12, c.kv_width(), c.hidden);
  linear("self_attn.v_proj", 14, c.kv_width(), c.hidden);
  linear("self_attn.o_proj", 16, c.hidden, c.q_width());
  linear("mlp.gate_proj", 18, c.ffn, c.hidden);
  linear("mlp.up_proj", 20, c.ffn, c.hidden);
  linear("mlp.down_proj", 22, c.hidden, c.ffn);
  for (const char* norm : {"input_layernorm", "post_attention_layernorm"}) {
    checkpoint.Add(std::string("model.layers.0.") + norm + ".weight", 30, c.hidden);
  }
  checkpoint.Add("model.layers.0.self_attn.q_norm.weight", 31, c.head_dim);
  checkpoint.Add("model.layers.0.self_attn.k_norm.weight", 32, c.head_dim);
  const auto source = checkpoint.Open(c);
  ASSERT_TRUE(source.ok()) << source.error().message;
  const std::pair<WeightKind, int> vectors[] = {
      {WeightKind::kQBias, 11},    {WeightKind::kKBias, 13},    {WeightKind::kVBias, 15},
      {WeightKind::kOBias, 17},    {WeightKind::kGateBias, 19}, {WeightKind::kUpBias, 21},
      {WeightKind::kDownBias, 23}, {WeightKind::kQNorm, 31},    {WeightKind::kKNorm, 32}};
  for (const auto& [kind, tag] : vectors) {
    const auto columns = static_cast<size_t>(ShapeOf(c, {kind, 0}).columns);
    const std::vector<float> row = Row(**source, {kind, 0}, 0, columns);
    EXPECT_EQ(row.back(), ValueAt(tag, 0, static_cast<int64_t>(columns) - 1)) << ToString(WeightId{kind, 0});
  }
}

TEST(FixtureCheckpointTest, Stories260kOpensAndEveryRowIsFinite) {
  LODESTONE_REQUIRE_FIXTURE("fixtures/stories260k/model.safetensors");
  const std::string directory = (testing::SharedDir() / "fixtures/stories260k").string();
  const auto config = LoadModelConfig(directory);
  ASSERT_TRUE(config.ok()) << config.error().message;
  const auto source = OpenCheckpoint(directory, *config);
  ASSERT_TRUE(source.ok()) << source.error().message;
  EXPECT_EQ((*source)->Describe(), "stories260k (model.safetensors)");
  for (const WeightId& id : AllWeights(*config)) {
    const WeightShape shape = ShapeOf(*config, id);
    double sum = 0;
    for (int64_t row = 0; row < shape.rows; ++row) {
      for (const float x : Row(**source, id, row, static_cast<size_t>(shape.columns))) {
        ASSERT_TRUE(std::isfinite(x)) << ToString(id);
        sum += std::fabs(x);
      }
    }
    EXPECT_GT(sum, 0) << ToString(id);
  }
}

}  // namespace
}  // namespace lodestone
