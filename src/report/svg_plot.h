// Plots of figures: points and lines over two axes, and the roofline that is made of them.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "report/axis.h"
#include "report/svg.h"

namespace lodestone {

struct PlotPoint {
  double x = 0, y = 0;
  std::optional<double> y_low = {}, y_high = {};  // a whisker
  std::string label = {};                         // beside the point, where there is room
  std::string tip = {};                           // shown when the pointer rests on it
};

struct PlotSeries {
  std::string name;  // empty: not in the legend
  std::vector<PlotPoint> points;
  bool line = false, dashed = false, markers = true;
  std::optional<int> colour = {};  // of SvgStyle(); none: by order
  std::optional<int> shape = {};   // of SvgCanvas::Marker; none: by order
  bool hollow = false;             // markers are rings
};

struct PlotAxis {
  std::string label;  // with its unit: "Latency, ms a token"
  Scale scale = Scale::kLinear;
  std::optional<double> low = {}, high = {};  // that the axis holds at least; none: what the points need
  bool tight = false;                         // ends with the points, not with the tick after them
};

// The line y = ratio × x through the whole frame: points of equal tokens/J over watts.
struct PlotRatio {
  double ratio = 0;
  std::string label;  // at its upper end
};

struct XyPlot {
  std::string title, description;
  PlotAxis x, y;
  std::vector<PlotSeries> series;
  std::vector<PlotRatio> ratios = {};
  std::optional<std::vector<LegendEntry>> legend = {};  // none: the named series
  double width = 760, height = 400;
};

// Points that are not finite, or not positive on a logarithmic axis, are left out. Of more than kMaxPlotPoints points
// every n-th is drawn, and the plot says so.
inline constexpr size_t kMaxPlotPoints = 20'000;
Svg Render(const XyPlot& plot);

// Rates against operations a byte (Williams, Waterman and Patterson, CACM 2009): below the memory's slope and the
// units' ceilings.
struct Roofline {
  struct Ceiling {
    std::string name;  // "INT4 matrix units"
    double ops_per_s = 0;
  };
  struct Dots {
    std::string name;
    std::vector<PlotPoint> points;  // x: operations a byte; y: operations a second
  };
  std::string title, description;
  std::string memory_name;  // "core memory"
  std::string x_label = "Operations a byte of core memory";
  double memory_bytes_per_s = 0;
  std::vector<Ceiling> ceilings;
  std::vector<Dots> dots;
};
Svg Render(const Roofline& roofline);

}  // namespace lodestone
