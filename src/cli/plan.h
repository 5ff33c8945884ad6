// What `lodestone plan` shows, also used by the demo.
#pragma once

#include <optional>
#include <string>

#include "base/status.h"
#include "cli/run_options.h"
#include "hardware/hardware.h"
#include "model/config.h"
#include "plan/placement.h"

namespace lodestone::cli {

struct Plan {
  ModelConfig config;
  std::optional<ApplianceSpec> spec;  // none: this host
  Placement placement;
  Demand demand;
};
Result<Plan> MakePlan(const RunOptions& run);
std::string RenderPlan(const Plan& plan, const RunOptions& run);

}  // namespace lodestone::cli
