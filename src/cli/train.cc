// `lodestone train`: trains what a file describes.
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <utility>

#include "appliance/machine.h"
#include "base/file.h"
#include "base/units.h"
#include "cli/command.h"
#include "cli/layout.h"
#include "cli/output.h"
#include "cli/run_options.h"
#include "cli/version.h"
#include "lab/training_run.h"
#include "learn/reducer.h"
#include "learn/train_config.h"
#include "report/chrome_trace.h"
#include "report/run_record.h"

namespace lodestone::cli {
namespace {

using Clock = std::chrono::steady_clock;

// Set by the signal that asks the run to end.
std::atomic<bool> stop_requested{false};
static_assert(std::atomic<bool>::is_always_lock_free);

extern "C" void RequestStop(int signal) {
  stop_requested.store(true, std::memory_order_relaxed);
  std::signal(signal, SIG_DFL);  // a second one ends the program at once
}

// While it lives, SIGINT and SIGTERM end the run after the running step, and a file that may not grow is an error to be
// told instead of the end of the program.
class SignalScope {
 public:
  SignalScope() {
    stop_requested = false;
    std::signal(SIGINT, RequestStop);
    std::signal(SIGTERM, RequestStop);
    std::signal(SIGXFSZ, SIG_IGN);
  }
  SignalScope(const SignalScope&) = delete;
  SignalScope& operator=(const SignalScope&) = delete;
  ~SignalScope() {
    std::signal(SIGINT, SIG_DFL);
    std::signal(SIGTERM, SIG_DFL);
    std::signal(SIGXFSZ, SIG_DFL);
  }
};

// "3 h 12 min", "4 min 20 s", "9 s".
std::string Remaining(double seconds) {
  const auto whole = static_cast<int64_t>(seconds + 0.5);
  if (whole >= 3600) return fmt::format("{} h {} min", whole / 3600, whole % 3600 / 60);
  if (whole >= 60) return fmt::format("{} min {} s", whole / 60, whole % 60);
  return fmt::format("{} s", whole);
}

std::string ProgressText(const TrainingProgress& p) {
  std::string text = fmt::format("step {} of {} · loss {:.4f}", p.step, p.steps, p.loss);
  if (p.validation) text += fmt::format(" · validation {:.4f}", *p.validation);
  text += fmt::format(" · {} tokens/s · {:.3g} TFLOP/s", FormatNumber(p.tokens_per_s), p.flops_per_s * 1e-12);
  if (p.limit_share) text += fmt::format(" ({:.0f} % of the limit)", 100 * *p.limit_share);
  if (p.step < p.steps) text += fmt::format(" · {} left", Remaining(p.seconds_left));
  return text;
}

// One line on standard error: rewritten on a terminal, one every ten seconds otherwise.
class ProgressLine {
 public:
  ProgressLine() : terminal_(isatty(STDERR_FILENO) == 1) {}

  void Show(const TrainingProgress& progress) {
    constexpr auto kTerminalInterval = std::chrono::milliseconds(100);
    constexpr auto kLogInterval = std::chrono::seconds(10);
    const auto now = Clock::now();
    const bool ends = progress.step == progress.steps;
    const bool due = terminal_ ? now - shown_ >= kTerminalInterval : now - shown_ >= kLogInterval;
    if (!due && !ends && shown_ != Clock::time_point()) return;
    shown_ = now;
    fmt::print(stderr, "{}{}{}", terminal_ ? "\r\033[K" : "", ProgressText(progress), terminal_ ? "" : "\n");
    std::fflush(stderr);
    visible_ = terminal_;
  }
  // A line that stays.
  void Say(const std::string& text) {
    End();
    fmt::print(stderr, "{}\n", text);
    std::fflush(stderr);
  }
  void End() {
    if (visible_) fmt::print(stderr, "\n");
    visible_ = false;
  }

 private:
  bool terminal_, visible_ = false;
  Clock::time_point shown_;
};

// Two lanes: what the rank computed, and the gradients that travelled meanwhile.
class StepTrace {
 public:
  explicit StepTrace(int rank) : trace_([this](std::string_view text) { text_ += text; }) {
    trace_.NameProcess(0, fmt::format("rank {}", rank));
    trace_.NameThread(0, kCompute, "compute", kCompute);
    trace_.NameThread(0, kCommunication, "communication", kCommunication);
  }
  StepTrace(const StepTrace&) = delete;
  StepTrace& operator=(const StepTrace&) = delete;

  void Add(const char* lane, const char* name, double begin, double end) {
    const int thread = std::string_view(lane) == "compute" ? kCompute : kCommunication;
    // Pieces that travel at the same time are drawn one behind the other.
    begin = std::max(begin, std::exchange(ends_[thread], std::max(end, ends_[thread])));
    if (begin >= end) return;
    trace_.Span(0, thread, name, lane, Time::Seconds(begin), Time::Seconds(end));
  }
  std::string Finish(const std::string& name) {
    trace_.Finish({{"training", Json(name)}});
    return std::move(text_);
  }

 private:
  static constexpr int kCompute = 0, kCommunication = 1;
  std::string text_;
  ChromeTrace trace_;
  std::array<double, 2> ends_ = {};  // of each lane
};

class TrainCommand final : public Command {
 public:
  CommandLine Line() override {
    return {
        .name = "train",
        .summary = "Trains a model, or goes on training it, in full precision or in quantised recipes.",
        .details =
            "The file says what is trained on what; catalog/experiments/train-tiny.toml explains every key. A run that "
            "was interrupted goes on from its newest checkpoint when the same command is given again, with the same "
            "bits. Ctrl-C and SIGTERM end it after the running step, with a checkpoint. Under mpirun each rank takes "
            "its part of every step.",
        .options = {{.name = "--set",
                     .value = "KEY=VALUE",
                     .help =
                         "Sets one value of the file, as run.steps=200 or data.train=['book.txt']; may be repeated.",
                     .target = &settings_},
                    {.name = "--trace",
                     .value = "FILE",
                     .help = "When this rank computed and when gradients were under way, as a Chrome trace.",
                     .target = &trace_,
                     .writes = true},
                    ThreadsOption(run_),
                    JsonOption(run_)},
        .operand = "FILE",
        .operand_help = "A training file, or the name of one in the catalogue.",
        .operand_target = &file_,
        .examples = {{"a minute on a text of yours", "lodestone train train-tiny --set data.train=book.txt"},
                     {"on two ranks", "mpirun -n 2 lodestone train my-model.toml"}}};
  }

  Status Run() override {
    if (!file_) return Invalid("name a training file, such as 'lodestone train train-tiny'");
    LODESTONE_ASSIGN_OR_RETURN(const TrainConfig config, LoadTrainConfig(*file_, settings_));
    LODESTONE_ASSIGN_OR_RETURN(const int count, ThreadsToUse(run_.threads));
    LODESTONE_ASSIGN_OR_RETURN(const std::unique_ptr<Reducer> reducer, ReducerOfEnvironment());
    ThreadPool threads(count);
    const SignalScope signals;
    ProgressLine line;
    TrainingHooks hooks;
    hooks.progress = [&line](const TrainingProgress& progress) { line.Show(progress); };
    hooks.notice = [&line](const std::string& text) { line.Say(text); };
    hooks.stop = &stop_requested;
    StepTrace trace(reducer->rank());
    if (trace_ && reducer->rank() == 0) {
      hooks.span = [&trace](const char* lane, const char* name, double begin, double end) {
        trace.Add(lane, name, begin, end);
      };
    }
    const Result<TrainingResult> result = RunTraining(config, threads, *reducer, hooks);
    line.End();
    LODESTONE_RETURN_IF_ERROR(result.status());
    const Status reported = reducer->rank() == 0 ? Report(config, *result, count) : Status();
    if (hooks.span) LODESTONE_RETURN_IF_ERROR(WriteFileAtomically(*trace_, trace.Finish(config.name)));
    return reported;
  }

 private:
  Status Report(const TrainConfig& config, const TrainingResult& result, int threads) const {
    std::vector<std::pair<std::string, std::string>> environment = Environment();
    std::erase_if(environment, [](const auto& entry) { return entry.first == "threads"; });
    environment.emplace_back("threads", std::to_string(threads));
    const Json record = TrainingRecord(config, result, environment);
    if (!config.output.record.empty()) {
      LODESTONE_RETURN_IF_ERROR(WriteFileAtomically(config.output.record, record.Dump() + "\n"));
    }
    if (!config.output.report.empty()) {
      LODESTONE_RETURN_IF_ERROR(WriteFileAtomically(config.output.report, TrainingPage(config, result, environment)));
    }
    if (run_.json) {
      PrintJson(record);
    } else {
      Show(config, result);
    }
    if (!result.interrupted) return {};
    return Error{ErrorCode::kBusy,
                 fmt::format("interrupted after step {} of {}; {}", result.step, result.steps,
                             config.checkpoint.directory.empty()
                                 ? "no checkpoint directory is given, so nothing was kept"
                                 : "the checkpoint is written, and the same command goes on from there")};
  }

  static void Show(const TrainConfig& config, const TrainingResult& result) {
    std::vector<std::vector<std::string>> rows{{"measure", "value", "unit"}};
    std::string unavailable;
    for (const Measure& measure : result.measures) {
      if (measure.value) {
        rows.push_back({measure.name, FormatNumber(*measure.value), measure.unit});
      } else {
        unavailable += fmt::format("  {}: unavailable, {}\n", measure.name, measure.reason);
      }
    }
    Print(fmt::format("{} · {} · step {} of {}\n\n{}", result.model, config.run.recipe, result.step, result.steps,
                      RenderTable(rows)));
    if (!unavailable.empty()) Print("\n" + Wrap(unavailable, kWidth, 4));
  }

  std::optional<std::string> file_;
  std::optional<std::string> trace_;
  std::vector<std::string> settings_;
  RunOptions run_;
};

}  // namespace

std::unique_ptr<Command> MakeTrain() { return std::make_unique<TrainCommand>(); }

}  // namespace lodestone::cli
