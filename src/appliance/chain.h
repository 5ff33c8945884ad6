// The recurrence: where every array, engine and wire serves in program order, the moments of a pass follow from those
// of the passes before it, one activity after another (Baccelli et al., Synchronization and Linearity, 1992: a timed
// event graph is linear in max-plus algebra). No events, no allocation; some nanoseconds an activity.
#pragma once

#include <span>
#include <vector>

#include "appliance/flow.h"
#include "appliance/flow_state.h"

namespace lodestone {

class Chain final : public Flow {
 public:
  Chain(Itinerary plan, std::span<const int64_t> slots) : plan_(std::move(plan)), state_(plan_, slots), pass_(plan_) {}
  Chain(const Chain&) = delete;
  Chain& operator=(const Chain&) = delete;

  void Enter(Time now, uint64_t id, const Load& load, std::span<const StageCost* const> costs) override;
  Time NextFinish() override { return finishes_[first_]; }
  Time Leave() override;
  void Observe(FlowObserver* observer) override { state_.Observe(observer); }
  std::vector<StageStats> stats() const override { return state_.stats(); }
  std::vector<FramebufferStats> framebuffers() const override { return state_.framebuffers(); }

 private:
  Itinerary plan_;
  FlowState state_;
  FlowPass pass_;               // the one that entered last
  std::vector<Time> finishes_;  // of the passes inside, from first_ on
  size_t first_ = 0;
};

}  // namespace lodestone
