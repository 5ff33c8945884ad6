// Many simulated batches: every combination of the values that a file lists, on one model and one appliance.
//
//   kind = "sweep"
//   name = "northpole-curve"
//   description = "…"
//   model = "granite-3b-14l"       # as 'lodestone simulate --model' takes it
//   appliance = "northpole-16"
//
//   [workload]                     # one value each
//   recipe = "w4a4"
//   micro_batches = 14
//
//   [axes]                         # lists, or ranges; the last varies fastest
//   context = [256, 512, 1024]
//   users = {from = 1, to = 44}    # step = 1
//
// Both tables know the same settings: recipe, users, micro_batches, prefill_chunk, cards, transfers ("direct", "host"),
// fidelity ("calibrated", "ideal"), prompt_tokens and output_tokens, or context, whose one half is the prompt; and
// every figure of the appliance by its dotted name ("card.chip.clock_hz"). A setting stands in one of the two. What
// neither names is as in SimulationOptions; micro_batches: as many as users, at most one a card.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/status.h"
#include "lab/simulation.h"

namespace lodestone {

inline constexpr int64_t kMaxSweepPoints = 100'000;

struct SweepSetting {
  std::string name;
  std::vector<Json> values;  // at least one
  int line = 0;              // in the file
};

struct Sweep {
  std::string file;  // for messages
  std::string name, description, model, appliance;
  std::vector<SweepSetting> workload;  // one value each
  std::vector<SweepSetting> axes;
  int64_t points() const;  // the product of the axes
};

// Refused with file, key and line: unknown keys, values of another type or out of range, a setting that is there twice,
// and more than kMaxSweepPoints combinations, with the product.
Result<Sweep> ParseSweep(const Json& toml, const std::string& file);
// A name in catalog/experiments/ or a path.
Result<Sweep> LoadSweep(const std::string& name_or_path);

// One combination. A combination that cannot run is a point with a reason.
struct SweepPoint {
  std::vector<Json> values;  // one an axis
  std::string reason;        // empty where it ran
  int users = 0;
  int cards_used = 0, instances = 0;
  BatchRun run;
  double joules_per_token = 0;
  Bottleneck bottleneck;
  std::string bottleneck_stage;

  bool ok() const { return reason.empty(); }
  double tokens_per_s() const;  // of one instance, as what follows
  double tokens_per_s_per_card() const;
  std::optional<double> tokens_per_s_per_user() const;  // 1 / ITL; none where users have one token
};

struct SweepResult {
  Sweep sweep;
  std::vector<SweepPoint> points;  // the last axis varies fastest
};

// The same points for any number of threads. `on_point` hears of each, from any thread, one at a time. Refused: a model
// or an appliance that cannot be opened, and settings that contradict the appliance.
Result<SweepResult> RunSweep(const Sweep& sweep, int threads, const std::function<void()>& on_point = nullptr);

// One line a point: axes, status, measures, bound, reason. All figures are simulated, and say so.
std::string SweepCsv(const SweepResult& result);
Json ToJson(const SweepResult& result);
// Tokens/s/card over tokens/s/user, and the points that no other beats as a table.
std::string SweepPage(const SweepResult& result);

// Points that no other beats in tokens/s/card and tokens/s/user at once, from the most per card to the most per user.
std::vector<size_t> ParetoFront(const std::vector<SweepPoint>& points);

}  // namespace lodestone
