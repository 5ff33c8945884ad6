#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <tuple>

#include "base/units.h"
#include "cli/estimate.h"
#include "cli/layout.h"
#include "cli/version.h"

namespace lodestone::cli {
namespace {

std::string Shown(const std::optional<Range>& range, double scale = 1) {
  return range ? FormatNumber(range->typical * scale) : "–";
}

std::string MemoryOf(const Ledger& ledger) {
  return fmt::format("{} of {}", FormatBytes(ledger.used()), FormatBytes(ledger.capacity));
}

// Several figures of one case, as sheets and repeated runs give them, are one line.
std::string RenderPublished(const std::vector<EstimateRow>& rows) {
  std::vector<std::vector<std::string>> cells{
      {"published", "hardware", "stack", "batch", "metric", "figures", "median", "low–high", "estimated", "error"}};
  size_t cautioned = 0;
  for (const EstimateRow& row : rows) {
    using Key = std::tuple<std::string, std::string, std::string, std::string>;  // source, stack, metric, unit
    std::map<Key, std::pair<std::vector<double>, Range>> cases;
    for (const PublishedBeside& beside : row.published) {
      const PublishedRow& published = *beside.row;
      if (!published.caution.empty()) {
        ++cautioned;
        continue;
      }
      auto& [values, estimated] = cases[{published.source, published.stack, published.metric, published.unit}];
      values.push_back(published.value);
      estimated = beside.estimated;
    }
    for (auto& [key, found] : cases) {
      auto& [values, estimated] = found;
      std::sort(values.begin(), values.end());
      const double median = values[values.size() / 2];
      const auto& [source, stack, metric, unit] = key;
      cells.push_back({source, row.hardware, stack.empty() ? "–" : stack, fmt::format("{}", row.batch),
                       fmt::format("{}, {}", metric, unit), fmt::format("{}", values.size()), FormatNumber(median),
                       Ends({values.front(), median, values.back()}), FormatNumber(estimated.typical),
                       fmt::format("{:+.1f} %", (estimated.typical / median - 1) * 100)});
    }
  }
  if (cells.size() == 1) return "";
  std::string text = "\nPublished figures of the same case, and the estimate of the same metric\n" + RenderTable(cells);
  if (cautioned > 0) {
    text += fmt::format("  Left out: {} with a caution ('lodestone published' shows it)\n",
                        Counted(static_cast<int64_t>(cautioned), "figure"));
  }
  return text;
}

}  // namespace

std::string Ends(const Range& range) {
  return range.low < range.high ? fmt::format("{}–{}", FormatNumber(range.low), FormatNumber(range.high)) : "";
}

std::string CsvField(const std::string& value) {
  if (value.find_first_of(",\"\n") == std::string::npos) return value;
  std::string escaped = "\"";
  for (const char c : value) escaped += c == '"' ? std::string("\"\"") : std::string(1, c);
  return escaped + "\"";
}

std::string RenderShares(const std::string& heading, const std::vector<OperatorShare>& shares) {
  double sum = 0;
  for (const OperatorShare& share : shares) sum += share.seconds;
  std::vector<std::vector<std::string>> rows{{"kernel", "runs", "time", "share", "bound by", "operations a byte"}};
  for (const OperatorShare& share : shares) {
    const bool point = share.bytes > 0 && share.operations > 0;
    rows.push_back(
        {share.name, fmt::format("{}", share.count), FormatSeconds(share.seconds),
         fmt::format("{:.1f} %", share.seconds / sum * 100), std::string(ToString(share.bound)),
         point ? FormatNumber(static_cast<double>(share.operations) / static_cast<double>(share.bytes)) : "–"});
  }
  return fmt::format("\n{}, {}\n{}", heading, FormatSeconds(sum), RenderTable(rows));
}

std::string RenderEstimates(const std::vector<EstimateRow>& rows) {
  std::vector<std::vector<std::string>> cells{{"hardware", "batch", "held", "tokens/s", "low–high", "ideal", "a user",
                                               "a device", "TTFT", "TPOT", "tokens/J", "memory a device"}};
  std::string reasons;
  for (const EstimateRow& row : rows) {
    if (!row.run) {
      cells.push_back({row.hardware, fmt::format("{}", row.batch), "–", "–", "", "–", "–", "–", "–", "–", "–", "–"});
      const std::string reason =
          Wrap(fmt::format("  {}, batch {}: {}", row.hardware, row.batch, row.reason), kWidth, 4) + "\n";
      reasons += reason;
      continue;
    }
    const InferenceEstimate& e = row.run->estimate;
    cells.push_back({row.hardware, fmt::format("{}", row.batch), fmt::format("{}", e.concurrent),
                     Shown(e.output_tokens_per_s), Ends(e.output_tokens_per_s),
                     row.ideal ? Shown(row.ideal->output_tokens_per_s) : "–", Shown(e.output_tokens_per_s_per_user),
                     Shown(e.output_tokens_per_s_per_device), FormatSeconds(e.ttft_s.typical),
                     e.tpot_s ? FormatSeconds(e.tpot_s->typical) : "–", Shown(e.output_tokens_per_joule),
                     MemoryOf(e.ledger)});
  }
  return RenderTable(cells) + reasons + RenderPublished(rows);
}

std::string RenderExplanation(const EstimatedRun& run, const std::vector<WhatIf>& changes) {
  const InferenceEstimate& estimate = run.estimate;
  std::string text =
      RenderShares(fmt::format("{}, batch {}: one pass over prompts", run.deployment.machine.name, run.load.batch),
                   estimate.prefill);
  if (!estimate.decode.empty()) text += RenderShares("One decoding step in the middle of the output", estimate.decode);
  std::vector<std::vector<std::string>> rows{{"what would change", "prompts", "decoding"}};
  for (const WhatIf& change : changes) {
    rows.push_back({change.change, fmt::format("× {:.2f}", change.prefill), fmt::format("× {:.2f}", change.decode)});
  }
  text += "\nTime of each with one thing changed\n" + RenderTable(rows);
  const std::vector<Assumption> assumptions = AssumptionsOf(run.deployment);
  if (assumptions.empty()) return text;
  text += "\nWhat no source gives, and these figures rest on\n";
  for (const Assumption& assumption : assumptions) {
    text +=
        Wrap(fmt::format("  {} = {}, {}", assumption.name, PlainNumber(assumption.value), assumption.note), kWidth, 4) +
        "\n";
  }
  return text;
}

std::string EstimatesCsv(const std::vector<EstimateRow>& rows) {
  std::string text = "hardware,batch,level,measure,value,low,high,unit,provenance,reason\n";
  const auto number = [](const std::optional<double>& value) {
    return value ? fmt::format("{}", *value) : std::string();
  };
  for (const EstimateRow& row : rows) {
    if (!row.run) {
      text += fmt::format("{},{},,,,,,,,{}\n", CsvField(row.hardware), row.batch, CsvField(row.reason));
      continue;
    }
    const auto add = [&](const EstimatedRun& run) {
      for (const Measure& measure : RecordOf(run).measures) {
        text += fmt::format("{},{},{},{},{},{},{},{},{},{}\n", CsvField(row.hardware), row.batch,
                            ToString(run.estimate.level), measure.name, number(measure.value), number(measure.low),
                            number(measure.high), CsvField(measure.unit), ToString(measure.provenance),
                            CsvField(measure.reason));
      }
    };
    add(*row.run);
    if (!row.ideal) continue;
    EstimatedRun ideal = *row.run;
    ideal.estimate = *row.ideal;
    add(ideal);
  }
  return text;
}

Json ToJson(const std::vector<OperatorShare>& shares) {
  Json::Array kernels;
  for (const OperatorShare& share : shares) {
    Json kernel;
    kernel.Set("name", share.name).Set("runs", share.count).Set("seconds", share.seconds);
    kernel.Set("bound", ToString(share.bound)).Set("operations", share.operations).Set("bytes", share.bytes);
    kernels.push_back(std::move(kernel));
  }
  return Json(std::move(kernels));
}

Json ToJson(const EstimateRow& row) {
  Json json;
  if (!row.run) {
    json.Set("hardware", row.hardware).Set("batch", row.batch).Set("reason", row.reason);
    return json;
  }
  RunRecord record = RecordOf(*row.run);
  record.environment.insert(record.environment.begin(), {"version", Version()});
  json = lodestone::ToJson(record);
  if (row.ideal) {
    EstimatedRun ideal = *row.run;
    ideal.estimate = *row.ideal;
    Json measures;
    for (const Measure& measure : RecordOf(ideal).measures) measures.Set(measure.name, lodestone::ToJson(measure));
    json.Set("ideal", std::move(measures));
  }
  const Ledger& ledger = row.run->estimate.ledger;
  Json memory;
  memory.Set("weight_codes_bytes", ledger.weight_codes).Set("weight_scales_bytes", ledger.weight_scales);
  memory.Set("norms_biases_bytes", ledger.norms_biases).Set("kv_codes_bytes", ledger.kv_codes);
  memory.Set("kv_scales_bytes", ledger.kv_scales).Set("buffers_bytes", ledger.buffers);
  memory.Set("capacity_bytes", ledger.capacity);
  json.Set("memory", std::move(memory));
  json.Set("prefill_kernels", ToJson(row.run->estimate.prefill))
      .Set("decode_kernels", ToJson(row.run->estimate.decode));
  Json::Array published;
  for (const PublishedBeside& beside : row.published) {
    Json entry;
    entry.Set("source", beside.row->source).Set("place", beside.row->place).Set("stack", beside.row->stack);
    entry.Set("metric", beside.row->metric).Set("value", beside.row->value).Set("unit", beside.row->unit);
    entry.Set("caution", beside.row->caution).Set("estimated", beside.estimated.typical);
    entry.Set("low", beside.estimated.low).Set("high", beside.estimated.high);
    published.push_back(std::move(entry));
  }
  json.Set("published_rows", std::move(published));
  return json;
}

}  // namespace lodestone::cli
