#include "learn/step_sizes.h"

#include <fmt/format.h>

#include <cmath>
#include <span>
#include <string>
#include <utility>

namespace lodestone {

Status CheckTrainable(const Recipe& recipe) {
  const auto formats = {recipe.activations, recipe.query,        recipe.probability,
                        recipe.kv,          recipe.output_input, recipe.down_input};
  for (const Format& format : formats) {
    if (!IsInteger(format.code) || format.scales == Scales::kStatic) continue;
    const std::string name = recipe.name.substr(0, recipe.name.find(':'));
    return Unsupported(
        fmt::format("recipe {}: its {} activations take their scales from each row as they run, which leaves no step "
                    "size to train; train in {}:static",
                    recipe.name, ToString(format.code), name));
  }
  for (const auto& [weights, input] :
       {std::pair(recipe.weights, recipe.activations), std::pair(recipe.output_weights, recipe.output_input)}) {
    if (!IsInteger(weights.code) || IsInteger(input.code)) continue;
    return Unsupported(
        fmt::format("recipe {}: {} weights meet {} activations, which training does not compute; train in bf16 and "
                    "round with 'lodestone quantize', or train in w4a8:static",
                    recipe.name, ToString(weights.code), ToString(input.code)));
  }
  return {};
}

Status CheckStepSizes(const Parameters& parameters) {
  for (const Parameter& p : parameters.list()) {
    if (p.role == ParameterRole::kTensor) continue;
    const std::span<const float> steps = parameters.values(p);
    for (size_t i = 0; i < steps.size(); ++i) {
      if (std::isnormal(steps[i]) && steps[i] > 0) continue;
      const std::string channel =
          p.role == ParameterRole::kActivationStep ? "" : fmt::format(" weights, channel {}", i);
      return Invalid(fmt::format("{}{}: step size {} is not a positive number{}", ToString(p.id), channel, steps[i],
                                 steps[i] == 0 ? "; it was never trained" : ""));
    }
  }
  return {};
}

}  // namespace lodestone
