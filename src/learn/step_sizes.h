// Which quantised recipes have step sizes to train, and whether a model has them.
#pragma once

#include "base/status.h"
#include "learn/parameters.h"
#include "model/recipe.h"

namespace lodestone {

// Refused by name, with the recipe to take instead: integer formats whose scales are found while running (a token, a
// head), since there is no step to train, and integer weights beside floating-point activations.
Status CheckTrainable(const Recipe& recipe);

// kInvalid, with its name, where a step size is not a positive number: 0 where training never began.
Status CheckStepSizes(const Parameters& parameters);

}  // namespace lodestone
