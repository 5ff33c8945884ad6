#include <fmt/format.h>

#include "base/units.h"
#include "cli/estimate.h"
#include "cli/layout.h"

namespace lodestone::cli {
namespace {

int64_t UsedBytes(const TrainingEstimate::Memory& memory) {
  return memory.weights + memory.gradients + memory.optimizer + memory.activations;
}

Json RangeJson(const Range& range, const char* unit) {
  Json json;
  json.Set("value", range.typical).Set("low", range.low).Set("high", range.high).Set("unit", unit);
  json.Set("provenance", ToString(Provenance::kEstimated));
  return json;
}

struct TrainingMeasure {
  const char* name;
  const char* unit;
  Range TrainingEstimate::*range;
};
constexpr TrainingMeasure kMeasures[] = {
    {"step_s", "s", &TrainingEstimate::step_s},
    {"tokens_per_s", "token/s", &TrainingEstimate::tokens_per_s},
    {"samples_per_s", "sample/s", &TrainingEstimate::samples_per_s},
    {"flops_per_s_per_device", "FLOP/s", &TrainingEstimate::flops_per_s_per_device},
};

}  // namespace

std::string RenderTraining(const std::vector<TrainingRow>& rows, bool explain) {
  std::vector<std::vector<std::string>> cells{{"hardware", "devices", "step", "tokens/s", "low–high", "ideal",
                                               "samples/s", "TFLOP/s a device", "memory a device"}};
  std::string below;
  for (const TrainingRow& row : rows) {
    if (!row.estimate) {
      cells.push_back({row.hardware, "–", "–", "–", "", "–", "–", "–", "–"});
      below += Wrap(fmt::format("  {}: {}", row.hardware, row.reason), kWidth, 4) + "\n";
      continue;
    }
    const TrainingEstimate& e = *row.estimate;
    cells.push_back({row.hardware, fmt::format("{}", e.devices), FormatSeconds(e.step_s.typical),
                     FormatNumber(e.tokens_per_s.typical), Ends(e.tokens_per_s),
                     row.ideal ? FormatNumber(row.ideal->tokens_per_s.typical) : "–",
                     FormatNumber(e.samples_per_s.typical), FormatNumber(e.flops_per_s_per_device.typical / 1e12),
                     fmt::format("{} of {}", FormatBytes(UsedBytes(e.memory)), FormatBytes(e.memory.capacity))});
    if (!explain) continue;
    below += RenderShares(fmt::format("{}: one optimizer step", row.hardware), e.step);
    below += fmt::format("  Memory a device: weights {}, gradients {}, optimizer {}, activations {}\n",
                         FormatBytes(e.memory.weights), FormatBytes(e.memory.gradients),
                         FormatBytes(e.memory.optimizer), FormatBytes(e.memory.activations));
    below += fmt::format("  Operations counted a token: 6 × parameters + 12 × layers × hidden × sequence = {}\n",
                         FormatNumber(e.model_flops_per_token));
  }
  return RenderTable(cells) + below;
}

std::string TrainingCsv(const std::vector<TrainingRow>& rows) {
  std::string text = "hardware,level,measure,value,low,high,unit,provenance,reason\n";
  for (const TrainingRow& row : rows) {
    if (!row.estimate) text += fmt::format("{},,,,,,,,{}\n", CsvField(row.hardware), CsvField(row.reason));
    for (const auto* estimate : {&row.estimate, &row.ideal}) {
      if (!*estimate) continue;
      for (const TrainingMeasure& measure : kMeasures) {
        const Range& range = (**estimate).*measure.range;
        text += fmt::format("{},{},{},{},{},{},{},{},\n", CsvField(row.hardware), ToString((*estimate)->level),
                            measure.name, range.typical, range.low, range.high, measure.unit,
                            ToString(Provenance::kEstimated));
      }
    }
  }
  return text;
}

Json ToJson(const TrainingRow& row) {
  Json json;
  json.Set("hardware", row.hardware);
  if (!row.estimate) return std::move(json.Set("reason", row.reason));
  const TrainingEstimate& e = *row.estimate;
  json.Set("level", ToString(e.level)).Set("devices", e.devices);
  Json measures, memory;
  for (const TrainingMeasure& measure : kMeasures)
    measures.Set(measure.name, RangeJson(e.*measure.range, measure.unit));
  if (row.ideal) measures.Set("ideal_tokens_per_s", RangeJson(row.ideal->tokens_per_s, "token/s"));
  memory.Set("weights_bytes", e.memory.weights).Set("gradients_bytes", e.memory.gradients);
  memory.Set("optimizer_bytes", e.memory.optimizer).Set("activations_bytes", e.memory.activations);
  memory.Set("capacity_bytes", e.memory.capacity);
  json.Set("measures", std::move(measures)).Set("model_flops_per_token", e.model_flops_per_token);
  json.Set("memory", std::move(memory)).Set("step_kernels", ToJson(e.step));
  return json;
}

}  // namespace lodestone::cli
