// A study on the terminal.
#include <fmt/format.h>

#include <algorithm>

#include "lab/study/columns.h"
#include "report/run_record.h"
#include "report/text_width.h"

namespace lodestone {
namespace {

constexpr size_t kWidth = 98;

std::string Wrapped(const std::string& text, const std::string& indent) {
  std::string out;
  for (const std::string& line : WrapText(text, kWidth - indent.size())) out += indent + line + '\n';
  return out;
}

std::string Measured(const StudyReport& report) {
  std::vector<StudyColumn> columns = CaseColumns(report);
  const std::vector<StudyColumn> measures = MeasureColumns(report);
  columns.insert(columns.end(), measures.begin(), measures.end());
  std::vector<std::vector<std::string>> table{{}};
  for (const StudyColumn& column : columns) table[0].push_back(column.heading);
  for (const StudyFigures& row : report.rows) {
    std::vector<std::string>& cells = table.emplace_back();
    for (const StudyColumn& column : columns) cells.push_back(column.text(row));
  }
  return RenderTable(table);
}

std::string Published(const StudyReport& report) {
  std::string text;
  if (!report.published.empty()) {
    std::vector<std::vector<std::string>> table{
        {"published", "sequence", "devices", "samples/s", "tokens/s", "TFLOP/s/device", "efficiency"}};
    std::vector<std::string> sources;
    for (const PublishedTraining& series : report.published) {
      for (const PublishedLine& line : LinesOf(series)) {
        const std::string sequence = series.sequence > 0 ? fmt::format("{}", series.sequence) : "unknown";
        table.push_back({line.system, sequence, line.devices, line.samples, line.tokens, line.tflops, line.efficiency});
      }
      if (std::find(sources.begin(), sources.end(), series.source) == sources.end()) sources.push_back(series.source);
    }
    text += "\n" + RenderTable(table);
    for (const std::string& source : sources) text += Wrapped("source: " + source, "  ");
  } else if (!report.neighbours.empty()) {
    text += "\n" + Wrapped(fmt::format("No published rate of these models at these sequences; the page and "
                                       "catalog/published have {} of their neighbours.",
                                       report.neighbours.size()),
                           "  ");
  }
  for (const PublishedUnknown& unknown : report.unavailable) {
    const bool about = std::any_of(report.rows.begin(), report.rows.end(),
                                   [&](const StudyFigures& row) { return row.result.test.model == unknown.model; });
    if (about) text += Wrapped(fmt::format("unavailable, {}: {}", unknown.model, unknown.what), "  ");
  }
  return text;
}

}  // namespace

std::string RenderStudy(const StudyReport& report) {
  std::string text;
  if (!report.plan.name.empty()) text += fmt::format("{}\n", report.plan.name);
  if (!report.plan.description.empty()) text += Wrapped(report.plan.description, "  ");
  const std::string sweep =
      report.plan.sweep == StudySweep::kNone ? "" : fmt::format(", {}", ToString(report.plan.sweep));
  text +=
      Wrapped(fmt::format("bench {}{}: {}; measured", ToString(report.plan.kind), sweep, CommonSettings(report)), "");
  text += "\n" + Measured(report) + "\n";
  for (const std::string& remark : RemarksOf(report)) text += Wrapped(remark, "  ");
  for (const std::string& definition : StudyDefinitions(report.plan)) text += Wrapped(definition, "  ");
  return text + Published(report);
}

}  // namespace lodestone
