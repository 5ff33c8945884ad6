// A batch of equal users on simulated cards, without tokens: the workload of the NorthPole paper, and of every plan,
// sweep and report.
//
// The passes are those that the engine would submit for these users (engine.h), in the same order and with the same
// loads; they are made here directly, because nothing about them depends on tokens.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "appliance/appliance.h"
#include "appliance/machine.h"
#include "base/json.h"
#include "base/status.h"
#include "hardware/hardware.h"
#include "model/config.h"
#include "model/recipe.h"
#include "plan/placement.h"
#include "report/measure.h"
#include "report/published.h"
#include "timing/northpole.h"

namespace lodestone {

struct SimulationOptions {
  ModelConfig config;
  Recipe recipe;
  ApplianceSpec spec;
  Fidelity fidelity = Fidelity::kCalibrated;
  Transfers transfers = Transfers::kDirect;
  int users = 1, micro_batches = 1, prefill_chunk = 128;
  int64_t prompt_tokens = 1, output_tokens = 1;  // a user
  std::optional<Placement> placement;            // none: Place chooses
};

// Energy of all used cards over a run, by what drew it.
struct EnergyLedger {
  double static_j = 0, matrix_j = 0, memory_j = 0, vector_j = 0, network_j = 0, link_j = 0;
  double total_j() const { return static_j + matrix_j + memory_j + vector_j + network_j + link_j; }
};

// The stage that is busiest, and why it cannot be faster.
struct Bottleneck {
  int stage = 0;                         // of the placement
  double occupancy = 0;                  // of its array, over the run
  Resource resource = Resource::kStart;  // what bounds most of its time in a pass that decodes

  // "matrix", "memory", …; "chain" where even this stage waits: for users, too few for the length of the chain, or for
  // the links and the host.
  const char* bound() const;
  static constexpr double kBusy = 0.9;
};

struct SimulatedRun {
  BatchRun run;  // provenance simulated; power is total_j / elapsed / cards
  Placement placement;
  std::vector<StageStats> stages;  // one a stage of the placement
  std::vector<FramebufferStats> framebuffers;
  EnergyLedger energy;
  Bottleneck bottleneck;
  Time elapsed;
  int64_t passes = 0;
  int64_t tokens = 0;  // simulated: prompt and generated, of all users
};

Workload WorkloadOf(const SimulationOptions& options);
// The published run of this workload on this appliance, if there is one. Its cards send to one another directly, so it
// stands beside no run with transfers through the host.
Result<std::optional<PublishedRun>> PublishedBeside(const SimulationOptions& options);

// What the users of these options need of a placement.
Demand DemandOf(const SimulationOptions& options);

// Refused: numbers out of range, positions beyond the model's, more tokens than kMaxSimulatedTokens.
Status CheckSimulation(const SimulationOptions& options);

// The placement of the options, or what Place chooses for them.
Result<Placement> PlacementOf(const SimulationOptions& options);

// Placed, mapped and configured, nothing submitted yet.
Result<OpenedMachine> OpenSimulation(const SimulationOptions& options);

// One instance of the model: where the placement has several, they run beside one another, each with its own users.
// Refused: what CheckSimulation, Place, Map and Configure refuse. kMaxSimulatedTokens take a minute or so.
Result<SimulatedRun> SimulateBatch(const SimulationOptions& options, FlowObserver* observer = nullptr);
inline constexpr int64_t kMaxSimulatedTokens = 100'000'000;

// What `cards` cards drew over `elapsed`: static power all the time, and what their stages and links took.
EnergyLedger EnergyOf(const ApplianceSpec& spec, std::span<const StageStats> stages, int cards, Time elapsed);

Json ToJson(const EnergyLedger& energy);  // {static_j, …, total_j}

// The loads of one decoding pass of the largest group at half of its output, and of one prefill chunk in the middle of
// a prompt.
Load TypicalDecodeLoad(const SimulationOptions& options);
Load TypicalPrefillLoad(const SimulationOptions& options);

}  // namespace lodestone
