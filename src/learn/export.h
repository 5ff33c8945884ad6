// A trained model as a directory that the other commands open.
#pragma once

#include <filesystem>

#include "base/status.h"
#include "host/thread_pool.h"
#include "learn/parameters.h"
#include "model/config.h"
#include "model/recipe.h"

namespace lodestone {

// Both write `directory` whole or not at all, and refuse one that exists and is not empty. `tokenizer` is what
// CopyTokenizerFiles reads, or empty: then a packed directory states that ids are bytes (MakeByteTokenizer), and a
// Hugging Face directory gets no tokenizer. Parameters that are not finite are refused by name.

// config.json, model.safetensors with the architecture's own names in `code` (f32 or bf16), the tokenizer's files: what
// `generate` and the transformers library read. Step sizes are left out: they belong to a recipe.
Status ExportHuggingFace(const Parameters& parameters, const ModelConfig& config, Code code,
                         const std::filesystem::path& tokenizer, const std::filesystem::path& directory);

// What `lodestone quantize` writes, with the codes, channel scales and static steps that training ended with: the
// engine computes from it, bit for bit, the logits of the trainer's forward. Refused: a recipe without trained steps,
// and step sizes that were never initialised.
Status ExportQuantized(const Parameters& parameters, const ModelConfig& config, const Recipe& recipe,
                       const std::filesystem::path& tokenizer, const std::filesystem::path& directory,
                       ThreadPool& threads);

}  // namespace lodestone
