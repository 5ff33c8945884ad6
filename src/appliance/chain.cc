#include "appliance/chain.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace lodestone {

Result<std::vector<ChainStep>> StepsOf(const Placement& placement) {
  std::vector<ChainStep> steps;
  const int stages = static_cast<int>(placement.stages.size());
  if (stages == 0) return Invalid("a placement without stages cannot be opened as an appliance");
  for (int i = 0; i < stages;) {
    const Stage& first = placement.stages[static_cast<size_t>(i)].stage;
    if (first.of < 1)
      return Invalid(fmt::format("stage {} ('{}') is a rank of {}, expected at least 1", i, first.label, first.of));
    for (int rank = 0; rank < first.of; ++rank) {
      if (i + rank >= stages) {
        return Invalid(fmt::format("stage '{}' is split over {} cards, but the placement ends after {} of them",
                                   first.label, first.of, rank));
      }
      const Stage& stage = placement.stages[static_cast<size_t>(i + rank)].stage;
      if (stage.rank != rank || stage.of != first.of) {
        return Invalid(fmt::format("stage {} ('{}') is rank {} of {}, expected rank {} of {}", i + rank, stage.label,
                                   stage.rank, stage.of, rank, first.of));
      }
    }
    steps.push_back({i, first.of});
    i += first.of;
  }
  return steps;
}

Chain::Chain(std::vector<ChainStep> steps, const std::vector<int>& card_of_stage, const Links& links)
    : steps_(std::move(steps)), turnaround_(links.host_turnaround) {
  std::vector<int> cards;
  for (int card : card_of_stage) {
    const auto found = std::find(cards.begin(), cards.end(), card);
    slot_.push_back(static_cast<int>(found - cards.begin()));
    if (found != cards.end()) continue;
    cards.push_back(card);
    server_.push_back(links.cards_per_server > 0 ? card / links.cards_per_server : 0);
  }
  const auto wire = [](double bytes_per_s, Time latency) {
    return Wire{bytes_per_s > 0 ? 1e12 / bytes_per_s : 0, latency};
  };
  card_wire_ = wire(links.bytes_per_s, links.latency);
  network_wire_ = wire(links.network_bytes_per_s, links.network_latency);
  card_free_.resize(cards.size());
  link_free_.resize(cards.size());
  arrived_.resize(card_of_stage.size());
}

const Chain::Wire& Chain::Between(int slot_a, int slot_b) const {
  return server_[static_cast<size_t>(slot_a)] == server_[static_cast<size_t>(slot_b)] ? card_wire_ : network_wire_;
}

Time Chain::Transfer(Time ready, int64_t bytes, const Wire& wire, Time& link_free) {
  const Time depart = std::max(ready, link_free);
  link_free = depart + Time{std::llround(static_cast<double>(bytes) * wire.ps_per_byte)};
  return link_free + wire.latency;
}

Time Chain::Send(Time now, std::span<const StageCost> costs, std::span<StageStats> stats) {
  const int home = slot_.front();  // the host sits in the server of the first card
  for (int r = 0; r < steps_.front().count; ++r) {
    const size_t stage = static_cast<size_t>(r);
    const int64_t bytes = costs[stage].input_bytes;
    arrived_[stage] = Transfer(now, bytes, Between(home, slot_[stage]), host_link_free_);
    stats[stage].bytes_in += bytes;
  }
  Time back = now;
  for (size_t k = 0; k < steps_.size(); ++k) {
    const ChainStep& step = steps_[k];
    for (int r = 0; r < step.count; ++r) {
      const size_t stage = static_cast<size_t>(step.first + r);
      const size_t slot = static_cast<size_t>(slot_[stage]);
      const Time finish = std::max(arrived_[stage], card_free_[slot]) + costs[stage].time;
      card_free_[slot] = finish;
      stats[stage].busy += costs[stage].time;
      ++stats[stage].passes;
      if (k + 1 == steps_.size()) {
        const int64_t bytes = costs[stage].output_bytes;
        back = std::max(back, Transfer(finish, bytes, Between(slot_[stage], home), link_free_[slot]));
        stats[stage].bytes_out += bytes;
        continue;
      }
      // Ranks hold the same residual stream: receiver q of the next step is served by rank q mod count.
      for (int q = r; q < steps_[k + 1].count; q += step.count) {
        const size_t next = static_cast<size_t>(steps_[k + 1].first + q);
        if (slot_[next] == slot_[stage]) {
          arrived_[next] = finish;
          continue;
        }
        const int64_t bytes = costs[next].input_bytes;
        arrived_[next] = Transfer(finish, bytes, Between(slot_[stage], slot_[next]), link_free_[slot]);
        stats[stage].bytes_out += bytes;
        stats[next].bytes_in += bytes;
      }
    }
  }
  return back + turnaround_;
}

}  // namespace lodestone
