// The points of a sweep as CSV, as JSON, and as a page with the Pareto plot.
#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "lab/sweep.h"
#include "report/csv.h"
#include "report/html.h"
#include "report/svg_plot.h"

namespace lodestone {
namespace {

struct Column {
  const char* name;
  std::optional<double> (*value)(const SweepPoint& point);
};
constexpr Column kColumns[] = {
    {"cards_used", [](const SweepPoint& p) { return std::optional<double>(p.cards_used); }},
    {"instances", [](const SweepPoint& p) { return std::optional<double>(p.instances); }},
    {"tokens_per_s", [](const SweepPoint& p) { return std::optional(p.tokens_per_s()); }},
    {"tokens_per_s_per_card", [](const SweepPoint& p) { return std::optional(p.tokens_per_s_per_card()); }},
    {"tokens_per_s_per_user", [](const SweepPoint& p) { return p.tokens_per_s_per_user(); }},
    {"latency_s_per_token", [](const SweepPoint& p) { return std::optional(p.run.users / p.tokens_per_s()); }},
    {"ttft_s", [](const SweepPoint& p) { return p.run.ttft_s; }},
    {"itl_s", [](const SweepPoint& p) { return p.run.itl_s; }},
    {"prompt_time_s", [](const SweepPoint& p) { return std::optional(p.run.prompt_time_s); }},
    {"token_gen_time_s", [](const SweepPoint& p) { return std::optional(p.run.token_gen_time_s); }},
    {"watts_per_card", [](const SweepPoint& p) { return p.run.power_w_per_card; }},
    {"joules_per_output_token", [](const SweepPoint& p) { return std::optional(p.joules_per_token); }},
    {"busiest_stage_occupancy", [](const SweepPoint& p) { return std::optional(p.bottleneck.occupancy); }}};

std::string Plain(const Json& value) { return value.as_string() != nullptr ? *value.as_string() : value.Dump(-1); }

// "users 28, context 2048".
std::string Words(const Sweep& sweep, const SweepPoint& point) {
  std::vector<std::string> words;
  for (size_t i = 0; i < sweep.axes.size(); ++i) {
    words.push_back(fmt::format("{} {}", sweep.axes[i].name, Plain(point.values[i])));
  }
  return fmt::format("{}", fmt::join(words, ", "));
}

constexpr size_t kMaxSeries = 8;

// A line for every value of the axis with the fewest (but at least two), so that a line is one curve of a figure; the
// front on top. With more than kMaxSeries, one cloud.
std::vector<PlotSeries> SeriesOf(const SweepResult& result) {
  const std::vector<SweepSetting>& axes = result.sweep.axes;
  std::optional<size_t> split;
  for (size_t i = 0; i < axes.size() && axes.size() > 1; ++i) {
    const size_t count = axes[i].values.size();
    if (count >= 2 && count <= kMaxSeries && (!split || count < axes[*split].values.size())) split = i;
  }
  std::map<std::string, size_t> index;
  std::vector<PlotSeries> series;
  for (const SweepPoint& point : result.points) {
    if (!point.ok() || !point.tokens_per_s_per_user()) continue;
    const std::string name =
        split ? fmt::format("{} {}", axes[*split].name, Plain(point.values[*split])) : std::string("points");
    const auto [found, added] = index.emplace(name, series.size());
    if (added) series.push_back({.name = name, .points = {}});
    series[found->second].points.push_back(
        {.x = *point.tokens_per_s_per_user(), .y = point.tokens_per_s_per_card(), .tip = Words(result.sweep, point)});
  }
  PlotSeries front{.name = "not beaten by another", .points = {}, .line = true, .markers = false};
  for (const size_t i : ParetoFront(result.points)) {
    front.points.push_back(
        {.x = *result.points[i].tokens_per_s_per_user(), .y = result.points[i].tokens_per_s_per_card()});
  }
  series.push_back(std::move(front));
  return series;
}

HtmlTable FrontTable(const SweepResult& result) {
  HtmlTable table{.caption = "Points that no other beats in both rates at once", .columns = {}, .rows = {}};
  table.columns.push_back({.heading = "point", .number = false});
  const auto figure = [&](const char* heading, const char* unit) {
    table.columns.push_back({.heading = heading, .unit = unit, .provenance = Provenance::kSimulated});
  };
  figure("per card", "tokens/s");
  figure("per user", "tokens/s");
  figure("latency", "ms/token");
  figure("power", "W/card");
  table.columns.push_back({.heading = "bound", .number = false});
  constexpr size_t kMaxRows = 100;
  for (const size_t i : ParetoFront(result.points)) {
    if (table.rows.size() == kMaxRows) break;
    const SweepPoint& p = result.points[i];
    table.rows.push_back({Words(result.sweep, p), FormatNumber(p.tokens_per_s_per_card()),
                          FormatNumber(*p.tokens_per_s_per_user()), FormatNumber(1e3 * p.run.users / p.tokens_per_s()),
                          p.run.power_w_per_card ? FormatNumber(*p.run.power_w_per_card) : std::string("–"),
                          fmt::format("{} ({})", p.bottleneck.bound(), p.bottleneck_stage)});
  }
  return table;
}

// How many points were refused; the first stands for the others.
std::string RefusedText(const SweepResult& result) {
  const SweepPoint* first = nullptr;
  size_t refused = 0;
  for (const SweepPoint& point : result.points) {
    if (point.ok()) continue;
    if (refused++ == 0) first = &point;
  }
  if (first == nullptr) return "Every combination runs.";
  return fmt::format("{} of {} combinations do not run. The first, {}: {}", refused, result.points.size(),
                     Words(result.sweep, *first), first->reason);
}

}  // namespace

std::string SweepCsv(const SweepResult& result) {
  std::string text;
  for (const SweepSetting& axis : result.sweep.axes) text += CsvField(axis.name) + ',';
  text += "status,provenance";
  for (const Column& column : kColumns) text += fmt::format(",{}", column.name);
  text += ",busiest_stage,bound,reason\n";
  for (const SweepPoint& point : result.points) {
    for (const Json& value : point.values) text += CsvField(Plain(value)) + ',';
    text += point.ok() ? "ok,simulated" : "refused,";
    for (const Column& column : kColumns) {
      const std::optional<double> value = point.ok() ? column.value(point) : std::nullopt;
      text += value ? fmt::format(",{}", *value) : ",";
    }
    text += fmt::format(",{},{},{}\n", point.ok() ? CsvField(point.bottleneck_stage) : "",
                        point.ok() ? point.bottleneck.bound() : "", CsvField(point.reason));
  }
  return text;
}

Json ToJson(const SweepResult& result) {
  const Sweep& sweep = result.sweep;
  Json json;
  json.Set("name", sweep.name).Set("description", sweep.description).Set("model", sweep.model);
  json.Set("appliance", sweep.appliance).Set("provenance", ToString(Provenance::kSimulated));
  Json workload{Json::Object{}};
  for (const SweepSetting& setting : sweep.workload) workload.Set(setting.name, setting.values.front());
  json.Set("workload", std::move(workload));
  Json::Array points;
  for (const SweepPoint& point : result.points) {
    Json axes, entry;
    for (size_t i = 0; i < sweep.axes.size(); ++i) axes.Set(sweep.axes[i].name, point.values[i]);
    entry.Set("axes", std::move(axes)).Set("status", point.ok() ? "ok" : "refused");
    for (const Column& column : kColumns) {
      const std::optional<double> value = point.ok() ? column.value(point) : std::nullopt;
      entry.Set(column.name, value ? Json(*value) : Json(nullptr));
    }
    entry.Set("busiest_stage", point.ok() ? Json(point.bottleneck_stage) : Json(nullptr));
    entry.Set("bound", point.ok() ? Json(point.bottleneck.bound()) : Json(nullptr));
    entry.Set("reason", point.ok() ? Json(nullptr) : Json(point.reason));
    points.push_back(std::move(entry));
  }
  json.Set("points", std::move(points));
  return json;
}

std::string SweepPage(const SweepResult& result) {
  const Sweep& sweep = result.sweep;
  HtmlPage page(sweep.name,
                fmt::format("{}{}{} points: {} on {}, one instance each, simulated.", sweep.description,
                            sweep.description.empty() ? "" : " ", result.points.size(), sweep.model, sweep.appliance));
  page.Section("Throughput against responsiveness");
  XyPlot plot{.title = "Tokens/s/card over tokens/s/user",
              .description = "Each dot is one combination; up is more work from a card, right is a faster answer.",
              .x = {.label = "Tokens/s/user (1 / gap between tokens)"},
              .y = {.label = "Tokens/s/card"},
              .series = SeriesOf(result)};
  page.Figure(Render(plot), "Up is more work from a card, right is a faster answer; nothing lies above the line.",
              Provenance::kSimulated);
  page.Paragraph(RefusedText(result));
  page.Table(FrontTable(result));
  page.Note(
      "Bound: what limits the busiest stage while it decodes; 'chain' where even that stage waits: for micro-batches, "
      "too few to fill the chain, or for links and host.");
  return std::move(page).Finish();
}

}  // namespace lodestone
