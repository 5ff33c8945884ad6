#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <utility>

#include "base/catalog.h"
#include "base/quote.h"
#include "model/config.h"
#include "model/config_check.h"

namespace lodestone {
namespace {

template <typename T>
using Names = std::vector<std::pair<std::string_view, T>>;

// One of a closed list of words.
template <typename T>
T RequireWord(ObjectReader& reader, std::string_view key, const Names<T>& names) {
  const std::string word = reader.RequireString(key);
  std::vector<std::string_view> known;
  for (const auto& [name, value] : names) {
    if (name == word) return value;
    known.push_back(name);
  }
  reader.Fail(key, fmt::format("found {}, expected one of {}", Quoted(word), fmt::join(known, ", ")));
  return names.front().second;
}

const Names<Architecture>& ArchitectureNames() {
  static const Names<Architecture> kNames = [] {
    Names<Architecture> names;
    for (const Architecture a :
         {Architecture::kLlama, Architecture::kMistral, Architecture::kMixtral, Architecture::kQwen2,
          Architecture::kQwen3, Architecture::kGranite, Architecture::kGpt2, Architecture::kGptNeoX}) {
      names.emplace_back(ToString(a), a);
    }
    return names;
  }();
  return kNames;
}

int Dimension(ObjectReader& reader, std::string_view key, int64_t max) {
  return static_cast<int>(reader.RequireInt(key, 1, max));
}

Result<Rope> ReadRopeTable(ObjectReader& outer) {
  const Json* table = outer.Require("rope");
  if (table == nullptr) return outer.status().error();
  ObjectReader reader(*table, outer.file(), "rope");
  Rope rope;
  rope.theta = reader.RequireNumber("theta", 1, 1e15);
  rope.rotary_dim = Dimension(reader, "rotary_dim", kMaxHeadDim);
  rope.linear_factor = reader.OptionalNumber("linear_factor", 1, 1e-6, 1e6);
  rope.llama3_factor = reader.OptionalNumber("llama3_factor", 0, 0, 1e6);
  rope.low_freq_factor = reader.OptionalNumber("low_freq_factor", rope.low_freq_factor, 1e-6, 1e6);
  rope.high_freq_factor = reader.OptionalNumber("high_freq_factor", rope.high_freq_factor, 1e-6, 1e6);
  rope.original_positions = reader.OptionalInt("original_positions", 0, 0, kMaxPositions);
  LODESTONE_RETURN_IF_ERROR(reader.Finish());
  return rope;
}

std::optional<int32_t> TokenId(const Json& json, int vocab) {
  const int64_t* id = json.as_int();
  if (id == nullptr || *id < 0 || *id >= vocab) return std::nullopt;
  return static_cast<int32_t>(*id);
}

void ReadSpecialTokens(ObjectReader& reader, ModelConfig* config) {
  const std::string expected = fmt::format("a token id from 0 to {}", config->vocab - 1);
  if (const Json* bos = reader.Optional("bos_id"); bos != nullptr) {
    config->bos_id = TokenId(*bos, config->vocab);
    if (!config->bos_id) reader.Fail("bos_id", "expected " + expected);
  }
  const Json* eos = reader.Optional("eos_ids");
  if (eos == nullptr) return;
  if (eos->as_array() == nullptr) return reader.Fail("eos_ids", "expected a list of token ids");
  for (const Json& item : *eos->as_array()) {
    const std::optional<int32_t> id = TokenId(item, config->vocab);
    if (!id) return reader.Fail("eos_ids", "expected each to be " + expected);
    config->eos_ids.push_back(*id);
  }
}

}  // namespace

Result<ModelConfig> ParseCatalogModel(const Json& toml, const std::string& file) {
  ObjectReader reader(toml, file);
  LODESTONE_RETURN_IF_ERROR(reader.status());
  ModelConfig config;
  config.name = reader.RequireString("name");
  reader.RequireString("description");
  reader.RequireString("source");
  config.architecture = RequireWord(reader, "architecture", ArchitectureNames());
  config.layers = Dimension(reader, "layers", kMaxLayers);
  config.hidden = Dimension(reader, "hidden", kMaxHidden);
  config.ffn = Dimension(reader, "ffn", kMaxFfn);
  config.experts = static_cast<int>(reader.OptionalInt("experts", 0, 1, kMaxFfn));
  config.experts_per_token = static_cast<int>(reader.OptionalInt("experts_per_token", 0, 1, kMaxFfn));
  config.heads = Dimension(reader, "heads", kMaxHeads);
  config.kv_heads = Dimension(reader, "kv_heads", kMaxHeads);
  config.head_dim = Dimension(reader, "head_dim", kMaxHeadDim);
  config.vocab = Dimension(reader, "vocab", kMaxVocab);
  config.max_positions = reader.RequireInt("max_positions", 1, kMaxPositions);
  config.norm = RequireWord<NormKind>(reader, "norm", {{"rms", NormKind::kRms}, {"layer", NormKind::kLayer}});
  config.norm_eps = reader.RequireNumber("norm_eps", 0, 1);
  config.activation = RequireWord<ActivationKind>(reader, "activation",
                                                  {{"silu", ActivationKind::kSilu},
                                                   {"gelu-tanh", ActivationKind::kGeluTanh},
                                                   {"gelu-erf", ActivationKind::kGeluErf}});
  config.gated_mlp = reader.RequireBool("gated_mlp");
  config.parallel_residual = reader.OptionalBool("parallel_residual", false);
  config.position = RequireWord<PositionKind>(reader, "position",
                                              {{"rotary", PositionKind::kRotary}, {"learned", PositionKind::kLearned}});
  LODESTONE_RETURN_IF_ERROR(reader.status());
  if (config.position == PositionKind::kRotary) {
    LODESTONE_ASSIGN_OR_RETURN(config.rope, ReadRopeTable(reader));
  }
  config.sliding_window = reader.OptionalInt("sliding_window", 0, 0, kMaxPositions);
  config.qkv_bias = reader.OptionalBool("qkv_bias", false);
  config.attention_output_bias = reader.OptionalBool("attention_output_bias", false);
  config.mlp_bias = reader.OptionalBool("mlp_bias", false);
  config.qk_norm = reader.OptionalBool("qk_norm", false);
  config.tied_embeddings = reader.RequireBool("tied_embeddings");
  config.embedding_multiplier = reader.OptionalNumber("embedding_multiplier", 1, 1e-9, 1e9);
  config.residual_multiplier = reader.OptionalNumber("residual_multiplier", 1, 1e-9, 1e9);
  config.logits_multiplier = reader.OptionalNumber("logits_multiplier", 1, 1e-9, 1e9);
  config.attention_scale =
      reader.OptionalNumber("attention_scale", 1 / std::sqrt(static_cast<double>(config.head_dim)), 1e-9, 1e9);
  ReadSpecialTokens(reader, &config);
  const int64_t stated = reader.OptionalInt("parameters", 0, 1, std::numeric_limits<int64_t>::max());
  LODESTONE_RETURN_IF_ERROR(reader.Finish());
  LODESTONE_RETURN_IF_ERROR(CheckConfig(config, file));
  if (const int64_t count = ParameterCount(config); stated != 0 && stated != count) {
    reader.Fail("parameters", fmt::format("found {}, but this shape has {}", stated, count));
    return reader.status().error();
  }
  return config;
}

Result<std::vector<CatalogModel>> CatalogModels() {
  std::vector<CatalogModel> models;
  for (const CatalogFile& file : CatalogFilesIn("models")) {
    const std::string path = fmt::format("catalog/{}", file.path);
    LODESTONE_ASSIGN_OR_RETURN(const Json toml, ParseToml(file.contents, path));
    CatalogModel model;
    LODESTONE_ASSIGN_OR_RETURN(model.config, ParseCatalogModel(toml, path));
    model.name = model.config.name;
    if (model.name != file.stem()) {
      return Invalid(fmt::format("{}: name is {}, expected the name of the file", path, Quoted(model.name)));
    }
    model.description = *toml.Find("description")->as_string();
    model.source = *toml.Find("source")->as_string();
    models.push_back(std::move(model));
  }
  std::sort(models.begin(), models.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
  return models;
}

}  // namespace lodestone
