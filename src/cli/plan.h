// What `lodestone plan` shows, also used by the demo.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/status.h"
#include "cli/run_options.h"
#include "hardware/hardware.h"
#include "model/config.h"
#include "model/recipe.h"
#include "plan/placement.h"

namespace lodestone::cli {

// A plan asks what must be resident: its buffers hold passes of generated tokens, unless a prefill chunk is given.
inline constexpr int64_t kPlanChunk = 1;

struct Plan {
  ModelConfig config;
  Recipe recipe;
  std::optional<ApplianceSpec> spec;  // none: this host
  Placement placement;
  Demand demand;
  std::vector<StageMapping> mappings;  // of the placement's stages, on simulated cards
};
Result<Plan> MakePlan(const RunOptions& run);
std::string RenderPlan(const Plan& plan, const RunOptions& run);

}  // namespace lodestone::cli
