// `lodestone perplexity` and `lodestone compare-logits`: what a recipe costs in quality.
#include <fmt/format.h>

#include <cmath>

#include "base/file.h"
#include "base/quote.h"
#include "base/units.h"
#include "cli/command.h"
#include "cli/layout.h"
#include "cli/lists.h"
#include "cli/output.h"
#include "cli/run_options.h"
#include "cli/version.h"
#include "lab/quality.h"
#include "lab/statistics.h"
#include "learn/calibration.h"
#include "learn/codons.h"
#include "learn/training_data.h"
#include "report/run_record.h"

namespace lodestone::cli {
namespace {

constexpr size_t kMaxTextFile = size_t{64} << 20;

struct TextOptions {
  std::optional<std::string> file, fasta;
  std::optional<int64_t> context;
  int64_t max_tokens = 1 << 30;
};

Option TextOption(TextOptions& text) {
  return {.name = "--text",
          .value = "FILE",
          .help = "The text, UTF-8 (default: a short one that is built in, enough to see that a model works).",
          .target = &text.file};
}
Option FastaOption(TextOptions& text) {
  return {.name = "--fasta",
          .value = "FILE",
          .help = "Nucleotide sequences instead of a text, for a model of codons such as GenSLM.",
          .target = &text.fasta};
}
Option WindowOption(TextOptions& text) {
  return {.name = "--context",
          .value = "C",
          .help = "Tokens a window; windows do not overlap (default 512, at most the model's positions).",
          .target = &text.context,
          .min = 2,
          .max = static_cast<double>(kMaxPositionsOption)};
}
Option MaxTokensOption(TextOptions& text) {
  return {.name = "--max-tokens",
          .value = "N",
          .help = "Tokens of the text that are used at most (default: all).",
          .target = &text.max_tokens,
          .min = 2,
          .max = 1 << 30};
}

// The codons of a FASTA file, one sequence after the other, as training reads them.
Result<std::vector<int32_t>> ReadCodons(const Model& model, const std::string& fasta) {
  if (model.tokenizer->TokenToId(CodonName(kFirstCodon)) != kFirstCodon) {
    return Invalid(fmt::format("--fasta: the tokenizer of '{}' is not one of codons", model.name));
  }
  const std::vector<std::filesystem::path> files{fasta};
  LODESTONE_ASSIGN_OR_RETURN(const std::unique_ptr<TokenData> data, TokensOfFasta(files, model.config.vocab));
  std::vector<int32_t> tokens(static_cast<size_t>(data->size()));
  data->Read(0, tokens);
  return tokens;
}

// The text in windows, as `model` spells it.
Result<TextWindows> ReadText(const Model& model, const TextOptions& options) {
  if (options.file && options.fasta) return Invalid("give --text or --fasta, not both");
  const std::string name = options.fasta ? *options.fasta : options.file.value_or("the built-in text");
  std::string text(DefaultCalibrationText());
  if (options.file) {
    LODESTONE_ASSIGN_OR_RETURN(text, ReadFile(*options.file, kMaxTextFile));
  }
  Result<std::vector<int32_t>> tokens =
      options.fasta ? ReadCodons(model, *options.fasta) : EncodeText(*model.tokenizer, text);
  if (!tokens.ok() && options.fasta) return tokens.error();
  if (!tokens.ok()) return Error{tokens.error().code, fmt::format("{}: {}", name, tokens.error().message)};
  if (tokens->size() > static_cast<size_t>(options.max_tokens)) tokens->resize(static_cast<size_t>(options.max_tokens));
  const int64_t context = options.context.value_or(std::min<int64_t>(512, model.config.max_positions));
  Result<TextWindows> windows = CutWindows(model.config, *tokens, context);
  if (!windows.ok()) return Error{windows.error().code, fmt::format("{}: {}", name, windows.error().message)};
  return windows;
}

int64_t LongestWindow(const TextWindows& text) {
  size_t longest = 0;
  for (const auto& window : text.windows) longest = std::max(longest, window.size());
  return static_cast<int64_t>(longest);
}

Result<std::unique_ptr<PassRunner>> OpenRunner(Model& model, const std::string& recipe, const TextWindows& text,
                                               int threads) {
  LODESTONE_ASSIGN_OR_RETURN(const Recipe parsed, ParseRecipe(recipe));
  return PassRunner::Open(model, parsed,
                          {.positions = LongestWindow(text), .rows_per_pass = kTeacherForcingRows, .threads = threads});
}

// One line of the table: a model in a recipe.
struct Subject {
  std::string model, recipe;
  std::vector<double> nll;
};

class PerplexityCommand final : public Command {
 public:
  CommandLine Line() override {
    return {.name = "perplexity",
            .summary = "How well a model predicts a text, in each of several recipes.",
            .details =
                "Every token is predicted from those before it in its window. The first model in the first recipe is "
                "the reference: the others show their difference to it, token by token, with its standard error.",
            .options = {{.name = "--model",
                         .value = "DIR|FILE",
                         .help = "A model; may be given several times, to compare checkpoints of one tokenizer (say, "
                                 "what 'lodestone quantize' wrote by different methods).",
                         .target = &models_,
                         .required = true},
                        {.name = "--recipe",
                         .value = "R,...",
                         .help = "Recipes, each for every model (default f32,w8a8,w4a8,w4a4).",
                         .target = &recipes_},
                        TextOption(text_),
                        FastaOption(text_),
                        WindowOption(text_),
                        MaxTokensOption(text_),
                        ThreadsOption(run_),
                        JsonOption(run_)},
            .examples = {{"what four bits cost", "lodestone perplexity --model ./m --text book.txt"},
                         {"two ways to the same bits",
                          "lodestone perplexity --model ./m --model ./m-gptq --recipe f32,w4a8 --text book.txt"}}};
  }

  Status Run() override {
    LODESTONE_ASSIGN_OR_RETURN(const std::vector<std::string> recipes, ParseWords("--recipe", recipes_));
    for (const std::string& recipe : recipes) LODESTONE_RETURN_IF_ERROR(ParseRecipe(recipe).status());
    LODESTONE_ASSIGN_OR_RETURN(const int threads, ThreadsToUse(run_.threads));
    std::vector<Subject> subjects;
    for (const std::string& path : models_) {
      for (const std::string& recipe : recipes) {
        LODESTONE_ASSIGN_OR_RETURN(Subject subject, Measure(path, recipe, threads));
        if (!subjects.empty() && subject.nll.size() != subjects[0].nll.size()) {
          return Invalid(
              fmt::format("'{}' makes {} tokens of the text and '{}' {}: only models of one tokenizer can "
                          "be compared token by token",
                          subject.model, subject.nll.size(), subjects[0].model, subjects[0].nll.size()));
        }
        subjects.push_back(std::move(subject));
      }
    }
    if (run_.json) {
      PrintJson(AsJson(subjects, threads));
    } else {
      Show(subjects);
    }
    return {};
  }

 private:
  Result<Subject> Measure(const std::string& path, const std::string& recipe, int threads) {
    LODESTONE_ASSIGN_OR_RETURN(Model model, OpenModel(path));
    LODESTONE_ASSIGN_OR_RETURN(const TextWindows text, ReadText(model, text_));
    LODESTONE_ASSIGN_OR_RETURN(const std::unique_ptr<PassRunner> runner, OpenRunner(model, recipe, text, threads));
    Progress progress(fmt::format("tokens in {}", recipe), text.predicted());
    Subject subject{.model = model.name, .recipe = recipe, .nll = {}};
    LODESTONE_ASSIGN_OR_RETURN(
        subject.nll, NegativeLogLikelihoods(*runner, text, [&](int64_t tokens) { progress.Advance(tokens); }));
    progress.Erase();
    return subject;
  }

  static Statistics DifferenceTo(const Subject& reference, const Subject& subject) {
    std::vector<double> difference(subject.nll.size());
    for (size_t i = 0; i < difference.size(); ++i) difference[i] = subject.nll[i] - reference.nll[i];
    return StatisticsOf(difference);
  }

  static void Show(const std::vector<Subject>& subjects) {
    std::vector<std::vector<std::string>> rows{
        {"Model", "Recipe", "Nats a token", "Perplexity", "Difference", "Standard error"}};
    for (const Subject& subject : subjects) {
      const Statistics nll = StatisticsOf(subject.nll);
      const bool reference = &subject == &subjects[0];
      const Statistics difference = DifferenceTo(subjects[0], subject);
      rows.push_back({subject.model, subject.recipe, fmt::format("{:.5f}", nll.mean),
                      fmt::format("{:.4f}", std::exp(nll.mean)),
                      reference ? "" : fmt::format("{:+.5f}", difference.mean),
                      reference ? "" : fmt::format("{:.5f}", difference.standard_error)});
    }
    Print(RenderTable(rows));
    Print(
        fmt::format("\n{} tokens predicted. Differences are to the first line, token by token; tokens of a text are "
                    "not\nindependent, so the standard error is a lower bound.\n",
                    subjects[0].nll.size()));
  }

  static Json AsJson(const std::vector<Subject>& subjects, int threads) {
    Json::Array rows;
    for (const Subject& subject : subjects) {
      const Statistics nll = StatisticsOf(subject.nll), difference = DifferenceTo(subjects[0], subject);
      Json row;
      row.Set("model", subject.model);
      row.Set("recipe", subject.recipe);
      row.Set("tokens", static_cast<int64_t>(subject.nll.size()));
      row.Set("nats_per_token", nll.mean);
      row.Set("nats_per_token_standard_error", nll.standard_error);
      row.Set("perplexity", std::exp(nll.mean));
      row.Set("difference_nats", difference.mean);
      row.Set("difference_standard_error", difference.standard_error);
      rows.push_back(std::move(row));
    }
    Json json;
    Json environment;
    for (const auto& [name, value] : Environment()) environment.Set(name, value);
    environment.Set("threads", threads);
    json.Set("environment", std::move(environment));
    json.Set("provenance", "measured");
    json.Set("rows", std::move(rows));
    return json;
  }

  RunOptions run_;
  TextOptions text_;
  std::vector<std::string> models_;
  std::string recipes_ = "f32,w8a8,w4a8,w4a4";
};

class CompareLogitsCommand final : public Command {
 public:
  CommandLine Line() override {
    return {.name = "compare-logits",
            .summary = "How far apart the predictions of two recipes, or of two checkpoints, lie.",
            .details =
                "Both read the same text. The Kullback-Leibler divergence is Σ p log(p/q) in nats over the vocabulary, "
                "p of the reference; top-1 agreement counts positions with the same most likely token.",
            .options = {ModelOption(run_, true),
                        RecipeOption(run_),
                        {.name = "--reference-model",
                         .value = "DIR|FILE",
                         .help = "What to compare with (default: the same model).",
                         .target = &reference_model_},
                        {.name = "--reference-recipe",
                         .value = "R",
                         .help = "In which recipe the reference runs (default f32).",
                         .target = &reference_recipe_},
                        TextOption(text_),
                        FastaOption(text_),
                        WindowOption(text_),
                        MaxTokensOption(text_),
                        ThreadsOption(run_),
                        JsonOption(run_)},
            .examples = {{"how far 4-bit weights move the predictions",
                          "lodestone compare-logits --model ./m --recipe w4a8:g128 --text book.txt"},
                         {"a converted file against its source",
                          "lodestone compare-logits --model m.gguf --recipe f32 --reference-model ./m"}}};
  }

  Status Run() override {
    LODESTONE_ASSIGN_OR_RETURN(const int threads, ThreadsToUse(run_.threads));
    LODESTONE_ASSIGN_OR_RETURN(Model model, OpenModel(run_.model));
    LODESTONE_ASSIGN_OR_RETURN(Model reference, OpenModel(reference_model_.value_or(run_.model)));
    LODESTONE_ASSIGN_OR_RETURN(const Recipe recipe, RecipeOf(run_, model.config));
    run_.recipe = recipe.name;
    LODESTONE_ASSIGN_OR_RETURN(const TextWindows text, ReadText(reference, text_));
    LODESTONE_ASSIGN_OR_RETURN(const TextWindows own, ReadText(model, text_));
    if (own.windows != text.windows) {
      return Invalid("the two models make different tokens of the text: their predictions cannot be compared");
    }
    LODESTONE_ASSIGN_OR_RETURN(const auto candidate_runner, OpenRunner(model, run_.recipe, text, threads));
    LODESTONE_ASSIGN_OR_RETURN(const auto reference_runner, OpenRunner(reference, reference_recipe_, text, threads));
    Progress progress("tokens", text.predicted());
    LODESTONE_ASSIGN_OR_RETURN(
        const LogitsComparison comparison,
        CompareLogits(*reference_runner, *candidate_runner, text, [&](int64_t tokens) { progress.Advance(tokens); }));
    progress.Erase();
    Show(comparison, reference.name, model.name);
    return {};
  }

 private:
  void Show(const LogitsComparison& comparison, const std::string& reference, const std::string& candidate) const {
    const Statistics kl = StatisticsOf(comparison.kl);
    const auto count = static_cast<double>(comparison.kl.size());
    const double agreement = static_cast<double>(comparison.same_top) / count;
    const double agreement_error = std::sqrt(agreement * (1 - agreement) / count);
    std::vector<double> difference(comparison.kl.size());
    for (size_t i = 0; i < difference.size(); ++i) {
      difference[i] = comparison.candidate_nll[i] - comparison.reference_nll[i];
    }
    const Statistics nll = StatisticsOf(difference);
    if (run_.json) {
      Json json;
      json.Set("model", candidate);
      json.Set("recipe", run_.recipe);
      json.Set("reference_model", reference);
      json.Set("reference_recipe", reference_recipe_);
      json.Set("provenance", "measured");
      json.Set("tokens", static_cast<int64_t>(comparison.kl.size()));
      json.Set("kl_mean_nats", kl.mean);
      json.Set("kl_standard_error", kl.standard_error);
      json.Set("kl_median_nats", kl.median);
      json.Set("kl_max_nats", kl.max);
      json.Set("top1_agreement", agreement);
      json.Set("top1_standard_error", agreement_error);
      json.Set("largest_logit_difference", comparison.largest_difference);
      json.Set("nll_difference_nats", nll.mean);
      json.Set("nll_difference_standard_error", nll.standard_error);
      return PrintJson(json);
    }
    Print(fmt::format("{} in {} against {} in {}, {} tokens\n\n", candidate, run_.recipe, reference, reference_recipe_,
                      comparison.kl.size()));
    Print(RenderTable(
        {{"Measure", "Value", "Standard error"},
         {"KL divergence, mean, nats", fmt::format("{:.6f}", kl.mean), fmt::format("{:.6f}", kl.standard_error)},
         {"KL divergence, median, nats", fmt::format("{:.6f}", kl.median), ""},
         {"KL divergence, largest, nats", fmt::format("{:.6f}", kl.max), ""},
         {"Top-1 agreement, %", fmt::format("{:.2f}", 100 * agreement), fmt::format("{:.2f}", 100 * agreement_error)},
         {"Text, difference, nats a token", fmt::format("{:+.6f}", nll.mean),
          fmt::format("{:.6f}", nll.standard_error)},
         {"Largest difference of a logit", fmt::format("{:.4g}", comparison.largest_difference), ""}}));
  }

  RunOptions run_;
  TextOptions text_;
  std::optional<std::string> reference_model_;
  std::string reference_recipe_ = "f32";
};

}  // namespace

std::unique_ptr<Command> MakePerplexity() { return std::make_unique<PerplexityCommand>(); }
std::unique_ptr<Command> MakeCompareLogits() { return std::make_unique<CompareLogitsCommand>(); }

}  // namespace lodestone::cli
