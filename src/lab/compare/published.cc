// Rows that others published.
#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <cmath>

#include "hardware/machine.h"
#include "lab/compare/targets.h"

namespace lodestone {
namespace {

bool Fits(const std::vector<std::string>& filter, const std::string& word) {
  return filter.empty() || std::find(filter.begin(), filter.end(), word) != filter.end();
}

bool Fits(const PublishedQuery& query, const CompareTarget& target, const CompareWorkload& workload,
          const PublishedRow& row) {
  const bool batch =
      query.any_batch || std::find(target.batches.begin(), target.batches.end(), row.batch) != target.batches.end();
  const auto tokens = [&](int64_t said, int64_t wanted) { return query.any_tokens || said == 0 || said == wanted; };
  return batch && tokens(row.prompt_tokens, workload.prompt_tokens) &&
         tokens(row.output_tokens, workload.output_tokens) && Fits(query.sources, row.source) &&
         Fits(query.machines, row.machine) && Fits(query.shapes, row.shape) && Fits(query.recipes, row.recipe) &&
         Fits(query.stacks, row.stack);
}

// What a figure that was not published as it stands here was made of.
void Derive(std::optional<ComparedFigure>& figure, double value, const char* how, ComparedRow& row) {
  if (figure || !std::isfinite(value) || value <= 0) return;
  figure = ComparedFigure{value, {}, {}};
  if (how == nullptr) return;
  row.note += row.note.empty() ? "" : "; ";
  row.note += how;
}

// Whether the metric says anything about inference that a comparison shows.
bool AddFigure(const PublishedRow& published, ComparedRow& row) {
  const double value = published.value;
  const double prompt = static_cast<double>(published.prompt_tokens);
  const double output = static_cast<double>(published.output_tokens), batch = published.batch;
  const auto set = [&](std::optional<ComparedFigure>& figure) {
    figure = ComparedFigure{value, {}, {}};
    return true;
  };
  if (published.metric == "output_throughput") return set(row.system);
  if (published.metric == "ttft") return set(row.ttft);
  if (published.metric == "tpot") return set(row.tpot);
  if (published.metric == "power") {
    row.power_basis = published.power_basis;
    return set(row.watts);
  }
  if (published.metric == "energy_metric") {
    if (row.power_basis.empty()) row.power_basis = published.power_basis;
    return set(row.energy);
  }
  if (published.metric == "space_metric") return set(row.space);
  if (published.metric == "total_throughput") {
    if (output <= 0) return false;
    Derive(row.system, value * output / (prompt + output), "generated tokens are their share of the published total",
           row);
    return true;
  }
  if (published.metric == "decode_throughput") {
    Derive(row.tpot, batch / value, nullptr, row);
    Derive(row.system, value, "of decoding alone, prompts not counted", row);
    return true;
  }
  if (published.metric == "latency") {
    if (output <= 0 || batch <= 0) return false;
    Derive(row.system, batch * output / value, "throughput is tokens over the published time of the batch", row);
    return true;
  }
  return false;
}

std::string PlatformOf(const PublishedRow& published) {
  if (CatalogMachines().ok()) {
    for (const Machine& machine : *CatalogMachines()) {
      if (machine.name == published.machine) return std::string(ToString(machine.platform));
    }
  }
  // The survey's rows name their platform first: "GPU, quantization".
  for (const Platform platform : {Platform::kCpu, Platform::kGpu, Platform::kFpga, Platform::kAsic, Platform::kPim}) {
    const std::string_view name = ToString(platform);
    const auto same = [](char a, char b) { return std::tolower(static_cast<unsigned char>(a)) == b; };
    if (published.note.size() >= name.size() &&
        std::equal(name.begin(), name.end(), published.note.begin(), [&](char b, char a) { return same(a, b); })) {
      return std::string(name);
    }
  }
  return published.machine.starts_with("northpole") ? "asic" : "";
}

ComparedRow RowOf(const PublishedRow& published) {
  ComparedRow row;
  row.provenance = Provenance::kPublished;
  row.label = published.device.empty() ? published.system : published.device;
  const std::string count = fmt::format(" {} ", published.devices);
  const bool counted = row.label.find(count) != std::string::npos;  // "NorthPole, 16 cards in one 2U server"
  if (published.devices > 1 && !counted) row.label += fmt::format(" × {}", published.devices);
  if (!published.stack.empty()) row.label += " " + published.stack;
  if (!published.method.empty()) row.label += " " + published.method;
  row.platform = PlatformOf(published);
  row.machine = published.machine;
  row.stack = published.stack;
  row.methods = published.method;
  row.model = published.shape.empty() ? published.model : published.shape;
  row.recipe = published.recipe;
  row.devices = std::max(1, published.devices);
  row.batch = published.batch;
  row.prompt_tokens = published.prompt_tokens;
  row.output_tokens = published.output_tokens;
  row.source = fmt::format("{}, {}", published.source, published.place);
  row.note = published.caution;
  return row;
}

}  // namespace

Result<std::vector<ComparedRow>> PublishedRows(const CompareTarget& target, const PublishedQuery& query,
                                               const CompareWorkload& workload) {
  LODESTONE_ASSIGN_OR_RETURN(const std::span<const PublishedRow> catalogue, CatalogPublishedRows());
  std::vector<ComparedRow> rows;
  const PublishedRow* first = nullptr;  // of the run whose figures are being gathered
  std::vector<std::string> metrics;     // that it has
  ComparedRow row;
  bool any = false;
  const auto finish = [&] {
    if (first == nullptr || !any) return;
    if (row.watts && row.system && !row.energy) Derive(row.energy, row.system->value / row.watts->value, nullptr, row);
    Complete(row);
    rows.push_back(std::move(row));
  };
  for (const PublishedRow& published : catalogue) {
    if (!Fits(query, target, workload, published)) continue;
    const bool again = std::find(metrics.begin(), metrics.end(), published.metric) != metrics.end();
    if (first == nullptr || again || !SameRun(*first, published)) {
      finish();
      first = &published;
      metrics.clear();
      row = RowOf(published);
      any = false;
    }
    metrics.push_back(published.metric);
    any |= AddFigure(published, row);
    if (rows.size() >= kMaxPublishedRuns) {
      return Invalid(
          fmt::format("{} published runs and more fit; name a source, a machine or a stack", kMaxPublishedRuns));
    }
  }
  finish();
  return rows;
}

}  // namespace lodestone
