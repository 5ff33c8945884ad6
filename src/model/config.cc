#include "model/config.h"

#include <fmt/format.h>

#include <cmath>

#include "model/config_check.h"
#include "model/weight_source.h"

namespace lodestone {
namespace {

Status CheckDimension(const std::string& file, const char* name, int64_t value, int64_t max) {
  if (value >= 1 && value <= max) return {};
  return Invalid(fmt::format("{}: {} is {}, expected 1 to {}", file, name, value, max));
}

Status CheckConstant(const std::string& file, const char* name, double value, bool may_be_zero) {
  if (std::isfinite(value) && (may_be_zero ? value >= 0 : value > 0)) return {};
  return Invalid(
      fmt::format("{}: {} is {}, expected a {} number", file, name, value, may_be_zero ? "non-negative" : "positive"));
}

Status CheckTokenId(const std::string& file, const char* name, int32_t id, int vocab) {
  if (id >= 0 && id < vocab) return {};
  return Invalid(fmt::format("{}: {} is {}, outside the vocabulary of {} tokens", file, name, id, vocab));
}

Status CheckRope(const std::string& file, const ModelConfig& config) {
  const Rope& rope = config.rope;
  if (rope.rotary_dim < 2 || rope.rotary_dim > config.head_dim || rope.rotary_dim % 2 != 0) {
    return Invalid(fmt::format("{}: {} of {} dimensions of a head would rotate, expected an even number from 2 to {}",
                               file, rope.rotary_dim, config.head_dim, config.head_dim));
  }
  LODESTONE_RETURN_IF_ERROR(CheckConstant(file, "rope theta", rope.theta, false));
  LODESTONE_RETURN_IF_ERROR(CheckConstant(file, "rope linear factor", rope.linear_factor, false));
  LODESTONE_RETURN_IF_ERROR(CheckConstant(file, "rope llama3 factor", rope.llama3_factor, true));
  if (rope.llama3_factor == 0) return {};
  if (!(rope.low_freq_factor > 0) || !(rope.high_freq_factor > rope.low_freq_factor)) {
    return Invalid(fmt::format("{}: rope low_freq_factor {} and high_freq_factor {}: expected 0 < low < high", file,
                               rope.low_freq_factor, rope.high_freq_factor));
  }
  return CheckDimension(file, "rope original positions", rope.original_positions, kMaxPositions);
}

Status CheckExperts(const std::string& file, const ModelConfig& config) {
  const int64_t experts = config.experts, picked = config.experts_per_token;
  if (experts == 0 && picked == 0) return {};
  // Side by side they are no wider than an MLP may be, so that the bounds of config_check.h hold for them too.
  LODESTONE_RETURN_IF_ERROR(CheckDimension(file, "the number of experts", experts, kMaxFfn / config.ffn));
  LODESTONE_RETURN_IF_ERROR(CheckDimension(file, "the number of experts a token", picked, experts));
  if (!config.mlp_bias) return {};
  return Unsupported(fmt::format("{}: experts with biases are not supported", file));
}

}  // namespace

Status CheckConfig(const ModelConfig& config, const std::string& file) {
  LODESTONE_RETURN_IF_ERROR(CheckDimension(file, "the number of layers", config.layers, kMaxLayers));
  LODESTONE_RETURN_IF_ERROR(CheckDimension(file, "the hidden size", config.hidden, kMaxHidden));
  LODESTONE_RETURN_IF_ERROR(CheckDimension(file, "the feed-forward size", config.ffn, kMaxFfn));
  LODESTONE_RETURN_IF_ERROR(CheckDimension(file, "the number of heads", config.heads, kMaxHeads));
  LODESTONE_RETURN_IF_ERROR(CheckDimension(file, "the number of KV heads", config.kv_heads, config.heads));
  LODESTONE_RETURN_IF_ERROR(CheckDimension(file, "the head dimension", config.head_dim, kMaxHeadDim));
  LODESTONE_RETURN_IF_ERROR(CheckDimension(file, "the vocabulary", config.vocab, kMaxVocab));
  LODESTONE_RETURN_IF_ERROR(CheckDimension(file, "the number of positions", config.max_positions, kMaxPositions));
  if (config.heads % config.kv_heads != 0) {
    return Invalid(fmt::format("{}: {} heads are not a multiple of {} KV heads", file, config.heads, config.kv_heads));
  }
  LODESTONE_RETURN_IF_ERROR(CheckExperts(file, config));
  if (config.sliding_window < 0 || config.sliding_window > kMaxPositions) {
    return Invalid(fmt::format("{}: the sliding window is {}, expected 0 (none) to {}", file, config.sliding_window,
                               kMaxPositions));
  }
  LODESTONE_RETURN_IF_ERROR(CheckConstant(file, "the norm's epsilon", config.norm_eps, true));
  LODESTONE_RETURN_IF_ERROR(CheckConstant(file, "the embedding multiplier", config.embedding_multiplier, false));
  LODESTONE_RETURN_IF_ERROR(CheckConstant(file, "the residual multiplier", config.residual_multiplier, false));
  LODESTONE_RETURN_IF_ERROR(CheckConstant(file, "the logits multiplier", config.logits_multiplier, false));
  LODESTONE_RETURN_IF_ERROR(CheckConstant(file, "the attention scale", config.attention_scale, false));
  if (config.position == PositionKind::kRotary) LODESTONE_RETURN_IF_ERROR(CheckRope(file, config));
  if (config.bos_id) LODESTONE_RETURN_IF_ERROR(CheckTokenId(file, "the BOS id", *config.bos_id, config.vocab));
  for (const int32_t id : config.eos_ids) {
    LODESTONE_RETURN_IF_ERROR(CheckTokenId(file, "an EOS id", id, config.vocab));
  }
  return {};
}

int64_t ParameterCount(const ModelConfig& config) {
  int64_t count = 0;
  for (const WeightId& id : AllWeights(config)) {
    const WeightShape shape = ShapeOf(config, id);
    count += shape.rows * shape.columns;
  }
  return count;
}

const char* ToString(Architecture architecture) {
  switch (architecture) {
    case Architecture::kLlama:
      return "llama";
    case Architecture::kMistral:
      return "mistral";
    case Architecture::kMixtral:
      return "mixtral";
    case Architecture::kQwen2:
      return "qwen2";
    case Architecture::kQwen3:
      return "qwen3";
    case Architecture::kGranite:
      return "granite";
    case Architecture::kGpt2:
      return "gpt2";
    case Architecture::kGptNeoX:
      return "gpt-neox";
  }
  return "unknown";
}

}  // namespace lodestone
