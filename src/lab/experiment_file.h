// A file of catalog/experiments/ by its name, or a file of the user's by its path.
#pragma once

#include <string>
#include <string_view>

#include "base/json.h"
#include "base/status.h"

namespace lodestone {

struct ExperimentFile {
  Json json;
  std::string file;  // "catalog/experiments/northpole-curve.toml", for messages
};

// What has a slash or ends in ".toml" is a path, everything else a name of the catalogue, whatever kind the file turns
// out to be: its reader says so. An unknown name lists those of `kind`, with the nearest; `noun` is what messages call
// such a file.
Result<ExperimentFile> FindExperiment(std::string_view kind, std::string_view noun, const std::string& name_or_path);

bool IsFilePath(std::string_view name);

}  // namespace lodestone
