// When passes leave a first-in first-out chain of cards: a max-plus recurrence, no events.
//
// A step is one stage, or the `of` ranks of one, on different cards. For a pass that enters at `now`, and each stage of
// a step:
//
//   start  = max(arrived, card free)        the card's array serves passes in the order of submission
//   finish = start + cost.time              and is free again from here
//   depart = max(finish, link free)         the card's outgoing link is a DMA engine beside the array
//   link free = depart + bytes / bandwidth
//   arrived at the next stage = link free + latency
//
// The host writes the input of the first step over a link of its own in the same way. A sender serves the ranks of the
// next step one after another; stages on one card hand over at no cost. The pass has finished when the outputs of the
// last step's ranks are at the host and the host's turn-around is over. All state is max-plus: passes cannot overtake.
#pragma once

#include <span>
#include <vector>

#include "appliance/appliance.h"

namespace lodestone {

// Stages [first, first + count) of the placement, side by side.
struct ChainStep {
  int first = 0, count = 1;
};

// Groups the stages of a placement into steps. Refused: ranks that are not complete and in order.
Result<std::vector<ChainStep>> StepsOf(const Placement& placement);

class Chain {
 public:
  // `card_of_stage` are indices in the appliance, one a stage; they decide which server a card is in.
  Chain(std::vector<ChainStep> steps, const std::vector<int>& card_of_stage, const Links& links);

  // Sends a pass with these costs (one a stage) at `now`; adds to `stats` (one a stage). When it is back at the host.
  Time Send(Time now, std::span<const StageCost> costs, std::span<StageStats> stats);

 private:
  struct Wire {
    double ps_per_byte = 0;
    Time latency;
  };
  const Wire& Between(int slot_a, int slot_b) const;
  // The moment when `bytes` are over, and the link busy until they left.
  static Time Transfer(Time ready, int64_t bytes, const Wire& wire, Time& link_free);

  std::vector<ChainStep> steps_;
  std::vector<int> slot_;    // of a stage: which of the used cards
  std::vector<int> server_;  // of a slot
  Wire card_wire_, network_wire_;
  Time turnaround_;
  std::vector<Time> card_free_, link_free_;  // of a slot
  Time host_link_free_;
  std::vector<Time> arrived_;  // of a stage, for the pass under way
};

}  // namespace lodestone
