#include <fmt/format.h>

#include <array>

#include "base/overloaded.h"
#include "lab/compare/targets.h"
#include "lab/work_list.h"
#include "model/open_model.h"

namespace lodestone {
namespace {

constexpr std::array kMetrics{
    CompareMetric{"system_throughput_tokens_per_s", "Throughput", "tokens/s", 1, &ComparedRow::system},
    CompareMetric{"throughput_tokens_per_s_per_device", "A device", "tokens/s", 1, &ComparedRow::device},
    CompareMetric{"tokens_per_s_per_user", "A user", "tokens/s", 1, &ComparedRow::user},
    CompareMetric{"latency_s_per_token", "Latency", "ms/token", 1e3, &ComparedRow::latency},
    CompareMetric{"ttft_s", "TTFT", "ms", 1e3, &ComparedRow::ttft},
    CompareMetric{"tpot_s", "TPOT", "ms", 1e3, &ComparedRow::tpot},
    CompareMetric{"power_w", "Power", "W", 1, &ComparedRow::watts},
    CompareMetric{"energy_metric_tokens_per_j", "Energy", "tokens/J", 1, &ComparedRow::energy},
    CompareMetric{"space_metric_tokens_per_s_per_transistor", "Space", "tokens/s/10⁹ transistors", 1e9,
                  &ComparedRow::space},
    CompareMetric{"usd_per_million_output_tokens", "Price", "$/10⁶ tokens", 1, &ComparedRow::usd}};

ComparedFigure Scaled(const ComparedFigure& figure, double factor) {
  ComparedFigure scaled{figure.value * factor, figure.low, figure.high};
  if (scaled.low) *scaled.low *= factor;
  if (scaled.high) *scaled.high *= factor;
  return scaled;
}

// numerator ÷ figure: the ends change places.
ComparedFigure Inverse(const ComparedFigure& figure, double numerator) {
  ComparedFigure inverse{numerator / figure.value, {}, {}};
  if (figure.high) inverse.low = numerator / *figure.high;
  if (figure.low) inverse.high = numerator / *figure.low;
  return inverse;
}

// A row of a target, in the order of the results.
struct Job {
  const CompareTarget* target;
  int batch;
};

ComparedRow RowOf(const Job& job, const CompareWorkload& workload, const ModelConfig& config) {
  const CompareTarget& target = *job.target;
  return std::visit(
      Overloaded{[&](const MeasuredTarget& what) { return MeasuredRow(target, what, workload, job.batch); },
                 [&](const SimulatedTarget& what) { return SimulatedRow(target, what, workload, config, job.batch); },
                 [&](const EstimatedTarget& what) { return EstimatedRow(target, what, workload, config, job.batch); },
                 [&](const PublishedQuery&) { return ComparedRow{}; }},
      target.what);
}

}  // namespace

std::span<const CompareMetric> CompareMetrics() { return kMetrics; }

ComparedRow EmptyRow(const CompareTarget& target, const CompareWorkload& workload, Provenance provenance, int batch) {
  ComparedRow row;
  row.provenance = provenance;
  row.model = workload.model;
  row.recipe = target.recipe;
  row.batch = batch;
  row.prompt_tokens = workload.prompt_tokens;
  row.output_tokens = workload.output_tokens;
  return row;
}

std::string LabelOf(const CompareTarget& target, const CompareWorkload& workload, const std::string& made) {
  if (!target.label.empty()) return target.label;
  return target.recipe == workload.recipe ? made : fmt::format("{} {}", made, target.recipe);
}

void Complete(ComparedRow& row) {
  if (row.system && !row.device) row.device = Scaled(*row.system, 1.0 / row.devices);
  if (row.tpot && !row.user) row.user = Inverse(*row.tpot, 1);
  if (row.system && !row.user && row.batch > 0) row.user = Scaled(*row.system, 1.0 / row.batch);
  if (row.system && !row.latency && row.batch > 0) row.latency = Inverse(*row.system, row.batch);
  if (row.system && !row.energy && row.watts) row.energy = Scaled(*row.system, 1 / row.watts->value);
}

Result<ComparisonResult> RunComparison(const Comparison& comparison, int threads) {
  const Result<ModelConfig> shape = OpenShape(comparison.workload.model);
  if (!shape.ok()) {
    return Error{shape.error().code, fmt::format("{}:{}: key 'workload.model': {}", comparison.file,
                                                 comparison.workload.model_line, shape.error().message)};
  }
  const ModelConfig& config = *shape;
  std::vector<Job> alone, together;
  for (const CompareTarget& target : comparison.targets) {
    if (std::holds_alternative<PublishedQuery>(target.what)) continue;
    auto& jobs = std::holds_alternative<MeasuredTarget>(target.what) ? alone : together;
    for (const int batch : target.batches) jobs.push_back({&target, batch});
  }
  ComparisonResult result{.comparison = comparison, .rows = {}};
  for (const Job& job : alone) result.rows.push_back(RowOf(job, comparison.workload, config));
  const size_t measured = result.rows.size();
  result.rows.resize(measured + together.size());
  ForEach(together.size(), threads,
          [&](size_t i) { result.rows[measured + i] = RowOf(together[i], comparison.workload, config); });
  for (const CompareTarget& target : comparison.targets) {
    const auto* query = std::get_if<PublishedQuery>(&target.what);
    if (query == nullptr) continue;
    LODESTONE_ASSIGN_OR_RETURN(std::vector<ComparedRow> rows, PublishedRows(target, *query, comparison.workload));
    for (ComparedRow& row : rows) result.rows.push_back(std::move(row));
  }
  return result;
}

}  // namespace lodestone
