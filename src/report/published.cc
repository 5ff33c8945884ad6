#include "report/published.h"

#include <fmt/format.h>

#include <limits>

#include "base/catalog.h"

namespace lodestone {
namespace {

constexpr int64_t kMaxCount = 1'000'000'000;

Result<PublishedFigure> ReadFigure(const Json& entry, const std::string& file, const std::string& path) {
  ObjectReader reader(entry, file, path);
  PublishedFigure figure;
  figure.name = reader.RequireString("name");
  figure.value = reader.RequireNumber("value", 0, std::numeric_limits<double>::max());
  reader.RequireString("unit");
  const std::string kind = reader.RequireString("kind");
  const std::string note = reader.OptionalString("note", "");
  if (kind != "quoted" && kind != "derived") reader.Fail("kind", "expected \"quoted\" or \"derived\"");
  LODESTONE_RETURN_IF_ERROR(reader.Finish());
  figure.source = note.empty() ? kind : fmt::format("{}: {}", kind, note);
  return figure;
}

std::string WithoutSuffixes(const std::string& recipe) { return recipe.substr(0, recipe.find(':')); }

}  // namespace

Result<PublishedRun> ParsePublishedRun(const Json& toml, const std::string& file) {
  ObjectReader reader(toml, file);
  PublishedRun run;
  run.name = reader.RequireString("name");
  run.title = reader.RequireString("title");
  run.source = reader.RequireString("source");
  const Json* workload = reader.Require("workload");
  const Json* figures = reader.Require("figures");
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

  const Json::Array* entries = figures->as_array();
  if (!entries || entries->empty()) {
    return Invalid(fmt::format("{}:{}: key 'figures': expected [[figures]] tables", file, figures->line));
  }
  for (size_t i = 0; i < entries->size(); ++i) {
    LODESTONE_ASSIGN_OR_RETURN(PublishedFigure figure, ReadFigure((*entries)[i], file, fmt::format("figures[{}]", i)));
    run.figures.push_back(std::move(figure));
  }
  return run;
}

Result<std::vector<PublishedRun>> CatalogPublishedRuns() {
  std::vector<PublishedRun> runs;
  for (const CatalogFile& file : CatalogFilesIn("published")) {
    const std::string name = fmt::format("catalog/{}", file.path);
    LODESTONE_ASSIGN_OR_RETURN(const Json toml, ParseToml(file.contents, name));
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
