#include "lab/compare/plots.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "base/units.h"
#include "report/svg_plot.h"
#include "report/svg_ranges.h"

namespace lodestone {
namespace {

struct PlatformStyle {
  std::string_view name, label;
  int colour;
};
constexpr PlatformStyle kPlatforms[] = {{"cpu", "CPU", 2},   {"gpu", "GPU", 0}, {"fpga", "FPGA", 4},
                                        {"asic", "ASIC", 1}, {"pim", "PIM", 7}, {"", "platform not said", 8}};

int ColourOf(const ComparedRow& row) {
  for (const PlatformStyle& style : kPlatforms) {
    if (style.name == row.platform) return style.colour;
  }
  return 8;
}

// Circle, square, diamond, triangle.
int ShapeOf(Provenance provenance) { return std::min(static_cast<int>(provenance), 3); }

bool Hollow(Provenance provenance) {
  return provenance == Provenance::kSimulated || provenance == Provenance::kEstimated;
}

LegendEntry EntryOf(Provenance provenance) {
  return {.name = std::string(ToString(provenance)),
          .colour = 8,
          .mark = Hollow(provenance) ? LegendEntry::Mark::kHollow : LegendEntry::Mark::kMarker,
          .shape = ShapeOf(provenance)};
}

// The shapes and the colours that occur.
std::vector<LegendEntry> LegendOf(const std::vector<const ComparedRow*>& rows) {
  std::set<Provenance> provenances;
  std::set<int> colours;
  for (const ComparedRow* row : rows) {
    provenances.insert(row->provenance);
    colours.insert(ColourOf(*row));
  }
  std::vector<LegendEntry> legend;
  for (const Provenance provenance : provenances) legend.push_back(EntryOf(provenance));
  for (const PlatformStyle& style : kPlatforms) {
    if (colours.count(style.colour) > 0) legend.push_back({.name = std::string(style.label), .colour = style.colour});
  }
  return legend;
}

std::vector<const ComparedRow*> RowsWith(const ComparisonResult& result, std::optional<ComparedFigure> ComparedRow::*x,
                                         std::optional<ComparedFigure> ComparedRow::*y, std::optional<int> batch) {
  std::vector<const ComparedRow*> rows;
  for (const ComparedRow& row : result.rows) {
    if (row.ok() && row.*x && row.*y && (!batch || row.batch == *batch)) rows.push_back(&row);
  }
  return rows;
}

// A series for each provenance and platform; with lines, one for each target, its batches in order. Published ones come
// first, so that their marks do not cover what is compared with them.
std::vector<PlotSeries> SeriesOf(const std::vector<const ComparedRow*>& rows,
                                 std::optional<ComparedFigure> ComparedRow::*x, double x_scale,
                                 std::optional<ComparedFigure> ComparedRow::*y, bool lines) {
  std::map<std::pair<Provenance, std::string>, PlotSeries> series;
  for (const ComparedRow* row : rows) {
    PlotSeries& one = series[{row->provenance, lines ? row->label : row->platform}];
    one.colour = ColourOf(*row);
    one.shape = ShapeOf(row->provenance);
    one.hollow = Hollow(row->provenance);
    one.line = lines;
    const bool first = one.points.empty();  // a label a line
    one.points.push_back({.x = (row->*x)->value * x_scale,
                          .y = (row->*y)->value,
                          .label = !lines || first ? row->label : "",
                          .tip = TipOf(*row)});
  }
  std::vector<PlotSeries> ordered;
  for (auto one = series.rbegin(); one != series.rend(); ++one) ordered.push_back(std::move(one->second));
  return ordered;
}

// Targets are drawn as lines over their batches where there are enough of these to make one.
bool Lines(const std::vector<const ComparedRow*>& rows) {
  std::map<std::string, std::set<int>> batches;
  for (const ComparedRow* row : rows) batches[row->label].insert(row->batch);
  size_t long_lines = 0;
  for (const auto& [label, sizes] : batches) long_lines += sizes.size() >= 3;
  return long_lines > 0 && batches.size() <= 24;
}

std::string ShowFigure(const ComparedFigure& figure, double scale, std::string_view unit) {
  std::string text = fmt::format("{} {}", FormatNumber(figure.value * scale), unit);
  if (figure.low && figure.high) {
    text += fmt::format(" ({} – {})", FormatNumber(*figure.low * scale), FormatNumber(*figure.high * scale));
  }
  return text;
}

bool OwnWorkload(const ComparisonResult& result, const ComparedRow& row) {
  return row.provenance != Provenance::kPublished || row.model == result.comparison.workload.model;
}

// Points that no other beats in both figures.
PlotSeries FrontOf(std::vector<const ComparedRow*> rows) {
  std::sort(rows.begin(), rows.end(), [](const ComparedRow* a, const ComparedRow* b) {
    return std::pair(-a->user->value, -a->device->value) < std::pair(-b->user->value, -b->device->value);
  });
  PlotSeries front{.name = "", .points = {}, .line = true, .markers = false, .colour = 8};
  double best = 0;
  for (const ComparedRow* row : rows) {
    if (row->device->value <= best) continue;
    best = row->device->value;
    front.points.push_back({.x = row->user->value, .y = best});
  }
  return front;
}

}  // namespace

std::string KindOf(const ComparedRow& row) {
  std::string text(ToString(row.provenance));
  if (row.level == "ideal") text += " (ideal)";
  if (!row.platform.empty()) text += ", " + row.platform;
  return text;
}

std::string TipOf(const ComparedRow& row) {
  std::string text = row.label + "\n" + KindOf(row);
  for (const std::string& word : {row.model, row.recipe}) text += word.empty() ? "" : ", " + word;
  if (row.batch > 0) text += fmt::format(", batch {}", row.batch);
  if (row.prompt_tokens > 0 && row.output_tokens > 0) {
    text += fmt::format(", {} + {} tokens", row.prompt_tokens, row.output_tokens);
  }
  std::string figures;
  for (const CompareMetric& metric : CompareMetrics()) {
    const std::optional<ComparedFigure>& figure = row.*metric.figure;
    const bool shown = metric.figure == &ComparedRow::system || metric.figure == &ComparedRow::tpot ||
                       metric.figure == &ComparedRow::watts || metric.figure == &ComparedRow::energy;
    if (!figure || !shown) continue;
    figures += (figures.empty() ? "\n" : " · ") + ShowFigure(*figure, metric.scale, metric.unit);
    if (metric.figure == &ComparedRow::tpot) figures += " TPOT";
    if (metric.figure == &ComparedRow::watts && !row.power_basis.empty()) figures += " " + row.power_basis;
  }
  text += figures;
  if (!row.source.empty()) text += "\nSource: " + row.source;
  if (!row.note.empty()) text += "\nNote: " + row.note;
  return text;
}

std::optional<Svg> TokensOverWatts(const ComparisonResult& result, int batch) {
  const auto rows = RowsWith(result, &ComparedRow::watts, &ComparedRow::system, batch);
  if (rows.size() < 2) return {};
  XyPlot plot{.title = fmt::format("Tokens/s over watts, batch {}", batch),
              .description =
                  "Each mark is a target; dotted lines join points of equal tokens per joule. Up and to the "
                  "left is better.",
              .x = {.label = "Power of all devices, W", .scale = Scale::kLog},
              .y = {.label = "Tokens/s", .scale = Scale::kLog},
              .series = SeriesOf(rows, &ComparedRow::watts, 1, &ComparedRow::system, false),
              .legend = LegendOf(rows),
              .height = 460};
  for (int exponent = -4; exponent <= 4; ++exponent) {
    const double ratio = std::pow(10.0, exponent);
    plot.ratios.push_back({ratio, fmt::format("{:g} tokens/J", ratio)});
  }
  return Render(plot);
}

std::optional<Svg> EnergyOverLatency(const ComparisonResult& result) {
  const auto rows = RowsWith(result, &ComparedRow::latency, &ComparedRow::energy, {});
  if (rows.size() < 2) return {};
  return Render(XyPlot{.title = "Energy metric over latency",
                       .description = "Tokens per joule against seconds a token. Up and to the left is better.",
                       .x = {.label = "Latency, ms/token", .scale = Scale::kLog},
                       .y = {.label = "Energy metric, tokens/J", .scale = Scale::kLog},
                       .series = SeriesOf(rows, &ComparedRow::latency, 1e3, &ComparedRow::energy, Lines(rows)),
                       .legend = LegendOf(rows),
                       .height = 460});
}

std::optional<Svg> DeviceOverUser(const ComparisonResult& result) {
  std::vector<const ComparedRow*> rows = RowsWith(result, &ComparedRow::user, &ComparedRow::device, {});
  std::erase_if(rows, [&](const ComparedRow* row) { return !OwnWorkload(result, *row); });
  if (rows.size() < 2) return {};
  XyPlot plot{
      .title = "Tokens/s/device over tokens/s/user",
      .description = "Up is more work from a device, right is a faster answer; nothing lies beyond the grey line.",
      .x = {.label = "Tokens/s/user", .scale = Scale::kLog},
      .y = {.label = "Tokens/s/device", .scale = Scale::kLog},
      .series = {FrontOf(rows)},
      .legend = LegendOf(rows),
      .height = 460};
  plot.legend->push_back({.name = "not beaten in both", .colour = 8, .mark = LegendEntry::Mark::kLine});
  for (PlotSeries& series : SeriesOf(rows, &ComparedRow::user, 1, &ComparedRow::device, Lines(rows))) {
    plot.series.push_back(std::move(series));
  }
  return Render(plot);
}

std::optional<Svg> ThroughputRanges(const ComparisonResult& result, int batch) {
  std::vector<const ComparedRow*> rows;
  for (const ComparedRow& row : result.rows) {
    if (row.ok() && row.system && row.batch == batch && OwnWorkload(result, row)) rows.push_back(&row);
  }
  if (rows.size() < 2) return {};
  std::stable_sort(rows.begin(), rows.end(),
                   [](const ComparedRow* a, const ComparedRow* b) { return a->system->value > b->system->value; });
  if (rows.size() > kMaxRangeRows) rows.resize(kMaxRangeRows);
  RangeRows chart{.title = fmt::format("Tokens/s of all devices, batch {}", batch),
                  .description = "Each row is a target, fastest first; the bar is from low to high.",
                  .axis = {.label = "Tokens/s", .scale = Scale::kLog},
                  .rows = {},
                  .legend = LegendOf(rows)};
  for (const ComparedRow* row : rows) {
    chart.rows.push_back({.label = row->label,
                          .value = row->system->value,
                          .low = row->system->low,
                          .high = row->system->high,
                          .text = FormatNumber(row->system->value),
                          .colour = ColourOf(*row),
                          .shape = ShapeOf(row->provenance),
                          .hollow = Hollow(row->provenance),
                          .tip = TipOf(*row)});
  }
  return Render(chart);
}

}  // namespace lodestone
