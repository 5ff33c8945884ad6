#include "report/published.h"

#include <fmt/format.h>

#include <limits>

#include "base/catalog.h"

namespace lodestone {
namespace {

constexpr int64_t kMaxCount = 1'000'000'000;

Result<PublishedCell> ReadCell(const Json& entry, const std::string& file, const std::string& path) {
  ObjectReader reader(entry, file, path);
  PublishedCell cell;
  cell.name = reader.RequireString("name");
  cell.value = reader.RequireNumber("value", 0, std::numeric_limits<double>::max());
  reader.RequireString("unit");
  const std::optional<FigureKind> kind = ParseFigureKind(reader.RequireString("kind"));
  cell.note = reader.OptionalString("note", "");
  if (!kind) reader.Fail("kind", "expected \"quoted\", \"derived\" or \"elsewhere\"");
  LODESTONE_RETURN_IF_ERROR(reader.Finish());
  cell.kind = *kind;
  return cell;
}

Result<PublishedRatio> ReadRatio(const Json& entry, const std::string& file, const std::string& path) {
  ObjectReader reader(entry, file, path);
  PublishedRatio ratio;
  ratio.measure = reader.RequireString("measure");
  ratio.value = reader.RequireNumber("value", 0, std::numeric_limits<double>::max());
  LODESTONE_RETURN_IF_ERROR(reader.Finish());
  return ratio;
}

// The tables of an array, each read by `read`; at least one.
template <typename T, typename Read>
Result<std::vector<T>> ReadEach(const Json& array, const std::string& file, const std::string& key, const Read& read) {
  const Json::Array* entries = array.as_array();
  if (!entries || entries->empty()) {
    return Invalid(fmt::format("{}:{}: key '{}': expected an array of tables, at least one", file, array.line, key));
  }
  std::vector<T> all;
  for (size_t i = 0; i < entries->size(); ++i) {
    LODESTONE_ASSIGN_OR_RETURN(T one, read((*entries)[i], file, fmt::format("{}[{}]", key, i)));
    all.push_back(std::move(one));
  }
  return all;
}

Result<std::vector<PublishedCell>> ReadCells(const Json& array, const std::string& file, const std::string& key) {
  LODESTONE_ASSIGN_OR_RETURN(std::vector<PublishedCell> cells, ReadEach<PublishedCell>(array, file, key, ReadCell));
  for (size_t i = 0; i < cells.size(); ++i) {
    if (Find(cells, cells[i].name) == &cells[i]) continue;
    return Invalid(fmt::format("{}:{}: key '{}[{}].name': '{}' is given twice", file, (*array.as_array())[i].line, key,
                               i, cells[i].name));
  }
  return cells;
}

Result<PublishedPoint> ReadPoint(const Json& entry, const std::string& file, const std::string& path) {
  ObjectReader reader(entry, file, path);
  PublishedPoint point;
  point.name = reader.RequireString("name");
  point.system = reader.RequireString("system");
  point.meaning = reader.RequireString("meaning");
  point.machine = reader.OptionalString("machine", "");
  point.stack = reader.OptionalString("stack", "");
  point.recipe = reader.OptionalString("recipe", "");
  const Json* cells = reader.Require("figures");
  const Json* ratios = reader.Require("ratios");
  LODESTONE_RETURN_IF_ERROR(reader.Finish());
  LODESTONE_ASSIGN_OR_RETURN(point.cells, ReadCells(*cells, file, path + ".figures"));
  LODESTONE_ASSIGN_OR_RETURN(point.ratios, ReadEach<PublishedRatio>(*ratios, file, path + ".ratios", ReadRatio));
  return point;
}

std::string WithoutSuffixes(const std::string& recipe) { return recipe.substr(0, recipe.find(':')); }

}  // namespace

const char* ToString(FigureKind kind) {
  switch (kind) {
    case FigureKind::kQuoted:
      return "quoted";
    case FigureKind::kDerived:
      return "derived";
    case FigureKind::kElsewhere:
      return "elsewhere";
  }
  return "";
}

std::optional<FigureKind> ParseFigureKind(std::string_view text) {
  for (const FigureKind kind : {FigureKind::kQuoted, FigureKind::kDerived, FigureKind::kElsewhere}) {
    if (text == ToString(kind)) return kind;
  }
  return std::nullopt;
}

const PublishedCell* Find(const std::vector<PublishedCell>& cells, std::string_view name) {
  for (const PublishedCell& cell : cells) {
    if (cell.name == name) return &cell;
  }
  return nullptr;
}

std::string SystemOf(const PublishedPoint& point) {
  const PublishedCell* cards = Find(point.cells, "cards");
  return cards && cards->value != 1 ? fmt::format("{:g} × {}", cards->value, point.system) : point.system;
}

Result<PublishedRun> ParsePublishedRun(const Json& toml, const std::string& file) {
  ObjectReader reader(toml, file);
  PublishedRun run;
  run.name = reader.RequireString("name");
  run.title = reader.RequireString("title");
  run.source = reader.RequireString("source");
  run.evidence = reader.RequireString("evidence");
  const Json* workload = reader.Require("workload");
  const Json* figures = reader.Require("figures");
  const Json* points = reader.Optional("points");
  const Json* rebuilt = points ? reader.Require("rebuilt") : nullptr;
  LODESTONE_RETURN_IF_ERROR(reader.Finish());

  ObjectReader work(*workload, file, "workload");
  run.model = work.RequireString("model");
  run.recipe = work.RequireString("recipe");
  run.appliance = work.RequireString("appliance");
  run.users = static_cast<int>(work.RequireInt("users", 1, kMaxCount));
  run.micro_batches = static_cast<int>(work.RequireInt("micro_batches", 1, kMaxCount));
  run.prompt_tokens = work.RequireInt("prompt_tokens", 1, kMaxCount);
  run.output_tokens = work.RequireInt("output_tokens", 1, kMaxCount);
  LODESTONE_RETURN_IF_ERROR(work.Finish());

  LODESTONE_ASSIGN_OR_RETURN(run.cells, ReadCells(*figures, file, "figures"));
  for (const PublishedCell& cell : run.cells) {
    run.figures.push_back(
        {.name = cell.name,
         .value = cell.value,
         .source = cell.note.empty() ? ToString(cell.kind) : fmt::format("{}: {}", ToString(cell.kind), cell.note)});
  }
  if (points) {
    ObjectReader note(*rebuilt, file, "rebuilt");
    run.points_note = note.RequireString("note");
    LODESTONE_RETURN_IF_ERROR(note.Finish());
    LODESTONE_ASSIGN_OR_RETURN(run.points, ReadEach<PublishedPoint>(*points, file, "points", ReadPoint));
  }
  return run;
}

Result<std::vector<PublishedRun>> CatalogPublishedRuns() {
  std::vector<PublishedRun> runs;
  for (const CatalogFile& file : CatalogFilesIn("published")) {
    if (!file.path.ends_with(".toml")) continue;
    const std::string name = fmt::format("catalog/{}", file.path);
    LODESTONE_ASSIGN_OR_RETURN(const Json toml, ParseToml(file.contents, name));
    if (toml.Find("kind") != nullptr) continue;
    LODESTONE_ASSIGN_OR_RETURN(PublishedRun run, ParsePublishedRun(toml, name));
    runs.push_back(std::move(run));
  }
  return runs;
}

Result<std::optional<PublishedRun>> PublishedRunOf(const Workload& workload, const std::string& appliance) {
  LODESTONE_ASSIGN_OR_RETURN(const std::vector<PublishedRun> runs, CatalogPublishedRuns());
  for (const PublishedRun& run : runs) {
    if (run.model == workload.model && run.recipe == WithoutSuffixes(workload.recipe) && run.appliance == appliance &&
        run.users == workload.users && run.micro_batches == workload.micro_batches &&
        run.prompt_tokens == workload.prompt_tokens && run.output_tokens == workload.output_tokens) {
      return std::optional(run);
    }
  }
  return std::optional<PublishedRun>();
}

}  // namespace lodestone
