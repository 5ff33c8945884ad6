// The search behind Place: how many cards a model takes, by arithmetic on what a layer and an output layer keep
// resident. No stage is built here, so trying another number of users costs a few multiplications.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "plan/ledger.h"

namespace lodestone {

// Bounds of the search, well above what models of the catalogue take on a NorthPole card (2 and 6).
inline constexpr int kMaxLayerRanks = 8;
inline constexpr int kMaxOutputRanks = 1024;

// How the stages lie on the cards, in the order of the pipeline.
struct Arrangement {
  // Whole layers: `body_cards` cards hold consecutive layers, the first ones one more than the last where they do not
  // divide.
  int body_cards = 0;
  // A layer over several cards: for each of its parts (attention, MLP) the number of ranks. Empty for whole layers.
  std::vector<int> part_ranks;
  int output_ranks = 1;
  bool output_shares_card = false;  // with the last layers
  int cards = 0;
};

// Why there is no arrangement: the first card that overflows.
struct Overflow {
  int card = 0;
  std::string label;  // "layer 0 attention"
  Ledger ledger;
  std::string why;  // what else stands against it: "attention and MLP on cards of their own take 30 cards, it has 16"
};

// One model's parts, weighed once. Remembers what it weighed, so one thread at a time may ask.
class ModelShape {
 public:
  // `program` is a whole model as Describe makes it: embedding, layers, output layer.
  static Result<ModelShape> Of(const Program& program);

  // The arrangement on at most `cards` cards of `capacity` bytes each; or the reason in `overflow`, if asked for.
  std::optional<Arrangement> Arrange(const Demand& demand, int64_t capacity, int cards, Overflow* overflow) const;

  int layers() const { return layers_; }
  int parts_per_layer() const { return static_cast<int>(parts_.size()); }

 private:
  using ByRanks = std::map<int, Residency>;  // rank 0's share, the largest; ranks that do not divide are absent

  ModelShape() = default;
  const Residency* OutputOf(int ranks) const;
  int SmallestOutput(const Demand& demand, int64_t capacity, int cards) const;
  int SmallestPart(const ByRanks& part, const Demand& demand, int64_t capacity) const;
  std::optional<Arrangement> SplitLayers(const Demand& demand, int64_t capacity, int output, int cards,
                                         Overflow* overflow) const;
  std::optional<Arrangement> PackLayers(const Demand& demand, int64_t capacity, int output, int cards,
                                        Overflow* overflow) const;
  std::string PartName(int part) const;

  int layers_ = 0;
  Residency layer_;
  std::vector<ByRanks> parts_;
  Program output_program_;
  mutable std::map<int, std::optional<Residency>> output_;  // weighed when first asked for
};

}  // namespace lodestone
