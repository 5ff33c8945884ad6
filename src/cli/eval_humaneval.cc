// `lodestone eval humaneval`: programming problems, answered by a model and decided by their tests.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <set>

#include "appliance/machine.h"
#include "base/file.h"
#include "base/log.h"
#include "base/quote.h"
#include "cli/command.h"
#include "cli/layout.h"
#include "cli/lists.h"
#include "cli/output.h"
#include "cli/run_options.h"
#include "cli/version.h"
#include "lab/code/humaneval.h"
#include "lab/code/humaneval_run.h"
#include "lab/code/samples.h"
#include "learn/calibration.h"
#include "report/run_record.h"

namespace lodestone::cli {
namespace {

constexpr int64_t kMaxSamples = 1'000'000;  // of all problems together: they are held in memory

// FNV-1a, to tell one file of problems or completions from another.
std::string Fingerprint(std::string_view text) {
  uint64_t hash = 14695981039346656037u;
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211u;
  return fmt::format("{:016x}", hash);
}

class EvalHumanevalCommand final : public Command {
 public:
  CommandLine Line() override;
  Status Run() override;

 private:
  enum class Source { kModel, kCompletions, kCanonical };

  Result<Source> SourceOfAnswers() const;
  Status ReadInputs();
  Json Settings() const;
  Status Generate(CodeRun& run);
  Result<Sandbox> OpenSandbox() const;
  Json Record(const CodeRun& run, const Sandbox& sandbox) const;
  void Show(const CodeRun& run, const Sandbox& sandbox) const;

  RunOptions run_;
  Sampling sampling_{.temperature = 0.8, .top_p = 0.95};
  std::string problems_file_, output_, k_text_ = "1", python_ = "python3";
  std::optional<std::string> completions_file_;
  std::optional<int64_t> samples_option_, jobs_;
  int64_t max_tokens_ = 512, users_ = 32, seed_ = 0, memory_mib_ = 1024;
  double timeout_s_ = 10;
  bool canonical_ = false, allow_weak_ = false;

  // Read from the options.
  Source source_ = Source::kModel;
  std::vector<int64_t> ks_;
  std::vector<CodeProblem> problems_;
  std::vector<CodeSample> given_;  // answers that no model makes
  std::string problems_print_, given_print_;
  int64_t samples_ = 1;
  int threads_ = 1;
};

CommandLine EvalHumanevalCommand::Line() {
  return {
      .name = "eval humaneval",
      .summary = "How many programming problems a model solves: pass@k of HumanEval.",
      .details =
          "Every sample runs with its problem's tests in Python, in a sandbox without network: its own namespaces, a "
          "read-only root, a filter of system calls, limits of time, memory and files. pass@k is the unbiased estimate "
          "of Chen et al. 2021. The run can be interrupted; the same command goes on with it.",
      .options =
          {{.name = "--model",
            .value = "DIR|FILE",
            .help = "The model that answers: as for 'lodestone generate'.",
            .target = &run_.model},
           {.name = "--problems",
            .value = "FILE",
            .help = "JSON Lines with task_id, prompt, entry_point, canonical_solution and test.",
            .target = &problems_file_,
            .required = true},
           {.name = "--output",
            .value = "DIR",
            .help = "Where completions, verdicts and the record are kept.",
            .target = &output_,
            .required = true},
           {.name = "--k", .value = "K,...", .help = "Which pass@k (default 1).", .target = &k_text_},
           {.name = "--samples",
            .value = "N",
            .help = "Samples a problem, at least the largest K (default: that).",
            .target = &samples_option_,
            .min = 1,
            .max = kMaxSamples},
           {.name = "--temperature",
            .value = "T",
            .help = "Randomness; 0 takes the most likely token (default 0.8).",
            .target = &sampling_.temperature,
            .min = 0,
            .max = 100},
           {.name = "--top-p",
            .value = "P",
            .help = "Samples from the most likely tokens that together reach probability P (default 0.95).",
            .target = &sampling_.top_p,
            .min = 0,
            .max = 1},
           {.name = "--seed",
            .value = "S",
            .help = "Of the random numbers (default 0).",
            .target = &seed_,
            .max = 9e18},
           {.name = "--tokens",
            .value = "N",
            .help = "Tokens a completion at most (default 512).",
            .target = &max_tokens_,
            .min = 1,
            .max = static_cast<double>(kMaxPositionsOption)},
           RecipeOption(run_),
           {.name = "--users",
            .value = "N",
            .help = "Samples that are generated together (default 32).",
            .target = &users_,
            .min = 1,
            .max = 4096},
           ThreadsOption(run_),
           {.name = "--completions",
            .value = "FILE",
            .help = "Instead of a model: JSON Lines with task_id and completion.",
            .target = &completions_file_},
           {.name = "--canonical",
            .value = "",
            .help = "Instead of a model: the problems' own solutions, which must all pass.",
            .target = &canonical_},
           {.name = "--jobs",
            .value = "N",
            .help = "Samples that are tested at a time (default: one a thread).",
            .target = &jobs_,
            .min = 1,
            .max = 1024},
           {.name = "--timeout",
            .value = "S",
            .help = "Seconds for each test (default 10).",
            .target = &timeout_s_,
            .min = 0.1,
            .max = 3600},
           {.name = "--memory",
            .value = "MIB",
            .help = "Memory for each test (default 1024).",
            .target = &memory_mib_,
            .min = 64,
            .max = 1 << 20},
           {.name = "--python", .value = "PATH", .help = "The interpreter (default python3).", .target = &python_},
           {.name = "--allow-weak-sandbox",
            .value = "",
            .help = "Runs samples also where the kernel refuses namespaces: they can then read, change and "
                    "delete what you can.",
            .target = &allow_weak_},
           JsonOption(run_)},
      .examples = {
          {"ten samples a problem",
           "lodestone eval humaneval --model ./m --problems HumanEval.jsonl --k 1,10 --samples 10 --output out"},
          {"the same again, with more samples: those that exist are kept",
           "lodestone eval humaneval --model ./m --problems HumanEval.jsonl --k 1,10 --samples 50 --output out"},
          {"whether the sandbox and the problems are in order",
           "lodestone eval humaneval --canonical --problems HumanEval.jsonl --output check"}}};
}

Result<EvalHumanevalCommand::Source> EvalHumanevalCommand::SourceOfAnswers() const {
  const int given = (run_.model.empty() ? 0 : 1) + (completions_file_ ? 1 : 0) + (canonical_ ? 1 : 0);
  if (given != 1) return Invalid("give one of --model, --completions and --canonical: whose answers are to be tested");
  return canonical_ ? Source::kCanonical : completions_file_ ? Source::kCompletions : Source::kModel;
}

Status EvalHumanevalCommand::ReadInputs() {
  LODESTONE_ASSIGN_OR_RETURN(source_, SourceOfAnswers());
  LODESTONE_ASSIGN_OR_RETURN(ks_, ParseNumbers("--k", k_text_, 1, kMaxSamples));
  std::sort(ks_.begin(), ks_.end());
  ks_.erase(std::unique(ks_.begin(), ks_.end()), ks_.end());
  LODESTONE_ASSIGN_OR_RETURN(threads_, ThreadsToUse(run_.threads));
  sampling_.seed = static_cast<uint64_t>(seed_);
  LODESTONE_RETURN_IF_ERROR(sampling_.Validate());
  LODESTONE_ASSIGN_OR_RETURN(const std::string text, ReadFile(problems_file_, kMaxProblemsFile));
  LODESTONE_ASSIGN_OR_RETURN(problems_, ParseCodeProblems(text, problems_file_));
  problems_print_ = Fingerprint(text);

  const int64_t largest = *std::max_element(ks_.begin(), ks_.end());
  samples_ = samples_option_.value_or(source_ == Source::kModel ? largest : 1);
  if (samples_ > kMaxSamples / static_cast<int64_t>(problems_.size())) {
    return Invalid(fmt::format("{} samples of {} problems are more than {} in all; ask for fewer samples, or split {}",
                               samples_, problems_.size(), kMaxSamples, problems_file_));
  }
  if (source_ == Source::kCanonical) {
    for (size_t i = 0; i < problems_.size(); ++i) {
      for (int64_t n = 0; n < samples_; ++n) given_.push_back({i, n, problems_[i].canonical_solution});
    }
  } else if (source_ == Source::kCompletions) {
    LODESTONE_ASSIGN_OR_RETURN(const std::string completions, ReadFile(*completions_file_, size_t{2} << 30));
    LODESTONE_ASSIGN_OR_RETURN(given_, ParseCompletions(completions, *completions_file_, problems_));
    given_print_ = Fingerprint(completions);
    std::vector<int64_t> counts(problems_.size());
    for (const CodeSample& sample : given_) ++counts[sample.problem];
    const auto fewest = std::min_element(counts.begin(), counts.end());
    samples_ = samples_option_.value_or(*fewest);
    if (*fewest < std::max<int64_t>(samples_, 1)) {
      return Invalid(
          fmt::format("{} has {} completions of {}, expected at least {} of every problem", *completions_file_, *fewest,
                      problems_[static_cast<size_t>(fewest - counts.begin())].task_id, std::max<int64_t>(samples_, 1)));
    }
    std::erase_if(given_, [this](const CodeSample& sample) { return sample.sample >= samples_; });
  }
  if (samples_ < largest) {
    return Invalid(
        fmt::format("pass@{} needs at least {} samples a problem, and there are {}", largest, largest, samples_));
  }
  return {};
}

// What must be the same for a run to go on.
Json EvalHumanevalCommand::Settings() const {
  Json settings;
  settings.Set("problems", problems_print_);
  settings.Set("timeout_s", timeout_s_);
  settings.Set("memory_mib", memory_mib_);
  if (source_ == Source::kCanonical) settings.Set("answers", "canonical");
  if (source_ == Source::kCompletions) settings.Set("answers", "completions " + given_print_);
  if (source_ == Source::kModel) {
    settings.Set("answers", "model " + run_.model);
    settings.Set("recipe", run_.recipe);
    settings.Set("temperature", sampling_.temperature);
    settings.Set("top_p", sampling_.top_p);
    settings.Set("seed", seed_);
    settings.Set("tokens", max_tokens_);
  }
  return settings;
}

Status EvalHumanevalCommand::Generate(CodeRun& run) {
  std::vector<CodeSample> missing = run.Missing();
  if (missing.empty()) return {};
  if (source_ != Source::kModel) {
    std::set<std::pair<size_t, int64_t>> wanted;
    for (const CodeSample& sample : missing) wanted.emplace(sample.problem, sample.sample);
    for (const CodeSample& sample : given_) {
      if (wanted.count({sample.problem, sample.sample})) LODESTONE_RETURN_IF_ERROR(run.Add(sample, "given"));
    }
    return {};
  }
  LODESTONE_ASSIGN_OR_RETURN(Model model, OpenModel(run_.model));
  LODESTONE_ASSIGN_OR_RETURN(const Recipe recipe, RecipeOf(run_, model.config));
  LODESTONE_ASSIGN_OR_RETURN(const auto prompts, EncodeProblems(model, problems_));
  SampleOptions options{.sampling = sampling_,
                        .max_tokens = max_tokens_,
                        .users = static_cast<int>(std::min<int64_t>(users_, static_cast<int64_t>(missing.size())))};
  const int64_t positions = PositionsFor(model, prompts, max_tokens_);
  LODESTONE_ASSIGN_OR_RETURN(Placement placement,
                             PlaceOn(std::nullopt, model.config, recipe,
                                     DemandOf(options.users, 1, positions, positions, options.prefill_chunk)));
  LODESTONE_ASSIGN_OR_RETURN(OpenedMachine machine,
                             OpenMachine(std::nullopt, std::move(placement), {.compute = true, .threads = threads_}));
  LODESTONE_RETURN_IF_ERROR(AddStepSizes(model, recipe, *machine.threads).status());
  const int64_t pages = options.users * PagesPerUser(positions);
  LODESTONE_RETURN_IF_ERROR(machine.appliance->Configure(model.weights.get(), static_cast<int>(pages)));

  Progress progress("samples generated", static_cast<int64_t>(missing.size()));
  int64_t too_long = 0;
  LODESTONE_RETURN_IF_ERROR(DrawSamples(*machine.appliance, model, prompts, std::move(missing), options,
                                        [&](const CodeSample& sample, std::string_view finish) {
                                          progress.Advance();
                                          too_long += finish == "prompt too long";
                                          return run.Add(sample, finish);
                                        }));
  progress.Erase();
  if (too_long > 0) {
    Log(LogLevel::kWarning, fmt::format("{} samples count as failed: their prompts need all {} positions of the model",
                                        too_long, model.config.max_positions));
  }
  return {};
}

Result<Sandbox> EvalHumanevalCommand::OpenSandbox() const {
  SandboxLimits limits{.wall_s = timeout_s_,
                       .processor_s = static_cast<int64_t>(std::max(1.0, timeout_s_ + 0.5)),
                       .memory_bytes = memory_mib_ << 20};
  LODESTONE_ASSIGN_OR_RETURN(Sandbox sandbox, Sandbox::Open(python_, limits));
  if (sandbox.strong()) return sandbox;
  const std::string weak = fmt::format(
      "this kernel does not hold the samples in namespaces ({}); active are: {}. What a model wrote could "
      "read, change and delete your files",
      sandbox.missing(), sandbox.Describe());
  if (!allow_weak_) return Unsupported(weak + ": run it elsewhere, or say --allow-weak-sandbox");
  Log(LogLevel::kWarning, weak);
  return sandbox;
}

Status EvalHumanevalCommand::Run() {
  LODESTONE_RETURN_IF_ERROR(ReadInputs());
  LODESTONE_ASSIGN_OR_RETURN(const Sandbox sandbox, OpenSandbox());
  LODESTONE_ASSIGN_OR_RETURN(CodeRun run, CodeRun::Open(output_, Settings(), problems_, samples_));
  LODESTONE_RETURN_IF_ERROR(Generate(run));
  {
    Progress progress("samples tested", run.Unchecked());
    const auto jobs = static_cast<int>(jobs_.value_or(threads_));
    LODESTONE_RETURN_IF_ERROR(run.Check(sandbox, jobs, [&progress] { progress.Advance(); }));
    progress.Erase();
  }
  const Json record = Record(run, sandbox);
  LODESTONE_RETURN_IF_ERROR(WriteFileAtomically(std::filesystem::path(output_) / "record.json", record.Dump() + "\n"));
  if (run_.json) {
    PrintJson(record);
  } else {
    Show(run, sandbox);
  }
  return {};
}

Json EvalHumanevalCommand::Record(const CodeRun& run, const Sandbox& sandbox) const {
  Json record, environment, measures, verdicts;
  for (const auto& [name, value] : Environment()) environment.Set(name, value);
  environment.Set("threads", threads_);
  environment.Set("sandbox", sandbox.Describe());
  for (const int64_t k : ks_) {
    const Measure measure = run.PassAt(k);
    measures.Set(measure.name, ToJson(measure));
  }
  for (const auto& [verdict, count] : run.Verdicts()) verdicts.Set(verdict, count);
  record.Set("evaluation", "humaneval");
  record.Set("problems", static_cast<int64_t>(problems_.size()));
  record.Set("samples_per_problem", samples_);
  record.Set("settings", Settings());
  record.Set("environment", std::move(environment));
  record.Set("measures", std::move(measures));
  record.Set("verdicts", std::move(verdicts));
  return record;
}

void EvalHumanevalCommand::Show(const CodeRun& run, const Sandbox& sandbox) const {
  std::vector<std::vector<std::string>> rows{{"Measure", "Value", "Low", "High"}};
  for (const int64_t k : ks_) {
    const Measure measure = run.PassAt(k);
    const auto text = [](const std::optional<double>& value) {
      return value ? fmt::format("{:.4f}", *value) : std::string("–");
    };
    rows.push_back({fmt::format("pass@{}", k), text(measure.value), text(measure.low), text(measure.high)});
  }
  Print(RenderTable(rows));
  std::vector<std::string> verdicts;
  for (const auto& [verdict, count] : run.Verdicts()) verdicts.push_back(fmt::format("{} {}", count, verdict));
  Print(fmt::format("\n{}, {} each: {}.\nLow and high are 95 % of the mean over problems. Sandbox: {}.\n{}\n",
                    Counted(static_cast<int>(problems_.size()), "problem"),
                    Counted(static_cast<int>(samples_), "sample"), fmt::join(verdicts, ", "),
                    sandbox.strong() ? "namespaces, filter and limits" : "filter and limits alone",
                    (std::filesystem::path(output_) / "record.json").string()));
}

}  // namespace

std::unique_ptr<Command> MakeEvalHumaneval() { return std::make_unique<EvalHumanevalCommand>(); }

}  // namespace lodestone::cli
