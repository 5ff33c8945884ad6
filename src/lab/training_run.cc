#include "lab/training_run.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cmath>
#include <filesystem>
#include <numbers>
#include <system_error>

#include "base/file.h"
#include "base/random_access_file.h"
#include "base/units.h"
#include "host/cpu.h"
#include "host/process_memory.h"
#include "lab/limits.h"
#include "learn/export.h"
#include "learn/training_checkpoint.h"
#include "learn/training_cost.h"
#include "learn/training_setup.h"

namespace lodestone {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

double Seconds(Clock::duration duration) { return std::chrono::duration<double>(duration).count(); }

// The rate that this host's units reach at most in the arithmetic of the run.
struct Limit {
  std::optional<double> flops_per_s;
  std::string reason;
};

// What is stored of this host; several ranks are bound to a part of it each, so only the processor must be the same.
Result<StoredLimits> LimitsOfHost(int ranks) {
  if (ranks == 1) return LoadHostLimits();
  LODESTONE_ASSIGN_OR_RETURN(const std::string path, HostLimitsPath());
  LODESTONE_ASSIGN_OR_RETURN(HostLimits limits, ReadHostLimits(path));
  if (limits.cpu_name == DescribeHost().cpu_name) return StoredLimits{std::move(limits), ""};
  return StoredLimits{std::nullopt, fmt::format("{} is of another processor: run 'lodestone bench limits'", path)};
}

Limit LimitOf(const Recipe& recipe, int threads, int ranks) {
  const Result<StoredLimits> stored = LimitsOfHost(ranks);
  if (!stored.ok()) return {std::nullopt, stored.error().message};
  if (!stored->limits) return {std::nullopt, stored->reason};
  const HostLimits& limits = *stored->limits;
  if (threads * ranks > limits.threads) {
    return {std::nullopt, fmt::format("{} ranks of {} threads are more than the {} threads whose limits were measured",
                                      ranks, threads, limits.threads)};
  }
  const bool bf16 = recipe.stream == Code::kBf16 && limits.bf16_amx_ops_per_s.has_value();
  const std::optional<HostRate>& rate = bf16 ? limits.bf16_amx_ops_per_s : limits.f32_ops_per_s;
  if (!rate) return {std::nullopt, "the limits of this host have no f32 rate: run 'lodestone bench limits'"};
  return {rate->At(threads * ranks, limits.threads), ""};
}

// Makes the folder that `path` will be written into, so that one that cannot be is found before the work, not after it.
Status PrepareFolderOf(const char* key, const fs::path& path) {
  std::error_code error;
  const bool in_place = fs::is_other(fs::status(path, error));  // a device or a pipe
  const fs::path folder = fs::absolute(path, error).parent_path();
  fs::create_directories(folder, error);
  if (!error && ::access(in_place ? path.c_str() : folder.c_str(), W_OK) == 0) return {};
  return IoError(fmt::format("{}: {} cannot be written: {}", key, path.string(),
                             error ? error.message() : std::generic_category().message(errno)));
}

class Run {
 public:
  Run(const TrainConfig& config, ThreadPool& threads, Reducer& reducer, const TrainingHooks& hooks)
      : config_(config), threads_(threads), reducer_(reducer), hooks_(hooks) {}

  Result<TrainingResult> Execute() {
    LODESTONE_RETURN_IF_ERROR(Open());
    LODESTONE_RETURN_IF_ERROR(Resume());
    while (trainer_->step() < result_.steps && !result_.interrupted) LODESTONE_RETURN_IF_ERROR(OneStep());
    // The tail that no checkpoint has; a run that was complete when it began has none.
    if (trainer_->step() > kept_step_) LODESTONE_RETURN_IF_ERROR(KeepCheckpoint());
    if (!result_.interrupted) LODESTONE_RETURN_IF_ERROR(Finish());
    result_.step = trainer_->step();
    Measure();
    return std::move(result_);
  }

 private:
  bool writes() const { return reducer_.rank() == 0; }
  void Notice(const std::string& text) const {
    if (hooks_.notice && writes()) hooks_.notice(text);
  }

  Status Open();
  Status CheckOutput() const;
  Status PrepareOutput() const;
  Status Resume();
  Status OneStep();
  Status Evaluate();
  Status KeepCheckpoint();
  Status Finish();
  Status Export() const;
  void Tell(const Trainer::StepReport& report, double seconds);
  void TellSpans();
  void Measure();
  Error AfterFailure(const Error& error) const;

  const TrainConfig& config_;
  ThreadPool& threads_;
  Reducer& reducer_;
  const TrainingHooks& hooks_;

  Clock::time_point began_ = Clock::now();
  std::unique_ptr<Training> training_;
  std::unique_ptr<Trainer> trainer_;
  std::optional<CheckpointFolder> folder_;
  int64_t kept_step_ = 0;  // of the last checkpoint
  Limit limit_;
  double flops_per_token_ = 0;
  double recent_seconds_ = 0;  // a step, lately
  std::vector<double> step_seconds_;
  int64_t tokens_a_step_ = 0;
  TrainingResult result_;
};

Status Run::Open() {
  LODESTONE_RETURN_IF_ERROR(CheckOutput());
  LODESTONE_ASSIGN_OR_RETURN(training_, OpenTraining(config_, threads_));
  LODESTONE_RETURN_IF_ERROR(PrepareOutput());
  LODESTONE_ASSIGN_OR_RETURN(trainer_, Trainer::Make({.differentiator = training_->differentiator.get(),
                                                      .parameters = training_->parameters.get(),
                                                      .order = &*training_->order,
                                                      .reducer = &reducer_,
                                                      .threads = &threads_,
                                                      .masks = training_->masks ? &*training_->masks : nullptr},
                                                     {.steps = training_->steps,
                                                      .sequences_a_step = config_.run.sequences_a_step(),
                                                      .micro_batch = config_.run.micro_batch,
                                                      .optimizer = config_.optimizer}));
  result_.model = training_->model.name;
  result_.steps = training_->steps;
  result_.settings = training_->Settings();
  result_.data = training_->train->Describe();
  if (training_->validation) result_.validation_data = training_->validation->Describe();
  result_.ranks = reducer_.Describe();
  limit_ = LimitOf(training_->recipe, threads_.threads(), reducer_.ranks());
  result_.limit_reason = limit_.reason;
  flops_per_token_ = TrainingFlopsPerToken(training_->model, config_.run.sequence);
  Notice(fmt::format("{}: {} parameters; {} steps of {} × {} tokens; {}", result_.model,
                     FormatNumber(static_cast<double>(ParameterCount(training_->model))), result_.steps,
                     config_.run.sequences_a_step(), config_.run.sequence, result_.data));
  return {};
}

// Found before the work, not after it.
Status Run::CheckOutput() const {
  if (!writes()) return {};
  const TrainConfig::Output& output = config_.output;
  std::error_code ignored;
  const bool fresh = !fs::exists(output.directory, ignored) ||
                     (fs::is_directory(output.directory, ignored) && fs::is_empty(output.directory, ignored));
  if (!fresh) {
    return Invalid(
        fmt::format("output.directory: {} exists already; remove it or name another", output.directory.string()));
  }
  for (const auto& [key, path] : {std::pair("output.record", &output.record), {"output.report", &output.report}}) {
    if (fs::is_directory(*path, ignored)) {
      return Invalid(fmt::format("{}: found a directory {}, expected a file", key, path->string()));
    }
  }
  return {};
}

Status Run::PrepareOutput() const {
  if (!writes()) return {};
  const TrainConfig::Output& output = config_.output;
  for (const auto& [key, path] : {std::pair("output.directory", &output.directory),
                                  {"output.record", &output.record},
                                  {"output.report", &output.report}}) {
    if (!path->empty()) LODESTONE_RETURN_IF_ERROR(PrepareFolderOf(key, *path));
  }
  return {};
}

Status Run::Resume() {
  if (config_.checkpoint.directory.empty()) return {};
  const auto load = [&]() -> Result<std::optional<TrainingState>> {
    LODESTONE_ASSIGN_OR_RETURN(folder_,
                               CheckpointFolder::Open(config_.checkpoint.directory, config_.checkpoint.keep, writes()));
    return folder_->Load(result_.settings, *training_->parameters, trainer_->optimizer());
  };
  Result<std::optional<TrainingState>> state = load();
  LODESTONE_RETURN_IF_ERROR(trainer_->Agree(state.status()));
  const double mine = state->has_value() ? static_cast<double>((*state)->step) : -1;
  LODESTONE_ASSIGN_OR_RETURN(const std::vector<double> sum, reducer_.Sum({&mine, 1}));
  if (sum[0] != mine * reducer_.ranks()) {
    return Invalid(
        fmt::format("{}: the ranks find different checkpoints there; the directory must be one that all of them "
                    "share",
                    config_.checkpoint.directory.string()));
  }
  if (!state->has_value()) return {};
  trainer_->Resume((*state)->step);
  kept_step_ = result_.first_step = (*state)->step;
  LODESTONE_ASSIGN_OR_RETURN(result_.curve, TrainingCurve::FromJson((*state)->history));
  Notice(fmt::format("goes on after step {} of {}, from {}", kept_step_, result_.steps, folder_->path().string()));
  return {};
}

Status Run::OneStep() {
  const auto begin = Clock::now();
  const bool stop = hooks_.stop != nullptr && hooks_.stop->load(std::memory_order_relaxed);
  const Result<Trainer::StepReport> report = trainer_->Step(stop);
  if (!report.ok()) return AfterFailure(report.error());
  const double seconds = Seconds(Clock::now() - begin);
  step_seconds_.push_back(seconds);
  tokens_a_step_ = report->tokens;
  result_.curve.Add({.step = report->step,
                     .loss = report->loss,
                     .gradient_norm = report->gradient_norm,
                     .learning_rate = report->learning_rate,
                     .seconds = seconds});
  result_.interrupted = report->stop && report->step < result_.steps;
  const int64_t every = config_.run.evaluate_every;
  if (every > 0 && report->step % every == 0 && report->step < result_.steps) LODESTONE_RETURN_IF_ERROR(Evaluate());
  Tell(*report, seconds);
  TellSpans();
  const int64_t keep_every = config_.checkpoint.every;
  if (keep_every > 0 && report->step % keep_every == 0) return KeepCheckpoint();
  return {};
}

Status Run::Evaluate() {
  if (!training_->validation_order) return {};
  const Result<Loss> loss = trainer_->Evaluate(*training_->validation_order, training_->validation_sequences);
  if (!loss.ok()) return AfterFailure(loss.error());
  result_.curve.AddValidation({.step = trainer_->step(), .loss = loss->mean()});
  return {};
}

Status Run::KeepCheckpoint() {
  if (!folder_) return {};
  Status status;
  if (writes()) {
    status = folder_->Save({.step = trainer_->step(), .settings = result_.settings, .history = result_.curve.ToJson()},
                           *training_->parameters, trainer_->optimizer());
    if (!status.ok()) {
      status = AfterFailure({status.error().code, fmt::format("the checkpoint of step {} cannot be written: {}",
                                                              trainer_->step(), status.error().message)});
    }
  }
  LODESTONE_RETURN_IF_ERROR(trainer_->Agree(status));
  kept_step_ = trainer_->step();
  return {};
}

Status Run::Finish() {
  const std::vector<ValidationPoint>& validation = result_.curve.validation();
  if (validation.empty() || validation.back().step != trainer_->step()) LODESTONE_RETURN_IF_ERROR(Evaluate());
  if (config_.output.directory.empty()) return {};
  const Status status = writes() ? Export() : Status();
  LODESTONE_RETURN_IF_ERROR(trainer_->Agree(status));
  result_.output = config_.output.directory.string();
  const bool tokenizer = !training_->tokenizer_path.empty() || !training_->tokenizer_json.empty();
  Notice(fmt::format("the trained model is in {}{}", result_.output,
                     tokenizer ? "" : ", without a tokenizer: none was named by model.tokenizer"));
  return {};
}

Status Run::Export() const {
  const fs::path& directory = config_.output.directory;
  // A built-in tokenizer becomes a file for as long as it is copied.
  fs::path tokenizer = training_->tokenizer_path;
  std::optional<StagedDirectory> scratch;
  if (!training_->tokenizer_json.empty()) {
    LODESTONE_ASSIGN_OR_RETURN(StagedDirectory made, StagedDirectory::Create(directory.string() + ".tokenizer"));
    scratch.emplace(std::move(made));
    tokenizer = scratch->path();
    LODESTONE_RETURN_IF_ERROR(WriteFileAtomically(tokenizer / "tokenizer.json", training_->tokenizer_json));
  }
  if (training_->integers()) {
    return ExportQuantized(*training_->parameters, training_->model, training_->recipe, tokenizer, directory, threads_);
  }
  const Code code = training_->recipe.stream == Code::kBf16 ? Code::kBf16 : Code::kF32;
  return ExportHuggingFace(*training_->parameters, training_->model, code, tokenizer, directory);
}

void Run::Tell(const Trainer::StepReport& report, double seconds) {
  // The last ten or so steps; the first one alone pays for first touches.
  constexpr double kWeight = 0.1;
  recent_seconds_ = step_seconds_.size() <= 2 ? seconds : recent_seconds_ + kWeight * (seconds - recent_seconds_);
  if (!hooks_.progress || !writes()) return;
  TrainingProgress progress{.step = report.step, .steps = result_.steps, .loss = report.loss, .validation = {}};
  if (!result_.curve.validation().empty()) progress.validation = result_.curve.validation().back().loss;
  progress.tokens_per_s = static_cast<double>(report.tokens) / recent_seconds_;
  progress.flops_per_s = progress.tokens_per_s * flops_per_token_;
  if (limit_.flops_per_s) progress.limit_share = progress.flops_per_s / *limit_.flops_per_s;
  progress.seconds_left = recent_seconds_ * static_cast<double>(result_.steps - report.step);
  hooks_.progress(progress);
}

void Run::TellSpans() {
  const std::vector<Trainer::Interval> spans = trainer_->TakeIntervals();
  const std::vector<Reducer::Interval> sums = reducer_.TakeIntervals();
  if (!hooks_.span) return;
  const double offset = Seconds(Clock::now() - began_) - reducer_.Now();
  for (const Trainer::Interval& span : spans) {
    hooks_.span("compute", span.name, Seconds(span.begin - began_), Seconds(span.end - began_));
  }
  for (const Reducer::Interval& sum : sums)
    hooks_.span("communication", "gradients", sum.begin + offset, sum.end + offset);
}

void Run::Measure() {
  const auto add = [&](const char* name, std::optional<double> value, const char* unit,
                       const std::string& reason = "") {
    result_.measures.push_back(value ? lodestone::Measure::Of(name, *value, unit, Provenance::kMeasured)
                                     : lodestone::Measure::Unavailable(name, unit, Provenance::kMeasured, reason));
  };
  const TrainingCurve& curve = result_.curve;
  std::optional<double> loss, validation, bits;
  if (!curve.points().empty()) loss = curve.points().back().loss;
  if (!curve.validation().empty()) validation = curve.validation().back().loss;
  const TokenData* held_out = training_->validation.get();
  if (validation && held_out->source_bytes() > 0) {
    bits = *validation / std::numbers::ln2 * static_cast<double>(held_out->size()) /
           static_cast<double>(held_out->source_bytes());
  }
  const std::string none = held_out == nullptr ? "no validation data" : "not evaluated";
  add("training_loss_nats_per_token", loss, "nats/token", "no step was made");
  add("validation_loss_nats_per_token", validation, "nats/token", none);
  add("validation_bits_per_byte", bits, "bits/byte",
      validation ? "the bytes of the held-out text are not known" : none);

  std::optional<double> median, rate, flops, share;
  if (!step_seconds_.empty()) {
    std::vector<double> sorted(step_seconds_.begin() + (step_seconds_.size() > 1 ? 1 : 0), step_seconds_.end());
    std::sort(sorted.begin(), sorted.end());
    median = sorted[sorted.size() / 2];
    rate = static_cast<double>(tokens_a_step_) / *median;
    flops = *rate * flops_per_token_;
    if (limit_.flops_per_s) share = *flops / *limit_.flops_per_s;
  }
  const std::string no_step = "no step was made in this session";
  add("step_time_s", median, "s", no_step);
  add("training_tokens_per_s", rate, "token/s", no_step);
  add("training_flop_per_s", flops, "FLOP/s", no_step);
  add("share_of_limit", share, "", median ? limit_.reason : no_step);
  add("tokens_trained", static_cast<double>(trainer_->step() * config_.run.sequences_a_step() * config_.run.sequence),
      "token");
  add("session_time_s", Seconds(Clock::now() - began_), "s");
  const std::optional<int64_t> peak = PeakResidentBytes();
  add("peak_resident_bytes", peak ? std::optional(static_cast<double>(*peak)) : std::nullopt, "B",
      "the kernel does not tell");
  add("activation_bytes", static_cast<double>(training_->differentiator->activation_bytes()), "B");
}

Error Run::AfterFailure(const Error& error) const {
  const std::string kept =
      !folder_ || kept_step_ == 0
          ? std::string("no checkpoint had been written")
          : fmt::format("the checkpoint of step {} in {} is whole: the same command goes on from there", kept_step_,
                        folder_->path().string());
  return {error.code, fmt::format("{}; {}", error.message, kept)};
}

}  // namespace

Result<TrainingResult> RunTraining(const TrainConfig& config, ThreadPool& threads, Reducer& reducer,
                                   const TrainingHooks& hooks) {
  Result<TrainingResult> result = Run(config, threads, reducer, hooks).Execute();
  // A rank that ends early tells why, so that the others end with its words instead of waiting for it.
  if (!result.ok()) reducer.Leave(result.error().message);
  return result;
}

}  // namespace lodestone
