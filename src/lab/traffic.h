// Requests that arrive over time on simulated cards, with continuous batching by the engine itself: what users would
// wait for, and how busy the cards would be.
//
// A request joins at its arrival to the picosecond: the clock moves to the next arrival or to the next pass that leaves
// the chain, whichever is first. Of those at the same moment arrivals are first, and share their passes.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/json.h"
#include "lab/arrivals.h"
#include "lab/simulation.h"
#include "lab/statistics.h"

namespace lodestone {

// Limits that a request keeps or not; what is absent is not asked for.
struct Goals {
  std::optional<double> ttft_ms, tpot_ms, e2el_ms;
};

struct TrafficOptions {
  // The KV pages are those of `machine.users` users with the longest prompt and the longest context of the trace; the
  // machine's own prompt_tokens and output_tokens count for nothing.
  SimulationOptions machine;
  // Requests that are admitted together at most; 0: machine.users, each with pages for all of its tokens. More than
  // those share the same pages: short requests leave room, and where they do not, the youngest give theirs back and
  // begin again.
  int seats = 0;
  Goals goals;
};

struct StageLoad {
  std::string label;
  int card = 0;
  double occupancy = 0;  // share of the run in which its array computes
  double bubbles = 0;    // share of the time with a request in the system in which it does not
};

// All times as in the serving benchmarks of the field: TTFT from arrival to first token, queueing included; ITL every
// gap between two tokens of a request; TPOT (E2E − TTFT) / (tokens − 1), of requests with two tokens or more.
struct TrafficResult {
  int64_t requests = 0, prompt_tokens = 0, output_tokens = 0;
  Time elapsed;  // from the first arrival to the last token
  Time working;  // of that, with a request in the system
  Distribution ttft_ms, tpot_ms, itl_ms, e2el_ms, queue_ms;
  Goals goals;
  std::optional<int64_t> good_requests;  // that keep all goals; none where there is no goal
  int most_requests = 0;                 // in the system at once
  int64_t preemptions = 0, passes = 0;
  int cards = 0;
  std::vector<StageLoad> stages;
  EnergyLedger energy;

  double per_second(double count) const { return elapsed > Time{} ? count / elapsed.seconds() : 0; }
};

// The machine with which RunTraffic serves these arrivals: the longest prompt, what is left of the longest context as
// output, and placed. Whoever observes the run with the costs of its passes opens them with these options.
Result<SimulationOptions> MachineFor(const TrafficOptions& options, std::span<const Arrival> arrivals);

// `arrivals` in order of time. Refused: what SimulateBatch refuses, requests that the machine's pages cannot hold even
// alone, no arrivals, more than kMaxSimulatedTokens in all.
Result<TrafficResult> RunTraffic(const TrafficOptions& options, std::span<const Arrival> arrivals,
                                 FlowObserver* observer = nullptr);

std::string RenderTraffic(const TrafficResult& result);
// Keys as `vllm bench serve` writes them, in ms, all simulated; beside them queueing, stages and energy.
Json ToJson(const TrafficResult& result);

}  // namespace lodestone
