#include "lab/batch.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "plan/placement.h"

namespace lodestone {
namespace {

// Means over users of the time to the first token, and over gaps of the time between tokens.
void AddLatencies(const std::vector<RequestTimes>& times, Time start, BatchRun* run) {
  double first_sum = 0, gap_sum = 0;
  int64_t gaps = 0;
  for (const RequestTimes& user : times) {
    first_sum += (user.first_token - start).seconds();
    if (user.token_times.size() < 2) continue;
    gap_sum += (user.token_times.back() - user.token_times.front()).seconds();
    gaps += static_cast<int64_t>(user.token_times.size()) - 1;
  }
  run->ttft_s = first_sum / static_cast<double>(times.size());
  if (gaps > 0) run->itl_s = gap_sum / static_cast<double>(gaps);
}

}  // namespace

Result<BatchResult> RunBatch(Appliance& appliance, Timeline& timeline, const ModelConfig& config,
                             std::shared_ptr<const Tokenizer> tokenizer, const BatchOptions& options,
                             std::vector<Request> requests,
                             const std::function<void(size_t user, const TokenEvent&)>& on_token) {
  const bool computes = appliance.computes();
  const int64_t pages = options.users * PagesPerUser(options.context);
  if (pages > std::numeric_limits<int>::max()) {
    return Infeasible(fmt::format("{} users with {} positions each need {} KV pages; at most {} can be numbered",
                                  options.users, options.context, pages, std::numeric_limits<int>::max()));
  }
  BatchResult result;
  if (computes) result.outputs.resize(requests.size());
  // What is measured is the work of all users: no prompt is taken from another, nobody begins again.
  Engine engine(appliance, std::move(tokenizer),
                {.micro_batches = options.micro_batches,
                 .prefill_chunk = options.prefill_chunk,
                 .pages = static_cast<int>(pages),
                 .max_positions = config.max_positions,
                 .vocab = config.vocab,
                 .prefix_sharing = false,
                 .reserve_pages = true});
  const Time start = timeline.Now();
  std::vector<RequestTimes> times(requests.size());
  for (size_t user = 0; user < requests.size(); ++user) {
    const auto sink = [&, user](const TokenEvent& event) {
      if (computes) {
        UserOutput& output = result.outputs[user];
        if (event.id) output.token_ids.push_back(*event.id);
        output.text += event.text;
        if (event.finish != FinishReason::kNone) output.finish_reason = ToString(event.finish);
      }
      if (event.times != nullptr) times[user] = *event.times;
      on_token(user, event);
    };
    LODESTONE_RETURN_IF_ERROR(engine.Add(std::move(requests[user]), sink).status());
  }
  for (bool more = true; more;) {
    LODESTONE_ASSIGN_OR_RETURN(more, engine.Step());
  }

  Time last_first = start, end = start;
  for (const RequestTimes& user : times) {
    last_first = std::max(last_first, user.first_token);
    end = std::max(end, user.finished);
    result.run.tokens_generated += static_cast<double>(user.generated);
  }
  result.run.users = static_cast<double>(times.size());
  result.run.prompt_time_s = (last_first - start).seconds();
  result.run.token_gen_time_s = (end - last_first).seconds();
  result.run.cards = appliance.placement().cards_used;
  AddLatencies(times, start, &result.run);
  result.stages = appliance.stats();
  result.elapsed = end - start;
  result.passes = engine.stats().passes;
  return result;
}

}  // namespace lodestone
