#include "lab/estimate_record.h"

#include <fmt/format.h>

#include <algorithm>

namespace lodestone {
namespace {

Measure Estimated(std::string name, const std::optional<Range>& range, std::string unit, std::string reason) {
  if (!range) return Measure::Unavailable(std::move(name), std::move(unit), Provenance::kEstimated, std::move(reason));
  Measure measure = Measure::Of(std::move(name), range->typical, std::move(unit), Provenance::kEstimated);
  if (range->low < range->high) {
    measure.low = range->low;
    measure.high = range->high;
  }
  return measure;
}

void SetRange(std::vector<Measure>& measures, std::string_view name, const std::optional<Range>& range) {
  const auto found = std::find_if(measures.begin(), measures.end(), [&](const Measure& m) { return m.name == name; });
  if (found == measures.end() || !found->value || !range || !(range->low < range->high)) return;
  found->low = range->low;
  found->high = range->high;
}

Range Inverse(const Range& range, double numerator) {
  return {numerator / range.high, numerator / range.typical, numerator / range.low};
}

std::optional<Range> Times(const std::optional<double>& typical, const Range& shape) {
  if (!typical) return {};
  const double factor = *typical / shape.typical;
  return Range{shape.low * factor, shape.typical * factor, shape.high * factor};
}

std::string RangeNote(const Figure& figure) {
  return figure.low && figure.high ? fmt::format(" Range {:g} to {:g}.", *figure.low, *figure.high) : "";
}

}  // namespace

RunRecord RecordOf(const EstimatedRun& run) {
  const InferenceEstimate& estimate = run.estimate;
  const Machine& machine = run.deployment.machine;
  RunRecord record;
  record.workload = {.model = run.config.name,
                     .recipe = run.recipe.name,
                     .users = run.load.batch * run.deployment.parallelism.data,
                     .micro_batches = run.deployment.parallelism.pipeline,
                     .prompt_tokens = run.load.prompt_tokens,
                     .output_tokens = run.load.output_tokens,
                     .prefill_chunk = run.deployment.prefill_chunk.value_or(0)};
  record.target = {
      .appliance = machine.name, .cards = estimate.devices, .power_w_per_card = {}, .transistors_per_card = {}};
  if (estimate.watts_per_device) record.target.power_w_per_card = estimate.watts_per_device->typical;
  if (machine.transistors) record.target.transistors_per_card = machine.transistors->value;

  BatchRun batch;
  batch.users = record.workload.users;
  batch.tokens_generated = batch.users * static_cast<double>(run.load.output_tokens);
  batch.prompt_time_s = estimate.ttft_s.typical;
  batch.token_gen_time_s = estimate.total_s.typical - estimate.ttft_s.typical;
  batch.cards = estimate.devices;
  batch.power_w_per_card = record.target.power_w_per_card;
  batch.transistors_per_card = record.target.transistors_per_card;
  batch.power_reason = estimate.power_basis;
  batch.transistors_reason = fmt::format("{} states no number of transistors", machine.file);
  batch.ttft_s = estimate.ttft_s.typical;
  if (estimate.tpot_s) batch.itl_s = estimate.tpot_s->typical;
  batch.provenance = batch.power_provenance = Provenance::kEstimated;
  record.measures = MeasuresOf(batch);
  SetRange(record.measures, "prompt_time_s", estimate.ttft_s);
  SetRange(record.measures, "ttft_s", estimate.ttft_s);
  SetRange(record.measures, "itl_s", estimate.tpot_s);
  SetRange(record.measures, "system_throughput_tokens_per_s", estimate.output_tokens_per_s);
  SetRange(record.measures, "throughput_tokens_per_s_per_card", estimate.output_tokens_per_s_per_device);
  SetRange(record.measures, "latency_s_per_token", Inverse(estimate.output_tokens_per_s, batch.users));
  SetRange(record.measures, "energy_metric_tokens_per_j", estimate.output_tokens_per_joule);
  SetRange(record.measures, "space_metric_tokens_per_s_per_transistor",
           Times(estimate.space_metric, estimate.output_tokens_per_s_per_device));
  for (Measure& measure : record.measures) {
    if (measure.name == "energy_metric_tokens_per_j" && measure.value) {
      measure.reason = fmt::format("of the device alone, at its {} power", estimate.power_basis);
    }
  }
  record.measures.push_back(Estimated("total_throughput_tokens_per_s", estimate.total_tokens_per_s, "token/s", ""));
  record.measures.push_back(Estimated("user_throughput_tokens_per_s", estimate.output_tokens_per_s_per_user, "token/s",
                                      "one token has no gap before it"));
  std::optional<Range> price;
  if (estimate.usd_per_million_output_tokens) {
    const Range slow = Inverse(estimate.output_tokens_per_s, 1);
    price = Times(estimate.usd_per_million_output_tokens, slow);
  }
  record.measures.push_back(
      Estimated("usd_per_million_tokens", price, "USD", fmt::format("{} states no price_usd_per_hour", machine.file)));
  record.assumed = AssumptionsOf(run.deployment);
  record.environment = {{"level", std::string(ToString(estimate.level))},
                        {"stack", run.deployment.stack.empty() ? "any" : run.deployment.stack},
                        {"parallelism", ToString(run.deployment.parallelism)},
                        {"methods", run.deployment.methods.text},
                        {"concurrent", fmt::format("{}", estimate.concurrent)}};
  return record;
}

std::vector<Assumption> AssumptionsOf(const Deployment& deployment) {
  std::vector<Assumption> assumptions;
  const auto add = [&](const std::string& name, const Figure& figure) {
    if (!RestsOnNoSource(figure)) return;
    assumptions.push_back({.name = name,
                           .value = figure.value,
                           .note = fmt::format("{}: {}{}", ToString(figure.source), figure.note, RangeNote(figure))});
  };
  for (const NamedFigure& named : FiguresOf(deployment.machine)) add(named.name, named.figure);
  if (deployment.level == EstimateLevel::kIdeal) return assumptions;
  const Result<Efficiency> efficiency = deployment.efficiency ? Result<Efficiency>(*deployment.efficiency)
                                                              : EfficiencyOf(deployment.machine, deployment.stack);
  if (!efficiency.ok()) return assumptions;
  for (const EfficiencyField& field : EfficiencyFields()) {
    add(fmt::format("factor.{}", field.key), (*efficiency).*field.member);
  }
  return assumptions;
}

Result<std::vector<PublishedBeside>> PublishedRowsBeside(const EstimatedRun& run) {
  std::vector<PublishedBeside> found;
  LODESTONE_ASSIGN_OR_RETURN(const std::span<const PublishedRow> rows, CatalogPublishedRows());
  const InferenceEstimate& estimate = run.estimate;
  const std::string parallelism = ToString(run.deployment.parallelism);
  for (const PublishedRow& row : rows) {
    if (row.machine != run.deployment.machine.name || row.shape != run.config.name || row.recipe != run.recipe.name) {
      continue;
    }
    if (row.devices != estimate.devices || row.batch != run.load.batch * run.deployment.parallelism.data) continue;
    if (row.prompt_tokens != run.load.prompt_tokens || row.output_tokens != run.load.output_tokens) continue;
    if (row.method != run.deployment.methods.text) continue;
    if (!run.deployment.stack.empty() && row.stack != run.deployment.stack) continue;
    const std::string laid = !row.parallelism.empty() ? row.parallelism
                             : row.devices > 1        ? fmt::format("tp{}", row.devices)
                                                      : "1";
    if (laid != parallelism) continue;
    std::optional<Range> range;
    if (row.metric == "output_throughput") range = estimate.output_tokens_per_s;
    if (row.metric == "total_throughput") range = estimate.total_tokens_per_s;
    if (row.metric == "latency") range = estimate.total_s;
    if (row.metric == "ttft") range = estimate.ttft_s;
    if (row.metric == "tpot") range = estimate.tpot_s;
    if (range) found.push_back({.row = &row, .estimated = *range});
  }
  return found;
}

}  // namespace lodestone
