// A small workload on the catalogue's cards, for the tests of this folder.
#pragma once

#include "lab/simulation.h"
#include "model/open_model.h"

namespace lodestone::testing {

// nano-14l in w4a4 on northpole-16.
inline SimulationOptions SmallSimulation() {
  SimulationOptions options;
  options.config = *LoadModelConfig("nano-14l");
  options.recipe = *ParseRecipe("w4a4");
  options.spec = *LoadAppliance("northpole-16");
  options.users = 6;
  options.micro_batches = 4;
  options.prefill_chunk = 32;
  options.prompt_tokens = 40;
  options.output_tokens = 10;
  return options;
}

}  // namespace lodestone::testing
