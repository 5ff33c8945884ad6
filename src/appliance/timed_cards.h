// The simulated side of an appliance: stages mapped to the timing of their cards, once a kind, and the flow of passes
// through them.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "appliance/appliance.h"
#include "appliance/flow.h"
#include "appliance/steps.h"
#include "base/status.h"
#include "plan/placement.h"
#include "timing/timing.h"

namespace lodestone {

class TimedCards {
 public:
  // `timings` has one entry a used card. Stages of one kind are mapped once, on the card of the first. Infeasible: what
  // Map refuses, and a framebuffer that has no slot for a tensor of the largest pass.
  static Result<TimedCards> Map(const Placement& placement, const std::vector<ChainStep>& steps, const Links& links,
                                std::span<const Timing* const> timings);

  // Evaluates the stages for this load and sends the pass in. Refused: tensors larger than a slot, which is of the
  // largest pass that the placement was made for, and what would leave the range of Time.
  Status Enter(Time now, uint64_t id, const Load& load);
  Flow& flow() { return *flow_; }
  const Flow& flow() const { return *flow_; }

  std::vector<FramebufferStats> framebuffers() const;
  // One a stage, in the order of the placement.
  std::vector<StageCost> CostsOf(const Load& load);
  std::vector<std::vector<OperatorCost>> ExplainCosts(const Load& load) const;
  std::vector<StageMapping> Mappings() const;

 private:
  TimedCards() = default;
  Status MapKinds(const Placement& placement, std::span<const Timing* const> timings);
  std::vector<int64_t> LargestAmounts(const Itinerary& plan);
  Status BoundSpan(const Itinerary& plan, std::span<const int64_t> largest);
  Status SizeSlots(const Itinerary& plan, int64_t framebuffer_bytes);
  Status Evaluate(uint64_t id, const Load& load);
  Status CheckCost(uint64_t id, size_t kind, const StageCost& cost) const;

  std::vector<FlowStage> stages_;
  std::vector<std::unique_ptr<StageTiming>> timings_;  // of kinds
  std::vector<const StageCost*> costs_;                // of kinds, for `evaluated_`
  std::optional<Load> evaluated_;                      // the load that entered last
  std::vector<AmountsOfKind> amounts_;                 // of kinds
  std::vector<int64_t> limits_;                        // of amounts, where the framebuffer has a limit
  Load largest_;
  Time longest_stage_;  // that passes may keep a card busy
  int64_t half_bytes_ = 0;
  std::vector<int64_t> slot_bytes_, slots_;  // of used cards
  std::unique_ptr<Flow> flow_;
};

}  // namespace lodestone
