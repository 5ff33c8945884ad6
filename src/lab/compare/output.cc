// The rows of a comparison as text, CSV and JSON.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "base/units.h"
#include "lab/compare/compare.h"
#include "report/csv.h"
#include "report/run_record.h"
#include "report/text_width.h"

namespace lodestone {
namespace {

constexpr std::string_view kAbsent = "–";
constexpr size_t kWidth = 100;

std::string Show(const std::optional<ComparedFigure>& figure, double scale = 1) {
  return figure ? FormatNumber(figure->value * scale) : std::string(kAbsent);
}

std::string ShowRange(const std::optional<ComparedFigure>& figure) {
  if (!figure || !figure->low || !figure->high) return "";
  return fmt::format("{} – {}", FormatNumber(*figure->low), FormatNumber(*figure->high));
}

std::string ShowTime(const std::optional<ComparedFigure>& seconds) {
  return seconds ? FormatSeconds(seconds->value) : std::string(kAbsent);
}

// At most `columns` characters, with an ellipsis where cut.
std::string Shortened(const std::string& text, size_t columns) {
  if (TextWidth(text) <= columns) return text;
  size_t seen = 0, end = 0;
  for (; end < text.size(); ++end) {
    const bool begins = (static_cast<unsigned char>(text[end]) & 0xC0) != 0x80;
    if (begins && seen++ == columns - 1) break;
  }
  return text.substr(0, end) + "…";
}

// "m", "s", "e", "p".
std::string MarkOf(const ComparedRow& row) { return std::string(ToString(row.provenance).substr(0, 1)); }

std::string MemoryOf(const ComparedRow& row) {
  if (!row.memory) return std::string(kAbsent);
  return FormatBytes(row.memory->weights + row.memory->kv + row.memory->buffers);
}

// Texts below the table, each once, by number.
class Footnotes {
 public:
  std::string NumberOf(const std::string& text) {
    if (text.empty()) return "";
    const size_t index = static_cast<size_t>(std::find(texts_.begin(), texts_.end(), text) - texts_.begin());
    if (index == texts_.size()) texts_.push_back(text);
    return fmt::format("[{}]", index + 1);
  }
  std::string Text() const {
    std::string text;
    for (size_t i = 0; i < texts_.size(); ++i) {
      const std::string number = fmt::format("  [{}] ", i + 1);
      const std::string indent(number.size(), ' ');
      const std::vector<std::string> lines = WrapText(texts_[i], kWidth - number.size());
      for (size_t line = 0; line < lines.size(); ++line) text += (line == 0 ? number : indent) + lines[line] + "\n";
    }
    return text;
  }

 private:
  std::vector<std::string> texts_;
};

std::string Number(const std::optional<double>& value) { return value ? fmt::format("{}", *value) : ""; }

struct WordColumn {
  const char* name;
  std::string (*value)(const ComparedRow& row);
};
constexpr WordColumn kWords[] = {
    {"target", [](const ComparedRow& row) { return row.label; }},
    {"provenance", [](const ComparedRow& row) { return std::string(ToString(row.provenance)); }},
    {"status", [](const ComparedRow& row) { return std::string(row.ok() ? "ok" : "refused"); }},
    {"platform", [](const ComparedRow& row) { return row.platform; }},
    {"machine", [](const ComparedRow& row) { return row.machine; }},
    {"stack", [](const ComparedRow& row) { return row.stack; }},
    {"level", [](const ComparedRow& row) { return row.level; }},
    {"methods", [](const ComparedRow& row) { return row.methods; }},
    {"model", [](const ComparedRow& row) { return row.model; }},
    {"recipe", [](const ComparedRow& row) { return row.recipe; }}};
struct CountColumn {
  const char* name;
  int64_t (*value)(const ComparedRow& row);  // 0: not said
};
constexpr CountColumn kCounts[] = {{"devices", [](const ComparedRow& row) { return int64_t{row.devices}; }},
                                   {"batch", [](const ComparedRow& row) { return int64_t{row.batch}; }},
                                   {"prompt_tokens", [](const ComparedRow& row) { return row.prompt_tokens; }},
                                   {"output_tokens", [](const ComparedRow& row) { return row.output_tokens; }}};
constexpr WordColumn kRemarks[] = {{"power_basis", [](const ComparedRow& row) { return row.power_basis; }},
                                   {"source", [](const ComparedRow& row) { return row.source; }},
                                   {"note", [](const ComparedRow& row) { return row.note; }},
                                   {"reason", [](const ComparedRow& row) { return row.reason; }}};
struct ByteColumn {
  const char* name;
  int64_t ComparedMemory::*bytes;
};
constexpr ByteColumn kBytes[] = {{"weight_bytes", &ComparedMemory::weights},
                                 {"kv_bytes", &ComparedMemory::kv},
                                 {"buffer_bytes", &ComparedMemory::buffers},
                                 {"capacity_bytes", &ComparedMemory::capacity}};

Json OrNull(const std::string& text) { return text.empty() ? Json(nullptr) : Json(text); }

Json ToJson(const ComparedFigure& figure) {
  Json json;
  json.Set("value", figure.value);
  json.Set("low", figure.low ? Json(*figure.low) : Json(nullptr));
  json.Set("high", figure.high ? Json(*figure.high) : Json(nullptr));
  return json;
}

Json ToJson(const std::vector<StepPart>& parts) {
  Json::Array array;
  for (const StepPart& part : parts) {
    Json json;
    json.Set("name", part.name).Set("bound", part.bound).Set("seconds", part.seconds);
    json.Set("operations", part.operations).Set("bytes", part.bytes);
    array.push_back(std::move(json));
  }
  return array;
}

Json ToJson(const ComparedRow& row) {
  Json json;
  for (const WordColumn& column : kWords) json.Set(column.name, OrNull(column.value(row)));
  for (const CountColumn& column : kCounts) {
    const int64_t count = column.value(row);
    json.Set(column.name, count > 0 ? Json(count) : Json(nullptr));
  }
  for (const CompareMetric& metric : CompareMetrics()) {
    const std::optional<ComparedFigure>& figure = row.*metric.figure;
    json.Set(std::string(metric.name), figure ? ToJson(*figure) : Json(nullptr));
  }
  if (row.memory) {
    for (const ByteColumn& column : kBytes) json.Set(column.name, *row.memory.*column.bytes);
  }
  for (const WordColumn& column : kRemarks) json.Set(column.name, OrNull(column.value(row)));
  if (!row.prefill.empty()) json.Set("prefill_step", ToJson(row.prefill));
  if (!row.decode.empty()) json.Set("decode_step", ToJson(row.decode));
  return json;
}

}  // namespace

std::string CompareTable(const ComparisonResult& result) {
  constexpr size_t kMostTarget = 36;  // columns
  std::vector<std::vector<std::string>> table{{"target", "", "batch", "tokens/s", "low – high", "/device", "/user",
                                               "TTFT", "TPOT", "W", "basis", "tokens/J", "memory", ""}};
  Footnotes notes;
  for (const ComparedRow& row : result.rows) {
    const std::string batch = row.batch > 0 ? fmt::format("{}", row.batch) : std::string(kAbsent);
    table.push_back({Shortened(row.label, kMostTarget), MarkOf(row), batch, Show(row.system), ShowRange(row.system),
                     Show(row.device), Show(row.user), ShowTime(row.ttft), ShowTime(row.tpot), Show(row.watts),
                     row.watts ? row.power_basis : "", Show(row.energy), MemoryOf(row),
                     notes.NumberOf(row.ok() ? row.note : row.reason)});
  }
  return RenderTable(table) +
         "\n  m measured on this host, s simulated by the event model, e estimated by a roofline, p published.\n"
         "  Tokens are generated ones. /user is 1 / TPOT, or throughput / batch where no TPOT is known. W is of all\n"
         "  devices together; memory is of the fullest device.\n" +
         notes.Text();
}

std::string CompareCsv(const ComparisonResult& result) {
  std::string text;
  for (const WordColumn& column : kWords) text += fmt::format("{},", column.name);
  for (const CountColumn& column : kCounts) text += fmt::format("{},", column.name);
  for (const CompareMetric& metric : CompareMetrics()) text += fmt::format("{0},{0}_low,{0}_high,", metric.name);
  for (const ByteColumn& column : kBytes) text += fmt::format("{},", column.name);
  text += "power_basis,source,note,reason\n";
  for (const ComparedRow& row : result.rows) {
    for (const WordColumn& column : kWords) text += CsvField(column.value(row)) + ',';
    for (const CountColumn& column : kCounts) {
      const int64_t count = column.value(row);
      text += count > 0 ? fmt::format("{},", count) : ",";
    }
    for (const CompareMetric& metric : CompareMetrics()) {
      const std::optional<ComparedFigure>& figure = row.*metric.figure;
      text += figure ? fmt::format("{},{},{},", figure->value, Number(figure->low), Number(figure->high)) : ",,,";
    }
    for (const ByteColumn& column : kBytes) {
      text += row.memory ? fmt::format("{},", *row.memory.*column.bytes) : ",";
    }
    std::vector<std::string> remarks;
    for (const WordColumn& column : kRemarks) remarks.push_back(CsvField(column.value(row)));
    text += fmt::format("{}\n", fmt::join(remarks, ","));
  }
  return text;
}

Json ToJson(const ComparisonResult& result) {
  const Comparison& comparison = result.comparison;
  Json json, workload;
  json.Set("name", comparison.name).Set("description", OrNull(comparison.description));
  Json::Array batches;
  for (const int batch : comparison.workload.batches) batches.emplace_back(batch);
  workload.Set("model", comparison.workload.model).Set("recipe", comparison.workload.recipe);
  workload.Set("batch", std::move(batches)).Set("prompt_tokens", comparison.workload.prompt_tokens);
  workload.Set("output_tokens", comparison.workload.output_tokens);
  json.Set("workload", std::move(workload));
  Json::Array rows;
  for (const ComparedRow& row : result.rows) rows.push_back(ToJson(row));
  json.Set("rows", std::move(rows));
  return json;
}

}  // namespace lodestone
