#include "appliance/steps.h"

#include <fmt/format.h>

namespace lodestone {

Result<std::vector<ChainStep>> StepsOf(const Placement& placement) {
  std::vector<ChainStep> steps;
  const int stages = static_cast<int>(placement.stages.size());
  if (stages == 0) return Invalid("a placement without stages cannot be opened as an appliance");
  for (int i = 0; i < stages;) {
    const Stage& first = placement.stages[static_cast<size_t>(i)].stage;
    if (first.of < 1)
      return Invalid(fmt::format("stage {} ('{}') is a rank of {}, expected at least 1", i, first.label, first.of));
    for (int rank = 0; rank < first.of; ++rank) {
      if (i + rank >= stages) {
        return Invalid(fmt::format("stage '{}' is split over {} cards, but the placement ends after {} of them",
                                   first.label, first.of, rank));
      }
      const Stage& stage = placement.stages[static_cast<size_t>(i + rank)].stage;
      if (stage.rank != rank || stage.of != first.of) {
        return Invalid(fmt::format("stage {} ('{}') is rank {} of {}, expected rank {} of {}", i + rank, stage.label,
                                   stage.rank, stage.of, rank, first.of));
      }
    }
    steps.push_back({i, first.of});
    i += first.of;
  }
  return steps;
}

}  // namespace lodestone
