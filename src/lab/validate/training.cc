#include "lab/validate/training.h"

#include <fmt/format.h>

#include <algorithm>

#include "plan/machine_estimate.h"

namespace lodestone {
namespace {

// What the documents say of a run beside its rate (docs/published.md), and what is taken where they do not.
struct Setting {
  std::string_view source, machine, shape;  // empty: any
  int64_t sequence;                         // 0: the row's
  int micro_batch, accumulation = 1;
  int pipeline = 1;  // devices that hold one copy
  bool recompute = false;
  int sharded_states = 0;
  std::string_view methods;
  std::string_view taken;   // not from the document
  std::string_view reason;  // of a miss
};
constexpr std::string_view kEager = "unfused materialised-softmax";
constexpr std::string_view kIdleWafer = "a model so small leaves most of the wafer idle";
constexpr std::string_view kHost = "small kernels wait for the host's framework";
constexpr Setting kSettings[] = {
    {"alcf-testbed", "sn30", "gpt-13b", 2048, 32, 1, 1, true, 0, "", "recomputation", ""},
    {"alcf-testbed", "sn30", "gpt-13b", 8192, 1, 4, 1, true, 0, "", "recomputation",
     "attention over 8,192 tokens reaches less there than is assumed of the class"},
    {"alcf-testbed", "cs-2", "gpt-j-6b", 0, 22, 3, 1, true, 0, "offload=layers:28@host", "2,048 tokens, recomputation",
     ""},
    {"alcf-testbed", "cs-3", "gpt-j-6b", 0, 22, 3, 1, true, 0, "offload=layers:28@host",
     "batch 66, 2,048 tokens, recomputation", ""},
    {"alcf-testbed", "cs-3", "llama-2-7b", 0, 22, 3, 1, true, 0, "offload=layers:32@host",
     "batch 66, 2,048 tokens, recomputation", ""},
    {"alcf-testbed", "bow-ipu", "gpt2", 1024, 1, 2048, 4, true, 1, "", "", ""},
    {"dabench", "cs-2", "gpt2", 0, 56, 2, 1, false, 0, "", "batch 112, 1,024 tokens", kIdleWafer},
    {"genslm-scaling", "cs-2", "", 10240, 1, 8, 1, false, 0, "", "batch 8", kIdleWafer},
    {"genslm-scaling", "", "genslm-25m", 2048, 8, 1, 1, false, 3, kEager, "eager kernels", kHost},
    {"genslm-scaling", "", "genslm-250m", 2048, 8, 1, 1, false, 3, kEager, "eager kernels", kHost},
    {"genslm-scaling", "", "genslm-2.5b", 2048, 1, 1, 1, false, 3, kEager, "eager kernels", kHost},
    {"genslm-scaling", "", "genslm-25b", 2048, 1, 1, 1, false, 3, "offload=layers:64@host", "fused kernels", ""},
};
constexpr int64_t kSequence = 2048, kSmallSequence = 1024;  // of models that say none

const Setting* SettingOf(const PublishedRow& row) {
  for (const Setting& setting : kSettings) {
    if (setting.source == row.source && (setting.machine.empty() || setting.machine == row.machine) &&
        (setting.shape.empty() || setting.shape == row.shape) &&
        (setting.sequence == 0 || setting.sequence == row.prompt_tokens)) {
      return &setting;
    }
  }
  return nullptr;
}

std::vector<std::string> WordsOf(std::string_view text) {
  std::vector<std::string> words;
  while (!text.empty()) {
    words.emplace_back(text.substr(0, text.find(' ')));
    text.remove_prefix(std::min(text.size(), words.back().size() + 1));
  }
  return words;
}

}  // namespace

Result<TrainingChecks> CheckTraining(std::span<const PublishedRow> rows) {
  TrainingChecks checks;
  for (const PublishedRow& row : rows) {
    if (row.metric != "training_throughput" || row.devices < 1) continue;
    const Setting* setting = SettingOf(row);
    if (setting == nullptr) continue;
    Result<Machine> machine = LoadMachine(row.machine);
    if (!machine.ok()) continue;
    LODESTONE_ASSIGN_OR_RETURN(ModelConfig config, LoadModelConfig(row.shape));
    LODESTONE_ASSIGN_OR_RETURN(const Recipe recipe, ParseRecipe("bf16"));
    Deployment deployment;
    deployment.machine = *std::move(machine);
    deployment.parallelism = {.pipeline = setting->pipeline, .data = row.devices / setting->pipeline};
    TrainingLoad load{.sequence = row.prompt_tokens > 0 ? row.prompt_tokens : kSequence,
                      .micro_batch = setting->micro_batch,
                      .gradient_accumulation = setting->accumulation,
                      .recompute = setting->recompute,
                      .sharded_states = setting->sharded_states};
    config.max_positions = std::max(config.max_positions, load.sequence);  // rotary: the study's longer sequences
    if (!setting->methods.empty()) {
      LODESTONE_ASSIGN_OR_RETURN(deployment.methods, ParseMethods(WordsOf(setting->methods)));
    }
    if (row.prompt_tokens == 0 && row.shape == "gpt2") load.sequence = kSmallSequence;
    // Plain data parallelism is named; everything else there ran with sharded states.
    if (row.system.find("DDP") != std::string::npos) load.sharded_states = 0;
    if (row.devices == 1) load.sharded_states = 0;
    const Result<TrainingEstimate> estimate = EstimateTraining(config, recipe, deployment, load);
    if (!estimate.ok()) {
      checks.refused.push_back(
          fmt::format("{} × {}, {}: {}", row.devices, row.machine, row.shape, estimate.error().message));
      continue;
    }
    const Range rate = row.unit == "tokens/s" ? estimate->tokens_per_s : estimate->samples_per_s;
    checks.checks.push_back({&row, {row.value, rate, true}, std::string(setting->taken), std::string(setting->reason)});
  }
  return checks;
}

}  // namespace lodestone
