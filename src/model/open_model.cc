#include "model/open_model.h"

#include <fmt/format.h>

#include <charconv>
#include <filesystem>

#include "base/quote.h"
#include "model/gguf_model.h"

namespace lodestone {
namespace {

constexpr std::string_view kRandom = "random:";

Result<Model> OpenRandom(const RandomModel& random) {
  Model model;
  model.name = fmt::format("{}{}@{}", kRandom, random.shape, random.seed);
  LODESTONE_ASSIGN_OR_RETURN(model.config, LoadModelConfig(random.shape));
  LODESTONE_ASSIGN_OR_RETURN(model.tokenizer, MakeByteTokenizer(model.config.vocab));
  // Whatever ids the shape's own tokenizer uses, this one has its own.
  model.config.bos_id = kByteTokenizerBos;
  model.config.eos_ids = {kByteTokenizerEos};
  model.weights = RandomWeights(model.config, random.seed);
  model.random = true;
  return model;
}

bool IsCatalogName(const std::string& text) {
  const Result<std::vector<CatalogModel>> models = CatalogModels();
  if (!models.ok()) return false;
  for (const CatalogModel& model : *models) {
    if (model.name == text) return true;
  }
  return false;
}

}  // namespace

Result<std::optional<RandomModel>> ParseRandomModel(const std::string& text) {
  if (!text.starts_with(kRandom)) return std::optional<RandomModel>();
  RandomModel random;
  random.shape = text.substr(kRandom.size());
  if (const size_t at = random.shape.rfind('@'); at != std::string::npos) {
    const std::string seed = random.shape.substr(at + 1);
    const auto [end, error] = std::from_chars(seed.data(), seed.data() + seed.size(), random.seed);
    if (error != std::errc() || end != seed.data() + seed.size()) {
      return Invalid(fmt::format("model {}: the seed after '@' is a whole number, not {}", Quoted(text), Quoted(seed)));
    }
    random.shape.resize(at);
  }
  return std::optional(random);
}

Result<Model> OpenModel(const std::string& text) {
  LODESTONE_ASSIGN_OR_RETURN(const std::optional<RandomModel> random, ParseRandomModel(text));
  if (random) return OpenRandom(*random);
  if (IsGgufFile(text)) return OpenGguf(text);
  std::error_code ignored;
  if (!std::filesystem::exists(text, ignored) && IsCatalogName(text)) {
    return Invalid(fmt::format(
        "'{0}' is a shape of the catalogue, without weights: name a directory with a checkpoint or a GGUF file, or "
        "'random:{0}' for random weights",
        text));
  }
  Model model;
  LODESTONE_ASSIGN_OR_RETURN(model.config, LoadModelConfig(text));
  model.name = model.config.name;
  const bool bytes = model.config.stored && model.config.stored->byte_tokenizer;
  LODESTONE_ASSIGN_OR_RETURN(model.tokenizer,
                             bytes ? MakeByteTokenizer(model.config.vocab)
                                   : Tokenizer::Load((std::filesystem::path(text) / "tokenizer.json").string()));
  LODESTONE_ASSIGN_OR_RETURN(model.weights, OpenCheckpoint(text, model.config));
  return model;
}

Result<ModelConfig> OpenShape(const std::string& text) {
  LODESTONE_ASSIGN_OR_RETURN(const std::optional<RandomModel> random, ParseRandomModel(text));
  return LoadModelConfig(random ? random->shape : text);
}

}  // namespace lodestone
