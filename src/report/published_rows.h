// Everything that others published, one row a figure, in one schema: catalog/published/*.csv. docs/published.md
// describes the columns, the definitions of the metrics and the traps that cautions name.
//
// The first line of a file names its columns, in any order: `source`, `system`, `metric` and `value`, and those of the
// following that the file needs: `place`, `device`, `machine`, `devices`, `stack`, `parallelism`, `model`, `shape`,
// `recipe`, `method`, `batch`, `prompt_tokens`, `output_tokens`, `unit`, `kind`, `power_basis`, `caution`, `note`. An
// empty field is: nothing said; for `unit`, that of the metric; for `kind`, "quoted"; for `devices`, one.
//
// Rows of one run stand together: a row of metric "power" belongs to the row before it, whose run it repeats.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "report/published.h"
#include "report/published_sources.h"

namespace lodestone {

struct PublishedRow {
  std::string source;       // key of catalog/published/sources.toml: title, address, licence
  std::string place;        // table, figure, file, row of a sheet
  std::string system;       // the document's word: "Nvidia A100 GPU", "Polaris"
  std::string device;       // the document's word where it differs from the system: "A100"
  std::string machine;      // of the catalogue: "a100-40gb"; empty: it has none, or the document does not say
  int devices = 1;          // 0: not said
  std::string stack;        // "vllm", "tensorrt-llm", "llama.cpp", …; of the survey, the work
  std::string parallelism;  // "tp4", "pp2", "tp2 pp2", "ep4"; empty: tensor parallel over all devices, or not said
  std::string model;        // "meta-llama/Llama-2-7b-hf"
  std::string shape;        // of the catalogue: "llama-2-7b"
  std::string recipe;       // "bf16" (of f16 as well), "w4a16", "w8a16:kv8", …
  std::string method;       // as `estimate --with` takes it; empty: none
  int batch = 0;            // sequences at once; 0: not said
  int64_t prompt_tokens = 0, output_tokens = 0;  // a sequence; 0: not said. Training: prompt_tokens is the sequence
  std::string metric;                            // one of PublishedMetrics()
  double value = 0;                              // of all devices together
  std::string unit;
  FigureKind kind = FigureKind::kQuoted;
  std::string power_basis;  // of power and energy: "measured", "limit" (TDP), "typical", "mixed"; empty: not said
  std::string caution;      // why no fit should use it; empty: nothing is known against it
  std::string note;         // platform and family of the survey, and the like

  std::string file;  // "catalog/published/survey.csv", and the line in it; 0 for rows made from a TOML file
  int line = 0;
};

struct PublishedMetric {
  std::string_view name;
  std::vector<std::string_view> units;  // the first is meant where a row says none
  std::string_view meaning;
};
// "output_throughput", "total_throughput", "decode_throughput", …
std::span<const PublishedMetric> PublishedMetrics();

// Refused with file and line: a header without the four columns, with an unknown one or one twice; a row of another
// number of fields; unknown metrics, units, kinds or power bases; numbers out of range; values that are not positive
// and finite.
Result<std::vector<PublishedRow>> ParsePublishedRows(std::string_view csv, const std::string& file);
// All rows of the catalogue: the CSV files by name, then the figures of published runs
// (catalog/published/northpole-*.toml) and of the machines that they are compared with. Read once, when first asked
// for.
Result<std::span<const PublishedRow>> CatalogPublishedRows();

// The row of metric "power" that belongs to rows[i]; null where none was published.
const PublishedRow* PowerOf(std::span<const PublishedRow> rows, size_t i);
// All columns of the rows, as CSV that ParsePublishedRows reads.
std::string PublishedCsv(std::span<const PublishedRow* const> rows);
// Whether the two rows are figures of the same machine, software, model, load and method.
bool SameRun(const PublishedRow& a, const PublishedRow& b);

}  // namespace lodestone
