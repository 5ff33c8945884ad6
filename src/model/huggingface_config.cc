// config.json as the transformers library writes it, with that library's defaults for what a file leaves out.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <array>
#include <cmath>
#include <limits>

#include "base/quote.h"
#include "model/config.h"
#include "model/config_check.h"
#include "model/huggingface_internal.h"

namespace lodestone {
namespace {

struct Family {
  std::string_view class_name;  // in "architectures"
  std::string_view model_type;
  Architecture architecture;
};

constexpr auto kFamilies = std::to_array<Family>({
    {"LlamaForCausalLM", "llama", Architecture::kLlama},
    {"MistralForCausalLM", "mistral", Architecture::kMistral},
    {"MixtralForCausalLM", "mixtral", Architecture::kMixtral},
    {"Qwen2ForCausalLM", "qwen2", Architecture::kQwen2},
    {"Qwen3ForCausalLM", "qwen3", Architecture::kQwen3},
    {"GraniteForCausalLM", "granite", Architecture::kGranite},
    {"GPT2LMHeadModel", "gpt2", Architecture::kGpt2},
    {"GPTNeoXForCausalLM", "gpt_neox", Architecture::kGptNeoX},
});

std::string KnownFamilies() {
  std::vector<std::string_view> names;
  for (const Family& family : kFamilies) names.push_back(family.class_name);
  return fmt::format("supported are {}", fmt::join(names, ", "));
}

// The family that "architectures" names, or "model_type" where the first is absent; both must agree.
const Family* ReadFamily(ObjectReader& reader) {
  const Family* by_class = nullptr;
  const Family* by_type = nullptr;
  if (const Json* classes = reader.Optional("architectures"); classes != nullptr) {
    const Json::Array* items = classes->as_array();
    const std::string* name = items != nullptr && items->size() == 1 ? items->front().as_string() : nullptr;
    if (name == nullptr) {
      reader.Fail("architectures", "expected a list of one class name; " + KnownFamilies());
      return nullptr;
    }
    for (const Family& family : kFamilies) {
      if (family.class_name == *name) by_class = &family;
    }
    if (by_class == nullptr) {
      reader.Fail("architectures",
                  fmt::format("the architecture {} is not supported; {}", Quoted(*name), KnownFamilies()),
                  ErrorCode::kUnsupported);
      return nullptr;
    }
  }
  const std::string type = reader.OptionalString("model_type", "");
  for (const Family& family : kFamilies) {
    if (family.model_type == type) by_type = &family;
  }
  if (!type.empty() && by_type == nullptr) {
    reader.Fail("model_type", fmt::format("the architecture {} is not supported; {}", Quoted(type), KnownFamilies()),
                ErrorCode::kUnsupported);
    return nullptr;
  }
  if (by_class != nullptr && by_type != nullptr && by_class != by_type) {
    reader.Fail("model_type", fmt::format("found {}, but architectures says {}", Quoted(type), by_class->class_name));
    return nullptr;
  }
  if (by_class == nullptr && by_type == nullptr) {
    reader.Fail("architectures", "found neither this key nor 'model_type'; " + KnownFamilies(), ErrorCode::kNotFound);
  }
  return by_class != nullptr ? by_class : by_type;
}

int Dimension(ObjectReader& reader, std::string_view key, int64_t max) {
  return static_cast<int>(reader.RequireInt(key, 1, max));
}

ActivationKind ReadActivation(ObjectReader& reader, std::string_view key, std::string_view fallback) {
  const std::string name = reader.OptionalString(key, fallback);
  if (name == "silu" || name == "swish") return ActivationKind::kSilu;
  // Three spellings of 0.5 x (1 + tanh(√(2/π) (x + 0.044715 x³))).
  if (name == "gelu_new" || name == "gelu_pytorch_tanh" || name == "gelu_fast") return ActivationKind::kGeluTanh;
  if (name == "gelu") return ActivationKind::kGeluErf;
  reader.Fail(
      key,
      fmt::format("the activation {} is not supported; supported are silu, gelu, gelu_new, gelu_pytorch_tanh and "
                  "gelu_fast",
                  Quoted(name)),
      ErrorCode::kUnsupported);
  return ActivationKind::kSilu;
}

// A setting that only one value of is computed here.
void RequireSetting(ObjectReader& reader, std::string_view key, bool expected) {
  if (reader.OptionalBool(key, expected) == expected) return;
  reader.Fail(key, fmt::format("{} is not supported for this architecture, expected {}", !expected, expected),
              ErrorCode::kUnsupported);
}

// Head dimension hidden / heads where no key states it.
int DividedHeadDim(ObjectReader& reader, const ModelConfig& config, std::string_view hidden_key) {
  if (config.hidden % config.heads == 0) return config.hidden / config.heads;
  reader.Fail(hidden_key,
              fmt::format("{} is not a multiple of {} heads, and no head_dim is stated", config.hidden, config.heads));
  return 0;
}

// The window is 4096 where the file does not name the key, and off where it says null.
int64_t ReadWindow(const Json& json, ObjectReader& reader) {
  if (json.Find("sliding_window") == nullptr) return 4096;
  return reader.OptionalInt("sliding_window", 0, 1, kMaxPositions);
}

// Layers that attend over a window only: all, or none. A mixture of both is refused.
int64_t ReadQwenWindow(const Json& json, ObjectReader& reader, int layers) {
  const bool use = reader.OptionalBool("use_sliding_window", false);
  const int64_t window = ReadWindow(json, reader);
  // Layers from this one on are windowed.
  int64_t first = reader.OptionalInt("max_window_layers", 28, 0, kMaxLayers);
  if (const Json* types = reader.Optional("layer_types"); types != nullptr && use) {
    const Json::Array* items = types->as_array();
    int64_t windowed = 0, full = 0;
    for (const Json& item : items == nullptr ? Json::Array{} : *items) {
      const std::string* name = item.as_string();
      windowed += name != nullptr && *name == "sliding_attention";
      full += name != nullptr && *name == "full_attention";
    }
    if (windowed + full != layers) {
      reader.Fail("layer_types",
                  fmt::format("expected {} entries, each 'full_attention' or 'sliding_attention'", layers));
      return 0;
    }
    first = windowed == 0 ? layers : full == 0 ? 0 : 1;
  } else if (types != nullptr) {
    for (const Json& item : types->as_array() == nullptr ? Json::Array{} : *types->as_array()) {
      if (item.as_string() == nullptr || *item.as_string() != "full_attention") {
        reader.Fail("layer_types", "expected 'full_attention' for every layer, because use_sliding_window is not set",
                    ErrorCode::kUnsupported);
        return 0;
      }
    }
  }
  if (!use || first >= layers) return 0;
  if (first > 0) {
    reader.Fail("max_window_layers", "a sliding window in some layers and not in others is not supported",
                ErrorCode::kUnsupported);
  }
  return window;
}

void ReadGraniteMultipliers(ObjectReader& reader, ModelConfig* config) {
  constexpr double kMin = 1e-9, kMax = 1e9;
  config->embedding_multiplier = reader.OptionalNumber("embedding_multiplier", 1, kMin, kMax);
  config->residual_multiplier = reader.OptionalNumber("residual_multiplier", 1, kMin, kMax);
  config->logits_multiplier = 1 / reader.OptionalNumber("logits_scaling", 1, kMin, kMax);
  // Replaces 1/√head_dim; the library's default really is 1.
  config->attention_scale = reader.OptionalNumber("attention_multiplier", 1, kMin, kMax);
}

// LlamaForCausalLM and what grew from it: RMSNorm, rotary positions, a gated MLP.
void ReadLlamaLike(const Json& json, ObjectReader& reader, ModelConfig* config) {
  const Architecture architecture = config->architecture;
  config->layers = Dimension(reader, "num_hidden_layers", kMaxLayers);
  config->hidden = Dimension(reader, "hidden_size", kMaxHidden);
  config->ffn = Dimension(reader, "intermediate_size", kMaxFfn);
  config->heads = Dimension(reader, "num_attention_heads", kMaxHeads);
  config->vocab = Dimension(reader, "vocab_size", kMaxVocab);
  config->max_positions = reader.RequireInt("max_position_embeddings", 1, kMaxPositions);
  config->norm_eps = reader.OptionalNumber("rms_norm_eps", architecture == Architecture::kMixtral ? 1e-5 : 1e-6, 0, 1);
  config->activation = ReadActivation(reader, "hidden_act", "silu");
  config->tied_embeddings = reader.OptionalBool("tie_word_embeddings", false);

  int64_t default_kv_heads = config->heads;
  if (architecture == Architecture::kMistral || architecture == Architecture::kMixtral) default_kv_heads = 8;
  if (architecture == Architecture::kQwen2 || architecture == Architecture::kQwen3) default_kv_heads = 32;
  config->kv_heads = static_cast<int>(reader.OptionalInt("num_key_value_heads", default_kv_heads, 1, kMaxHeads));

  if (!reader.status().ok()) return;
  if (reader.Has("head_dim")) {
    config->head_dim = Dimension(reader, "head_dim", kMaxHeadDim);
  } else {
    reader.Ignore("head_dim");
    config->head_dim = architecture == Architecture::kQwen3 ? 128 : DividedHeadDim(reader, *config, "hidden_size");
  }
  double partial = reader.OptionalNumber("partial_rotary_factor", 1, 0, 1);
  const bool base_stated = reader.Has("rope_theta") || reader.Has("rope_parameters");
  config->rope = ReadRope(reader, "rope_theta", &partial);
  if (architecture == Architecture::kMixtral && !base_stated) config->rope.theta = 1e6;
  config->rope.rotary_dim = config->head_dim;
  if (partial != 1) {
    reader.Fail("partial_rotary_factor", fmt::format("{} is not supported for this architecture, expected 1", partial),
                ErrorCode::kUnsupported);
  }
  config->attention_scale = 1 / std::sqrt(static_cast<double>(config->head_dim));

  switch (architecture) {
    case Architecture::kMistral:
      RequireSetting(reader, "attention_bias", false);
      RequireSetting(reader, "mlp_bias", false);
      config->sliding_window = ReadWindow(json, reader);
      break;
    case Architecture::kMixtral:
      RequireSetting(reader, "attention_bias", false);
      config->experts = static_cast<int>(reader.OptionalInt("num_local_experts", 8, 1, kMaxFfn));
      config->experts_per_token = static_cast<int>(reader.OptionalInt("num_experts_per_tok", 2, 1, kMaxFfn));
      // Off where the file does not name the key, unlike Mistral's.
      config->sliding_window = reader.OptionalInt("sliding_window", 0, 1, kMaxPositions);
      break;
    case Architecture::kQwen2:
      RequireSetting(reader, "attention_bias", true);
      RequireSetting(reader, "use_mrope", false);
      config->qkv_bias = true;
      config->sliding_window = ReadQwenWindow(json, reader, config->layers);
      break;
    case Architecture::kQwen3:
      config->qkv_bias = config->attention_output_bias = reader.OptionalBool("attention_bias", false);
      config->qk_norm = true;
      config->sliding_window = ReadQwenWindow(json, reader, config->layers);
      break;
    default:
      config->qkv_bias = config->attention_output_bias = reader.OptionalBool("attention_bias", false);
      config->mlp_bias = reader.OptionalBool("mlp_bias", false);
      if (architecture == Architecture::kGranite) ReadGraniteMultipliers(reader, config);
      break;
  }
}

void ReadGpt2(ObjectReader& reader, ModelConfig* config) {
  config->layers = Dimension(reader, "n_layer", kMaxLayers);
  config->hidden = Dimension(reader, "n_embd", kMaxHidden);
  config->ffn = static_cast<int>(reader.OptionalInt("n_inner", int64_t{4} * config->hidden, 1, kMaxFfn));
  config->heads = config->kv_heads = Dimension(reader, "n_head", kMaxHeads);
  config->vocab = Dimension(reader, "vocab_size", kMaxVocab);
  config->max_positions = reader.RequireInt("n_positions", 1, kMaxPositions);
  config->norm = NormKind::kLayer;
  config->norm_eps = reader.OptionalNumber("layer_norm_epsilon", 1e-5, 0, 1);
  config->activation = ReadActivation(reader, "activation_function", "gelu_new");
  config->gated_mlp = false;
  config->position = PositionKind::kLearned;
  config->qkv_bias = config->attention_output_bias = config->mlp_bias = true;
  config->tied_embeddings = reader.OptionalBool("tie_word_embeddings", true);
  RequireSetting(reader, "scale_attn_by_inverse_layer_idx", false);
  const bool scale = reader.OptionalBool("scale_attn_weights", true);
  if (!reader.status().ok()) return;
  config->head_dim = DividedHeadDim(reader, *config, "n_embd");
  config->attention_scale = scale ? 1 / std::sqrt(static_cast<double>(config->head_dim)) : 1;
}

void ReadGptNeoX(ObjectReader& reader, ModelConfig* config) {
  config->layers = Dimension(reader, "num_hidden_layers", kMaxLayers);
  config->hidden = Dimension(reader, "hidden_size", kMaxHidden);
  config->ffn = Dimension(reader, "intermediate_size", kMaxFfn);
  config->heads = config->kv_heads = Dimension(reader, "num_attention_heads", kMaxHeads);
  config->vocab = Dimension(reader, "vocab_size", kMaxVocab);
  config->max_positions = reader.RequireInt("max_position_embeddings", 1, kMaxPositions);
  config->norm = NormKind::kLayer;
  config->norm_eps = reader.OptionalNumber("layer_norm_eps", 1e-5, 0, 1);
  config->activation = ReadActivation(reader, "hidden_act", "gelu");
  config->gated_mlp = false;
  config->parallel_residual = reader.OptionalBool("use_parallel_residual", true);
  config->qkv_bias = config->attention_output_bias = reader.OptionalBool("attention_bias", true);
  config->mlp_bias = true;
  config->tied_embeddings = reader.OptionalBool("tie_word_embeddings", false);
  double partial = reader.OptionalNumber("rotary_pct", 0.25, 0, 1);
  config->rope = ReadRope(reader, "rotary_emb_base", &partial);
  if (!reader.status().ok()) return;
  config->head_dim = DividedHeadDim(reader, *config, "hidden_size");
  config->rope.rotary_dim = static_cast<int>(config->head_dim * partial);
  config->attention_scale = 1 / std::sqrt(static_cast<double>(config->head_dim));
}

bool IsTokenId(const Json& value) {
  return value.as_int() != nullptr && *value.as_int() >= 0 && *value.as_int() <= std::numeric_limits<int32_t>::max();
}

// What the library's configuration classes assume where the file says nothing. Dropped when the vocabulary is too
// small.
void DefaultTokenIds(const Json& json, ModelConfig* config) {
  int32_t bos = -1, eos = -1;
  switch (config->architecture) {
    case Architecture::kLlama:
    case Architecture::kMistral:
    case Architecture::kMixtral:
    case Architecture::kGranite:
      bos = 1, eos = 2;
      break;
    case Architecture::kGpt2:
      bos = eos = 50256;
      break;
    case Architecture::kGptNeoX:
      bos = 0, eos = 2;
      break;
    case Architecture::kQwen2:
    case Architecture::kQwen3:
      return;
  }
  if (json.Find("bos_token_id") == nullptr && bos < config->vocab) config->bos_id = bos;
  if (json.Find("eos_token_id") == nullptr && eos < config->vocab) config->eos_ids = {eos};
}

}  // namespace

void ReadTokenIds(ObjectReader& reader, ModelConfig* config) {
  if (const Json* bos = reader.Optional("bos_token_id"); bos != nullptr) {
    if (IsTokenId(*bos)) {
      config->bos_id = static_cast<int32_t>(*bos->as_int());
    } else {
      reader.Fail("bos_token_id", "expected a token id");
    }
  }
  if (const Json* eos = reader.Optional("eos_token_id"); eos != nullptr) {
    const Json::Array single = {*eos};
    config->eos_ids.clear();
    for (const Json& id : eos->as_array() != nullptr ? *eos->as_array() : single) {
      if (!IsTokenId(id)) return reader.Fail("eos_token_id", "expected a token id or a list of them");
      config->eos_ids.push_back(static_cast<int32_t>(*id.as_int()));
    }
  }
}

Result<ModelConfig> ParseHuggingFaceConfig(const Json& json, const std::string& file) {
  ObjectReader reader(json, file);
  LODESTONE_RETURN_IF_ERROR(reader.status());
  const Family* family = ReadFamily(reader);
  LODESTONE_RETURN_IF_ERROR(reader.status());

  ModelConfig config;
  config.architecture = family->architecture;
  ReadStoredQuantization(reader, &config);
  RefuseForeignSettings(reader, config.architecture);
  switch (config.architecture) {
    case Architecture::kGpt2:
      ReadGpt2(reader, &config);
      break;
    case Architecture::kGptNeoX:
      ReadGptNeoX(reader, &config);
      break;
    default:
      ReadLlamaLike(json, reader, &config);
      break;
  }
  DefaultTokenIds(json, &config);
  ReadTokenIds(reader, &config);
  LODESTONE_RETURN_IF_ERROR(reader.status());

  for (const std::string& key : reader.Unread()) {
    if (json.Find(key)->is_null() || IsWithoutConsequence(key)) continue;
    reader.Fail(
        key,
        fmt::format("this key is not known and may change the arithmetic; if it does not, remove it from {}", file),
        ErrorCode::kUnsupported);
  }
  LODESTONE_RETURN_IF_ERROR(reader.status());
  LODESTONE_RETURN_IF_ERROR(CheckConfig(config, file));
  return config;
}

}  // namespace lodestone
