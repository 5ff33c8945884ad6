#include "engine/engine.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <deque>
#include <unordered_map>
#include <utility>

#include "engine/batcher.h"
#include "engine/request_check.h"
#include "engine/scheduler.h"

namespace lodestone {

const char* ToString(FinishReason reason) {
  switch (reason) {
    case FinishReason::kNone:
      return "none";
    case FinishReason::kStop:
      return "stop";
    case FinishReason::kLength:
      return "length";
    case FinishReason::kCancelled:
      return "cancelled";
    case FinishReason::kError:
      return "error";
  }
  return "unknown";
}

namespace {

// A micro-batch's one pass.
struct Group {
  Batch batch;
  bool busy = false;  // in the chain, or in line for it
};

}  // namespace

struct Engine::Impl {
  Appliance& appliance;
  std::shared_ptr<const Tokenizer> tokenizer;
  EngineOptions options;
  Scheduler scheduler;
  Sampler sampler;
  std::vector<Group> groups;
  std::unordered_map<RequestId, std::unique_ptr<RequestState>> requests;  // not ended
  std::vector<RequestId> cancellations;                                   // since the last Step
  std::deque<size_t> in_line;    // groups with something to submit, longest waiting first
  std::deque<size_t> in_chain;   // groups whose pass is inside, in the order of submission
  std::vector<Sequence*> ready;  // users of the pass being made
  RequestId next_id = 1;
  uint64_t next_age = 0;
  uint64_t next_pass = 0;
  bool stepping = false;

  void Admit();
  void Line(size_t group);
  void EndCancelled();
  Status SubmitReady();
  Status AdmitAndSubmit();
  Status TakeNext();
  Status Deliver(Group& group, const Done& done);
  Status AcceptFirst(Sequence& leader, std::span<const float> logits, Time when);
  Status Accept(Sequence& user, std::span<const float> logits, Time when);
  void End(Sequence& user, TokenEvent event);
  void EndWithoutToken(Sequence& user, FinishReason reason, const std::string& error = {});
  Error FailPass(Group& group, Error error);
};

void Engine::Impl::Admit() {
  while (Sequence* user = scheduler.AdmitNext()) {
    if (user->times.preemptions == 0) user->times.admitted = appliance.now();
    Line(static_cast<size_t>(user->group));
  }
}

void Engine::Impl::Line(size_t group) {
  if (groups[group].busy || scheduler.users(group).empty()) return;
  groups[group].busy = true;
  in_line.push_back(group);
}

void Engine::Impl::EndCancelled() {
  for (RequestId id : std::exchange(cancellations, {})) {
    const auto found = requests.find(id);
    if (found == requests.end()) continue;
    RequestState& request = *found->second;
    // What has a pass inside ends when that leaves; the request itself is gone with its last choice.
    for (size_t choice = 0, n = request.choices.size(); choice < n && requests.contains(id); ++choice) {
      Sequence& user = request.choices[choice];
      if (user.begun && !user.ended && !user.in_pass) EndWithoutToken(user, FinishReason::kCancelled);
    }
  }
}

Status Engine::Impl::SubmitReady() {
  while (!in_line.empty() && static_cast<int>(in_chain.size()) < appliance.max_in_flight()) {
    const size_t index = in_line.front();
    in_line.pop_front();
    Group& group = groups[index];
    group.busy = false;
    scheduler.Prepare(index, ready);
    if (ready.empty()) continue;
    Batch& batch = group.batch;
    BuildBatch(ready, options.prefill_chunk, appliance.computes(), batch);
    Pass pass{.id = next_pass, .load = batch.load, .rows = batch.rows, .page_table = batch.page_table};
    pass.pages_per_sequence = batch.pages_per_sequence;
    pass.page_copies = batch.page_copies;
    if (Status status = appliance.Submit(pass); !status.ok()) {
      Error error = FailPass(group, status.error());
      Line(index);
      return error;
    }
    ++next_pass;
    group.busy = true;
    in_chain.push_back(index);
    for (const Share& share : batch.shares) {
      share.user->fed += share.rows;
      share.user->in_pass = true;
    }
  }
  return {};
}

Status Engine::Impl::AdmitAndSubmit() {
  EndCancelled();
  scheduler.Evict();
  for (size_t group = 0; group < groups.size(); ++group) Line(group);  // those who waited for a page
  Admit();
  return SubmitReady();
}

Status Engine::Impl::TakeNext() {
  const size_t index = in_chain.front();
  in_chain.pop_front();
  Group& group = groups[index];
  group.busy = false;
  const auto next = appliance.Next();
  for (const Share& share : group.batch.shares) share.user->in_pass = false;
  Status status;
  if (!next.ok()) {
    status = FailPass(group, next.error());
  } else if (!next->has_value()) {
    status = FailPass(group, Invalid("the appliance lost a pass: has it another user?"));
  } else {
    status = Deliver(group, **next);
  }
  Line(index);
  return status;
}

Status Engine::Impl::Deliver(Group& group, const Done& done) {
  const bool computes = appliance.computes();
  const Tensor& logits = done.logits;
  const int wanted = group.batch.load.logit_rows;
  const size_t width = static_cast<size_t>(logits.width);
  if (computes && (logits.rows != wanted || (wanted > 0 && logits.width != options.vocab) ||
                   logits.data.size() != static_cast<size_t>(wanted) * width)) {
    return FailPass(group, Invalid(fmt::format("pass {} gave logits of {} × {}, expected {} × {}", done.id, logits.rows,
                                               logits.width, wanted, options.vocab)));
  }
  Status status;
  size_t row = 0;
  for (const Share& share : group.batch.shares) {
    std::span<const float> mine;
    if (share.wants_logits && computes) mine = std::span(logits.data).subspan(row++ * width, width);
    const bool numbers =
        mine.empty() || std::any_of(mine.begin(), mine.end(), [](float x) { return std::isfinite(x); });
    scheduler.Returned(*share.user, numbers);
    if (share.user->request->cancelled) {
      EndWithoutToken(*share.user, FinishReason::kCancelled);
    } else if (share.wants_logits) {
      Status accepted = AcceptFirst(*share.user, mine, done.finished);
      if (status.ok()) status = std::move(accepted);
    }
  }
  return status;
}

// Where a prompt has been computed, the request's other choices begin here, with the same logits.
Status Engine::Impl::AcceptFirst(Sequence& leader, std::span<const float> logits, Time when) {
  if (leader.seats == 1) return Accept(leader, logits, when);
  std::vector<Sequence>& choices = leader.request->choices;
  for (size_t i = 1; i < choices.size(); ++i) {
    Sequence& choice = choices[i];
    choice.begun = true;
    choice.times = leader.times;
    choice.tokens = leader.tokens;
    scheduler.Fork(leader, choice);
    Line(static_cast<size_t>(choice.group));
  }
  Status status;
  for (size_t i = 0, n = choices.size(); i < n; ++i) {  // the last may be the end of the request, and of `choices`
    Status accepted = Accept(choices[i], logits, when);
    if (status.ok()) status = std::move(accepted);
  }
  return status;
}

Status Engine::Impl::Accept(Sequence& user, std::span<const float> logits, Time when) {
  const RequestState& state = *user.request;
  const Request& request = state.request;
  TokenEvent event{.request = state.id, .choice = user.choice, .id = {}, .text = {}, .time = when};
  if (appliance.computes()) {
    const History history{.tokens = user.tokens, .prompt_tokens = static_cast<size_t>(user.times.prompt_tokens)};
    auto id = sampler.Sample(logits, request.sampling, history, user.sampling_key, user.length());
    if (!id.ok()) {
      Error error{id.error().code, fmt::format("request {}: {}", state.id, id.error().message)};
      EndWithoutToken(user, FinishReason::kError, error.message);
      return error;
    }
    event.id = *id;
    user.tokens.push_back(*id);
    if (request.logprobs >= 0) event.logprobs = LogprobsOf(logits, *id, request.logprobs);
  }
  if (user.times.generated++ == 0) user.times.first_token = when;
  user.times.token_times.push_back(when);

  const auto& eos = request.eos_ids;
  const bool ends = event.id && !request.ignore_eos && std::find(eos.begin(), eos.end(), *event.id) != eos.end();
  StopMatcher::Piece piece;
  if (event.id && !ends) piece = user.text.Push(*event.id);
  event.text = std::move(piece.text);
  if (ends || piece.stopped) {
    event.finish = FinishReason::kStop;
  } else if (user.times.generated >= request.max_tokens) {
    event.finish = FinishReason::kLength;
  }
  if (event.finish != FinishReason::kNone && !piece.stopped) {
    StopMatcher::Piece rest = user.text.Finish();
    event.text += rest.text;
    if (rest.stopped) event.finish = FinishReason::kStop;
  }
  if (event.finish != FinishReason::kNone) {
    End(user, std::move(event));
  } else if (state.sink) {
    state.sink(event);
  }
  return {};
}

// Takes a request out with its last choice, before its sink hears of it: the sink may add another in its place.
void Engine::Impl::End(Sequence& user, TokenEvent event) {
  RequestState& request = *user.request;
  if (user.begun) scheduler.Remove(user);
  user.begun = user.ended = true;
  user.times.finished = event.time;
  event.times = &user.times;
  std::unique_ptr<RequestState> last;
  if (--request.living == 0) last = std::move(requests.extract(request.id).mapped());
  if (request.sink) request.sink(event);
}

// With choice 0, also those that were to begin with its first token.
void Engine::Impl::EndWithoutToken(Sequence& user, FinishReason reason, const std::string& error) {
  std::vector<Sequence>& choices = user.request->choices;
  const size_t first = static_cast<size_t>(user.choice), last = first + static_cast<size_t>(user.seats);
  for (size_t i = first; i < last; ++i) {
    Sequence& choice = choices[i];
    StopMatcher::Piece rest = choice.text.Finish();
    End(choice, {.request = choice.request->id,
                 .choice = choice.choice,
                 .id = {},
                 .text = std::move(rest.text),
                 .time = appliance.now(),
                 .finish = reason,
                 .logprobs = {},
                 .error = error});
  }
}

Error Engine::Impl::FailPass(Group& group, Error error) {
  for (const Share& share : group.batch.shares) {
    const bool cancelled = share.user->request->cancelled;
    EndWithoutToken(*share.user, cancelled ? FinishReason::kCancelled : FinishReason::kError,
                    cancelled ? std::string() : error.message);
  }
  return error;
}

Engine::Engine(Appliance& appliance, std::shared_ptr<const Tokenizer> tokenizer, EngineOptions options)
    : impl_(new Impl{.appliance = appliance,
                     .tokenizer = std::move(tokenizer),
                     .options = options,
                     .scheduler = Scheduler(options, appliance.computes()),
                     .sampler = {},
                     .groups = std::vector<Group>(static_cast<size_t>(std::max(options.micro_batches, 1))),
                     .requests = {},
                     .cancellations = {},
                     .in_line = {},
                     .in_chain = {},
                     .ready = {}}) {}
Engine::~Engine() = default;

Result<RequestId> Engine::Add(Request request, Sink sink) {
  LODESTONE_RETURN_IF_ERROR(
      CheckRequest(request, impl_->options, impl_->appliance.computes(), impl_->tokenizer != nullptr));
  if (impl_->scheduler.waiting() >= impl_->options.max_waiting) {
    return Error{ErrorCode::kBusy,
                 fmt::format("{} requests wait already; try again later", impl_->options.max_waiting)};
  }
  const RequestId id = impl_->next_id++;
  const bool computes = impl_->appliance.computes();
  auto state = std::make_unique<RequestState>();
  state->id = id;
  state->sink = std::move(sink);
  state->living = request.n;
  for (int choice = 0; choice < request.n; ++choice) {
    state->choices.push_back({.request = state.get(),
                              .choice = choice,
                              .age = impl_->next_age++,
                              .sampling_key = ChoiceKey(request.sampling_key, choice),
                              .text = OutputText(computes ? impl_->tokenizer : nullptr, request.stop),
                              .times = {},
                              .tokens = {},
                              .pages = {}});
    state->choices.back().times.added = impl_->appliance.now();
    state->choices.back().times.prompt_tokens = static_cast<int64_t>(request.prompt.size());
  }
  Sequence& leader = state->choices.front();
  leader.seats = request.n;
  leader.begun = true;
  std::vector<int32_t> prompt = std::exchange(request.prompt, {});
  if (computes) leader.tokens = std::move(prompt);
  state->request = std::move(request);
  impl_->scheduler.Enqueue(leader);
  impl_->requests.emplace(id, std::move(state));
  return id;
}

void Engine::Cancel(RequestId id) {
  const auto found = impl_->requests.find(id);
  if (found == impl_->requests.end()) return;
  found->second->cancelled = true;
  impl_->cancellations.push_back(id);
}

Status Engine::Submit() {
  if (impl_->stepping) return Invalid("Submit was called from a sink");
  impl_->stepping = true;
  Status status = impl_->AdmitAndSubmit();
  impl_->stepping = false;
  return status;
}

Result<bool> Engine::Step() {
  if (impl_->stepping) return Invalid("Step was called from a sink");
  impl_->stepping = true;
  Status status = impl_->AdmitAndSubmit();
  const bool any = !impl_->in_chain.empty();
  if (status.ok() && any) status = impl_->TakeNext();
  impl_->stepping = false;
  if (!status.ok()) return status.error();
  return any;
}

EngineStats Engine::stats() const {
  const Scheduler& scheduler = impl_->scheduler;
  return {.passes = static_cast<int64_t>(impl_->next_pass),
          .preemptions = scheduler.preemptions(),
          .requests = static_cast<int>(impl_->requests.size()),
          .running = scheduler.admitted(),
          .waiting = scheduler.waiting(),
          .free_pages = scheduler.pages().free_pages(),
          .idle_pages = scheduler.pages().idle_pages()};
}

}  // namespace lodestone
