// What a trace on simulated cards looks like to people and to programs.
#include <fmt/format.h>

#include <algorithm>

#include "lab/traffic.h"
#include "report/run_record.h"

namespace lodestone {
namespace {

struct LatencyRow {
  const char *title, *key;
  Distribution TrafficResult::*member;
};
constexpr LatencyRow kRows[] = {{"time to first token (TTFT)", "ttft", &TrafficResult::ttft_ms},
                                {"time an output token (TPOT)", "tpot", &TrafficResult::tpot_ms},
                                {"gap between tokens (ITL)", "itl", &TrafficResult::itl_ms},
                                {"end to end (E2E)", "e2el", &TrafficResult::e2el_ms},
                                {"in the queue", "queue", &TrafficResult::queue_ms}};

std::string LatencyTable(const TrafficResult& result) {
  std::vector<std::vector<std::string>> table{{"ms", "mean", "std", "min", "p50", "p90", "p95", "p99", "max"}};
  for (const LatencyRow& row : kRows) {
    const Distribution& d = result.*row.member;
    table.push_back({row.title});
    for (const double value : {d.mean, d.standard_deviation, d.min, d.p50, d.p90, d.p95, d.p99, d.max}) {
      table.back().push_back(d.count > 0 ? FormatNumber(value) : "–");
    }
  }
  return RenderTable(table);
}

std::string GoalsText(const Goals& goals) {
  std::vector<std::string> parts;
  const auto add = [&](const char* name, std::optional<double> limit) {
    if (limit) parts.push_back(fmt::format("{} ≤ {:g} ms", name, *limit));
  };
  add("TTFT", goals.ttft_ms);
  add("TPOT", goals.tpot_ms);
  add("E2E", goals.e2el_ms);
  return fmt::format("{}", fmt::join(parts, ", "));
}

double JoulesPerToken(const TrafficResult& result) {
  return result.energy.total_j() / static_cast<double>(result.output_tokens);
}

std::string StagesText(const TrafficResult& result) {
  if (result.stages.empty()) return "";
  const auto by_occupancy = [](const StageLoad& a, const StageLoad& b) { return a.occupancy < b.occupancy; };
  const auto [idle, busy] = std::minmax_element(result.stages.begin(), result.stages.end(), by_occupancy);
  double occupancy = 0, bubbles = 0;
  for (const StageLoad& stage : result.stages) {
    occupancy += stage.occupancy / static_cast<double>(result.stages.size());
    bubbles += stage.bubbles / static_cast<double>(result.stages.size());
  }
  return fmt::format(
      "  Occupancy of the {} stages: {:.1f} % ({}) to {:.1f} % ({}), {:.1f} % on average\n"
      "  Bubbles: {:.1f} % of the time with work in the system a stage does not compute, on average\n",
      result.stages.size(), idle->occupancy * 100, idle->label, busy->occupancy * 100, busy->label, occupancy * 100,
      bubbles * 100);
}

}  // namespace

std::string RenderTraffic(const TrafficResult& result) {
  const auto count = [](int64_t n) { return static_cast<double>(n); };
  std::string text = fmt::format(
      "  Simulated: {} {} in {}, at most {} at once\n  {} prompt tokens, {} generated; {} passes, {} preemptions\n",
      FormatNumber(count(result.requests)), result.requests == 1 ? "request" : "requests",
      FormatSeconds(result.elapsed.seconds()), FormatNumber(count(result.most_requests)),
      FormatNumber(count(result.prompt_tokens)), FormatNumber(count(result.output_tokens)),
      FormatNumber(count(result.passes)), FormatNumber(count(result.preemptions)));
  text += fmt::format("  {} requests/s, {} generated tokens/s, {} tokens/s with the prompts\n",
                      FormatNumber(result.per_second(count(result.requests))),
                      FormatNumber(result.per_second(count(result.output_tokens))),
                      FormatNumber(result.per_second(count(result.prompt_tokens + result.output_tokens))));
  if (result.good_requests) {
    text += fmt::format("  Goodput: {} requests/s, {:.1f} % of them, keep {}\n",
                        FormatNumber(result.per_second(count(*result.good_requests))),
                        100 * count(*result.good_requests) / count(result.requests), GoalsText(result.goals));
  }
  text += "\n" + LatencyTable(result) + "\n" + StagesText(result);
  text += fmt::format("  Energy: {:.1f} W a card over {} cards, {:.4g} J a generated token\n",
                      result.per_second(result.energy.total_j()) / result.cards, result.cards, JoulesPerToken(result));
  return text;
}

Json ToJson(const TrafficResult& result) {
  const auto count = [](int64_t n) { return static_cast<double>(n); };
  Json json;
  json.Set("provenance", ToString(Provenance::kSimulated));
  json.Set("duration", result.elapsed.seconds()).Set("completed", result.requests);
  json.Set("total_input_tokens", result.prompt_tokens).Set("total_output_tokens", result.output_tokens);
  json.Set("request_throughput", result.per_second(count(result.requests)));
  json.Set("request_goodput",
           result.good_requests ? Json(result.per_second(count(*result.good_requests))) : Json(nullptr));
  json.Set("output_throughput", result.per_second(count(result.output_tokens)));
  json.Set("total_token_throughput", result.per_second(count(result.prompt_tokens + result.output_tokens)));
  json.Set("max_concurrent_requests", result.most_requests);
  for (const LatencyRow& row : kRows) {
    const Distribution& d = result.*row.member;
    const auto set = [&](const char* statistic, double value) {
      json.Set(fmt::format("{}_{}_ms", statistic, row.key), d.count > 0 ? Json(value) : Json(nullptr));
    };
    set("mean", d.mean);
    set("median", d.p50);
    set("std", d.standard_deviation);
    set("min", d.min);
    set("max", d.max);
    set("p50", d.p50);
    set("p90", d.p90);
    set("p95", d.p95);
    set("p99", d.p99);
  }
  json.Set("passes", result.passes).Set("preemptions", result.preemptions).Set("cards", result.cards);
  json.Set("working_s", result.working.seconds());
  Json::Array stages;
  for (const StageLoad& stage : result.stages) {
    Json entry;
    entry.Set("stage", stage.label).Set("card", stage.card);
    entry.Set("occupancy", stage.occupancy).Set("bubbles", stage.bubbles);
    stages.push_back(std::move(entry));
  }
  json.Set("stages", std::move(stages));
  json.Set("energy", ToJson(result.energy));
  json.Set("watts_per_card", result.per_second(result.energy.total_j()) / result.cards);
  json.Set("joules_per_output_token", JoulesPerToken(result));
  return json;
}

}  // namespace lodestone
