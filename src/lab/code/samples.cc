#include "lab/code/samples.h"

#include <fmt/format.h>

#include <algorithm>

#include "engine/engine.h"
#include "plan/placement.h"

namespace lodestone {
namespace {

// More samples than this of one problem would have the random numbers of the next.
constexpr uint64_t kSamplesPerProblem = uint64_t{1} << 32;

}  // namespace

Result<std::vector<std::vector<int32_t>>> EncodeProblems(const Model& model, std::span<const CodeProblem> problems) {
  std::vector<std::vector<int32_t>> prompts;
  for (const CodeProblem& problem : problems) {
    Result<std::vector<int32_t>> ids = model.tokenizer->Encode(problem.prompt);
    if (!ids.ok()) {
      return Error{ids.error().code, fmt::format("the prompt of {}: {}", problem.task_id, ids.error().message)};
    }
    prompts.push_back(*std::move(ids));
  }
  return prompts;
}

int64_t PositionsFor(const Model& model, std::span<const std::vector<int32_t>> prompts, int64_t max_tokens) {
  size_t longest = 0;
  for (const auto& prompt : prompts) longest = std::max(longest, prompt.size());
  return std::min(model.config.max_positions, static_cast<int64_t>(longest) + max_tokens);
}

Status DrawSamples(Appliance& appliance, const Model& model, std::span<const std::vector<int32_t>> prompts,
                   std::vector<CodeSample> wanted, const SampleOptions& options,
                   const std::function<Status(const CodeSample&, std::string_view finish)>& done) {
  const int64_t pages = options.users * PagesPerUser(PositionsFor(model, prompts, options.max_tokens));
  Engine engine(appliance, model.tokenizer,
                {.prefill_chunk = options.prefill_chunk,
                 .pages = static_cast<int>(pages),
                 .max_positions = model.config.max_positions,
                 .vocab = model.config.vocab,
                 .max_users = options.users});
  Status failure;
  int waiting = 0;
  const auto add = [&](CodeSample& sample) -> Status {
    const std::vector<int32_t>& prompt = prompts[sample.problem];
    const int64_t room = model.config.max_positions - static_cast<int64_t>(prompt.size());
    if (room < 1 || prompt.empty()) return done(sample, prompt.empty() ? "prompt empty" : "prompt too long");
    Request request;
    request.prompt = prompt;
    request.max_tokens = std::min(room, options.max_tokens);
    request.sampling = options.sampling;
    request.sampling_key = sample.problem * kSamplesPerProblem + static_cast<uint64_t>(sample.sample);
    request.eos_ids = model.config.eos_ids;
    request.stop = CodeStops();
    ++waiting;
    const auto sink = [&sample, &done, &failure, &waiting](const TokenEvent& event) {
      sample.completion += event.text;
      if (event.finish == FinishReason::kNone) return;
      --waiting;
      if (!failure.ok()) return;
      failure = event.finish == FinishReason::kError ? Invalid(event.error) : done(sample, ToString(event.finish));
    };
    return engine.Add(std::move(request), sink).status();
  };
  for (size_t next = 0; failure.ok();) {
    // A few wait, so that a place that becomes free is taken at once.
    while (failure.ok() && next < wanted.size() && waiting < 2 * options.users) failure = add(wanted[next++]);
    if (!failure.ok() || waiting == 0) break;
    const Result<bool> stepped = engine.Step();
    if (!stepped.ok()) return stepped.error();
  }
  return failure;
}

}  // namespace lodestone
