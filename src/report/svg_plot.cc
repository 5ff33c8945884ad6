#include "report/svg_plot.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/units.h"

namespace lodestone {
namespace {

bool Drawable(double value, Scale scale) { return std::isfinite(value) && (scale == Scale::kLinear || value > 0); }

bool Drawable(const PlotPoint& point, const XyPlot& plot) {
  return Drawable(point.x, plot.x.scale) && Drawable(point.y, plot.y.scale);
}

struct Range {
  double low = std::numeric_limits<double>::infinity(), high = -std::numeric_limits<double>::infinity();
  void Add(std::optional<double> value, Scale scale) {
    if (!value || !Drawable(*value, scale)) return;
    low = std::min(low, *value);
    high = std::max(high, *value);
  }
};

struct Box {
  double left, top, right, bottom;
  bool Meets(const Box& other) const {
    return left < other.right && other.left < right && top < other.bottom && other.top < bottom;
  }
};

// Where a label may stand beside its point: to the right, left, above, below; the first place that is free.
class LabelPlacer {
 public:
  explicit LabelPlacer(Box frame) : frame_(frame) {}
  void Occupy(double x, double y) { Occupy({x - 5, y - 5, x + 5, y + 5}); }
  void Occupy(Box box) { taken_.push_back(box); }
  void Place(SvgCanvas& canvas, double x, double y, const std::string& label) {
    const double width = SvgTextWidth(label, 11), kHeight = 10, kGap = 8;
    struct Try {
      Anchor anchor;  // so that an estimated width moves no text onto its point
      double x, top;
    };
    const double left = x - kGap, right = x + kGap, above = y - kGap - kHeight, below = y + kGap;
    const Try tries[] = {{Anchor::kStart, right, y - kHeight / 2},
                         {Anchor::kEnd, left, y - kHeight / 2},
                         {Anchor::kMiddle, x, above},
                         {Anchor::kMiddle, x, below},
                         {Anchor::kStart, right, above},
                         {Anchor::kStart, right, below},
                         {Anchor::kEnd, left, above},
                         {Anchor::kEnd, left, below}};
    for (const Try& at : tries) {
      const double before = at.anchor == Anchor::kStart ? 0 : at.anchor == Anchor::kMiddle ? width / 2 : width;
      const Box box{at.x - before, at.top, at.x - before + width, at.top + kHeight};
      if (box.left < frame_.left || box.right > frame_.right || box.top < frame_.top || box.bottom > frame_.bottom ||
          std::any_of(taken_.begin(), taken_.end(), [&](const Box& other) { return box.Meets(other); })) {
        continue;
      }
      taken_.push_back(box);
      canvas.Text(at.x, box.bottom - 1, label, "small halo", at.anchor);
      return;
    }
  }

 private:
  Box frame_;
  std::vector<Box> taken_;
};

struct Frame {
  AxisTicks x, y;
  double left, top, width, height;
  double X(double value) const { return left + x.At(value) * width; }
  double Y(double value) const { return top + height - y.At(value) * height; }
};

AxisTicks TicksOf(const PlotAxis& axis, Range range) {
  range.Add(axis.low, axis.scale);
  range.Add(axis.high, axis.scale);
  AxisTicks ticks = TicksFor(axis.scale, range.low, range.high);
  if (axis.tight && range.low < range.high) {
    ticks.low = range.low;
    ticks.high = range.high;
    const auto outside = [&](double tick) { return !ticks.Holds(tick); };
    std::erase_if(ticks.labelled, outside);
    std::erase_if(ticks.minor, outside);
  }
  return ticks;
}

void DrawAxes(SvgCanvas& canvas, const Frame& frame, const XyPlot& plot) {
  const double bottom = frame.top + frame.height, right = frame.left + frame.width;
  for (const double tick : frame.x.minor) canvas.Line(frame.X(tick), frame.top, frame.X(tick), bottom, "minor");
  for (const double tick : frame.y.minor) canvas.Line(frame.left, frame.Y(tick), right, frame.Y(tick), "minor");
  for (const double tick : frame.x.labelled) {
    canvas.Line(frame.X(tick), frame.top, frame.X(tick), bottom, "grid");
    canvas.Text(frame.X(tick), bottom + 16, TickLabel(frame.x, tick), "soft small", Anchor::kMiddle);
  }
  for (const double tick : frame.y.labelled) {
    canvas.Line(frame.left, frame.Y(tick), right, frame.Y(tick), "grid");
    canvas.Text(frame.left - 7, frame.Y(tick) + 4, TickLabel(frame.y, tick), "soft small", Anchor::kEnd);
  }
  canvas.Line(frame.left, bottom, right, bottom, "axis");
  canvas.Line(frame.left, frame.top, frame.left, bottom, "axis");
  canvas.Text(right, bottom + 34, plot.x.label, "soft", Anchor::kEnd);
  canvas.Text(4, frame.top - 10, plot.y.label, "soft");
}

int ColourOf(const PlotSeries& series, size_t index) {
  return series.colour.value_or(static_cast<int>(index)) % kSvgColours;
}

void DrawLine(SvgCanvas& canvas, const Frame& frame, const XyPlot& plot, const PlotSeries& series, size_t index,
              size_t every) {
  std::string data;
  for (size_t i = 0; i < series.points.size(); i += every) {
    const PlotPoint& point = series.points[i];
    if (!Drawable(point, plot)) continue;
    data += fmt::format("{}{} {}", data.empty() ? "M" : "L", SvgNumber(frame.X(point.x)), SvgNumber(frame.Y(point.y)));
  }
  if (data.empty()) return;
  canvas.Path(data, fmt::format("{} c{}", series.dashed ? "dashed" : "line", ColourOf(series, index)), series.name);
}

void DrawWhisker(SvgCanvas& canvas, const Frame& frame, const PlotPoint& point, const std::string& css) {
  const double x = frame.X(point.x), low = frame.Y(*point.y_low), high = frame.Y(*point.y_high);
  canvas.Line(x, low, x, high, css);
  canvas.Line(x - 3, low, x + 3, low, css);
  canvas.Line(x - 3, high, x + 3, high, css);
}

// Ends inside the frame, on any combination of scales.
void DrawRatio(SvgCanvas& canvas, const Frame& frame, const PlotRatio& line, LabelPlacer& placer) {
  const double from = std::max(frame.x.low, frame.y.low / line.ratio);
  const double to = std::min(frame.x.high, frame.y.high / line.ratio);
  if (!(line.ratio > 0) || !(from < to)) return;
  // A straight line where both axes are logarithmic, or both linear; a curve otherwise.
  constexpr int kPieces = 24;
  const bool straight = frame.x.scale == frame.y.scale;
  const auto at = [&](int i) {
    const double t = static_cast<double>(i) / kPieces;
    return frame.x.scale == Scale::kLog ? from * std::pow(to / from, t) : from + (to - from) * t;
  };
  for (int i = 0; i < kPieces; i += straight ? kPieces : 1) {
    const double x1 = at(i), x2 = at(straight ? kPieces : i + 1);
    canvas.Line(frame.X(x1), frame.Y(x1 * line.ratio), frame.X(x2), frame.Y(x2 * line.ratio), "iso");
  }
  const bool top = to < frame.x.high;  // where it leaves the frame
  const double x = frame.X(to) + (top ? 5 : -5);
  const double y = std::max(frame.Y(to * line.ratio) + (top ? 11 : -5), frame.top + 11);
  const double width = SvgTextWidth(line.label, 11);
  placer.Occupy({top ? x : x - width, y - 10, top ? x + width : x, y + 2});
  canvas.Text(x, y, line.label, "soft small", top ? Anchor::kStart : Anchor::kEnd);
}

std::vector<LegendEntry> LegendOf(const XyPlot& plot) {
  std::vector<LegendEntry> entries;
  for (size_t i = 0; i < plot.series.size(); ++i) {
    const PlotSeries& series = plot.series[i];
    if (series.name.empty()) continue;
    const auto mark = !series.markers ? series.dashed ? LegendEntry::Mark::kDashed : LegendEntry::Mark::kLine
                      : series.hollow ? LegendEntry::Mark::kHollow
                                      : LegendEntry::Mark::kMarker;
    entries.push_back({.name = series.name,
                       .colour = ColourOf(series, i),
                       .mark = mark,
                       .shape = series.shape.value_or(static_cast<int>(i) % kSvgShapes)});
  }
  return entries;
}

}  // namespace

Svg Render(const XyPlot& plot) {
  Range x, y;
  size_t points = 0;
  for (const PlotSeries& series : plot.series) {
    points += series.points.size();
    for (const PlotPoint& point : series.points) {
      if (!Drawable(point, plot)) continue;
      x.Add(point.x, plot.x.scale);
      for (const std::optional<double> value : {std::optional(point.y), point.y_low, point.y_high}) {
        y.Add(value, plot.y.scale);
      }
    }
  }
  const size_t every = std::max<size_t>(1, (points + kMaxPlotPoints - 1) / kMaxPlotPoints);

  const std::vector<LegendEntry> legend = plot.legend ? *plot.legend : LegendOf(plot);
  const double legend_height = LegendHeight(legend, plot.width - 8);
  Frame frame{.x = TicksOf(plot.x, x), .y = TicksOf(plot.y, y), .left = 0, .top = 24, .width = 0, .height = 0};
  for (const double tick : frame.y.labelled) {
    frame.left = std::max(frame.left, SvgTextWidth(TickLabel(frame.y, tick), 11) + 14);
  }
  frame.width = plot.width - frame.left - 24;
  frame.height = plot.height - frame.top - 42;

  SvgCanvas canvas(plot.width, plot.height + legend_height + (every > 1 ? 18 : 4), plot.title, plot.description);
  DrawAxes(canvas, frame, plot);
  LabelPlacer placer({frame.left, frame.top, frame.left + frame.width, frame.top + frame.height});
  for (const PlotRatio& line : plot.ratios) DrawRatio(canvas, frame, line, placer);
  for (size_t s = 0; s < plot.series.size(); ++s) {
    if (plot.series[s].line) DrawLine(canvas, frame, plot, plot.series[s], s, every);
  }
  const auto for_each = [&](const auto& draw) {
    for (size_t s = 0; s < plot.series.size(); ++s) {
      for (size_t i = 0; i < plot.series[s].points.size(); i += every) {
        if (Drawable(plot.series[s].points[i], plot)) draw(plot.series[s].points[i], plot.series[s], s);
      }
    }
  };
  for_each([&](const PlotPoint& point, const PlotSeries& series, size_t s) {
    if (series.markers) placer.Occupy(frame.X(point.x), frame.Y(point.y));
    if (point.y_low && point.y_high && Drawable(*point.y_low, plot.y.scale) && Drawable(*point.y_high, plot.y.scale)) {
      DrawWhisker(canvas, frame, point, fmt::format("whisker c{}", ColourOf(series, s)));
    }
  });
  for_each([&](const PlotPoint& point, const PlotSeries& series, size_t s) {
    if (!series.markers) return;
    canvas.Marker(series.shape.value_or(static_cast<int>(s) % kSvgShapes), frame.X(point.x), frame.Y(point.y),
                  fmt::format("{} c{}", series.hollow ? "ring" : "dot", ColourOf(series, s)), point.tip);
  });
  // What is drawn last lies on top, so its labels come first.
  for (auto series = plot.series.rbegin(); series != plot.series.rend(); ++series) {
    for (size_t i = 0; i < series->points.size(); i += every) {
      const PlotPoint& point = series->points[i];
      if (point.label.empty() || !Drawable(point, plot)) continue;
      placer.Place(canvas, frame.X(point.x), frame.Y(point.y), point.label);
    }
  }
  double below = DrawLegend(canvas, legend, 4, plot.height, plot.width - 8);
  if (every > 1)
    canvas.Text(4, below + 12, fmt::format("Every {}th of {} points is drawn.", every, points), "soft small");
  return std::move(canvas).Finish();
}

Svg Render(const Roofline& roofline) {
  const double slope = roofline.memory_bytes_per_s;
  double top = 0, low_x = std::numeric_limits<double>::infinity(), high_x = 0;
  for (const Roofline::Ceiling& ceiling : roofline.ceilings) {
    top = std::max(top, ceiling.ops_per_s);
    low_x = std::min(low_x, ceiling.ops_per_s / slope);
    high_x = std::max(high_x, ceiling.ops_per_s / slope);
  }
  XyPlot plot{.title = roofline.title,
              .description = roofline.description,
              .x = {.label = roofline.x_label, .scale = Scale::kLog},
              .y = {.label = "Operations a second", .scale = Scale::kLog}};
  double low_y = std::numeric_limits<double>::infinity();
  for (const Roofline::Dots& dots : roofline.dots) {
    for (const PlotPoint& point : dots.points) {
      if (!(point.x > 0) || !(point.y > 0)) continue;
      low_x = std::min(low_x, point.x);
      high_x = std::max(high_x, point.x);
      low_y = std::min(low_y, point.y);
    }
  }
  // The slope begins where it is as low as the lowest dot, or at the leftmost one.
  const double left = std::min(low_x / 2, low_y / slope), right = high_x * 4;
  plot.series.push_back({.name = fmt::format("{}, {}B/s", roofline.memory_name, FormatNumber(slope / 1e12) + " T"),
                         .points = {{.x = left, .y = left * slope}, {.x = top / slope, .y = top}},
                         .line = true,
                         .markers = false,
                         .colour = 8});
  constexpr int kCeilingColours[] = {4, 1, 7, 3};
  for (size_t i = 0; i < roofline.ceilings.size(); ++i) {
    const Roofline::Ceiling& ceiling = roofline.ceilings[i];
    plot.series.push_back(
        {.name = fmt::format("{}, {} T operations/s", ceiling.name, FormatNumber(ceiling.ops_per_s / 1e12)),
         .points = {{.x = ceiling.ops_per_s / slope, .y = ceiling.ops_per_s}, {.x = right, .y = ceiling.ops_per_s}},
         .line = true,
         .dashed = true,
         .markers = false,
         .colour = kCeilingColours[i % std::size(kCeilingColours)]});
  }
  constexpr int kDotColours[] = {0, 2, 5};
  for (size_t i = 0; i < roofline.dots.size(); ++i) {
    plot.series.push_back({.name = roofline.dots[i].name,
                           .points = roofline.dots[i].points,
                           .colour = kDotColours[i % std::size(kDotColours)],
                           .shape = static_cast<int>(i)});
  }
  return Render(plot);
}

}  // namespace lodestone
