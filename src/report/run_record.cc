#include "report/run_record.h"

#include <fmt/format.h>

#include <limits>

namespace lodestone {
namespace {

Json OptionalNumber(const std::optional<double>& value) { return value ? Json(*value) : Json(nullptr); }

// Beyond the integers that every reader keeps exactly, digits in a string.
Json SeedOf(uint64_t seed) {
  if (seed <= static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) return Json(static_cast<int64_t>(seed));
  return Json(fmt::format("{}", seed));
}

Json ToJson(const Workload& workload) {
  Json json;
  json.Set("model", workload.model);
  json.Set("recipe", workload.recipe);
  json.Set("users", workload.users);
  json.Set("micro_batches", workload.micro_batches);
  json.Set("prompt_tokens", workload.prompt_tokens);
  json.Set("output_tokens", workload.output_tokens);
  json.Set("prefill_chunk", workload.prefill_chunk);
  json.Set("seed", SeedOf(workload.seed));
  return json;
}

Json ToJson(const Target& target) {
  Json json;
  json.Set("appliance", target.appliance);
  json.Set("cards", target.cards);
  json.Set("power_w_per_card", OptionalNumber(target.power_w_per_card));
  json.Set("transistors_per_card", OptionalNumber(target.transistors_per_card));
  return json;
}

Json ToJson(const UserOutput& user) {
  Json::Array ids;
  ids.reserve(user.token_ids.size());
  for (int32_t id : user.token_ids) ids.emplace_back(int64_t{id});
  Json json;
  json.Set("prompt", user.prompt);
  json.Set("token_ids", std::move(ids));
  json.Set("text", user.text);
  json.Set("finish_reason", user.finish_reason);
  return json;
}

Json ToJson(const Assumption& assumption) {
  Json json;
  json.Set("name", assumption.name);
  json.Set("value", assumption.value);
  json.Set("note", assumption.note);
  return json;
}

Json ToJson(const PublishedFigure& figure) {
  Json json;
  json.Set("name", figure.name);
  json.Set("value", figure.value);
  json.Set("source", figure.source);
  return json;
}

template <typename T>
Json::Array ArrayOf(const std::vector<T>& items) {
  Json::Array array;
  array.reserve(items.size());
  for (const T& item : items) array.push_back(ToJson(item));
  return array;
}

}  // namespace

Json ToJson(const RunRecord& record) {
  Json::Object measures, environment;
  for (const Measure& measure : record.measures) measures.emplace_back(measure.name, ToJson(measure));
  for (const auto& [name, value] : record.environment) environment.emplace_back(name, Json(value));
  Json json;
  json.Set("workload", ToJson(record.workload));
  json.Set("target", ToJson(record.target));
  json.Set("measures", std::move(measures));
  json.Set("assumed", ArrayOf(record.assumed));
  json.Set("environment", std::move(environment));
  if (!record.users.empty()) json.Set("users", ArrayOf(record.users));
  if (!record.published.empty()) json.Set("published", ArrayOf(record.published));
  return json;
}

}  // namespace lodestone
