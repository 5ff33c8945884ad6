// Completions of programming problems, drawn from a model: many samples generate together, and the samples of one
// problem share its prompt.
#pragma once

#include <functional>
#include <span>
#include <string_view>
#include <vector>

#include "appliance/appliance.h"
#include "base/status.h"
#include "engine/sampler.h"
#include "lab/code/humaneval.h"
#include "model/open_model.h"

namespace lodestone {

struct SampleOptions {
  Sampling sampling;
  int64_t max_tokens = 512;
  int users = 32;  // that generate together at most
  int prefill_chunk = 128;
};

// The prompts' ids, in the order of the problems.
Result<std::vector<std::vector<int32_t>>> EncodeProblems(const Model& model, std::span<const CodeProblem> problems);

// Positions that the longest prompt and its completion need, at most those of the model.
int64_t PositionsFor(const Model& model, std::span<const std::vector<int32_t>> prompts, int64_t max_tokens);

// Draws each of `wanted` and gives it to `done` with the reason of its end, as they come. A sample's text depends on
// the seed, its problem and its number alone, not on which others are wanted. A prompt that leaves no position for a
// token gives an empty completion, "prompt too long". The appliance is configured for `users` with those positions
// each.
Status DrawSamples(Appliance& appliance, const Model& model, std::span<const std::vector<int32_t>> prompts,
                   std::vector<CodeSample> wanted, const SampleOptions& options,
                   const std::function<Status(const CodeSample&, std::string_view finish)>& done);

}  // namespace lodestone
