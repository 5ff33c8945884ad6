#include "plan/placement.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <limits>
#include <map>

#include "base/units.h"
#include "plan/alternatives.h"
#include "plan/arrangement.h"
#include "plan/estimate.h"
#include "plan/inputs.h"
#include "plan/ledger.h"
#include "plan/words.h"

namespace lodestone {
namespace {

std::string Workload(const ModelConfig& config, const Recipe& recipe, const Demand& demand) {
  return fmt::format("{} in {} for {}", config.name, recipe.name, UsersWith(demand.users, "of", demand.context));
}

// Stages are added in the order of the pipeline.
class Builder {
 public:
  Builder(const Program& program, const Demand& demand, int64_t capacity)
      : program_(program), demand_(demand), capacity_(capacity) {
    const std::vector<int> cuts = LayerCutPoints(program);
    if (cuts.size() > 3) parts_per_layer_ = cuts[2] - cuts[1];
  }

  int cards_used() const { return placement_.cards_used; }

  // Parts [begin, end) over `ranks` cards.
  Status Add(int begin, int end, int ranks = 1) {
    for (int rank = 0; rank < ranks; ++rank) {
      PlacedStage placed;
      LODESTONE_ASSIGN_OR_RETURN(placed.stage, MakeStage(program_, begin, end, rank, ranks));
      const Residency residency = ResidencyOf(placed.stage.program);
      placed.card = placement_.cards_used++;
      placed.kind = KindOf(begin, end, rank, ranks);
      placed.ledger = LedgerOf(residency, demand_, capacity_);
      placement_.host_bytes = SaturatedSum(placement_.host_bytes, residency.host_bytes);
      Bound(placed.ledger, residency);
      placement_.stages.push_back(std::move(placed));
    }
    return {};
  }

  Placement Take(int cards, int instances) {
    placement_.demand = demand_;
    placement_.cards = cards;
    placement_.instances = instances;
    placement_.max_users = static_cast<int>(max_users_);
    placement_.max_context = max_context_;
    return std::move(placement_);
  }

 private:
  // All layers are runs of one segment, so a stage's work is known by the part of a layer that it begins with.
  int KindOf(int begin, int end, int rank, int ranks) {
    const int parts = PartCount(program_), layers_begin = 1, layers_end = parts - 1;
    const bool in_layers = begin >= layers_begin && end <= layers_end;
    const int first = in_layers ? (begin - layers_begin) % parts_per_layer_ : -1 - begin;
    const auto [kind, fresh] = kinds_.try_emplace({first, end - begin, rank, ranks}, static_cast<int>(kinds_.size()));
    return kind->second;
  }

  // How far users or context could grow before this card is full.
  void Bound(const Ledger& ledger, const Residency& residency) {
    const int64_t room = ledger.free() + ledger.kv_codes + ledger.kv_scales;
    const int64_t user = KvBytesPerUser(residency, demand_.context);
    const int64_t page = SaturatedProduct(demand_.users, KvBytesPerUser(residency, kPagePositions));
    if (user > 0) max_users_ = std::min(max_users_, room / user);
    if (page > 0) max_context_ = std::min(max_context_, room / page * kPagePositions);
  }

  const Program& program_;
  Demand demand_;
  int64_t capacity_;
  int parts_per_layer_ = 1;
  std::map<std::array<int, 4>, int> kinds_;
  int64_t max_users_ = kMaxPlacedUsers;
  int64_t max_context_ = kMaxPlacedContext;
  Placement placement_;
};

Status CheckArrangement(const Arrangement& arrangement, const ModelShape& shape) {
  const bool whole = arrangement.part_ranks.empty();
  int fewest = std::min(arrangement.layer_ranks, arrangement.output_ranks);
  for (const int ranks : arrangement.part_ranks) fewest = std::min(fewest, ranks);
  if (fewest < 1) return Invalid(fmt::format("arrangement: {} ranks, expected at least 1", fewest));
  if (whole && (arrangement.body_steps < 1 || arrangement.body_steps > shape.layers())) {
    return Invalid(fmt::format("arrangement: {} steps for {} layers, expected 1 to as many", arrangement.body_steps,
                               shape.layers()));
  }
  if (!whole && static_cast<int>(arrangement.part_ranks.size()) != shape.parts_per_layer()) {
    return Invalid(fmt::format("arrangement: ranks for {} parts of a layer that has {}", arrangement.part_ranks.size(),
                               shape.parts_per_layer()));
  }
  const int last = whole ? arrangement.layer_ranks : arrangement.part_ranks.back();
  if (arrangement.output_shares_cards && arrangement.output_ranks != last) {
    return Invalid(
        fmt::format("arrangement: an output layer of {} ranks shares the cards of {}", arrangement.output_ranks, last));
  }
  return {};
}

Result<Placement> Build(const Program& program, const Demand& demand, const ApplianceSpec& appliance,
                        const Arrangement& arrangement) {
  Builder builder(program, demand, CapacityOf(appliance));
  for (const PlannedStep& step : PlannedSteps(LayerCutPoints(program), arrangement)) {
    LODESTONE_RETURN_IF_ERROR(builder.Add(step.begin, step.end, step.ranks));
  }
  return builder.Take(appliance.cards, InstancesOf(builder.cards_used(), appliance));
}

}  // namespace

int64_t PagesPerUser(int64_t context) {
  const int64_t positions = std::max<int64_t>(context, 0);
  return positions / kPagePositions + (positions % kPagePositions > 0 ? 1 : 0);
}

int LargestGroup(int users, int micro_batches) {
  const int groups = std::max(1, std::min(users, micro_batches));
  return users / groups + (users % groups > 0 ? 1 : 0);
}

Demand DemandOf(int users, int micro_batches, int64_t context, int64_t prompt_tokens, int prefill_chunk) {
  const int group = LargestGroup(users, micro_batches);
  const int64_t chunk = std::min<int64_t>(prefill_chunk, prompt_tokens * group);
  const int64_t rows = std::min<int64_t>(chunk + group - 1, std::numeric_limits<int>::max());
  return {.users = users, .context = context, .rows_per_pass = static_cast<int>(rows), .decode_rows = group};
}

MapDemand MapDemandOf(const Demand& demand) {
  const int64_t context = std::max<int64_t>(demand.context / 2, 1), rows = std::max(demand.decode_rows, 1);
  MapDemand map;
  map.load = {.rows = static_cast<int>(rows),
              .logit_rows = static_cast<int>(rows),
              .sequences = static_cast<int>(rows),
              .context_sum = SaturatedProduct(rows, context),
              .context_max = context,
              .kv_tokens_read = SaturatedProduct(rows, context)};
  map.kv_positions = SaturatedProduct(demand.users, PagesPerUser(demand.context) * kPagePositions);
  map.rows_per_pass = demand.rows_per_pass;
  return map;
}

Result<Placement> Place(const ModelConfig& config, const Recipe& recipe, const ApplianceSpec& appliance,
                        const Demand& demand) {
  LODESTONE_RETURN_IF_ERROR(CheckDemand(config, demand));
  LODESTONE_RETURN_IF_ERROR(CheckAppliance(appliance));
  const int64_t capacity = CapacityOf(appliance);
  LODESTONE_ASSIGN_OR_RETURN(const Program program, FusedProgram(config, recipe));
  LODESTONE_ASSIGN_OR_RETURN(const ModelShape shape, ModelShape::Of(program));

  Overflow overflow;
  const std::optional<Arrangement> arrangement = shape.Arrange(demand, capacity, appliance.cards, &overflow);
  if (!arrangement) {
    const Ledger& ledger = overflow.ledger;
    return Infeasible(fmt::format(
        "{} does not fit {}: card {} ({}) needs {} of its {}, {} too much: {}{}{}. What fits: {}",
        Workload(config, recipe, demand), appliance.name, overflow.card, overflow.label, FormatBytes(ledger.used()),
        FormatBytes(capacity), FormatBytes(-ledger.free()), FormatLines(ledger), overflow.why.empty() ? "" : "; ",
        overflow.why, Alternatives(config, recipe, shape, demand, capacity, appliance.cards)));
  }
  return Build(program, demand, appliance, *arrangement);
}

Result<Placement> Place(const ModelConfig& config, const Recipe& recipe, const ApplianceSpec& appliance,
                        const Demand& demand, const Arrangement& arrangement) {
  LODESTONE_RETURN_IF_ERROR(CheckDemand(config, demand));
  LODESTONE_RETURN_IF_ERROR(CheckAppliance(appliance));
  LODESTONE_ASSIGN_OR_RETURN(const Program program, FusedProgram(config, recipe));
  LODESTONE_ASSIGN_OR_RETURN(const ModelShape shape, ModelShape::Of(program));
  LODESTONE_RETURN_IF_ERROR(CheckArrangement(arrangement, shape));
  LODESTONE_ASSIGN_OR_RETURN(Placement placement, Build(program, demand, appliance, arrangement));
  if (placement.cards_used > appliance.cards) {
    return Infeasible(fmt::format("arrangement: it takes {} cards, and {} has {}", placement.cards_used, appliance.name,
                                  appliance.cards));
  }
  for (const PlacedStage& placed : placement.stages) {
    if (placed.ledger.free() >= 0) continue;
    return Infeasible(fmt::format("{} does not fit {} in this arrangement: card {} ({}) needs {} of its {}: {}",
                                  Workload(config, recipe, demand), appliance.name, placed.card, placed.stage.label,
                                  FormatBytes(placed.ledger.used()), FormatBytes(placed.ledger.capacity),
                                  FormatLines(placed.ledger)));
  }
  return placement;
}

Result<Placement> PlaceOnHost(const ModelConfig& config, const Recipe& recipe, const Demand& demand,
                              std::optional<int64_t> memory_bytes) {
  LODESTONE_RETURN_IF_ERROR(CheckDemand(config, demand));
  LODESTONE_ASSIGN_OR_RETURN(const Program program, FusedProgram(config, recipe));
  const Residency residency = ResidencyOf(program);
  const Ledger whole = LedgerOf(residency, demand, 0);
  const int64_t capacity =
      memory_bytes ? std::clamp<int64_t>(*memory_bytes, 0, kSaturatedBytes) - residency.host_bytes : whole.used();
  const Ledger ledger = LedgerOf(residency, demand, capacity);
  if (ledger.free() < 0) {
    Demand none = demand;
    none.users = 0;
    const int64_t user = KvBytesPerUser(residency, demand.context);
    const int64_t users = std::max<int64_t>(0, LedgerOf(residency, none, capacity).free()) / std::max<int64_t>(user, 1);
    return Infeasible(
        fmt::format("{} does not fit this host: it needs {} of {}: {}, embedding tables {}. What fits: {}",
                    Workload(config, recipe, demand), FormatBytes(SaturatedSum(ledger.used(), residency.host_bytes)),
                    FormatBytes(*memory_bytes), FormatLines(ledger), FormatBytes(residency.host_bytes),
                    users > 0 ? UsersWith(users, "at", demand.context) : "not one user at this context"));
  }
  Builder builder(program, demand, capacity);
  LODESTONE_RETURN_IF_ERROR(builder.Add(0, PartCount(program)));
  Placement placement = builder.Take(1, 1);
  if (!memory_bytes) {
    placement.max_users = kMaxPlacedUsers;
    placement.max_context = kMaxPlacedContext;
  }
  return placement;
}

}  // namespace lodestone
