// The event simulation: activities begin as soon as those that they wait for have, and requests for shared wires and
// the host's software are served in order of time, from a heap.
//
// An activity begins for pass after pass, so how often each has begun is all that the order depends on: activity a may
// begin for pass k when every activity s that it waits for has begun more than k - d times, d passes back. Its moment
// may lie ahead, and is final unless it waits in line; only those who do go through the heap.
#pragma once

#include <span>
#include <vector>

#include "appliance/flow.h"
#include "appliance/flow_state.h"

namespace lodestone {

class EventFlow final : public Flow {
 public:
  EventFlow(Itinerary plan, std::span<const int64_t> slots);
  EventFlow(const EventFlow&) = delete;
  EventFlow& operator=(const EventFlow&) = delete;

  void Enter(Time now, uint64_t id, const Load& load, std::span<const StageCost* const> costs) override;
  Time NextFinish() override;
  Time Leave() override;
  void Observe(FlowObserver* observer) override;
  std::vector<StageStats> stats() const override { return MachineAfterAll().stats(); }
  std::vector<FramebufferStats> framebuffers() const override { return MachineAfterAll().framebuffers(); }

 private:
  // Activity `source`, so many passes before.
  struct Wait {
    int source = 0;
    int64_t passes_before = 0;
  };
  // In line for shared wires; the earliest first, then the oldest pass, then program order.
  struct Request {
    Time at;
    int64_t pass = 0;
    int activity = 0;
    friend auto operator<=>(const Request&, const Request&) = default;
  };
  struct State {
    FlowState machine;
    std::vector<int64_t> begun;                 // of an activity: for how many passes
    std::vector<bool> in_line;                  // of an activity
    std::vector<FlowPass> passes;               // a ring
    std::vector<int> to_begin;                  // of the same: activities that have not begun
    int64_t oldest = 0, entered = 0, left = 0;  // passes [oldest, entered) are in the ring, [left, entered) inside
    std::vector<Request> line;                  // a heap
    std::vector<int> candidates;                // scratch: what might begin
  };

  void FindWaits(std::span<const int64_t> slots);
  void AddWaits(const std::vector<int>& takers, const std::vector<int>& givers, int64_t slots);
  bool MayBegin(const State& state, int activity) const;
  void Begin(State& state, int activity) const;
  void GetInLine(State& state, int activity) const;
  bool BeginOrGetInLine(State& state, int activity) const;
  void BeginFollowers(State& state, int activity) const;
  void ServeFirstInLine(State& state) const;
  Time RunUntilOldestReturns(State& state) const;
  void MakeRoom();
  FlowState MachineAfterAll() const;
  FlowPass& PassAt(State& state, int64_t pass) const {
    return state.passes[static_cast<size_t>(pass) % state.passes.size()];
  }

  Itinerary plan_;
  std::vector<std::vector<Wait>> waits_;         // of an activity
  std::vector<std::vector<int>> waited_for_by_;  // the reverse
  State state_;
  State ahead_;  // once looked: state_ after the oldest pass has returned, if no other enters
  bool looked_ahead_ = false;
  FlowObserver* observer_ = nullptr;
  std::vector<int> entries_;  // activities that wait for nothing but the pass
};

}  // namespace lodestone
