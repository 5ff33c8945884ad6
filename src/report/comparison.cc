#include "report/comparison.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/units.h"
#include "report/measure_style.h"

namespace lodestone {
namespace {

const Measure* Find(const std::vector<Measure>& measures, std::string_view name) {
  const auto found = std::find_if(measures.begin(), measures.end(), [&](const Measure& m) { return m.name == name; });
  return found == measures.end() ? nullptr : &*found;
}

std::optional<double> ValueOf(const std::vector<Measure>& measures, std::string_view name) {
  const Measure* measure = Find(measures, name);
  return measure ? measure->value : std::nullopt;
}

std::optional<double> ValueOf(const PublishedRun& run, std::string_view name) {
  for (const PublishedFigure& figure : run.figures) {
    if (figure.name == name) return figure.value;
  }
  return std::nullopt;
}

std::string Show(std::optional<double> value, const MeasureStyle& style) {
  return value ? FormatNumber(*value * style.column_scale) : "–";
}

std::string ShowError(double found, double published) {
  const double percent = std::round((found / published - 1) * 1000) / 10;
  return percent == 0 ? "0.0 %" : fmt::format("{:+.1f} %", percent);
}

}  // namespace

std::string RenderComparison(const std::optional<std::vector<Measure>>& calibrated, const std::vector<Measure>& ideal,
                             const std::optional<PublishedRun>& published) {
  std::vector<std::vector<std::string>> rows{{""}};
  const bool ranges = calibrated && std::any_of(calibrated->begin(), calibrated->end(),
                                                [](const Measure& m) { return m.low && m.high; });
  if (ranges) rows[0].push_back("low");
  if (calibrated) rows[0].push_back("calibrated");
  if (ranges) rows[0].push_back("high");
  rows[0].push_back("ideal");
  if (published) rows[0].insert(rows[0].end(), {"published", "error"});
  for (const MeasureStyle& row : MeasureStyles()) {
    if (row.column_unit.empty()) continue;  // the same in every column
    std::vector<std::string> cells{fmt::format("{}, {}", row.label, row.column_unit)};
    const std::optional<double> first = ValueOf(calibrated ? *calibrated : ideal, row.name);
    const Measure* measure = calibrated ? Find(*calibrated, row.name) : nullptr;
    if (ranges) cells.push_back(Show(measure ? measure->low : std::nullopt, row));
    if (calibrated) cells.push_back(Show(first, row));
    if (ranges) cells.push_back(Show(measure ? measure->high : std::nullopt, row));
    cells.push_back(Show(ValueOf(ideal, row.name), row));
    if (published) {
      const std::optional<double> figure = ValueOf(*published, row.name);
      cells.push_back(Show(figure, row));
      cells.push_back(first && figure ? ShowError(*first, *figure) : "");
    }
    rows.push_back(std::move(cells));
  }
  return RenderTable(rows);
}

}  // namespace lodestone
