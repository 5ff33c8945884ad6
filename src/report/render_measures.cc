#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/units.h"
#include "report/measure_style.h"
#include "report/run_record.h"
#include "report/text_width.h"

namespace lodestone {
namespace {

using Rows = std::vector<std::vector<std::string>>;

struct Shown {
  std::string number, unit;
  std::string text() const { return number + " " + unit; }
};

std::string LabelOf(const Measure& measure) {
  const MeasureStyle* style = StyleOf(measure.name);
  return style ? std::string(style->label) : measure.name;
}

Shown Show(const Measure& measure, double value) {
  const MeasureStyle* style = StyleOf(measure.name);
  if (style && !style->unit.empty()) return {FormatNumber(value * style->scale), std::string(style->unit)};
  if (!style && measure.unit != "s") return {FormatNumber(value), measure.unit};
  const std::string time = FormatSeconds(value);
  const size_t space = time.find(' ');
  return {time.substr(0, space), time.substr(space + 1) + std::string(style ? style->per : "")};
}

const PublishedFigure* PublishedOf(const RunRecord& record, const std::string& name) {
  const auto found = std::find_if(record.published.begin(), record.published.end(),
                                  [&](const PublishedFigure& figure) { return figure.name == name; });
  return found == record.published.end() ? nullptr : &*found;
}

std::string ErrorOf(const Measure& measure, const PublishedFigure& figure) {
  if (!measure.value || figure.value == 0) return "";
  const double percent = (*measure.value / figure.value - 1) * 100;
  // Digits enough to tell a model's error; beyond a factor of ten, the percents say nothing.
  return std::abs(percent) < 1000 ? fmt::format("{:+.1f} %", percent)
                                  : fmt::format("×{:.3g}", *measure.value / figure.value);
}

std::string RangeOf(const Measure& measure) {
  if (!measure.low || !measure.high) return "";
  const Shown low = Show(measure, *measure.low), high = Show(measure, *measure.high);
  if (low.unit == high.unit) return fmt::format("{} – {} {}", low.number, high.number, high.unit);
  return fmt::format("{} – {}", low.text(), high.text());
}

// The measures as rows; `beside`: published figures and errors as columns.
Rows TableOf(const RunRecord& record, bool beside) {
  const bool ranged =
      std::any_of(record.measures.begin(), record.measures.end(), [](const Measure& m) { return m.low && m.high; });
  Rows rows{{"Measure", "Value", "Unit"}};
  if (ranged) rows[0].push_back("Range");
  rows[0].push_back("Provenance");
  if (beside) rows[0].insert(rows[0].end(), {"Published", "Error"});
  for (const Measure& measure : record.measures) {
    const Shown shown = measure.value ? Show(measure, *measure.value) : Shown{"unavailable", ""};
    std::vector<std::string> row{LabelOf(measure), shown.number, shown.unit};
    if (ranged) row.push_back(RangeOf(measure));
    row.push_back(measure.value ? std::string(ToString(measure.provenance)) : "");
    if (const PublishedFigure* figure = beside ? PublishedOf(record, measure.name) : nullptr) {
      const Shown published = Show(measure, figure->value);
      row.push_back(published.unit == shown.unit || !measure.value ? published.number : published.text());
      row.push_back(ErrorOf(measure, *figure));
    }
    rows.push_back(std::move(row));
  }
  return rows;
}

size_t WidthOf(const std::string& text) {
  size_t widest = 0;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    widest = std::max(widest, TextWidth(std::string_view(text).substr(begin, end - begin)));
    begin = end + 1;
  }
  return widest;
}

// A sentence under the table, its further lines indented.
void AddNote(std::string& out, const std::string& note, size_t width) {
  const char* indent = "  ";
  for (const std::string& line : WrapText(note, width - 4)) {
    out += indent + line + '\n';
    indent = "    ";
  }
}

std::vector<std::string> NotesOf(const RunRecord& record, bool beside) {
  std::vector<std::string> notes;
  for (const Measure& measure : record.measures) {
    if (measure.reason.empty()) continue;
    notes.push_back(fmt::format("{}: {}{}.", LabelOf(measure), measure.value ? "" : "unavailable, ", measure.reason));
  }
  for (const Measure& measure : record.measures) {
    const PublishedFigure* figure = beside ? nullptr : PublishedOf(record, measure.name);
    if (!figure) continue;
    const std::string error = ErrorOf(measure, *figure);
    notes.push_back(fmt::format("{}: published {}{}.", LabelOf(measure), Show(measure, figure->value).text(),
                                error.empty() ? "" : ", error " + error));
  }
  std::vector<std::string> sources;
  for (const PublishedFigure& figure : record.published) {
    if (std::find(sources.begin(), sources.end(), figure.source) == sources.end()) sources.push_back(figure.source);
  }
  if (!sources.empty()) notes.push_back(fmt::format("Published by {}.", fmt::join(sources, "; ")));
  return notes;
}

}  // namespace

std::string RenderMeasures(const RunRecord& record, int width) {
  const size_t columns = static_cast<size_t>(std::max(width, 40));
  const auto matches = [&](const Measure& measure) { return PublishedOf(record, measure.name) != nullptr; };
  bool beside = std::any_of(record.measures.begin(), record.measures.end(), matches);
  std::string out = RenderTable(TableOf(record, beside));
  if (beside && WidthOf(out) > columns) {
    beside = false;
    out = RenderTable(TableOf(record, beside));
  }
  const std::vector<std::string> notes = NotesOf(record, beside);
  if (!notes.empty()) out += '\n';
  for (const std::string& note : notes) AddNote(out, note, columns);
  return out;
}

}  // namespace lodestone
