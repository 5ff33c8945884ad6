#include "cli/generate.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/quote.h"
#include "cli/command.h"
#include "cli/layout.h"
#include "cli/output.h"
#include "cli/power.h"
#include "cli/prompts.h"
#include "cli/version.h"
#include "kernels/dispatch.h"
#include "learn/calibration.h"

namespace lodestone::cli {

namespace {

// The ids of every prompt; refused where one of them and the tokens to generate need more positions than there are.
Result<std::vector<std::vector<int32_t>>> EncodePrompts(const Model& model, const GenerateOptions& options) {
  if (options.prompts.empty()) return Invalid("there is no prompt: give --prompt TEXT or --prompts FILE");
  const int64_t available = options.run.context.value_or(model.config.max_positions);
  std::vector<std::vector<int32_t>> encoded;
  for (const std::string& prompt : options.prompts) {
    LODESTONE_ASSIGN_OR_RETURN(std::vector<int32_t> ids, EncodePrompt(*model.tokenizer, model.config, prompt));
    const int64_t needed = static_cast<int64_t>(ids.size()) + options.tokens;
    if (needed > std::min(available, model.config.max_positions)) {
      const std::string limit = needed > model.config.max_positions
                                    ? fmt::format("'{}' has {}", model.config.name, model.config.max_positions)
                                    : fmt::format("--context is {}", available);
      return Infeasible(fmt::format(
          "prompt {} has {} tokens; with {} to generate it needs {} positions and {}: shorten it or lower --tokens",
          Quoted(prompt, 40), ids.size(), options.tokens, needed, limit));
    }
    encoded.push_back(std::move(ids));
  }
  return encoded;
}

}  // namespace

Result<Generation> PrepareGeneration(const GenerateOptions& options) {
  Generation generation;
  const RunOptions& run = options.run;
  LODESTONE_ASSIGN_OR_RETURN(generation.spec, OpenAppliance(run.appliance));
  LODESTONE_ASSIGN_OR_RETURN(generation.model, OpenModel(run.model));
  const ModelConfig& config = generation.model.config;
  LODESTONE_ASSIGN_OR_RETURN(generation.recipe, RecipeOf(run, config));
  LODESTONE_ASSIGN_OR_RETURN(const auto encoded, EncodePrompts(generation.model, options));
  const auto users = static_cast<int>(run.users.value_or(static_cast<int64_t>(encoded.size())));
  if (static_cast<size_t>(users) < encoded.size()) {
    return Invalid(fmt::format("{} prompts, but --users is {}: raise it to at least {}, or leave it out",
                               encoded.size(), users, encoded.size()));
  }
  for (int user = 0; user < users; ++user) {
    const size_t prompt = static_cast<size_t>(user) % encoded.size();
    generation.prompts.push_back(options.prompts[prompt]);
    generation.longest_prompt = std::max(generation.longest_prompt, static_cast<int64_t>(encoded[prompt].size()));
    Request request;
    request.prompt = encoded[prompt];
    request.max_tokens = options.tokens;
    request.sampling = options.sampling;
    request.sampling_key = static_cast<uint64_t>(user);
    request.eos_ids = config.eos_ids;
    request.ignore_eos = options.ignore_eos;
    request.stop = options.stop;
    generation.requests.push_back(std::move(request));
  }
  generation.batch = {
      .users = users,
      .micro_batches = static_cast<int>(run.micro_batches.value_or(DefaultMicroBatches(generation.spec, users))),
      .prefill_chunk = static_cast<int>(run.prefill_chunk),
      .context = run.context.value_or(generation.longest_prompt + options.tokens)};
  return generation;
}

Result<RunRecord> RunGeneration(Generation generation, const GenerateOptions& options, const TokenSink& on_token) {
  const RunOptions& run = options.run;
  const BatchOptions& batch = generation.batch;
  const ModelConfig& config = generation.model.config;
  const Demand demand =
      DemandOf(batch.users, batch.micro_batches, batch.context, generation.longest_prompt, batch.prefill_chunk);
  LODESTONE_ASSIGN_OR_RETURN(Placement placement, PlaceOn(generation.spec, config, generation.recipe, demand));
  LODESTONE_ASSIGN_OR_RETURN(const kernels::KernelTable* table, kernels::SelectFromEnvironment());
  LODESTONE_ASSIGN_OR_RETURN(const int threads, ThreadsToUse(run.threads));
  LODESTONE_ASSIGN_OR_RETURN(OpenedMachine machine,
                             OpenMachine(generation.spec, std::move(placement), {.compute = true, .threads = threads}));
  LODESTONE_ASSIGN_OR_RETURN(const std::string steps,
                             AddStepSizes(generation.model, generation.recipe, *machine.threads));
  const int64_t pages = batch.users * PagesPerUser(batch.context);
  LODESTONE_RETURN_IF_ERROR(machine.appliance->Configure(generation.model.weights.get(), static_cast<int>(pages)));

  HostPower host_power;
  LODESTONE_ASSIGN_OR_RETURN(BatchResult result,
                             RunBatch(*machine.appliance, *machine.timeline, config, generation.model.tokenizer, batch,
                                      std::move(generation.requests), on_token));
  SetPower(generation.spec, run.power_w, generation.spec ? nullptr : &host_power, result.elapsed, result.stages,
           &result.run);

  RunRecord record;
  record.workload = {.model = generation.model.name,
                     .recipe = generation.recipe.name,
                     .users = batch.users,
                     .micro_batches = std::min(batch.micro_batches, batch.users),
                     .prompt_tokens = generation.longest_prompt,
                     .output_tokens = options.tokens,
                     .prefill_chunk = batch.prefill_chunk,
                     .seed = options.sampling.seed};
  record.target = {.appliance = run.appliance,
                   .cards = result.run.cards,
                   .power_w_per_card = result.run.power_w_per_card,
                   .transistors_per_card = result.run.transistors_per_card};
  record.measures = MeasuresWithReasons(result.run, generation.spec);
  if (generation.spec) record.assumed = AssumptionsOf(*generation.spec, false);
  record.environment = Environment();
  record.environment.emplace_back("isa", table->isa);
  record.environment.emplace_back("threads", fmt::format("{}", threads));
  record.environment.emplace_back("weights", generation.model.weights->Describe());
  if (!steps.empty()) record.environment.emplace_back("static_steps", steps);
  record.users = std::move(result.outputs);
  for (size_t user = 0; user < record.users.size(); ++user) record.users[user].prompt = generation.prompts[user];
  return record;
}

namespace {

class GenerateCommand final : public Command {
 public:
  CommandLine Line() override {
    RunOptions& run = options_.run;
    Sampling& sampling = options_.sampling;
    return {
        .name = "generate",
        .summary = "Text from a checkpoint, on this host or through simulated cards.",
        .details =
            "A simulated appliance makes the same tokens as the cpu; its figures come from a virtual clock. Tokens "
            "depend neither on the other users nor on threads, chunks or cards.",
        .options = {ModelOption(run, true),
                    {.name = "--prompt",
                     .value = "TEXT",
                     .help = "The prompt; an empty one is the model's begin-of-text "
                             "token. May be given several times, one a user.",
                     .target = &prompt_},
                    {.name = "--prompts",
                     .value = "FILE",
                     .help = "One prompt a line, or a JSON array of strings where the "
                             "name ends in .json.",
                     .target = &file_},
                    RecipeOption(run),
                    ApplianceOption(run,
                                    "Where it runs: this host, an appliance that 'lodestone hardware' lists, or a TOML "
                                    "file (default cpu)."),
                    {.name = "--tokens",
                     .value = "N",
                     .help = "Tokens to generate for each user at most (default 128).",
                     .target = &options_.tokens,
                     .min = 1,
                     .max = static_cast<double>(kMaxPositionsOption)},
                    {.name = "--temperature",
                     .value = "T",
                     .help = "Randomness; 0 takes the most likely token (default 0).",
                     .target = &sampling.temperature,
                     .min = 0,
                     .max = 100},
                    {.name = "--top-k",
                     .value = "K",
                     .help = "Samples from the K most likely tokens (default 0: all).",
                     .target = &top_k_,
                     .min = 0,
                     .max = 1 << 24},
                    {.name = "--top-p",
                     .value = "P",
                     .help = "Samples from the most likely tokens that together reach "
                             "probability P (default 1).",
                     .target = &sampling.top_p,
                     .min = 0,
                     .max = 1},
                    {.name = "--min-p",
                     .value = "P",
                     .help = "Drops tokens less than P times as likely as the most likely "
                             "(default 0).",
                     .target = &sampling.min_p,
                     .min = 0,
                     .max = 1},
                    {.name = "--repetition-penalty",
                     .value = "F",
                     .help = "Makes tokens already seen less likely (default "
                             "1: off).",
                     .target = &sampling.repetition_penalty,
                     .min = 1e-3,
                     .max = 1e3},
                    {.name = "--seed",
                     .value = "S",
                     .help = "Of the random numbers, which depend on seed, user and position "
                             "alone (default 0).",
                     .target = &seed_,
                     .min = 0,
                     .max = 9e18},
                    {.name = "--stop",
                     .value = "TEXT",
                     .help = "Ends a user's text before this; may be given several times.",
                     .target = &options_.stop},
                    {.name = "--ignore-eos",
                     .value = "",
                     .help = "Goes on after an end-of-text token.",
                     .target = &options_.ignore_eos},
                    ContextOption(run, "Positions reserved for each user (default: longest prompt and --tokens)."),
                    UsersOption(run, "Users that generate together; prompts are dealt round (default: one a prompt)."),
                    MicroBatchesOption(run),
                    PrefillChunkOption(run),
                    ThreadsOption(run),
                    PowerOption(run),
                    JsonOption(run)},
        .examples = {
            {"a story from a checkpoint on this host",
             "lodestone generate --model ./stories260k --recipe f32 --prompt \"Once upon a time\""},
            {"the same tokens as on the cpu, at the times of sixteen simulated cards",
             "lodestone generate --model ./stories260k --recipe w4a4 --appliance northpole-16 --prompt \"\""},
            {"four users who sample, as JSON",
             "lodestone generate --model ./m --prompts questions.txt --users 4 --temperature 0.8 --seed 7 --json"},
            {"random weights: no checkpoint needed, and the text is noise",
             "lodestone generate --model random:nano-14l --prompt hello --tokens 16"}}};
  }

  Status Run() override;

 private:
  Status ReadPromptOptions();
  void Show(const RunRecord& record, bool streamed) const;

  GenerateOptions options_;
  std::vector<std::string> prompt_;
  std::optional<std::string> file_;
  int64_t top_k_ = 0, seed_ = 0;
};

Status GenerateCommand::ReadPromptOptions() {
  if (file_ && !prompt_.empty()) return Invalid("give --prompt or --prompts, not both");
  options_.prompts = prompt_;
  if (file_) {
    LODESTONE_ASSIGN_OR_RETURN(options_.prompts, ReadPrompts(*file_));
  }
  options_.sampling.top_k = static_cast<int>(top_k_);
  options_.sampling.seed = static_cast<uint64_t>(seed_);
  return {};
}

Status GenerateCommand::Run() {
  LODESTONE_RETURN_IF_ERROR(ReadPromptOptions());
  LODESTONE_ASSIGN_OR_RETURN(Generation generation, PrepareGeneration(options_));
  const bool stream = !options_.run.json && generation.batch.users == 1;
  const bool clean = OutputIsTerminal();
  Progress progress("tokens", generation.batch.users * options_.tokens);
  const auto on_token = [&](size_t, const TokenEvent& event) {
    if (!stream) return progress.Advance();
    Print(clean ? WithoutControls(event.text) : event.text);
    std::fflush(stdout);
  };
  LODESTONE_ASSIGN_OR_RETURN(const RunRecord record, RunGeneration(std::move(generation), options_, on_token));
  progress.Erase();
  if (options_.run.json) {
    PrintJson(ToJson(record));
  } else {
    Show(record, stream);
  }
  return {};
}

void GenerateCommand::Show(const RunRecord& record, bool streamed) const {
  const bool clean = OutputIsTerminal();
  for (size_t user = 0; user < record.users.size() && !streamed; ++user) {
    const UserOutput& output = record.users[user];
    Print(fmt::format("{}── user {} · {} · {} tokens, {}\n{}\n", user ? "\n" : "", user + 1, Quoted(output.prompt, 40),
                      output.token_ids.size(), output.finish_reason,
                      clean ? WithoutControls(output.text) : output.text));
  }
  if (streamed)
    Print(fmt::format("\n\n{} tokens, {}\n", record.users[0].token_ids.size(), record.users[0].finish_reason));
  Print(fmt::format("\n{} · {} · {}, {}\n", record.workload.model, record.workload.recipe, record.target.appliance,
                    Counted(record.target.cards, "card")));
  Print(RenderMeasures(record, kWidth));
}

}  // namespace

std::unique_ptr<Command> MakeGenerate() { return std::make_unique<GenerateCommand>(); }

}  // namespace lodestone::cli
