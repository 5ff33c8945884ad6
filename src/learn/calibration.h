// Step sizes for static recipes from a run over text: the largest magnitude that each quantiser meets, over its largest
// code.
//
// A checkpoint trained with LSQ brings its own step sizes; this serves the others. It is the plainest calibration there
// is: outliers widen the steps, so at 4 bits it costs quality that training would keep.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "base/status.h"
#include "host/thread_pool.h"
#include "model/config.h"
#include "model/open_model.h"
#include "model/recipe.h"
#include "model/weight_source.h"

namespace lodestone {

// True if some quantiser of the recipe is static.
bool NeedsStepSizes(const Recipe& recipe);

// The text that is used where the user gives none.
std::string_view DefaultCalibrationText();

// A source that answers for step sizes from a run of the whole model over `tokens` (ids, one sequence, cut to the
// model's positions and to 512) and passes everything else on to `base`, which it keeps.
Result<std::unique_ptr<WeightSource>> Calibrate(const ModelConfig& config, const Recipe& recipe,
                                                std::unique_ptr<WeightSource> base, std::span<const int32_t> tokens,
                                                ThreadPool& threads);

// Gives `model` the step sizes that a static recipe needs, by calibration on the built-in text where its own weights
// have none. Returns how they came about, for the record; empty for a dynamic recipe.
Result<std::string> AddStepSizes(Model& model, const Recipe& recipe, ThreadPool& threads);

}  // namespace lodestone
