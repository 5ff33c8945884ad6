// What every way of placing a model starts from: a demand and an appliance that make sense, and the program. Private to
// plan/.
#pragma once

#include <cstdint>

#include "base/status.h"
#include "plan/placement.h"

namespace lodestone {

// kInvalid: no users, positions or rows, more than placement.h bounds, or more positions than the model has.
Status CheckDemand(const ModelConfig& config, const Demand& demand);
// kInvalid: no cards, or more than kMaxPlacedCards.
Status CheckAppliance(const ApplianceSpec& appliance);

// Core memory of one card, bytes.
int64_t CapacityOf(const ApplianceSpec& appliance);

// The whole model; row operators that follow one another are fused.
Result<Program> FusedProgram(const ModelConfig& config, const Recipe& recipe);

}  // namespace lodestone
