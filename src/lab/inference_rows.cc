#include "lab/inference_rows.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <ctime>

#include "base/units.h"
#include "lab/statistics.h"
#include "report/csv.h"

namespace lodestone {
namespace {

// Now, as llama-bench writes it: UTC, to the second.
std::string Timestamp() {
  const std::time_t now = std::chrono::system_clock::to_time_t(std::chrono::system_clock::now());
  std::tm utc{};
  gmtime_r(&now, &utc);
  std::array<char, 32> text{};
  std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%SZ", &utc);
  return text.data();
}

std::string Of(const InferenceSetting& setting, std::string_view name) {
  for (const auto& [key, value] : setting.environment) {
    if (key == name) return value;
  }
  return "";
}

Json::Array Numbers(const std::vector<double>& values, double scale) {
  Json::Array array;
  for (const double value : values) array.emplace_back(value * scale);
  return array;
}

void SetUnavailable(Json& json, const std::string& name, const std::string& reason) {
  json.Set(name, nullptr);
  json.Set(name + "_reason", reason);
}

void SetLimits(Json& json, const InferenceSetting& setting, const InferenceRow& row, double tokens_per_s) {
  const CaseWork& work = row.result.work;
  if (work.limit_seconds <= 0) return SetUnavailable(json, "share_of_limit", setting.limits_reason);
  const double limit = row.result.test.tokens_of_all() / work.limit_seconds;
  json.Set("limit_ts", limit);
  json.Set("share_of_limit", tokens_per_s / limit);
  json.Set("bound", work.memory_seconds >= work.compute_seconds ? "memory" : "compute");
  json.Set("share_of_bandwidth", tokens_per_s * work.memory_seconds / row.result.test.tokens_of_all());
}

void SetPeer(Json& json, const InferenceRow& row, const std::vector<double>& ours) {
  if (row.peer_tokens_per_s.empty()) return;
  const Statistics peer = StatisticsOf(row.peer_tokens_per_s);
  json.Set("peer_avg_ts", peer.mean);
  json.Set("peer_stddev_ts", peer.standard_deviation);
  // Both ran in turn: the ratios of neighbours tell how much the machine changed meanwhile.
  std::vector<double> ratios;
  for (size_t i = 0; i < std::min(ours.size(), row.peer_tokens_per_s.size()); ++i) {
    ratios.push_back(ours[i] / row.peer_tokens_per_s[i]);
  }
  const Statistics ratio = StatisticsOf(ratios);
  json.Set("ratio", ratio.median);
  json.Set("ratio_low", ratio.min);
  json.Set("ratio_high", ratio.max);
}

double NumberOf(const Json& row, std::string_view key) {
  const Json* value = row.Find(key);
  return value != nullptr ? value->as_number().value_or(0) : 0;
}
bool Has(const Json& row, std::string_view key) {
  const Json* value = row.Find(key);
  return value != nullptr && !value->is_null();
}
std::string TextOf(const Json& row, std::string_view key) {
  const Json* value = row.Find(key);
  return value != nullptr && value->as_string() != nullptr ? *value->as_string() : "";
}

}  // namespace

Json ToJson(const InferenceSetting& setting, const InferenceRow& row) {
  const InferenceCase& test = row.result.test;
  const Statistics seconds = StatisticsOf(row.result.seconds);
  const std::vector<double> rates = row.result.tokens_per_s();
  const Statistics rate = StatisticsOf(rates);
  const double tokens = test.tokens_of_all();
  Json json;
  json.Set("build_commit", Of(setting, "commit"));
  json.Set("cpu_info", Of(setting, "cpu"));
  json.Set("backends", "CPU");
  json.Set("model_type", setting.model);
  json.Set("model_size", setting.model_bytes);
  json.Set("model_n_params", setting.parameters);
  json.Set("n_batch", setting.prefill_chunk);
  json.Set("n_threads", setting.threads);
  json.Set("type_k", setting.type_k);
  json.Set("type_v", setting.type_v);
  json.Set("n_prompt", test.prompt_tokens);
  json.Set("n_gen", test.tokens);
  json.Set("n_depth", test.depth);
  json.Set("test_time", Timestamp());
  json.Set("avg_ns", seconds.mean * 1e9);
  json.Set("stddev_ns", seconds.standard_deviation * 1e9);
  json.Set("avg_ts", rate.mean);
  json.Set("stddev_ts", rate.standard_deviation);
  json.Set("samples_ns", Numbers(row.result.seconds, 1e9));
  json.Set("samples_ts", Numbers(rates, 1));
  json.Set("test", test.Name());
  json.Set("batch", test.batch);
  json.Set("recipe", setting.recipe);
  json.Set("kernels", setting.kernels);
  json.Set("bytes_per_token", (row.result.work.weight_bytes + row.result.work.kv_bytes) / tokens);
  json.Set("operations_per_token", row.result.work.operations / tokens);
  SetLimits(json, setting, row, rate.mean);
  if (row.result.joules) {
    json.Set("joules_per_token", *row.result.joules / (tokens * static_cast<double>(row.result.seconds.size())));
  } else {
    SetUnavailable(json, "joules_per_token", row.result.joules_reason);
  }
  json.Set("kv_bytes", setting.kv_bytes);
  json.Set("peak_resident_bytes", setting.peak_resident_bytes);
  SetPeer(json, row, rates);
  return json;
}

std::string ToCsv(const std::vector<Json>& rows) {
  std::vector<std::string> keys;  // of all rows, in order of appearance
  for (const Json& row : rows) {
    for (const auto& [key, value] : *row.as_object()) {
      if (std::find(keys.begin(), keys.end(), key) == keys.end()) keys.push_back(key);
    }
  }
  std::string text;
  for (size_t i = 0; i < keys.size(); ++i) text += (i ? "," : "") + keys[i];
  text += '\n';
  for (const Json& row : rows) {
    for (size_t i = 0; i < keys.size(); ++i) {
      const Json* value = row.Find(keys[i]);
      text += (i ? "," : "") + (value != nullptr ? CsvValue(*value) : "");
    }
    text += '\n';
  }
  return text;
}

std::string ToMarkdown(const std::vector<Json>& rows) {
  const bool peer = std::any_of(rows.begin(), rows.end(), [](const Json& row) { return Has(row, "ratio"); });
  std::string text = "| model | recipe | threads | batch | test | tokens/s | share of limit | bytes a token |";
  text += peer ? " peer | ratio (lowest to highest) |\n" : "\n";
  text += peer ? "|---|---|---|---|---|---|---|---|---|---|\n" : "|---|---|---|---|---|---|---|---|\n";
  for (const Json& row : rows) {
    const std::string share =
        Has(row, "share_of_limit")
            ? fmt::format("{:.0f} % of {}", 100 * NumberOf(row, "share_of_limit"), TextOf(row, "bound"))
            : "–";
    text += fmt::format("| {} | {} | {:.0f} | {:.0f} | {} | {:.2f} ± {:.2f} | {} | {} |", TextOf(row, "model_type"),
                        TextOf(row, "recipe"), NumberOf(row, "n_threads"), NumberOf(row, "batch"), TextOf(row, "test"),
                        NumberOf(row, "avg_ts"), NumberOf(row, "stddev_ts"), share,
                        FormatBytes(static_cast<int64_t>(NumberOf(row, "bytes_per_token"))));
    if (peer && Has(row, "ratio")) {
      text += fmt::format(" {:.2f} ± {:.2f} | {:.2f} ({:.2f} to {:.2f}) |", NumberOf(row, "peer_avg_ts"),
                          NumberOf(row, "peer_stddev_ts"), NumberOf(row, "ratio"), NumberOf(row, "ratio_low"),
                          NumberOf(row, "ratio_high"));
    } else if (peer) {
      text += " – | – |";
    }
    text += '\n';
  }
  return text;
}

}  // namespace lodestone
