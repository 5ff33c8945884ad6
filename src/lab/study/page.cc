// A study as one HTML page.
#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "lab/study/columns.h"
#include "report/html.h"
#include "report/svg_plot.h"

namespace lodestone {
namespace {

struct Curve {
  std::string x_label, y_label;
  double (*x)(const StudyFigures& row);
  std::optional<double> (*y)(const StudyFigures& row);
  std::string (*series)(const StudyFigures& row);
};

std::optional<double> TeraOfStep(const StudyFigures& row) {
  return row.step ? std::optional(row.step->dense_flops * 1e-12) : std::nullopt;
}
std::string NameOf(const StudyFigures& row) {
  const StudyCase& test = row.result.test;
  return fmt::format("{} {}", test.model == kBlockModel ? fmt::format("h {}", test.config.hidden) : test.model,
                     test.recipe);
}

std::optional<Curve> CurveOf(StudySweep sweep) {
  switch (sweep) {
    case StudySweep::kNone:
      return std::nullopt;
    case StudySweep::kSequence:
      return Curve{"Positions of a sequence", "TFLOP/s",
                   [](const StudyFigures& r) { return static_cast<double>(r.result.test.sequence); }, TeraOfStep,
                   NameOf};
    case StudySweep::kGas:
      return Curve{"Micro-batches a step", "TFLOP/s",
                   [](const StudyFigures& r) { return static_cast<double>(r.result.test.accumulation); }, TeraOfStep,
                   NameOf};
    case StudySweep::kRanks:
      return Curve{"Ranks", "Efficiency", [](const StudyFigures& r) { return static_cast<double>(r.result.ranks); },
                   [](const StudyFigures& r) { return r.efficiency; }, [](const StudyFigures& r) { return r.scaling; }};
    case StudySweep::kSparsity:
      return Curve{"Sparsity S", "Times as fast as dense", [](const StudyFigures& r) { return r.result.sparsity; },
                   [](const StudyFigures& r) {
                     const bool dense = r.result.test.sparsity.pattern == SparsityPattern::kNone;
                     return dense && r.ok() ? std::optional(1.0) : r.step_speedup;
                   },
                   [](const StudyFigures& r) { return std::string(ToString(r.result.test.sparsity.pattern)); }};
  }
  return std::nullopt;
}

void AddPlot(HtmlPage& page, const StudyReport& report) {
  const std::optional<Curve> curve = CurveOf(report.plan.sweep);
  if (!curve) return;
  std::map<std::string, PlotSeries> by_name;
  for (const StudyFigures& row : report.rows) {
    const std::optional<double> y = row.ok() ? curve->y(row) : std::nullopt;
    if (!y) continue;
    PlotSeries& series = by_name[curve->series(row)];
    series.name = curve->series(row);
    series.line = true;
    series.points.push_back({.x = curve->x(row), .y = *y});
  }
  XyPlot plot{.title = fmt::format("{} over {}", curve->y_label, curve->x_label),
              .description = "One line a series of runs that differ in this alone.",
              .x = {.label = curve->x_label},
              .y = {.label = curve->y_label, .low = 0.0},
              .series = {}};
  for (auto& [name, series] : by_name) plot.series.push_back(std::move(series));
  page.Figure(Render(plot), "One line a series of runs that differ in this alone.", Provenance::kMeasured);
}

HtmlTable MeasuredTable(const StudyReport& report) {
  HtmlTable table{.caption = "Measured on this host", .columns = {}, .rows = {}};
  table.columns.push_back({.heading = "run", .number = false});
  const std::vector<StudyColumn> cases = CaseColumns(report), measures = MeasureColumns(report);
  for (const StudyColumn& column : cases) table.columns.push_back({.heading = column.heading, .unit = column.unit});
  for (const StudyColumn& column : measures) {
    table.columns.push_back({.heading = column.heading, .unit = column.unit, .provenance = Provenance::kMeasured});
  }
  for (size_t i = 0; i < report.rows.size(); ++i) {
    std::vector<HtmlCell> cells{fmt::format("{}", i + 1)};
    for (const StudyColumn& column : cases) cells.emplace_back(column.text(report.rows[i]));
    for (const StudyColumn& column : measures) cells.emplace_back(column.text(report.rows[i]));
    table.rows.push_back(std::move(cells));
  }
  return table;
}

HtmlTable PublishedRows(const std::string& caption, const std::vector<PublishedTraining>& all) {
  HtmlTable table{.caption = caption, .columns = {}, .rows = {}};
  table.columns.push_back({.heading = "system", .number = false});
  for (const char* heading : {"model", "sequence", "devices"}) table.columns.push_back({.heading = heading});
  for (const auto& [heading, unit] : {std::pair{"rate", "samples/s"}, std::pair{"rate", "tokens/s"},
                                      std::pair{"a device", "TFLOP/s"}, std::pair{"efficiency", ""}}) {
    table.columns.push_back({.heading = heading, .unit = unit, .provenance = Provenance::kPublished});
  }
  table.columns.push_back({.heading = "note and source", .number = false});
  for (const PublishedTraining& series : all) {
    for (const PublishedLine& line : LinesOf(series)) {
      const std::string sequence = series.sequence > 0 ? fmt::format("{}", series.sequence) : "unknown";
      table.rows.push_back({line.system, series.model, sequence, line.devices, line.samples, line.tokens, line.tflops,
                            line.efficiency, fmt::format("{}. {}", line.note, series.source)});
    }
  }
  return table;
}

}  // namespace

std::string StudyPage(const StudyReport& report) {
  const StudyPlan& plan = report.plan;
  const std::string title = plan.name.empty() ? fmt::format("bench {}", ToString(plan.kind)) : plan.name;
  HtmlPage page(title,
                fmt::format("{}{}{}.", plan.description, plan.description.empty() ? "" : " ", CommonSettings(report)));
  page.Section("Results");
  AddPlot(page, report);
  page.Table(MeasuredTable(report));
  const std::vector<std::string> remarks = RemarksOf(report);
  if (!remarks.empty()) page.List(remarks);
  page.Section("Definitions");
  page.List(StudyDefinitions(plan));
  page.Section("Published");
  if (!report.published.empty()) {
    page.Table(PublishedRows("The same model and sequence, or the sequence not printed", report.published));
  }
  if (!report.neighbours.empty()) {
    page.Table(PublishedRows("Other sequences and other models of the family", report.neighbours));
  }
  page.Note("The first and the last point of a series. TFLOP/s a device by the formula above from the printed rate.");
  std::vector<std::string> unknown;
  for (const PublishedUnknown& one : report.unavailable) {
    unknown.push_back(fmt::format("Unavailable, {}: {}", one.model, one.what));
  }
  if (!unknown.empty()) page.List(unknown);
  page.Section("Environment");
  std::vector<std::string> environment;
  for (const auto& [key, value] : report.environment) environment.push_back(fmt::format("{}: {}", key, value));
  page.List(environment);
  return std::move(page).Finish();
}

}  // namespace lodestone
