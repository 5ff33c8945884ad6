#include "plan/placement.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/units.h"
#include "plan/alternatives.h"
#include "plan/arrangement.h"
#include "plan/ledger.h"

namespace lodestone {
namespace {

std::string Count(int64_t n) { return FormatNumber(static_cast<double>(n)); }

Status CheckDemand(const ModelConfig& config, const Demand& demand) {
  const auto check = [](const char* what, int64_t found, int64_t max) -> Status {
    if (found >= 1 && found <= max) return {};
    return Invalid(fmt::format("{}: found {}, expected 1 to {}", what, found, max));
  };
  LODESTONE_RETURN_IF_ERROR(check("users", demand.users, kMaxPlacedUsers));
  LODESTONE_RETURN_IF_ERROR(check("context", demand.context, kMaxPlacedContext));
  LODESTONE_RETURN_IF_ERROR(check("rows in a pass", demand.rows_per_pass, kMaxPlacedRows));
  if (config.max_positions > 0 && demand.context > config.max_positions) {
    return Invalid(
        fmt::format("context: found {} positions, but {} has {}", demand.context, config.name, config.max_positions));
  }
  return {};
}

std::string Workload(const ModelConfig& config, const Recipe& recipe, const Demand& demand) {
  return fmt::format("{} in {} for {} {} of {} positions", config.name, recipe.name, Count(demand.users),
                     demand.users == 1 ? "user" : "users", Count(demand.context));
}

// Stages are added in the order of the pipeline.
class Builder {
 public:
  Builder(const Program& program, const Demand& demand, int64_t capacity)
      : program_(program), demand_(demand), capacity_(capacity) {}

  // Parts [begin, end) over `ranks` cards.
  Status Add(int begin, int end, int ranks = 1) {
    for (int rank = 0; rank < ranks; ++rank) {
      PlacedStage placed;
      LODESTONE_ASSIGN_OR_RETURN(placed.stage, MakeStage(program_, begin, end, rank, ranks));
      const Residency residency = ResidencyOf(placed.stage.program);
      placed.card = placement_.cards_used++;
      placed.ledger = LedgerOf(residency, demand_, capacity_);
      placement_.host_bytes = SaturatedSum(placement_.host_bytes, residency.host_bytes);
      Bound(placed.ledger, residency);
      placement_.stages.push_back(std::move(placed));
    }
    return {};
  }

  Placement Take(int cards) {
    placement_.cards = cards;
    placement_.instances = std::max(1, cards / std::max(1, placement_.cards_used));
    placement_.max_users = static_cast<int>(max_users_);
    placement_.max_context = max_context_;
    return std::move(placement_);
  }

 private:
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
  int64_t max_users_ = kMaxPlacedUsers;
  int64_t max_context_ = kMaxPlacedContext;
  Placement placement_;
};

// The embedding is a lookup on the host and stands at the head of the first card's stage.
Status AddLayers(const std::vector<int>& cuts, const Arrangement& arrangement, int layers, Builder& builder) {
  if (arrangement.part_ranks.empty()) {
    int layer = 0;
    for (int card = 0; card < arrangement.body_cards; ++card) {
      const int here = layers / arrangement.body_cards + (card < layers % arrangement.body_cards ? 1 : 0);
      const bool last = card + 1 == arrangement.body_cards;
      const int end = last && arrangement.output_shares_card ? cuts.back() : cuts[1 + layer + here];
      LODESTONE_RETURN_IF_ERROR(builder.Add(layer == 0 ? 0 : cuts[1 + layer], end));
      layer += here;
    }
    return {};
  }
  for (int layer = 0; layer < layers; ++layer) {
    for (size_t part = 0; part < arrangement.part_ranks.size(); ++part) {
      const int begin = cuts[1 + layer] + static_cast<int>(part);
      const bool first = layer == 0 && part == 0;
      LODESTONE_RETURN_IF_ERROR(builder.Add(first ? 0 : begin, begin + 1, arrangement.part_ranks[part]));
    }
  }
  return {};
}

}  // namespace

int64_t PagesPerUser(int64_t context) {
  const int64_t positions = std::max<int64_t>(context, 0);
  return positions / kPagePositions + (positions % kPagePositions > 0 ? 1 : 0);
}

Result<Placement> Place(const ModelConfig& config, const Recipe& recipe, const ApplianceSpec& appliance,
                        const Demand& demand) {
  LODESTONE_RETURN_IF_ERROR(CheckDemand(config, demand));
  if (appliance.cards < 1 || appliance.cards > kMaxPlacedCards) {
    return Invalid(fmt::format("appliance {}: found {} cards, expected 1 to {}", appliance.name, appliance.cards,
                               kMaxPlacedCards));
  }
  const ChipSpec& chip = appliance.card.chip;
  const auto capacity = static_cast<int64_t>(chip.cores.value * chip.core_memory_bytes.value);
  LODESTONE_ASSIGN_OR_RETURN(Program described, Describe(config, recipe));
  const Program program = Fuse(std::move(described));
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
  const std::vector<int> cuts = LayerCutPoints(program);
  Builder builder(program, demand, capacity);
  LODESTONE_RETURN_IF_ERROR(AddLayers(cuts, *arrangement, shape.layers(), builder));
  if (!arrangement->output_shares_card) {
    LODESTONE_RETURN_IF_ERROR(builder.Add(cuts[cuts.size() - 2], cuts.back(), arrangement->output_ranks));
  }
  return builder.Take(appliance.cards);
}

Result<Placement> PlaceOnHost(const ModelConfig& config, const Recipe& recipe, const Demand& demand,
                              std::optional<int64_t> memory_bytes) {
  LODESTONE_RETURN_IF_ERROR(CheckDemand(config, demand));
  LODESTONE_ASSIGN_OR_RETURN(Program described, Describe(config, recipe));
  const Program program = Fuse(std::move(described));
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
    return Infeasible(fmt::format(
        "{} does not fit this host: it needs {} of {}: {}, embedding tables {}. What fits: {}",
        Workload(config, recipe, demand), FormatBytes(SaturatedSum(ledger.used(), residency.host_bytes)),
        FormatBytes(*memory_bytes), FormatLines(ledger), FormatBytes(residency.host_bytes),
        users > 0
            ? fmt::format("{} {} at {} positions", Count(users), users == 1 ? "user" : "users", Count(demand.context))
            : "not one user at this context"));
  }
  Builder builder(program, demand, capacity);
  LODESTONE_RETURN_IF_ERROR(builder.Add(0, PartCount(program)));
  Placement placement = builder.Take(1);
  if (!memory_bytes) {
    placement.max_users = kMaxPlacedUsers;
    placement.max_context = kMaxPlacedContext;
  }
  return placement;
}

}  // namespace lodestone
