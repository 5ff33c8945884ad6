#include "plan/stage_costs.h"

#include <algorithm>

#include "plan/ledger.h"

namespace lodestone {
namespace {

MappedStep MapStep(const Result<Stage>& stage, const Timing& timing, const Demand& demand, int64_t capacity) {
  MappedStep mapped;
  if (!stage.ok()) {
    mapped.refused = stage.status();
    return mapped;
  }
  mapped.ledger = LedgerOf(ResidencyOf(stage->program), demand, capacity);
  Result<std::unique_ptr<StageTiming>> timed = timing.Map(*stage, MapDemandOf(demand));
  if (!timed.ok()) {
    mapped.refused = timed.status();
    return mapped;
  }
  mapped.cost.decode = (*timed)->Evaluate(DecodeLoadOf(demand));
  mapped.cost.prefill = (*timed)->Evaluate(PrefillLoadOf(demand));
  mapped.fullest_core_bytes = (*timed)->Mapping().fullest_core_bytes;
  return mapped;
}

}  // namespace

Result<std::vector<StageMapping>> MapStages(const Placement& placement, const Timing& timing) {
  std::map<int, StageMapping> kinds;
  std::vector<StageMapping> mappings;
  for (const PlacedStage& placed : placement.stages) {
    const auto [entry, fresh] = kinds.try_emplace(placed.kind);
    if (fresh) {
      const Result<std::unique_ptr<StageTiming>> mapped = timing.Map(placed.stage, MapDemandOf(placement.demand));
      if (!mapped.ok()) return mapped.error();
      entry->second = (*mapped)->Mapping();
    }
    mappings.push_back(entry->second);
  }
  return mappings;
}

StageCosts::StageCosts(const Program& program, const Timing& timing, int64_t capacity)
    : program_(program), timing_(timing), capacity_(capacity), cuts_(LayerCutPoints(program)) {}

const MappedStep& StageCosts::Of(const PlannedStep& step, const Demand& demand) {
  PlannedStep alike = step;
  alike.begin = std::max(alike.begin, cuts_[1]);
  // Within the layers, which are runs of one segment, layer 0 speaks for all.
  if (alike.end <= cuts_[cuts_.size() - 2]) {
    const int parts_per_layer = cuts_[2] - cuts_[1];
    const int shift = (alike.begin - cuts_[1]) / parts_per_layer * parts_per_layer;
    alike.begin -= shift;
    alike.end -= shift;
  }
  const auto [entry, fresh] = known_.try_emplace(
      Key{alike.begin, alike.end, alike.ranks, demand.users, demand.context, demand.rows_per_pass, demand.decode_rows});
  if (fresh) {
    entry->second = MapStep(MakeStage(program_, alike.begin, alike.end, 0, alike.ranks), timing_, demand, capacity_);
  }
  return entry->second;
}

}  // namespace lodestone
