// Rows of simulated appliances.
#include <fmt/format.h>

#include <algorithm>
#include <span>
#include <string_view>
#include <utility>

#include "appliance/machine.h"
#include "lab/compare/targets.h"
#include "lab/pass_costs.h"
#include "lab/sensitivity.h"
#include "lab/simulation.h"

namespace lodestone {
namespace {

// The measure of that name as a figure; none where it is unavailable.
std::optional<ComparedFigure> FigureOf(const std::vector<Measure>& measures, std::string_view name) {
  for (const Measure& measure : measures) {
    if (measure.name == name && measure.value) {
      return ComparedFigure{.value = *measure.value, .low = measure.low, .high = measure.high};
    }
  }
  return {};
}

// The name under which estimates show the same work, which they take as one kernel.
std::string NameOf(const OperatorCost& cost) {
  constexpr std::pair<std::string_view, std::string_view> kWeights[] = {
      {"q", "qkv"}, {"k", "qkv"}, {"v", "qkv"}, {"gate", "gate-up"}, {"up", "gate-up"}};
  constexpr std::pair<std::string_view, std::string_view> kOps[] = {
      {"attend", "attention"}, {"rotate", "rotate-store"}, {"store_kv", "rotate-store"}, {"gate", "activation"}};
  const std::string own = cost.weight.empty() ? cost.op : cost.weight;
  using Names = std::span<const std::pair<std::string_view, std::string_view>>;
  for (const auto& [name, shown] : cost.weight.empty() ? Names(kOps) : Names(kWeights)) {
    if (own == name) return std::string(shown);
  }
  return own;
}

// One pass over all stages: an operator's runs on all cards together.
std::vector<StepPart> PartsOf(const std::vector<std::vector<OperatorCost>>& stages) {
  std::vector<StepPart> parts;
  for (const std::vector<OperatorCost>& stage : stages) {
    for (const OperatorCost& cost : stage) {
      const std::string name = NameOf(cost);
      auto part = std::find_if(parts.begin(), parts.end(), [&](const StepPart& p) { return p.name == name; });
      if (part == parts.end()) part = parts.insert(parts.end(), {.name = name, .bound = ToString(cost.bound)});
      part->seconds += cost.time.seconds();
      part->operations += static_cast<double>(cost.operations);
      part->bytes += static_cast<double>(cost.memory_bytes);
    }
  }
  return parts;
}

ComparedMemory FullestOf(const Placement& placement) {
  const Ledger* fullest = nullptr;
  for (const PlacedStage& placed : placement.stages) {
    if (fullest == nullptr || placed.ledger.used() > fullest->used()) fullest = &placed.ledger;
  }
  if (fullest == nullptr) return {};
  return {.weights = fullest->weight_codes + fullest->weight_scales + fullest->norms_biases,
          .kv = fullest->kv_codes + fullest->kv_scales,
          .buffers = fullest->buffers,
          .capacity = fullest->capacity};
}

Status FillRow(const SimulationOptions& options, ComparedRow& row) {
  LODESTONE_ASSIGN_OR_RETURN(PassCosts costs, PassCosts::Open(options));
  SimulationOptions placed = options;
  placed.placement = costs.placement();
  LODESTONE_ASSIGN_OR_RETURN(const SimulatedRun run, SimulateBatch(placed));
  std::vector<Measure> measures = MeasuresOf(run.run);
  if (options.fidelity == Fidelity::kCalibrated) {
    if (const Result<Envelope> envelope = EnvelopeOf(placed, 1); envelope.ok()) AddRanges(*envelope, measures);
  }
  row.devices = run.run.cards;
  row.system = FigureOf(measures, "system_throughput_tokens_per_s");
  row.device = FigureOf(measures, "throughput_tokens_per_s_per_card");
  row.latency = FigureOf(measures, "latency_s_per_token");
  row.ttft = FigureOf(measures, "ttft_s");
  row.tpot = FigureOf(measures, "itl_s");
  row.energy = FigureOf(measures, "energy_metric_tokens_per_j");
  row.space = FigureOf(measures, "space_metric_tokens_per_s_per_transistor");
  if (run.run.power_w_per_card) row.watts = ComparedFigure{*run.run.power_w_per_card * run.run.cards, {}, {}};
  row.power_basis = "simulated";
  row.memory = FullestOf(run.placement);
  row.decode = PartsOf(costs.Explain(TypicalDecodeLoad(placed)));
  row.prefill = PartsOf(costs.Explain(TypicalPrefillLoad(placed)));
  row.source = fmt::format("event model of {}: {}", options.spec.name,
                           options.fidelity == Fidelity::kIdeal ? "rates alone" : "calibrated on the run of HPEC 2024");
  Complete(row);
  return {};
}

Result<SimulationOptions> OptionsOf(const CompareTarget& target, const SimulatedTarget& what,
                                    const CompareWorkload& workload, const ModelConfig& config, int batch) {
  SimulationOptions options;
  LODESTONE_ASSIGN_OR_RETURN(options.spec, LoadAppliance(what.appliance));
  LODESTONE_ASSIGN_OR_RETURN(options.recipe, ParseRecipe(target.recipe));
  options.config = config;
  options.fidelity = what.fidelity;
  options.transfers = what.through_host ? Transfers::kHost : Transfers::kDirect;
  options.users = batch;
  options.micro_batches = what.micro_batches.value_or(DefaultMicroBatches(options.spec, batch));
  options.prefill_chunk = what.prefill_chunk;
  options.prompt_tokens = workload.prompt_tokens;
  options.output_tokens = workload.output_tokens;
  return options;
}

}  // namespace

ComparedRow SimulatedRow(const CompareTarget& target, const SimulatedTarget& what, const CompareWorkload& workload,
                         const ModelConfig& config, int batch) {
  ComparedRow row = EmptyRow(target, workload, Provenance::kSimulated, batch);
  const char* rates_alone = what.fidelity == Fidelity::kIdeal ? " (rates alone)" : "";
  row.label = LabelOf(target, workload, what.appliance + rates_alone);
  row.machine = what.appliance;
  row.platform = "asic";
  row.level = what.fidelity == Fidelity::kIdeal ? "ideal" : "calibrated";
  const Result<SimulationOptions> options = OptionsOf(target, what, workload, config, batch);
  const Status status = options.ok() ? FillRow(*options, row) : options.status();
  if (!status.ok()) row.reason = status.error().message;
  return row;
}

}  // namespace lodestone
