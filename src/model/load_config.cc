#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <filesystem>

#include "base/nearest.h"
#include "base/quote.h"
#include "model/config.h"
#include "model/config_check.h"
#include "model/gguf_model.h"
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

Error UnknownName(const std::string& name, const std::vector<CatalogModel>& models) {
  std::vector<std::string> names;
  for (const CatalogModel& model : models) names.push_back(model.name);
  std::string message = fmt::format("no model {}: not a directory, and not a name of the catalogue", Quoted(name));
  if (const auto nearest = Nearest(name, names)) message += fmt::format("; did you mean '{}'?", *nearest);
  message += fmt::format("; known names: {}. A checkpoint is named by its directory, such as ./my-model",
                         fmt::join(names, ", "));
  return NotFound(std::move(message));
}

}  // namespace

Result<ModelConfig> LoadModelConfig(const std::string& directory_or_name) {
  const fs::path path(directory_or_name);
  const bool is_directory = IsDirectory(path);
  if (is_directory && Exists(path / "config.json")) return LoadDirectory(path);
  if (IsGgufFile(path)) return LoadGgufConfig(directory_or_name);

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
                    "a GGUF file, or a shape in a .toml file",
                    directory_or_name));
  }
  if (directory_or_name.find('/') != std::string::npos) {
    return NotFound(fmt::format("{}: no such directory", directory_or_name));
  }
  return UnknownName(directory_or_name, models);
}

}  // namespace lodestone
