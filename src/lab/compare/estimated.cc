// Rows of machines that are known by their data sheets and factors.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "hardware/machine.h"
#include "lab/compare/targets.h"
#include "lab/self_calibration.h"
#include "model/recipe.h"
#include "plan/machine_estimate.h"

namespace lodestone {
namespace {

ComparedFigure FigureOf(const Range& range, double factor = 1) {
  ComparedFigure figure{.value = range.typical * factor, .low = {}, .high = {}};
  if (range.low < range.high) {
    figure.low = range.low * factor;
    figure.high = range.high * factor;
  }
  return figure;
}

// numerator ÷ range: the ends change places.
ComparedFigure InverseOf(const Range& range, double numerator) {
  return FigureOf({numerator / range.high, numerator / range.typical, numerator / range.low});
}

std::optional<ComparedFigure> FigureOf(const std::optional<Range>& range, double factor = 1) {
  return range ? std::optional(FigureOf(*range, factor)) : std::nullopt;
}

std::vector<StepPart> PartsOf(const std::vector<OperatorShare>& shares) {
  std::vector<StepPart> parts;
  for (const OperatorShare& share : shares) {
    parts.push_back({.name = share.name,
                     .bound = std::string(ToString(share.bound)),
                     .seconds = share.seconds,
                     .operations = static_cast<double>(share.operations),
                     .bytes = static_cast<double>(share.bytes)});
  }
  return parts;
}

ComparedMemory MemoryOf(const Ledger& ledger) {
  return {.weights = ledger.weight_codes + ledger.weight_scales + ledger.norms_biases,
          .kv = ledger.kv_codes + ledger.kv_scales,
          .buffers = ledger.buffers,
          .capacity = ledger.capacity};
}

std::optional<DeviceRoof> RoofOf(const Machine& machine, const Recipe& recipe) {
  const Code wider =
      BitsOf(recipe.activations.code) > BitsOf(recipe.weights.code) ? recipe.activations.code : recipe.weights.code;
  const std::optional<Machine::Rate> rate = machine.RateFor(wider);
  if (!rate || machine.memory.empty() || !machine.main_memory().bytes_per_s) return {};
  return DeviceRoof{.matrix = std::string(ToString(rate->format)),
                    .memory = machine.main_memory().name,
                    .ops_per_s = rate->ops_per_s,
                    .bytes_per_s = machine.main_memory().bytes_per_s->value};
}

// `batch` is of one copy of the model.
void Fill(const InferenceEstimate& estimate, int batch, ComparedRow& row) {
  row.system = FigureOf(estimate.output_tokens_per_s);
  row.device = FigureOf(estimate.output_tokens_per_s_per_device);
  row.user = FigureOf(estimate.output_tokens_per_s_per_user);
  row.latency = InverseOf(estimate.output_tokens_per_s, row.batch);
  row.ttft = FigureOf(estimate.ttft_s);
  row.tpot = FigureOf(estimate.tpot_s);
  row.watts = FigureOf(estimate.watts_per_device, estimate.devices);
  row.energy = FigureOf(estimate.output_tokens_per_joule);
  if (estimate.space_metric) row.space = ComparedFigure{.value = *estimate.space_metric, .low = {}, .high = {}};
  if (estimate.usd_per_million_output_tokens) {
    row.usd = ComparedFigure{.value = *estimate.usd_per_million_output_tokens, .low = {}, .high = {}};
  }
  row.power_basis = estimate.power_basis;
  row.memory = MemoryOf(estimate.ledger);
  row.prefill = PartsOf(estimate.prefill);
  row.decode = PartsOf(estimate.decode);
  if (estimate.concurrent < batch) {
    row.note = fmt::format("memory holds {} of {} requests at once; the others wait", estimate.concurrent, batch);
  }
}

std::string SourceOf(const Deployment& deployment) {
  const Machine& machine = deployment.machine;
  const std::string figures =
      machine.data_sheet.empty() ? fmt::format("figures of {}", machine.name) : machine.data_sheet;
  switch (deployment.level) {
    case EstimateLevel::kIdeal:
      return figures + ", its rates alone";
    case EstimateLevel::kSelfCalibrated:
      return figures + ", factors from its own measurements";
    case EstimateLevel::kCalibrated:
      break;
  }
  return fmt::format("{}, factors of it or of its class {}{}{}", figures, machine.efficiency_class,
                     deployment.stack.empty() ? "" : " under ", deployment.stack);
}

// The machine, and with it the level and factors where it is this host.
Status SetMachine(const EstimatedTarget& what, Deployment& deployment) {
  deployment.level = what.level;
  if (what.machine != kThisHost) {
    LODESTONE_ASSIGN_OR_RETURN(deployment.machine, LoadMachine(what.machine));
    return {};
  }
  LODESTONE_ASSIGN_OR_RETURN(deployment.machine, ThisHost(std::nullopt));
  if (what.calibrate_on.empty() || what.level == EstimateLevel::kIdeal) return {};
  LODESTONE_ASSIGN_OR_RETURN(const std::vector<HostRow> rows, ReadHostRows(what.calibrate_on));
  LODESTONE_ASSIGN_OR_RETURN(SelfCalibration calibration, SelfCalibrate(deployment.machine, rows));
  deployment.efficiency = std::move(calibration.efficiency);
  deployment.level = EstimateLevel::kSelfCalibrated;
  return {};
}

Status FillRow(const CompareTarget& target, const EstimatedTarget& what, const CompareWorkload& workload,
               const ModelConfig& config, int batch, ComparedRow& row) {
  Deployment deployment;
  LODESTONE_RETURN_IF_ERROR(SetMachine(what, deployment));
  const Machine& machine = deployment.machine;
  row.level = ToString(deployment.level);
  row.machine = machine.name;
  row.platform = ToString(machine.platform);
  deployment.parallelism = what.parallelism;
  deployment.stack = what.stack;
  deployment.prefill_chunk = what.prefill_chunk;
  LODESTONE_ASSIGN_OR_RETURN(deployment.methods, ParseMethods(what.methods));
  LODESTONE_ASSIGN_OR_RETURN(const Recipe recipe, ParseRecipe(target.recipe));
  LODESTONE_ASSIGN_OR_RETURN(
      const InferenceEstimate estimate,
      EstimateInference(
          config, recipe, deployment,
          {.batch = batch, .prompt_tokens = workload.prompt_tokens, .output_tokens = workload.output_tokens}));
  Fill(estimate, batch, row);
  row.roof = RoofOf(machine, recipe);
  row.source = SourceOf(deployment);
  return {};
}

std::string MadeLabel(const EstimatedTarget& what) {
  std::string label = what.machine;
  const Parallelism& parallel = what.parallelism;
  if (parallel == Parallelism{.tensor = parallel.tensor} && parallel.tensor > 1) {
    label += fmt::format(" × {}", parallel.tensor);
  } else if (parallel.devices() > 1) {
    label += " " + ToString(parallel);
  }
  if (!what.stack.empty()) label += " " + what.stack;
  for (const std::string& method : what.methods) label += " " + method;
  if (what.level == EstimateLevel::kIdeal) label += " (ideal)";
  if (!what.calibrate_on.empty() && what.level == EstimateLevel::kCalibrated) label += " (self-calibrated)";
  return label;
}

}  // namespace

ComparedRow EstimatedRow(const CompareTarget& target, const EstimatedTarget& what, const CompareWorkload& workload,
                         const ModelConfig& config, int batch) {
  ComparedRow row = EmptyRow(target, workload, Provenance::kEstimated, batch * what.parallelism.data);
  row.label = LabelOf(target, workload, MadeLabel(what));
  row.machine = what.machine;
  row.stack = what.stack;
  row.level = ToString(what.level);
  row.devices = what.parallelism.devices();
  row.methods = fmt::format("{}", fmt::join(what.methods, " "));
  if (const Status status = FillRow(target, what, workload, config, batch, row); !status.ok()) {
    row.reason = status.error().message;
  }
  return row;
}

}  // namespace lodestone
