// A config.json for a model that came without one.
#include <cmath>

#include "model/config.h"
#include "model/huggingface_internal.h"
#include "model/packed_checkpoint.h"

namespace lodestone {
namespace {

const char* ClassName(Architecture architecture) {
  switch (architecture) {
    case Architecture::kLlama:
      return "LlamaForCausalLM";
    case Architecture::kMistral:
      return "MistralForCausalLM";
    case Architecture::kMixtral:
      return "MixtralForCausalLM";
    case Architecture::kQwen2:
      return "Qwen2ForCausalLM";
    case Architecture::kQwen3:
      return "Qwen3ForCausalLM";
    case Architecture::kGranite:
      return "GraniteForCausalLM";
    case Architecture::kGpt2:
      return "GPT2LMHeadModel";
    case Architecture::kGptNeoX:
      return "GPTNeoXForCausalLM";
  }
  return "";
}

const char* ModelType(Architecture architecture) {
  return architecture == Architecture::kGptNeoX ? "gpt_neox" : ToString(architecture);
}

const char* ActivationName(ActivationKind activation) {
  switch (activation) {
    case ActivationKind::kSilu:
      return "silu";
    case ActivationKind::kGeluTanh:
      return "gelu_new";
    case ActivationKind::kGeluErf:
      return "gelu";
  }
  return "";
}

void SetRope(const Rope& rope, const char* theta_key, Json& json) {
  json.Set(theta_key, rope.theta);
  Json scaling;
  if (rope.llama3_factor != 0) {
    scaling.Set("rope_type", "llama3").Set("factor", rope.llama3_factor);
    scaling.Set("low_freq_factor", rope.low_freq_factor).Set("high_freq_factor", rope.high_freq_factor);
    scaling.Set("original_max_position_embeddings", rope.original_positions);
  } else if (rope.linear_factor != 1) {
    scaling.Set("rope_type", "linear").Set("factor", rope.linear_factor);
  }
  if (!scaling.is_null()) json.Set("rope_scaling", std::move(scaling));
}

void SetLlamaLike(const ModelConfig& c, Json& json) {
  json.Set("num_hidden_layers", c.layers).Set("hidden_size", c.hidden).Set("intermediate_size", c.ffn);
  json.Set("num_attention_heads", c.heads).Set("num_key_value_heads", c.kv_heads).Set("head_dim", c.head_dim);
  json.Set("max_position_embeddings", c.max_positions).Set("rms_norm_eps", c.norm_eps);
  json.Set("hidden_act", ActivationName(c.activation));
  SetRope(c.rope, "rope_theta", json);
  const Json window = c.sliding_window == 0 ? Json() : Json(c.sliding_window);
  switch (c.architecture) {
    case Architecture::kMistral:
      json.Set("sliding_window", window);
      break;
    case Architecture::kMixtral:
      json.Set("num_local_experts", c.experts).Set("num_experts_per_tok", c.experts_per_token);
      json.Set("sliding_window", window);
      break;
    case Architecture::kQwen2:
    case Architecture::kQwen3:
      json.Set("use_sliding_window", c.sliding_window != 0).Set("sliding_window", window);
      json.Set("max_window_layers", 0);
      if (c.architecture == Architecture::kQwen3) json.Set("attention_bias", c.qkv_bias);
      break;
    default:
      json.Set("attention_bias", c.qkv_bias).Set("mlp_bias", c.mlp_bias);
      break;
  }
  if (c.architecture == Architecture::kGranite) {
    json.Set("embedding_multiplier", c.embedding_multiplier).Set("residual_multiplier", c.residual_multiplier);
    json.Set("logits_scaling", 1 / c.logits_multiplier).Set("attention_multiplier", c.attention_scale);
  }
}

void SetGpt2(const ModelConfig& c, Json& json) {
  json.Set("n_layer", c.layers).Set("n_embd", c.hidden).Set("n_inner", c.ffn).Set("n_head", c.heads);
  json.Set("n_positions", c.max_positions).Set("layer_norm_epsilon", c.norm_eps);
  json.Set("activation_function", ActivationName(c.activation));
  json.Set("scale_attn_weights", c.attention_scale != 1 || c.head_dim == 1);
}

void SetGptNeoX(const ModelConfig& c, Json& json) {
  json.Set("num_hidden_layers", c.layers).Set("hidden_size", c.hidden).Set("intermediate_size", c.ffn);
  json.Set("num_attention_heads", c.heads).Set("max_position_embeddings", c.max_positions);
  json.Set("layer_norm_eps", c.norm_eps).Set("hidden_act", ActivationName(c.activation));
  json.Set("use_parallel_residual", c.parallel_residual).Set("attention_bias", c.qkv_bias);
  json.Set("rotary_pct", static_cast<double>(c.rope.rotary_dim) / c.head_dim);
  SetRope(c.rope, "rotary_emb_base", json);
}

}  // namespace

Json HuggingFaceConfig(const ModelConfig& config) {
  Json json;
  json.Set("architectures", Json::Array{ClassName(config.architecture)});
  json.Set("model_type", ModelType(config.architecture)).Set("vocab_size", config.vocab);
  json.Set("tie_word_embeddings", config.tied_embeddings);
  if (config.architecture == Architecture::kGpt2) {
    SetGpt2(config, json);
  } else if (config.architecture == Architecture::kGptNeoX) {
    SetGptNeoX(config, json);
  } else {
    SetLlamaLike(config, json);
  }
  json.Set("bos_token_id", config.bos_id ? Json(int64_t{*config.bos_id}) : Json());
  Json::Array eos;
  for (const int32_t id : config.eos_ids) eos.emplace_back(int64_t{id});
  json.Set("eos_token_id", eos.empty() ? Json() : Json(std::move(eos)));
  if (config.stored) json.Set("quantization_config", StoredQuantizationBlock(*config.stored));
  return json;
}

}  // namespace lodestone
