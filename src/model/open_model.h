// A model that can generate: its shape, its weights and its tokenizer, from a directory, a GGUF file or a seed.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "base/status.h"
#include "model/config.h"
#include "model/weight_source.h"
#include "text/tokenizer.h"

namespace lodestone {

struct Model {
  std::string name;  // "stories260k", "random:nano-14l"
  ModelConfig config;
  std::unique_ptr<WeightSource> weights;
  std::shared_ptr<const Tokenizer> tokenizer;
  bool random = false;  // weights from a seed: tokens are exact, text is noise
};

// "random:NAME" or "random:NAME@SEED": a shape of the catalogue with seeded weights. None for any other text.
struct RandomModel {
  std::string shape;
  uint64_t seed = 1;
};
Result<std::optional<RandomModel>> ParseRandomModel(const std::string& text);

// A directory with config.json, weights and tokenizer.json, a GGUF file (gguf_model.h), or random:NAME[@SEED]. A name
// of the catalogue alone is refused: a shape has no weights.
Result<Model> OpenModel(const std::string& text);

// Shape alone, for commands that make no tokens: a directory, a GGUF file, a name of the catalogue, or random:NAME.
Result<ModelConfig> OpenShape(const std::string& text);

// The tokenizer of random weights: ids 0 to 255 are the bytes, 256 begins and 257 ends a text, and the ids above, which
// no text encodes to, read as short made-up words. kInfeasible where the vocabulary has no room for the bytes.
inline constexpr int32_t kByteTokenizerBos = 256, kByteTokenizerEos = 257;
Result<std::shared_ptr<const Tokenizer>> MakeByteTokenizer(int vocab);
// The same as the text of a tokenizer.json.
Result<std::string> ByteTokenizerJson(int vocab);

}  // namespace lodestone
