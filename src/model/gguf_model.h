// A model in one GGUF file: shape, weights and tokenizer.
#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "base/status.h"
#include "model/config.h"
#include "model/open_model.h"
#include "model/weight_source.h"

namespace lodestone {

// Whether this is a file that ends in .gguf or begins with the format's magic number.
bool IsGgufFile(const std::filesystem::path& path);

// The shape alone; named by the file, without its ending.
Result<ModelConfig> LoadGgufConfig(const std::string& path);

// Every tensor that the shape needs is present with the right shape when this returns; the file stays mapped. Refused
// by name: a tensor that the shape does not call for. Weights are expanded to f32 row by row, as the stored format
// defines them; what a recipe makes of them is rounded a second time (docs/performance.md has the loss).
Result<Model> OpenGguf(const std::string& path);

}  // namespace lodestone
