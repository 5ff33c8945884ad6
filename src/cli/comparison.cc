#include "cli/comparison.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "base/units.h"
#include "report/run_record.h"

namespace lodestone::cli {
namespace {

// How a measure is written in a row of several figures: the unit once, beside the label.
struct Row {
  const char* name;
  const char* label;
  double factor;  // shown = value × factor
};
constexpr std::array<Row, 9> kRows{{
    {"prompt_time_s", "Prompt time, s", 1},
    {"token_gen_time_s", "Token generation time, s", 1},
    {"system_throughput_tokens_per_s", "System throughput, tokens/s", 1},
    {"throughput_tokens_per_s_per_card", "Throughput a card, tokens/s", 1},
    {"latency_s_per_token", "Latency, ms a token", 1e3},
    {"space_metric_tokens_per_s_per_transistor", "Space metric, tokens/s per 1e9 transistors", 1e9},
    {"energy_metric_tokens_per_j", "Energy metric, tokens/J", 1},
    {"ttft_s", "Time to first token, ms", 1e3},
    {"itl_s", "Time between tokens, ms", 1e3},
}};

std::optional<double> ValueOf(const std::vector<Measure>& measures, std::string_view name) {
  for (const Measure& measure : measures) {
    if (measure.name == name) return measure.value;
  }
  return std::nullopt;
}

std::optional<double> ValueOf(const PublishedRun& run, std::string_view name) {
  for (const PublishedFigure& figure : run.figures) {
    if (figure.name == name) return figure.value;
  }
  return std::nullopt;
}

std::string Show(std::optional<double> value, const Row& row) {
  return value ? FormatNumber(*value * row.factor) : "–";
}

std::string ShowError(double found, double published) {
  const double percent = std::round((found / published - 1) * 1000) / 10;
  return percent == 0 ? "0.0 %" : fmt::format("{:+.1f} %", percent);
}

}  // namespace

std::string RenderComparison(const std::optional<std::vector<Measure>>& calibrated, const std::vector<Measure>& ideal,
                             const std::optional<PublishedRun>& published) {
  std::vector<std::vector<std::string>> rows{{""}};
  if (calibrated) rows[0].push_back("calibrated");
  rows[0].push_back("ideal");
  if (published) rows[0].insert(rows[0].end(), {"published", "error"});
  for (const Row& row : kRows) {
    std::vector<std::string> cells{row.label};
    const std::optional<double> first = ValueOf(calibrated ? *calibrated : ideal, row.name);
    if (calibrated) cells.push_back(Show(first, row));
    cells.push_back(Show(ValueOf(ideal, row.name), row));
    if (published) {
      const std::optional<double> figure = ValueOf(*published, row.name);
      cells.push_back(Show(figure, row));
      cells.push_back(first && figure ? ShowError(*first, *figure) : "");
    }
    rows.push_back(std::move(cells));
  }
  return RenderTable(rows);
}

}  // namespace lodestone::cli
