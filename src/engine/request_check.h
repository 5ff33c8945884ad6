// What Engine::Add refuses, and why.
#pragma once

#include "base/status.h"
#include "engine/engine.h"

namespace lodestone {

// `computes`: the engine's cards make tokens, so the prompt's ids count. The options are checked with the first
// request.
Status CheckRequest(const Request& request, const EngineOptions& options, bool computes, bool has_tokenizer);

}  // namespace lodestone
