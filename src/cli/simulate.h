// The schedule and the times of a workload on simulated cards, without weights and tokens: what `lodestone simulate`
// does, also used by the demo.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/status.h"
#include "cli/run_options.h"
#include "lab/batch.h"
#include "model/config.h"
#include "report/published.h"
#include "report/run_record.h"
#include "timing/northpole.h"

namespace lodestone::cli {

struct SimulateOptions {
  RunOptions run;
  int64_t prompt_tokens = 0, tokens = 0;  // a user
  bool ideal = false;                     // rates alone, nothing fitted
};

struct Simulation {
  RunRecord record;                       // of the calibrated run; of the ideal one where only that was asked for
  std::vector<Measure> ideal;             // measures by rates alone
  std::optional<PublishedRun> published;  // of the same workload
  std::vector<StageStats> stages;         // of the run in `record`
  Time elapsed;                           // virtual, of the same
  int64_t passes = 0;
};

// `on_token` hears every generated token of either run.
Result<Simulation> Simulate(const SimulateOptions& options, const std::function<void()>& on_token);

// The figures beside the published ones, the occupancy of the stages, and what the figures rest on.
std::string RenderSimulation(const Simulation& simulation, bool calibrated);
std::string RenderOccupancy(const Simulation& simulation);

}  // namespace lodestone::cli
