// What the measured seconds of a study mean: rates, shares of this host's limits, speed-ups and efficiencies, with the
// published series that they stand beside.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/json.h"
#include "hardware/host_limits.h"
#include "lab/study/bench.h"
#include "lab/study/plan.h"
#include "report/published_training.h"

namespace lodestone {

// A part of a step: seconds and the rates that follow. Operations by learn/training_cost.h.
struct StudyRate {
  double seconds = 0;      // the median of the repetitions; of GenSLM the mean, by its definition of throughput
  double dense_flops = 0;  // as if no weight were pruned, a second: what dense runs are compared by
  double true_flops = 0;   // of the weights that are left, a second
  std::optional<double> share_of_limit;  // true_flops over the host's measured rate; none where that is unknown
};

struct StudyFigures {
  StudyResult result;
  int64_t parameters = 0;
  double samples = 0, tokens = 0;  // a step, on all ranks
  std::optional<StudyRate> step, forward;
  std::optional<double> optimizer_s, reduce_s;
  // Against the dense run of the same case; none for that run itself and where there is none.
  std::optional<double> step_speedup, forward_speedup;
  // Of the MLP alone, tile blocks against dense, medians of ratios of one repetition.
  std::optional<double> mlp_forward_speedup, mlp_training_speedup;
  std::string scaling;               // "weak" or "strong", of a ranks sweep
  std::optional<double> efficiency;  // (T_N / T_n0) / (N / n0), T in tokens/s, n0 the fewest ranks of that scaling

  bool ok() const { return result.ok(); }
  double samples_per_s() const { return samples / step->seconds; }
  double tokens_per_s() const { return tokens / step->seconds; }
  // The ideal is 1 / (1 − S) on the masked layers.
  double ideal_speedup() const { return 1 / (1 - result.sparsity); }
};

struct StudyReport {
  StudyPlan plan;
  std::vector<std::pair<std::string, std::string>> environment;
  std::string limits_reason;  // why shares are absent; empty where they are not
  std::vector<StudyFigures> rows;
  std::vector<PublishedTraining> published;   // of the model and sequence of a row, or of its model at an unknown one
  std::vector<PublishedTraining> neighbours;  // of other sequences of these models, and of models of the same family
  std::vector<PublishedUnknown> unavailable;
};

// `limits` may be null.
StudyFigures FiguresOf(StudyKind kind, StudyResult result, const HostLimits* limits);
// Fills in what compares rows with one another.
void CompareRows(std::vector<StudyFigures>& rows);
// Fills in the published series of the plan's workload.
Status AddPublished(StudyReport& report);

// By the formula of TrainingFlopsPerToken, a device; none where the catalogue has no such model or the sequence is not
// printed.
std::optional<double> FlopsPerDevice(const PublishedTraining& series, size_t point);

// {study, sweep, name, environment, rows, published, unavailable}; what is unknown is null.
Json ToJson(const StudyReport& report);
Json ToJson(StudyKind kind, const StudyFigures& row);
// One line a row, the keys of ToJson as header; published points follow as rows of their own.
std::string StudyCsv(const StudyReport& report);

// A row of ToJson back into what was measured, of a case that is known: what another process of ours printed.
Result<StudyResult> ReadStudyRow(const Json& row, const StudyCase& test);

// The table of the terminal, at most 100 columns wide where no more than two settings vary, with what stands beside it.
std::string RenderStudy(const StudyReport& report);
// One page with tables, a plot, definitions and sources.
std::string StudyPage(const StudyReport& report);

// Why a row may be slower than this host is: less than kUndisturbed of its threads' time on a processor. Empty where
// none is.
inline constexpr double kUndisturbed = 0.9;
std::string DisturbanceOf(const std::vector<StudyFigures>& rows);

// How each figure is defined, a sentence each: for the table's foot and the page.
std::vector<std::string> StudyDefinitions(const StudyPlan& plan);

}  // namespace lodestone
