// Writes a model as a GGUF file, from the definitions of the format and of its architectures: what tests read back.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <string>
#include <vector>

#include "model/config.h"
#include "model/gguf_builder.h"
#include "model/weight_source.h"
#include "numerics/rounding.h"

namespace lodestone::testing {

using Rows = std::vector<std::vector<float>>;

inline Rows ReadRows(const WeightSource& source, const ModelConfig& config, const WeightId& id) {
  const WeightShape shape = ShapeOf(config, id);
  Rows rows(static_cast<size_t>(shape.rows), std::vector<float>(static_cast<size_t>(shape.columns)));
  for (size_t r = 0; r < rows.size(); ++r) {
    const Status status = source.ReadRow(id, static_cast<int64_t>(r), rows[r]);
    EXPECT_TRUE(status.ok()) << status.error().message;
  }
  return rows;
}

// 32 values as Q8_0 (d = max / 127) or Q4_0 (d = the value of largest magnitude / −8), as ggml rounds them.
inline std::string EncodeBlock(uint32_t type, const float* values) {
  const float* largest =
      std::max_element(values, values + 32, [](float a, float b) { return std::abs(a) < std::abs(b); });
  const float scale = type == kTensorQ8_0 ? std::abs(*largest) / 127 : *largest / -8;
  const float inverse = scale == 0 ? 0 : 1 / scale;
  std::string block = RawBytes(FloatToF16(scale));
  if (type == kTensorQ8_0) {
    for (int i = 0; i < 32; ++i) block += RawBytes(static_cast<int8_t>(std::lround(values[i] * inverse)));
    return block;
  }
  const auto code = [&](int i) { return std::clamp(static_cast<int>(values[i] * inverse + 8.5f), 0, 15); };
  for (int i = 0; i < 16; ++i) block += RawBytes(static_cast<uint8_t>(code(i) | code(i + 16) << 4));
  return block;
}

class GgufOfModel {
 public:
  GgufOfModel(const ModelConfig& config, const WeightSource& source, uint32_t matrix_type = kTensorF32)
      : config_(config), source_(source), matrix_type_(matrix_type) {}

  // Adds the keys of the architecture and all tensors.
  void AddTo(GgufBuilder& builder) const {
    AddKeys(builder);
    for (const WeightId& id : AllWeights(config_)) AddWeight(builder, id);
  }

 private:
  bool IsGpt() const {
    return config_.architecture == Architecture::kGpt2 || config_.architecture == Architecture::kGptNeoX;
  }
  std::string Name() const {
    return config_.architecture == Architecture::kGptNeoX ? "gptneox" : ToString(config_.architecture);
  }

  void AddKeys(GgufBuilder& builder) const {
    const auto key = [&](const char* name) { return Name() + "." + name; };
    const auto u32 = [&](const char* name, int64_t value) { builder.U32(key(name), static_cast<uint32_t>(value)); };
    const auto f32 = [&](const char* name, double value) { builder.F32(key(name), static_cast<float>(value)); };
    builder.Text("general.architecture", Name());
    u32("block_count", config_.layers);
    u32("embedding_length", config_.hidden);
    u32("feed_forward_length", config_.ffn);
    u32("attention.head_count", config_.heads);
    u32("attention.head_count_kv", config_.kv_heads);
    u32("context_length", config_.max_positions);
    u32("vocab_size", config_.vocab);
    f32(IsGpt() ? "attention.layer_norm_epsilon" : "attention.layer_norm_rms_epsilon", config_.norm_eps);
    if (config_.head_dim * config_.heads != config_.hidden) {
      u32("attention.key_length", config_.head_dim);
      u32("attention.value_length", config_.head_dim);
    }
    if (config_.position == PositionKind::kRotary) {
      u32("rope.dimension_count", config_.rope.rotary_dim);
      f32("rope.freq_base", config_.rope.theta);
      if (config_.rope.linear_factor != 1) {
        builder.Text(key("rope.scaling.type"), "linear");
        f32("rope.scaling.factor", config_.rope.linear_factor);
      }
    }
    if (config_.architecture == Architecture::kGptNeoX) {
      builder.Bool(key("use_parallel_residual"), config_.parallel_residual);
    }
    if (config_.architecture == Architecture::kGranite) {
      f32("embedding_scale", config_.embedding_multiplier);
      f32("residual_scale", config_.residual_multiplier);
      f32("logit_scale", 1 / config_.logits_multiplier);
      f32("attention.scale", config_.attention_scale);
    }
  }

  void AddWeight(GgufBuilder& builder, const WeightId& id) const {
    Rows rows = ReadRows(source_, config_, id);
    const bool matrix = ShapeOf(config_, id).rows != 1;
    const bool query_or_key = id.kind == WeightKind::kQ || id.kind == WeightKind::kK || id.kind == WeightKind::kQBias ||
                              id.kind == WeightKind::kKBias;
    if (IsGpt() && (query_or_key || id.kind == WeightKind::kV || id.kind == WeightKind::kVBias)) {
      // Q, K and V are one tensor, written where Q stands.
      if (id.kind != WeightKind::kQ && id.kind != WeightKind::kQBias) return;
      const bool bias = id.kind == WeightKind::kQBias;
      for (const WeightKind kind :
           {bias ? WeightKind::kKBias : WeightKind::kK, bias ? WeightKind::kVBias : WeightKind::kV}) {
        const Rows part = ReadRows(source_, config_, {kind, id.layer});
        if (bias) {
          rows[0].insert(rows[0].end(), part[0].begin(), part[0].end());
        } else {
          rows.insert(rows.end(), part.begin(), part.end());
        }
      }
    } else if (query_or_key &&
               (config_.architecture == Architecture::kLlama || config_.architecture == Architecture::kGranite)) {
      if (matrix) {
        rows = Interleaved(rows);
      } else {
        rows[0] = Interleaved(rows[0]);
      }
    }
    AddTensor(builder, TensorName(id), rows, matrix);
  }

  // The converters' permutation: [heads][2][half] becomes [heads][half][2].
  template <typename T>
  std::vector<T> Interleaved(const std::vector<T>& rows) const {
    std::vector<T> out;
    const auto width = static_cast<size_t>(config_.head_dim);
    for (size_t head = 0; head < rows.size() / width; ++head) {
      for (size_t i = 0; i < width / 2; ++i) {
        for (size_t s = 0; s < 2; ++s) out.push_back(rows[head * width + s * width / 2 + i]);
      }
    }
    return out;
  }

  void AddTensor(GgufBuilder& builder, const std::string& name, const Rows& rows, bool matrix) const {
    std::vector<int64_t> shape = {static_cast<int64_t>(rows[0].size())};
    if (matrix) shape.insert(shape.begin(), static_cast<int64_t>(rows.size()));
    const bool blocks = matrix && matrix_type_ != kTensorF32 && rows[0].size() % 32 == 0;
    std::string bytes;
    for (const std::vector<float>& row : rows) {
      if (blocks) {
        for (size_t i = 0; i < row.size(); i += 32) bytes += EncodeBlock(matrix_type_, row.data() + i);
      } else {
        bytes.append(reinterpret_cast<const char*>(row.data()), row.size() * sizeof(float));
      }
    }
    builder.Tensor(name, blocks ? matrix_type_ : kTensorF32, shape, bytes);
  }

  std::string TensorName(const WeightId& id) const {
    static const std::map<WeightKind, std::string> names = {
        {WeightKind::kEmbedding, "token_embd.weight"},
        {WeightKind::kPositions, "position_embd.weight"},
        {WeightKind::kAttentionNorm, "attn_norm.weight"},
        {WeightKind::kAttentionNormBias, "attn_norm.bias"},
        {WeightKind::kQ, "attn_q.weight"},
        {WeightKind::kK, "attn_k.weight"},
        {WeightKind::kV, "attn_v.weight"},
        {WeightKind::kQBias, "attn_q.bias"},
        {WeightKind::kKBias, "attn_k.bias"},
        {WeightKind::kVBias, "attn_v.bias"},
        {WeightKind::kQNorm, "attn_q_norm.weight"},
        {WeightKind::kKNorm, "attn_k_norm.weight"},
        {WeightKind::kO, "attn_output.weight"},
        {WeightKind::kOBias, "attn_output.bias"},
        {WeightKind::kMlpNorm, "ffn_norm.weight"},
        {WeightKind::kMlpNormBias, "ffn_norm.bias"},
        {WeightKind::kGate, "ffn_gate.weight"},
        {WeightKind::kUp, "ffn_up.weight"},
        {WeightKind::kGateBias, "ffn_gate.bias"},
        {WeightKind::kUpBias, "ffn_up.bias"},
        {WeightKind::kDown, "ffn_down.weight"},
        {WeightKind::kDownBias, "ffn_down.bias"},
        {WeightKind::kFinalNorm, "output_norm.weight"},
        {WeightKind::kFinalNormBias, "output_norm.bias"},
        {WeightKind::kOutput, "output.weight"},
    };
    std::string name = names.at(id.kind);
    if (IsGpt() && id.kind == WeightKind::kQ) name = "attn_qkv.weight";
    if (IsGpt() && id.kind == WeightKind::kQBias) name = "attn_qkv.bias";
    return id.layer < 0 ? name : "blk." + std::to_string(id.layer) + "." + name;
  }

  const ModelConfig& config_;
  const WeightSource& source_;
  uint32_t matrix_type_;
};

}  // namespace lodestone::testing
