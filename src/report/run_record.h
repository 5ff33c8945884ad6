// One run's workload, target, environment and measures, as JSON and as a table.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "report/measure.h"

namespace lodestone {

struct Workload {
  std::string model, recipe;
  int users = 0, micro_batches = 0;
  int64_t prompt_tokens = 0, output_tokens = 0;  // a user; the longest where users differ
  int prefill_chunk = 0;
  uint64_t seed = 0;
};

struct Target {
  std::string appliance;
  int cards = 0;
  std::optional<double> power_w_per_card, transistors_per_card;
};

// One constant without a source that the result rests on.
struct Assumption {
  std::string name;
  double value = 0;
  std::string note;
};

struct UserOutput {
  std::string prompt, text, finish_reason;
  std::vector<int32_t> token_ids;
};

// A published figure beside a measure of the same name.
struct PublishedFigure {
  std::string name;  // of the measure
  double value = 0;
  std::string source;
};

struct RunRecord {
  Workload workload;
  Target target;
  std::vector<Measure> measures;
  std::vector<Assumption> assumed;
  std::vector<std::pair<std::string, std::string>> environment;  // version, isa, cpu, threads, …
  std::vector<UserOutput> users;
  std::vector<PublishedFigure> published;
};

Json ToJson(const RunRecord& record);

// A table of the measures with unit and provenance; a published column and the error where there are published figures.
// `width` in columns (a terminal's, or 100).
std::string RenderMeasures(const RunRecord& record, int width);

// Left-aligned text, right-aligned numbers: columns of `rows`, the first row being the header.
std::string RenderTable(const std::vector<std::vector<std::string>>& rows, const std::string& indent = "  ");

}  // namespace lodestone
