// What a transformer is: the numbers of a Hugging Face `config.json`, of a GGUF file, or of a shape in
// `catalog/models/`.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/status.h"

namespace lodestone {

enum class Architecture { kLlama, kMistral, kMixtral, kQwen2, kQwen3, kGranite, kGpt2, kGptNeoX };
enum class NormKind { kRms, kLayer };
enum class ActivationKind { kSilu, kGeluTanh, kGeluErf };
enum class PositionKind { kRotary, kLearned };

// Rotary embedding: angle of pair i at position p is p × theta^(−2i / rotary_dim), rescaled as Llama 3 does where
// `llama3_factor` is set (low frequencies divided by the factor, a linear blend between).
struct Rope {
  double theta = 10000;
  int rotary_dim = 0;        // leading dimensions of a head that rotate
  double linear_factor = 1;  // positions divided by this ("linear" scaling)
  double llama3_factor = 0;  // 0: none
  double low_freq_factor = 1, high_freq_factor = 4;
  int64_t original_positions = 0;

  friend bool operator==(const Rope&, const Rope&) = default;
};

// What `lodestone quantize` states in a config.json about the codes beside it.
struct StoredQuantization {
  std::string recipe, method;   // "w4a8:g128", "gptq"
  bool byte_tokenizer = false;  // random weights have no tokenizer.json: ids are bytes

  friend bool operator==(const StoredQuantization&, const StoredQuantization&) = default;
};

struct ModelConfig {
  std::string name;  // directory or catalogue name
  Architecture architecture = Architecture::kLlama;
  int layers = 0, hidden = 0, ffn = 0, heads = 0, kv_heads = 0, head_dim = 0, vocab = 0;
  int64_t max_positions = 0;

  // A mixture of experts: each layer has so many MLPs of width ffn, of which a router picks some for every token.
  // Estimated, not computed: executors refuse it by name. 0: one MLP.
  int experts = 0, experts_per_token = 0;

  NormKind norm = NormKind::kRms;
  double norm_eps = 1e-5;
  ActivationKind activation = ActivationKind::kSilu;
  bool gated_mlp = true;           // act(gate) × up, otherwise act(up)
  bool parallel_residual = false;  // attention and MLP read the same input (GPT-NeoX)
  PositionKind position = PositionKind::kRotary;
  Rope rope;
  int64_t sliding_window = 0;  // attention sees the last so many positions; 0: all
  bool qkv_bias = false, attention_output_bias = false, mlp_bias = false;
  bool qk_norm = false;  // RMSNorm of each head of Q and K (Qwen3)
  bool tied_embeddings = false;

  // Granite's constants; 1 elsewhere. Attention's is the softmax scale itself.
  double embedding_multiplier = 1, residual_multiplier = 1, logits_multiplier = 1;
  double attention_scale = 0;  // 1/√head_dim unless the config says otherwise

  std::optional<int32_t> bos_id;
  std::vector<int32_t> eos_ids;

  std::optional<StoredQuantization> stored;  // of a packed checkpoint: its recipe is the default

  friend bool operator==(const ModelConfig&, const ModelConfig&) = default;

  int q_width() const { return heads * head_dim; }
  int kv_width() const { return kv_heads * head_dim; }
};

// Parameters of the model, every tensor once (a tied table once).
int64_t ParameterCount(const ModelConfig& config);

// Reads a Hugging Face configuration; what the file leaves out is what the transformers library assumes for the
// architecture. Refused by name: an architecture that is not in the list, a setting that changes the arithmetic and is
// not supported (such as an unknown rope_scaling or hidden_act, experts but Mixtral's, stored quantisation), an unknown
// key that is not null, a dimension that is missing, out of bounds or inconsistent (hidden not a multiple of heads
// without head_dim, heads not a multiple of kv_heads). Products of two dimensions do not overflow an int64_t, nor does
// ParameterCount.
Result<ModelConfig> ParseHuggingFaceConfig(const Json& json, const std::string& file);

// The same in the other direction: reading the result gives `config` back, except its name. For models that come
// without a config.json, and for those whose rotation unties the output layer.
Json HuggingFaceConfig(const ModelConfig& config);

// Reads a shape of `catalog/models/`. Keys are those of the struct above; those with a neutral value (multipliers 1, no
// window, no biases, no rope scaling, no experts) may be left out. `description` and `source` say what it is and where
// its numbers come from; `parameters`, where stated, must equal ParameterCount.
//
//   name = "llama-3-8b"          architecture = "llama"      layers = 32      hidden = 4096    ffn = 14336
//   heads = 32                   kv_heads = 8                head_dim = 128   vocab = 128256   max_positions = 8192
//   norm = "rms"                 norm_eps = 1e-5             activation = "silu"               tied_embeddings = false
//   gated_mlp = true             position = "rotary"         rope = { theta = 500000.0, rotary_dim = 128 }
Result<ModelConfig> ParseCatalogModel(const Json& toml, const std::string& file);

// A directory with config.json (and generation_config.json, whose eos and bos ids win), a GGUF file, a shape in a file
// of the user's own (FILE.toml, as in catalog/models/), or a name of the catalogue. A directory with a config.json wins
// over a name, and so does a file. An unknown name lists the known ones, with the nearest, and says how to name a
// directory.
Result<ModelConfig> LoadModelConfig(const std::string& directory_or_name);
// Names in catalog/models/, sorted, with a one-line description and source each.
struct CatalogModel {
  std::string name, description, source;
  ModelConfig config;
};
Result<std::vector<CatalogModel>> CatalogModels();

const char* ToString(Architecture architecture);

}  // namespace lodestone
