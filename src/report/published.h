// Figures that others published, read from catalog/published/, and the workload that each belongs to.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "base/status.h"
#include "report/run_record.h"

namespace lodestone {

// How a published figure is known.
enum class FigureKind {
  kQuoted,     // the document prints it
  kDerived,    // arithmetic on printed values, which the note spells out
  kElsewhere,  // another public source gives it
};
const char* ToString(FigureKind kind);  // "quoted", "derived", "elsewhere"
std::optional<FigureKind> ParseFigureKind(std::string_view text);

struct PublishedCell {
  std::string name;  // of the measure, or "users", "cards", "power_w_per_card", "transistors_per_card"
  double value = 0;
  FigureKind kind = FigureKind::kQuoted;
  std::string note;
};

// "The run is `value` times better by this measure", as the document prints it: rounded to a decimal. Better is lower
// for latency, higher for the others.
struct PublishedRatio {
  std::string measure;
  double value = 0;
};

// Another machine on the same workload, which the document compares with the run.
struct PublishedPoint {
  std::string name, system, meaning;
  std::string machine, stack, recipe;  // of the catalogue; empty: not said
  std::vector<PublishedCell> cells;
  std::vector<PublishedRatio> ratios;
};

// "L4", "4 × L4".
std::string SystemOf(const PublishedPoint& point);

struct PublishedRun {
  std::string name, title, source;
  std::string evidence;  // what it says of a simulation that it agrees: what is fitted on this run, what is predicted
  std::string model, recipe, appliance;  // the recipe without suffixes
  int users = 0, micro_batches = 0;
  int64_t prompt_tokens = 0, output_tokens = 0;  // a user
  std::vector<PublishedCell> cells;
  std::vector<PublishedFigure> figures;  // the same, as run records hold them: the source is "quoted", "derived: …"
  std::vector<PublishedPoint> points;    // none where the document compares with nothing
  std::string points_note;               // how the points' cells were found
};

// The value of that name; none where there is no such cell.
const PublishedCell* Find(const std::vector<PublishedCell>& cells, std::string_view name);

// Refused with file and line: unknown keys, values out of range, unknown kinds, a figure given twice.
Result<PublishedRun> ParsePublishedRun(const Json& toml, const std::string& file);
// Files of another kind, which say so, are passed over.
Result<std::vector<PublishedRun>> CatalogPublishedRuns();

// The published run of the same workload on the same appliance, if there is one. Suffixes of the recipe are ignored: a
// scale mode changes neither the formats nor, to first order, the time.
Result<std::optional<PublishedRun>> PublishedRunOf(const Workload& workload, const std::string& appliance);

}  // namespace lodestone
