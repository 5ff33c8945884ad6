// One workload on many targets, whatever mix of measured, simulated, estimated and published: what `lodestone compare`
// runs, prints and draws.
//
//   kind = "compare"          name = "…"          description = "…"
//   [workload]                # batches of equal requests that start together
//   model = "llama-2-7b"      recipe = "w4a16"
//   batch = [1, 8]            prompt_tokens = 512        output_tokens = 128
//   [[measured]]              # this host; `model` may name a checkpoint, else weights are random
//   [[simulated]]             # micro_batches, prefill_chunk, fidelity, transfers as `simulate` takes them
//   appliance = "northpole-16"
//   [[estimated]]             # stack, level, devices or tensor_parallel …, prefill_chunk, with = ["kv-budget=1024"]
//   hardware = ["a100-40gb", "h100-sxm"]                 # or "all"; "this-host", with calibrate_on = "rows.json"
//   [[published]]             # source, machine, shape, recipe, stack, batch, tokens: the workload's, a list, or "any"
//   shape = "any"
//
// A target may have a `label`, and a `recipe` and a `batch` of its own; lists of hardware and recipes make a target
// each.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "base/json.h"
#include "base/provenance.h"
#include "base/status.h"
#include "plan/deployment.h"
#include "report/published_rows.h"
#include "timing/northpole.h"

namespace lodestone {

struct CompareWorkload {
  std::string model, recipe;
  std::vector<int> batches;
  int64_t prompt_tokens = 0, output_tokens = 0;  // a request
  int model_line = 0;                            // in its file, for messages; 0: unknown
};

// In `hardware`: this host by its limits, as `lodestone bench limits` stored them.
inline constexpr std::string_view kThisHost = "this-host";

struct MeasuredTarget {
  std::string model;  // of `lodestone generate`: a checkpoint, "random:NAME"
  std::optional<int64_t> threads;
};

struct SimulatedTarget {
  std::string appliance;
  Fidelity fidelity = Fidelity::kCalibrated;
  bool through_host = false;  // transfers
  std::optional<int> micro_batches;
  int prefill_chunk = 128;
};

struct EstimatedTarget {
  std::string machine, stack;
  EstimateLevel level = EstimateLevel::kCalibrated;
  std::string calibrate_on;  // rows of `bench inference --json`, of this host alone; empty: none
  Parallelism parallelism;
  std::vector<std::string> methods;
  std::optional<int> prefill_chunk;
};

// Rows of the catalogue that fit every filter; an empty one fits any row.
struct PublishedQuery {
  std::vector<std::string> sources, machines, shapes, recipes, stacks;
  bool any_batch = false;   // else one of the target's
  bool any_tokens = false;  // else the workload's, or not said
};

struct CompareTarget {
  std::string label;         // empty: made from what follows
  std::string recipe;        // empty for a published query
  std::vector<int> batches;  // a row each
  std::variant<MeasuredTarget, SimulatedTarget, EstimatedTarget, PublishedQuery> what;
};

struct Comparison {
  std::string name, description, file;
  CompareWorkload workload;
  std::vector<CompareTarget> targets;  // in the order: measured, simulated, estimated, published
};

inline constexpr size_t kMaxCompareTargets = 500;
inline constexpr size_t kMaxCompareBatches = 32;  // a target
inline constexpr size_t kMaxPublishedRuns = 2000;

// Refused with file and line: unknown keys, machines, recipes, methods and levels, numbers out of range, no target.
Result<Comparison> ParseComparison(const Json& toml, const std::string& file);
// A name in catalog/experiments/, or a path.
Result<Comparison> LoadComparison(const std::string& name_or_path);

// Low and high where the figure has a range; low is the smaller number.
struct ComparedFigure {
  double value = 0;
  std::optional<double> low, high;
};

// Of the device whose memory is fullest, bytes.
struct ComparedMemory {
  int64_t weights = 0, kv = 0, buffers = 0, capacity = 0;
};

// One kind of operator in one step: all its runs, of one device.
struct StepPart {
  std::string name, bound;  // "down", "memory"
  double seconds = 0;
  double operations = 0, bytes = 0;
};

// What bounds the rates of one device.
struct DeviceRoof {
  std::string matrix, memory;  // "bf16", "HBM2e"
  double ops_per_s = 0, bytes_per_s = 0;
};

// A target with one batch. What a target does not tell is absent.
struct ComparedRow {
  std::string label;
  Provenance provenance = Provenance::kEstimated;
  std::string platform;  // "cpu", "gpu", "fpga", "asic", "pim"; empty: not said
  std::string machine, stack, level, methods, model, recipe;
  int devices = 1, batch = 1;
  int64_t prompt_tokens = 0, output_tokens = 0;  // 0: not said

  // Generated tokens/s: of all devices; of one; of one request: 1 / TPOT, or system ÷ batch where no TPOT is known.
  std::optional<ComparedFigure> system, device, user;
  std::optional<ComparedFigure> latency;        // s/token, batch ÷ system (NorthPole HPEC 2024, equation 5)
  std::optional<ComparedFigure> ttft, tpot;     // s
  std::optional<ComparedFigure> watts, energy;  // of all devices; tokens/J
  std::optional<ComparedFigure> space;          // tokens/s/device/transistor
  std::optional<ComparedFigure> usd;            // a million generated tokens
  std::string power_basis;                      // "limit", "measured", …; or why there is no power
  std::optional<ComparedMemory> memory;

  std::string source;  // what the figures rest on: a document and the place in it, a data sheet and factors
  std::string note;    // what a reader should know: a known trap, requests that wait for memory
  std::string reason;  // why there is no figure at all; empty where there are

  std::vector<StepPart> prefill, decode;  // where the target explains itself
  std::optional<DeviceRoof> roof;

  bool ok() const { return reason.empty(); }
};

// The figures of a row, once for the table, the page, CSV and JSON.
struct CompareMetric {
  std::string_view name;     // in CSV and JSON, SI units
  std::string_view heading;  // of a column, in the unit of which one is `scale`⁻¹ SI units
  std::string_view unit;
  double scale;
  std::optional<ComparedFigure> ComparedRow::*figure;
};
std::span<const CompareMetric> CompareMetrics();

struct ComparisonResult {
  Comparison comparison;
  std::vector<ComparedRow> rows;  // in the order of the targets, then of their batches
};

// A target that cannot be done is a row with its reason. The same rows for any number of threads, measured ones apart,
// which run alone before the others. Refused: a model that cannot be opened.
Result<ComparisonResult> RunComparison(const Comparison& comparison, int threads);

// The rows for a terminal, and what the marks m, s, e and p behind the targets mean.
std::string CompareTable(const ComparisonResult& result);
// Every figure of every row, unrounded.
std::string CompareCsv(const ComparisonResult& result);
Json ToJson(const ComparisonResult& result);
// A page in one file, which carries the CSV and the JSON. `environment` is listed at the end: version and the like.
std::string ComparePage(const ComparisonResult& result,
                        const std::vector<std::pair<std::string, std::string>>& environment = {});

}  // namespace lodestone
