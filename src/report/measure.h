// A figure with its unit and its origin: the only form in which the project shows one.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "base/provenance.h"

namespace lodestone {

struct Measure {
  std::string name;             // "system_throughput_tokens_per_s"
  std::optional<double> value;  // none: unavailable, and `reason` says why
  std::string unit;
  Provenance provenance = Provenance::kMeasured;
  std::optional<double> low, high;
  std::string reason;

  static Measure Of(std::string name, double value, std::string unit, Provenance provenance);
  static Measure Unavailable(std::string name, std::string unit, Provenance provenance, std::string reason);
};

Json ToJson(const Measure& measure);  // {value, unit, provenance, low, high, reason}

// The six measures of NorthPole HPEC 2024, equations 1 to 6, from one batch run, and TTFT and ITL beside.
struct BatchRun {
  double users = 0;             // N
  double tokens_generated = 0;  // over all users
  double prompt_time_s = 0;     // start until the last user's first token
  double token_gen_time_s = 0;  // from there to the end
  int cards = 1;
  std::optional<double> power_w_per_card, transistors_per_card;
  std::string power_reason, transistors_reason;  // why absent
  std::optional<double> ttft_s, itl_s;           // means over users
  Provenance provenance = Provenance::kMeasured;
  Provenance power_provenance = Provenance::kMeasured;
};
// tokens_generated, prompt_time_s, token_gen_time_s, system_throughput_tokens_per_s, throughput_tokens_per_s_per_card,
// latency_s_per_token, space_metric_tokens_per_s_per_transistor, energy_metric_tokens_per_j, ttft_s, itl_s, in this
// order.
std::vector<Measure> MeasuresOf(const BatchRun& run);

}  // namespace lodestone
