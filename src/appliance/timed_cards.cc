#include "appliance/timed_cards.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <utility>

#include "appliance/framebuffer.h"
#include "appliance/itinerary.h"
#include "base/units.h"

namespace lodestone {
namespace {

// The largest pass that a placement is made for: as many rows as it allows, a row of logits for each user of the
// largest micro-batch.
Load LargestLoad(const Demand& demand) {
  Load load = MapDemandOf(demand).load;
  load.rows = std::max({demand.rows_per_pass, demand.decode_rows, 1});
  load.logit_rows = load.sequences = std::max(demand.decode_rows, 1);
  return load;
}

int SectionsOf(const StageCost& cost) { return std::max(1, static_cast<int>(cost.sections.size())); }

}  // namespace

Status TimedCards::MapKinds(const Placement& placement, std::span<const Timing* const> timings) {
  const MapDemand demand = MapDemandOf(placement.demand);
  largest_ = LargestLoad(placement.demand);
  std::vector<int> kinds, cards;  // as the placement numbers them
  std::vector<int> sections;      // of kinds
  for (const PlacedStage& placed : placement.stages) {
    const auto card = std::find(cards.begin(), cards.end(), placed.card);
    const size_t slot = static_cast<size_t>(card - cards.begin());
    if (card == cards.end()) cards.push_back(placed.card);
    const auto found = std::find(kinds.begin(), kinds.end(), placed.kind);
    const size_t kind = static_cast<size_t>(found - kinds.begin());
    if (found == kinds.end()) {
      kinds.push_back(placed.kind);
      auto timing = timings[slot]->Map(placed.stage, demand);
      if (!timing.ok()) {
        return Error{timing.error().code, fmt::format("stage '{}': {}", placed.stage.label, timing.error().message)};
      }
      timings_.push_back(*std::move(timing));
      // Only ranks gather; into how many sections that cuts a stage is the same for every load.
      const bool rank = placed.stage.of > 1;
      sections.push_back(rank ? SectionsOf(timings_.back()->Evaluate(largest_)) : 1);
    }
    stages_.push_back({.card = placed.card, .kind = static_cast<int>(kind), .sections = sections[kind]});
  }
  costs_.resize(timings_.size());
  return {};
}

std::vector<int64_t> TimedCards::LargestAmounts(const Itinerary& plan) {
  std::vector<int64_t> largest(static_cast<size_t>(plan.amounts));
  for (size_t k = 0; k < plan.kinds.size(); ++k) {
    const StageCost& cost = timings_[k]->Evaluate(largest_);
    const AmountsOfKind& kind = plan.kinds[k];
    largest[static_cast<size_t>(kind.input())] = cost.input_bytes;
    largest[static_cast<size_t>(kind.output())] = cost.output_bytes;
    for (int section = 0; section + 1 < kind.sections; ++section) {
      largest[static_cast<size_t>(kind.gather(section))] = cost.sections[static_cast<size_t>(section)].gather_bytes;
    }
  }
  return largest;
}

// No moment lies later than the entry of the last pass and everything that the passes inside do, one after another. So
// the links may take half of what is left of Time after the latest entry, and the stages the other half.
Status TimedCards::BoundSpan(const Itinerary& plan, std::span<const int64_t> largest) {
  double moves_s = 0;
  for (const Activity& activity : plan.activities) {
    moves_s += activity.span.seconds();
    if (activity.kind != Activity::Kind::kMove) continue;
    double ps_per_byte = plan.ps_per_byte;
    for (int i = 0; i < activity.wires; ++i) {
      const int wire = plan.paths[static_cast<size_t>(activity.first_wire + i)];
      ps_per_byte = std::max(ps_per_byte, plan.wires[static_cast<size_t>(wire)].ps_per_byte);
    }
    moves_s += static_cast<double>(largest[static_cast<size_t>(activity.amount)]) * ps_per_byte * 1e-12;
  }
  constexpr double kLeft = 50 * 86400.0;
  const double each = kLeft / 2 / (2.0 * static_cast<double>(stages_.size()) + 1);
  if (moves_s > each) {
    return Infeasible(fmt::format(
        "a pass of {} rows would be on links for {}, expected at most {} in a chain of {} stages; make links faster or "
        "passes smaller",
        largest_.rows, FormatSeconds(moves_s), FormatSeconds(each), stages_.size()));
  }
  longest_stage_ = Time::Seconds(std::min(each / static_cast<double>(stages_.size()), 1000.0));
  return {};
}

// A slot of a card holds the largest tensor that comes or goes, of the largest pass; parts that are gathered for one
// section lie in one slot.
Status TimedCards::SizeSlots(const Itinerary& plan, int64_t framebuffer_bytes) {
  const std::vector<int64_t> largest = LargestAmounts(plan);
  LODESTONE_RETURN_IF_ERROR(BoundSpan(plan, largest));
  slot_bytes_.assign(plan.cards.size(), 0);
  slots_.assign(plan.cards.size(), FramebufferHalf::kUnlimited);
  limits_.assign(static_cast<size_t>(plan.amounts), std::numeric_limits<int64_t>::max());
  half_bytes_ = framebuffer_bytes / 2;
  if (half_bytes_ == 0) return {};
  std::vector<int64_t> arriving(static_cast<size_t>(plan.values)), parts(static_cast<size_t>(plan.values));
  const auto moves = [&](const auto& each) {
    for (const Activity& activity : plan.activities) {
      if (activity.kind == Activity::Kind::kMove) each(activity, static_cast<size_t>(activity.amount));
    }
  };
  const auto grow = [&](int card, int64_t bytes) {
    if (card == kAtHost) return;
    int64_t& slot = slot_bytes_[static_cast<size_t>(card)];
    slot = std::max(slot, bytes);
  };
  moves([&](const Activity& move, size_t amount) {
    grow(move.from_card, largest[amount]);
    const size_t value = static_cast<size_t>(move.value);
    ++parts[value];
    grow(move.to_card, arriving[value] += largest[amount]);
  });
  for (size_t card = 0; card < plan.cards.size(); ++card) {
    if (slot_bytes_[card] == 0) continue;
    slots_[card] = half_bytes_ / slot_bytes_[card];
    if (slots_[card] > 0) continue;
    return Infeasible(fmt::format(
        "card {}: a tensor of the largest pass ({} rows, {} of them with logits) takes {}, and half of the framebuffer "
        "is {}; make passes smaller: a smaller prefill chunk, more micro-batches, or the output layer over more cards",
        plan.cards[card], largest_.rows, largest_.logit_rows, FormatBytes(slot_bytes_[card]),
        FormatBytes(half_bytes_)));
  }
  moves([&](const Activity& move, size_t amount) {
    const auto bound = [&](int card, int64_t share) {
      if (card != kAtHost) limits_[amount] = std::min(limits_[amount], slot_bytes_[static_cast<size_t>(card)] / share);
    };
    bound(move.from_card, 1);
    bound(move.to_card, parts[static_cast<size_t>(move.value)]);
  });
  return {};
}

Result<TimedCards> TimedCards::Map(const Placement& placement, const std::vector<ChainStep>& steps, const Links& links,
                                   std::span<const Timing* const> timings) {
  TimedCards cards;
  LODESTONE_RETURN_IF_ERROR(cards.MapKinds(placement, timings));
  LODESTONE_ASSIGN_OR_RETURN(Itinerary plan, MakeItinerary(steps, cards.stages_, links));
  LODESTONE_RETURN_IF_ERROR(cards.SizeSlots(plan, links.framebuffer_bytes));
  cards.amounts_ = plan.kinds;
  LODESTONE_ASSIGN_OR_RETURN(cards.flow_, MakeFlow(std::move(plan), cards.slots_));
  return cards;
}

// Half of the range of Time.
constexpr Time kLatestEntry = Time::Seconds(50 * 86400.0);

Status TimedCards::CheckCost(uint64_t id, size_t kind, const StageCost& cost) const {
  const AmountsOfKind& amounts = amounts_[kind];
  const int sections = SectionsOf(cost);
  if (sections != amounts.sections) {
    return Invalid(
        fmt::format("pass {}: a timing gives {} sections where it gave {} before", id, sections, amounts.sections));
  }
  if (cost.time > longest_stage_) {
    return Invalid(fmt::format("pass {} would keep a card busy for {}, expected at most {}; make passes smaller", id,
                               FormatSeconds(cost.time.seconds()), FormatSeconds(longest_stage_.seconds())));
  }
  const auto fits = [&](int amount, int64_t bytes) { return bytes <= limits_[static_cast<size_t>(amount)]; };
  bool all = fits(amounts.input(), cost.input_bytes) && fits(amounts.output(), cost.output_bytes);
  for (int section = 0; section + 1 < sections; ++section) {
    all = all && fits(amounts.gather(section), cost.sections[static_cast<size_t>(section)].gather_bytes);
  }
  if (all) return {};
  return Invalid(
      fmt::format("pass {} has a tensor that is larger than a slot of the framebuffer; the placement was "
                  "made for passes of at most {} rows, {} of them with logits",
                  id, largest_.rows, largest_.logit_rows));
}

Status TimedCards::Evaluate(uint64_t id, const Load& load) {
  evaluated_.reset();
  for (size_t kind = 0; kind < timings_.size(); ++kind) {
    costs_[kind] = &timings_[kind]->Evaluate(load);
    LODESTONE_RETURN_IF_ERROR(CheckCost(id, kind, *costs_[kind]));
  }
  evaluated_ = load;
  return {};
}

Status TimedCards::Enter(Time now, uint64_t id, const Load& load) {
  if (now > kLatestEntry) {
    return Invalid(fmt::format("pass {} enters after {} simulated days, expected at most {}", id,
                               FormatNumber(now.seconds() / 86400), FormatNumber(kLatestEntry.seconds() / 86400)));
  }
  // Micro-batches that decode in step bring one load after another that is the same.
  if (evaluated_ != load) LODESTONE_RETURN_IF_ERROR(Evaluate(id, load));
  flow_->Enter(now, id, load, costs_);
  return {};
}

std::vector<FramebufferStats> TimedCards::framebuffers() const {
  std::vector<FramebufferStats> all = flow_->framebuffers();
  for (size_t card = 0; card < all.size(); ++card) {
    all[card].capacity = 2 * half_bytes_;
    all[card].slot_bytes = slot_bytes_[card];
    const int64_t slots = slots_[card] == FramebufferHalf::kUnlimited ? 0 : slots_[card];
    all[card].slots_in = all[card].slots_out = static_cast<int>(std::min<int64_t>(slots, 1 << 30));
  }
  return all;
}

std::vector<StageCost> TimedCards::CostsOf(const Load& load) {
  evaluated_.reset();  // what costs_ points to changes
  std::vector<StageCost> costs;
  costs.reserve(stages_.size());
  for (const FlowStage& stage : stages_) costs.push_back(timings_[static_cast<size_t>(stage.kind)]->Evaluate(load));
  return costs;
}

std::vector<std::vector<OperatorCost>> TimedCards::ExplainCosts(const Load& load) const {
  std::vector<std::vector<OperatorCost>> of_kinds, costs;
  for (const auto& timing : timings_) of_kinds.push_back(timing->Explain(load));
  costs.reserve(stages_.size());
  for (const FlowStage& stage : stages_) costs.push_back(of_kinds[static_cast<size_t>(stage.kind)]);
  return costs;
}

std::vector<StageMapping> TimedCards::Mappings() const {
  std::vector<StageMapping> of_kinds, mappings;
  for (const auto& timing : timings_) of_kinds.push_back(timing->Mapping());
  mappings.reserve(stages_.size());
  for (const FlowStage& stage : stages_) mappings.push_back(of_kinds[static_cast<size_t>(stage.kind)]);
  return mappings;
}

}  // namespace lodestone
