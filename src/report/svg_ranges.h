// A drawing of rows on one axis: where each figure lies, and between which low and high.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "report/svg.h"
#include "report/svg_plot.h"

namespace lodestone {

struct RangeRows {
  struct Row {
    std::string label;
    double value = 0;
    std::optional<double> low = {}, high = {};
    std::string text = {};  // behind the row
    int colour = 0, shape = 0;
    bool hollow = false;
    std::string tip = {};
  };
  std::string title, description;
  PlotAxis axis;
  std::vector<Row> rows;  // in the order given
  std::vector<LegendEntry> legend = {};
  double width = 760;
};
// Rows whose value cannot be drawn (see XyPlot) are left out; beyond kMaxDrawnRows (svg_bars.h) the drawing says so.
Svg Render(const RangeRows& chart);

}  // namespace lodestone
