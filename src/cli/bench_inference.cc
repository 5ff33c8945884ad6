#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "base/quote.h"
#include "base/units.h"
#include "cli/command.h"
#include "cli/lists.h"
#include "cli/output.h"
#include "cli/run_options.h"
#include "cli/version.h"
#include "host/process_memory.h"
#include "kernels/dispatch.h"
#include "lab/inference_bench.h"
#include "lab/inference_rows.h"
#include "lab/limits.h"
#include "lab/peer.h"

namespace lodestone::cli {
namespace {

constexpr const char* kBenchRecipe = "w4a8";
constexpr int64_t kMaxCaseTokens = int64_t{1} << 24;

// "avx2: int8·int4, int8·int8": the instruction set and the matrix products that the program asks it for.
std::string KernelsOf(const Program& program, const char* isa) {
  std::vector<std::string> products;
  for (const Segment& segment : program.segments) {
    for (const Op& op : segment.ops) {
      const auto* linear = std::get_if<Linear>(&op);
      if (linear == nullptr) continue;
      const Code input = linear->input.code == Code::kInt4 ? Code::kInt8 : linear->input.code;  // runs as int8
      std::string product = fmt::format("{}·{}", ToString(input), ToString(linear->weights.code));
      if (std::find(products.begin(), products.end(), product) == products.end()) {
        products.push_back(std::move(product));
      }
    }
  }
  return fmt::format("{}: {}", isa, fmt::join(products, ", "));
}

// What this host measured of itself, for the threads in use.
Rates RatesOf(const HostLimits& limits, int threads) {
  const auto at = [&](const HostRate& rate) { return rate.At(threads, limits.threads); };
  Rates rates;
  if (limits.dram_bytes_per_s) rates.dram_bytes_per_s = at(*limits.dram_bytes_per_s);
  if (limits.l3_bytes_per_s) rates.l3_bytes_per_s = at(*limits.l3_bytes_per_s);
  if (limits.l3_bytes) rates.l3_bytes = static_cast<int64_t>(limits.l3_bytes->value);
  if (limits.f32_ops_per_s) rates.f32_ops_per_s = at(*limits.f32_ops_per_s);
  if (limits.int8_ops_per_s() != nullptr) rates.int8_ops_per_s = at(*limits.int8_ops_per_s());
  return rates;
}

class BenchInferenceCommand final : public Command {
 public:
  CommandLine Line() override {
    return {
        .name = "bench inference",
        .summary = "How fast a model runs on this host: prompts and decoding, one user and many.",
        .details =
            "Times passes through the model without tokenizing and sampling, as llama-bench does. Prompts (pp) are "
            "timed from an empty context, decoding (tg) behind --context positions; figures are tokens/s over all "
            "users of the batch. Shares are of the limits that 'lodestone bench limits' measured: the longer of the "
            "bytes of weights and KV at the memory's rate and the operations at the kernels'.",
        .options = {ModelOption(run_, true),
                    {.name = "--recipe",
                     .value = "R,...",
                     .help = "Number formats, one run each (default: a packed model's own, else w4a8).",
                     .target = &recipes_},
                    {.name = "--prompt-tokens",
                     .value = "P,...",
                     .help = "Tokens of each user's prompt; 0 for none (default 512).",
                     .target = &prompt_tokens_},
                    {.name = "--tokens",
                     .value = "N,...",
                     .help = "Tokens that each user decodes; 0 for none (default 128).",
                     .target = &tokens_},
                    {.name = "--context",
                     .value = "D,...",
                     .help = "Positions before decoding begins (default 0).",
                     .target = &contexts_},
                    {.name = "--batch", .value = "B,...", .help = "Users at a time (default 1).", .target = &batches_},
                    PrefillChunkOption(run_),
                    ThreadsOption(run_),
                    {.name = "--repetitions",
                     .value = "K",
                     .help = "Times that each case is run, after one run that is not counted (default 5).",
                     .target = &repetitions_,
                     .min = 1,
                     .max = 1000},
                    {.name = "--peer",
                     .value = "CMD",
                     .help = "A shell command that prints llama-bench's or llama-batched-bench's JSON; it runs in turn "
                             "with every repetition, and rows of the same work get its figure and the ratio.",
                     .target = &peer_},
                    {.name = "--format", .value = "F", .help = "md, csv or json (default md).", .target = &format_},
                    JsonOption(run_)},
        .examples = {{"a shape of the catalogue, with random weights made in packed form",
                      "lodestone bench inference --model random:granite-3b-14l --recipe w4a8 --batch 1,8,28"},
                     {"against llama.cpp, in turn (bench.sh ends in: llama-bench -m m.gguf -r 1 -o json)",
                      "lodestone bench inference --model m.gguf --recipe w4a8:g32 --peer ./bench.sh"}}};
  }

  Status Run() override;

 private:
  Status ReadOptions();
  Status RunRecipe(const std::string& recipe);
  void Show() const;

  RunOptions run_{.prefill_chunk = 512};
  std::string recipes_, prompt_tokens_ = "512", tokens_ = "128", contexts_ = "0", batches_ = "1";
  std::string format_ = "md";
  int64_t repetitions_ = 5;
  std::optional<std::string> peer_;

  std::vector<std::string> recipe_list_;
  std::vector<InferenceCase> cases_;
  StoredLimits limits_;
  std::vector<Json> rows_;
};

Status BenchInferenceCommand::ReadOptions() {
  if (run_.json) format_ = "json";
  if (format_ != "md" && format_ != "csv" && format_ != "json") {
    return Invalid(fmt::format("--format: {} is none of md, csv, json", Quoted(format_)));
  }
  if (recipes_.empty()) {
    LODESTONE_ASSIGN_OR_RETURN(const ModelConfig shape, OpenShape(run_.model));
    recipes_ = shape.stored ? shape.stored->recipe : kBenchRecipe;
  }
  LODESTONE_ASSIGN_OR_RETURN(recipe_list_, ParseWords("--recipe", recipes_));
  for (const std::string& recipe : recipe_list_) LODESTONE_RETURN_IF_ERROR(ParseRecipe(recipe).status());
  LODESTONE_ASSIGN_OR_RETURN(const auto prompts, ParseNumbers("--prompt-tokens", prompt_tokens_, 0, kMaxCaseTokens));
  LODESTONE_ASSIGN_OR_RETURN(const auto tokens, ParseNumbers("--tokens", tokens_, 0, kMaxCaseTokens));
  LODESTONE_ASSIGN_OR_RETURN(const auto contexts, ParseNumbers("--context", contexts_, 0, kMaxCaseTokens));
  LODESTONE_ASSIGN_OR_RETURN(const auto batches, ParseNumbers("--batch", batches_, 1, 4096));
  for (const int64_t batch : batches) {
    for (const int64_t p : prompts) {
      if (p > 0) cases_.push_back({.prompt_tokens = p, .batch = static_cast<int>(batch)});
    }
    for (const int64_t depth : contexts) {
      for (const int64_t n : tokens) {
        if (n > 0) cases_.push_back({.tokens = n, .depth = depth, .batch = static_cast<int>(batch)});
      }
    }
  }
  if (cases_.empty()) return Invalid("nothing to run: --prompt-tokens and --tokens are both 0");
  return {};
}

Status BenchInferenceCommand::RunRecipe(const std::string& recipe_name) {
  LODESTONE_ASSIGN_OR_RETURN(const Recipe recipe, ParseRecipe(recipe_name));
  LODESTONE_ASSIGN_OR_RETURN(const kernels::KernelTable* table, kernels::SelectFromEnvironment());
  LODESTONE_ASSIGN_OR_RETURN(const int threads, ThreadsToUse(run_.threads));
  LODESTONE_ASSIGN_OR_RETURN(Model model, OpenModel(run_.model));
  PassRunnerOptions options{.rows_per_pass = static_cast<int>(run_.prefill_chunk), .threads = threads};
  for (const InferenceCase& test : cases_) {
    options.sequences = std::max(options.sequences, test.batch);
    options.positions = std::max(options.positions, test.positions());
    options.rows_per_pass = std::max(options.rows_per_pass, test.batch);
  }
  LODESTONE_ASSIGN_OR_RETURN(const std::unique_ptr<PassRunner> runner, PassRunner::Open(model, recipe, options));

  const Rates rates = limits_.limits ? RatesOf(*limits_.limits, threads) : Rates{};
  InferenceBench bench(*runner, model.config, cases_, static_cast<int>(run_.prefill_chunk), rates);
  Progress progress(fmt::format("repetitions of {}", recipe_name), repetitions_);
  LODESTONE_RETURN_IF_ERROR(bench.WarmUp());
  std::vector<std::vector<double>> peer_rates(cases_.size());
  for (int64_t repetition = 0; repetition < repetitions_; ++repetition) {
    LODESTONE_RETURN_IF_ERROR(bench.Repeat());
    if (peer_) {
      LODESTONE_ASSIGN_OR_RETURN(const std::vector<PeerRow> rows, RunPeer(*peer_));
      for (size_t i = 0; i < cases_.size(); ++i) {
        const InferenceCase& test = cases_[i];
        const auto rate = FindPeerRow(rows, test.prompt_tokens, test.tokens, test.depth, test.batch);
        if (rate) peer_rates[i].push_back(*rate);
      }
    }
    progress.Advance();
  }
  progress.Erase();

  const Ledger& ledger = runner->ledger();
  const InferenceSetting setting{
      .environment = Environment(),
      .model = model.name,
      .recipe = recipe_name,
      .kernels = KernelsOf(runner->program(), table->isa),
      .type_k = std::string(ToString(recipe.kv.code)),
      .type_v = std::string(ToString(recipe.kv.code)),
      .model_bytes = ledger.weight_codes + ledger.weight_scales + ledger.norms_biases + runner->host_bytes(),
      .parameters = ParameterCount(model.config),
      .kv_bytes = ledger.kv_codes + ledger.kv_scales,
      .peak_resident_bytes = PeakResidentBytes().value_or(0),
      .prefill_chunk = static_cast<int>(run_.prefill_chunk),
      .threads = threads,
      .limits_reason = limits_.reason,
  };
  for (size_t i = 0; i < cases_.size(); ++i) {
    rows_.push_back(ToJson(setting, {.result = bench.results()[i], .peer_tokens_per_s = peer_rates[i]}));
  }
  return {};
}

void BenchInferenceCommand::Show() const {
  if (format_ == "json") return PrintJson(Json(Json::Array(rows_.begin(), rows_.end())));
  if (format_ == "csv") return Print(ToCsv(rows_));
  Print(ToMarkdown(rows_));
  const Json& last = rows_.back();
  const auto bytes = [&](const char* key) {
    return FormatBytes(last.Find(key)->as_int() ? *last.Find(key)->as_int() : 0);
  };
  Print(fmt::format("\nkernels {}; weights {}, KV {}, at most resident {}; {} repetitions; measured\n",
                    *last.Find("kernels")->as_string(), bytes("model_size"), bytes("kv_bytes"),
                    bytes("peak_resident_bytes"), repetitions_));
  if (!limits_.limits) Print(fmt::format("no shares of limits: {}\n", limits_.reason));
}

Status BenchInferenceCommand::Run() {
  LODESTONE_RETURN_IF_ERROR(ReadOptions());
  LODESTONE_ASSIGN_OR_RETURN(limits_, LoadHostLimits());
  for (const std::string& recipe : recipe_list_) LODESTONE_RETURN_IF_ERROR(RunRecipe(recipe));
  Show();
  return {};
}

}  // namespace

std::unique_ptr<Command> MakeBenchInference() { return std::make_unique<BenchInferenceCommand>(); }

}  // namespace lodestone::cli
