#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/units.h"
#include "lab/page_data.h"
#include "report/svg_bars.h"

namespace lodestone {
namespace {

constexpr size_t kMostBars = 16;

// "128", "400×10⁶": figures of hardware span many orders.
std::string Compact(double value) {
  return std::abs(value) < 1e6 ? FormatNumber(value) : FormatNumber(value / 1e6) + "×10⁶";
}

// Without the parts of the machine that all constants share.
std::string ShortName(const std::string& figure) { return figure.substr(figure.rfind('.') + 1); }

double EffectOf(const SensitivityEnd& end, double typical, double Outcome::*outcome) {
  return end.outcome && typical > 0 ? ((*end.outcome).*outcome / typical - 1) * 100 : 0;
}

// The constants that move one outcome most, the strongest first.
Svg TornadoOf(const Sensitivity& sensitivity, const char* title, const char* axis, double Outcome::*outcome) {
  Tornado tornado{.title = title,
                  .description = "A bar a constant: the change at the low and at the high end of its range.",
                  .axis = axis,
                  .bars = {}};
  const double typical = sensitivity.typical.*outcome;
  for (const SensitivityRow& row : sensitivity.rows) {
    tornado.bars.push_back(
        {.label = ShortName(row.figure.name),
         .at_low = EffectOf(row.low, typical, outcome),
         .at_high = EffectOf(row.high, typical, outcome),
         .tip = fmt::format("{}: {} to {}", row.figure.name, Compact(row.low.value), Compact(row.high.value))});
  }
  const auto strength = [](const Tornado::Bar& bar) { return std::max(std::abs(bar.at_low), std::abs(bar.at_high)); };
  std::stable_sort(tornado.bars.begin(), tornado.bars.end(),
                   [&](const Tornado::Bar& a, const Tornado::Bar& b) { return strength(a) > strength(b); });
  const auto weak = std::find_if(tornado.bars.begin(), tornado.bars.end(),
                                 [&](const Tornado::Bar& bar) { return strength(bar) < 0.05; });
  tornado.bars.erase(weak, tornado.bars.end());
  if (tornado.bars.size() > kMostBars) tornado.bars.resize(kMostBars);
  return Render(tornado);
}

std::string Change(const SensitivityEnd& end, double typical, double Outcome::*outcome) {
  if (!end.outcome) return "refused";
  return fmt::format("{:+.1f}", EffectOf(end, typical, outcome));
}

HtmlTable SensitivityTable(const Sensitivity& sensitivity) {
  HtmlTable table{.caption = "What each end of a constant's range changes, in %",
                  .columns = {{.heading = "Constant", .number = false},
                              {.heading = "Low"},
                              {.heading = "High"},
                              {.heading = "Throughput", .unit = "at low"},
                              {.heading = "Throughput", .unit = "at high"},
                              {.heading = "Prompt time", .unit = "at low"},
                              {.heading = "Prompt time", .unit = "at high"},
                              {.heading = "J a token", .unit = "at low"},
                              {.heading = "J a token", .unit = "at high"}},
                  .rows = {}};
  const Outcome& typical = sensitivity.typical;
  for (const SensitivityRow& row : sensitivity.rows) {
    std::vector<HtmlCell> cells{row.figure.name, Compact(row.low.value), Compact(row.high.value)};
    for (const auto outcome : {&Outcome::tokens_per_s, &Outcome::prompt_s, &Outcome::joules_per_token}) {
      for (const SensitivityEnd* end : {&row.low, &row.high}) {
        cells.push_back(HtmlCell(Change(*end, typical.*outcome, outcome), {}, end->reason));
      }
    }
    table.rows.push_back(std::move(cells));
  }
  return table;
}

std::string Rate(double bytes_per_s) { return fmt::format("{} GB/s", FormatNumber(bytes_per_s / 1e9)); }

}  // namespace

void AddSensitivity(HtmlPage& page, const PageData& data) {
  if (!data.repeated) {
    page.Section("Sensitivity");
    page.Paragraph(
        fmt::format("Left out, as are the ranges of the measures: a run of {} tokens is too long to be repeated for "
                    "every constant. "
                    "Fewer tokens a user tell as much.",
                    FormatNumber(static_cast<double>(data.run.tokens))));
    return;
  }
  if (!data.sensitivity || data.sensitivity->rows.empty()) return;
  page.Section("Sensitivity");
  page.Paragraph(
      "One constant without a source at a time goes to the ends of its range, the others stay. The fit is not "
      "repeated, so this shows what each constant is worth, not how well the run of HPEC 2024 fixes it: its one total "
      "cannot tell prompt and decode time apart, nor the start of an operator from what overlaps it.");
  page.Figure(TornadoOf(*data.sensitivity, "Effect on throughput", "Change of throughput, %", &Outcome::tokens_per_s),
              "The constants that move throughput most. Those that move it by less than 0.05 % are left out.",
              Provenance::kSimulated);
  page.Figure(
      TornadoOf(*data.sensitivity, "Effect on energy", "Change of energy a token, %", &Outcome::joules_per_token),
      "The constants that move the energy of a token most.", Provenance::kSimulated);
  page.OpenFold("All constants");
  page.Table(SensitivityTable(*data.sensitivity));
  page.CloseFold();
}

void AddLinks(HtmlPage& page, const PageData& data) {
  const Links links = Links::Of(data.options.spec, data.options.transfers);
  page.Section("Links");
  page.Paragraph(data.options.transfers == Transfers::kDirect
                     ? "Tensors go from card to card directly; DMA works beside the array."
                     : "Tensors go from card to card through the host's memory; DMA works beside the array.");
  HtmlTable table{.caption = "Links between cards, host and servers",
                  .columns = {{.heading = "What", .number = false}, {.heading = "Value"}},
                  .rows = {}};
  table.rows.push_back({"A card's link, each direction", Rate(links.bytes_per_s)});
  table.rows.push_back({"Latency of a transfer", FormatSeconds(links.latency.seconds())});
  if (links.cards_per_switch > 0 && links.uplink_bytes_per_s > 0) {
    table.rows.push_back({fmt::format("Uplink that {} cards of a switch share, each direction", links.cards_per_switch),
                          Rate(links.uplink_bytes_per_s)});
  }
  if (links.network_bytes_per_s > 0) {
    table.rows.push_back({"Network of a server, each direction", Rate(links.network_bytes_per_s)});
    table.rows.push_back({"Latency of the network", FormatSeconds(links.network_latency.seconds())});
  }
  if (links.transfers == Transfers::kHost) {
    table.rows.push_back({"Software of a transfer through host memory", FormatSeconds(links.host_transfer.seconds())});
  }
  table.rows.push_back({"Host turn-around, once a pass", FormatSeconds(links.host_turnaround.seconds())});
  table.rows.push_back({"Energy of a byte that enters or leaves a card",
                        fmt::format("{} pJ", FormatNumber(static_cast<double>(links.link_energy_per_byte.pj)))});
  page.Table(table);
}

void AddAssumptions(HtmlPage& page, const PageData& data) {
  page.Section("What the figures rest on");
  page.Paragraph(
      "No source gives these constants. Each has a reason and a range; everything else comes from papers and data "
      "sheets.");
  HtmlTable table{.caption = "Constants without a source",
                  .columns = {{.heading = "Constant", .number = false},
                              {.heading = "Value"},
                              {.heading = "Range"},
                              {.heading = "How", .number = false},
                              {.heading = "Reason", .number = false}},
                  .rows = {}};
  for (const NamedFigure& named : FiguresOf(data.options.spec)) {
    if (!RestsOnNoSource(named.figure)) continue;
    if (data.options.fidelity == Fidelity::kIdeal && IdealIgnores(named.name)) continue;
    const Figure& figure = named.figure;
    const std::string range =
        figure.low && figure.high ? fmt::format("{} – {}", Compact(*figure.low), Compact(*figure.high)) : "–";
    table.rows.push_back({named.name, Compact(figure.value), range, std::string(ToString(figure.source)), figure.note});
  }
  page.Table(table);
  page.Heading("How to read this page");
  page.List(
      std::vector<std::string>{"Measured is by a clock or counter on this host, simulated by the event model of the "
                               "cards, estimated by arithmetic "
                               "on sizes, published by a named source.",
                               "Cycles are exact for a mapping: the chip has no data-dependent branch, so an "
                               "operator's time is a function of its "
                               "shape, its formats and its place on the cores.",
                               "Units of 1,024 are written KiB and MiB, units of 1,000 kB and MB.",
                               "The same input gives the same page, byte for byte."});
}

}  // namespace lodestone
