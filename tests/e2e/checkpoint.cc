#include "e2e/checkpoint.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace lodestone::testing {
namespace {

constexpr int64_t kHidden = 8, kFfn = 16, kVocab = 32;

std::string LittleEndian(uint64_t value) {
  std::string bytes;
  for (int i = 0; i < 8; ++i) bytes += static_cast<char>(value >> (8 * i) & 0xFF);
  return bytes;
}

// Places the tensors one behind the other.
void Pack(std::vector<TensorEntry>* tensors) {
  int64_t at = 0;
  for (TensorEntry& tensor : *tensors) {
    int64_t bytes = 4;
    for (const int64_t extent : tensor.shape) bytes *= extent;
    tensor.begin = at;
    tensor.end = at += bytes;
  }
}

}  // namespace

Checkpoint::Checkpoint() {
  config.Set("architectures", Json::Array{"LlamaForCausalLM"}).Set("model_type", "llama");
  config.Set("hidden_size", kHidden).Set("intermediate_size", kFfn).Set("num_hidden_layers", 1);
  config.Set("num_attention_heads", 2).Set("num_key_value_heads", 1).Set("vocab_size", kVocab);
  config.Set("max_position_embeddings", 64).Set("rms_norm_eps", 1e-5).Set("hidden_act", "silu");
  config.Set("tie_word_embeddings", true).Set("bos_token_id", nullptr).Set("eos_token_id", nullptr);

  Json::Object vocab;
  for (int letter = 0; letter < 26; ++letter)
    vocab.emplace_back(std::string(1, static_cast<char>('a' + letter)), letter);
  Json model;
  model.Set("type", "BPE").Set("vocab", std::move(vocab)).Set("merges", Json::Array{});
  tokenizer.Set("version", "1.0").Set("model", std::move(model));

  const std::string layer = "model.layers.0.";
  const auto add = [this](const std::string& name, std::vector<int64_t> shape) {
    tensors.push_back({.name = name, .shape = std::move(shape)});
  };
  add("model.embed_tokens.weight", {kVocab, kHidden});
  add("model.norm.weight", {kHidden});
  add(layer + "input_layernorm.weight", {kHidden});
  add(layer + "post_attention_layernorm.weight", {kHidden});
  add(layer + "self_attn.q_proj.weight", {kHidden, kHidden});
  add(layer + "self_attn.k_proj.weight", {kHidden / 2, kHidden});
  add(layer + "self_attn.v_proj.weight", {kHidden / 2, kHidden});
  add(layer + "self_attn.o_proj.weight", {kHidden, kHidden});
  add(layer + "mlp.gate_proj.weight", {kFfn, kHidden});
  add(layer + "mlp.up_proj.weight", {kFfn, kHidden});
  add(layer + "mlp.down_proj.weight", {kHidden, kFfn});
  Pack(&tensors);
}

TensorEntry& Checkpoint::Tensor(const std::string& name) {
  const auto found = std::find_if(tensors.begin(), tensors.end(), [&](const TensorEntry& t) { return t.name == name; });
  EXPECT_NE(found, tensors.end()) << name;
  return *found;
}

void Checkpoint::Erase(const std::string& name) {
  std::erase_if(tensors, [&](const TensorEntry& tensor) { return tensor.name == name; });
  Pack(&tensors);
}

void Checkpoint::WriteTo(const TemporaryFolder& folder) const {
  Json header;
  int64_t size = 0;
  for (const TensorEntry& tensor : tensors) {
    Json::Array shape;
    for (const int64_t extent : tensor.shape) shape.emplace_back(extent);
    Json entry;
    entry.Set("dtype", tensor.dtype).Set("shape", std::move(shape));
    entry.Set("data_offsets", Json::Array{tensor.begin, tensor.end});
    header.Set(tensor.name, std::move(entry));
    size = std::max(size, tensor.end);
  }
  const std::string text = header.Dump(-1);
  const auto data = static_cast<size_t>(size - missing_bytes);
  folder.Write("model.safetensors", LittleEndian(text.size()) + text + std::string(data, '\0'));
  folder.Write("config.json", config_text.empty() ? config.Dump() : config_text);
  folder.Write("tokenizer.json", tokenizer.Dump());
}

}  // namespace lodestone::testing
