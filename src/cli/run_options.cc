#include "cli/run_options.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace lodestone::cli {

Result<Recipe> RecipeOf(const RunOptions& run, const ModelConfig& config) {
  if (!run.recipe.empty()) return ParseRecipe(run.recipe);
  return ParseRecipe(config.stored ? config.stored->recipe : kDefaultRecipe);
}

Option ModelOption(RunOptions& run, bool weights) {
  return {
      .name = "--model",
      .value = weights ? "DIR|FILE" : "DIR|FILE|NAME",
      .help = weights
                  ? "A Hugging Face directory (config.json, safetensors, tokenizer.json), a GGUF file, or "
                    "random:NAME[@SEED] for a shape of the catalogue with seeded random weights."
                  : "A Hugging Face directory, of which config.json is read, a GGUF file, or a name that 'lodestone "
                    "models' lists.",
      .target = &run.model,
      .required = true};
}

Option RecipeOption(RunOptions& run) {
  return {.name = "--recipe",
          .value = "R",
          .help = fmt::format("Number formats: {}, with suffixes such as :g128 or :static (default: that of a "
                              "quantised directory, otherwise {}).",
                              fmt::join(RecipeNames(), ", "), kDefaultRecipe),
          .target = &run.recipe};
}

Option ApplianceOption(RunOptions& run, const std::string& help) {
  return {.name = "--appliance", .value = "cpu|NAME|FILE", .help = help, .target = &run.appliance};
}

Option UsersOption(RunOptions& run, const std::string& help) {
  return {.name = "--users", .value = "N", .help = help, .target = &run.users, .min = 1, .max = kMaxUsers};
}

Option ContextOption(RunOptions& run, const std::string& help) {
  return {.name = "--context",
          .value = "C",
          .help = help,
          .target = &run.context,
          .min = 1,
          .max = static_cast<double>(kMaxPositionsOption)};
}

Option MicroBatchesOption(RunOptions& run) {
  return {.name = "--micro-batches",
          .value = "M",
          .help =
              "Groups of users that take turns in the chain of cards (default: as many as users, at most the cards; 1 "
              "on the cpu).",
          .target = &run.micro_batches,
          .min = 1,
          .max = kMaxUsers};
}

Option PrefillChunkOption(RunOptions& run) {
  return {.name = "--prefill-chunk",
          .value = "K",
          .help = fmt::format("Prompt tokens in one pass at most (default {}).", run.prefill_chunk),
          .target = &run.prefill_chunk,
          .min = 1,
          .max = 1 << 20};
}

Option ThreadsOption(RunOptions& run) {
  return {
      .name = "--threads",
      .value = "T",
      .help = "Threads that compute (default LODESTONE_THREADS, or all of this process). Tokens do not depend on it.",
      .target = &run.threads,
      .min = 1,
      .max = 1024};
}

Option PowerOption(RunOptions& run) {
  return {.name = "--power-w",
          .value = "W",
          .help = "Power of one card in watts, as you know it; figures made from it are marked user-stated.",
          .target = &run.power_w,
          .min = 1e-3,
          .max = 1e6};
}

Option JsonOption(RunOptions& run) {
  return {.name = "--json", .value = "", .help = "The run record as JSON on standard output.", .target = &run.json};
}

}  // namespace lodestone::cli
