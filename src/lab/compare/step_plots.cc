// Drawings of what happens inside the targets that explain themselves: memory, operators, rooflines.
#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "base/units.h"
#include "lab/compare/plots.h"
#include "report/svg_bars.h"
#include "report/svg_plot.h"

namespace lodestone {
namespace {

constexpr size_t kMaxParts = 8;  // of a step that have a colour of their own
constexpr int kRestColour = 8;

double SecondsOf(const std::vector<StepPart>& parts) {
  double seconds = 0;
  for (const StepPart& part : parts) seconds += part.seconds;
  return seconds;
}

// Operators that take most of the steps of all rows, by the sum of their shares, largest first.
std::vector<std::string> LargestParts(const std::vector<const ComparedRow*>& rows,
                                      std::vector<StepPart> ComparedRow::*step) {
  std::map<std::string, double> shares;
  for (const ComparedRow* row : rows) {
    const double whole = SecondsOf(row->*step);
    for (const StepPart& part : row->*step) shares[part.name] += part.seconds / whole;
  }
  std::vector<std::string> names;
  for (const auto& [name, share] : shares) names.push_back(name);
  std::stable_sort(names.begin(), names.end(),
                   [&](const std::string& a, const std::string& b) { return shares[a] > shares[b]; });
  if (names.size() > kMaxParts) names.resize(kMaxParts);
  return names;
}

std::string PartTip(const ComparedRow& row, const std::string& name, double seconds, double whole,
                    const std::string& bound) {
  return fmt::format("{}\n{}\n{}: {}, {:.1f} % of the step{}\nSource: {}", row.label, KindOf(row), name,
                     FormatSeconds(seconds), seconds / whole * 100, bound.empty() ? "" : ", bound by " + bound,
                     row.source);
}

// Operators as points below the roof of their device; those of one shape are one point with all their names.
Roofline::Dots DotsOf(const ComparedRow& row, const char* name, const std::vector<StepPart>& parts) {
  Roofline::Dots dots{.name = name, .points = {}};
  for (const StepPart& part : parts) {
    if (part.operations <= 0 || part.bytes <= 0 || part.seconds <= 0) continue;
    const double rate = part.operations / part.seconds, intensity = part.operations / part.bytes;
    const auto same = std::find_if(dots.points.begin(), dots.points.end(), [&](const PlotPoint& point) {
      return std::abs(point.x / intensity - 1) < 0.01 && std::abs(point.y / rate - 1) < 0.01;
    });
    if (same != dots.points.end()) {
      same->label += ", " + part.name;
      continue;
    }
    dots.points.push_back({.x = intensity,
                           .y = rate,
                           .label = part.name,
                           .tip = fmt::format("{}: {} ({})\n{}\n{} T operations/s, {} a byte, bound by {}\nSource: {}",
                                              row.label, part.name, name, KindOf(row), FormatNumber(rate / 1e12),
                                              FormatNumber(intensity), part.bound, row.source)});
  }
  return dots;
}

// A whole step as one point, over the ridge of its device.
std::optional<PlotPoint> CommonPoint(const ComparedRow& row, const char* name, const std::vector<StepPart>& parts) {
  double operations = 0, bytes = 0;
  for (const StepPart& part : parts) {
    operations += part.operations;
    bytes += part.bytes;
  }
  const double seconds = SecondsOf(parts);
  if (operations <= 0 || bytes <= 0 || seconds <= 0) return {};
  const double ridge = row.roof->ops_per_s / row.roof->bytes_per_s;
  const double share = operations / seconds / row.roof->ops_per_s;
  return PlotPoint{
      .x = operations / bytes / ridge,
      .y = share,
      .tip = fmt::format("{}, {}, batch {}\n{}\n{} % of {} operations/s, {} operations a byte, {}\nSource: {}",
                         row.label, name, row.batch, KindOf(row), FormatNumber(share * 100), row.roof->matrix,
                         FormatNumber(operations / bytes), FormatSeconds(seconds), row.source)};
}

}  // namespace

std::optional<Svg> MemoryOfDevices(const ComparisonResult& result, int batch) {
  StackedBars chart{.title = fmt::format("Memory of the fullest device, batch {}", batch),
                    .description = "Weights, KV and buffers as shares of the device's capacity.",
                    .axis = "% of the capacity",
                    .parts = {{"weights", 0}, {"KV", 4}, {"buffers", 3}},
                    .bars = {},
                    .limit = 100,
                    .limit_name = "capacity"};
  for (const ComparedRow& row : result.rows) {
    if (!row.ok() || !row.memory || row.memory->capacity <= 0 || row.batch != batch) continue;
    const ComparedMemory& memory = *row.memory;
    StackedBars::Bar bar{.label = row.label,
                         .values = {},
                         .total = fmt::format("{} of {}", FormatBytes(memory.weights + memory.kv + memory.buffers),
                                              FormatBytes(memory.capacity))};
    for (const auto& [bytes, name] :
         {std::pair(memory.weights, "weights"), std::pair(memory.kv, "KV"), std::pair(memory.buffers, "buffers")}) {
      const double share = static_cast<double>(bytes) / static_cast<double>(memory.capacity) * 100;
      bar.values.push_back(share);
      bar.tips.push_back(fmt::format("{}\n{}\n{}: {}, {} % of the capacity\nSource: {}", row.label, KindOf(row), name,
                                     FormatBytes(bytes), FormatNumber(share), row.source));
    }
    chart.bars.push_back(std::move(bar));
  }
  if (chart.bars.empty()) return {};
  return Render(chart);
}

std::optional<Svg> TimeOfOperators(const ComparisonResult& result, int batch, bool decode) {
  const auto step = decode ? &ComparedRow::decode : &ComparedRow::prefill;
  std::vector<const ComparedRow*> rows;
  for (const ComparedRow& row : result.rows) {
    if (row.ok() && row.batch == batch && SecondsOf(row.*step) > 0) rows.push_back(&row);
  }
  if (rows.empty()) return {};
  const std::vector<std::string> names = LargestParts(rows, step);
  StackedBars chart{
      .title = fmt::format("{}, batch {}", decode ? "One step of decoding" : "One step of prompts", batch),
      .description = "Shares of the time of one step by operator.",
      .axis = "% of the step",
      .parts = {},
      .bars = {}};
  for (const std::string& name : names) chart.parts.push_back({name});
  chart.parts.push_back({"others", kRestColour});
  for (const ComparedRow* row : rows) {
    const double whole = SecondsOf(row->*step);
    std::vector<double> seconds(chart.parts.size());
    std::vector<std::string> bounds(chart.parts.size());
    for (const StepPart& part : row->*step) {
      const auto index = static_cast<size_t>(std::find(names.begin(), names.end(), part.name) - names.begin());
      seconds[index] += part.seconds;
      if (index < names.size()) bounds[index] = part.bound;
    }
    StackedBars::Bar bar{.label = row->label, .values = {}, .total = FormatSeconds(whole)};
    for (size_t i = 0; i < seconds.size(); ++i) {
      bar.values.push_back(seconds[i] / whole * 100);
      bar.tips.push_back(PartTip(*row, chart.parts[i].name, seconds[i], whole, bounds[i]));
    }
    chart.bars.push_back(std::move(bar));
  }
  return Render(chart);
}

std::optional<Svg> CommonRoofline(const ComparisonResult& result) {
  PlotSeries decode{.name = "decoding", .points = {}, .colour = 0, .shape = 2, .hollow = true};
  PlotSeries prefill{.name = "prompts", .points = {}, .colour = 1, .shape = 1, .hollow = true};
  for (const ComparedRow& row : result.rows) {
    if (!row.ok() || !row.roof) continue;
    if (const auto point = CommonPoint(row, "decoding", row.decode)) decode.points.push_back(*point);
    if (const auto point = CommonPoint(row, "prompts", row.prefill)) prefill.points.push_back(*point);
  }
  if (decode.points.size() + prefill.points.size() < 2) return {};
  double low = 1, high = 1;
  for (const PlotSeries* series : {&decode, &prefill}) {
    for (const PlotPoint& point : series->points) {
      low = std::min({low, point.x / 2, point.y / 2});
      high = std::max(high, point.x * 2);
    }
  }
  PlotSeries roof{.name = "roof of every device",
                  .points = {{.x = low, .y = low}, {.x = 1, .y = 1}, {.x = high, .y = 1}},
                  .line = true,
                  .markers = false,
                  .colour = 8};
  return Render(XyPlot{.title = "All devices below one roof",
                       .description = "Rates over the peak of the device, against operations a byte over its ridge "
                                      "point: left of 1 memory bounds, right of it the matrix units.",
                       .x = {.label = "Operations a byte ÷ ridge point of the device", .scale = Scale::kLog},
                       .y = {.label = "Share of the peak", .scale = Scale::kLog},
                       .series = {std::move(roof), std::move(decode), std::move(prefill)}});
}

std::optional<Svg> RooflineOf(const ComparedRow& row) {
  if (!row.ok() || !row.roof || row.decode.empty()) return {};
  Roofline roofline{.title = fmt::format("Roofline of {}", row.label),
                    .description = "Operators as marks below the rate of the main memory and of the matrix units.",
                    .memory_name = row.roof->memory,
                    .x_label = "Operations a byte",
                    .memory_bytes_per_s = row.roof->bytes_per_s,
                    .ceilings = {{row.roof->matrix, row.roof->ops_per_s}},
                    .dots = {DotsOf(row, "decoding", row.decode), DotsOf(row, "prompts", row.prefill)}};
  return Render(roofline);
}

}  // namespace lodestone
