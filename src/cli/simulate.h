// The schedule and the times of a workload on simulated cards, without weights and tokens: what `lodestone simulate`
// does, also used by the demo.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/status.h"
#include "cli/run_options.h"
#include "lab/simulation.h"
#include "report/published.h"
#include "report/run_record.h"

namespace lodestone::cli {

struct SimulateOptions {
  RunOptions run;
  int64_t prompt_tokens = 0, tokens = 0;  // a user
  bool ideal = false;                     // rates alone, nothing fitted
  std::string transfers = "direct";
};

struct Simulation {
  SimulationOptions options;
  SimulatedRun run;                       // calibrated; ideal where only that was asked for
  RunRecord record;                       // of `run`
  std::vector<Measure> ideal;             // measures by rates alone
  std::string no_range;                   // why the measures have no low and high, where a range goes too far
  std::optional<PublishedRun> published;  // of the same workload
};

// What these options ask of the simulator. Refused: the cpu, more positions than the model's, an unknown way of
// transfer.
Result<SimulationOptions> SettingOf(const SimulateOptions& options);

// One instance by rates alone and calibrated, with the range that the constants without a source allow.
Result<Simulation> Simulate(const SimulateOptions& options);

// The figures beside the published ones, what bounds them, the energy, the occupancy of the stages.
std::string RenderSimulation(const Simulation& simulation);

}  // namespace lodestone::cli
