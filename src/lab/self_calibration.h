// Factors of this host from its own measurements: rows of `lodestone bench inference --json` of a few shapes, so that
// others can be estimated (EstimateLevel::kSelfCalibrated).
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "hardware/machine.h"
#include "lab/inference_bench.h"
#include "model/config.h"
#include "model/recipe.h"

namespace lodestone {

// This host as a machine: its limits as `limits_file` has them, or where `lodestone bench limits` stores them.
Result<Machine> ThisHost(const std::optional<std::string>& limits_file);

// One row: a prompt of `test.prompt_tokens` for each of `test.batch` users in passes of at most `prefill_chunk` tokens,
// or `test.tokens` decoded by each behind `test.depth` positions.
struct HostRow {
  std::string name;  // "random:tiny-4l@1 w4a8 tg128"
  ModelConfig config;
  Recipe recipe;
  InferenceCase test;
  int prefill_chunk = 512;
  double seconds = 0;  // measured, the median of its repetitions
};

// Refused with the file: no array of rows, missing or absurd numbers, a model that the catalogue does not have.
Result<std::vector<HostRow>> ReadHostRows(const std::string& path);

// What the estimator says of a row with these factors, seconds.
Result<double> EstimatedSeconds(const Machine& host, const Efficiency& efficiency, const HostRow& row);

struct SelfCalibration {
  Efficiency efficiency;  // figures are derived; low and high are a root-mean-square error of the rows apart
  double error = 0;       // root of the mean square of ln(estimated ÷ measured)
};
// The factors with which the rows' logarithms differ least, by a pattern search (R. Hooke and T. Jeeves, JACM 1961)
// with steps that are halved until they are 0.2 %. Deterministic. Rows of prompts and of decoding tell shares of
// compute and of memory apart, shapes of two sizes what steps and kernels cost besides; what no row tells stays near
// the class's values. kInvalid: no rows.
Result<SelfCalibration> SelfCalibrate(const Machine& host, std::span<const HostRow> rows);

}  // namespace lodestone
