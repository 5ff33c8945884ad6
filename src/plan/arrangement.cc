#include "plan/arrangement.h"

#include <fmt/format.h>

#include <algorithm>

namespace lodestone {
namespace {

int CeilDivide(int64_t a, int64_t b) { return static_cast<int>((a + b - 1) / b); }

bool Fits(const Residency& residency, const Demand& demand, int64_t capacity) {
  return LedgerOf(residency, demand, capacity).free() >= 0;
}

void Report(Overflow* overflow, Overflow found) {
  if (overflow != nullptr) *overflow = std::move(found);
}

std::string LayersLabel(int layers) { return layers == 1 ? "layer 0" : fmt::format("layers 0–{}", layers - 1); }

}  // namespace

Result<ModelShape> ModelShape::Of(const Program& program) {
  const std::vector<int> cuts = LayerCutPoints(program);
  ModelShape shape;
  shape.layers_ = static_cast<int>(cuts.size()) - 3;  // the list begins with the embedding and ends with the end
  if (shape.layers_ < 1) return Invalid("a program without an embedding, layers and an output layer cannot be placed");
  // All layers are runs of one segment, so the first speaks for every one.
  shape.layer_ = ResidencyOf(Slice(program, cuts[1], cuts[2]));
  for (int part = cuts[1]; part < cuts[2]; ++part) {
    const Program whole = Slice(program, part, part + 1);
    ByRanks& ranks = shape.parts_.emplace_back();
    for (int of = 1; of <= kMaxLayerRanks; ++of) {
      const Result<Program> share = Shard(whole, 0, of);
      if (share.ok()) ranks[of] = ResidencyOf(*share);
    }
  }
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
    if (share != nullptr && Fits(*share, demand, capacity)) return static_cast<int>(ranks);
  }
  return 0;
}

int ModelShape::SmallestPart(const ByRanks& part, const Demand& demand, int64_t capacity) const {
  for (const auto& [ranks, share] : part) {
    if (Fits(share, demand, capacity)) return ranks;
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
  return Fits(layer_, demand, capacity) ? PackLayers(demand, capacity, output, cards, overflow)
                                        : SplitLayers(demand, capacity, output, cards, overflow);
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
  Report(overflow, {0, "layer 0", LedgerOf(layer_, demand, capacity),
                    fmt::format("with each layer on {} cards it takes {} cards, and there {} {}", cards_a_layer,
                                arrangement.cards, cards == 1 ? "is" : "are", cards)});
  return std::nullopt;
}

std::optional<Arrangement> ModelShape::PackLayers(const Demand& demand, int64_t capacity, int output, int cards,
                                                  Overflow* overflow) const {
  Arrangement arrangement;
  arrangement.output_ranks = output;
  const auto fits = [&](int layers) { return Fits(Repeated(layer_, layers), demand, capacity); };
  // The output layer on cards of its own, as few layers a card as that leaves room for.
  int most = layers_;
  if (cards > output) {
    most = CeilDivide(layers_, cards - output);
    if (fits(most)) {
      arrangement.body_cards = CeilDivide(layers_, most);
      arrangement.cards = arrangement.body_cards + output;
      return arrangement;
    }
  }
  // The output layer beside the last layers.
  if (output == 1) {
    const int each = CeilDivide(layers_, std::min(cards, layers_));
    const int body = CeilDivide(layers_, each);
    const int last = layers_ / body;
    if (fits(each) && Fits(Together(Repeated(layer_, last), *OutputOf(1)), demand, capacity)) {
      arrangement.body_cards = arrangement.cards = body;
      arrangement.output_shares_card = true;
      return arrangement;
    }
  }
  Residency first = Repeated(layer_, most);
  std::string label = LayersLabel(most);
  if (cards == 1) {
    first = Together(first, *OutputOf(1));
    label += " + output";
  }
  Report(overflow, {0, label, LedgerOf(first, demand, capacity),
                    fmt::format("a layer a card takes {} cards, and there {} {}", layers_ + output,
                                cards == 1 ? "is" : "are", cards)});
  return std::nullopt;
}

}  // namespace lodestone
