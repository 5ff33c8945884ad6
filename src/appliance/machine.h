// Opens the machine that a command names: this host's CPU, or simulated cards, with or without executors.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "appliance/appliance.h"
#include "base/status.h"
#include "hardware/hardware.h"
#include "host/thread_pool.h"
#include "model/config.h"
#include "model/recipe.h"
#include "plan/placement.h"
#include "timing/northpole.h"

namespace lodestone {

inline constexpr const char* kHostAppliance = "cpu";

// "cpu", a name of catalog/hardware/, or a TOML file; none for "cpu".
Result<std::optional<ApplianceSpec>> OpenAppliance(const std::string& name);

// Where the model's stages go on that machine.
Result<Placement> PlaceOn(const std::optional<ApplianceSpec>& spec, const ModelConfig& config, const Recipe& recipe,
                          const Demand& demand);

// As many micro-batches as users, at most the cards of the appliance: every card has something to do.
int DefaultMicroBatches(const std::optional<ApplianceSpec>& spec, int users);

// An open appliance and what it needs to live, in order of construction.
struct OpenedMachine {
  std::unique_ptr<ThreadPool> threads;  // none where no card computes
  std::unique_ptr<Timeline> timeline;
  std::unique_ptr<Appliance> appliance;
};

struct MachineOptions {
  Fidelity fidelity = Fidelity::kCalibrated;  // of simulated cards
  Transfers transfers = Transfers::kDirect;   // between them
  bool compute = false;                       // cards make tokens
  int threads = 1;                            // of the executors
};

// One card a used card of the placement. The whole appliance is either this host or simulated.
Result<OpenedMachine> OpenMachine(const std::optional<ApplianceSpec>& spec, Placement placement,
                                  const MachineOptions& options);

// Threads to compute with: the option if given, else LODESTONE_THREADS, else the affinity mask of this process.
Result<int> ThreadsToUse(std::optional<int64_t> option);

}  // namespace lodestone
