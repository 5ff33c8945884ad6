#include "lab/validate/case.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <map>

#include "hardware/machine.h"

namespace lodestone {
namespace {

enum class Quantity { kTotalRate, kOutputRate, kDecodeRate, kPrefillRate, kLatency, kTtft, kTpot };

std::optional<Quantity> QuantityOf(std::string_view metric) {
  static constexpr std::array<std::pair<std::string_view, Quantity>, 7> kQuantities = {{
      {"total_throughput", Quantity::kTotalRate},
      {"output_throughput", Quantity::kOutputRate},
      {"decode_throughput", Quantity::kDecodeRate},
      {"prefill_throughput", Quantity::kPrefillRate},
      {"latency", Quantity::kLatency},
      {"ttft", Quantity::kTtft},
      {"tpot", Quantity::kTpot},
  }};
  for (const auto& [name, quantity] : kQuantities) {
    if (name == metric) return quantity;
  }
  return std::nullopt;
}

// "tp4", "tp2 pp2"; empty: tensor parallel over all.
std::optional<Parallelism> ParallelismOf(const PublishedRow& row) {
  Parallelism parallelism;
  std::string_view text = row.parallelism;
  if (text.empty()) {
    parallelism.tensor = std::max(row.devices, 1);
    return parallelism;
  }
  while (!text.empty()) {
    const std::string_view word = text.substr(0, text.find(' '));
    text.remove_prefix(std::min(text.size(), word.size() + 1));
    if (word.size() < 3) return std::nullopt;
    int count = 0;
    const auto [end, error] = std::from_chars(word.data() + 2, word.data() + word.size(), count);
    if (error != std::errc() || end != word.data() + word.size() || count < 1) return std::nullopt;
    if (word.starts_with("tp")) {
      parallelism.tensor = count;
    } else if (word.starts_with("pp")) {
      parallelism.pipeline = count;
    } else if (word.starts_with("dp")) {
      parallelism.data = count;
    } else if (word.starts_with("ep")) {
      parallelism.expert = count;
    } else {
      return std::nullopt;
    }
  }
  // Experts lie on the devices that otherwise share a layer's products.
  if (parallelism.expert > 1 && parallelism.tensor == 1 && parallelism.data == 1) parallelism.tensor = row.devices;
  return parallelism.devices() == std::max(row.devices, 1) ? std::optional(parallelism) : std::nullopt;
}

class CaseMaker {
 public:
  // The case, or why there is none, in few words.
  Result<ValidationCase> Make(const PublishedRow& row) {
    ValidationCase made{.row = &row, .config = {}, .recipe = {}, .deployment = {}, .load = {}};
    if (row.machine.empty()) return Invalid("machine not in the catalogue, or not said");
    if (row.shape.empty()) return Invalid("model not in the catalogue, or not said");
    if (row.recipe.empty()) return Invalid("formats not said");
    if (row.devices == 0) return Invalid("number of devices not said");
    const Machine* machine = FindMachine(row.machine);
    if (machine == nullptr) return Invalid("machine not in the catalogue, or not said");
    made.deployment.machine = *machine;
    const std::optional<Parallelism> parallelism = ParallelismOf(row);
    if (!parallelism) return Invalid("parallelism not said in full");
    made.deployment.parallelism = *parallelism;
    const std::vector<std::string> stacks = StackNames(*machine);
    if (std::find(stacks.begin(), stacks.end(), row.stack) != stacks.end()) made.deployment.stack = row.stack;
    const Result<ModelConfig>& config = ConfigOf(row.shape);
    if (!config.ok()) return Invalid("model not in the catalogue, or not said");
    made.config = *config;
    Result<Recipe> recipe = ParseRecipe(row.recipe);
    if (!recipe.ok()) return Invalid("formats that no recipe says");
    made.recipe = *std::move(recipe);
    if (!row.method.empty()) {
      Result<Methods> methods = ParseMethods(Words(row.method));
      if (!methods.ok()) return Invalid("method that is not modelled");
      made.deployment.methods = *std::move(methods);
    }
    made.load.batch = std::max(row.batch, 1);
    made.load.prompt_tokens = row.prompt_tokens > 0 ? row.prompt_tokens : kUnsaidTokens;
    made.load.output_tokens = row.output_tokens > 0 ? row.output_tokens : kUnsaidTokens;
    if (row.metric == "ttft") made.load.output_tokens = 1;
    return made;
  }

 private:
  static const Machine* FindMachine(const std::string& name) {
    const Result<std::vector<Machine>>& machines = CatalogMachines();
    if (!machines.ok()) return nullptr;
    const auto found = std::lower_bound(machines->begin(), machines->end(), name,
                                        [](const Machine& machine, const std::string& n) { return machine.name < n; });
    return found != machines->end() && found->name == name ? &*found : nullptr;
  }

  static std::vector<std::string> Words(std::string_view text) {
    std::vector<std::string> words;
    while (!text.empty()) {
      const std::string_view word = text.substr(0, text.find(' '));
      if (!word.empty()) words.emplace_back(word);
      text.remove_prefix(std::min(text.size(), word.size() + 1));
    }
    return words;
  }

  const Result<ModelConfig>& ConfigOf(const std::string& shape) {
    const auto found = configs_.find(shape);
    if (found != configs_.end()) return found->second;
    return configs_.emplace(shape, LoadModelConfig(shape)).first->second;
  }

  std::map<std::string, Result<ModelConfig>> configs_;
};

// What the estimator says, without the figures of the one case.
std::string ReasonOf(const Error& error) {
  switch (error.code) {
    case ErrorCode::kInfeasible:
      return error.message.find("unit for") != std::string::npos ? "no unit for these formats"
                                                                 : "does not fit in the memory of its devices";
    case ErrorCode::kUnsupported:
      return "not modelled: " + error.message;
    default:
      return "refused: " + error.message;
  }
}

}  // namespace

bool ValidationCase::is_rate() const {
  const std::optional<Quantity> quantity = QuantityOf(row->metric);
  return quantity != Quantity::kLatency && quantity != Quantity::kTtft && quantity != Quantity::kTpot;
}

double ValidationCase::ValueAt(const InferenceTimes& times) const {
  const double copies = deployment.parallelism.data, requests = copies * load.batch;
  const auto prompt = static_cast<double>(load.prompt_tokens), output = static_cast<double>(load.output_tokens);
  switch (*QuantityOf(row->metric)) {
    case Quantity::kTotalRate:
      return requests * (prompt + output) / times.total_s;
    case Quantity::kOutputRate:
      return requests * output / times.total_s;
    case Quantity::kDecodeRate:
      return requests * (output - 1) / times.decode_s;
    case Quantity::kPrefillRate:
      return requests * prompt / times.ttft_s;
    case Quantity::kLatency:
      return times.total_s;
    case Quantity::kTtft:
      return times.ttft_s;
    case Quantity::kTpot:
      return times.decode_s / (output - 1);
  }
  return 0;
}

Result<CaseList> CasesOf(std::span<const PublishedRow> rows) {
  LODESTONE_RETURN_IF_ERROR(CatalogMachines().status());
  CaseList list;
  CaseMaker maker;
  for (const PublishedRow& row : rows) {
    if (!QuantityOf(row.metric)) continue;
    Result<ValidationCase> made = maker.Make(row);
    if (!made.ok()) {
      list.unmodelled.push_back({&row, made.error().message});
      continue;
    }
    const Result<InferencePlan> plan = InferencePlan::Of(made->config, made->recipe, made->deployment, made->load);
    if (plan.ok()) {
      list.cases.push_back(*std::move(made));
    } else {
      list.unmodelled.push_back({&row, ReasonOf(plan.error())});
    }
  }
  return list;
}

Result<Range> EstimateOf(const ValidationCase& question, const std::optional<Efficiency>& efficiency) {
  const auto estimate = [&]() -> Result<InferenceEstimate> {
    if (!efficiency) {
      return EstimateInference(question.config, question.recipe, question.deployment, question.load);
    }
    Deployment deployment = question.deployment;
    deployment.efficiency = efficiency;
    return EstimateInference(question.config, question.recipe, deployment, question.load);
  }();
  if (!estimate.ok()) return estimate.error();
  const auto scaled = [](const Range& range, double by) {
    return Range{range.low * by, range.typical * by, range.high * by};
  };
  switch (*QuantityOf(question.row->metric)) {
    case Quantity::kTotalRate:
      return estimate->total_tokens_per_s;
    case Quantity::kOutputRate:
      return estimate->output_tokens_per_s;
    case Quantity::kDecodeRate: {
      if (!estimate->output_tokens_per_s_per_user) return Invalid("one token has no decode throughput");
      // Those held together decode at this rate; the others wait.
      const double together = std::min(estimate->concurrent, question.load.batch);
      return scaled(*estimate->output_tokens_per_s_per_user, together * question.deployment.parallelism.data);
    }
    case Quantity::kPrefillRate: {
      const double tokens =
          static_cast<double>(question.load.prompt_tokens) * question.load.batch * question.deployment.parallelism.data;
      const Range& t = estimate->ttft_s;
      return Range{tokens / t.high, tokens / t.typical, tokens / t.low};
    }
    case Quantity::kLatency:
      return estimate->total_s;
    case Quantity::kTtft:
      return estimate->ttft_s;
    case Quantity::kTpot:
      if (!estimate->tpot_s) return Invalid("one token has no time between tokens");
      return *estimate->tpot_s;
  }
  return Invalid("unknown metric");
}

}  // namespace lodestone
