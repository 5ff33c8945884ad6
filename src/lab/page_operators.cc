#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "base/units.h"
#include "lab/page_data.h"
#include "report/svg_bars.h"
#include "report/svg_plot.h"

namespace lodestone {
namespace {

constexpr size_t kStart = static_cast<size_t>(Resource::kStart);
constexpr int kColours[kResources] = {1, 0, 2, 3, 5, 7, 4, 6, 8};

std::string NameOf(const OperatorCost& cost) {
  return cost.weight.empty() ? cost.op : fmt::format("{} {}", cost.op, cost.weight);
}

// The longest of the resources that overlap.
size_t LongestOf(const OperatorCost& cost) {
  size_t longest = 0;
  for (size_t i = 1; i < kStart; ++i) {
    if (cost.cycles[i] > cost.cycles[longest]) longest = i;
  }
  return longest;
}

// An operator's time: its start, and the longest of what overlaps. Sums to cost.time.
std::array<double, kResources> TimeByResource(const OperatorCost& cost) {
  std::array<double, kResources> seconds{};
  if (cost.total_cycles == 0) return seconds;
  const double start = static_cast<double>(cost.cycles[kStart]) / static_cast<double>(cost.total_cycles);
  seconds[kStart] = cost.time.seconds() * start;
  seconds[LongestOf(cost)] += cost.time.seconds() * (1 - start);
  return seconds;
}

std::array<double, kResources> TimeByResource(const std::vector<OperatorCost>& costs) {
  std::array<double, kResources> sum{};
  for (const OperatorCost& cost : costs) {
    const std::array<double, kResources> one = TimeByResource(cost);
    for (size_t i = 0; i < kResources; ++i) sum[i] += one[i];
  }
  return sum;
}

// "43 % start, 31 % memory, 12 % matrix"
std::string Shares(const std::vector<OperatorCost>& costs) {
  const std::array<double, kResources> seconds = TimeByResource(costs);
  double total = 0;
  for (const double s : seconds) total += s;
  std::array<size_t, kResources> order;
  for (size_t i = 0; i < kResources; ++i) order[i] = i;
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return seconds[a] > seconds[b]; });
  std::string text;
  for (const size_t i : order) {
    if (seconds[i] < 0.01 * total || total == 0) break;
    text += fmt::format("{}{:.0f} % {}", text.empty() ? "" : ", ", seconds[i] / total * 100,
                        ToString(static_cast<Resource>(i)));
  }
  return text;
}

Svg Breakdown(const std::string& title, const std::vector<OperatorCost>& costs) {
  StackedBars chart{.title = title,
                    .description = "A bar an operator in program order: its start, and the resource that bounds it.",
                    .axis = "µs",
                    .parts = {},
                    .bars = {}};
  const std::array<double, kResources> sum = TimeByResource(costs);
  std::vector<size_t> used;
  for (size_t i = 0; i < kResources; ++i) {
    if (sum[i] == 0) continue;
    used.push_back(i);
    chart.parts.push_back({.name = ToString(static_cast<Resource>(i)), .colour = kColours[i]});
  }
  for (const OperatorCost& cost : costs) {
    if (cost.time == Time{}) continue;
    StackedBars::Bar bar{.label = cost.count > 1 ? fmt::format("{} × {}", NameOf(cost), cost.count) : NameOf(cost),
                         .values = {},
                         .total = FormatSeconds(cost.time.seconds())};
    const std::array<double, kResources> seconds = TimeByResource(cost);
    for (const size_t i : used) bar.values.push_back(seconds[i] * 1e6);
    chart.bars.push_back(std::move(bar));
  }
  return Render(chart);
}

HtmlTable CyclesTable(const std::string& caption, const std::vector<OperatorCost>& costs) {
  HtmlTable table{.caption = caption, .columns = {{.heading = "Operator", .number = false}}, .rows = {}};
  for (size_t i = 0; i < kResources; ++i) {
    table.columns.push_back({.heading = ToString(static_cast<Resource>(i)), .unit = "cycles"});
  }
  table.columns.push_back({.heading = "Total", .unit = "cycles"});
  table.columns.push_back({.heading = "Layers"});
  table.columns.push_back({.heading = "Time"});
  table.columns.push_back({.heading = "Bound by", .number = false});
  table.columns.push_back({.heading = "Energy", .unit = "µJ"});
  for (const OperatorCost& cost : costs) {
    std::vector<HtmlCell> row{NameOf(cost)};
    for (const int64_t cycles : cost.cycles) {
      row.push_back(cycles > 0 ? FormatNumber(static_cast<double>(cycles)) : "–");
    }
    row.push_back(FormatNumber(static_cast<double>(cost.total_cycles)));
    row.push_back(fmt::format("{}", cost.count));
    row.push_back(FormatSeconds(cost.time.seconds()));
    row.push_back(cost.total_cycles > 0 ? ToString(cost.bound) : "nothing: not on the array");
    row.push_back(FormatNumber(cost.energy.total().joules() * 1e6));
    table.rows.push_back(std::move(row));
  }
  return table;
}

std::string LoadInWords(const Load& load, bool decode) {
  return decode ? fmt::format("{} {} at {} positions", load.rows, load.rows == 1 ? "user" : "users",
                              FormatNumber(static_cast<double>(load.context_max)))
                : fmt::format("a chunk of {} tokens up to position {}", load.rows,
                              FormatNumber(static_cast<double>(load.context_max)));
}

void AddOperatorsOf(HtmlPage& page, const PageData& data, bool decode) {
  const auto& ops = decode ? data.decode_ops : data.prefill_ops;
  const auto& costs = decode ? data.decode_costs : data.prefill_costs;
  const Load& load = decode ? data.decode : data.prefill;
  const std::string name = data.run.placement.stages[data.slowest].stage.label;
  page.Heading(decode ? "Decoding" : "A prompt chunk");
  page.Paragraph(fmt::format("The stage {} takes {} for {}: {}.", name,
                             FormatSeconds(costs[data.slowest].time.seconds()), LoadInWords(load, decode),
                             Shares(ops[data.slowest])));
  page.Figure(Breakdown(decode ? "Time of the operators while decoding" : "Time of the operators of a prompt chunk",
                        ops[data.slowest]),
              fmt::format("{}, {}. What overlaps is hidden behind the longest; the start overlaps nothing.", name,
                          LoadInWords(load, decode)),
              Provenance::kSimulated);
  for (size_t i = 0; i < data.kinds.size(); ++i) {
    page.OpenFold(
        fmt::format("Cycles: {}, {}", data.kind_names[i], FormatSeconds(costs[data.kinds[i]].time.seconds())));
    page.Table(CyclesTable(fmt::format("{}, {}", data.kind_names[i], LoadInWords(load, decode)), ops[data.kinds[i]]));
    page.CloseFold();
  }
}

Roofline::Dots DotsOf(const std::string& name, const std::vector<OperatorCost>& costs) {
  Roofline::Dots dots{.name = name, .points = {}};
  for (const OperatorCost& cost : costs) {
    if (cost.operations <= 0 || cost.memory_bytes <= 0 || cost.time <= Time{}) continue;
    const std::string label = cost.weight.empty() ? cost.op : cost.weight;
    const double rate = static_cast<double>(cost.operations) / cost.time.seconds();
    const double intensity = static_cast<double>(cost.operations) / static_cast<double>(cost.memory_bytes);
    // Operators of one shape are one dot with all their names.
    const auto same = std::find_if(dots.points.begin(), dots.points.end(), [&](const PlotPoint& point) {
      return std::abs(point.x / intensity - 1) < 0.01 && std::abs(point.y / rate - 1) < 0.01;
    });
    if (same != dots.points.end()) {
      same->label += ", " + label;
      continue;
    }
    dots.points.push_back(
        {.x = intensity,
         .y = rate,
         .label = label,
         .tip = fmt::format("{}: {} T operations/s, {} a byte, bound by {}", NameOf(cost), FormatNumber(rate / 1e12),
                            FormatNumber(intensity), ToString(cost.bound))});
  }
  return dots;
}

}  // namespace

void AddOperators(HtmlPage& page, const PageData& data) {
  if (data.decode_ops.empty()) return;
  page.Section("Operators");
  AddOperatorsOf(page, data, true);
  AddOperatorsOf(page, data, false);
}

void AddRoofline(HtmlPage& page, const PageData& data) {
  if (data.decode_ops.empty()) return;
  const ChipSpec& chip = data.options.spec.card.chip;
  const double cores_clock = chip.cores.value * chip.clock_hz.value;
  Roofline roofline{.title = "Roofline of a card",
                    .description = "Operators as dots below the rate of core memory and the rates of the matrix units.",
                    .memory_name = "core memory",
                    .memory_bytes_per_s = cores_clock * chip.memory_bytes_per_core_cycle.value,
                    .ceilings = {{"INT4", cores_clock * chip.int4_ops_per_core_cycle.value},
                                 {"INT8", cores_clock * chip.int8_ops_per_core_cycle.value}},
                    .dots = {DotsOf("decoding", data.decode_ops[data.slowest]),
                             DotsOf("prompt chunk", data.prefill_ops[data.slowest])}};
  page.Section("Roofline");
  page.Figure(
      Render(roofline),
      fmt::format("Operators of {} as dots: operations a byte of core memory against operations a second, the start "
                  "included. The distance to the roof is what starts, networks and uneven work take.",
                  data.run.placement.stages[data.slowest].stage.label),
      Provenance::kSimulated);
}

}  // namespace lodestone
