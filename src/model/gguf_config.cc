#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "base/quote.h"
#include "model/config_check.h"
#include "model/gguf_internal.h"

namespace lodestone {
namespace {

struct Family {
  std::string_view name;  // general.architecture, and what its keys begin with
  Architecture architecture;
};

constexpr auto kFamilies = std::to_array<Family>({
    {"llama", Architecture::kLlama},  // Mistral too
    {"granite", Architecture::kGranite},
    {"qwen2", Architecture::kQwen2},
    {"qwen3", Architecture::kQwen3},
    {"gpt2", Architecture::kGpt2},
    {"gptneox", Architecture::kGptNeoX},
});

const Family* ReadFamily(ObjectReader& reader) {
  const std::string name = reader.RequireString("general.architecture");
  for (const Family& family : kFamilies) {
    if (family.name == name) return &family;
  }
  std::vector<std::string_view> names;
  for (const Family& family : kFamilies) names.push_back(family.name);
  reader.Fail(
      "general.architecture",
      fmt::format("the architecture {} is not supported; supported are {}", Quoted(name), fmt::join(names, ", ")),
      ErrorCode::kUnsupported);
  return nullptr;
}

// One architecture's keys.
class ConfigReader {
 public:
  ConfigReader(const GgufFile& file, ObjectReader& reader, const Family& family)
      : file_(file), reader_(reader), family_(family) {
    config_.architecture = family.architecture;
  }

  ModelConfig Read() {
    ReadDimensions();
    if (!reader_.status().ok()) return config_;
    ReadNormAndMlp();
    ReadAttention();
    ReadBiases();
    if (family_.architecture == Architecture::kGranite) ReadMultipliers();
    ReadTokenIds();
    RefuseOtherKeys();
    return config_;
  }

 private:
  std::string Key(std::string_view name) const { return fmt::format("{}.{}", family_.name, name); }
  int Dimension(std::string_view name, int64_t max) { return static_cast<int>(reader_.RequireInt(Key(name), 1, max)); }
  bool IsGpt() const {
    return family_.architecture == Architecture::kGpt2 || family_.architecture == Architecture::kGptNeoX;
  }
  bool HasTensor(std::string_view name) const { return file_.Find(name) != nullptr; }

  // A setting of which one value is computed here.
  void RequireNumber(std::string_view name, double expected) {
    const double found = reader_.OptionalNumber(Key(name), expected, -1e18, 1e18);
    if (found == expected) return;
    reader_.Fail(Key(name), fmt::format("{} is not supported, expected {}", found, expected), ErrorCode::kUnsupported);
  }

  void ReadDimensions() {
    config_.layers = Dimension("block_count", kMaxLayers);
    config_.hidden = Dimension("embedding_length", kMaxHidden);
    config_.ffn = Dimension("feed_forward_length", kMaxFfn);
    config_.heads = Dimension("attention.head_count", kMaxHeads);
    config_.kv_heads =
        static_cast<int>(reader_.OptionalInt(Key("attention.head_count_kv"), config_.heads, 1, kMaxHeads));
    config_.max_positions = reader_.RequireInt(Key("context_length"), 1, kMaxPositions);
    ReadVocabulary();
    ReadHeadDim();
  }

  // The tokens are what the rows of the embedding stand for; a file without a tokenizer states their number.
  void ReadVocabulary() {
    const Json* tokens = reader_.Optional("tokenizer.ggml.tokens");
    const Json::Array* list = tokens == nullptr ? nullptr : tokens->as_array();
    const int64_t stated = reader_.OptionalInt(Key("vocab_size"), 0, 0, kMaxVocab);
    config_.vocab = static_cast<int>(list == nullptr ? stated : static_cast<int64_t>(list->size()));
    if (config_.vocab == 0) reader_.Require("tokenizer.ggml.tokens");
  }

  void ReadHeadDim() {
    const int64_t whole = reader_.OptionalInt(Key("attention.key_length"), 0, 0, kMaxHeadDim);
    if (whole == 0 && config_.hidden % config_.heads != 0) {
      reader_.Fail(Key("embedding_length"), fmt::format("{} is not a multiple of {} heads, and no {} is stated",
                                                        config_.hidden, config_.heads, Key("attention.key_length")));
    }
    config_.head_dim = static_cast<int>(whole == 0 ? config_.hidden / config_.heads : whole);
    RequireNumber("attention.value_length", config_.head_dim);
  }

  void ReadNormAndMlp() {
    config_.norm = IsGpt() ? NormKind::kLayer : NormKind::kRms;
    config_.norm_eps =
        reader_.RequireNumber(Key(IsGpt() ? "attention.layer_norm_epsilon" : "attention.layer_norm_rms_epsilon"), 0, 1);
    config_.gated_mlp = !IsGpt();
    config_.activation = ActivationKind::kSilu;
    if (family_.architecture == Architecture::kGpt2) config_.activation = ActivationKind::kGeluTanh;
    if (family_.architecture == Architecture::kGptNeoX) {
      config_.activation = ActivationKind::kGeluErf;
      config_.parallel_residual = reader_.OptionalBool(Key("use_parallel_residual"), true);
    }
    for (const char* experts : {"expert_count", "expert_used_count", "expert_shared_count"}) RequireNumber(experts, 0);
  }

  void ReadAttention() {
    config_.position = family_.architecture == Architecture::kGpt2 ? PositionKind::kLearned : PositionKind::kRotary;
    if (config_.position == PositionKind::kRotary) {
      config_.rope = ReadGgufRope(reader_, family_.name, file_, config_.head_dim);
      if (!IsGpt()) RequireNumber("rope.dimension_count", config_.head_dim);
    }
    config_.qk_norm = family_.architecture == Architecture::kQwen3;
    config_.attention_scale = 1 / std::sqrt(static_cast<double>(config_.head_dim));
    RequireNumber("attention.sliding_window", 0);
    if (!reader_.OptionalBool(Key("attention.causal"), true)) {
      reader_.Fail(Key("attention.causal"), "false is not supported", ErrorCode::kUnsupported);
    }
  }

  // The first layer tells; a layer that differs lacks a tensor or has one too many, and both are refused.
  void ReadBiases() {
    config_.qkv_bias = HasTensor("blk.0.attn_q.bias") || HasTensor("blk.0.attn_qkv.bias");
    config_.attention_output_bias = HasTensor("blk.0.attn_output.bias");
    config_.mlp_bias = HasTensor("blk.0.ffn_down.bias");
    config_.tied_embeddings = !HasTensor("output.weight");
  }

  // 0 and an absent key both mean no scale.
  void ReadMultipliers() {
    const auto read = [&](std::string_view name, double neutral) {
      const double value = reader_.OptionalNumber(Key(name), neutral, 0, 1e9);
      return value == 0 ? neutral : value;
    };
    config_.embedding_multiplier = read("embedding_scale", 1);
    config_.residual_multiplier = read("residual_scale", 1);
    config_.logits_multiplier = 1 / read("logit_scale", 1);
    config_.attention_scale = read("attention.scale", config_.attention_scale);
  }

  void ReadTokenIds() {
    const auto id = [&](std::string_view name) -> std::optional<int32_t> {
      const std::string key = fmt::format("tokenizer.ggml.{}_token_id", name);
      if (!reader_.Has(key)) return std::nullopt;
      return static_cast<int32_t>(reader_.RequireInt(key, 0, std::numeric_limits<int32_t>::max()));
    };
    config_.bos_id = id("bos");
    // A turn, and a message within a turn, end what the model has to say as much as a text does.
    for (const char* name : {"eos", "eot", "eom"}) {
      const std::optional<int32_t> end = id(name);
      if (end && std::find(config_.eos_ids.begin(), config_.eos_ids.end(), *end) == config_.eos_ids.end()) {
        config_.eos_ids.push_back(*end);
      }
    }
    const Json* model = reader_.Optional("tokenizer.ggml.model");
    if (model == nullptr || model->as_string() == nullptr || *model->as_string() != "llama") return;
    // What SentencePiece numbers them unless told otherwise.
    if (!config_.bos_id && config_.vocab > 1) config_.bos_id = 1;
    if (config_.eos_ids.empty() && config_.vocab > 2) config_.eos_ids = {2};
  }

  void RefuseOtherKeys() {
    reader_.Ignore(Key("tensor_data_layout"));  // names the permutation of Q and K that this architecture always has
    reader_.Ignore(Key("pooling_type"));        // of embeddings made from a model
    for (const std::string& key : reader_.Unread()) {
      if (!key.starts_with(Key("")) || file_.metadata.Find(key)->is_null()) continue;
      reader_.Fail(key, "this key is not known and may change the arithmetic", ErrorCode::kUnsupported);
    }
  }

  const GgufFile& file_;
  ObjectReader& reader_;
  const Family& family_;
  ModelConfig config_;
};

void RefuseParts(ObjectReader& reader) {
  const std::string type = reader.OptionalString("general.type", "model");
  if (type != "model") {
    reader.Fail("general.type", fmt::format("found {}, expected 'model'", Quoted(type)), ErrorCode::kUnsupported);
  }
  const int64_t parts = reader.OptionalInt("split.count", 0, 0, 1 << 16);
  if (parts > 1) {
    reader.Fail("split.count",
                fmt::format("the model is split over {} files, which is not supported; merge them into one", parts),
                ErrorCode::kUnsupported);
  }
}

}  // namespace

Result<ModelConfig> ReadGgufConfig(const GgufFile& file) {
  ObjectReader reader(file.metadata, file.name);
  RefuseParts(reader);
  const Family* family = ReadFamily(reader);
  LODESTONE_RETURN_IF_ERROR(reader.status());
  ModelConfig config = ConfigReader(file, reader, *family).Read();
  LODESTONE_RETURN_IF_ERROR(reader.status());
  LODESTONE_RETURN_IF_ERROR(CheckConfig(config, file.name));
  return config;
}

}  // namespace lodestone
