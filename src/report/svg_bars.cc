#include "report/svg_bars.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "report/axis.h"

namespace lodestone {
namespace {

constexpr double kRow = 22, kBar = 14, kMaxLabel = 240;

double LabelWidth(const std::vector<std::string>& labels) {
  double width = 0;
  for (const std::string& label : labels) width = std::max(width, SvgTextWidth(label));
  return std::min(width, kMaxLabel) + 12;
}

// Vertical grid with the tick labels below it.
void DrawTimeAxis(SvgCanvas& canvas, const AxisTicks& axis, double left, double width, double top, double bottom,
                  const std::string& label) {
  for (const double tick : axis.labelled) {
    const double x = left + axis.At(tick) * width;
    canvas.Line(x, top, x, bottom, "grid");
    canvas.Text(x, bottom + 15, TickLabel(axis, tick), "soft small", Anchor::kMiddle);
  }
  canvas.Text(left + width, bottom + 32, label, "soft", Anchor::kEnd);
}

void NoteRowsLeftOut(SvgCanvas& canvas, size_t rows, double y) {
  if (rows > kMaxDrawnRows) {
    canvas.Text(4, y, fmt::format("The first {} of {} rows are drawn.", kMaxDrawnRows, rows), "soft small");
  }
}

double PositiveOrZero(double value) { return std::isfinite(value) && value > 0 ? value : 0; }

}  // namespace

Svg Render(const StackedBars& chart) {
  const size_t drawn = std::min(chart.bars.size(), kMaxDrawnRows);
  std::vector<LegendEntry> legend;
  for (size_t i = 0; i < chart.parts.size(); ++i) {
    legend.push_back({.name = chart.parts[i].name,
                      .colour = chart.parts[i].colour.value_or(static_cast<int>(i)),
                      .mark = LegendEntry::Mark::kArea});
  }
  double largest = chart.limit.value_or(0), total_width = 0;
  std::vector<std::string> labels;
  for (size_t i = 0; i < drawn; ++i) {
    double sum = 0;
    for (const double value : chart.bars[i].values) sum += PositiveOrZero(value);
    largest = std::max(largest, sum);
    labels.push_back(chart.bars[i].label);
    total_width = std::max(total_width, SvgTextWidth(chart.bars[i].total, 11));
  }
  const double left = LabelWidth(labels), width = chart.width - left - total_width - 20;
  const double legend_height = LegendHeight(legend, chart.width - 8);
  const double top = legend_height + (chart.limit ? 22 : 8), bottom = top + kRow * static_cast<double>(drawn);
  const AxisTicks axis = TicksFor(Scale::kLinear, 0, largest > 0 ? largest : 1);

  SvgCanvas canvas(chart.width, bottom + 40 + (chart.bars.size() > drawn ? 16 : 0), chart.title, chart.description);
  DrawLegend(canvas, legend, 4, 0, chart.width - 8);
  DrawTimeAxis(canvas, axis, left, width, top, bottom, chart.axis);
  for (size_t i = 0; i < drawn; ++i) {
    const StackedBars::Bar& bar = chart.bars[i];
    const double y = top + kRow * static_cast<double>(i) + (kRow - kBar) / 2;
    canvas.Text(left - 8, y + kBar - 3, FitText(bar.label, kMaxLabel), "", Anchor::kEnd);
    double sum = 0;
    for (size_t part = 0; part < std::min(bar.values.size(), chart.parts.size()); ++part) {
      const double value = PositiveOrZero(bar.values[part]);
      if (value == 0) continue;
      canvas.Rect(left + axis.At(sum) * width, y, value / (axis.high - axis.low) * width, kBar,
                  fmt::format("bar c{}", chart.parts[part].colour.value_or(static_cast<int>(part)) % kSvgColours),
                  part < bar.tips.size() ? bar.tips[part] : fmt::format("{}: {}", bar.label, chart.parts[part].name));
      sum += value;
    }
    const double end = std::max(sum, chart.limit.value_or(0));  // the line of the limit crosses no text
    canvas.Text(left + axis.At(end) * width + 6, y + kBar - 3, bar.total, "soft small");
  }
  if (chart.limit) {
    const double x = left + axis.At(*chart.limit) * width;
    canvas.Line(x, top - 4, x, bottom, "axis");
    canvas.Text(x, top - 8, chart.limit_name, "soft small", Anchor::kEnd);
  }
  NoteRowsLeftOut(canvas, chart.bars.size(), bottom + 48);
  return std::move(canvas).Finish();
}

Svg Render(const Tornado& tornado) {
  const size_t drawn = std::min(tornado.bars.size(), kMaxDrawnRows);
  double low = 0, high = 0;
  std::vector<std::string> labels;
  for (size_t i = 0; i < drawn; ++i) {
    const Tornado::Bar& bar = tornado.bars[i];
    for (const double effect : {bar.at_low, bar.at_high}) {
      if (!std::isfinite(effect)) continue;
      low = std::min(low, effect);
      high = std::max(high, effect);
    }
    labels.push_back(bar.label);
  }
  if (low == high) high = 1;
  const AxisTicks axis = TicksFor(Scale::kLinear, low, high);
  const LegendEntry legend[] = {{.name = "at the low end of its range", .colour = 5},
                                {.name = "at the high end of its range", .colour = 1}};
  const double left = LabelWidth(labels), width = tornado.width - left - 24;
  const double top = LegendHeight(legend, tornado.width - 8) + 8, bottom = top + kRow * static_cast<double>(drawn);

  SvgCanvas canvas(tornado.width, bottom + 40 + (tornado.bars.size() > drawn ? 16 : 0), tornado.title,
                   tornado.description);
  DrawLegend(canvas, legend, 4, 0, tornado.width - 8);
  DrawTimeAxis(canvas, axis, left, width, top, bottom, tornado.axis);
  const double zero = left + axis.At(0) * width;
  for (size_t i = 0; i < drawn; ++i) {
    const Tornado::Bar& bar = tornado.bars[i];
    const double y = top + kRow * static_cast<double>(i) + (kRow - kBar) / 2;
    canvas.Text(left - 8, y + kBar - 3, FitText(bar.label, kMaxLabel), "", Anchor::kEnd);
    const bool same_side = bar.at_low * bar.at_high > 0;  // two half bars, or one would hide the other
    const double height = same_side ? kBar / 2 : kBar;
    const auto draw = [&](double effect, double at_y, const char* css) {
      if (!std::isfinite(effect) || effect == 0) return;
      const double end = left + axis.At(effect) * width;
      canvas.Rect(std::min(zero, end), at_y, std::abs(end - zero), height, css, bar.tip);
    };
    draw(bar.at_low, y, "bar c5");
    draw(bar.at_high, same_side ? y + height : y, "bar c1");
  }
  canvas.Line(zero, top, zero, bottom, "axis");
  NoteRowsLeftOut(canvas, tornado.bars.size(), bottom + 48);
  return std::move(canvas).Finish();
}

}  // namespace lodestone
