#include "lab/traffic.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <utility>

#include "engine/engine.h"

namespace lodestone {
namespace {

// Longest prompt and longest context of a trace, and all tokens.
struct Extent {
  int64_t prompt = 0, context = 0, tokens = 0;
};

Result<Extent> ExtentOf(std::span<const Arrival> arrivals) {
  if (arrivals.empty()) return Invalid("no requests, expected at least one");
  Extent extent;
  for (size_t i = 0; i < arrivals.size(); ++i) {
    const Arrival& arrival = arrivals[i];
    const bool sound = arrival.at >= (i > 0 ? arrivals[i - 1].at : Time{}) && arrival.prompt_tokens >= 1 &&
                       arrival.output_tokens >= 1 && arrival.prompt_tokens <= kMaxArrivalTokens &&
                       arrival.output_tokens <= kMaxArrivalTokens;
    if (!sound) {
      return Invalid(
          fmt::format("request {} arrives at {} s with {} prompt tokens and {} to generate, expected requests "
                      "in order of time with 1 to {} of each",
                      i + 1, arrival.at.seconds(), arrival.prompt_tokens, arrival.output_tokens, kMaxArrivalTokens));
    }
    extent.prompt = std::max(extent.prompt, arrival.prompt_tokens);
    extent.context = std::max(extent.context, arrival.prompt_tokens + arrival.output_tokens);
    extent.tokens += arrival.prompt_tokens + arrival.output_tokens;
    if (extent.tokens > kMaxSimulatedTokens) {
      return Infeasible(
          fmt::format("the first {} of {} requests bring more than {} tokens, which is the most that one "
                      "run simulates: take fewer requests",
                      i + 1, arrivals.size(), kMaxSimulatedTokens));
    }
  }
  return extent;
}

Result<int> SeatsOf(const TrafficOptions& options) {
  const int seats = options.seats > 0 ? options.seats : options.machine.users;
  if (seats >= options.machine.users && seats <= kMaxPlacedUsers) return seats;
  return Invalid(fmt::format("{} seats, expected at least the {} users whose pages there are, and at most {}", seats,
                             options.machine.users, kMaxPlacedUsers));
}

// Pages for `users` of the longest context, passes of as many rows as `seats` may bring.
Result<SimulationOptions> MachineOf(const TrafficOptions& options, const Extent& extent, int seats) {
  SimulationOptions machine = options.machine;
  machine.prompt_tokens = extent.prompt;
  machine.output_tokens = extent.context - extent.prompt;  // ≥ 1: a request with the longest prompt generates something
  LODESTONE_RETURN_IF_ERROR(CheckSimulation(machine));
  if (machine.placement) return machine;
  Demand demand = DemandOf(seats, machine.micro_batches, extent.context, extent.prompt, machine.prefill_chunk);
  demand.users = machine.users;
  LODESTONE_ASSIGN_OR_RETURN(machine.placement, Place(machine.config, machine.recipe, machine.spec, demand));
  return machine;
}

// What the sinks collect.
struct Collected {
  std::vector<double> ttft_ms, tpot_ms, itl_ms, e2el_ms, queue_ms;
  int64_t ended = 0, good = 0, output_tokens = 0;
  Time last;
  std::string error;

  void Add(const RequestTimes& times, const Goals& goals) {
    const auto ms = [](Time from, Time to) { return (to - from).seconds() * 1e3; };
    const double ttft = ms(times.added, times.first_token), e2el = ms(times.added, times.finished);
    ttft_ms.push_back(ttft);
    e2el_ms.push_back(e2el);
    queue_ms.push_back(ms(times.added, times.admitted));
    std::optional<double> tpot;
    if (times.generated > 1) {
      tpot = (e2el - ttft) / static_cast<double>(times.generated - 1);
      tpot_ms.push_back(*tpot);
    }
    for (size_t i = 1; i < times.token_times.size(); ++i) {
      itl_ms.push_back(ms(times.token_times[i - 1], times.token_times[i]));
    }
    const auto keeps = [](std::optional<double> value, std::optional<double> limit) {
      return !limit || !value || *value <= *limit;
    };
    good += keeps(ttft, goals.ttft_ms) && keeps(tpot, goals.tpot_ms) && keeps(e2el, goals.e2el_ms) ? 1 : 0;
    ++ended;
    output_tokens += times.generated;
    last = std::max(last, times.finished);
  }
};

// Plays the trace; how long at least one request was there, and how many at most.
struct Played {
  Time working;
  int most_requests = 0;
};

Result<Played> Play(OpenedMachine& machine, Engine& engine, std::span<const Arrival> arrivals, const Goals& goals,
                    Collected& collected) {
  Played played;
  size_t next = 0;
  Time since;  // when the system last became busy
  const auto sink = [&](const TokenEvent& event) {
    if (event.finish == FinishReason::kError) collected.error = event.error;
    if (event.times != nullptr) collected.Add(*event.times, goals);
  };
  for (int inside = 0;;) {
    LODESTONE_RETURN_IF_ERROR(engine.Submit());
    const std::optional<Time> finish = machine.appliance->NextFinish();
    if (next < arrivals.size() && (!finish || arrivals[next].at <= *finish)) {
      const Time now = arrivals[next].at;
      machine.timeline->AdvanceTo(now);
      if (inside == 0) since = now;
      for (; next < arrivals.size() && arrivals[next].at == now; ++next, ++inside) {
        Request request;
        request.prompt.resize(static_cast<size_t>(arrivals[next].prompt_tokens));
        request.max_tokens = arrivals[next].output_tokens;
        LODESTONE_RETURN_IF_ERROR(engine.Add(std::move(request), sink).status());
      }
      played.most_requests = std::max(played.most_requests, inside);
      continue;
    }
    LODESTONE_ASSIGN_OR_RETURN(const bool more, engine.Step());
    if (!more) return played;
    const int still = static_cast<int>(static_cast<int64_t>(next) - collected.ended);
    if (inside > 0 && still == 0) played.working += machine.timeline->Now() - since;
    inside = still;
  }
}

std::vector<StageLoad> LoadsOf(std::span<const StageStats> stages, Time elapsed, Time working) {
  const auto share = [](Time part, Time whole) { return whole > Time{} ? part.seconds() / whole.seconds() : 0; };
  std::vector<StageLoad> loads;
  for (const StageStats& stage : stages) {
    loads.push_back({.label = stage.label,
                     .card = stage.card,
                     .occupancy = share(stage.busy, elapsed),
                     .bubbles = working > Time{} ? 1 - share(stage.busy, working) : 0});
  }
  return loads;
}

}  // namespace

Result<SimulationOptions> MachineFor(const TrafficOptions& options, std::span<const Arrival> arrivals) {
  LODESTONE_ASSIGN_OR_RETURN(const Extent extent, ExtentOf(arrivals));
  LODESTONE_ASSIGN_OR_RETURN(const int seats, SeatsOf(options));
  return MachineOf(options, extent, seats);
}

Result<TrafficResult> RunTraffic(const TrafficOptions& options, std::span<const Arrival> arrivals,
                                 FlowObserver* observer) {
  LODESTONE_ASSIGN_OR_RETURN(const Extent extent, ExtentOf(arrivals));
  LODESTONE_ASSIGN_OR_RETURN(const int seats, SeatsOf(options));
  LODESTONE_ASSIGN_OR_RETURN(const SimulationOptions prepared, MachineOf(options, extent, seats));
  LODESTONE_ASSIGN_OR_RETURN(OpenedMachine machine, OpenSimulation(prepared));
  machine.appliance->Observe(observer);
  Engine engine(*machine.appliance, nullptr,
                {.micro_batches = prepared.micro_batches,
                 .prefill_chunk = prepared.prefill_chunk,
                 .pages = static_cast<int>(prepared.users * PagesPerUser(extent.context)),
                 .max_positions = prepared.config.max_positions,
                 .vocab = prepared.config.vocab,
                 .max_users = seats,
                 .prefix_sharing = false,
                 .reserve_pages = seats == prepared.users});
  Collected collected;
  LODESTONE_ASSIGN_OR_RETURN(const Played played, Play(machine, engine, arrivals, options.goals, collected));
  if (!collected.error.empty()) return Invalid(collected.error);
  LODESTONE_CHECK(collected.ended == static_cast<int64_t>(arrivals.size()));

  const Appliance& appliance = *machine.appliance;
  const std::vector<StageStats> stages = appliance.stats();
  TrafficResult result;
  result.requests = collected.ended;
  result.output_tokens = collected.output_tokens;
  result.prompt_tokens = extent.tokens - result.output_tokens;
  result.elapsed = collected.last - arrivals.front().at;
  result.working = played.working;
  result.ttft_ms = DistributionOf(std::move(collected.ttft_ms));
  result.tpot_ms = DistributionOf(std::move(collected.tpot_ms));
  result.itl_ms = DistributionOf(std::move(collected.itl_ms));
  result.e2el_ms = DistributionOf(std::move(collected.e2el_ms));
  result.queue_ms = DistributionOf(std::move(collected.queue_ms));
  result.goals = options.goals;
  if (options.goals.ttft_ms || options.goals.tpot_ms || options.goals.e2el_ms) result.good_requests = collected.good;
  result.most_requests = played.most_requests;
  result.preemptions = engine.stats().preemptions;
  result.passes = engine.stats().passes;
  result.cards = appliance.placement().cards_used;
  result.stages = LoadsOf(stages, result.elapsed, result.working);
  result.energy = EnergyOf(prepared.spec, stages, result.cards, result.elapsed);
  return result;
}

}  // namespace lodestone
