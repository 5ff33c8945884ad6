// What a setting of a sweep may be, and what it does to a run. Private to this folder.
#pragma once

#include <optional>
#include <string>

#include "lab/sweep.h"

namespace lodestone {

// A run under construction: what the settings of a point say.
struct SweepDraft {
  SimulationOptions options;
  std::optional<int> micro_batches;
};

// Ok where the value is one that the setting can have, whatever the appliance; the message says what was expected.
Status CheckSetting(const std::string& name, const Json& value);
// Of a checked value. Refused: a figure that this appliance does not have.
Status ApplySetting(const std::string& name, const Json& value, SweepDraft& draft);
// Whether values are whole numbers, so that a range of them counts in whole steps.
bool IsWholeSetting(const std::string& name);

}  // namespace lodestone
