// What passes cost on the stages of a simulation, asked while it runs: from a second appliance of the same options,
// since the one that runs is busy, and remembered for the loads seen last.
#pragma once

#include <cstddef>
#include <unordered_map>
#include <vector>

#include "base/status.h"
#include "lab/simulation.h"

namespace lodestone {

class PassCosts {
 public:
  static Result<PassCosts> Open(const SimulationOptions& options);

  // One entry a stage of the placement. Valid until the next call.
  const std::vector<StageCost>& CostsOf(const Load& load) { return costs_.Of(load, *machine_.appliance); }
  const std::vector<std::vector<OperatorCost>>& Explain(const Load& load) {
    return operators_.Of(load, *machine_.appliance);
  }
  const Appliance& appliance() const { return *machine_.appliance; }
  const Placement& placement() const { return machine_.appliance->placement(); }

 private:
  struct HashLoad {
    size_t operator()(const Load& load) const;
  };
  template <typename T, std::vector<T> (Appliance::*Ask)(const Load&) const>
  struct Remembered {
    static constexpr size_t kMost = 256;
    std::unordered_map<Load, std::vector<T>, HashLoad> known;
    const std::vector<T>& Of(const Load& load, const Appliance& appliance) {
      if (const auto found = known.find(load); found != known.end()) return found->second;
      if (known.size() >= kMost) known.clear();
      return known.emplace(load, (appliance.*Ask)(load)).first->second;
    }
  };

  explicit PassCosts(OpenedMachine machine) : machine_(std::move(machine)) {}

  OpenedMachine machine_;
  Remembered<StageCost, &Appliance::CostsOf> costs_;
  Remembered<std::vector<OperatorCost>, &Appliance::ExplainCosts> operators_;
};

}  // namespace lodestone
