#include "model/checkpoint_names.h"

#include <fmt/format.h>

#include <algorithm>

namespace lodestone {
namespace {

constexpr const char* kLlamaOutput = "lm_head.weight";
constexpr const char* kNeoXOutput = "embed_out.weight";

// "lodestone.layers.3.query_step": our own tensors, the same in every architecture.
std::string StepName(const WeightId& id) {
  std::string name = ToString(WeightId{id.kind, -1});
  std::replace(name.begin(), name.end(), ' ', '_');
  return id.layer < 0 ? fmt::format("lodestone.{}", name) : fmt::format("lodestone.layers.{}.{}", id.layer, name);
}

// Llama, Mistral, Qwen and Granite share their names.
std::string LlamaName(const WeightId& id) {
  const auto in_layer = [&](const char* name) { return fmt::format("model.layers.{}.{}", id.layer, name); };
  switch (id.kind) {
    case WeightKind::kEmbedding:
      return "model.embed_tokens.weight";
    case WeightKind::kAttentionNorm:
      return in_layer("input_layernorm.weight");
    case WeightKind::kQ:
      return in_layer("self_attn.q_proj.weight");
    case WeightKind::kK:
      return in_layer("self_attn.k_proj.weight");
    case WeightKind::kV:
      return in_layer("self_attn.v_proj.weight");
    case WeightKind::kQBias:
      return in_layer("self_attn.q_proj.bias");
    case WeightKind::kKBias:
      return in_layer("self_attn.k_proj.bias");
    case WeightKind::kVBias:
      return in_layer("self_attn.v_proj.bias");
    case WeightKind::kQNorm:
      return in_layer("self_attn.q_norm.weight");
    case WeightKind::kKNorm:
      return in_layer("self_attn.k_norm.weight");
    case WeightKind::kO:
      return in_layer("self_attn.o_proj.weight");
    case WeightKind::kOBias:
      return in_layer("self_attn.o_proj.bias");
    case WeightKind::kMlpNorm:
      return in_layer("post_attention_layernorm.weight");
    case WeightKind::kGate:
      return in_layer("mlp.gate_proj.weight");
    case WeightKind::kUp:
      return in_layer("mlp.up_proj.weight");
    case WeightKind::kGateBias:
      return in_layer("mlp.gate_proj.bias");
    case WeightKind::kUpBias:
      return in_layer("mlp.up_proj.bias");
    case WeightKind::kDown:
      return in_layer("mlp.down_proj.weight");
    case WeightKind::kDownBias:
      return in_layer("mlp.down_proj.bias");
    case WeightKind::kFinalNorm:
      return "model.norm.weight";
    case WeightKind::kOutput:
      return kLlamaOutput;
    // RMSNorm has no bias and rotary models have no position table: their configurations cannot ask for these.
    case WeightKind::kPositions:
    case WeightKind::kAttentionNormBias:
    case WeightKind::kMlpNormBias:
    case WeightKind::kFinalNormBias:
    case WeightKind::kRouter:
    case WeightKind::kAttentionInputStep:
    case WeightKind::kQueryStep:
    case WeightKind::kKeyStep:
    case WeightKind::kValueStep:
    case WeightKind::kProbabilityStep:
    case WeightKind::kAttendedStep:
    case WeightKind::kMlpInputStep:
    case WeightKind::kDownInputStep:
    case WeightKind::kOutputInputStep:
      break;
  }
  return "";
}

std::string Gpt2Name(const WeightId& id, std::string_view prefix) {
  const auto top = [&](const char* name) { return fmt::format("{}{}", prefix, name); };
  const auto in_layer = [&](const char* name) { return fmt::format("{}h.{}.{}", prefix, id.layer, name); };
  switch (id.kind) {
    case WeightKind::kEmbedding:
      return top("wte.weight");
    case WeightKind::kPositions:
      return top("wpe.weight");
    case WeightKind::kAttentionNorm:
      return in_layer("ln_1.weight");
    case WeightKind::kAttentionNormBias:
      return in_layer("ln_1.bias");
    case WeightKind::kQ:
    case WeightKind::kK:
    case WeightKind::kV:
      return in_layer("attn.c_attn.weight");
    case WeightKind::kQBias:
    case WeightKind::kKBias:
    case WeightKind::kVBias:
      return in_layer("attn.c_attn.bias");
    case WeightKind::kO:
      return in_layer("attn.c_proj.weight");
    case WeightKind::kOBias:
      return in_layer("attn.c_proj.bias");
    case WeightKind::kMlpNorm:
      return in_layer("ln_2.weight");
    case WeightKind::kMlpNormBias:
      return in_layer("ln_2.bias");
    case WeightKind::kUp:
      return in_layer("mlp.c_fc.weight");
    case WeightKind::kUpBias:
      return in_layer("mlp.c_fc.bias");
    case WeightKind::kDown:
      return in_layer("mlp.c_proj.weight");
    case WeightKind::kDownBias:
      return in_layer("mlp.c_proj.bias");
    case WeightKind::kFinalNorm:
      return top("ln_f.weight");
    case WeightKind::kFinalNormBias:
      return top("ln_f.bias");
    case WeightKind::kOutput:
      return kLlamaOutput;
    case WeightKind::kQNorm:
    case WeightKind::kKNorm:
    case WeightKind::kGate:
    case WeightKind::kGateBias:
    case WeightKind::kRouter:
    case WeightKind::kAttentionInputStep:
    case WeightKind::kQueryStep:
    case WeightKind::kKeyStep:
    case WeightKind::kValueStep:
    case WeightKind::kProbabilityStep:
    case WeightKind::kAttendedStep:
    case WeightKind::kMlpInputStep:
    case WeightKind::kDownInputStep:
    case WeightKind::kOutputInputStep:
      break;
  }
  return "";
}

std::string GptNeoXName(const WeightId& id) {
  const auto in_layer = [&](const char* name) { return fmt::format("gpt_neox.layers.{}.{}", id.layer, name); };
  switch (id.kind) {
    case WeightKind::kEmbedding:
      return "gpt_neox.embed_in.weight";
    case WeightKind::kAttentionNorm:
      return in_layer("input_layernorm.weight");
    case WeightKind::kAttentionNormBias:
      return in_layer("input_layernorm.bias");
    case WeightKind::kQ:
    case WeightKind::kK:
    case WeightKind::kV:
      return in_layer("attention.query_key_value.weight");
    case WeightKind::kQBias:
    case WeightKind::kKBias:
    case WeightKind::kVBias:
      return in_layer("attention.query_key_value.bias");
    case WeightKind::kO:
      return in_layer("attention.dense.weight");
    case WeightKind::kOBias:
      return in_layer("attention.dense.bias");
    case WeightKind::kMlpNorm:
      return in_layer("post_attention_layernorm.weight");
    case WeightKind::kMlpNormBias:
      return in_layer("post_attention_layernorm.bias");
    case WeightKind::kUp:
      return in_layer("mlp.dense_h_to_4h.weight");
    case WeightKind::kUpBias:
      return in_layer("mlp.dense_h_to_4h.bias");
    case WeightKind::kDown:
      return in_layer("mlp.dense_4h_to_h.weight");
    case WeightKind::kDownBias:
      return in_layer("mlp.dense_4h_to_h.bias");
    case WeightKind::kFinalNorm:
      return "gpt_neox.final_layer_norm.weight";
    case WeightKind::kFinalNormBias:
      return "gpt_neox.final_layer_norm.bias";
    case WeightKind::kOutput:
      return kNeoXOutput;
    case WeightKind::kPositions:
    case WeightKind::kQNorm:
    case WeightKind::kKNorm:
    case WeightKind::kGate:
    case WeightKind::kGateBias:
    case WeightKind::kRouter:
    case WeightKind::kAttentionInputStep:
    case WeightKind::kQueryStep:
    case WeightKind::kKeyStep:
    case WeightKind::kValueStep:
    case WeightKind::kProbabilityStep:
    case WeightKind::kAttendedStep:
    case WeightKind::kMlpInputStep:
    case WeightKind::kDownInputStep:
    case WeightKind::kOutputInputStep:
      break;
  }
  return "";
}

// 0, 1, 2 for Q, K, V and their biases; −1 for what no checkpoint fuses.
int FusedPart(WeightKind kind) {
  switch (kind) {
    case WeightKind::kQ:
    case WeightKind::kQBias:
      return 0;
    case WeightKind::kK:
    case WeightKind::kKBias:
      return 1;
    case WeightKind::kV:
    case WeightKind::kVBias:
      return 2;
    default:
      return -1;
  }
}

bool IsConv1D(WeightKind kind) {
  return kind == WeightKind::kQ || kind == WeightKind::kK || kind == WeightKind::kV || kind == WeightKind::kO ||
         kind == WeightKind::kUp || kind == WeightKind::kDown;
}

}  // namespace

StoredTensor LocateTensor(const ModelConfig& config, const WeightId& asked, std::string_view prefix) {
  WeightId id = asked;
  if (id.kind == WeightKind::kOutput && config.tied_embeddings) id.kind = WeightKind::kEmbedding;
  const WeightShape shape = ShapeOf(config, id);
  StoredTensor stored;
  // A vector is one row whose values lie as the rows of a matrix do.
  stored.outputs = stored.run = stored.pitch = shape.rows == 1 ? shape.columns : shape.rows;
  if (IsStep(id.kind)) {
    stored.name = StepName(id);
    return stored;
  }
  const int part = FusedPart(id.kind);
  switch (config.architecture) {
    case Architecture::kGpt2:
      stored.name = Gpt2Name(id, prefix);
      stored.transposed = IsConv1D(id.kind);
      if (part >= 0) {
        stored.first = part * stored.outputs;
        stored.outputs *= 3;
      }
      break;
    case Architecture::kGptNeoX:
      stored.name = GptNeoXName(id);
      if (part >= 0) {
        stored.first = int64_t{part} * config.head_dim;
        stored.outputs *= 3;
        stored.run = config.head_dim;
        stored.pitch = int64_t{3} * config.head_dim;
      }
      break;
    default:
      stored.name = LlamaName(id);
      break;
  }
  return stored;
}

PrefixProbe OptionalPrefix(Architecture architecture) {
  return architecture == Architecture::kGpt2 ? PrefixProbe{"transformer.", "wte.weight"} : PrefixProbe{};
}

bool IsIgnorable(const ModelConfig& config, std::string_view name) {
  if (config.tied_embeddings && (name == kLlamaOutput || name == kNeoXOutput)) return true;
  if (name.ends_with("rotary_emb.inv_freq")) return true;
  if (config.architecture == Architecture::kGpt2) {
    return name.ends_with(".attn.bias") || name.ends_with(".attn.masked_bias");
  }
  if (config.architecture == Architecture::kGptNeoX) {
    return name.ends_with(".attention.bias") || name.ends_with(".attention.masked_bias");
  }
  return false;
}

}  // namespace lodestone
