// The arrangements that a search compares: layers whole, one or several a step, each step on one card or split over
// ranks; attention and MLP on cards of their own, each split over ranks; the output layer on cards of its own or beside
// the last layers.
#pragma once

#include <cstdint>
#include <vector>

#include "plan/arrangement.h"

namespace lodestone {

// At most 8 numbers of ranks × 32 numbers of layers a step, and 8 × 8 pairs of ranks, each with kOutputChoices + 1
// output layers.
inline constexpr int kLayerChoices = 32;
inline constexpr int kOutputChoices = 6;

// Those that fit `cards` cards of `capacity` bytes each, fewest layers a step first. `refused` counts what was tried
// and takes too many cards or more memory than a card has.
struct Candidates {
  std::vector<Arrangement> arrangements;
  int refused = 0;
};
Candidates CandidatesFor(const ModelShape& shape, const Demand& demand, int64_t capacity, int cards);

}  // namespace lodestone
