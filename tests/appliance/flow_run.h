// Passes through a flow of passes alone: costs given a stage, no cards, no timings.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <utility>
#include <vector>

#include "appliance/fake_cards.h"
#include "appliance/flow.h"
#include "appliance/framebuffer.h"

namespace lodestone::testing {

// A stage of one section.
inline StageCost Cost(int64_t time_ps, int64_t in, int64_t out) {
  StageCost cost;
  cost.time = {time_ps};
  cost.input_bytes = in;
  cost.output_bytes = out;
  return cost;
}

// A stage of several sections; each but the last gathers.
inline StageCost Gathering(std::vector<std::pair<int64_t, int64_t>> time_and_bytes, int64_t in, int64_t out) {
  StageCost cost = Cost(0, in, out);
  for (const auto& [time, bytes] : time_and_bytes) {
    cost.time += Time{time};
    SectionCost section;
    section.time = {time};
    section.gather_bytes = bytes;
    cost.sections.push_back(section);
  }
  return cost;
}

// A byte a picosecond, 5 ps of latency, 7 ps of turn-around.
inline Links FastLinks() {
  Links links;
  links.bytes_per_s = 1e12;
  links.latency = {5};
  links.host_turnaround = {7};
  return links;
}

struct FlowOptions {
  FlowMethod method = FlowMethod::kAutomatic;
  int64_t slots = FramebufferHalf::kUnlimited;
  std::vector<int> sections = {};  // of the stages; empty: one each
  bool all_in_line = false;        // every activity goes through the heap
};

inline Itinerary ItineraryOf(const Placement& placement, const Links& links, const FlowOptions& options = {}) {
  std::vector<FlowStage> stages;
  for (size_t i = 0; i < placement.stages.size(); ++i) {
    stages.push_back({.card = placement.stages[i].card,
                      .kind = static_cast<int>(i),
                      .sections = options.sections.empty() ? 1 : options.sections[i]});
  }
  auto steps = StepsOf(placement);
  EXPECT_TRUE(steps.ok());
  auto plan = MakeItinerary(*steps, stages, links);
  EXPECT_TRUE(plan.ok()) << (plan.ok() ? "" : plan.error().message);
  if (options.all_in_line) {
    for (Activity& activity : plan->activities) activity.contended = true;
  }
  return *std::move(plan);
}

class FlowRun {
 public:
  FlowRun(const Placement& placement, const Links& links, const FlowOptions& options = {}) {
    Itinerary plan = ItineraryOf(placement, links, options);
    std::vector<int64_t> slots(plan.cards.size(), options.slots);
    auto made = MakeFlow(std::move(plan), std::move(slots), options.method);
    EXPECT_TRUE(made.ok()) << (made.ok() ? "" : made.error().message);
    flow_ = *std::move(made);
  }

  void Enter(int64_t now, const std::vector<StageCost>& costs) {
    std::vector<const StageCost*> pointers;
    for (const StageCost& cost : costs) pointers.push_back(&cost);
    flow_->Enter({now}, id_++, {}, pointers);
  }
  int64_t Leave() { return flow_->Leave().ps; }
  // When the pass that enters at `now` leaves; none is inside beside it.
  int64_t Send(int64_t now, const std::vector<StageCost>& costs) {
    Enter(now, costs);
    return Leave();
  }
  Flow& flow() { return *flow_; }
  StageStats stats(size_t stage) const { return flow_->stats()[stage]; }

 private:
  std::unique_ptr<Flow> flow_;
  uint64_t id_ = 0;
};

}  // namespace lodestone::testing
