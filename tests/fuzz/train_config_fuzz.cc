// A training file of any bytes is read or refused; what is read lies within the bounds that it was checked against.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/json.h"
#include "learn/train_config.h"
#include "model/recipe.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace lodestone;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const Result<Json> toml = ParseToml(text, "train.toml");
  if (!toml.ok()) return 0;
  const Result<TrainConfig> config = ParseTrainConfig(*toml, "train.toml");
  if (!config.ok()) {
    LODESTONE_CHECK(config.error().message.starts_with("train.toml"));
    return 0;
  }
  LODESTONE_CHECK(!config->data.train.empty());
  LODESTONE_CHECK((config->run.steps > 0) != (config->run.epochs > 0));
  LODESTONE_CHECK(config->run.sequence >= 1 && config->run.sequences_a_step() >= 1);
  LODESTONE_CHECK(config->model.shape.empty() != config->model.initial.empty());
  LODESTONE_CHECK(ParseRecipe(config->run.recipe).ok());
  return 0;
}
