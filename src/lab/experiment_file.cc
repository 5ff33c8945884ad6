#include "lab/experiment_file.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <filesystem>
#include <optional>
#include <system_error>
#include <vector>

#include "base/catalog.h"
#include "base/nearest.h"
#include "base/quote.h"

namespace lodestone {
namespace {

constexpr size_t kMaxFileBytes = size_t{1} << 20;

}  // namespace

bool IsFilePath(std::string_view name) { return name.find('/') != std::string_view::npos || name.ends_with(".toml"); }

Result<ExperimentFile> FindExperiment(std::string_view kind, std::string_view noun, const std::string& name_or_path) {
  if (IsFilePath(name_or_path)) {
    std::error_code ignored;
    if (!std::filesystem::exists(name_or_path, ignored)) {
      return NotFound(fmt::format("no {} file {}: it does not exist", noun, Quoted(name_or_path)));
    }
    LODESTONE_ASSIGN_OR_RETURN(Json json, ReadTomlFile(name_or_path, kMaxFileBytes));
    return ExperimentFile{std::move(json), name_or_path};
  }
  std::vector<std::string> names;
  for (const CatalogFile& file : CatalogFilesIn("experiments")) {
    const std::string path = fmt::format("catalog/{}", file.path);
    LODESTONE_ASSIGN_OR_RETURN(Json json, ParseToml(file.contents, path));
    if (file.stem() == name_or_path) return ExperimentFile{std::move(json), path};
    const Json* found = json.Find("kind");
    if (found != nullptr && found->as_string() != nullptr && *found->as_string() == kind) {
      names.emplace_back(file.stem());
    }
  }
  const std::optional<std::string> nearest = Nearest(name_or_path, names);
  return NotFound(fmt::format("the catalogue has no {} {}; it has {}{}", noun, Quoted(name_or_path),
                              fmt::join(names, ", "), nearest ? fmt::format("; did you mean '{}'?", *nearest) : ""));
}

}  // namespace lodestone
