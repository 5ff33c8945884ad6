// How a model's parts may lie on cards, and whether they fit, by arithmetic on what a layer and an output layer keep
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
  // Whole layers: `body_steps` steps hold consecutive layers, the first ones one more than the last where they do not
  // divide, each step on `layer_ranks` cards.
  int body_steps = 0;
  int layer_ranks = 1;
  // A layer's parts (attention, MLP) on cards of their own: for each the number of ranks. Empty for whole layers.
  std::vector<int> part_ranks;
  int output_ranks = 1;
  bool output_shares_cards = false;  // with the last step of layers, which has as many ranks
  int cards = 0;                     // in all

  friend bool operator==(const Arrangement&, const Arrangement&) = default;
};

// One step of the pipeline: parts [begin, end) of the model, over `ranks` cards.
struct PlannedStep {
  int begin = 0, end = 0, ranks = 1;
};
// In the order of the pipeline. `cuts` are the model's LayerCutPoints; the embedding, a lookup on the host, stands at
// the head of the first step.
std::vector<PlannedStep> PlannedSteps(const std::vector<int>& cuts, const Arrangement& arrangement);

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

  // The arrangement that Place chooses, on at most `cards` cards of `capacity` bytes each; or the reason in `overflow`,
  // if asked for.
  std::optional<Arrangement> Arrange(const Demand& demand, int64_t capacity, int cards, Overflow* overflow) const;

  // Whether every card holds its share. False as well for ranks that do not divide the model.
  bool Fits(const Arrangement& arrangement, const Demand& demand, int64_t capacity) const;

  int layers() const { return layers_; }
  int parts_per_layer() const { return static_cast<int>(parts_.size()); }
  // Numbers of ranks, ascending, over which whole layers or part `part` of each can be split.
  std::vector<int> LayerRanks() const;
  std::vector<int> PartRanks(int part) const;
  // The fewest cards that hold the output layer; 0: more than there are, or than kMaxOutputRanks.
  int SmallestOutput(const Demand& demand, int64_t capacity, int cards) const;

 private:
  using ByRanks = std::map<int, Residency>;  // rank 0's share, the largest; ranks that do not divide are absent

  ModelShape() = default;
  const Residency* OutputOf(int ranks) const;
  int SmallestPart(const ByRanks& part, const Demand& demand, int64_t capacity) const;
  std::optional<Arrangement> SplitLayers(const Demand& demand, int64_t capacity, int output, int cards,
                                         Overflow* overflow) const;
  std::optional<Arrangement> PackLayers(const Demand& demand, int64_t capacity, int output, int cards,
                                        Overflow* overflow) const;
  std::string PartName(int part) const;

  int layers_ = 0;
  ByRanks layer_;
  std::vector<ByRanks> parts_;
  Program output_program_;
  mutable std::map<int, std::optional<Residency>> output_;  // weighed when first asked for
};

}  // namespace lodestone
