// Drawings of rows: stacked bars, a tornado of effects, and spans over time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/units.h"
#include "report/svg.h"

namespace lodestone {

// More rows than this are cut, and the drawing says so.
inline constexpr size_t kMaxDrawnRows = 400;

struct StackedBars {
  struct Part {
    std::string name;
    std::optional<int> colour = {};  // of SvgStyle(); none: by order
  };
  struct Bar {
    std::string label;
    std::vector<double> values;          // one a part; not negative
    std::string total;                   // written behind the bar
    std::vector<std::string> tips = {};  // one a part; none: the names of bar and part
  };
  std::string title, description;
  std::string axis;  // label with unit: "µs"
  std::vector<Part> parts;
  std::vector<Bar> bars;
  std::optional<double> limit = {};  // a line across, named
  std::string limit_name = {};
  double width = 760;
};
Svg Render(const StackedBars& chart);

// How far each of several causes moves one result, both ways from where it is; in the order given.
struct Tornado {
  struct Bar {
    std::string label;
    double at_low = 0,
           at_high = 0;  // effect, 0 being none, where the cause is at the low and the high end of its range
    std::string tip = {};
  };
  std::string title, description;
  std::string axis;  // "change of throughput, %"
  std::vector<Bar> bars;
  double width = 760;
};
Svg Render(const Tornado& tornado);

// Who does what when. Spans outside [from, to] are clipped or left out.
struct Gantt {
  struct Span {
    int row = 0;
    Time start, finish;
    int colour = 0;
    std::string label = {};  // inside, where there is room
  };
  std::string title, description;
  std::vector<std::string> rows;
  std::vector<Span> spans;
  std::vector<LegendEntry> legend;
  Time from, to;
  double width = 960;
};
// Beyond this many spans inside the window the rest are left out, and the drawing says so.
inline constexpr size_t kMaxGanttSpans = 6000;
Svg Render(const Gantt& gantt);

}  // namespace lodestone
