#include "appliance/flow_state.h"

#include <array>

namespace lodestone {

FlowState::FlowState(const Itinerary& plan, std::span<const int64_t> slots)
    : plan_(&plan),
      wire_free_(plan.wires.size()),
      waits_(plan.stages.size()),
      kinds_(plan.kinds.size()),
      amounts_(static_cast<size_t>(plan.amounts)) {
  for (int64_t count : slots) cards_.push_back({{}, {}, {}, FramebufferHalf(count), FramebufferHalf(count)});
}

void FlowState::Enter(Time now, uint64_t id, const Load& load, std::span<const StageCost* const> costs,
                      FlowPass& pass) {
  pass.id = id;
  pass.load = load;
  pass.moments.front().at = now;
  pass.MomentAt(plan_->activities.back().source) = {now, now, 0};  // outputs come to the host in any order
  ++passes_;
  const auto move = [&](int index, int64_t bytes) {
    const size_t i = static_cast<size_t>(index);
    amounts_[i] += bytes;
    if (pass.amounts[i].value == bytes) return;  // decoding passes move the same bytes over and over
    pass.amounts[i] = {bytes, SpanOf(bytes, plan_->ps_per_byte)};
  };
  const auto compute = [&](int index, Time time) { pass.amounts[static_cast<size_t>(index)].value = time.ps; };
  for (size_t k = 0; k < plan_->kinds.size(); ++k) {
    const AmountsOfKind& kind = plan_->kinds[k];
    const StageCost& cost = *costs[k];
    move(kind.input(), cost.input_bytes);
    move(kind.output(), cost.output_bytes);
    kinds_[k].busy += cost.time;
    kinds_[k].energy += cost.energy;
    if (kind.sections == 1) {
      compute(kind.time(0), cost.time);
      continue;
    }
    for (int section = 0; section < kind.sections; ++section) {
      const SectionCost& part = cost.sections[static_cast<size_t>(section)];
      compute(kind.time(section), part.time);
      move(kind.gather(section), part.gather_bytes);
    }
  }
}

[[gnu::flatten]] void FlowState::BeginAll(FlowPass& pass) {
  if (observer_ != nullptr) {
    for (const Activity& activity : plan_->activities) Begin<true>(activity, pass);
  } else {
    for (const Activity& activity : plan_->activities) Begin<false>(activity, pass);
  }
}

void FlowState::Observe(FlowObserver* observer) {
  observer_ = observer;
  holds_.clear();
  if (observer == nullptr) return;
  std::vector<std::array<bool, 2>> used(cards_.size());
  for (const Activity& activity : plan_->activities) {
    if (activity.kind != Activity::Kind::kCompute) continue;
    auto& halves = used[static_cast<size_t>(activity.from_card)];
    halves[HoldTrace::kArrivals] = halves[HoldTrace::kArrivals] || activity.frees_arrival;
    halves[HoldTrace::kDepartures] = halves[HoldTrace::kDepartures] || activity.takes_departure;
  }
  for (size_t i = 0; i < cards_.size(); ++i) holds_.emplace_back(plan_->cards[i], used[i]);
}

std::vector<StageStats> FlowState::stats() const {
  std::vector<StageStats> stats(plan_->stages.size());
  for (size_t i = 0; i < stats.size(); ++i) {
    const KindTotals& kind = kinds_[static_cast<size_t>(plan_->stages[i].kind)];
    stats[i].card = plan_->stages[i].card;
    stats[i].passes = passes_;
    stats[i].busy = kind.busy;
    stats[i].energy = kind.energy;
    stats[i].gathers = waits_[i].gathers;
    stats[i].stalls = waits_[i].stalls;
  }
  for (const Activity& activity : plan_->activities) {
    if (activity.kind != Activity::Kind::kMove) continue;
    const int64_t bytes = amounts_[static_cast<size_t>(activity.amount)];
    if (activity.from != kAtHost) stats[static_cast<size_t>(activity.from)].bytes_out += bytes;
    if (activity.to != kAtHost) stats[static_cast<size_t>(activity.to)].bytes_in += bytes;
  }
  for (StageStats& stage : stats) {
    stage.link_energy = {(stage.bytes_in + stage.bytes_out) * plan_->energy_per_byte.pj};
  }
  return stats;
}

std::vector<FramebufferStats> FlowState::framebuffers() const {
  std::vector<FramebufferStats> stats(cards_.size());
  for (size_t i = 0; i < stats.size(); ++i) {
    const FramebufferHalf &in = cards_[i].arrivals, &out = cards_[i].departures;
    stats[i].peak_bytes = in.peak_bytes() + out.peak_bytes();
    stats[i].byte_seconds = in.byte_seconds() + out.byte_seconds();
  }
  return stats;
}

}  // namespace lodestone
