// Checkpoints that fuse and transpose: GPT-2's Conv1D, GPT-NeoX's interleaved heads.
#include <gtest/gtest.h>

#include "model/checkpoint_fixture.h"
#include "test_models.h"

namespace lodestone {
namespace {

using testing::CheckpointFixture;
using testing::ExpectParts;
using testing::Row;
using testing::TinyGpt2;
using testing::TinyNeoX;
using testing::ValueAt;

ModelConfig SmallGpt2() {
  ModelConfig c = TinyGpt2();
  c.layers = 2;
  c.hidden = 8;
  c.heads = c.kv_heads = 2;
  c.head_dim = 4;
  c.ffn = 12;
  c.vocab = 10;
  c.max_positions = 6;
  c.bos_id.reset();
  c.eos_ids.clear();
  return c;
}

void FillGpt2(CheckpointFixture& checkpoint, const ModelConfig& c, const std::string& prefix) {
  checkpoint.Add(prefix + "wte.weight", 1, c.vocab, c.hidden);
  checkpoint.Add(prefix + "wpe.weight", 2, c.max_positions, c.hidden);
  checkpoint.Add(prefix + "ln_f.weight", 3, c.hidden);
  checkpoint.Add(prefix + "ln_f.bias", 4, c.hidden);
  for (int layer = 0; layer < c.layers; ++layer) {
    const std::string h = prefix + "h." + std::to_string(layer) + ".";
    const int tag = 20 * (layer + 1);
    checkpoint.Add(h + "ln_1.weight", tag, c.hidden);
    checkpoint.Add(h + "ln_1.bias", tag + 1, c.hidden);
    checkpoint.Add(h + "attn.c_attn.weight", tag + 2, c.hidden, 3 * c.hidden);
    checkpoint.Add(h + "attn.c_attn.bias", tag + 3, 3 * c.hidden);
    checkpoint.Add(h + "attn.c_proj.weight", tag + 4, c.hidden, c.hidden);
    checkpoint.Add(h + "attn.c_proj.bias", tag + 5, c.hidden);
    checkpoint.Add(h + "ln_2.weight", tag + 6, c.hidden);
    checkpoint.Add(h + "ln_2.bias", tag + 7, c.hidden);
    checkpoint.Add(h + "mlp.c_fc.weight", tag + 8, c.hidden, c.ffn);
    checkpoint.Add(h + "mlp.c_fc.bias", tag + 9, c.ffn);
    checkpoint.Add(h + "mlp.c_proj.weight", tag + 10, c.ffn, c.hidden);
    checkpoint.Add(h + "mlp.c_proj.bias", tag + 11, c.hidden);
  }
}

class Gpt2CheckpointTest : public ::testing::TestWithParam<std::string> {};

TEST_P(Gpt2CheckpointTest, RowsAreColumnsOfTheStoredMatrices) {
  const ModelConfig c = SmallGpt2();
  CheckpointFixture checkpoint;
  FillGpt2(checkpoint, c, GetParam());
  const auto source = checkpoint.Open(c);
  ASSERT_TRUE(source.ok()) << source.error().message;

  // Stored [inputs][outputs]: output `stored` of the tensor `tag`, input i, is ValueAt(tag, i, stored).
  const auto expect_matrix = [&](WeightKind kind, int tag, int first, int rows, int inputs) {
    for (int layer = 0; layer < c.layers; ++layer) {
      for (int row = 0; row < rows; ++row) {
        const std::vector<float> values = Row(**source, {kind, layer}, row, static_cast<size_t>(inputs));
        for (int i = 0; i < inputs; ++i) {
          ASSERT_EQ(values[static_cast<size_t>(i)], ValueAt(20 * (layer + 1) + tag, i, first + row))
              << ToString(WeightId{kind, layer}) << " row " << row << " input " << i;
        }
      }
    }
  };
  expect_matrix(WeightKind::kQ, 2, 0, 8, 8);
  expect_matrix(WeightKind::kK, 2, 8, 8, 8);
  expect_matrix(WeightKind::kV, 2, 16, 8, 8);
  expect_matrix(WeightKind::kO, 4, 0, 8, 8);
  expect_matrix(WeightKind::kUp, 8, 0, 12, 8);
  expect_matrix(WeightKind::kDown, 10, 0, 8, 12);

  const auto expect_vector = [&](const WeightId& id, int tag, int first, size_t size) {
    const std::vector<float> values = Row(**source, id, 0, size);
    for (size_t i = 0; i < size; ++i)
      ASSERT_EQ(values[i], ValueAt(tag, 0, first + static_cast<int64_t>(i))) << ToString(id);
  };
  expect_vector({WeightKind::kQBias, 1}, 43, 0, 8);
  expect_vector({WeightKind::kKBias, 1}, 43, 8, 8);
  expect_vector({WeightKind::kVBias, 1}, 43, 16, 8);
  expect_vector({WeightKind::kOBias, 1}, 45, 0, 8);
  expect_vector({WeightKind::kUpBias, 1}, 49, 0, 12);
  expect_vector({WeightKind::kDownBias, 1}, 51, 0, 8);
  expect_vector({WeightKind::kAttentionNormBias, 1}, 41, 0, 8);
  expect_vector({WeightKind::kMlpNorm, 1}, 46, 0, 8);
  expect_vector({WeightKind::kFinalNormBias, -1}, 4, 0, 8);

  // Tables are not transposed, and the tied output layer is the embedding.
  EXPECT_EQ(Row(**source, {WeightKind::kPositions, -1}, 5, 8)[7], ValueAt(2, 5, 7));
  EXPECT_EQ(Row(**source, {WeightKind::kOutput, -1}, 9, 8)[7], ValueAt(1, 9, 7));
}

TEST_P(Gpt2CheckpointTest, IgnoresMasksAndATiedOutputButNothingElse) {
  const ModelConfig c = SmallGpt2();
  CheckpointFixture checkpoint;
  FillGpt2(checkpoint, c, GetParam());
  checkpoint.tensors[GetParam() + "h.0.attn.bias"] = {"BOOL", {1, 1, 6, 6}, std::string(36, '\1')};
  checkpoint.AddValues(GetParam() + "h.0.attn.masked_bias", {}, {-1e4f});
  checkpoint.Add("lm_head.weight", 0, c.vocab, c.hidden);
  EXPECT_EQ(checkpoint.ErrorOf(c), "accepted");
  checkpoint.Add(GetParam() + "h.0.crossattention.c_attn.weight", 0, 8, 16);
  ExpectParts(checkpoint.ErrorOf(c), {"h.0.crossattention.c_attn.weight", "has no place in a gpt2 model"});
}

TEST_P(Gpt2CheckpointTest, NamesTheStoredShapeThatItExpects) {
  const ModelConfig c = SmallGpt2();
  CheckpointFixture checkpoint;
  FillGpt2(checkpoint, c, GetParam());
  checkpoint.Add(GetParam() + "h.1.attn.c_attn.weight", 0, 24, 8);
  ExpectParts(checkpoint.ErrorOf(c), {GetParam() + "h.1.attn.c_attn.weight", "[24, 8]", "expected [8, 24]"});
}

INSTANTIATE_TEST_SUITE_P(WithAndWithoutPrefix, Gpt2CheckpointTest, ::testing::Values("", "transformer."),
                         [](const auto& test) { return test.param.empty() ? "Bare" : "Transformer"; });

TEST(GptNeoXCheckpointTest, HeadsAreInterleavedAsQueryKeyValue) {
  ModelConfig c = TinyNeoX();
  c.layers = 1;
  c.hidden = 12;
  c.heads = c.kv_heads = 3;
  c.head_dim = 4;
  c.ffn = 10;
  c.vocab = 9;
  c.rope.rotary_dim = 2;
  CheckpointFixture checkpoint;
  checkpoint.Add("gpt_neox.embed_in.weight", 1, c.vocab, c.hidden);
  checkpoint.Add("embed_out.weight", 2, c.vocab, c.hidden);
  checkpoint.Add("gpt_neox.final_layer_norm.weight", 3, c.hidden);
  checkpoint.Add("gpt_neox.final_layer_norm.bias", 4, c.hidden);
  const std::string l = "gpt_neox.layers.0.";
  checkpoint.Add(l + "input_layernorm.weight", 5, c.hidden);
  checkpoint.Add(l + "input_layernorm.bias", 6, c.hidden);
  checkpoint.Add(l + "post_attention_layernorm.weight", 7, c.hidden);
  checkpoint.Add(l + "post_attention_layernorm.bias", 8, c.hidden);
  checkpoint.Add(l + "attention.query_key_value.weight", 9, 36, c.hidden);
  checkpoint.Add(l + "attention.query_key_value.bias", 10, 36);
  checkpoint.Add(l + "attention.dense.weight", 11, c.hidden, c.hidden);
  checkpoint.Add(l + "attention.dense.bias", 12, c.hidden);
  checkpoint.Add(l + "mlp.dense_h_to_4h.weight", 13, c.ffn, c.hidden);
  checkpoint.Add(l + "mlp.dense_h_to_4h.bias", 14, c.ffn);
  checkpoint.Add(l + "mlp.dense_4h_to_h.weight", 15, c.hidden, c.ffn);
  checkpoint.Add(l + "mlp.dense_4h_to_h.bias", 16, c.hidden);
  checkpoint.Add(l + "attention.bias", 17, 4);
  checkpoint.Add(l + "attention.masked_bias", 18, 1);
  checkpoint.Add(l + "attention.rotary_emb.inv_freq", 19, 1);
  const auto source = checkpoint.Open(c);
  ASSERT_TRUE(source.ok()) << source.error().message;

  // [heads][3][head_dim]: head 1 owns stored rows 12 to 23, of which 4 each are Q, K and V.
  const std::pair<WeightKind, WeightKind> parts[] = {
      {WeightKind::kQ, WeightKind::kQBias}, {WeightKind::kK, WeightKind::kKBias}, {WeightKind::kV, WeightKind::kVBias}};
  for (int part = 0; part < 3; ++part) {
    const std::vector<float> bias = Row(**source, {parts[part].second, 0}, 0, 12);
    for (int row = 0; row < 12; ++row) {
      const int stored = row / 4 * 12 + part * 4 + row % 4;
      EXPECT_EQ(Row(**source, {parts[part].first, 0}, row, 12)[11], ValueAt(9, stored, 11)) << part << " " << row;
      EXPECT_EQ(bias[static_cast<size_t>(row)], ValueAt(10, 0, stored)) << part << " " << row;
    }
  }
  EXPECT_EQ(Row(**source, {WeightKind::kUp, 0}, 9, 12)[3], ValueAt(13, 9, 3));
  EXPECT_EQ(Row(**source, {WeightKind::kDown, 0}, 11, 10)[3], ValueAt(15, 11, 3));
  EXPECT_EQ(Row(**source, {WeightKind::kOutput, -1}, 8, 12)[3], ValueAt(2, 8, 3));
}

}  // namespace
}  // namespace lodestone
