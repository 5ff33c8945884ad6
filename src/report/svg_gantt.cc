#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "report/axis.h"
#include "report/svg_bars.h"

namespace lodestone {
namespace {

constexpr double kRow = 17, kBar = 14, kMaxLabel = 170;

struct TimeUnit {
  double seconds;
  const char* name;
};

// The unit in which a window's length is a number from 1 to 1,000, about.
TimeUnit UnitOf(Time length) {
  constexpr TimeUnit kUnits[] = {{1, "s"}, {1e-3, "ms"}, {1e-6, "µs"}, {1e-9, "ns"}};
  for (const TimeUnit& unit : kUnits) {
    if (length.seconds() >= unit.seconds * 1.5) return unit;
  }
  return {1e-12, "ps"};
}

}  // namespace

Svg Render(const Gantt& gantt) {
  const size_t rows = std::min(gantt.rows.size(), kMaxDrawnRows);
  double left = 0;
  for (size_t i = 0; i < rows; ++i) left = std::max(left, SvgTextWidth(gantt.rows[i], 11));
  left = std::min(left, kMaxLabel) + 12;
  const double width = gantt.width - left - 12;
  const double legend_height = LegendHeight(gantt.legend, gantt.width - 8);
  const double top = legend_height + 8, bottom = top + kRow * static_cast<double>(rows);
  const Time to = std::max(gantt.to, gantt.from + Time{1});
  const TimeUnit unit = UnitOf(to - gantt.from);
  const double length = (to - gantt.from).seconds() / unit.seconds;
  const auto at = [&](Time time) {
    return left + std::clamp((time - gantt.from).seconds() / unit.seconds / length, 0.0, 1.0) * width;
  };

  // A path a colour instead of an element a span; labels follow, so that no path hides them.
  std::array<std::string, kSvgColours> paths;
  struct Label {
    double x, y;
    const std::string* text;
  };
  std::vector<Label> labels;
  size_t drawn = 0, inside = 0;
  for (const Gantt::Span& span : gantt.spans) {
    if (span.row < 0 || static_cast<size_t>(span.row) >= rows || span.finish <= gantt.from || span.start >= to)
      continue;
    ++inside;
    if (drawn == kMaxGanttSpans) continue;
    ++drawn;
    const double x = at(span.start), end = at(span.finish), y = top + kRow * span.row + (kRow - kBar) / 2;
    paths[static_cast<size_t>(std::abs(span.colour)) % kSvgColours] +=
        fmt::format("M{} {}h{}v{}H{}z", SvgNumber(x), SvgNumber(y), SvgNumber(end - x), SvgNumber(kBar), SvgNumber(x));
    if (!span.label.empty() && end - x >= SvgTextWidth(span.label, 9) + 3) {
      labels.push_back({(x + end) / 2, y + kBar - 4, &span.label});
    }
  }

  SvgCanvas canvas(gantt.width, bottom + 38 + (inside > drawn ? 16 : 0), gantt.title, gantt.description);
  DrawLegend(canvas, gantt.legend, 4, 0, gantt.width - 8);
  const AxisTicks axis = TicksFor(Scale::kLinear, 0, length, 10);
  for (const double tick : axis.labelled) {
    if (tick > length * (1 + 1e-9)) continue;
    const double x = left + tick / length * width;
    canvas.Line(x, top, x, bottom, "grid");
    canvas.Text(x, bottom + 15, TickLabel(axis, tick), "soft small", Anchor::kMiddle);
  }
  canvas.Text(left + width, bottom + 32, fmt::format("{} from the start of this window", unit.name), "soft",
              Anchor::kEnd);
  for (size_t i = 0; i < rows; ++i) {
    const double y = top + kRow * static_cast<double>(i);
    canvas.Text(left - 8, y + kBar - 1, FitText(gantt.rows[i], kMaxLabel, 11), "small", Anchor::kEnd);
  }
  for (size_t colour = 0; colour < paths.size(); ++colour) {
    if (!paths[colour].empty()) canvas.Path(paths[colour], fmt::format("bar c{}", colour));
  }
  for (const Label& label : labels) canvas.Text(label.x, label.y, *label.text, "tiny inside", Anchor::kMiddle);
  if (inside > drawn) {
    canvas.Text(4, bottom + 48, fmt::format("The first {} of {} spans in this window are drawn.", drawn, inside),
                "soft small");
  } else if (gantt.rows.size() > rows) {
    canvas.Text(4, bottom + 48, fmt::format("The first {} of {} rows are drawn.", rows, gantt.rows.size()),
                "soft small");
  }
  return std::move(canvas).Finish();
}

}  // namespace lodestone
