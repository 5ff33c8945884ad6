#include "report/svg.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "report/axis.h"
#include "report/markup_check.h"
#include "report/svg_bars.h"
#include "report/svg_plot.h"

namespace lodestone {
namespace {

using testing::CountOf;
using testing::MarkupFault;

std::vector<std::string> LabelsOf(const AxisTicks& axis) {
  std::vector<std::string> labels;
  for (const double tick : axis.labelled) labels.push_back(TickLabel(axis, tick));
  return labels;
}
using Labels = std::vector<std::string>;

TEST(Axis, LinearTicksAreRound) {
  EXPECT_EQ(LabelsOf(TicksFor(Scale::kLinear, 0, 1)), (Labels{"0", "0.2", "0.4", "0.6", "0.8", "1.0"}));
  EXPECT_EQ(LabelsOf(TicksFor(Scale::kLinear, 0, 28356)),
            (Labels{"0", "5,000", "10,000", "15,000", "20,000", "25,000", "30,000"}));
  EXPECT_EQ(LabelsOf(TicksFor(Scale::kLinear, -0.3, 0.9)),
            (Labels{"-0.4", "-0.2", "0", "0.2", "0.4", "0.6", "0.8", "1.0"}));
}

TEST(Axis, LogTicksArePowersOfTen) {
  const AxisTicks decades = TicksFor(Scale::kLog, 0.5, 900);
  EXPECT_EQ(LabelsOf(decades), (Labels{"0.1", "1", "10", "100", "1,000"}));
  EXPECT_EQ(decades.minor.size(), 4u * 8);
  EXPECT_EQ(LabelsOf(TicksFor(Scale::kLog, 1.2, 30)), (Labels{"1", "2", "5", "10", "20", "50"}));
  EXPECT_EQ(LabelsOf(TicksFor(Scale::kLog, 1e-6, 1e12)), (Labels{"10⁻⁶", "0.001", "1", "1,000", "10⁶", "10⁹", "10¹²"}));
}

TEST(Axis, HoldsTheDataAndIsMonotone) {
  for (const Scale scale : {Scale::kLinear, Scale::kLog}) {
    for (const double low : {1e-9, 0.037, 1.0, 999.0}) {
      for (const double high : {low * 1.5, low * 37, low * 1e7}) {
        const AxisTicks axis = TicksFor(scale, low, high);
        EXPECT_LE(axis.low, low * (1 + 1e-9));
        EXPECT_GE(axis.high, high * (1 - 1e-9));
        EXPECT_DOUBLE_EQ(axis.At(axis.low), 0);
        EXPECT_DOUBLE_EQ(axis.At(axis.high), 1);
        EXPECT_LT(axis.At(low), axis.At(high));
        EXPECT_GE(axis.labelled.size(), 2u);
        EXPECT_LE(axis.labelled.size(), 12u);
      }
    }
  }
}

TEST(Axis, DrawsWhatHasNoRange) {
  const double inf = std::numeric_limits<double>::infinity();
  for (const Scale scale : {Scale::kLinear, Scale::kLog}) {
    for (const auto& [low, high] :
         {std::pair{5.0, 5.0}, {0.0, 0.0}, {inf, -inf}, {-3.0, -1.0}, {-1e308, 1e308}, {0.0, 1e-320}}) {
      const AxisTicks axis = TicksFor(scale, low, high);
      EXPECT_LT(axis.low, axis.high) << low << ' ' << high;
      EXPECT_FALSE(axis.labelled.empty());
      EXPECT_LE(axis.labelled.size(), 60u);
    }
  }
}

TEST(Svg, NumbersAreShort) {
  EXPECT_EQ(SvgNumber(12.3456), "12.35");
  EXPECT_EQ(SvgNumber(3), "3");
  EXPECT_EQ(SvgNumber(-0.001), "0");
  EXPECT_EQ(SvgNumber(-1.5), "-1.5");
}

TEST(Svg, TextIsCutWithAnEllipsis) {
  EXPECT_EQ(FitText("short", 100), "short");
  const std::string cut = FitText("ein sehr länglicher Name", 60);
  EXPECT_LE(SvgTextWidth(cut), 61);
  EXPECT_TRUE(cut.ends_with("…")) << cut;
}

XyPlot Plot() {
  return {.title = "T <1>",
          .description = "D & d",
          .x = {.label = "x", .scale = Scale::kLog},
          .y = {.label = "y"},
          .series = {{.name = "a",
                      .points = {{.x = 1, .y = 2, .y_low = 1, .y_high = 3, .label = "first", .tip = "tip"},
                                 {.x = 10, .y = 3},
                                 {.x = 0, .y = 1},  // no logarithm
                                 {.x = 2, .y = std::nan("")}},
                      .line = true}}};
}

TEST(XyPlot, DrawsWhatCanBeDrawn) {
  const std::string svg = Render(Plot()).text;
  EXPECT_EQ(MarkupFault(svg), "");
  EXPECT_EQ(CountOf(svg, "\"dot c0\""), 3u) << svg;  // two points and the legend
  EXPECT_EQ(CountOf(svg, "\"whisker c0\""), 3u);
  EXPECT_EQ(CountOf(svg, "nan"), 0u);
  EXPECT_EQ(CountOf(svg, "first"), 1u);
  EXPECT_EQ(svg, Render(Plot()).text);
}

TEST(XyPlot, LabelsNeverLieOnOneAnother) {
  XyPlot plot = Plot();
  plot.series[0].points.clear();
  for (int i = 0; i < 50; ++i) plot.series[0].points.push_back({.x = 5, .y = 2, .label = "the same place"});
  plot.series[0].points.push_back({.x = 50, .y = 4});
  EXPECT_LE(CountOf(Render(plot).text, "the same place"), 8u);
}

TEST(XyPlot, StaysBoundedAndSaysSo) {
  XyPlot plot = Plot();
  for (int i = 1; i < 100'000; ++i) plot.series[0].points.push_back({.x = i + 0.5, .y = 1.0 * i});
  const std::string svg = Render(plot).text;
  EXPECT_LE(CountOf(svg, "\"dot c0\""), kMaxPlotPoints + 1);
  EXPECT_EQ(CountOf(svg, "Every 6th of 100003 points is drawn."), 1u);
}

TEST(XyPlot, DrawsNothingWithoutPoints) {
  XyPlot plot = Plot();
  plot.series.clear();
  EXPECT_EQ(MarkupFault(Render(plot).text), "");
}

TEST(Roofline, PutsTheKneeWhereMemoryMeetsTheUnits) {
  const Roofline roofline{.title = "r",
                          .description = "d",
                          .memory_name = "core memory",
                          .memory_bytes_per_s = 1e13,
                          .ceilings = {{"INT4", 4e14}, {"INT8", 2e14}},
                          .dots = {{"decode", {{.x = 3, .y = 2e13, .label = "gate"}}}}};
  const std::string svg = Render(roofline).text;
  EXPECT_EQ(MarkupFault(svg), "");
  EXPECT_EQ(CountOf(svg, "gate"), 1u);
  EXPECT_EQ(CountOf(svg, "core memory, 10 TB/s"), 2u) << svg;  // the line's tip and the legend
  EXPECT_EQ(CountOf(svg, "INT4, 400 T operations/s"), 2u) << svg;
}

TEST(StackedBars, WidthsAreTheValues) {
  const StackedBars chart{.title = "t",
                          .description = "d",
                          .axis = "µs",
                          .parts = {{"a"}, {"b"}},
                          .bars = {{"one", {3, 1}, "4"}, {"two", {0, 2}, "2"}, {"bad", {std::nan(""), -1}, "?"}}};
  const std::string svg = Render(chart).text;
  EXPECT_EQ(MarkupFault(svg), "");
  EXPECT_EQ(CountOf(svg, "one: a"), 1u);
  EXPECT_EQ(CountOf(svg, "two: a"), 0u);  // nothing to see
  EXPECT_EQ(CountOf(svg, "bad:"), 0u);
}

TEST(StackedBars, CutsRowsAndSaysSo) {
  StackedBars chart{.title = "t", .description = "d", .axis = "x", .parts = {{"a"}}};
  for (size_t i = 0; i < 3 * kMaxDrawnRows; ++i) chart.bars.push_back({"row", {1}, ""});
  EXPECT_EQ(CountOf(Render(chart).text, "The first 400 of 1200 rows are drawn."), 1u);
}

TEST(Tornado, ShowsBothEndsEvenOnOneSide) {
  const Tornado tornado{.title = "t",
                        .description = "d",
                        .axis = "%",
                        .bars = {{.label = "apart", .at_low = -5, .at_high = 3},
                                 {.label = "one side", .at_low = 2, .at_high = 4},
                                 {.label = "nothing", .at_low = 0, .at_high = 0}}};
  const std::string svg = Render(tornado).text;
  EXPECT_EQ(MarkupFault(svg), "");
  EXPECT_EQ(CountOf(svg, "\"bar c5\""), 3u);  // two bars and the legend
  EXPECT_EQ(CountOf(svg, "\"bar c1\""), 3u);
  EXPECT_EQ(CountOf(svg, "height=\"7\""), 2u);
}

Gantt Lanes(size_t spans) {
  Gantt gantt{
      .title = "t", .description = "d", .rows = {"card 0", "card 1"}, .from = Time{1000}, .to = Time{1'000'000}};
  for (size_t i = 0; i < spans; ++i) {
    const Time start{static_cast<int64_t>(1000 + i * 90)};
    gantt.spans.push_back({.row = static_cast<int>(i % 2), .start = start, .finish = start + Time{80}, .colour = 3});
  }
  return gantt;
}

TEST(Gantt, ClipsToItsWindow) {
  Gantt gantt = Lanes(0);
  gantt.spans = {{.row = 0, .start = Time{0}, .finish = Time{500'000}, .colour = 1},  // begins before
                 {.row = 1, .start = Time{2'000'000}, .finish = Time{2'000'001}},     // after
                 {.row = 7, .start = Time{2000}, .finish = Time{3000}}};              // no such row
  const std::string svg = Render(gantt).text;
  EXPECT_EQ(MarkupFault(svg), "");
  EXPECT_EQ(CountOf(svg, "<path"), 1u);
  EXPECT_EQ(CountOf(svg, "h0v"), 0u);
}

TEST(Gantt, OfAMillionSpansIsCutAndSaysSo) {
  Gantt gantt = Lanes(0);
  gantt.spans.assign(1'000'000, {.row = 0, .start = Time{2000}, .finish = Time{3000}});
  const std::string svg = Render(gantt).text;
  EXPECT_EQ(CountOf(svg, "The first 6000 of 1000000 spans in this window are drawn."), 1u);
  EXPECT_LT(svg.size(), 1'000'000u);
}

TEST(Gantt, LabelsSpansThatHaveRoom) {
  Gantt gantt = Lanes(0);
  gantt.spans = {{.row = 0, .start = Time{1000}, .finish = Time{500'000}, .label = "wide"},
                 {.row = 1, .start = Time{1000}, .finish = Time{2000}, .label = "narrow"}};
  const std::string svg = Render(gantt).text;
  EXPECT_EQ(CountOf(svg, ">wide<"), 1u);
  EXPECT_EQ(CountOf(svg, "narrow"), 0u);
}

}  // namespace
}  // namespace lodestone
