// What the steps of a search's arrangements cost on a card: each distinct one is mapped once.
#pragma once

#include <array>
#include <map>
#include <vector>

#include "plan/arrangement.h"
#include "plan/estimate.h"

namespace lodestone {

// A step on the cores of its first card.
struct MappedStep {
  Ledger ledger;
  Status refused;  // by the cores
  StepCost cost;   // where they take it
  int64_t fullest_core_bytes = 0;
};

// Every stage of a placement on the cores of its card; kinds are mapped once. The error of Map, with the stage's label.
Result<std::vector<StageMapping>> MapStages(const Placement& placement, const Timing& timing);

class StageCosts {
 public:
  // All outlive this. `program` is the whole model, fused.
  StageCosts(const Program& program, const Timing& timing, int64_t capacity);

  // Stays valid. The embedding, which takes no time of a card, is left out.
  const MappedStep& Of(const PlannedStep& step, const Demand& demand);

 private:
  using Key = std::array<int64_t, 7>;  // begin, end, ranks; users, context, rows a pass, decoding rows

  const Program& program_;
  const Timing& timing_;
  int64_t capacity_;
  std::vector<int> cuts_;
  std::map<Key, MappedStep> known_;
};

}  // namespace lodestone
