#include "report/measure.h"

#include <fmt/format.h>

#include <cmath>

namespace lodestone {
namespace {

// The quotient, or why there is none.
Measure Ratio(std::string name, std::optional<double> numerator, std::optional<double> denominator, std::string unit,
              Provenance provenance, std::string reason) {
  if (!numerator || !denominator)
    return Measure::Unavailable(std::move(name), std::move(unit), provenance, std::move(reason));
  return Measure::Of(std::move(name), *numerator / *denominator, std::move(unit), provenance);
}

std::optional<double> Positive(double value) { return value > 0 ? std::optional(value) : std::nullopt; }

// Figures of a card that are absent or not positive have a reason; without one it is named here.
std::string ReasonOr(const std::string& reason, const char* fallback) { return reason.empty() ? fallback : reason; }

Json OptionalNumber(const std::optional<double>& value) { return value ? Json(*value) : Json(nullptr); }

}  // namespace

Measure Measure::Of(std::string name, double value, std::string unit, Provenance provenance) {
  if (!std::isfinite(value)) {
    return Unavailable(std::move(name), std::move(unit), provenance,
                       fmt::format("the result is {}, not a number", value));
  }
  return {.name = std::move(name),
          .value = value,
          .unit = std::move(unit),
          .provenance = provenance,
          .low = {},
          .high = {},
          .reason = {}};
}

Measure Measure::Unavailable(std::string name, std::string unit, Provenance provenance, std::string reason) {
  return {.name = std::move(name),
          .value = {},
          .unit = std::move(unit),
          .provenance = provenance,
          .low = {},
          .high = {},
          .reason = reason.empty() ? "not known" : std::move(reason)};
}

Json ToJson(const Measure& measure) {
  Json json;
  json.Set("value", OptionalNumber(measure.value));
  json.Set("unit", measure.unit);
  json.Set("provenance", ToString(measure.provenance));
  json.Set("low", OptionalNumber(measure.low));
  json.Set("high", OptionalNumber(measure.high));
  json.Set("reason", measure.reason.empty() ? Json(nullptr) : Json(measure.reason));
  return json;
}

std::vector<Measure> MeasuresOf(const BatchRun& run) {
  const Provenance from = run.provenance;
  const double total_s = run.prompt_time_s + run.token_gen_time_s;
  const std::optional<double> time = Positive(total_s), tokens = Positive(run.tokens_generated);
  const std::string no_rate = !tokens ? "no token was generated" : "no time passed";

  const auto generated = Measure::Of("tokens_generated", run.tokens_generated, "tokens", from);
  const auto prompt_time = Measure::Of("prompt_time_s", run.prompt_time_s, "s", from);
  const auto token_gen_time = Measure::Of("token_gen_time_s", run.token_gen_time_s, "s", from);
  // Equations 2 to 6; `tokens_per_user` is equation 1 turned round.
  const auto system = Ratio("system_throughput_tokens_per_s", tokens, time, "tokens/s", from, no_rate);
  const auto card = Ratio("throughput_tokens_per_s_per_card", system.value, Positive(run.cards), "tokens/s/card", from,
                          system.value ? "no card was used" : no_rate);
  std::optional<double> tokens_per_user;
  if (tokens && run.users > 0) tokens_per_user = *tokens / run.users;
  const auto latency =
      Ratio("latency_s_per_token", time, tokens_per_user, "s/token", from, tokens ? "no time passed" : no_rate);
  const auto space = Ratio(
      "space_metric_tokens_per_s_per_transistor", card.value,
      run.transistors_per_card ? Positive(*run.transistors_per_card) : std::nullopt, "tokens/s/transistor", from,
      card.value ? ReasonOr(run.transistors_reason, "the number of transistors of a card is not known") : card.reason);
  // A figure that rests on what the user stated is the user's.
  const Provenance energy_from = run.power_provenance == Provenance::kUserStated ? run.power_provenance : from;
  auto energy = Ratio("energy_metric_tokens_per_j", card.value,
                      run.power_w_per_card ? Positive(*run.power_w_per_card) : std::nullopt, "tokens/J", energy_from,
                      card.value ? ReasonOr(run.power_reason, "the power of a card is not known") : card.reason);
  if (energy.value && run.power_provenance != from) {
    energy.reason =
        fmt::format("rests on a {} power of {:g} W a card", ToString(run.power_provenance), *run.power_w_per_card);
  }
  const auto mean = [&](const char* name, const std::optional<double>& value, const char* reason) {
    return value ? Measure::Of(name, *value, "s", from) : Measure::Unavailable(name, "s", from, reason);
  };
  return {generated,
          prompt_time,
          token_gen_time,
          system,
          card,
          latency,
          space,
          energy,
          mean("ttft_s", run.ttft_s, "no user had a first token"),
          mean("itl_s", run.itl_s, "no user had a second token")};
}

}  // namespace lodestone
