#include "report/svg_ranges.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "report/svg_bars.h"

namespace lodestone {
namespace {

constexpr double kRow = 19, kMaxLabel = 250;

bool Drawable(double value, Scale scale) { return std::isfinite(value) && (scale == Scale::kLinear || value > 0); }

}  // namespace

Svg Render(const RangeRows& chart) {
  const Scale scale = chart.axis.scale;
  std::vector<const RangeRows::Row*> rows;
  double low = chart.axis.low.value_or(std::numeric_limits<double>::infinity());
  double high = chart.axis.high.value_or(-std::numeric_limits<double>::infinity());
  double label_width = 0, text_width = 0;
  for (const RangeRows::Row& row : chart.rows) {
    if (!Drawable(row.value, scale)) continue;
    if (rows.size() < kMaxDrawnRows) {
      for (const double value : {row.value, row.low.value_or(row.value), row.high.value_or(row.value)}) {
        if (!Drawable(value, scale)) continue;
        low = std::min(low, value);
        high = std::max(high, value);
      }
      label_width = std::max(label_width, SvgTextWidth(row.label));
      text_width = std::max(text_width, SvgTextWidth(row.text, 11));
    }
    rows.push_back(&row);
  }
  const size_t drawn = std::min(rows.size(), kMaxDrawnRows);
  const double left = std::min(label_width, kMaxLabel) + 12, width = chart.width - left - text_width - 20;
  const double top = LegendHeight(chart.legend, chart.width - 8) + 8, bottom = top + kRow * static_cast<double>(drawn);
  const AxisTicks axis = TicksFor(scale, low, high);
  const auto at = [&](double value) { return left + std::clamp(axis.At(value), 0.0, 1.0) * width; };

  SvgCanvas canvas(chart.width, bottom + 40 + (rows.size() > drawn ? 16 : 0), chart.title, chart.description);
  DrawLegend(canvas, chart.legend, 4, 0, chart.width - 8);
  for (const double tick : axis.minor) canvas.Line(at(tick), top, at(tick), bottom, "minor");
  for (const double tick : axis.labelled) {
    canvas.Line(at(tick), top, at(tick), bottom, "grid");
    canvas.Text(at(tick), bottom + 15, TickLabel(axis, tick), "soft small", Anchor::kMiddle);
  }
  canvas.Text(left + width, bottom + 32, chart.axis.label, "soft", Anchor::kEnd);
  for (size_t i = 0; i < drawn; ++i) {
    const RangeRows::Row& row = *rows[i];
    const double y = top + kRow * (static_cast<double>(i) + 0.5);
    const std::string colour = fmt::format("c{}", row.colour % kSvgColours);
    canvas.Text(left - 8, y + 4, FitText(row.label, kMaxLabel), "", Anchor::kEnd);
    if (row.low && row.high && Drawable(*row.low, scale) && Drawable(*row.high, scale)) {
      canvas.Line(at(*row.low), y, at(*row.high), y, "span " + colour);
    }
    canvas.Marker(row.shape, at(row.value), y, (row.hollow ? "ring " : "dot ") + colour, row.tip);
    canvas.Text(left + width + 8, y + 4, row.text, "soft small");
  }
  if (rows.size() > drawn) {
    canvas.Text(4, bottom + 48, fmt::format("The first {} of {} rows are drawn.", drawn, rows.size()), "soft small");
  }
  return std::move(canvas).Finish();
}

}  // namespace lodestone
