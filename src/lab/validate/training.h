// Published training rates beside their estimates.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "base/status.h"
#include "lab/validate/accuracy.h"
#include "report/published_rows.h"

namespace lodestone {

struct TrainingCheck {
  const PublishedRow* row = nullptr;
  Comparison comparison;
  std::string taken;   // what the row does not say: "batch 66, 2,048 tokens"
  std::string reason;  // why it may be far off, where that is known
};

struct TrainingChecks {
  std::vector<TrainingCheck> checks;  // in the order of the rows
  std::vector<std::string> refused;   // of the estimator: "cs-2 gpt-j-6b: …"
};

// Rows of training whose machine and shape the catalogue has, and whose setting is documented.
Result<TrainingChecks> CheckTraining(std::span<const PublishedRow> rows);

}  // namespace lodestone
