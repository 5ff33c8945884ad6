// The record of a training run as JSON.
#include <fmt/format.h>

#include "lab/training_run.h"

namespace lodestone {

Json TrainingRecord(const TrainConfig& config, const TrainingResult& result,
                    const std::vector<std::pair<std::string, std::string>>& environment) {
  Json about;
  for (const auto& [name, value] : environment) about.Set(name, value);
  about.Set("ranks", result.ranks);
  Json measures;
  for (const Measure& measure : result.measures) measures.Set(measure.name, ToJson(measure));
  Json json;
  json.Set("name", config.name).Set("model", result.model).Set("recipe", config.run.recipe);
  json.Set("steps", result.steps).Set("step", result.step).Set("first_step", result.first_step);
  json.Set("interrupted", result.interrupted);
  json.Set("data", result.data).Set("validation_data", result.validation_data).Set("output", result.output);
  json.Set("settings", result.settings).Set("environment", std::move(about));
  json.Set("measures", std::move(measures)).Set("curve", result.curve.ToJson());
  return json;
}

}  // namespace lodestone
