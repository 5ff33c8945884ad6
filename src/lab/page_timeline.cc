#include <fmt/format.h>

#include <algorithm>

#include "base/units.h"
#include "lab/page_data.h"
#include "report/svg_bars.h"

namespace lodestone {
namespace {

constexpr int kFollowed = 1, kOthers = 5, kPrompts = 2, kStalls = 6, kHost = 8;  // colours

Gantt ChartOf(const PageData& data, const RunView& view, size_t window) {
  const int groups = std::max(1, std::min(data.options.users, data.options.micro_batches));
  Gantt gantt{.title = window == 0 ? "The first prompts enter the cards" : "Decoding in the middle of the run",
              .description = "A row a stage, spans where its array works, and a row for the host.",
              .rows = {},
              .spans = {},
              .legend = {},
              .from = view.window(window).from,
              .to = view.window(window).to};
  std::vector<int> row_of(data.run.placement.stages.size(), -1);
  for (size_t i = 0; i < data.shown.size(); ++i) {
    const size_t stage = data.shown[i];
    if (i > 0 && stage != data.shown[i - 1] + 1) gantt.rows.push_back("⋮");
    row_of[stage] = static_cast<int>(gantt.rows.size());
    gantt.rows.push_back(StageAndCard(data, stage));
  }
  const int host_row = static_cast<int>(gantt.rows.size());
  gantt.rows.push_back("host");
  bool stalls = false, decodes = false, prompts = false;
  for (const ViewedSpan& span : view.spans(window)) {
    const int row = span.stage < 0 ? host_row : row_of[static_cast<size_t>(span.stage)];
    if (row < 0) continue;
    const auto group = static_cast<int>(span.pass % static_cast<uint64_t>(groups));
    int colour = group == 0 ? kFollowed : kOthers;
    if (span.kind == ViewedSpan::Kind::kStall) colour = kStalls;
    if (span.kind == ViewedSpan::Kind::kHost && group != 0) colour = kHost;
    if (span.kind == ViewedSpan::Kind::kPrefill && group != 0) colour = kPrompts;
    stalls = stalls || span.kind == ViewedSpan::Kind::kStall;
    decodes = decodes || (span.kind == ViewedSpan::Kind::kDecode && group != 0);
    prompts = prompts || (span.kind == ViewedSpan::Kind::kPrefill && group != 0);
    const bool numbered = span.kind == ViewedSpan::Kind::kDecode || span.kind == ViewedSpan::Kind::kPrefill;
    gantt.spans.push_back({.row = row,
                           .start = span.start,
                           .finish = span.finish,
                           .colour = colour,
                           .label = numbered ? fmt::format("{}", group + 1) : ""});
  }
  gantt.legend.push_back({.name = "micro-batch 1", .colour = kFollowed});
  if (decodes) gantt.legend.push_back({.name = "the other micro-batches", .colour = kOthers});
  if (prompts) gantt.legend.push_back({.name = "prompt chunks of others", .colour = kPrompts});
  if (stalls) gantt.legend.push_back({.name = "stall: no room to leave", .colour = kStalls});
  gantt.legend.push_back({.name = "host turn-around", .colour = kHost});
  return gantt;
}

// The stages, busiest first, with what they did when they did not work.
HtmlTable OccupancyTable(const PageData& data) {
  HtmlTable table{.caption = "What the stages did over the whole run",
                  .columns = {{.heading = "Card · stage", .number = false},
                              {.heading = "Busy", .unit = "%"},
                              {.heading = "Waits for gathers", .unit = "%"},
                              {.heading = "Stalls", .unit = "%"},
                              {.heading = "Idle", .unit = "%"},
                              {.heading = "Passes"},
                              {.heading = "In"},
                              {.heading = "Out"}},
                  .rows = {}};
  for (auto& column : table.columns) {
    if (column.unit == "%") column.provenance = Provenance::kSimulated;
  }
  const double elapsed = data.run.elapsed.seconds();
  for (const size_t i : data.shown) {
    const StageStats& stage = data.run.stages[i];
    const auto share = [&](Time time) { return elapsed > 0 ? time.seconds() / elapsed * 100 : 0; };
    const double busy = share(stage.busy), gathers = share(stage.gathers), stalls = share(stage.stalls);
    table.rows.push_back(
        {StageAndCard(data, i), fmt::format("{:.1f}", busy), fmt::format("{:.1f}", gathers),
         fmt::format("{:.1f}", stalls), fmt::format("{:.1f}", std::max(0.0, 100 - busy - gathers - stalls)),
         FormatNumber(static_cast<double>(stage.passes)), FormatBytes(stage.bytes_in), FormatBytes(stage.bytes_out)});
  }
  return table;
}

}  // namespace

void AddTimeline(HtmlPage& page, const PageData& data, const RunView& view) {
  page.Section("The pipeline over time");
  page.Figure(Render(ChartOf(data, view, 1)),
              fmt::format("Decoding from {} on, {} of it. A span is a micro-batch on a stage; the number is the "
                          "micro-batch's. Empty room is idle time.{}",
                          FormatSeconds(view.window(1).from.seconds()),
                          FormatSeconds((view.window(1).to - view.window(1).from).seconds()), ShownNote(data)),
              Provenance::kSimulated);
  page.Figure(Render(ChartOf(data, view, 0)),
              fmt::format("The first {}: chunks of at most {} prompt tokens fill the chain.{}",
                          FormatSeconds(view.window(0).to.seconds()), data.options.prefill_chunk, ShownNote(data)),
              Provenance::kSimulated);
  page.OpenFold("How busy each stage is");
  page.Table(OccupancyTable(data));
  page.CloseFold();
}

}  // namespace lodestone
