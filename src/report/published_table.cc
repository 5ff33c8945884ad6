#include "report/published_table.h"

#include <fmt/format.h>

#include <array>
#include <string_view>
#include <utility>

#include "base/units.h"
#include "report/measure_style.h"
#include "report/run_record.h"
#include "report/text_width.h"

namespace lodestone {
namespace {

struct TableColumn {
  const char* name;  // of the cell
  const char* short_heading;
  const char* heading;
  const char* unit;
  double scale;
};
constexpr std::array<TableColumn, 9> kColumns{{
    {"users", "users", "Users", "mini-batch", 1},
    {"tokens_generated", "tokens", "Tokens", "generated", 1},
    {"system_throughput_tokens_per_s", "tokens/s", "System", "tokens/s", 1},
    {"throughput_tokens_per_s_per_card", "a card", "A card", "tokens/s", 1},
    {"latency_s_per_token", "ms/token", "Latency", "ms a token", 1e3},
    {"power_w_per_card", "W/card", "Power", "W a card", 1},
    {"transistors_per_card", "10⁹ tr.", "Transistors", "10⁹ a card", 1e-9},
    {"energy_metric_tokens_per_j", "tokens/J", "Energy metric", "tokens/J", 1},
    {"space_metric_tokens_per_s_per_transistor", "space", "Space metric", "tokens/s per 10⁹", 1e9},
}};

constexpr const char* kKindsNote = "q quoted, d derived from printed values, e from elsewhere.";

struct TableCell {
  std::string text;
  std::optional<FigureKind> kind;  // none: simulated, or absent
  std::string note;
};

struct TableRow {
  std::string name;
  bool simulated = false;
  std::vector<TableCell> cells;  // one a column
};

TableCell CellOf(const PublishedCell* cell, const TableColumn& column) {
  if (!cell) return {.text = "–", .kind = {}, .note = "not known"};
  return {.text = FormatNumber(cell->value * column.scale), .kind = cell->kind, .note = cell->note};
}

std::optional<double> ValueOf(const std::vector<Measure>& measures, std::string_view name) {
  for (const Measure& measure : measures) {
    if (measure.name == name) return measure.value;
  }
  return std::nullopt;
}

// The measures, and what they imply: equation 6 turned round gives the power and the transistors that they rest on.
std::optional<double> SimulatedValue(const PublishedRun& run, const std::vector<Measure>& measures,
                                     std::string_view column) {
  const auto card = ValueOf(measures, "throughput_tokens_per_s_per_card");
  const auto per = [&](const char* metric) -> std::optional<double> {
    const auto value = ValueOf(measures, metric);
    return card && value && *value > 0 ? std::optional(*card / *value) : std::nullopt;
  };
  if (column == "users") return run.users;
  if (column == "power_w_per_card") return per("energy_metric_tokens_per_j");
  if (column == "transistors_per_card") return per("space_metric_tokens_per_s_per_transistor");
  return ValueOf(measures, column);
}

std::vector<TableRow> RowsOf(const PublishedRun& run, const std::vector<Measure>& simulated) {
  std::vector<TableRow> rows;
  const PublishedCell users{
      .name = "users", .value = static_cast<double>(run.users), .kind = FigureKind::kQuoted, .note = "the mini-batch"};
  const PublishedPoint itself{.name = "", .system = "NorthPole", .meaning = "", .cells = run.cells, .ratios = {}};
  rows.push_back({.name = SystemOf(itself), .simulated = false, .cells = {}});
  for (const TableColumn& column : kColumns) {
    const bool is_users = std::string_view(column.name) == "users";
    rows.back().cells.push_back(CellOf(is_users ? &users : Find(run.cells, column.name), column));
  }
  if (!simulated.empty()) {
    rows.push_back({.name = "  simulated", .simulated = true, .cells = {}});
    for (const TableColumn& column : kColumns) {
      const std::optional<double> value = SimulatedValue(run, simulated, column.name);
      rows.back().cells.push_back({.text = value ? FormatNumber(*value * column.scale) : "–", .kind = {}, .note = ""});
    }
  }
  for (const PublishedPoint& point : run.points) {
    rows.push_back({.name = fmt::format("{}  {}", point.name, SystemOf(point)), .simulated = false, .cells = {}});
    for (const TableColumn& column : kColumns)
      rows.back().cells.push_back(CellOf(Find(point.cells, column.name), column));
  }
  return rows;
}

// How much better `a` is than `b`.
double Advantage(std::string_view measure, double a, double b) {
  return measure == "latency_s_per_token" ? b / a : a / b;
}

std::string LabelOf(const std::string& measure) {
  const MeasureStyle* style = StyleOf(measure);
  return style ? std::string(style->label) : measure;
}

std::string Times(double ratio) { return fmt::format("{:.1f}×", ratio); }

std::string Indented(const std::string& text) {
  std::string out;
  for (const std::string& line : WrapText(text, 96)) out += "  " + line + "\n";
  return out;
}

}  // namespace

std::string PublishedTableNote(const PublishedRun& run) { return fmt::format("{} {}", kKindsNote, run.points_note); }

std::vector<ComparedRatio> CompareRatios(const PublishedRun& run, const std::vector<Measure>& simulated) {
  std::vector<ComparedRatio> compared;
  for (const PublishedPoint& point : run.points) {
    for (const PublishedRatio& ratio : point.ratios) {
      const PublishedCell *ours = Find(run.cells, ratio.measure), *theirs = Find(point.cells, ratio.measure);
      if (!ours || !theirs) continue;
      const auto value = ValueOf(simulated, ratio.measure);
      compared.push_back(
          {.point = point.name,
           .measure = ratio.measure,
           .printed = ratio.value,
           .rebuilt = Advantage(ratio.measure, ours->value, theirs->value),
           .simulated = value ? std::optional(Advantage(ratio.measure, *value, theirs->value)) : std::nullopt});
    }
  }
  return compared;
}

std::string RenderPublishedTable(const PublishedRun& run, const std::vector<Measure>& simulated) {
  if (run.points.empty()) return "";
  std::vector<std::vector<std::string>> table{{""}};
  for (const TableColumn& column : kColumns) table[0].push_back(column.short_heading);
  for (const TableRow& row : RowsOf(run, simulated)) {
    table.push_back({row.name});
    for (const TableCell& cell : row.cells) {
      table.back().push_back(fmt::format("{} {}", cell.text, cell.kind ? ToString(*cell.kind)[0] : ' '));
    }
  }
  std::string text = RenderTable(table);
  text += Indented(fmt::format("{} Space: tokens/s per 10⁹ transistors.", kKindsNote));
  text += Indented(run.points_note);

  table = {{"", "NorthPole better by", "printed", "from the cells", "simulated"}};
  for (const ComparedRatio& ratio : CompareRatios(run, simulated)) {
    table.push_back({ratio.point, LabelOf(ratio.measure), Times(ratio.printed), Times(ratio.rebuilt),
                     ratio.simulated ? Times(*ratio.simulated) : "–"});
  }
  text += "\n" + RenderTable(table);
  return text;
}

HtmlTable PublishedTableHtml(const PublishedRun& run, const std::vector<Measure>& simulated) {
  HtmlTable table{.caption = "Table I of the paper with the simulated run in it", .columns = {}, .rows = {}};
  table.columns.push_back({.heading = "System", .number = false});
  for (const TableColumn& column : kColumns) table.columns.push_back({.heading = column.heading, .unit = column.unit});
  for (const TableRow& row : RowsOf(run, simulated)) {
    table.rows.push_back({HtmlCell(row.name, row.simulated ? Provenance::kSimulated : Provenance::kPublished)});
    for (const TableCell& cell : row.cells) {
      HtmlCell html(cell.kind ? fmt::format("{} {}", cell.text, ToString(*cell.kind)[0]) : cell.text);
      if (cell.kind) html.note = fmt::format("{}: {}", ToString(*cell.kind), cell.note);
      table.rows.back().push_back(std::move(html));
    }
  }
  return table;
}

HtmlTable RatiosHtml(const PublishedRun& run, const std::vector<Measure>& simulated) {
  HtmlTable table{.caption = "How many times better NorthPole is",
                  .columns = {{.heading = "Point", .number = false},
                              {.heading = "What the point is", .number = false},
                              {.heading = "By", .number = false},
                              {.heading = "Printed", .provenance = Provenance::kPublished},
                              {.heading = "From the cells", .provenance = Provenance::kPublished},
                              {.heading = "With the simulated row", .provenance = Provenance::kSimulated}},
                  .rows = {}};
  std::string last;
  const auto meaning = [&](const std::string& name) {  // once a point
    for (const PublishedPoint& point : run.points) {
      if (point.name == name && std::exchange(last, name) != name) {
        return fmt::format("{}: {}", SystemOf(point), point.meaning);
      }
    }
    return std::string();
  };
  for (const ComparedRatio& ratio : CompareRatios(run, simulated)) {
    table.rows.push_back({ratio.point, meaning(ratio.point), LabelOf(ratio.measure), Times(ratio.printed),
                          Times(ratio.rebuilt), ratio.simulated ? Times(*ratio.simulated) : "–"});
  }
  return table;
}

}  // namespace lodestone
