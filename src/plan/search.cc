#include "plan/search.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <tuple>

#include "plan/candidates.h"
#include "plan/inputs.h"
#include "plan/reasons.h"
#include "plan/stage_costs.h"

namespace lodestone {
namespace {

constexpr std::array<std::pair<Objective, const char*>, 3> kObjectives = {
    {{Objective::kThroughput, "throughput"}, {Objective::kLatency, "latency"}, {Objective::kCards, "cards"}}};

// One arrangement that cards and cores hold.
struct Weighed {
  Arrangement arrangement;
  Demand demand;
  PipelineEstimate estimate;
  int instances = 1;
};

double SystemRate(const Weighed& weighed) { return weighed.instances * weighed.estimate.tokens_per_s; }

bool IsBetter(Objective objective, const Weighed& a, const Weighed& b) {
  const auto key = [&](const Weighed& w) {
    const double rate = -SystemRate(w), period = w.estimate.period.seconds(), cards = w.arrangement.cards;
    switch (objective) {
      case Objective::kThroughput:
        return std::tuple(rate, cards, period);
      case Objective::kLatency:
        return std::tuple(period, rate, cards);
      case Objective::kCards:
        return std::tuple(cards, rate, period);
    }
    return std::tuple(rate, cards, period);
  };
  return key(a) < key(b);
}

// Whether one is faster than the other by less than a card is worth.
bool IsAlike(const Weighed& a, const Weighed& b) {
  const auto close = [](double x, double y) { return std::abs(x - y) <= kWorthACard * std::max(x, y); };
  return close(SystemRate(a), SystemRate(b)) && close(a.estimate.period.seconds(), b.estimate.period.seconds());
}

// The largest number up to `most` for which `fits` holds, or 0: fewer fit if more do. The last that it is asked for and
// holds is the result.
template <typename Predicate>
int LargestUsers(int most, Predicate fits) {
  int low = 0, high = most + 1;
  while (high - low > 1) {
    const int middle = low + (high - low) / 2;
    (fits(middle) ? low : high) = middle;
  }
  return low;
}

bool SameLayers(const Arrangement& a, const Arrangement& b) {
  return a.body_steps == b.body_steps && a.layer_ranks == b.layer_ranks && a.part_ranks == b.part_ranks;
}

class Search {
 public:
  Search(const ModelConfig& config, const Recipe& recipe, const ApplianceSpec& appliance, const SearchOptions& options,
         const Program& program, const ModelShape& shape, StageCosts& costs)
      : config_(config),
        recipe_(recipe),
        appliance_(appliance),
        options_(options),
        cuts_(LayerCutPoints(program)),
        shape_(shape),
        costs_(costs),
        capacity_(CapacityOf(appliance)) {}

  Result<SearchResult> Run() {
    const Candidates candidates = CandidatesFor(shape_, SmallestDemand(), capacity_, appliance_.cards);
    SearchResult result;
    result.over_memory = candidates.refused;
    std::vector<Weighed> weighed;
    for (const Arrangement& arrangement : candidates.arrangements) {
      Status refused;
      if (auto found = Weigh(arrangement, options_.users, options_.context, kLargestChunk, &refused)) {
        weighed.push_back(*std::move(found));
      } else if (refused.ok()) {
        ++result.over_memory;
      } else if (result.over_cores++ == 0) {
        result.core_reason = refused.error().message;
      }
    }
    result.estimated = static_cast<int>(weighed.size());
    if (weighed.empty()) return NothingFits(result);
    std::optional<Weighed> plain;
    const std::vector<Weighed> ranked = Ranked(std::move(weighed), &plain);
    for (size_t i = 0; i < ranked.size() && static_cast<int>(i) < std::max(options_.proposals, 1); ++i) {
      LODESTONE_ASSIGN_OR_RETURN(Proposal proposal, Propose(ranked[i]));
      result.best.push_back(std::move(proposal));
    }
    if (plain) {
      LODESTONE_ASSIGN_OR_RETURN(result.plain, Propose(*plain));
    }
    AddTrade(result);
    return result;
  }

 private:
  // The smallest that a division into groups and a chunk can make it.
  Demand SmallestDemand() const { return DemandFor(options_.users, options_.users, options_.context, 1); }

  // `groups` and `chunk` unless the options fix them.
  Demand DemandFor(int users, int groups, int64_t context, int chunk) const {
    return DemandOf(users, options_.micro_batches.value_or(groups), context, context,
                    options_.prefill_chunk.value_or(chunk));
  }

  // What cards and cores hold, or none; `refused` says why the cores do not. Groups: as few as make the largest no
  // larger than one a step would, so 28 users on 15 steps are 14 groups of two; more where the buffers do not hold
  // passes of so many users. Chunks: the largest that fits.
  std::optional<Weighed> Weigh(const Arrangement& arrangement, int users, int64_t context, int largest_chunk,
                               Status* refused) {
    const std::vector<PlannedStep> steps = PlannedSteps(cuts_, arrangement);
    for (int groups = std::min(users, static_cast<int>(steps.size()));; groups = std::min(users, 2 * groups)) {
      bool cards_hold_it = false;
      for (int chunk = largest_chunk; chunk >= 1; chunk /= 2) {
        const Demand demand = DemandFor(users, groups, context, chunk);
        if (!shape_.Fits(arrangement, demand, capacity_)) continue;
        cards_hold_it = true;
        if (auto estimate = Estimate(steps, demand, refused)) {
          return Weighed{arrangement, demand, *estimate, InstancesOf(arrangement.cards, appliance_)};
        }
      }
      if (cards_hold_it || groups == users) return std::nullopt;
    }
  }

  std::optional<PipelineEstimate> Estimate(const std::vector<PlannedStep>& planned, const Demand& demand,
                                           Status* refused) {
    std::vector<EstimatedStep> steps;
    steps.reserve(planned.size());
    for (const PlannedStep& step : planned) {
      const MappedStep& mapped = costs_.Of(step, demand);
      if (!mapped.refused.ok()) {
        *refused = mapped.refused;
        return std::nullopt;
      }
      steps.push_back({&mapped.cost, step.ranks});
    }
    return EstimatePipeline(steps, appliance_, demand);
  }

  // One a way of laying the layers, best first: of those that differ in the output layer, see Objective. `plain`
  // becomes the arrangement of Place, if it is among them.
  std::vector<Weighed> Ranked(std::vector<Weighed> weighed, std::optional<Weighed>* plain) const {
    std::stable_sort(weighed.begin(), weighed.end(),
                     [&](const Weighed& a, const Weighed& b) { return IsBetter(options_.objective, a, b); });
    const Demand demand = DemandFor(options_.users, std::min(options_.users, appliance_.cards), options_.context, 1);
    const std::optional<Arrangement> placed = shape_.Arrange(demand, capacity_, appliance_.cards, nullptr);
    for (const Weighed& candidate : weighed) {
      if (placed && candidate.arrangement == *placed) *plain = candidate;
    }
    std::vector<Weighed> leaders, ranked;  // of each way, the best and the one that stands for it
    for (const Weighed& candidate : weighed) {
      size_t way = 0;
      while (way < leaders.size() && !SameLayers(leaders[way].arrangement, candidate.arrangement)) ++way;
      if (way == leaders.size()) {
        leaders.push_back(candidate);
        ranked.push_back(candidate);
        continue;
      }
      const bool slower_than_plain = *plain && SameLayers((*plain)->arrangement, candidate.arrangement) &&
                                     IsBetter(options_.objective, **plain, candidate);
      if (!slower_than_plain && candidate.arrangement.cards < ranked[way].arrangement.cards &&
          IsAlike(leaders[way], candidate)) {
        ranked[way] = candidate;
      }
    }
    std::stable_sort(ranked.begin(), ranked.end(),
                     [&](const Weighed& a, const Weighed& b) { return IsBetter(options_.objective, a, b); });
    return ranked;
  }

  Result<Proposal> Propose(const Weighed& weighed) {
    Proposal proposal;
    proposal.arrangement = weighed.arrangement;
    LODESTONE_ASSIGN_OR_RETURN(proposal.placement,
                               Place(config_, recipe_, appliance_, weighed.demand, weighed.arrangement));
    proposal.estimate = weighed.estimate;
    proposal.prefill_chunk = ChunkOf(weighed.demand);
    proposal.instances = weighed.instances;
    proposal.max_users = Filled(weighed.arrangement, options_.context, proposal.prefill_chunk).users;
    for (const PlannedStep& step : PlannedSteps(cuts_, weighed.arrangement)) {
      proposal.fullest_core_bytes =
          std::max(proposal.fullest_core_bytes, costs_.Of(step, weighed.demand).fullest_core_bytes);
    }
    proposal.layers = DescribeLayers(weighed.arrangement, shape_.layers());
    proposal.output = DescribeOutput(weighed.arrangement);
    proposal.reasons = ReasonsFor(proposal, appliance_, shape_, cuts_, costs_);
    return proposal;
  }

  // With the chunk that the arrangement has now.
  TradePoint::Filled Filled(const Arrangement& arrangement, int64_t context, int chunk) {
    TradePoint::Filled filled;
    const int by_memory = LargestUsers(kMaxPlacedUsers, [&](int users) {
      return shape_.Fits(arrangement, DemandFor(users, users, context, chunk), capacity_);
    });
    const auto fits = [&](int users) {
      Status refused;
      const std::optional<Weighed> weighed = Weigh(arrangement, users, context, chunk, &refused);
      if (weighed) filled.estimate = weighed->estimate;
      return weighed.has_value();
    };
    // The cores mostly take what the card takes. Where they do not, the last success of the bisection is the answer.
    filled.users = by_memory == 0 || fits(by_memory) ? by_memory : LargestUsers(by_memory - 1, fits);
    return filled;
  }

  void AddTrade(SearchResult& result) {
    for (int64_t context = kFirstTradeContext; context <= std::min(config_.max_positions, kMaxPlacedContext);
         context *= 2) {
      TradePoint& point = result.trade.emplace_back();
      point.context = context;
      for (const Proposal& proposal : result.best) {
        point.proposals.push_back(Filled(proposal.arrangement, context, proposal.prefill_chunk));
      }
    }
  }

  Error NothingFits(const SearchResult& result) const {
    if (result.over_cores > 0) {
      return Infeasible(fmt::format(
          "{} of {} arrangements fit the cards' memory, and the cores of a card refuse them all; the first: {}",
          result.over_cores, result.over_cores + result.over_memory, result.core_reason));
    }
    // Nothing fits the cards, which Place refuses with what would.
    const Result<Placement> placement = Place(config_, recipe_, appliance_, SmallestDemand());
    return placement.ok() ? Infeasible("no arrangement fits the cards' memory") : placement.error();
  }

  const ModelConfig& config_;
  const Recipe& recipe_;
  const ApplianceSpec& appliance_;
  const SearchOptions& options_;
  std::vector<int> cuts_;
  const ModelShape& shape_;
  StageCosts& costs_;
  int64_t capacity_;
};

}  // namespace

const char* ToString(Objective objective) {
  for (const auto& [value, name] : kObjectives) {
    if (value == objective) return name;
  }
  return "unknown";
}

std::optional<Objective> ParseObjective(std::string_view text) {
  for (const auto& [value, name] : kObjectives) {
    if (text == name) return value;
  }
  return std::nullopt;
}

Result<SearchResult> SearchPlacements(const ModelConfig& config, const Recipe& recipe, const ApplianceSpec& appliance,
                                      const Timing& timing, const SearchOptions& options) {
  const int groups = options.micro_batches.value_or(options.users), chunk = options.prefill_chunk.value_or(1);
  if (options.users < 1 || groups < 1 || chunk < 1) {
    return Invalid(fmt::format("{} users in {} micro-batches with chunks of {}, expected at least 1 of each",
                               options.users, groups, chunk));
  }
  LODESTONE_RETURN_IF_ERROR(CheckAppliance(appliance));
  LODESTONE_RETURN_IF_ERROR(
      CheckDemand(config, DemandOf(options.users, groups, options.context, options.context, chunk)));
  LODESTONE_ASSIGN_OR_RETURN(const Program program, FusedProgram(config, recipe));
  LODESTONE_ASSIGN_OR_RETURN(const ModelShape shape, ModelShape::Of(program));
  StageCosts costs(program, timing, CapacityOf(appliance));
  return Search(config, recipe, appliance, options, program, shape, costs).Run();
}

}  // namespace lodestone
