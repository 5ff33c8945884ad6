// Published rows as questions to the estimator.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/status.h"
#include "plan/machine_estimate.h"
#include "report/published_rows.h"

namespace lodestone {

// What a row that says no lengths is taken to have measured: the survey's works generate some hundred tokens.
inline constexpr int64_t kUnsaidTokens = 128;

// A row of inference that the estimator can be asked about.
struct ValidationCase {
  const PublishedRow* row = nullptr;
  ModelConfig config;
  Recipe recipe;
  Deployment deployment;
  InferenceLoad load;

  bool mixture_of_experts() const { return config.experts > 0; }
  // The row's own metric of a run that takes `times`.
  double ValueAt(const InferenceTimes& times) const;
  // Whether more of the metric is better: not for latencies.
  bool is_rate() const;
};

struct UnmodelledRow {
  const PublishedRow* row = nullptr;
  std::string reason;  // few words, for counting
};

struct CaseList {
  std::vector<ValidationCase> cases;
  std::vector<UnmodelledRow> unmodelled;
};

// Rows about inference whose machine, shape and formats the catalogue has. Rows of metrics that no time gives (power,
// perplexity, ratios) and of training are in neither list. Errors: a catalogue that cannot be read.
Result<CaseList> CasesOf(std::span<const PublishedRow> rows);

// The row's metric as estimated, with the factors of the catalogue or those given. Errors as EstimateInference.
Result<Range> EstimateOf(const ValidationCase& question, const std::optional<Efficiency>& efficiency = std::nullopt);

}  // namespace lodestone
