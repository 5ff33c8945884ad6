#include <fmt/format.h>

#include <algorithm>
#include <span>

#include "base/quote.h"
#include "base/units.h"
#include "cli/command.h"
#include "cli/generate.h"
#include "cli/layout.h"
#include "cli/output.h"
#include "cli/plan.h"
#include "cli/shipped_model.h"
#include "cli/simulate.h"
#include "lab/validate/case.h"
#include "report/published_rows.h"

namespace lodestone::cli {
namespace {

// The run of the NorthPole paper (HPEC 2024): 28 users in 14 micro-batches on sixteen cards.
constexpr const char* kPaperModel = "granite-3b-14l";
constexpr const char* kPaperAppliance = "northpole-16";
constexpr const char* kPaperSource = "northpole-hpec2024";
constexpr const char* kPaperRecipe = "w4a4";
constexpr int kPaperUsers = 28, kPaperMicroBatches = 14;
constexpr int64_t kPaperTokens = 1024;  // of the prompt, and as many generated

// The model that comes with the program was trained for the paper's recipe. Four-bit activations want that; with eight
// bits most other checkpoints stay readable.
constexpr const char* kTrainedRecipe = "w4a4:static";
constexpr const char* kTrainedPrompt = "def parse_header(self, line):\n    \"\"\"";
constexpr uint64_t kTextSeed = 5;
constexpr const char* kOtherRecipe = "w4a8";
constexpr const char* kRandomModel = "random:nano-14l";
constexpr int kShownTokens = 96;

void Headline(int number, const std::string& text) {
  const std::string head = fmt::format("── {} · {} ", number, text);
  std::string line = head;
  for (int column = Columns(head); column < kWidth; ++column) line += "─";
  Print(fmt::format("{}{}\n\n", number == 1 ? "" : "\n", line));
}

RunOptions PaperRun(const char* recipe) {
  RunOptions run;
  run.model = kPaperModel;
  run.appliance = kPaperAppliance;
  run.recipe = recipe;
  run.users = kPaperUsers;
  run.micro_batches = kPaperMicroBatches;
  return run;
}

Status ShowPlan() {
  Headline(1, "A 3-billion-parameter model on sixteen cards: every weight and every KV entry on chip");
  RunOptions run = PaperRun("w4a4:static");
  run.context = 2 * kPaperTokens;
  run.prefill_chunk = kPlanChunk;
  LODESTONE_ASSIGN_OR_RETURN(const Plan plan, MakePlan(run));
  Print(RenderPlan(plan, run));
  return {};
}

// The run of the rack's paper (arXiv 2511.15950), for which nothing is fitted.
Status ShowPrediction() {
  RunOptions run;
  run.model = "granite-3.3-8b";
  run.appliance = "northpole-288";
  run.recipe = "w4a8c8";
  run.users = kPaperUsers;
  LODESTONE_ASSIGN_OR_RETURN(const Simulation simulation,
                             Simulate({.run = run, .prompt_tokens = kPaperTokens, .tokens = kPaperTokens}));
  if (!simulation.published) return {};
  for (const Measure& measure : simulation.record.measures) {
    for (const PublishedFigure& figure : simulation.published->figures) {
      if (figure.name != measure.name || measure.name != "itl_s" || !measure.value) continue;
      Print("\n" +
            Wrap(fmt::format("  Predicted with the same constants for {} on the rack of 288 cards: {} between a "
                             "user's tokens ({} to {}); published: {}. {} instances fit, each on {} cards.",
                             run.model, FormatSeconds(*measure.value), FormatSeconds(measure.low.value_or(0)),
                             FormatSeconds(measure.high.value_or(0)), FormatSeconds(figure.value),
                             simulation.run.placement.instances, simulation.run.placement.cards_used),
                 kWidth, 4) +
            "\n");
    }
  }
  return {};
}

Status ShowSimulation() {
  Headline(2, "The same run on a virtual clock, beside the published figures");
  const SimulateOptions options{.run = PaperRun(kPaperRecipe), .prompt_tokens = kPaperTokens, .tokens = kPaperTokens};
  LODESTONE_ASSIGN_OR_RETURN(const Simulation simulation, Simulate(options));
  Print(fmt::format("{} users, {} prompt tokens and {} generated tokens each\n\n", kPaperUsers, kPaperTokens,
                    kPaperTokens));
  Print(RenderSimulation(simulation));
  Print(
      Wrap(
          "  Low and high: every constant without a source at its worse and at its better end. Ideal: the chip's rates "
          "alone. 'lodestone simulate' lists the constants.",
          kWidth, 4) +
      "\n");
  return ShowPrediction();
}

// The paper's own comparison: its GPUs by their data sheets and factors, none of which is fitted on these figures.
Status ShowOthers() {
  Headline(4, "The paper's model on the GPUs that it compares with, estimated");
  LODESTONE_ASSIGN_OR_RETURN(const std::span<const PublishedRow> rows, CatalogPublishedRows());
  std::vector<PublishedRow> compared;
  for (const PublishedRow& row : rows) {
    if (row.source == kPaperSource && row.metric == "output_throughput" && row.machine != kPaperAppliance) {
      compared.push_back(row);
    }
  }
  LODESTONE_ASSIGN_OR_RETURN(const CaseList list, CasesOf(compared));
  std::vector<std::vector<std::string>> table{{"", "users", "recipe", "tokens/s", "low–high", "published", "error"}};
  for (const ValidationCase& question : list.cases) {
    const PublishedRow& row = *question.row;
    LODESTONE_ASSIGN_OR_RETURN(const Range estimate, EstimateOf(question));
    table.push_back({row.devices > 1 ? fmt::format("{} × {}", row.devices, row.machine) : row.machine,
                     fmt::format("{}", row.batch), row.recipe, FormatNumber(estimate.typical),
                     fmt::format("{}–{}", FormatNumber(estimate.low), FormatNumber(estimate.high)),
                     FormatNumber(row.value), fmt::format("{:+.0f} %", 100 * (estimate.typical / row.value - 1))});
  }
  Print(RenderTable(table));
  Print("\n" +
        Wrap("  A roofline of every kernel, with factors fitted on other published figures, or of the class of device "
             "where it has none; these figures are in no fit. 'lodestone estimate' asks for any model on any machine "
             "of 'lodestone hardware list'; 'lodestone validate' shows how far such figures are from five thousand "
             "published ones.",
             kWidth, 4) +
        "\n");
  return {};
}

double ValueOf(const RunRecord& record, std::string_view name) {
  for (const Measure& measure : record.measures) {
    if (measure.name == name) return measure.value.value_or(0);
  }
  return 0;
}

Result<RunRecord> Generate(const GenerateOptions& options) {
  Progress progress("tokens", options.tokens);
  LODESTONE_ASSIGN_OR_RETURN(Generation generation, PrepareGeneration(options));
  return RunGeneration(std::move(generation), options, [&](size_t, const TokenEvent&) { progress.Advance(); });
}

// Text as it was written: its lines, indented; only lines that are too long are wrapped.
std::string Lines(std::string_view text) {
  std::string lines;
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    const std::string line = "  " + WithoutControls(text.substr(0, end));
    if (line.find_first_not_of(' ') != std::string::npos)
      lines += Columns(line) > kWidth ? Wrap(line, kWidth, 2) : line;
    lines += '\n';
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return lines;
}

class DemoCommand final : public Command {
 public:
  CommandLine Line() override {
    return {.name = "demo",
            .summary = "Plans, simulates and generates: what this program is for, on one screen.",
            .details =
                "Places the model of the NorthPole paper on sixteen cards, simulates the paper's run beside its "
                "figures, generates text through the same sixteen cards and on this host (the tokens are equal), and "
                "estimates the GPUs that the paper compares with.",
            .options = {{"--model", "DIR",
                         "The checkpoint that generates (default: models/nano, which comes with the program and was "
                         "trained on Python).",
                         &model_},
                        {"--prompt", "TEXT",
                         "What its text begins with (default: the head of a function; with --model, that model's "
                         "begin-of-text token).",
                         &prompt_},
                        {"--json", "", "The run record of the generation as JSON, nothing else.", &json_}},
            .examples = {{"without any file", "lodestone demo"},
                         {"with a checkpoint", "lodestone demo --model ./stories260k --prompt \"Once upon a time\""}}};
  }

  Status Run() override {
    const std::optional<std::string> shipped = model_ ? std::nullopt : ShippedModel();
    GenerateOptions text;
    text.run.model = model_ ? *model_ : shipped ? *shipped : kRandomModel;
    text.run.recipe = shipped ? kTrainedRecipe : kOtherRecipe;
    text.prompts = {prompt_ ? *prompt_ : shipped ? kTrainedPrompt : ""};
    text.tokens = kShownTokens;
    // The most likely token of a small model soon repeats itself, and the logits of random weights hardly differ.
    text.sampling.temperature = shipped ? 0.5 : model_ ? 0 : 1;
    text.sampling.seed = kTextSeed;
    text.ignore_eos = !model_;
    if (!json_) {
      LODESTONE_RETURN_IF_ERROR(ShowPlan());
      LODESTONE_RETURN_IF_ERROR(ShowSimulation());
    }
    const char* about = model_    ? ""
                        : shipped ? "models/nano, 3.3 million parameters in 14 layers, learned from Python's library "
                                    "in bf16 and then in w4a4 with learned step sizes. What it writes looks like "
                                    "Python; it is too small to mean anything."
                                  : "The weights are random (14 narrow layers, seed 1), so the words are noise; the "
                                    "arithmetic is not. --model DIR brings a checkpoint.";
    LODESTONE_RETURN_IF_ERROR(ShowText(text, about));
    return json_ ? Status() : ShowOthers();
  }

 private:
  Status ShowText(GenerateOptions options, const std::string& about) const {
    if (!json_) {
      Headline(3, fmt::format("Text through the same cards, and on this host ({})", options.run.recipe));
      if (!about.empty()) Print(Wrap(about, kWidth, 0) + "\n\n");
    }
    options.run.appliance = kPaperAppliance;
    LODESTONE_ASSIGN_OR_RETURN(const RunRecord cards, Generate(options));
    if (json_) {
      PrintJson(ToJson(cards));
      return {};
    }
    options.run.appliance = "cpu";
    LODESTONE_ASSIGN_OR_RETURN(const RunRecord host, Generate(options));
    const UserOutput& output = cards.users.front();
    Print(Lines(options.prompts.front() + output.text) + "\n");
    const bool identical = output.token_ids == host.users.front().token_ids;
    std::vector<std::vector<std::string>> rows{{"", "cards", "tokens", "tokens/s, one user", "clock"}};
    for (const RunRecord* record : {&cards, &host}) {
      rows.push_back({record->target.appliance, fmt::format("{}", record->target.cards),
                      fmt::format("{}", record->users.front().token_ids.size()),
                      fmt::format("{:.0f}", ValueOf(*record, "system_throughput_tokens_per_s")),
                      std::string(ToString(record->measures.front().provenance))});
    }
    Print(RenderTable(rows));
    if (!identical) return Invalid("the simulated cards and this host made different tokens, which must never be");
    Print(fmt::format("\n  The {} tokens are identical.\n", output.token_ids.size()));
    return {};
  }

  std::optional<std::string> model_, prompt_;
  bool json_ = false;
};

}  // namespace

std::unique_ptr<Command> MakeDemo() { return std::make_unique<DemoCommand>(); }

}  // namespace lodestone::cli
