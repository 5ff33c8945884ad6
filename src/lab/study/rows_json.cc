// Rows of a study as JSON and CSV, and back.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "lab/study/rows.h"
#include "report/csv.h"

namespace lodestone {
namespace {

constexpr int64_t kMaxCount = int64_t{1} << 50;
constexpr double kMaxSeconds = 1e9;

Json OrNull(const std::optional<double>& value) { return value ? Json(*value) : Json(nullptr); }

Json ListOf(std::span<const double> values) { return Json(Json::Array(values.begin(), values.end())); }

void SetRate(Json& json, const std::string& prefix, const std::optional<StudyRate>& rate) {
  json.Set(prefix + "_s", rate ? Json(rate->seconds) : Json(nullptr));
  json.Set(prefix + "_flops_per_s", rate ? Json(rate->dense_flops) : Json(nullptr));
  json.Set(prefix + "_true_flops_per_s", rate ? Json(rate->true_flops) : Json(nullptr));
  json.Set(prefix + "_share_of_limit", rate ? OrNull(rate->share_of_limit) : Json(nullptr));
}

Json ToJson(const PublishedTraining& series, size_t point) {
  Json json;
  json.Set("provenance", "published").Set("system", series.system).Set("device", series.device);
  json.Set("devices", series.points[point].devices).Set("model", series.model);
  json.Set("sequence", series.sequence > 0 ? Json(series.sequence) : Json(nullptr));
  json.Set("samples_per_s", OrNull(series.SamplesPerSecond(point)));
  json.Set("tokens_per_s", OrNull(series.TokensPerSecond(point)));
  json.Set("flops_per_s_per_device", OrNull(FlopsPerDevice(series, point)));
  json.Set("efficiency", series.Efficiency(point)).Set("evidence", ToString(series.evidence));
  json.Set("note", series.note).Set("source", series.source);
  return json;
}

// The seconds of a list, none where the key is absent.
std::vector<double> ReadSeconds(ObjectReader& reader, const char* key) {
  std::vector<double> seconds;
  const Json* json = reader.Require(key);
  const Json::Array* list = json != nullptr ? json->as_array() : nullptr;
  if (list == nullptr) {
    reader.Fail(key, "expected a list of seconds");
    return seconds;
  }
  for (const Json& value : *list) {
    const std::optional<double> number = value.as_number();
    if (!number || !(*number >= 0 && *number < kMaxSeconds)) reader.Fail(key, "expected a list of seconds");
    seconds.push_back(number.value_or(0));
  }
  return seconds;
}

}  // namespace

Json ToJson(StudyKind kind, const StudyFigures& row) {
  const StudyResult& result = row.result;
  const StudyCase& test = result.test;
  Json json;
  json.Set("provenance", "measured").Set("study", ToString(kind)).Set("model", test.model);
  json.Set("layers", test.config.layers).Set("hidden", test.config.hidden).Set("parameters", row.parameters);
  json.Set("recipe", test.recipe).Set("sequence", test.sequence).Set("batch", test.batch);
  json.Set("gas", test.accumulation).Set("recompute", test.recompute).Set("note", test.note);
  json.Set("pattern", ToString(test.sparsity.pattern)).Set("sparsity_asked", test.sparsity.level);
  json.Set("status", result.ok() ? "ok" : "refused").Set("reason", result.ok() ? Json(nullptr) : Json(result.reason));
  json.Set("isa", result.isa).Set("threads", result.threads).Set("ranks", result.ranks);
  json.Set("scaling", row.scaling.empty() ? Json(nullptr) : Json(row.scaling));
  SetRate(json, "step", row.step);
  SetRate(json, "forward", row.forward);
  json.Set("optimizer_s", OrNull(row.optimizer_s)).Set("reduce_s", OrNull(row.reduce_s));
  json.Set("tokens_per_s", row.step ? Json(row.tokens_per_s()) : Json(nullptr));
  json.Set("samples_per_s", row.step ? Json(row.samples_per_s()) : Json(nullptr));
  json.Set("efficiency", OrNull(row.efficiency)).Set("sparsity", result.sparsity);
  json.Set("step_speedup", OrNull(row.step_speedup)).Set("forward_speedup", OrNull(row.forward_speedup));
  json.Set("mlp_forward_speedup", OrNull(row.mlp_forward_speedup));
  json.Set("mlp_training_speedup", OrNull(row.mlp_training_speedup));
  json.Set("ideal_speedup", row.ideal_speedup());
  json.Set("steps", result.steps);
  json.Set("first_loss", result.steps > 0 ? Json(result.first_loss) : Json(nullptr));
  json.Set("last_loss", result.steps > 0 ? Json(result.last_loss) : Json(nullptr));
  json.Set("activation_bytes", result.activation_bytes);
  json.Set("peak_resident_bytes", result.peak_resident_bytes ? Json(*result.peak_resident_bytes) : Json(nullptr));
  json.Set("wall_s", result.wall_s).Set("cpu_s", result.cpu_s).Set("processor_share", result.processor_share());
  json.Set("step_samples_s", ListOf(result.step_s)).Set("forward_samples_s", ListOf(result.forward_s));
  json.Set("optimizer_samples_s", ListOf(result.optimizer_s)).Set("reduce_samples_s", ListOf(result.reduce_s));
  return json;
}

Json ToJson(const StudyReport& report) {
  Json json, environment{Json::Object{}};
  json.Set("study", ToString(report.plan.kind)).Set("sweep", ToString(report.plan.sweep));
  json.Set("name", report.plan.name).Set("description", report.plan.description);
  for (const auto& [key, value] : report.environment) environment.Set(key, value);
  json.Set("environment", std::move(environment));
  json.Set("limits_reason", report.limits_reason.empty() ? Json(nullptr) : Json(report.limits_reason));
  Json::Array rows, published, unavailable;
  for (const StudyFigures& row : report.rows) rows.push_back(ToJson(report.plan.kind, row));
  for (const PublishedTraining& series : report.published) {
    for (size_t i = 0; i < series.points.size(); ++i) published.push_back(ToJson(series, i));
  }
  for (const PublishedUnknown& unknown : report.unavailable) {
    unavailable.push_back(Json().Set("model", unknown.model).Set("what", unknown.what));
  }
  json.Set("rows", std::move(rows)).Set("published", std::move(published));
  json.Set("unavailable", std::move(unavailable));
  return json;
}

std::string StudyCsv(const StudyReport& report) {
  std::vector<Json> rows;
  for (const StudyFigures& row : report.rows) rows.push_back(ToJson(report.plan.kind, row));
  if (rows.empty()) return "";
  for (const PublishedTraining& series : report.published) {
    for (size_t i = 0; i < series.points.size(); ++i) rows.push_back(ToJson(series, i));
  }
  // Keys of a measured row, then those that only published ones have.
  std::vector<std::string> keys;
  for (const Json& row : {rows.front(), rows.back()}) {
    for (const auto& [key, value] : *row.as_object()) {
      if (value.as_array() == nullptr && std::find(keys.begin(), keys.end(), key) == keys.end()) keys.push_back(key);
    }
  }
  std::string text = fmt::format("{}\n", fmt::join(keys, ","));
  for (const Json& row : rows) {
    for (size_t i = 0; i < keys.size(); ++i) {
      const Json* value = row.Find(keys[i]);
      text += fmt::format("{}{}", i == 0 ? "" : ",", value != nullptr ? CsvValue(*value) : "");
    }
    text += '\n';
  }
  return text;
}

Result<StudyResult> ReadStudyRow(const Json& row, const StudyCase& test) {
  ObjectReader reader(row, "the rank's output", "rows[0]");
  StudyResult result{.test = test};
  result.reason = reader.OptionalString("reason", "");
  result.isa = reader.RequireString("isa");
  result.threads = static_cast<int>(reader.RequireInt("threads", 1, 1 << 20));
  result.ranks = static_cast<int>(reader.RequireInt("ranks", 1, 1 << 20));
  result.sparsity = reader.RequireNumber("sparsity", 0, 1);
  result.steps = reader.RequireInt("steps", 0, kMaxCount);
  result.first_loss = reader.OptionalNumber("first_loss", 0, -kMaxSeconds, kMaxSeconds);
  result.last_loss = reader.OptionalNumber("last_loss", 0, -kMaxSeconds, kMaxSeconds);
  result.activation_bytes = reader.RequireInt("activation_bytes", 0, kMaxCount);
  if (reader.Has("peak_resident_bytes")) {
    result.peak_resident_bytes = reader.RequireInt("peak_resident_bytes", 0, kMaxCount);
  }
  result.wall_s = reader.RequireNumber("wall_s", 0, kMaxSeconds);
  result.cpu_s = reader.RequireNumber("cpu_s", 0, kMaxSeconds);
  result.step_s = ReadSeconds(reader, "step_samples_s");
  result.forward_s = ReadSeconds(reader, "forward_samples_s");
  result.optimizer_s = ReadSeconds(reader, "optimizer_samples_s");
  result.reduce_s = ReadSeconds(reader, "reduce_samples_s");
  LODESTONE_RETURN_IF_ERROR(reader.status());
  return result;
}

}  // namespace lodestone
