#include "plan/arrangement.h"

#include <fmt/format.h>

#include <algorithm>

namespace lodestone {
namespace {

int CeilDivide(int64_t a, int64_t b) { return static_cast<int>((a + b - 1) / b); }

bool Holds(const Residency& residency, const Demand& demand, int64_t capacity) {
  return LedgerOf(residency, demand, capacity).free() >= 0;
}

void Report(Overflow* overflow, Overflow found) {
  if (overflow != nullptr) *overflow = std::move(found);
}

std::vector<int> KeysOf(const std::map<int, Residency>& shares) {
  std::vector<int> keys;
  for (const auto& [ranks, share] : shares) keys.push_back(ranks);
  return keys;
}

std::string LayersLabel(int layers) { return layers == 1 ? "layer 0" : fmt::format("layers 0–{}", layers - 1); }

}  // namespace

std::vector<PlannedStep> PlannedSteps(const std::vector<int>& cuts, const Arrangement& arrangement) {
  const int layers = static_cast<int>(cuts.size()) - 3;
  std::vector<PlannedStep> steps;
  if (arrangement.part_ranks.empty()) {
    for (int step = 0, layer = 0; step < arrangement.body_steps; ++step) {
      const int here = layers / arrangement.body_steps + (step < layers % arrangement.body_steps ? 1 : 0);
      steps.push_back({cuts[1 + layer], cuts[1 + layer + here], arrangement.layer_ranks});
      layer += here;
    }
  } else {
    for (int layer = 0; layer < layers; ++layer) {
      for (size_t part = 0; part < arrangement.part_ranks.size(); ++part) {
        const int begin = cuts[1 + layer] + static_cast<int>(part);
        steps.push_back({begin, begin + 1, arrangement.part_ranks[part]});
      }
    }
  }
  steps.front().begin = 0;
  if (arrangement.output_shares_cards) {
    steps.back().end = cuts.back();
  } else {
    steps.push_back({cuts[cuts.size() - 2], cuts.back(), arrangement.output_ranks});
  }
  return steps;
}

Result<ModelShape> ModelShape::Of(const Program& program) {
  const std::vector<int> cuts = LayerCutPoints(program);
  ModelShape shape;
  shape.layers_ = static_cast<int>(cuts.size()) - 3;  // the list begins with the embedding and ends with the end
  if (shape.layers_ < 1) return Invalid("a program without an embedding, layers and an output layer cannot be placed");
  // All layers are runs of one segment, so the first speaks for every one.
  const auto weigh = [&](int begin, int end) {
    const Program whole = Slice(program, begin, end);
    ByRanks shares;
    for (int of = 1; of <= kMaxLayerRanks; ++of) {
      const Result<Program> share = Shard(whole, 0, of);
      if (share.ok()) shares[of] = ResidencyOf(*share);
    }
    return shares;
  };
  shape.layer_ = weigh(cuts[1], cuts[2]);
  for (int part = cuts[1]; part < cuts[2]; ++part) shape.parts_.push_back(weigh(part, part + 1));
  shape.output_program_ = Slice(program, cuts[cuts.size() - 2], cuts.back());
  return shape;
}

const Residency* ModelShape::OutputOf(int ranks) const {
  const auto [entry, fresh] = output_.try_emplace(ranks);
  // The last rank has the fewest columns, perhaps none; rank 0 has the most.
  if (fresh && Shard(output_program_, ranks - 1, ranks).ok()) {
    entry->second = ResidencyOf(*Shard(output_program_, 0, ranks));
  }
  return entry->second ? &*entry->second : nullptr;
}

int ModelShape::SmallestOutput(const Demand& demand, int64_t capacity, int cards) const {
  const int64_t least = OutputOf(1)->code_bytes / std::max<int64_t>(capacity, 1);
  for (int64_t ranks = std::max<int64_t>(least, 1); ranks <= std::min(cards, kMaxOutputRanks); ++ranks) {
    const Residency* share = OutputOf(static_cast<int>(ranks));
    if (share != nullptr && Holds(*share, demand, capacity)) return static_cast<int>(ranks);
  }
  return 0;
}

int ModelShape::SmallestPart(const ByRanks& part, const Demand& demand, int64_t capacity) const {
  for (const auto& [ranks, share] : part) {
    if (Holds(share, demand, capacity)) return ranks;
  }
  return 0;
}

std::string ModelShape::PartName(int part) const {
  if (parts_.size() == 1) return "layer 0";
  return part == 0 ? "layer 0 attention" : "layer 0 MLP";
}

std::optional<Arrangement> ModelShape::Arrange(const Demand& demand, int64_t capacity, int cards,
                                               Overflow* overflow) const {
  const int output = SmallestOutput(demand, capacity, cards);
  if (output == 0) {
    Report(overflow, {0, "output", LedgerOf(*OutputOf(1), demand, capacity),
                      cards == 1 ? ""
                                 : fmt::format("split over up to {} cards it does not fit either",
                                               std::min(cards, kMaxOutputRanks))});
    return std::nullopt;
  }
  return Holds(layer_.at(1), demand, capacity) ? PackLayers(demand, capacity, output, cards, overflow)
                                               : SplitLayers(demand, capacity, output, cards, overflow);
}

std::vector<int> ModelShape::LayerRanks() const { return KeysOf(layer_); }

std::vector<int> ModelShape::PartRanks(int part) const { return KeysOf(parts_[static_cast<size_t>(part)]); }

bool ModelShape::Fits(const Arrangement& arrangement, const Demand& demand, int64_t capacity) const {
  const auto fits = [&](const Residency& residency) { return Holds(residency, demand, capacity); };
  const Residency* output = OutputOf(arrangement.output_ranks);
  if (output == nullptr) return false;
  Residency last;  // of the step before the output layer
  if (arrangement.part_ranks.empty()) {
    const auto layer = layer_.find(arrangement.layer_ranks);
    if (layer == layer_.end() || arrangement.body_steps < 1 || arrangement.body_steps > layers_) return false;
    if (!fits(Repeated(layer->second, CeilDivide(layers_, arrangement.body_steps)))) return false;
    last = Repeated(layer->second, layers_ / arrangement.body_steps);
  } else {
    if (arrangement.part_ranks.size() != parts_.size()) return false;
    for (size_t part = 0; part < parts_.size(); ++part) {
      const auto share = parts_[part].find(arrangement.part_ranks[part]);
      if (share == parts_[part].end() || !fits(share->second)) return false;
      last = share->second;
    }
  }
  return fits(arrangement.output_shares_cards ? Together(last, *output) : *output);
}

std::optional<Arrangement> ModelShape::SplitLayers(const Demand& demand, int64_t capacity, int output, int cards,
                                                   Overflow* overflow) const {
  Arrangement arrangement;
  arrangement.output_ranks = output;
  int cards_a_layer = 0;
  for (size_t part = 0; part < parts_.size(); ++part) {
    const int ranks = SmallestPart(parts_[part], demand, capacity);
    if (ranks == 0) {
      const auto& [most, share] = *parts_[part].rbegin();
      std::string label = PartName(static_cast<int>(part));
      if (most > 1) label += fmt::format(" 1/{}", most);
      Report(overflow, {0, label, LedgerOf(share, demand, capacity), ""});
      return std::nullopt;
    }
    arrangement.part_ranks.push_back(ranks);
    cards_a_layer += ranks;
  }
  arrangement.cards = layers_ * cards_a_layer + output;
  if (arrangement.cards <= cards) return arrangement;
  Report(overflow, {0, "layer 0", LedgerOf(layer_.at(1), demand, capacity),
                    fmt::format("with each layer on {} cards it takes {} cards, and there {} {}", cards_a_layer,
                                arrangement.cards, cards == 1 ? "is" : "are", cards)});
  return std::nullopt;
}

std::optional<Arrangement> ModelShape::PackLayers(const Demand& demand, int64_t capacity, int output, int cards,
                                                  Overflow* overflow) const {
  Arrangement arrangement;
  arrangement.output_ranks = output;
  const auto fits = [&](int layers) { return Holds(Repeated(layer_.at(1), layers), demand, capacity); };
  // The output layer on cards of its own, as few layers a card as that leaves room for.
  int most = layers_;
  if (cards > output) {
    most = CeilDivide(layers_, cards - output);
    if (fits(most)) {
      arrangement.body_steps = CeilDivide(layers_, most);
      arrangement.cards = arrangement.body_steps + output;
      return arrangement;
    }
  }
  // The output layer beside the last layers.
  if (output == 1) {
    const int each = CeilDivide(layers_, std::min(cards, layers_));
    const int body = CeilDivide(layers_, each);
    const int last = layers_ / body;
    if (fits(each) && Holds(Together(Repeated(layer_.at(1), last), *OutputOf(1)), demand, capacity)) {
      arrangement.body_steps = arrangement.cards = body;
      arrangement.output_shares_cards = true;
      return arrangement;
    }
  }
  Residency first = Repeated(layer_.at(1), most);
  std::string label = LayersLabel(most);
  if (cards <= output) {  // none is left for layers
    first = Together(first, *OutputOf(1));
    label += " + output";
  }
  Report(overflow, {0, label, LedgerOf(first, demand, capacity),
                    fmt::format("a layer a card takes {} cards, and there {} {}", layers_ + output,
                                cards == 1 ? "is" : "are", cards)});
  return std::nullopt;
}

}  // namespace lodestone
