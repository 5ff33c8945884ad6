// `lodestone train` as a whole: opens what the file names, goes on where a checkpoint ended, trains, evaluates, keeps
// checkpoints and writes the trained model.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/json.h"
#include "base/status.h"
#include "host/thread_pool.h"
#include "lab/training_curve.h"
#include "learn/reducer.h"
#include "learn/train_config.h"
#include "learn/trainer.h"
#include "report/measure.h"

namespace lodestone {

// After a step.
struct TrainingProgress {
  int64_t step = 0, steps = 0;
  double loss = 0;                   // nats a token
  std::optional<double> validation;  // the latest
  double tokens_per_s = 0;           // of all ranks, over the last steps
  double flops_per_s = 0;            // by the formula of learn/training_cost.h
  std::optional<double> limit_share;
  double seconds_left = 0;
};

struct TrainingHooks {
  std::function<void(const TrainingProgress&)> progress;
  std::function<void(const std::string&)> notice;  // a sentence: resumed, a checkpoint written, the model written
  const std::atomic<bool>* stop = nullptr;         // true: end after the running step, with a checkpoint
  // Spans of the lanes "compute" and "communication", for a trace; seconds since the run began.
  std::function<void(const char* lane, const char* name, double begin, double end)> span;
};

struct TrainingResult {
  std::string model;                            // name of the shape
  int64_t first_step = 0, step = 0, steps = 0;  // finished before, now, and wanted
  bool interrupted = false;
  TrainingCurve curve;
  std::vector<Measure> measures;
  Json settings;  // Training::Settings
  std::string data, validation_data, ranks, output;
  std::string limit_reason;  // why no share of a limit is known; empty where one is
};

// Every rank calls it with the same config; rank 0 alone writes files. An error of any rank is an error of all. After a
// step that cannot be computed (a loss that is not finite) the last checkpoint stays as it is, and the message names
// it.
Result<TrainingResult> RunTraining(const TrainConfig& config, ThreadPool& threads, Reducer& reducer,
                                   const TrainingHooks& hooks);

// The record of a run as JSON, and as a page with its curves.
Json TrainingRecord(const TrainConfig& config, const TrainingResult& result,
                    const std::vector<std::pair<std::string, std::string>>& environment);
std::string TrainingPage(const TrainConfig& config, const TrainingResult& result,
                         const std::vector<std::pair<std::string, std::string>>& environment);

}  // namespace lodestone
