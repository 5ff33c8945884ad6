#include "report/published_run_rows.h"

#include <fmt/format.h>

#include <algorithm>

namespace lodestone {
namespace {

struct Mapping {
  std::string_view cell, metric, unit;
};

// Power last: it belongs to the row before it.
constexpr Mapping kMappings[] = {
    {"itl_s", "tpot", "s"},
    {"energy_metric_tokens_per_j", "energy_metric", "tokens/J"},
    {"space_metric_tokens_per_s_per_transistor", "space_metric", "tokens/s/transistor"},
    {"system_throughput_tokens_per_s", "output_throughput", "tokens/s"},
    {"power_w", "power", "W"},
};

void AppendCells(const PublishedRow& common, const std::vector<PublishedCell>& cells, std::vector<PublishedRow>& rows) {
  for (const Mapping& mapping : kMappings) {
    const PublishedCell* cell = Find(cells, mapping.cell);
    if (cell == nullptr) continue;
    PublishedRow row = common;
    row.metric = mapping.metric;
    row.unit = mapping.unit;
    row.value = cell->value;
    row.kind = cell->kind;
    row.note = cell->note;
    rows.push_back(std::move(row));
  }
}

// The power of all cards, where the document has that of one.
void AppendPower(const PublishedRow& common, const std::vector<PublishedCell>& cells, std::vector<PublishedRow>& rows) {
  const PublishedCell* card = Find(cells, "power_w_per_card");
  if (Find(cells, "power_w") || card == nullptr || common.devices == 0) return;
  PublishedRow row = common;
  row.metric = "power";
  row.unit = "W";
  row.value = card->value * common.devices;
  row.kind = card->kind;
  row.note = card->note;
  rows.push_back(std::move(row));
}

int CountOf(const std::vector<PublishedCell>& cells, std::string_view name, int otherwise) {
  const PublishedCell* cell = Find(cells, name);
  return cell ? static_cast<int>(std::min(cell->value, 1e9)) : otherwise;
}

}  // namespace

void AppendRows(const PublishedRun& run, std::vector<PublishedRow>& rows) {
  PublishedRow common;
  common.source = run.name;
  common.place = "results";
  common.system = run.title;
  common.machine = run.appliance;
  common.devices = CountOf(run.cells, "cards", 0);
  common.model = common.shape = run.model;
  common.recipe = run.recipe;
  common.batch = run.users;
  common.prompt_tokens = run.prompt_tokens;
  common.output_tokens = run.output_tokens;
  common.power_basis = "measured";
  common.file = "catalog/published/" + run.name + ".toml";
  AppendCells(common, run.cells, rows);

  for (const PublishedPoint& point : run.points) {
    PublishedRow row = common;
    row.place = point.name;
    row.system = point.system;
    row.machine = point.machine;
    row.stack = point.stack;
    row.recipe = point.recipe;
    row.devices = CountOf(point.cells, "cards", 0);
    row.batch = CountOf(point.cells, "users", 0);
    row.power_basis = "limit";
    AppendCells(row, point.cells, rows);
    AppendPower(row, point.cells, rows);
  }
}

}  // namespace lodestone
