// What `lodestone estimate` asks and shows.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/status.h"
#include "lab/estimate_record.h"

namespace lodestone::cli {

// A case that was asked: an answer, and by rates alone; or why there is none.
struct EstimateRow {
  std::string hardware;
  int batch = 0;
  std::optional<EstimatedRun> run;
  std::optional<InferenceEstimate> ideal;  // where `run` is not ideal itself
  std::vector<PublishedBeside> published;
  std::string reason;
};

// A row a case: throughput with its range, latency, energy, what rates alone allow, memory; reasons below.
std::string RenderEstimates(const std::vector<EstimateRow>& rows);
// Of one case: every kernel of a pass over prompts and of a decoding step, and what would change.
std::string RenderExplanation(const EstimatedRun& run, const std::vector<WhatIf>& changes);
// Every measure of every case, a line each.
std::string EstimatesCsv(const std::vector<EstimateRow>& rows);
Json ToJson(const EstimateRow& row);

// A table of kernels: time, share, bound, operations a byte.
std::string RenderShares(const std::string& heading, const std::vector<OperatorShare>& shares);
Json ToJson(const std::vector<OperatorShare>& shares);
// "1,282–1,587"; nothing where the ends are one.
std::string Ends(const Range& range);
// A field of CSV, in quotes where it needs them.
std::string CsvField(const std::string& value);

// Training on one machine.
struct TrainingRow {
  std::string hardware;
  std::optional<TrainingEstimate> estimate, ideal;  // ideal: where the estimate is not ideal itself
  std::string reason;
};
std::string RenderTraining(const std::vector<TrainingRow>& rows, bool explain);
std::string TrainingCsv(const std::vector<TrainingRow>& rows);
Json ToJson(const TrainingRow& row);

}  // namespace lodestone::cli
