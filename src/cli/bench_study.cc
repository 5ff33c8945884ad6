// The workloads of the accelerator study: bench block, bench gpt2, bench genslm.
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <filesystem>

#include "appliance/machine.h"
#include "base/file.h"
#include "cli/command.h"
#include "cli/lists.h"
#include "cli/output.h"
#include "cli/version.h"
#include "host/cpu.h"
#include "lab/limits.h"
#include "lab/study/bench.h"
#include "lab/study/ranks.h"
#include "lab/study/rows.h"

namespace lodestone::cli {
namespace {

// A word of the command line as a text case would hold it: a whole number, a number, or a text.
Json ValueOf(const std::string& word) {
  int64_t whole = 0;
  double real = 0;
  const char *begin = word.data(), *end = begin + word.size();
  if (const auto [at, error] = std::from_chars(begin, end, whole); error == std::errc() && at == end) return whole;
  if (const auto [at, error] = std::from_chars(begin, end, real);
      error == std::errc() && at == end && std::isfinite(real)) {
    return real;
  }
  return word;
}

// "tokens_per_step" → "--tokens-per-step".
std::string OptionOf(const StudySetting& setting) {
  std::string name = "--" + std::string(setting.name);
  std::replace(name.begin(), name.end(), '_', '-');
  return name;
}

class BenchStudyCommand final : public Command {
 public:
  explicit BenchStudyCommand(StudyKind kind) : kind_(kind), texts_(StudySettings().size()) {}

  CommandLine Line() override {
    CommandLine line{.name = fmt::format("bench {}", ToString(kind_)),
                     .summary = Summary(),
                     .details = Details(),
                     .options = {},
                     .operand = "CASE|FILE",
                     .operand_help = "A case of the catalogue, or a TOML file, whose settings the options replace.",
                     .operand_target = &operand_,
                     .examples = Examples()};
    line.options.push_back({.name = "--sweep",
                            .value = "W",
                            .help = kind_ == StudyKind::kBlock ? "What varies: sequence or sparsity."
                                                               : "What varies: sequence, ranks, sparsity or gas.",
                            .target = &sweep_});
    for (size_t i = 0; i < texts_.size(); ++i) {
      const StudySetting& setting = StudySettings()[i];
      if (!HasSetting(kind_, setting)) continue;
      line.options.push_back({.name = OptionOf(setting),
                              .value = std::string(setting.value),
                              .help = std::string(setting.help),
                              .target = &texts_[i]});
    }
    line.options.push_back({.name = "--threads",
                            .value = "N",
                            .help = "Threads (default: all processors of this process).",
                            .target = &threads_,
                            .min = 1,
                            .max = 1024});
    line.options.push_back(
        {.name = "--csv", .value = "FILE", .help = "Write all rows as CSV.", .target = &csv_, .writes = true});
    line.options.push_back({.name = "--report",
                            .value = "FILE",
                            .help = "Write a page, complete in one file.",
                            .target = &page_,
                            .writes = true});
    line.options.push_back({.name = "--json", .value = "", .help = "Print all rows as JSON.", .target = &json_});
    return line;
  }

  Status Run() override {
    LODESTONE_RETURN_IF_ERROR(ReadPlan());
    LODESTONE_ASSIGN_OR_RETURN(limits_, LoadHostLimits());
    report_.limits_reason = limits_.reason;
    report_.environment = Environment();
    if (report_.plan.sweep == StudySweep::kRanks) {
      LODESTONE_ASSIGN_OR_RETURN(const bool ran, RunRanksSweep());
      if (!ran) return {};
    } else {
      LODESTONE_ASSIGN_OR_RETURN(const bool prints, RunCases());
      if (!prints) return {};
    }
    CompareRows(report_.rows);
    LODESTONE_RETURN_IF_ERROR(AddPublished(report_));
    return Show();
  }

 private:
  std::string Summary() const {
    switch (kind_) {
      case StudyKind::kBlock:
        return "How fast one transformer block runs forward, and forward and backward.";
      case StudyKind::kGpt2:
        return "How fast GPT-2 pre-trains: tokens/s, TFLOP/s, shares of a step.";
      case StudyKind::kGenslm:
        return "How fast GenSLM pre-trains on codons: samples/s as its authors define it.";
    }
    return "";
  }

  std::string Details() const {
    const std::string common =
        "Random weights, seeded data. Lists run in every combination. Results stand beside the published rates of the "
        "same model and sequence. What does not fit this host's memory is refused before anything is allocated, with "
        "the arithmetic.";
    switch (kind_) {
      case StudyKind::kBlock:
        return "One pre-LN GPT block of width h with heads of 64, by default that of GPT-2 XL. f32 and bf16 run as the "
               "trainer runs them, integer recipes forward as the engine does. " +
               common;
      case StudyKind::kGpt2:
        return "A step is forward, backward, clipping and AdamW. --sweep ranks runs mpirun where it is found, and else "
               "prints its lines. " +
               common;
      case StudyKind::kGenslm:
        return "Sequences of 2,048 codons, and of 10,240 with the shapes widened to as many positions. --sweep ranks "
               "runs mpirun where it is found, and else prints its lines. " +
               common;
    }
    return "";
  }

  std::vector<Example> Examples() const {
    switch (kind_) {
      case StudyKind::kBlock:
        return {{"the block of GPT-2 XL in five formats", "lodestone bench block"},
                {"what pruning is worth", "lodestone bench block --sweep sparsity --report sparsity.html"}};
      case StudyKind::kGpt2:
        return {{"GPT-2 124M, four sequences of 256", "lodestone bench gpt2 --recipe f32,bf16"},
                {"constant tokens a step", "lodestone bench gpt2 --sweep sequence --csv sequence.csv"},
                {"the case of the study", "lodestone bench gpt2 gpt2-study"}};
      case StudyKind::kGenslm:
        return {{"25 million parameters at both lengths", "lodestone bench genslm --model genslm-25m"},
                {"one and two ranks, weak and strong", "lodestone bench genslm --sweep ranks --batch 2"}};
    }
    return {};
  }

  Status ReadPlan() {
    StudySweep sweep = StudySweep::kNone;
    if (sweep_) {
      LODESTONE_ASSIGN_OR_RETURN(sweep, ParseStudySweep(*sweep_));
    }
    if (operand_ && sweep_) return Invalid("--sweep: a case says itself what it sweeps");
    if (operand_) {
      LODESTONE_ASSIGN_OR_RETURN(report_.plan, LoadStudyPlan(*operand_, kind_));
    } else {
      LODESTONE_ASSIGN_OR_RETURN(report_.plan, DefaultStudyPlan(kind_, sweep));
    }
    for (size_t i = 0; i < texts_.size(); ++i) {
      if (!texts_[i]) continue;
      const StudySetting& setting = StudySettings()[i];
      LODESTONE_ASSIGN_OR_RETURN(const std::vector<std::string> words, ParseWords(OptionOf(setting), *texts_[i]));
      std::vector<Json> values;
      for (const std::string& word : words) values.push_back(ValueOf(word));
      const Status set = SetStudySetting(report_.plan, setting, values);
      if (!set.ok()) return Invalid(fmt::format("{}: {}", OptionOf(setting), set.error().message));
    }
    if (threads_ && report_.plan.sweep == StudySweep::kRanks) {
      return Invalid("--threads: every rank of a ranks sweep is bound to one core");
    }
    return {};
  }

  const HostLimits* Limits() const { return limits_.limits ? &*limits_.limits : nullptr; }

  // Whether this process prints: rank 0.
  Result<bool> RunCases() {
    LODESTONE_ASSIGN_OR_RETURN(const std::vector<StudyCase> cases, CasesOf(report_.plan));
    LODESTONE_ASSIGN_OR_RETURN(const std::unique_ptr<Reducer> reducer, ReducerOfEnvironment());
    if (kind_ == StudyKind::kBlock && reducer->ranks() > 1) return Invalid("a block runs on one rank");
    LODESTONE_ASSIGN_OR_RETURN(const int threads, ThreadsToUse(threads_));
    ThreadPool pool(threads);
    const StudyPlan& plan = report_.plan;
    const StudyClock clock{.warmup = plan.warmup.front(),
                           .repetitions = plan.repetitions.front(),
                           .seed = static_cast<uint64_t>(plan.seed.front())};
    Progress progress("runs", static_cast<int64_t>(cases.size()));
    for (const StudyCase& test : cases) {
      LODESTONE_ASSIGN_OR_RETURN(StudyResult result, RunStudyCase(test, clock, pool, *reducer));
      if (!result.ok() && cases.size() == 1) return Infeasible(result.reason);
      report_.rows.push_back(FiguresOf(kind_, std::move(result), Limits()));
      progress.Advance();
    }
    progress.Erase();
    return reducer->rank() == 0;
  }

  // False where there is no mpirun: then the lines are the result.
  Result<bool> RunRanksSweep() {
    std::error_code error;
    const std::filesystem::path self = std::filesystem::read_symlink("/proc/self/exe", error);
    const std::string program = error ? std::string("lodestone") : self.string();
    const HostInfo host = DescribeHost();
    const int cores = std::min(host.cores, host.threads);
    LODESTONE_ASSIGN_OR_RETURN(const std::vector<RanksRun> runs,
                               RanksRuns(report_.plan, program, cores, geteuid() == 0));
    const bool mpirun = FindMpirun().has_value();
    if (!json_) {
      Print(mpirun ? "Running\n" : "There is no mpirun in PATH; the runs of this sweep are\n");
      for (const RanksRun& run : runs) {
        Print(run.reason.empty() ? fmt::format("  {}: {}\n", run.scaling, ShellLine(run.words))
                                 : fmt::format("  {}, {} ranks: not run: {}\n", run.scaling, run.ranks, run.reason));
      }
      Print("\n");
    } else if (!mpirun) {
      return NotFound("there is no mpirun in PATH, so no ranks can be run");
    }
    if (!mpirun) return false;
    Progress progress("runs", static_cast<int64_t>(runs.size()));
    for (const RanksRun& run : runs) {
      StudyResult result{.test = run.test, .reason = run.reason, .isa = "", .ranks = run.ranks};
      if (run.reason.empty()) {
        LODESTONE_ASSIGN_OR_RETURN(result, RunRanks(run));
      }
      report_.rows.push_back(FiguresOf(kind_, std::move(result), Limits()));
      report_.rows.back().scaling = run.scaling;
      progress.Advance();
    }
    progress.Erase();
    return true;
  }

  Status Show() const {
    if (csv_) LODESTONE_RETURN_IF_ERROR(WriteFileAtomically(*csv_, StudyCsv(report_)));
    if (page_) LODESTONE_RETURN_IF_ERROR(WriteFileAtomically(*page_, StudyPage(report_)));
    if (json_) {
      PrintJson(ToJson(report_));
      return {};
    }
    Print(RenderStudy(report_));
    for (const auto& file : {csv_, page_}) {
      if (file) Print(fmt::format("  Written: {}\n", *file));
    }
    return {};
  }

  const StudyKind kind_;
  std::vector<std::optional<std::string>> texts_;  // one a setting
  std::optional<std::string> operand_, sweep_, csv_, page_;
  std::optional<int64_t> threads_;
  bool json_ = false;

  StudyReport report_;
  StoredLimits limits_;
};

}  // namespace

std::unique_ptr<Command> MakeBenchBlock() { return std::make_unique<BenchStudyCommand>(StudyKind::kBlock); }
std::unique_ptr<Command> MakeBenchGpt2() { return std::make_unique<BenchStudyCommand>(StudyKind::kGpt2); }
std::unique_ptr<Command> MakeBenchGenslm() { return std::make_unique<BenchStudyCommand>(StudyKind::kGenslm); }

}  // namespace lodestone::cli
