// A comparison with one row of every provenance and one refusal, made by hand.
#pragma once

#include "lab/compare/compare.h"

namespace lodestone::testing {

inline ComparisonResult SampleComparison() {
  ComparisonResult result;
  Comparison& comparison = result.comparison;
  comparison.name = "sample";
  comparison.description = "Four kinds of rows.";
  comparison.workload = {
      .model = "tiny-4l", .recipe = "w8a8", .batches = {1, 8}, .prompt_tokens = 16, .output_tokens = 8};
  comparison.targets.push_back({.label = "", .recipe = "w8a8", .batches = {1, 8}, .what = EstimatedTarget{}});
  const auto add = [&](const char* label, Provenance provenance, const char* platform, int batch, double tokens_per_s) {
    ComparedRow row;
    row.label = label;
    row.provenance = provenance;
    row.platform = platform;
    row.machine = "m";
    row.model = "tiny-4l";
    row.recipe = "w8a8";
    row.batch = batch;
    row.prompt_tokens = 16;
    row.output_tokens = 8;
    row.system = row.device = ComparedFigure{tokens_per_s, tokens_per_s * 0.8, tokens_per_s * 1.25};
    row.user = ComparedFigure{tokens_per_s / batch, {}, {}};
    row.latency = ComparedFigure{batch / tokens_per_s, {}, {}};
    row.tpot = ComparedFigure{0.5 * batch / tokens_per_s, {}, {}};
    row.watts = ComparedFigure{tokens_per_s / 3, {}, {}};
    row.energy = ComparedFigure{3, {}, {}};
    row.power_basis = "limit";
    row.source = "a data sheet, \"quoted\"";
    result.rows.push_back(row);
    return result.rows.size() - 1;
  };
  const size_t host = add("this host", Provenance::kMeasured, "cpu", 1, 120);
  result.rows[host].ttft = ComparedFigure{0.25, {}, {}};
  add("northpole-16", Provenance::kSimulated, "asic", 8, 28356);
  for (const int batch : {1, 8}) {
    ComparedRow& row = result.rows[add("a100-40gb × 4, <fast>", Provenance::kEstimated, "gpu", batch, 90.5 * batch)];
    row.devices = 4;
    row.device = ComparedFigure{row.system->value / 4, *row.system->low / 4, *row.system->high / 4};
    row.level = "calibrated";
    row.memory = ComparedMemory{.weights = 1000, .kv = 500, .buffers = 20, .capacity = 4000};
    row.roof = DeviceRoof{.matrix = "int8", .memory = "HBM2", .ops_per_s = 6e14, .bytes_per_s = 1.5e12};
    row.decode = {
        {"down", "memory", 1e-4, 1e9, 1e8}, {"attention", "memory", 5e-5, 2e7, 3e7}, {"step", "launch", 2e-4}};
    row.prefill = {{"down", "matrix", 1e-3, 1e11, 1e8}};
  }
  ComparedRow& published = result.rows[add("A100", Provenance::kPublished, "gpu", 1, 57)];
  published.note = "throughput counts prompt tokens";
  ComparedRow& refused = result.rows[add("kv260", Provenance::kEstimated, "fpga", 1, 1)];
  refused = ComparedRow{};
  refused.label = "kv260";
  refused.reason = "13.0 GiB of weights do not fit into 4.0 GiB";
  return result;
}

}  // namespace lodestone::testing
