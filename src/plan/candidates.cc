#include "plan/candidates.h"

#include <algorithm>
#include <array>

namespace lodestone {
namespace {

class Enumeration {
 public:
  Enumeration(const ModelShape& shape, const Demand& demand, int64_t capacity, int cards)
      : shape_(shape), demand_(demand), capacity_(capacity), cards_(cards) {
    const int smallest = shape.SmallestOutput(demand, capacity, cards);
    if (smallest == 0) return;
    // One more card each while that changes much, then doubling.
    for (const int ranks : std::array<int, kOutputChoices>{smallest, smallest + 1, smallest + 2, smallest + 3,
                                                           2 * smallest, 4 * smallest}) {
      output_ranks_.push_back(ranks);
    }
    std::sort(output_ranks_.begin(), output_ranks_.end());
    output_ranks_.erase(std::unique(output_ranks_.begin(), output_ranks_.end()), output_ranks_.end());
  }

  // Steps of equally many layers, as far as they divide: of all numbers of steps with the same longest one, the fewest.
  void AddWholeLayers(int ranks) {
    const int layers = shape_.layers();
    const int most_steps = std::max(1, std::min(layers, cards_ / ranks));
    int previous = 0, choices = 0;
    for (int each = (layers + most_steps - 1) / most_steps; each <= layers && choices < kLayerChoices; ++each) {
      Arrangement body;
      body.body_steps = (layers + each - 1) / each;
      body.layer_ranks = ranks;
      body.cards = body.body_steps * ranks;
      if (body.body_steps == previous) continue;
      previous = body.body_steps;
      ++choices;
      AddOutputs(body, ranks);
    }
  }

  void AddParts(std::vector<int> ranks) {
    const auto part = static_cast<int>(ranks.size());
    if (part < shape_.parts_per_layer()) {
      for (const int of : shape_.PartRanks(part)) {
        ranks.push_back(of);
        AddParts(ranks);
        ranks.pop_back();
      }
      return;
    }
    int64_t cards = 0;
    for (const int of : ranks) cards += of;
    cards *= shape_.layers();
    if (cards > cards_) {
      ++found_.refused;
      return;
    }
    Arrangement body;
    body.part_ranks = std::move(ranks);
    body.cards = static_cast<int>(cards);
    AddOutputs(body, body.part_ranks.back());
  }

  Candidates Take() { return std::move(found_); }

 private:
  // `last_ranks`: of the step before the output layer.
  void AddOutputs(const Arrangement& body, int last_ranks) {
    Arrangement shared = body;
    shared.output_shares_cards = true;
    shared.output_ranks = last_ranks;
    Add(shared);
    for (const int ranks : output_ranks_) {
      Arrangement apart = body;
      apart.output_ranks = ranks;
      apart.cards += ranks;
      Add(apart);
    }
  }

  void Add(const Arrangement& arrangement) {
    if (arrangement.cards <= cards_ && shape_.Fits(arrangement, demand_, capacity_)) {
      found_.arrangements.push_back(arrangement);
    } else {
      ++found_.refused;
    }
  }

  const ModelShape& shape_;
  const Demand& demand_;
  int64_t capacity_;
  int cards_;
  std::vector<int> output_ranks_;
  Candidates found_;
};

}  // namespace

Candidates CandidatesFor(const ModelShape& shape, const Demand& demand, int64_t capacity, int cards) {
  Enumeration enumeration(shape, demand, capacity, cards);
  for (const int ranks : shape.LayerRanks()) enumeration.AddWholeLayers(ranks);
  if (shape.parts_per_layer() > 1) enumeration.AddParts({});
  return enumeration.Take();
}

}  // namespace lodestone
