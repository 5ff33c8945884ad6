// The files of a model's directory, written: config.json, the weights under Hugging Face's names, the tokenizer's
// files.
#pragma once

#include <filesystem>

#include "base/json.h"
#include "base/status.h"
#include "model/config.h"
#include "model/weight_source.h"

namespace lodestone {

// Writes config.json and reads it back: kUnsupported where `json` does not say all that `config` does. `config` counts
// without its name and, since generation_config.json may have the last word on them, without its bos and eos ids.
Status WriteModelConfig(const std::filesystem::path& directory, const Json& json, const ModelConfig& config);

// model.safetensors in f32 or bf16 (rounded to nearest even) with the tensor names and layouts of the architecture, as
// OpenCheckpoint reads them. One tensor at a time is in memory. Values that are not finite are refused by name.
Status WriteCheckpoint(const std::filesystem::path& directory, const ModelConfig& config, const WeightSource& source,
                       Code code);

// Copies what a tokenizer consists of (tokenizer.json, vocab.json, merges.txt, a chat template, …), unchanged, from a
// model's directory, or a tokenizer.json alone. kNotFound where there is none.
Status CopyTokenizerFiles(const std::filesystem::path& from, const std::filesystem::path& directory);

}  // namespace lodestone
