// Figures that others published, read from catalog/published/, and the workload that each belongs to.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/status.h"
#include "report/run_record.h"

namespace lodestone {

struct PublishedRun {
  std::string name, title, source;
  std::string model, recipe, appliance;  // the recipe without suffixes
  int users = 0, micro_batches = 0;
  int64_t prompt_tokens = 0, output_tokens = 0;  // a user
  std::vector<PublishedFigure> figures;          // their source is "quoted" or "derived: …" with the document
};

// Refused with file and line: unknown keys, values out of range, a kind other than quoted and derived.
Result<PublishedRun> ParsePublishedRun(const Json& toml, const std::string& file);
Result<std::vector<PublishedRun>> CatalogPublishedRuns();

// The published run of the same workload on the same appliance, if there is one. Suffixes of the recipe are ignored: a
// scale mode changes neither the formats nor, to first order, the time.
Result<std::optional<PublishedRun>> PublishedRunOf(const Workload& workload, const std::string& appliance);

}  // namespace lodestone
