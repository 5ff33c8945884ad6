#include "cli/estimate.h"

#include <fmt/format.h>

#include "base/file.h"
#include "base/quote.h"
#include "cli/command.h"
#include "cli/layout.h"
#include "cli/lists.h"
#include "cli/output.h"
#include "cli/run_options.h"
#include "lab/self_calibration.h"
#include "model/open_model.h"

namespace lodestone::cli {
namespace {

constexpr const char *kEstimateRecipe = "bf16", *kThisHost = "this-host";
constexpr int64_t kMaxDegree = 1'000'000;

enum class OutputFormat { kText, kJson, kCsv };

Result<OutputFormat> ParseFormat(const std::string& text) {
  if (text == "text") return OutputFormat::kText;
  if (text == "json") return OutputFormat::kJson;
  if (text == "csv") return OutputFormat::kCsv;
  return Invalid(fmt::format("--format is {}, expected text, json or csv", Quoted(text)));
}

class EstimateCommand final : public Command {
 public:
  CommandLine Line() override {
    constexpr auto kPositions = static_cast<double>(kMaxPositionsOption);
    constexpr auto kDegree = static_cast<double>(kMaxDegree);
    const auto degree = [&](const char* name, const char* help, std::optional<int64_t>* target) {
      return Option{.name = name, .value = "N", .help = help, .target = target, .min = 1, .max = kDegree};
    };
    return {
        .name = "estimate",
        .summary = "What a model would do on a machine that is known by its data sheet.",
        .details =
            "A roofline of every kernel: 'ideal' by the data sheet's rates alone, 'calibrated' with the shares of them "
            "that the device, or devices of its class, were seen to reach, and what steps cost besides. Low and high "
            "are the spread of those factors. Published figures of the same case stand beside. Equal requests arrive "
            "together; what memory does not hold waits.",
        .options = {ModelOption(run_, false),
                    {.name = "--hardware",
                     .value = "NAME,NAME",
                     .help = "Machines: names that 'lodestone hardware list' shows, or TOML files.",
                     .target = &hardware_,
                     .required = true},
                    {.name = "--recipe",
                     .value = "NAME",
                     .help = fmt::format("Number formats (default {}).", kEstimateRecipe),
                     .target = &recipe_},
                    {.name = "--batch", .value = "1,8", .help = "Requests together (default 1).", .target = &batch_},
                    {.name = "--prompt-tokens",
                     .value = "P",
                     .help = "Prompt tokens of every request (default 1024).",
                     .target = &prompt_tokens_,
                     .min = 1,
                     .max = kPositions},
                    {.name = "--tokens",
                     .value = "T",
                     .help = "Tokens that every request generates (default 1024).",
                     .target = &tokens_,
                     .min = 1,
                     .max = kPositions},
                    degree("--devices", "Devices: tensor parallel, unless the degrees below say otherwise.", &devices_),
                    degree("--tensor-parallel", "Devices that share every layer.", &tensor_),
                    degree("--pipeline-parallel", "Stages that layers are dealt to.", &pipeline_),
                    degree("--data-parallel", "Copies of the model, each with the whole batch.", &data_),
                    degree("--expert-parallel", "Devices that whole experts are dealt to.", &expert_),
                    {.name = "--stack",
                     .value = "NAME",
                     .help = "Software whose factors are taken: vllm, tensorrt-llm, … (default: the class's).",
                     .target = &stack_},
                    {.name = "--with",
                     .value = "METHOD",
                     .help = "A method that changes the program, the load or the plan, such as kv-budget=1024; "
                             "repeatable.",
                     .target = &with_},
                    {.name = "--prefill-chunk",
                     .value = "N",
                     .help = "Prompt tokens a step (default: whole prompts).",
                     .target = &chunk_,
                     .min = 1,
                     .max = 1 << 24},
                    {.name = "--training", .value = "", .help = "Training instead of inference.", .target = &training_},
                    {.name = "--sequence",
                     .value = "S",
                     .help = "Training: tokens of a sequence (default 2048).",
                     .target = &sequence_,
                     .min = 1,
                     .max = kPositions},
                    degree("--micro-batch", "Training: sequences of a device and micro-step (default 1).",
                           &micro_batch_),
                    degree("--gradient-accumulation", "Training: micro-steps of a step (default 1).", &accumulation_),
                    {.name = "--zero",
                     .value = "0|1|2|3",
                     .help = "Training: what copies share: nothing, optimizer states, gradients too, weights too "
                             "(default 0).",
                     .target = &zero_,
                     .min = 0,
                     .max = 3},
                    {.name = "--recompute",
                     .value = "",
                     .help = "Training: activations of a layer are computed again, not kept.",
                     .target = &recompute_},
                    {.name = "--level",
                     .value = "ideal|calibrated",
                     .help = "Rates alone, or with factors (default calibrated, ideal beside).",
                     .target = &level_},
                    {.name = "--calibrate-on",
                     .value = "FILE",
                     .help = "Rows of 'lodestone bench inference --json' on this host: its factors are fitted to them "
                             "(with --hardware this-host).",
                     .target = &calibrate_},
                    {.name = "--limits",
                     .value = "FILE",
                     .help = "What this-host is (default: where 'lodestone bench limits' stores it).",
                     .target = &limits_},
                    {.name = "--explain",
                     .value = "",
                     .help = "Every kernel's time and bound, what would change, what no source gives.",
                     .target = &explain_},
                    {.name = "--format",
                     .value = "text|json|csv",
                     .help = "How it is written (default text).",
                     .target = &format_},
                    {.name = "--output", .value = "FILE", .help = "Written there.", .target = &output_},
                    JsonOption(run_)},
        .examples = {{"an 8-billion-parameter model on two accelerators, beside what was published",
                      "lodestone estimate --model llama-3-8b --hardware a100-40gb,h100-sxm --batch 1,16,64 \\\n"
                      "    --prompt-tokens 1024 --tokens 1024 --stack vllm"},
                     {"what bounds it, and what would change",
                      "lodestone estimate --model llama-3-8b --hardware h100-sxm --recipe w4a16 --explain"},
                     {"training on eight devices that share the optimizer's states",
                      "lodestone estimate --training --model gpt2-xl --hardware a100-40gb --data-parallel 8 \\\n"
                      "    --sequence 1024 --micro-batch 8 --zero 1"}}};
  }

  Status Run() override {
    LODESTONE_ASSIGN_OR_RETURN(const OutputFormat format, run_.json ? OutputFormat::kJson : ParseFormat(format_));
    std::string text;
    if (training_) {
      LODESTONE_ASSIGN_OR_RETURN(const std::vector<TrainingRow> rows, EstimateTrainings());
      text = format == OutputFormat::kJson  ? JsonOf(rows)
             : format == OutputFormat::kCsv ? TrainingCsv(rows)
                                            : RenderTraining(rows, explain_);
    } else {
      LODESTONE_ASSIGN_OR_RETURN(const std::vector<EstimateRow> rows, Estimate());
      if (format == OutputFormat::kText) {
        LODESTONE_ASSIGN_OR_RETURN(text, Text(rows));
      } else {
        text = format == OutputFormat::kJson ? JsonOf(rows) : EstimatesCsv(rows);
      }
    }
    if (output_) return WriteFileAtomically(*output_, text);
    Print(text);
    return {};
  }

 private:
  Result<Parallelism> ParallelismAsked() const {
    Parallelism p;
    p.pipeline = static_cast<int>(pipeline_.value_or(1));
    p.data = static_cast<int>(data_.value_or(1));
    p.expert = static_cast<int>(expert_.value_or(1));
    const int64_t others = int64_t{p.pipeline} * p.data;
    if (devices_ && *devices_ % others != 0) {
      return Invalid(
          fmt::format("--devices {}: {} pipeline stages × {} copies do not divide it", *devices_, p.pipeline, p.data));
    }
    p.tensor = static_cast<int>(tensor_.value_or(devices_ ? *devices_ / others : 1));
    if (devices_ && p.tensor * others != *devices_) {
      return Invalid(fmt::format("--devices {}: tensor × pipeline × data is {} × {} × {}", *devices_, p.tensor,
                                 p.pipeline, p.data));
    }
    return p;
  }

  // A machine, and where it is this host the factors of its own measurements.
  Status SetMachine(const std::string& name, Deployment& deployment) const {
    deployment.efficiency = std::nullopt;
    if (name != kThisHost) {
      LODESTONE_ASSIGN_OR_RETURN(deployment.machine, LoadMachine(name));
      return {};
    }
    LODESTONE_ASSIGN_OR_RETURN(deployment.machine, ThisHost(limits_));
    if (!calibrate_ || deployment.level == EstimateLevel::kIdeal) return {};
    LODESTONE_ASSIGN_OR_RETURN(const std::vector<HostRow> rows, ReadHostRows(*calibrate_));
    LODESTONE_ASSIGN_OR_RETURN(SelfCalibration calibration, SelfCalibrate(deployment.machine, rows));
    deployment.efficiency = std::move(calibration.efficiency);
    deployment.level = EstimateLevel::kSelfCalibrated;
    return {};
  }

  template <typename Row>
  static std::string JsonOf(const std::vector<Row>& rows) {
    Json::Array list;
    for (const Row& row : rows) list.push_back(ToJson(row));
    Json json;
    json.Set("estimates", std::move(list));
    return json.Dump() + "\n";
  }

  // What the options say of every machine alike.
  Result<Deployment> DeploymentAsked() const {
    Deployment deployment;
    LODESTONE_ASSIGN_OR_RETURN(deployment.parallelism, ParallelismAsked());
    LODESTONE_ASSIGN_OR_RETURN(deployment.methods, ParseMethods(with_));
    deployment.stack = stack_;
    if (chunk_) deployment.prefill_chunk = static_cast<int>(*chunk_);
    if (level_ != "ideal" && level_ != "calibrated") {
      return Invalid(fmt::format("--level is {}, expected ideal or calibrated", Quoted(level_)));
    }
    deployment.level = level_ == "ideal" ? EstimateLevel::kIdeal : EstimateLevel::kCalibrated;
    return deployment;
  }

  Result<std::vector<TrainingRow>> EstimateTrainings() const {
    LODESTONE_ASSIGN_OR_RETURN(const ModelConfig config, OpenShape(run_.model));
    LODESTONE_ASSIGN_OR_RETURN(const Recipe recipe, ParseRecipe(recipe_));
    LODESTONE_ASSIGN_OR_RETURN(const std::vector<std::string> names, ParseWords("--hardware", hardware_));
    LODESTONE_ASSIGN_OR_RETURN(Deployment deployment, DeploymentAsked());
    const TrainingLoad load{.sequence = sequence_,
                            .micro_batch = static_cast<int>(micro_batch_.value_or(1)),
                            .gradient_accumulation = static_cast<int>(accumulation_.value_or(1)),
                            .recompute = recompute_,
                            .sharded_states = static_cast<int>(zero_)};
    std::vector<TrainingRow> rows;
    for (const std::string& name : names) {
      LODESTONE_RETURN_IF_ERROR(SetMachine(name, deployment));
      TrainingRow row{.hardware = deployment.machine.name, .estimate = {}, .ideal = {}, .reason = {}};
      Result<TrainingEstimate> estimate = EstimateTraining(config, recipe, deployment, load);
      if (estimate.ok()) {
        row.estimate = *std::move(estimate);
      } else {
        if (estimate.error().code != ErrorCode::kInfeasible || names.size() == 1) return estimate.error();
        row.reason = estimate.error().message;
      }
      if (row.estimate && deployment.level != EstimateLevel::kIdeal) {
        Deployment ideal = deployment;
        ideal.level = EstimateLevel::kIdeal;
        if (Result<TrainingEstimate> by_rates = EstimateTraining(config, recipe, ideal, load); by_rates.ok()) {
          row.ideal = *std::move(by_rates);
        }
      }
      rows.push_back(std::move(row));
    }
    return rows;
  }

  Result<std::vector<EstimateRow>> Estimate() const {
    LODESTONE_ASSIGN_OR_RETURN(const ModelConfig config, OpenShape(run_.model));
    LODESTONE_ASSIGN_OR_RETURN(const Recipe recipe, ParseRecipe(recipe_));
    LODESTONE_ASSIGN_OR_RETURN(const std::vector<std::string> names, ParseWords("--hardware", hardware_));
    LODESTONE_ASSIGN_OR_RETURN(const std::vector<int64_t> batches, ParseNumbers("--batch", batch_, 1, kMaxUsers));
    LODESTONE_ASSIGN_OR_RETURN(const Deployment asked, DeploymentAsked());
    Deployment deployment = asked;
    std::vector<EstimateRow> rows;
    for (const std::string& name : names) {
      deployment.level = asked.level;
      LODESTONE_RETURN_IF_ERROR(SetMachine(name, deployment));
      for (const int64_t batch : batches) {
        const InferenceLoad load{
            .batch = static_cast<int>(batch), .prompt_tokens = prompt_tokens_, .output_tokens = tokens_};
        LODESTONE_ASSIGN_OR_RETURN(EstimateRow row, RowOf(config, recipe, deployment, load));
        row.hardware = deployment.machine.name;
        rows.push_back(std::move(row));
      }
    }
    // One question that has no answer is an error; among several it is a row.
    if (rows.size() == 1 && !rows[0].run) return Infeasible(rows[0].reason);
    return rows;
  }

  static Result<EstimateRow> RowOf(const ModelConfig& config, const Recipe& recipe, const Deployment& deployment,
                                   const InferenceLoad& load) {
    EstimateRow row{.hardware = {}, .batch = load.batch, .run = {}, .ideal = {}, .published = {}, .reason = {}};
    Result<InferenceEstimate> estimate = EstimateInference(config, recipe, deployment, load);
    if (!estimate.ok()) {
      if (estimate.error().code != ErrorCode::kInfeasible) return estimate.error();
      row.reason = estimate.error().message;
      return row;
    }
    row.run = EstimatedRun{config, recipe, deployment, load, *std::move(estimate)};
    if (deployment.level != EstimateLevel::kIdeal) {
      Deployment ideal = deployment;
      ideal.level = EstimateLevel::kIdeal;
      if (Result<InferenceEstimate> by_rates = EstimateInference(config, recipe, ideal, load); by_rates.ok()) {
        row.ideal = *std::move(by_rates);
      }
    }
    LODESTONE_ASSIGN_OR_RETURN(row.published, PublishedRowsBeside(*row.run));
    return row;
  }

  Result<std::string> Text(const std::vector<EstimateRow>& rows) const {
    const EstimateRow* answered = nullptr;
    for (const EstimateRow& row : rows) {
      if (row.run && answered == nullptr) answered = &row;
    }
    std::string text;
    if (answered != nullptr) {
      const EstimatedRun& run = *answered->run;
      std::string laid = ToString(run.deployment.parallelism);
      if (laid == "1") laid = "one device";
      text = Wrap(fmt::format("{} · {} · {}{}{} · {} and {} each · {}", run.config.name, run.recipe.name, laid,
                              stack_.empty() ? "" : " · " + stack_,
                              run.deployment.methods.text.empty() ? "" : " · with " + run.deployment.methods.text,
                              Counted(prompt_tokens_, "prompt token"), Counted(tokens_, "generated token"),
                              ToString(run.deployment.level)),
                  kWidth, 2) +
             "\n\n";
    }
    text += RenderEstimates(rows);
    if (answered == nullptr) return text;
    if (!explain_) {
      const size_t count = AssumptionsOf(answered->run->deployment).size();
      text += fmt::format("\n{} of {} rest on no source; --explain lists them.\n",
                          Counted(static_cast<int64_t>(count), "figure"), answered->hardware);
    }
    for (const EstimateRow& row : rows) {
      if (!explain_ || !row.run) continue;
      const EstimatedRun& run = *row.run;
      LODESTONE_ASSIGN_OR_RETURN(const std::vector<WhatIf> changes,
                                 WhatWouldChange(run.config, run.recipe, run.deployment, run.load));
      text += RenderExplanation(run, changes);
    }
    return text;
  }

  RunOptions run_;
  std::string hardware_, recipe_ = kEstimateRecipe, batch_ = "1", stack_, level_ = "calibrated", format_ = "text";
  int64_t prompt_tokens_ = 1024, tokens_ = 1024, sequence_ = 2048, zero_ = 0;
  std::optional<int64_t> devices_, tensor_, pipeline_, data_, expert_, chunk_, micro_batch_, accumulation_;
  std::vector<std::string> with_;
  std::optional<std::string> output_, calibrate_, limits_;
  bool explain_ = false, training_ = false, recompute_ = false;
};

}  // namespace

std::unique_ptr<Command> MakeEstimate() { return std::make_unique<EstimateCommand>(); }

}  // namespace lodestone::cli
