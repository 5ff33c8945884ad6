// How a model is laid over equal devices of one machine: the question that an estimate answers.
#pragma once

#include <optional>
#include <string>

#include "hardware/efficiency.h"
#include "hardware/machine.h"
#include "model/config.h"
#include "model/recipe.h"
#include "plan/methods.h"

namespace lodestone {

// Three levels, never confused.
enum class EstimateLevel {
  kIdeal,           // the roofline of the data sheet: a bound, not a forecast
  kCalibrated,      // with the factors of the device, or of its class
  kSelfCalibrated,  // this host's, from `lodestone bench limits`
};
std::string_view ToString(EstimateLevel level);  // "ideal", "calibrated", "self-calibrated"

struct Parallelism {
  int tensor = 1, pipeline = 1, data = 1, expert = 1;
  int devices() const { return tensor * pipeline * data; }  // experts lie on the devices of tensor × data

  friend bool operator==(const Parallelism&, const Parallelism&) = default;
};
// "tp4", "tp2 pp2", "dp8"; "1" for a single device.
std::string ToString(const Parallelism& parallelism);

struct Deployment {
  Machine machine;
  Parallelism parallelism;
  std::string stack;  // empty: none named
  EstimateLevel level = EstimateLevel::kCalibrated;
  std::optional<Efficiency> efficiency;  // instead of the catalogue's: fits, and this host's own (kSelfCalibrated)
  Methods methods;                       // of the survey's families; none by default
  std::optional<int> prefill_chunk;      // tokens of a prompt a step; none: whole prompts
  bool overlap_pipeline = true;          // transfers between stages behind compute
};

}  // namespace lodestone
