#include "lab/batch.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "plan/placement.h"

namespace lodestone {

BatchRun BatchRunOf(std::span<const UserTimes> users, Time start, int cards) {
  Time last_first = start, end = start;
  double first_sum = 0, gap_sum = 0;
  int64_t gaps = 0;
  BatchRun run;
  for (const UserTimes& user : users) {
    last_first = std::max(last_first, user.first_token);
    end = std::max(end, user.finished);
    run.tokens_generated += static_cast<double>(user.generated);
    first_sum += (user.first_token - start).seconds();
    if (user.generated < 2) continue;
    gap_sum += (user.finished - user.first_token).seconds();
    gaps += user.generated - 1;
  }
  run.users = static_cast<double>(users.size());
  run.prompt_time_s = (last_first - start).seconds();
  run.token_gen_time_s = (end - last_first).seconds();
  run.cards = cards;
  run.ttft_s = first_sum / static_cast<double>(users.size());
  if (gaps > 0) run.itl_s = gap_sum / static_cast<double>(gaps);
  return run;
}

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
  std::vector<UserTimes> times(requests.size());
  for (size_t user = 0; user < requests.size(); ++user) {
    const auto sink = [&, user](const TokenEvent& event) {
      if (computes) {
        UserOutput& output = result.outputs[user];
        if (event.id) output.token_ids.push_back(*event.id);
        output.text += event.text;
        if (event.finish != FinishReason::kNone) output.finish_reason = ToString(event.finish);
      }
      if (event.times != nullptr) {
        times[user] = {event.times->first_token, event.times->finished, event.times->generated};
      }
      on_token(user, event);
    };
    LODESTONE_RETURN_IF_ERROR(engine.Add(std::move(requests[user]), sink).status());
  }
  for (bool more = true; more;) {
    LODESTONE_ASSIGN_OR_RETURN(more, engine.Step());
  }

  result.run = BatchRunOf(times, start, appliance.placement().cards_used);
  for (const UserTimes& user : times) result.elapsed = std::max(result.elapsed, user.finished - start);
  result.stages = appliance.stats();
  result.passes = engine.stats().passes;
  return result;
}

}  // namespace lodestone
