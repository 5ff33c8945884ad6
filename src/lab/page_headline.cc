#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <string_view>

#include "base/units.h"
#include "lab/page_data.h"
#include "report/measure_style.h"
#include "report/published_figures.h"
#include "report/published_table.h"

namespace lodestone {
namespace {

const Measure* Find(const std::vector<Measure>& measures, std::string_view name) {
  for (const Measure& measure : measures) {
    if (measure.name == name) return &measure;
  }
  return nullptr;
}

std::string Percent(double found, double published) {
  const double percent = std::round((found / published - 1) * 1000) / 10;
  return percent == 0 ? "0.0 %" : fmt::format("{:+.1f} %", percent);
}

// The unit in which a column of one measure is written, and the factor to it.
struct ShownUnit {
  std::string_view name;
  double scale;
};
ShownUnit UnitOf(const Measure& measure) {
  const MeasureStyle* style = StyleOf(measure.name);
  if (style && !style->column_unit.empty()) return {style->column_unit, style->column_scale};
  return {measure.unit, 1};
}

std::string LabelOf(const Measure& measure) {
  const MeasureStyle* style = StyleOf(measure.name);
  return style ? std::string(style->label) : measure.name;
}

std::string Show(const std::optional<double>& value, const ShownUnit& unit) {
  return value ? FormatNumber(*value * unit.scale) : "–";
}

std::string Range(const Measure& measure, const ShownUnit& unit) {
  if (!measure.low || !measure.high) return "–";
  return fmt::format("{} – {}", Show(measure.low, unit), Show(measure.high, unit));
}

HtmlTile TileOf(const PageData& data, const Measure& measure) {
  const ShownUnit unit = UnitOf(measure);
  HtmlTile tile{.label = LabelOf(measure),
                .value = Show(measure.value, unit),
                .unit = std::string(unit.name),
                .provenance = measure.provenance};
  if (measure.low && measure.high) tile.lines.push_back("range " + Range(measure, unit));
  const PublishedCell* cell = data.published ? Find(data.published->cells, measure.name) : nullptr;
  if (cell && measure.value) {
    tile.lines.push_back(
        fmt::format("published {}, {}", FormatNumber(cell->value * unit.scale), Percent(*measure.value, cell->value)));
  }
  return tile;
}

HtmlTable MeasuresTable(const PageData& data) {
  HtmlTable table{.caption = "The measures",
                  .columns = {{.heading = "Measure", .number = false},
                              {.heading = "Unit", .number = false},
                              {.heading = data.options.fidelity == Fidelity::kIdeal ? "Ideal" : "Calibrated",
                               .provenance = Provenance::kSimulated},
                              {.heading = "Range"},
                              {.heading = "Rates alone", .provenance = Provenance::kSimulated}},
                  .rows = {}};
  if (data.published) {
    table.columns.push_back({.heading = "Published", .provenance = Provenance::kPublished});
    table.columns.push_back({.heading = "Error"});
  }
  for (const Measure& measure : data.measures) {
    const ShownUnit unit = UnitOf(measure);
    const Measure* ideal = Find(data.ideal, measure.name);
    std::vector<HtmlCell> row{LabelOf(measure), std::string(unit.name),
                              HtmlCell(Show(measure.value, unit), {}, measure.reason), Range(measure, unit),
                              ideal ? Show(ideal->value, unit) : "–"};
    if (const PublishedCell* cell = data.published ? Find(data.published->cells, measure.name) : nullptr) {
      const std::string how =
          cell->note.empty() ? ToString(cell->kind) : fmt::format("{}: {}", ToString(cell->kind), cell->note);
      row.push_back(HtmlCell(FormatNumber(cell->value * unit.scale), {}, how));
      row.push_back(measure.value && cell->value > 0 ? Percent(*measure.value, cell->value) : "–");
    }
    table.rows.push_back(std::move(row));
  }
  return table;
}

// The share of the decoding window in which the host's software works on transfers, one at a time.
double HostShare(const PageData& data, const RunView& view) {
  const Links links = Links::Of(data.options.spec, data.options.transfers);
  const TimeWindow& window = view.window(1);
  if (data.options.transfers != Transfers::kHost || window.to <= window.from) return 0;
  Time busy;
  for (const ViewedSpan& span : view.spans(1)) {
    if (span.kind != ViewedSpan::Kind::kHost || span.finish - span.start != links.host_transfer) continue;
    busy += std::min(span.finish, window.to) - std::max(span.start, window.from);
  }
  return busy.seconds() / (window.to - window.from).seconds();
}

// What sets the pace of decoding, and what would change it.
std::string PaceSentence(const PageData& data, const RunView& view, double turns) {
  const int groups = std::min(data.options.users, data.options.micro_batches);
  if (const double share = HostShare(data, view); share > 0.9) {
    return fmt::format(
        "The pace is the host's: its software, which serves one transfer between cards at a time, "
        "is busy {:.0f} % of the time.",
        std::min(share, 1.0) * 100);
  }
  if (turns <= 1.05 * groups) {
    return "So the chain is full: the slowest stage sets the pace, and the way through the others is hidden behind it.";
  }
  return fmt::format(
      "So the chain is not full: a token's way through all stages, the links and the host takes longer than the turns "
      "of "
      "the micro-batches, and {} would fill the gaps.",
      groups < data.options.users ? "more micro-batches of fewer users each" : "more users");
}

// What keeps the cards from being faster.
std::string BoundSentence(const PageData& data, const RunView& view) {
  const Time slowest = data.decode_costs[data.slowest].time;
  const int groups = std::min(data.options.users, data.options.micro_batches);
  const double busy =
      data.run.elapsed > Time{} ? data.run.stages[data.slowest].busy.seconds() / data.run.elapsed.seconds() * 100 : 0;
  std::string text = fmt::format(
      "While users decode, a micro-batch keeps the slowest stage, {}, busy for {}; over the whole run that stage works "
      "{:.0f} % of the time. ",
      data.run.placement.stages[data.slowest].stage.label, FormatSeconds(slowest.seconds()), busy);
  const double round = data.run.run.itl_s.value_or(0);
  if (round <= 0 || slowest <= Time{}) return text;
  const double turns = round / slowest.seconds();
  text += fmt::format("A user's next token comes {} after the last, the time of {} turns of that stage, and {}. ",
                      FormatSeconds(round), FormatNumber(turns),
                      groups == 1 ? "there is one micro-batch" : fmt::format("{} micro-batches take turns", groups));
  return text + PaceSentence(data, view, turns);
}

}  // namespace

void AddHeadline(HtmlPage& page, const PageData& data, const RunView& view) {
  page.Section("Results");
  std::vector<HtmlTile> tiles;
  for (const char* name : {"system_throughput_tokens_per_s", "latency_s_per_token", "energy_metric_tokens_per_j",
                           "space_metric_tokens_per_s_per_transistor", "ttft_s", "itl_s"}) {
    const Measure* measure = Find(data.measures, name);
    if (measure && measure->value) tiles.push_back(TileOf(data, *measure));
  }
  page.Tiles(tiles);
  page.Paragraph(BoundSentence(data, view));
  page.Table(MeasuresTable(data));
  page.Note(
      "Latency is the mean time between output tokens of one user with the prompts spread over them (HPEC 2024, "
      "equation 4); the time between tokens leaves the prompts out. The range has every constant without a source at "
      "the "
      "end that is worse and at the end that is better. Rates alone has nothing fitted: a bound, not a forecast. "
      "Energy "
      "counts the cards alone.");
  if (data.run.placement.instances > 1) {
    page.Paragraph(
        fmt::format("The figures are those of one instance on {} cards; {} such instances fit the {} cards side by "
                    "side, each with its "
                    "own users.",
                    data.run.placement.cards_used, data.run.placement.instances, data.run.placement.cards));
  }
}

void AddPublished(HtmlPage& page, const PageData& data) {
  if (!data.published) return;
  page.Section("Published beside simulated");
  page.Paragraph(fmt::format("{}: {}.", data.published->title, data.published->source));
  page.Paragraph(data.published->evidence);
  if (data.published->points.empty()) return;
  page.Table(PublishedTableHtml(*data.published, data.measures));
  page.Note(PublishedTableNote(*data.published));
  page.Table(RatiosHtml(*data.published, data.measures));
  page.Heading("Figures 1 and 2 redrawn");
  page.Paragraph(
      fmt::format("The simulated curve is the same workload with 1 to {} users in at most {} micro-batches, all "
                  "constants untouched. "
                  "The paper's curves over all batch sizes of the GPUs are not known; its four named points are drawn.",
                  data.points.empty() ? data.options.users : data.points.back().users, data.options.micro_batches));
  for (const RedrawnFigure& figure : RedrawFigures(*data.published, data.points)) {
    page.Figure(figure.svg, figure.caption);
  }
}

}  // namespace lodestone
