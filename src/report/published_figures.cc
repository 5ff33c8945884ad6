#include "report/published_figures.h"

#include <fmt/format.h>

#include <optional>
#include <string_view>

#include "base/units.h"
#include "report/svg_plot.h"

namespace lodestone {
namespace {

constexpr std::string_view kLatency = "latency_s_per_token";

struct FigureSpec {
  std::string_view measure;
  double scale;
  const char* axis;
  const char* title;
  const char* caption;
  std::string_view only_system;  // of the GPUs; empty: all
};

constexpr FigureSpec kFigures[] = {
    {"energy_metric_tokens_per_j", 1, "Energy metric, tokens/J", "Energy metric against latency",
     "Figures 1 and 2(a) of the paper: energy metric against latency. Up and to the left is better.", ""},
    {"space_metric_tokens_per_s_per_transistor", 1e9, "Space metric, tokens/s per 10⁹ transistors",
     "Space metric against latency",
     "Figure 2(c) of the paper: space metric against latency. Up and to the left is better.", ""},
    {"throughput_tokens_per_s_per_card", 1, "Throughput a card, tokens/s", "Throughput a card against latency",
     "Figure 2(e) of the paper: throughput a card against latency, NorthPole and L4.", "L4"},
};

const Measure* Find(const std::vector<Measure>& measures, std::string_view name) {
  for (const Measure& measure : measures) {
    if (measure.name == name && measure.value) return &measure;
  }
  return nullptr;
}

// The first and the last point carry their number of users, and those of a quarter and a half of the published run.
std::string UsersLabel(std::span<const SimulatedPoint> points, size_t index, int published) {
  const int users = points[index].users;
  if (index == 0) return fmt::format("{} {}", users, users == 1 ? "user" : "users");
  const bool last = index + 1 == points.size();
  return last || users * 4 == published || users * 2 == published ? fmt::format("{}", users) : "";
}

PlotSeries SimulatedSeries(std::span<const SimulatedPoint> points, const FigureSpec& figure, int published_users) {
  PlotSeries series{.name = "NorthPole, simulated", .points = {}, .line = true, .colour = 0, .shape = kSmallDot};
  for (size_t i = 0; i < points.size(); ++i) {
    const Measure *x = Find(points[i].measures, kLatency), *y = Find(points[i].measures, figure.measure);
    if (!x || !y) continue;
    PlotPoint point{.x = *x->value * 1e3, .y = *y->value * figure.scale};
    if (y->low && y->high) {
      point.y_low = *y->low * figure.scale;
      point.y_high = *y->high * figure.scale;
    }
    point.label = UsersLabel(points, i, published_users);
    point.tip = fmt::format("{} {}: {} ms a token, {}", points[i].users, points[i].users == 1 ? "user" : "users",
                            FormatNumber(point.x), FormatNumber(point.y));
    series.points.push_back(std::move(point));
  }
  return series;
}

std::optional<PlotPoint> PointOf(const std::vector<PublishedCell>& cells, const FigureSpec& figure, std::string label) {
  const PublishedCell *x = lodestone::Find(cells, kLatency), *y = lodestone::Find(cells, figure.measure);
  if (!x || !y) return std::nullopt;
  PlotPoint point{.x = x->value * 1e3, .y = y->value * figure.scale, .label = label};
  point.tip = fmt::format("{}: {} ms a token, {}", label, FormatNumber(point.x), FormatNumber(point.y));
  return point;
}

}  // namespace

std::vector<RedrawnFigure> RedrawFigures(const PublishedRun& run, std::span<const SimulatedPoint> simulated) {
  std::vector<RedrawnFigure> figures;
  if (run.points.empty()) return figures;
  for (const FigureSpec& figure : kFigures) {
    XyPlot plot{.title = figure.title,
                .description =
                    "Published points of NorthPole and of GPUs with simulated NorthPole points, both axes "
                    "logarithmic.",
                .x = {.label = "Latency, ms a token", .scale = Scale::kLog},
                .y = {.label = figure.axis, .scale = Scale::kLog}};
    if (!simulated.empty()) plot.series.push_back(SimulatedSeries(simulated, figure, run.users));
    if (const auto point = PointOf(run.cells, figure, "NorthPole")) {
      plot.series.push_back({.name = "NorthPole, published", .points = {*point}, .colour = 1, .shape = 1});
    }
    constexpr int kColours[] = {2, 4, 7, 3, 5, 6};
    size_t series = 0;
    for (const PublishedPoint& gpu : run.points) {
      if (!figure.only_system.empty() && gpu.system != figure.only_system) continue;
      const auto point = PointOf(gpu.cells, figure, gpu.name);
      if (!point) continue;
      plot.series.push_back({.name = fmt::format("{} {}, published", gpu.name, SystemOf(gpu)),
                             .points = {*point},
                             .colour = kColours[series % std::size(kColours)],
                             .shape = static_cast<int>(series + 2)});
      ++series;
    }
    figures.push_back({.svg = Render(plot), .caption = figure.caption});
  }
  return figures;
}

}  // namespace lodestone
