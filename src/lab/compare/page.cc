// The page of a comparison.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <map>

#include "base/units.h"
#include "lab/compare/compare.h"
#include "lab/compare/plots.h"
#include "report/html.h"

namespace lodestone {
namespace {

constexpr size_t kMostBatchesDrawn = 4;

std::string Counted(size_t count, const char* what) {
  return fmt::format("{} {}{}", count, what, count == 1 ? "" : "s");
}

std::string LeadOf(const ComparisonResult& result) {
  const CompareWorkload& workload = result.comparison.workload;
  std::string text = result.comparison.description;
  if (!text.empty()) text += " ";
  text += fmt::format("The workload: {} in {}, {} prompt tokens and {} generated ones a request, batches of {}.",
                      workload.model, workload.recipe, FormatNumber(static_cast<double>(workload.prompt_tokens)),
                      FormatNumber(static_cast<double>(workload.output_tokens)), fmt::join(workload.batches, ", "));
  return text;
}

std::string CensusOf(const ComparisonResult& result) {
  std::array<size_t, 4> counts{};
  size_t refused = 0;
  for (const ComparedRow& row : result.rows) {
    ++(row.ok() ? counts[std::min<size_t>(static_cast<size_t>(row.provenance), 3)] : refused);
  }
  std::vector<std::string> parts;
  for (const Provenance provenance :
       {Provenance::kMeasured, Provenance::kSimulated, Provenance::kEstimated, Provenance::kPublished}) {
    const size_t count = counts[static_cast<size_t>(provenance)];
    if (count > 0) parts.push_back(fmt::format("{} {}", count, ToString(provenance)));
  }
  std::string text = fmt::format("{}: {}", Counted(result.rows.size() - refused, "row"), fmt::join(parts, ", "));
  if (refused > 0) text += fmt::format("; {} could not be done, with the reason below", Counted(refused, "row"));
  return text + ".";
}

// The row of the workload, model and lengths alike, that is best by a figure.
const ComparedRow* BestOf(const ComparisonResult& result, std::optional<ComparedFigure> ComparedRow::*figure,
                          bool largest) {
  const CompareWorkload& workload = result.comparison.workload;
  const ComparedRow* best = nullptr;
  for (const ComparedRow& row : result.rows) {
    const bool own = row.model == workload.model && row.prompt_tokens == workload.prompt_tokens &&
                     row.output_tokens == workload.output_tokens;
    if (!row.ok() || !(row.*figure) || !own) continue;
    const double value = (row.*figure)->value;
    if (best == nullptr || (largest ? value > (best->*figure)->value : value < (best->*figure)->value)) best = &row;
  }
  return best;
}

void AddTiles(HtmlPage& page, const ComparisonResult& result) {
  const struct {
    const char* label;
    std::optional<ComparedFigure> ComparedRow::*figure;
    bool largest;
  } kTiles[] = {{"Highest throughput", &ComparedRow::system, true},
                {"Highest throughput of a device", &ComparedRow::device, true},
                {"Lowest latency", &ComparedRow::latency, false},
                {"Most tokens a joule", &ComparedRow::energy, true}};
  std::vector<HtmlTile> tiles;
  for (const auto& wanted : kTiles) {
    const ComparedRow* row = BestOf(result, wanted.figure, wanted.largest);
    if (row == nullptr) continue;
    const auto metrics = CompareMetrics();
    const CompareMetric& metric = *std::find_if(metrics.begin(), metrics.end(),
                                                [&](const CompareMetric& m) { return m.figure == wanted.figure; });
    const ComparedFigure& figure = *(row->*wanted.figure);
    HtmlTile tile{.label = wanted.label,
                  .value = FormatNumber(figure.value * metric.scale),
                  .unit = std::string(metric.unit),
                  .provenance = row->provenance,
                  .lines = {fmt::format("{}, batch {}", row->label, row->batch)}};
    if (figure.low && figure.high) {
      tile.lines.push_back(fmt::format("low – high: {} – {}", FormatNumber(*figure.low * metric.scale),
                                       FormatNumber(*figure.high * metric.scale)));
    }
    tiles.push_back(std::move(tile));
  }
  if (!tiles.empty()) page.Tiles(tiles);
}

// The workload's batches, or some of them: a drawing each.
std::vector<int> BatchesOf(const ComparisonResult& result) {
  std::vector<int> batches = result.comparison.workload.batches;
  std::sort(batches.begin(), batches.end());
  if (batches.size() <= kMostBatchesDrawn) return batches;
  // The ends, and what lies between them evenly.
  std::vector<int> some;
  for (size_t i = 0; i < kMostBatchesDrawn; ++i)
    some.push_back(batches[i * (batches.size() - 1) / (kMostBatchesDrawn - 1)]);
  return some;
}

void AddScatters(HtmlPage& page, const ComparisonResult& result) {
  page.Section("Tokens/s against watts");
  bool drawn = false;
  for (const int batch : BatchesOf(result)) {
    if (const std::optional<Svg> svg = TokensOverWatts(result, batch)) {
      page.Figure(*svg, fmt::format("Batch {}. Dotted lines join equal tokens per joule; up and to the left is better. "
                                    "Power is of all devices, on the basis that each mark names.",
                                    batch));
      drawn = true;
    }
  }
  if (!drawn) page.Paragraph("No two targets tell both their power and their throughput.");
  if (const std::optional<Svg> svg = EnergyOverLatency(result)) {
    page.Section("Energy against latency");
    page.Figure(
        *svg,
        "The energy metric over the latency, as figure 1 of the NorthPole paper (HPEC 2024) has them: latency is "
        "the batch over the throughput, prompts included. Up and to the left is better.");
  }
  if (const std::optional<Svg> svg = DeviceOverUser(result)) {
    page.Section("A device against a user");
    page.Figure(*svg,
                "What a device gives against what a user gets: 1 / TPOT, or throughput / batch where only that was "
                "published. No target is better in both than those on the grey line.");
  }
}

void AddRanges(HtmlPage& page, const ComparisonResult& result) {
  bool open = false;
  for (const int batch : BatchesOf(result)) {
    const std::optional<Svg> svg = ThroughputRanges(result, batch);
    if (!svg) continue;
    if (!open) page.Section("Throughput, low to high");
    open = true;
    page.Figure(*svg, fmt::format("Batch {}: the workload's own model, fastest first{}. Bars are from low to high: the "
                                  "spread of the factors that an estimate rests on, or the ranges of a simulation's "
                                  "constants.",
                                  batch, result.rows.size() > kMaxRangeRows ? ", at most 80 rows" : ""));
  }
}

HtmlCell CellOf(const std::optional<ComparedFigure>& figure, double scale) {
  if (!figure) return "–";
  HtmlCell cell(FormatNumber(figure->value * scale));
  cell.value = figure->value * scale;
  return cell;
}

void AddTable(HtmlPage& page, const ComparisonResult& result) {
  HtmlTable table{.caption = "Every row", .columns = {}, .rows = {}, .live = true};
  for (const char* heading : {"Target", "From", "Model", "Recipe"}) {
    table.columns.push_back({.heading = heading, .number = false});
  }
  table.columns.push_back({.heading = "Batch"});
  std::vector<const CompareMetric*> shown;  // columns that no row fills are left out
  for (const CompareMetric& metric : CompareMetrics()) {
    const bool any = std::any_of(result.rows.begin(), result.rows.end(),
                                 [&](const ComparedRow& row) { return (row.*metric.figure).has_value(); });
    if (!any) continue;
    shown.push_back(&metric);
    table.columns.push_back({.heading = std::string(metric.heading), .unit = std::string(metric.unit)});
    if (metric.figure == &ComparedRow::system) table.columns.push_back({.heading = "Low – high", .unit = "tokens/s"});
  }
  table.columns.push_back({.heading = "Power basis", .number = false});
  table.columns.push_back({.heading = "Source and notes", .number = false});
  for (const ComparedRow& row : result.rows) {
    if (!row.ok()) continue;
    std::vector<HtmlCell> cells{row.label, HtmlCell(KindOf(row)), row.model, row.recipe};
    cells.push_back(row.batch > 0 ? HtmlCell(fmt::format("{}", row.batch)) : HtmlCell("–"));
    if (row.batch > 0) cells.back().value = row.batch;
    for (const CompareMetric* metric : shown) {
      const std::optional<ComparedFigure>& figure = row.*metric->figure;
      cells.push_back(CellOf(figure, metric->scale));
      if (metric->figure != &ComparedRow::system) continue;
      cells.push_back("–");
      if (figure && figure->low && figure->high) {
        cells.back() = fmt::format("{} – {}", FormatNumber(*figure->low), FormatNumber(*figure->high));
        cells.back().value = *figure->low;
      }
    }
    cells.push_back(row.watts || row.energy ? row.power_basis : "");
    cells.push_back(row.note.empty() ? row.source : fmt::format("{}. {}", row.source, row.note));
    table.rows.push_back(std::move(cells));
  }
  page.Section("All figures");
  page.Table(table);
}

// Of the rows that have a roofline.
std::vector<const ComparedRow*> FastestOfPlatforms(const ComparisonResult& result, int batch) {
  std::map<std::string, const ComparedRow*> fastest;
  for (const ComparedRow& row : result.rows) {
    if (row.batch != batch || !row.system || !RooflineOf(row)) continue;
    const ComparedRow*& known = fastest[row.platform];
    if (known == nullptr || row.system->value > known->system->value) known = &row;
  }
  std::vector<const ComparedRow*> rows;
  for (const auto& [platform, row] : fastest) rows.push_back(row);
  return rows;
}

void AddInside(HtmlPage& page, const ComparisonResult& result) {
  const std::vector<int> batches = BatchesOf(result);
  if (const std::optional<Svg> svg = MemoryOfDevices(result, batches.back())) {
    page.Section("Memory");
    page.Figure(*svg, "What lies in the memory of the fullest device, as a share of what it holds.");
  }
  bool open = false;
  for (const bool decode : {true, false}) {
    const int batch = decode ? batches.front() : batches.back();
    const std::optional<Svg> svg = TimeOfOperators(result, batch, decode);
    if (!svg) continue;
    if (!open) page.Section("Where the time goes");
    open = true;
    page.Figure(*svg,
                decode ? "A step that gives every request of the batch one token, in the middle of the output; behind "
                         "the bar its time."
                       : "A step that reads prompts; behind the bar its time.");
  }
  const std::optional<Svg> common = CommonRoofline(result);
  if (!common) return;
  page.Section("Roofline");
  page.Figure(
      *common,
      "Whole steps of every estimate. Each device is scaled to its own peak and ridge point, so that one roof is "
      "all of theirs; the distance to it is what factors, small matrices and overheads take.",
      Provenance::kEstimated);
  for (const ComparedRow* row : FastestOfPlatforms(result, batches.back())) {
    page.OpenFold(fmt::format("Operators of {}, batch {}", row->label, row->batch));
    page.Figure(*RooflineOf(*row), "Operators as marks: operations a byte against operations a second of one device.",
                row->provenance);
    page.CloseFold();
  }
}

void AddRefused(HtmlPage& page, const ComparisonResult& result) {
  HtmlTable table{
      .caption = "Rows without figures",
      .columns = {{.heading = "Target", .number = false}, {.heading = "Batch"}, {.heading = "Reason", .number = false}},
      .rows = {}};
  for (const ComparedRow& row : result.rows) {
    if (!row.ok()) table.rows.push_back({row.label, fmt::format("{}", row.batch), row.reason});
  }
  if (table.rows.empty()) return;
  page.Section("What could not be done");
  page.Table(table);
}

}  // namespace

std::string ComparePage(const ComparisonResult& result,
                        const std::vector<std::pair<std::string, std::string>>& environment) {
  HtmlPage page(result.comparison.name, LeadOf(result));
  page.Paragraph(CensusOf(result));
  AddTiles(page, result);
  const HtmlPage::Attachment attachments[] = {{"comparison.csv", "text/csv;charset=utf-8", CompareCsv(result)},
                                              {"comparison.json", "application/json", ToJson(result).Dump()}};
  page.Downloads(attachments);
  AddScatters(page, result);
  AddRanges(page, result);
  AddInside(page, result);
  AddTable(page, result);
  AddRefused(page, result);
  page.Section("How to read this page");
  page.List(std::vector<std::string>{
      "Measured is by a clock or counter on this host, simulated by the event model of the cards, estimated by a "
      "roofline "
      "with factors, published by a named source. Marks are filled where somebody measured, hollow where a model "
      "speaks.",
      "Tokens are generated tokens. Power is of all devices without their host unless its basis says otherwise; a data "
      "sheet's limit is not what a device draws, so tokens/J on that basis are low.",
      "Published figures of other models, lengths or software are no evidence for or against a row of this workload.",
      "Rest on a mark, or go to it with the tab and arrow keys, to see what it is and where it comes from; figures are "
      "in "
      "the table too."});
  if (!environment.empty()) page.Table(EnvironmentTable(environment));
  return std::move(page).Finish();
}

}  // namespace lodestone
