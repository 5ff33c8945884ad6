#include "engine/request_check.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <string_view>

#include "base/quote.h"
#include "base/utf8.h"
#include "plan/placement.h"

namespace lodestone {
namespace {

// Text is shown in whole characters; a stop text that begins inside one could cut it.
bool IsUtf8(std::string_view text) {
  while (const size_t length = Utf8CharacterLength(text)) text.remove_prefix(length);
  return text.empty();
}

Status CheckOptions(const EngineOptions& options) {
  if (options.micro_batches < 1)
    return Invalid(fmt::format("{} micro-batches, expected at least 1", options.micro_batches));
  if (options.prefill_chunk < 1)
    return Invalid(fmt::format("a prefill chunk of {} tokens, expected at least 1", options.prefill_chunk));
  if (options.max_users < 1) return Invalid(fmt::format("{} users at most, expected at least 1", options.max_users));
  return {};
}

}  // namespace

Status CheckRequest(const Request& request, const EngineOptions& options, bool computes, bool has_tokenizer) {
  LODESTONE_RETURN_IF_ERROR(CheckOptions(options));
  LODESTONE_RETURN_IF_ERROR(request.sampling.Validate());
  if (request.prompt.empty()) return Invalid("the prompt is empty: at least one token is needed to start from");
  if (request.max_tokens < 1)
    return Invalid(fmt::format("{} tokens to generate, expected at least 1", request.max_tokens));
  const int64_t prompt = static_cast<int64_t>(request.prompt.size());
  const int64_t limit = std::min<int64_t>(options.max_positions, std::numeric_limits<int32_t>::max());
  if (prompt > limit || request.max_tokens > limit - prompt) {
    return Infeasible(fmt::format("a prompt of {} tokens and {} to generate exceed the {} positions of the model",
                                  prompt, request.max_tokens, limit));
  }
  const int64_t needed = PagesPerUser(prompt + request.max_tokens);
  if (needed > options.pages) {
    return Infeasible(fmt::format("a prompt of {} tokens and {} to generate need {} KV pages, the store has {}", prompt,
                                  request.max_tokens, needed, options.pages));
  }
  for (const std::string& stop : request.stop) {
    if (stop.empty()) return Invalid("a stop text is empty");
    if (!IsUtf8(stop)) return Invalid(fmt::format("the stop text {} is not UTF-8", Quoted(stop)));
    if (!has_tokenizer) return Invalid("stop texts need a tokenizer, this engine has none");
  }
  const int most_choices = std::min(options.max_users, kMostChoices);
  if (request.n < 1 || request.n > most_choices) {
    return Invalid(fmt::format("{} choices, expected 1 to {}", request.n, most_choices));
  }
  if (request.n > 1 && options.reserve_pages) return Unsupported("several choices need KV pages that are not reserved");
  if (request.logprobs < -1 || request.logprobs > options.vocab) {
    return Invalid(
        fmt::format("logprobs of {} tokens, expected 0 to {}, or -1 for none", request.logprobs, options.vocab));
  }
  for (const auto& [id, bias] : request.sampling.logit_bias) {
    if (id >= options.vocab) {
      return Invalid(fmt::format("the logit bias names token {}, expected 0 to {}", id, options.vocab - 1));
    }
  }
  if (!computes) return {};
  for (size_t i = 0; i < request.prompt.size(); ++i) {
    const int32_t id = request.prompt[i];
    if (id >= 0 && id < options.vocab) continue;
    return Invalid(fmt::format("prompt token {} has id {}, expected 0 to {}", i, id, options.vocab - 1));
  }
  return {};
}

}  // namespace lodestone
