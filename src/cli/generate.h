// Tokens for a batch of users: what `lodestone generate` does, also used by the demo.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "appliance/machine.h"
#include "base/status.h"
#include "cli/run_options.h"
#include "engine/sampler.h"
#include "lab/batch.h"
#include "model/open_model.h"
#include "model/recipe.h"
#include "report/run_record.h"

namespace lodestone::cli {

struct GenerateOptions {
  RunOptions run;
  std::vector<std::string> prompts;  // dealt round to the users
  int64_t tokens = 128;              // a user, at most
  Sampling sampling;
  std::vector<std::string> stop;
  bool ignore_eos = false;
};

// Everything that is checked before the first weight is packed.
struct Generation {
  Model model;
  Recipe recipe;
  std::optional<ApplianceSpec> spec;  // none: this host
  std::vector<std::string> prompts;   // one a user
  std::vector<Request> requests;      // one a user
  int64_t longest_prompt = 0;         // tokens
  BatchOptions batch;
};
Result<Generation> PrepareGeneration(const GenerateOptions& options);

// Hears every token with the index of its user.
using TokenSink = std::function<void(size_t user, const TokenEvent& event)>;

// Places, loads and runs; the record holds every user's tokens and text.
Result<RunRecord> RunGeneration(Generation generation, const GenerateOptions& options, const TokenSink& on_token);

}  // namespace lodestone::cli
