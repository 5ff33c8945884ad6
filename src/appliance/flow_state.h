// The machine that passes flow through: what is free when, and what one activity makes of it. The recurrence and the
// event simulation are two orders in which activities begin; the formulas are these.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

#include "appliance/appliance.h"
#include "appliance/framebuffer.h"
#include "appliance/hold_trace.h"
#include "appliance/itinerary.h"

namespace lodestone {

// The compiler makes two instructions of this, and ten of a maximum over <=>.
inline Time Later(Time a, Time b) { return a.ps > b.ps ? a : b; }

// One pass inside: what it brings, and when what happens to it.
struct FlowPass {
  // See AmountsOfKind: picoseconds, or bytes and their time on a card's link.
  struct Amount {
    int64_t value = 0;
    Time on_link;
  };
  // A moment that activities wait for; where bytes came over a card's link, when the first did, and how many.
  struct Moment {
    Time at, came;
    int64_t bytes = 0;
  };
  uint64_t id = 0;
  Load load;
  std::vector<Amount> amounts;
  std::vector<Moment> moments;

  FlowPass() = default;
  explicit FlowPass(const Itinerary& plan)
      : amounts(static_cast<size_t>(plan.amounts)), moments(static_cast<size_t>(plan.values)) {}

  const Amount& AmountAt(int index) const { return amounts[static_cast<size_t>(index)]; }
  const Moment& MomentAt(int index) const { return moments[static_cast<size_t>(index)]; }
  Moment& MomentAt(int index) { return moments[static_cast<size_t>(index)]; }
  Time finish() const { return moments.back().at; }
};

// Copied for a look ahead: the itinerary outlives it and its copies.
class FlowState {
 public:
  FlowState(const Itinerary& plan, std::span<const int64_t> slots);

  // Fills `pass`, which was made for this itinerary, and counts what its costs say.
  void Enter(Time now, uint64_t id, const Load& load, std::span<const StageCost* const> costs, FlowPass& pass);

  // When the activity could begin if the wires that it shares with others were free. All activities that come before it
  // on its card's array, engines and slots have begun, and none that comes after.
  Time Ready(const Activity& activity, const FlowPass& pass) const;
  // The activity begins, at the earliest moment: the state and the values of its pass move on.
  void Begin(const Activity& activity, FlowPass& pass) {
    observer_ == nullptr ? Begin<false>(activity, pass) : Begin<true>(activity, pass);
  }
  // The same for all activities, in program order.
  void BeginAll(FlowPass& pass);

  void Observe(FlowObserver* observer);
  std::vector<StageStats> stats() const;
  std::vector<FramebufferStats> framebuffers() const;

 private:
  struct CardState {
    Time array_free, out_free, in_free;
    FramebufferHalf arrivals, departures;
  };
  struct Waits {
    Time gathers, stalls;
  };
  struct KindTotals {
    Time busy;
    EnergyParts energy;
  };

  // Nothing is asked about an observer, activity after activity, where there is none.
  template <bool kObserved>
  void Begin(const Activity& activity, FlowPass& pass);
  template <bool kObserved>
  void Compute(const Activity& activity, FlowPass& pass);
  template <bool kObserved>
  void Move(const Activity& activity, FlowPass& pass);
  template <bool kObserved>
  void OnHost(const Activity& activity, FlowPass& pass);
  Time WiresFree(const Activity& activity, Time ready) const;
  Time& WireFree(int wire) { return wire_free_[static_cast<size_t>(wire)]; }
  int PathAt(const Activity& activity, int i) const {
    return plan_->paths[static_cast<size_t>(activity.first_wire + i)];
  }
  // Rounded to whole picoseconds.
  static Time SpanOf(int64_t bytes, double ps_per_byte) {
    return {static_cast<int64_t>(static_cast<double>(bytes) * ps_per_byte + 0.5)};
  }
  CardState& CardAt(int card) { return cards_[static_cast<size_t>(card)]; }
  const CardState& CardAt(int card) const { return cards_[static_cast<size_t>(card)]; }

  const Itinerary* plan_;
  std::vector<CardState> cards_;
  std::vector<Time> wire_free_;
  std::vector<Waits> waits_;  // of stages
  int64_t passes_ = 0;
  std::vector<KindTotals> kinds_;
  std::vector<int64_t> amounts_;  // summed over passes
  FlowObserver* observer_ = nullptr;
  std::vector<HoldTrace> holds_;  // of cards, while someone listens
};

inline Time FlowState::WiresFree(const Activity& activity, Time ready) const {
  for (int i = 0; i < activity.wires; ++i) {
    ready = Later(ready, wire_free_[static_cast<size_t>(PathAt(activity, i))]);
  }
  return ready;
}

inline Time FlowState::Ready(const Activity& activity, const FlowPass& pass) const {
  Time ready = pass.MomentAt(activity.source).at;
  if (activity.kind != Activity::Kind::kMove) return ready;
  if (activity.from_card != kAtHost) ready = Later(ready, CardAt(activity.from_card).out_free);
  if (activity.to_card != kAtHost) {
    const CardState& receiver = CardAt(activity.to_card);
    ready = Later(ready, receiver.in_free);
    if (activity.takes_arrival) ready = Later(ready, receiver.arrivals.FreeAt());
  }
  return ready;
}

template <bool kObserved>
[[gnu::always_inline]] inline void FlowState::Compute(const Activity& activity, FlowPass& pass) {
  CardState& card = CardAt(activity.from_card);
  const Time before = card.array_free, ready = Later(pass.MomentAt(activity.source).at, before);
  Time start = ready;
  if (activity.takes_departure) start = Later(start, card.departures.FreeAt());
  const Time finish = start + Time{pass.AmountAt(activity.amount).value};
  card.array_free = pass.MomentAt(activity.value).at = finish;
  Waits& waits = waits_[static_cast<size_t>(activity.from)];
  if (activity.section > 0) waits.gathers += ready - before;
  if (start.ps > ready.ps) waits.stalls += start - ready;
  if (activity.takes_departure) card.departures.Take();
  if (activity.frees_arrival) {
    const FlowPass::Moment& source = pass.MomentAt(activity.source);
    const FramebufferHalf::Hold hold{source.came, start, source.bytes};
    card.arrivals.Release(hold);
    if constexpr (kObserved)
      holds_[static_cast<size_t>(activity.from_card)].Add(HoldTrace::kArrivals, hold, *observer_);
  }
  if constexpr (kObserved) {
    if (start > ready) observer_->Stalls(activity.from, pass.id, ready, start);
    observer_->Computes(activity.from, pass.id, pass.load, activity.section, start, finish);
  }
}

template <bool kObserved>
[[gnu::always_inline]] inline void FlowState::Move(const Activity& activity, FlowPass& pass) {
  const auto [bytes, on_link] = pass.AmountAt(activity.amount);
  const Time start = WiresFree(activity, Ready(activity, pass));
  Time longest = on_link;
  for (int i = 0; i < activity.wires; ++i) {
    const int wire = PathAt(activity, i);
    const Time on_wire = SpanOf(bytes, plan_->wires[static_cast<size_t>(wire)].ps_per_byte);
    WireFree(wire) = start + on_wire;
    longest = Later(longest, on_wire);
  }
  const Time off = start + on_link, arrived = start + longest + activity.span;
  if (activity.to_card != kAtHost) {
    CardState& receiver = CardAt(activity.to_card);
    receiver.in_free = off;
    if (activity.takes_arrival) receiver.arrivals.Take();
  }
  if (activity.from_card != kAtHost) {
    CardState& sender = CardAt(activity.from_card);
    sender.out_free = off;
    if (activity.frees_departure) {
      const FramebufferHalf::Hold hold{pass.MomentAt(activity.source).at, off, bytes};
      sender.departures.Release(hold);
      if constexpr (kObserved) {
        holds_[static_cast<size_t>(activity.from_card)].Add(HoldTrace::kDepartures, hold, *observer_);
      }
    }
  }
  FlowPass::Moment& moment = pass.MomentAt(activity.value);
  if (activity.adds) {
    moment.at = Later(moment.at, arrived);
    moment.bytes += bytes;
  } else {
    moment = {arrived, start, bytes};
  }
  if constexpr (kObserved) observer_->Moves(activity.from, activity.to, pass.id, bytes, start, start + longest);
}

template <bool kObserved>
[[gnu::always_inline]] inline void FlowState::OnHost(const Activity& activity, FlowPass& pass) {
  const Time start = WiresFree(activity, pass.MomentAt(activity.source).at), finish = start + activity.span;
  for (int i = 0; i < activity.wires; ++i) {
    WireFree(PathAt(activity, i)) = finish;
  }
  pass.MomentAt(activity.value).at = finish;
  if constexpr (kObserved) observer_->HostWorks(pass.id, start, finish);
}

template <bool kObserved>
[[gnu::always_inline]] inline void FlowState::Begin(const Activity& activity, FlowPass& pass) {
  switch (activity.kind) {
    case Activity::Kind::kCompute:
      return Compute<kObserved>(activity, pass);
    case Activity::Kind::kMove:
      return Move<kObserved>(activity, pass);
    case Activity::Kind::kSoftware:
    case Activity::Kind::kReturn:
      return OnHost<kObserved>(activity, pass);
  }
}

}  // namespace lodestone
