#include "plan/reasons.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/units.h"
#include "plan/words.h"

namespace lodestone {
namespace {

int CeilDivide(int a, int b) { return (a + b - 1) / b; }

class Reasons {
 public:
  Reasons(const Proposal& proposal, const ApplianceSpec& appliance, const ModelShape& shape,
          const std::vector<int>& cuts, StageCosts& costs)
      : proposal_(proposal),
        appliance_(appliance),
        shape_(shape),
        costs_(costs),
        cuts_(cuts),
        steps_(PlannedSteps(cuts, proposal.arrangement)) {}

  std::vector<std::string> Take() {
    Memory();
    Layers();
    Output();
    Pace();
    Instances();
    return std::move(reasons_);
  }

 private:
  const Arrangement& arrangement() const { return proposal_.arrangement; }
  const Demand& demand() const { return proposal_.placement.demand; }

  // "attention", "the MLP", "2 layers", "the output layer".
  std::string NameOf(size_t step) const {
    const bool last = step + 1 == steps_.size();
    if (last && !arrangement().output_shares_cards) return "the output layer";
    std::string name;
    if (arrangement().part_ranks.empty()) {
      const int parts = cuts_[2] - cuts_[1];
      const int begin = std::max(steps_[step].begin, cuts_[1]),
                end = std::min(steps_[step].end, cuts_[cuts_.size() - 2]);
      name = end - begin == parts ? "a layer" : fmt::format("{} layers", (end - begin) / parts);
    } else {
      name = step % arrangement().part_ranks.size() == 0 ? "attention" : "the MLP";
    }
    return last ? name + " and the output layer" : name;
  }

  size_t StepOfStage(size_t stage) const {
    size_t step = 0;
    for (size_t ranks = 0; step < steps_.size(); ++step) {
      ranks += static_cast<size_t>(steps_[step].ranks);
      if (stage < ranks) break;
    }
    return step;
  }

  void Memory() {
    const std::vector<PlacedStage>& stages = proposal_.placement.stages;
    const auto users = [](const PlacedStage& placed) { return placed.ledger.kv_codes + placed.ledger.kv_scales > 0; };
    size_t fullest = stages.size();  // of the cards that users fill
    for (size_t i = 0; i < stages.size(); ++i) {
      if (!users(stages[i])) continue;
      if (fullest == stages.size() || stages[i].ledger.free() < stages[fullest].ledger.free()) fullest = i;
    }
    if (fullest == stages.size()) return;
    const Ledger& ledger = stages[fullest].ledger;
    reasons_.push_back(fmt::format("cards with {} hold {} × {}, passes of {}: {} of {}", NameOf(StepOfStage(fullest)),
                                   Counted(demand().users, "user"), Counted(demand().context, "position"),
                                   Counted(demand().rows_per_pass, "row"), FormatBytes(ledger.used()),
                                   FormatBytes(ledger.capacity)));
  }

  Time PaceOf(const MappedStep& mapped, int ranks) const { return StepTime(mapped.cost.decode, ranks, appliance_); }

  // Why `step` is split over more than the next smaller of the numbers of ranks that divide it.
  void Split(const std::string& name, const PlannedStep& step, const std::vector<int>& possible) {
    const auto at = std::find(possible.begin(), possible.end(), step.ranks);
    if (at == possible.begin() || at == possible.end()) return;
    const int fewer = *std::prev(at);
    const MappedStep& split = costs_.Of(step, demand());
    const MappedStep& other = costs_.Of({step.begin, step.end, fewer}, demand());
    const std::string head = fmt::format("{} over {}: ", name, Counted(step.ranks, "card"));
    const std::string each = fewer == 1 ? "one card" : fmt::format("each of {}", fewer);
    if (other.ledger.free() < 0) {
      reasons_.push_back(fmt::format("{}{} would need {} of its {}", head, each, FormatBytes(other.ledger.used()),
                                     FormatBytes(other.ledger.capacity)));
    } else if (!other.refused.ok()) {
      reasons_.push_back(fmt::format("{}the cores of {} do not hold it", head, each));
    } else {
      const Time now = PaceOf(split, step.ranks), before = PaceOf(other, fewer);
      reasons_.push_back(fmt::format("{}{} a pass {} {}{}", head, FormatSeconds(now.seconds()),
                                     now < before ? "instead of" : "although", FormatSeconds(before.seconds()),
                                     now < before ? "" : fmt::format(" would do on {}", Counted(fewer, "card"))));
    }
  }

  void Layers() {
    if (arrangement().part_ranks.empty()) {
      Split("whole layers", steps_.front(), shape_.LayerRanks());
      return;
    }
    const PlannedStep layer{cuts_[1], cuts_[2], 1};
    const MappedStep& whole = costs_.Of(layer, demand());
    if (whole.ledger.free() < 0) {
      reasons_.push_back(fmt::format("attention and MLP apart: a whole layer would need {} of a card's {}",
                                     FormatBytes(whole.ledger.used()), FormatBytes(whole.ledger.capacity)));
    } else if (!whole.refused.ok()) {
      reasons_.push_back("attention and MLP apart: the cores of one card do not hold a whole layer");
    } else {
      reasons_.push_back(fmt::format("attention and MLP apart: a whole layer would take {} a pass",
                                     FormatSeconds(PaceOf(whole, 1).seconds())));
    }
    for (size_t part = 0; part < arrangement().part_ranks.size(); ++part) {
      Split(NameOf(part), steps_[part], shape_.PartRanks(static_cast<int>(part)));
    }
  }

  void Output() {
    if (arrangement().output_shares_cards) {
      reasons_.push_back("the output layer shares the cards of the last step: no card of its own");
    } else if (arrangement().output_ranks > 1) {
      Split("the output layer", steps_.back(), {steps_.back().ranks - 1, steps_.back().ranks});
    }
  }

  void Pace() {
    const PipelineEstimate& estimate = proposal_.estimate;
    const std::string slowest = NameOf(static_cast<size_t>(estimate.slowest_step));
    const double busy = estimate.groups * estimate.slowest.seconds();
    const std::string groups =
        fmt::format("{} × {}", Counted(estimate.groups, "group"), FormatSeconds(estimate.slowest.seconds()));
    const double period = estimate.period.seconds();
    if (busy < estimate.round_trip.seconds()) {
      reasons_.push_back(
          fmt::format("the round trip of {} sets the pace: {} fill the slowest step, {}, for {:.0f} % of "
                      "it, so more users would cost little time",
                      FormatSeconds(period), groups, slowest, 100 * busy / period));
    } else {
      reasons_.push_back(
          fmt::format("the slowest step, {}, sets the pace: {}; the steps are busy for {:.0f} % of it on "
                      "average",
                      slowest, groups, 100 * estimate.mean.seconds() / estimate.slowest.seconds()));
    }
  }

  void Instances() {
    const int used = proposal_.arrangement.cards, server = appliance_.cards_per_server;
    std::string text =
        fmt::format("{} {} {} of {} cards", Counted(proposal_.instances, "instance"),
                    proposal_.instances == 1 ? "uses" : "use", proposal_.instances * used, appliance_.cards);
    if (server > 0 && appliance_.cards > server) {
      text += used > server ? fmt::format(", {} for each by itself", Counted(CeilDivide(used, server), "server"))
                            : ", none of them in two servers";
    }
    reasons_.push_back(text);
  }

  const Proposal& proposal_;
  const ApplianceSpec& appliance_;
  const ModelShape& shape_;
  StageCosts& costs_;
  const std::vector<int>& cuts_;
  std::vector<PlannedStep> steps_;
  std::vector<std::string> reasons_;
};

}  // namespace

std::string DescribeLayers(const Arrangement& arrangement, int layers) {
  const std::vector<int>& parts = arrangement.part_ranks;
  if (parts.size() == 2) return fmt::format("attention {} + MLP {}", parts[0], parts[1]);
  return fmt::format("whole, {} on {}", CeilDivide(layers, arrangement.body_steps),
                     Counted(arrangement.layer_ranks, "card"));
}

std::string DescribeOutput(const Arrangement& arrangement) {
  return arrangement.output_shares_cards ? "shared" : fmt::format("{}", arrangement.output_ranks);
}

std::vector<std::string> ReasonsFor(const Proposal& proposal, const ApplianceSpec& appliance, const ModelShape& shape,
                                    const std::vector<int>& cuts, StageCosts& costs) {
  return Reasons(proposal, appliance, shape, cuts, costs).Take();
}

}  // namespace lodestone
