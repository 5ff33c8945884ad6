#include <fmt/format.h>

#include <algorithm>

#include "base/units.h"
#include "lab/page_data.h"
#include "report/svg_bars.h"
#include "report/svg_plot.h"

namespace lodestone {
namespace {

struct EnergyPart {
  const char* name;
  double joules;
};

std::vector<EnergyPart> PartsOf(const EnergyLedger& energy) {
  return {{"static: drawn whatever the cards do", energy.static_j},
          {"matrix units", energy.matrix_j},
          {"core memory", energy.memory_j},
          {"vector and activation units", energy.vector_j},
          {"networks on chip", energy.network_j},
          {"links between cards", energy.link_j}};
}

constexpr int kPartColours[] = {8, 1, 0, 2, 7, 4};

Svg EnergyBar(const EnergyLedger& energy) {
  StackedBars chart{.title = "Energy of the run by what drew it",
                    .description = "One bar: static energy, matrix units, memory, vector units, networks, links.",
                    .axis = "J",
                    .parts = {},
                    .bars = {{.label = "all cards", .values = {}, .total = FormatNumber(energy.total_j()) + " J"}}};
  const std::vector<EnergyPart> parts = PartsOf(energy);
  for (size_t i = 0; i < parts.size(); ++i) {
    chart.parts.push_back({.name = parts[i].name, .colour = kPartColours[i]});
    chart.bars[0].values.push_back(parts[i].joules);
  }
  return Render(chart);
}

HtmlTable EnergyTable(const PageData& data) {
  HtmlTable table{.caption = "Energy by what drew it",
                  .columns = {{.heading = "Part", .number = false},
                              {.heading = "Energy", .unit = "J", .provenance = Provenance::kSimulated},
                              {.heading = "Share", .unit = "%"},
                              {.heading = "A generated token", .unit = "mJ", .provenance = Provenance::kSimulated},
                              {.heading = "A card, on average", .unit = "W", .provenance = Provenance::kSimulated}},
                  .rows = {}};
  const EnergyLedger& energy = data.run.energy;
  const double tokens = data.run.run.tokens_generated, seconds = data.run.elapsed.seconds(), total = energy.total_j();
  const auto add = [&](const char* name, double joules) {
    table.rows.push_back({name, FormatNumber(joules), total > 0 ? fmt::format("{:.1f}", joules / total * 100) : "–",
                          tokens > 0 ? FormatNumber(joules / tokens * 1e3) : "–",
                          seconds > 0 ? FormatNumber(joules / seconds / data.run.run.cards) : "–"});
  };
  for (const EnergyPart& part : PartsOf(energy)) add(part.name, part.joules);
  add("all", total);
  return table;
}

Svg WattsPlot(const PageData& data, const RunView& view) {
  const double fixed = data.options.spec.card.static_power_w.value * data.run.run.cards;
  const std::vector<double> watts = view.dynamic_power().Watts(data.run.elapsed);
  const double width = view.dynamic_power().width().seconds();
  PlotSeries power{.name = "all used cards", .points = {}, .line = true, .markers = false, .colour = 1};
  for (size_t i = 0; i < watts.size(); ++i) {
    const double from = static_cast<double>(i) * width;
    const double to = std::min(data.run.elapsed.seconds(), from + width);
    power.points.push_back({.x = from * 1e3, .y = fixed + watts[i]});
    power.points.push_back({.x = to * 1e3, .y = fixed + watts[i]});
  }
  PlotSeries still{.name = "static", .points = {}, .line = true, .dashed = true, .markers = false, .colour = 8};
  still.points = {{.x = 0, .y = fixed}, {.x = data.run.elapsed.seconds() * 1e3, .y = fixed}};
  return Render(XyPlot{.title = "Watts over the run",
                       .description = "Power of all used cards over the time of the run, above the static power.",
                       .x = {.label = "Time, ms", .tight = true},
                       .y = {.label = "Power of all used cards, W", .low = 0},
                       .series = {std::move(power), std::move(still)},
                       .height = 300});
}

// What a card's framebuffer holds over the first part of the second window, as steps.
Svg HeldPlot(const RunView& view) {
  XyPlot plot{.title = "Framebuffers while decoding",
              .description = "Bytes that three cards' framebuffers hold over a part of the decoding window.",
              .x = {.label = "µs from the start of the window", .low = 0, .tight = true},
              .y = {.label = "Held, KiB", .low = 0},
              .series = {},
              .height = 280};
  TimeWindow window = view.window(1);
  window.to.ps = window.from.ps + (window.to.ps - window.from.ps) / 3;
  for (const auto& [card, held] : view.held()) {
    PlotSeries series{.name = fmt::format("card {}", card), .points = {}, .line = true, .markers = false};
    double bytes = 0;
    const auto add = [&](Time at) {
      const Time inside = std::clamp(at, window.from, window.to);
      series.points.push_back({.x = (inside - window.from).seconds() * 1e6, .y = bytes / static_cast<double>(kKiB)});
    };
    for (const HeldBytes& change : held) {
      if (change.at >= window.to) break;
      if (change.at > window.from) add(change.at);
      bytes = static_cast<double>(change.bytes);
      add(change.at);
    }
    add(window.to);
    plot.series.push_back(std::move(series));
  }
  plot.x.high = (window.to - window.from).seconds() * 1e6;
  return Render(plot);
}

}  // namespace

void AddEnergy(HtmlPage& page, const PageData& data, const RunView& view) {
  page.Section("Energy");
  const EnergyLedger& energy = data.run.energy;
  page.Paragraph(
      fmt::format("The cards drew {} J over {}, {} W a card on average. {:.0f} % of it is static. The static power is "
                  "fitted so that the run of HPEC 2024 draws its published {} W a card; how the rest divides among "
                  "matrix units, memory and networks has no published evidence and rests on the assumed energies an "
                  "operation, listed below.",
                  FormatNumber(energy.total_j()), FormatSeconds(data.run.elapsed.seconds()),
                  FormatNumber(data.run.run.power_w_per_card.value_or(0)),
                  energy.total_j() > 0 ? energy.static_j / energy.total_j() * 100 : 0,
                  FormatNumber(data.options.spec.card.power_w.value)));
  page.Figure(EnergyBar(energy), "Hosts, fans and power supplies are not counted.", Provenance::kSimulated);
  page.Table(EnergyTable(data));
  page.Figure(WattsPlot(data, view),
              fmt::format("Power over the whole run, averaged over {} each.",
                          FormatSeconds(view.dynamic_power().width().seconds())),
              Provenance::kSimulated);
}

void AddFramebuffers(HtmlPage& page, const PageData& data, const RunView& view) {
  if (data.run.framebuffers.empty()) return;
  page.Section("Framebuffers");
  const FramebufferStats& first = data.run.framebuffers.front();
  Time stalls;
  for (const StageStats& stage : data.run.stages) stalls += stage.stalls;
  int64_t peak = 0;
  for (const FramebufferStats& card : data.run.framebuffers) peak = std::max(peak, card.peak_bytes);
  page.Paragraph(fmt::format(
      "A card's framebuffer of {} holds tensors between the link and the array. The fullest ever held {}. {}",
      FormatBytes(first.capacity), FormatBytes(peak),
      stalls > Time{} ? fmt::format("Arrays waited {} in all for room to leave their results: back-pressure.",
                                    FormatSeconds(stalls.seconds()))
                      : "No array ever waited for room: there was no back-pressure."));
  page.Figure(HeldPlot(view), "Over the first third of the decoding window above.", Provenance::kSimulated);
  HtmlTable table{.caption = "Framebuffers over the whole run",
                  .columns = {{.heading = "Card · stage", .number = false},
                              {.heading = "Slot"},
                              {.heading = "Slots in"},
                              {.heading = "Slots out"},
                              {.heading = "Peak", .provenance = Provenance::kSimulated},
                              {.heading = "Average", .provenance = Provenance::kSimulated}},
                  .rows = {}};
  std::vector<int> cards;  // used, in the order in which stages use them first
  for (size_t i = 0; i < data.run.placement.stages.size(); ++i) {
    const int card = data.run.placement.stages[i].card;
    if (std::find(cards.begin(), cards.end(), card) != cards.end()) continue;
    cards.push_back(card);
    if (cards.size() > data.run.framebuffers.size()) break;
    if (std::find(data.shown.begin(), data.shown.end(), i) == data.shown.end()) continue;
    const FramebufferStats& stats = data.run.framebuffers[cards.size() - 1];
    const double average = data.run.elapsed > Time{} ? stats.byte_seconds / data.run.elapsed.seconds() : 0;
    table.rows.push_back({StageAndCard(data, i), FormatBytes(stats.slot_bytes), fmt::format("{}", stats.slots_in),
                          fmt::format("{}", stats.slots_out), FormatBytes(stats.peak_bytes),
                          FormatBytes(static_cast<int64_t>(average))});
  }
  page.OpenFold("Each card");
  page.Table(table);
  page.CloseFold();
}

}  // namespace lodestone
