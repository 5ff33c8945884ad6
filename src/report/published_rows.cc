#include "report/published_rows.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <optional>
#include <tuple>

#include "base/catalog.h"
#include "base/quote.h"
#include "report/csv.h"
#include "report/published_run_rows.h"

namespace lodestone {
namespace {

constexpr size_t kMaxRows = 1'000'000;
constexpr int64_t kMaxCount = 1'000'000'000;
constexpr std::array<std::string_view, 5> kPowerBases = {"", "measured", "limit", "typical", "mixed"};

// Where a column is stored: exactly one of the three members, or none for those that need more than a copy.
struct Column {
  std::string_view name;
  std::string PublishedRow::*text = nullptr;
  int PublishedRow::*count = nullptr;
  int64_t PublishedRow::*length = nullptr;
};

using R = PublishedRow;
constexpr std::array<Column, 22> kColumns = {{
    {"source", &R::source, nullptr, nullptr},
    {"place", &R::place, nullptr, nullptr},
    {"system", &R::system, nullptr, nullptr},
    {"device", &R::device, nullptr, nullptr},
    {"machine", &R::machine, nullptr, nullptr},
    {"devices", nullptr, &R::devices, nullptr},
    {"stack", &R::stack, nullptr, nullptr},
    {"parallelism", &R::parallelism, nullptr, nullptr},
    {"model", &R::model, nullptr, nullptr},
    {"shape", &R::shape, nullptr, nullptr},
    {"recipe", &R::recipe, nullptr, nullptr},
    {"method", &R::method, nullptr, nullptr},
    {"batch", nullptr, &R::batch, nullptr},
    {"prompt_tokens", nullptr, nullptr, &R::prompt_tokens},
    {"output_tokens", nullptr, nullptr, &R::output_tokens},
    {"metric", &R::metric, nullptr, nullptr},
    {"value", nullptr, nullptr, nullptr},
    {"unit", &R::unit, nullptr, nullptr},
    {"kind", nullptr, nullptr, nullptr},
    {"power_basis", &R::power_basis, nullptr, nullptr},
    {"caution", &R::caution, nullptr, nullptr},
    {"note", &R::note, nullptr, nullptr},
}};

const PublishedMetric* FindMetric(std::string_view name) {
  const auto metrics = PublishedMetrics();
  const auto found =
      std::find_if(metrics.begin(), metrics.end(), [&](const auto& metric) { return metric.name == name; });
  return found == metrics.end() ? nullptr : &*found;
}

template <typename T>
bool ParseWhole(std::string_view text, T& number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc() && end == text.data() + text.size();
}

// One file's rows: the header's columns, then record after record.
class RowsReader {
 public:
  RowsReader(std::string_view csv, const std::string& file) : csv_(csv, file), file_(file) {}

  Status AppendTo(std::vector<PublishedRow>& rows) {
    LODESTONE_RETURN_IF_ERROR(ReadHeader());
    while (true) {
      LODESTONE_ASSIGN_OR_RETURN(const bool more, csv_.Next(fields_));
      if (!more) return {};
      if (rows.size() == kMaxRows) return At(fmt::format("more than {} rows", kMaxRows));
      LODESTONE_RETURN_IF_ERROR(ReadRow(rows.emplace_back()));
    }
  }

 private:
  Error At(const std::string& message) const { return Invalid(fmt::format("{}:{}: {}", file_, csv_.line(), message)); }
  Error Expected(std::string_view column, std::string_view found, std::string_view expected) const {
    return At(fmt::format("column '{}': found {}, expected {}", column, Quoted(found), expected));
  }

  Status ReadHeader() {
    LODESTONE_ASSIGN_OR_RETURN(const bool any, csv_.Next(fields_));
    if (!any) return Invalid(fmt::format("{}: found nothing, expected a line that names the columns", file_));
    for (const std::string& name : fields_) {
      const auto found =
          std::find_if(kColumns.begin(), kColumns.end(), [&](const Column& c) { return c.name == name; });
      if (found == kColumns.end()) {
        std::vector<std::string_view> names;
        for (const Column& column : kColumns) names.push_back(column.name);
        return At(fmt::format("unknown column {}; known are {}", Quoted(name), fmt::join(names, ", ")));
      }
      if (HasColumn(name)) return At(fmt::format("column '{}' is named twice", name));
      columns_.push_back(&*found);
    }
    for (const std::string_view name : {"source", "system", "metric", "value"}) {
      if (!HasColumn(name)) return At(fmt::format("found no column '{}'", name));
    }
    return {};
  }

  bool HasColumn(std::string_view name) const {
    return std::any_of(columns_.begin(), columns_.end(), [&](const Column* column) { return column->name == name; });
  }

  Status Store(const Column& column, std::string& field, PublishedRow& row) {
    if (column.text) {
      row.*column.text = std::move(field);
    } else if (column.count || column.length) {
      if (field.empty()) return {};
      int64_t number = 0;
      if (!ParseWhole(field, number) || number < 0 || number > kMaxCount) {
        return Expected(column.name, field, fmt::format("a whole number from 0 to {}", kMaxCount));
      }
      if (column.count) row.*column.count = static_cast<int>(number);
      if (column.length) row.*column.length = number;
    } else if (column.name == "value") {
      if (!ParseWhole(field, row.value) || !(row.value > 0) || !std::isfinite(row.value)) {
        return Expected(column.name, field, "a positive number");
      }
    } else {
      const std::optional<FigureKind> kind = field.empty() ? FigureKind::kQuoted : ParseFigureKind(field);
      if (!kind) return Expected(column.name, field, "'quoted', 'derived' or 'elsewhere'");
      row.kind = *kind;
    }
    return {};
  }

  Status ReadRow(PublishedRow& row) {
    if (fields_.size() != columns_.size()) {
      return At(fmt::format("found {} fields, expected the {} of the first line", fields_.size(), columns_.size()));
    }
    for (size_t i = 0; i < columns_.size(); ++i) {
      LODESTONE_RETURN_IF_ERROR(Store(*columns_[i], fields_[i], row));
    }
    row.file = file_;
    row.line = csv_.line();
    if (row.source.empty()) return Expected("source", "", "a key of sources.toml");
    if (row.system.empty()) return Expected("system", "", "the document's name of the machine");
    const PublishedMetric* metric = FindMetric(row.metric);
    if (metric == nullptr) {
      std::vector<std::string_view> names;
      for (const PublishedMetric& known : PublishedMetrics()) names.push_back(known.name);
      return Expected("metric", row.metric, fmt::format("one of {}", fmt::join(names, ", ")));
    }
    if (row.unit.empty()) {
      row.unit = metric->units.front();
    } else if (std::find(metric->units.begin(), metric->units.end(), row.unit) == metric->units.end()) {
      return Expected("unit", row.unit, fmt::format("{} for {}", fmt::join(metric->units, " or "), row.metric));
    }
    if (std::find(kPowerBases.begin(), kPowerBases.end(), row.power_basis) == kPowerBases.end()) {
      return Expected("power_basis", row.power_basis, "measured, limit, typical, mixed or nothing");
    }
    return {};
  }

  CsvReader csv_;
  const std::string& file_;
  std::vector<const Column*> columns_;
  std::vector<std::string> fields_;
};

size_t LinesOf(std::string_view text) { return static_cast<size_t>(std::count(text.begin(), text.end(), '\n')); }

Result<std::vector<PublishedRow>> ReadCatalog() {
  std::vector<CatalogFile> files = CatalogFilesIn("published");
  std::erase_if(files, [](const CatalogFile& file) { return !file.path.ends_with(".csv"); });
  LODESTONE_ASSIGN_OR_RETURN(const std::vector<PublishedRun> runs, CatalogPublishedRuns());
  std::vector<PublishedRow> all;
  size_t lines = 0;
  for (const CatalogFile& file : files) lines += LinesOf(file.contents);
  all.reserve(lines + 100);  // the runs' rows
  for (const CatalogFile& file : files) {
    const std::string name = fmt::format("catalog/{}", file.path);
    LODESTONE_RETURN_IF_ERROR(RowsReader(file.contents, name).AppendTo(all));
  }
  for (const PublishedRun& run : runs) AppendRows(run, all);
  return all;
}

}  // namespace

std::span<const PublishedMetric> PublishedMetrics() {
  static const std::array<PublishedMetric, 15> kMetrics = {{
      {"output_throughput", {"tokens/s"}, "generated tokens over the time of the whole run, prompts included"},
      {"total_throughput", {"tokens/s"}, "prompt and generated tokens over the time of the whole run"},
      {"decode_throughput", {"tokens/s"}, "generated tokens over the time of generation alone"},
      {"prefill_throughput", {"tokens/s"}, "prompt tokens over the time of the prompts alone"},
      {"latency", {"s"}, "from the start of a batch to its last token"},
      {"ttft", {"s"}, "from the start of a batch to its first tokens"},
      {"tpot", {"s"}, "between two tokens of one sequence, without the first"},
      {"power", {"W"}, "mean power of the run on the row before"},
      {"energy_metric", {"tokens/J"}, "generated tokens per joule"},
      {"space_metric", {"tokens/s/transistor"}, "output throughput of a device over its transistors"},
      {"training_throughput", {"samples/s", "tokens/s"}, "of the whole system"},
      {"compute_rate", {"TFLOP/s"}, "operations of one device, in matrix products or a training step"},
      {"link_rate", {"GB/s"}, "of a collective"},
      {"perplexity", {"1"}, "of the model on a text that the note names"},
      {"ratio", {"1"}, "of what the note names to the same of the machine that it names"},
  }};
  return kMetrics;
}

Result<std::vector<PublishedRow>> ParsePublishedRows(std::string_view csv, const std::string& file) {
  std::vector<PublishedRow> rows;
  LODESTONE_RETURN_IF_ERROR(RowsReader(csv, file).AppendTo(rows));
  return rows;
}

Result<std::span<const PublishedRow>> CatalogPublishedRows() {
  static const Result<std::vector<PublishedRow>> kRows = ReadCatalog();
  if (!kRows.ok()) return kRows.error();
  return std::span<const PublishedRow>(*kRows);
}

std::string PublishedCsv(std::span<const PublishedRow* const> rows) {
  std::string csv;
  for (const Column& column : kColumns) csv += fmt::format("{}{}", csv.empty() ? "" : ",", column.name);
  csv += '\n';
  for (const PublishedRow* row : rows) {
    bool first = true;
    for (const Column& column : kColumns) {
      if (!first) csv += ',';
      first = false;
      if (column.text) {
        csv += CsvField(row->*column.text);
      } else if (column.count) {
        csv += fmt::format("{}", row->*column.count);
      } else if (column.length) {
        csv += fmt::format("{}", row->*column.length);
      } else {
        csv += column.name == "value" ? fmt::format("{}", row->value) : ToString(row->kind);
      }
    }
    csv += '\n';
  }
  return csv;
}

bool SameRun(const PublishedRow& a, const PublishedRow& b) {
  const auto key = [](const PublishedRow& r) {
    return std::tie(r.source, r.system, r.machine, r.devices, r.stack, r.parallelism, r.model, r.recipe, r.method,
                    r.batch, r.prompt_tokens, r.output_tokens);
  };
  return key(a) == key(b);
}

const PublishedRow* PowerOf(std::span<const PublishedRow> rows, size_t i) {
  if (i + 1 >= rows.size() || rows[i + 1].metric != "power" || !SameRun(rows[i], rows[i + 1])) return nullptr;
  return &rows[i + 1];
}

}  // namespace lodestone
