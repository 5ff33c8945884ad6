// Options that several commands share, so that they read and behave alike.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/status.h"
#include "cli/args.h"
#include "model/config.h"
#include "model/recipe.h"

namespace lodestone::cli {

inline constexpr int64_t kMaxUsers = 1'000'000;
inline constexpr int64_t kMaxPositionsOption = int64_t{1} << 30;
inline constexpr const char* kDefaultRecipe = "w8a8";

struct RunOptions {
  std::string model;
  std::string appliance = "cpu";
  std::string recipe;  // empty: RecipeOf chooses
  std::optional<int64_t> users, context, micro_batches, threads;
  int64_t prefill_chunk = 128;
  std::optional<double> power_w;
  bool json = false;
};

// The recipe that was given; without one that of a packed checkpoint, or kDefaultRecipe.
Result<Recipe> RecipeOf(const RunOptions& run, const ModelConfig& config);

Option ModelOption(RunOptions& run, bool weights);
Option RecipeOption(RunOptions& run);
Option ApplianceOption(RunOptions& run, const std::string& help);
Option UsersOption(RunOptions& run, const std::string& help);
Option ContextOption(RunOptions& run, const std::string& help);
Option MicroBatchesOption(RunOptions& run);
Option PrefillChunkOption(RunOptions& run);
Option ThreadsOption(RunOptions& run);
Option PowerOption(RunOptions& run);
Option JsonOption(RunOptions& run);

}  // namespace lodestone::cli
