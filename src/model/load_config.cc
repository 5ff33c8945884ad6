#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <numeric>

#include "base/quote.h"
#include "model/config.h"
#include "model/config_check.h"
#include "model/huggingface_internal.h"

namespace lodestone {
namespace {

namespace fs = std::filesystem;

constexpr size_t kMaxConfigBytes = size_t{1} << 20;  // published ones stay below 10 kB

bool IsDirectory(const fs::path& path) {
  std::error_code error;
  return fs::is_directory(path, error);
}

bool Exists(const fs::path& path) {
  std::error_code error;
  return fs::exists(path, error);
}

// "models/llama/" and "." are named by the directory they lead to.
std::string DirectoryName(const fs::path& directory) {
  std::error_code error;
  fs::path whole = fs::weakly_canonical(directory, error);
  if (error) whole = directory.lexically_normal();
  if (!whole.has_filename()) whole = whole.parent_path();
  return whole.has_filename() ? whole.filename().string() : directory.string();
}

Result<ModelConfig> LoadDirectory(const fs::path& directory) {
  const std::string file = (directory / "config.json").string();
  LODESTONE_ASSIGN_OR_RETURN(const Json json, ReadJsonFile(file, kMaxConfigBytes));
  LODESTONE_ASSIGN_OR_RETURN(ModelConfig config, ParseHuggingFaceConfig(json, file));
  const fs::path generation = directory / "generation_config.json";
  if (Exists(generation)) {
    LODESTONE_ASSIGN_OR_RETURN(const Json ids, ReadJsonFile(generation.string(), kMaxConfigBytes));
    ObjectReader reader(ids, generation.string());
    ReadTokenIds(reader, &config);
    LODESTONE_RETURN_IF_ERROR(reader.status());
    LODESTONE_RETURN_IF_ERROR(CheckConfig(config, generation.string()));
  }
  config.name = DirectoryName(directory);
  return config;
}

Result<ModelConfig> LoadShapeFile(const std::string& path) {
  LODESTONE_ASSIGN_OR_RETURN(const Json toml, ReadTomlFile(path, kMaxConfigBytes));
  return ParseCatalogModel(toml, path);
}

size_t EditDistance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), size_t{0});
  for (size_t i = 0; i < a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i + 1;
    for (size_t j = 0; j < b.size(); ++j) {
      const size_t replaced = diagonal + (a[i] == b[j] ? 0 : 1);
      diagonal = row[j + 1];
      row[j + 1] = std::min({replaced, row[j] + 1, row[j + 1] + 1});
    }
  }
  return row[b.size()];
}

Error UnknownName(const std::string& name, const std::vector<CatalogModel>& models) {
  std::string known;
  const CatalogModel* nearest = nullptr;
  size_t nearest_distance = name.size() / 2 + 1;  // more than half of the letters wrong is another word
  for (const CatalogModel& model : models) {
    known += (known.empty() ? "" : ", ") + model.name;
    if (name.size() > 64) continue;
    if (const size_t distance = EditDistance(name, model.name); distance < nearest_distance) {
      nearest = &model;
      nearest_distance = distance;
    }
  }
  std::string message = fmt::format("no model {}: not a directory, and not a name of the catalogue", Quoted(name));
  if (nearest != nullptr) message += fmt::format("; did you mean '{}'?", nearest->name);
  message += fmt::format(" Known names: {}. A checkpoint is named by its directory, such as ./my-model", known);
  return NotFound(std::move(message));
}

}  // namespace

Result<ModelConfig> LoadModelConfig(const std::string& directory_or_name) {
  const fs::path path(directory_or_name);
  const bool is_directory = IsDirectory(path);
  if (is_directory && Exists(path / "config.json")) return LoadDirectory(path);

  LODESTONE_ASSIGN_OR_RETURN(const std::vector<CatalogModel> models, CatalogModels());
  for (const CatalogModel& model : models) {
    if (model.name == directory_or_name) return model.config;
  }
  if (is_directory) {
    return NotFound(
        fmt::format("{}: the directory holds no model: expected config.json, with model.safetensors and "
                    "tokenizer.json beside it",
                    directory_or_name));
  }
  if (Exists(path)) {
    if (path.extension() == ".toml") return LoadShapeFile(directory_or_name);
    return Invalid(
        fmt::format("{}: found a file, expected the directory that holds config.json and model.safetensors, "
                    "or a shape in a .toml file",
                    directory_or_name));
  }
  if (directory_or_name.find('/') != std::string::npos) {
    return NotFound(fmt::format("{}: no such directory", directory_or_name));
  }
  return UnknownName(directory_or_name, models);
}

}  // namespace lodestone
