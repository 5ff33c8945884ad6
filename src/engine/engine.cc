#include "engine/engine.h"

#include <fmt/format.h>

#include <algorithm>
#include <deque>
#include <limits>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "base/quote.h"
#include "base/utf8.h"
#include "engine/batcher.h"

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

// A micro-batch: its users in order of admission, and its one pass.
struct Group {
  std::vector<RequestState*> users;
  Batch batch;
  bool busy = false;  // in the chain, or in line for it
};

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
  return {};
}

}  // namespace

struct Engine::Impl {
  Appliance& appliance;
  std::shared_ptr<const Tokenizer> tokenizer;
  EngineOptions options;
  KvPages pages;
  std::vector<Group> groups;
  std::unordered_map<RequestId, std::unique_ptr<RequestState>> requests;  // queued and admitted
  std::unordered_map<RequestId, RequestTimes> times;
  std::deque<RequestState*> queue;       // not yet admitted
  std::vector<RequestId> cancellations;  // since the last Step
  std::deque<size_t> in_line;            // groups with something to submit, longest waiting first
  std::deque<size_t> in_chain;           // groups whose pass is inside, in the order of submission
  RequestId next_id = 1;
  uint64_t next_pass = 0;
  bool stepping = false;

  Status Check(const Request& request) const;
  void Admit();
  void Line(size_t group);
  void EndCancelled();
  Status SubmitReady();
  Status TakeNext();
  Status Deliver(Group& group, const Done& done);
  Status Accept(RequestState& user, std::span<const float> logits, Time when);
  void End(RequestState& user, const TokenEvent& event);
  void EndWithoutToken(RequestState& user, FinishReason reason);
  Error FailPass(Group& group, Error error);
};

Status Engine::Impl::Check(const Request& request) const {
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
  if (needed > pages.total_pages()) {
    return Infeasible(fmt::format("a prompt of {} tokens and {} to generate need {} KV pages, the store has {}", prompt,
                                  request.max_tokens, needed, pages.total_pages()));
  }
  for (const std::string& stop : request.stop) {
    if (stop.empty()) return Invalid("a stop text is empty");
    if (!IsUtf8(stop)) return Invalid(fmt::format("the stop text {} is not UTF-8", Quoted(stop)));
    if (!tokenizer) return Invalid("stop texts need a tokenizer, this engine has none");
  }
  if (!appliance.computes()) return {};
  for (size_t i = 0; i < request.prompt.size(); ++i) {
    const int32_t id = request.prompt[i];
    if (id >= 0 && id < options.vocab) continue;
    return Invalid(fmt::format("prompt token {} has id {}, expected 0 to {}", i, id, options.vocab - 1));
  }
  return {};
}

void Engine::Impl::Admit() {
  while (!queue.empty()) {
    RequestState& user = *queue.front();
    const int needed = static_cast<int>(PagesPerUser(user.prompt_tokens + user.request.max_tokens));
    if (needed > pages.free_pages()) return;
    user.pages = *pages.Allocate(needed);
    queue.pop_front();
    const auto smallest = std::min_element(
        groups.begin(), groups.end(), [](const Group& a, const Group& b) { return a.users.size() < b.users.size(); });
    const size_t group = static_cast<size_t>(smallest - groups.begin());
    user.group = static_cast<int>(group);
    smallest->users.push_back(&user);
    user.times->admitted = appliance.now();
    Line(group);
  }
}

void Engine::Impl::Line(size_t group) {
  if (groups[group].busy || groups[group].users.empty()) return;
  groups[group].busy = true;
  in_line.push_back(group);
}

void Engine::Impl::EndCancelled() {
  for (RequestId id : std::exchange(cancellations, {})) {
    const auto found = requests.find(id);
    // A request whose pass is inside ends when that leaves.
    if (found != requests.end() && !found->second->in_pass) EndWithoutToken(*found->second, FinishReason::kCancelled);
  }
}

Status Engine::Impl::SubmitReady() {
  while (!in_line.empty() && static_cast<int>(in_chain.size()) < appliance.max_in_flight()) {
    const size_t index = in_line.front();
    in_line.pop_front();
    Group& group = groups[index];
    group.busy = false;
    if (group.users.empty()) continue;
    Batch& batch = group.batch;
    BuildBatch(group.users, options.prefill_chunk, appliance.computes(), batch);
    Pass pass{.id = next_pass, .load = batch.load, .rows = batch.rows, .page_table = batch.page_table};
    pass.pages_per_sequence = batch.pages_per_sequence;
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
    if (share.user->cancelled) {
      EndWithoutToken(*share.user, FinishReason::kCancelled);
    } else if (share.wants_logits) {
      Status accepted = Accept(*share.user, mine, done.finished);
      if (status.ok()) status = std::move(accepted);
    }
  }
  return status;
}

Status Engine::Impl::Accept(RequestState& user, std::span<const float> logits, Time when) {
  RequestTimes& life = *user.times;
  TokenEvent event{.request = user.id, .id = {}, .text = {}, .time = when};
  if (appliance.computes()) {
    const int64_t position = user.prompt_tokens + life.generated;
    auto id = Sample(logits, user.request.sampling, user.tokens, user.request.sampling_key, position);
    if (!id.ok()) {
      Error error{id.error().code, fmt::format("request {}: {}", user.id, id.error().message)};
      EndWithoutToken(user, FinishReason::kError);
      return error;
    }
    event.id = *id;
    user.tokens.push_back(*id);
  }
  if (life.generated++ == 0) life.first_token = when;
  life.token_times.push_back(when);

  const auto& eos = user.request.eos_ids;
  const bool ends = event.id && !user.request.ignore_eos && std::find(eos.begin(), eos.end(), *event.id) != eos.end();
  StopMatcher::Piece piece;
  if (event.id && !ends) piece = user.text.Push(*event.id);
  event.text = std::move(piece.text);
  if (ends || piece.stopped) {
    event.finish = FinishReason::kStop;
  } else if (life.generated >= user.request.max_tokens) {
    event.finish = FinishReason::kLength;
  }
  if (event.finish != FinishReason::kNone && !piece.stopped) {
    StopMatcher::Piece rest = user.text.Finish();
    event.text += rest.text;
    if (rest.stopped) event.finish = FinishReason::kStop;
  }
  if (event.finish != FinishReason::kNone) {
    End(user, event);
  } else if (user.sink) {
    user.sink(event);
  }
  return {};
}

// Takes the request out before its sink hears of it: the sink may add another in its place.
void Engine::Impl::End(RequestState& user, const TokenEvent& event) {
  const std::unique_ptr<RequestState> state = std::move(requests.extract(user.id).mapped());
  if (state->group >= 0) {
    std::erase(groups[static_cast<size_t>(state->group)].users, state.get());
  } else {
    std::erase(queue, state.get());
  }
  pages.Release(state->pages);
  state->times->finished = event.time;
  if (state->sink) state->sink(event);
}

void Engine::Impl::EndWithoutToken(RequestState& user, FinishReason reason) {
  StopMatcher::Piece rest = user.text.Finish();
  End(user, {.request = user.id, .id = {}, .text = std::move(rest.text), .time = appliance.now(), .finish = reason});
}

Error Engine::Impl::FailPass(Group& group, Error error) {
  for (const Share& share : group.batch.shares) {
    EndWithoutToken(*share.user, share.user->cancelled ? FinishReason::kCancelled : FinishReason::kError);
  }
  return error;
}

Engine::Engine(Appliance& appliance, std::shared_ptr<const Tokenizer> tokenizer, EngineOptions options)
    : impl_(new Impl{.appliance = appliance,
                     .tokenizer = std::move(tokenizer),
                     .options = options,
                     .pages = KvPages(options.pages),
                     .groups = std::vector<Group>(static_cast<size_t>(std::max(options.micro_batches, 1))),
                     .requests = {},
                     .times = {},
                     .queue = {},
                     .cancellations = {},
                     .in_line = {},
                     .in_chain = {}}) {}
Engine::~Engine() = default;

Result<RequestId> Engine::Add(Request request, Sink sink) {
  LODESTONE_RETURN_IF_ERROR(impl_->Check(request));
  const RequestId id = impl_->next_id++;
  RequestTimes& times = impl_->times[id];
  times.added = impl_->appliance.now();
  times.prompt_tokens = static_cast<int64_t>(request.prompt.size());
  OutputText text(impl_->appliance.computes() ? impl_->tokenizer : nullptr, request.stop);
  auto state = std::make_unique<RequestState>(RequestState{.id = id,
                                                           .request = std::move(request),
                                                           .prompt_tokens = times.prompt_tokens,
                                                           .sink = std::move(sink),
                                                           .text = std::move(text),
                                                           .times = &times,
                                                           .tokens = {},
                                                           .pages = {}});
  state->tokens = std::exchange(state->request.prompt, {});
  if (!impl_->appliance.computes()) state->tokens = {};
  impl_->queue.push_back(state.get());
  impl_->requests.emplace(id, std::move(state));
  return id;
}

void Engine::Cancel(RequestId id) {
  const auto found = impl_->requests.find(id);
  if (found == impl_->requests.end()) return;
  found->second->cancelled = true;
  impl_->cancellations.push_back(id);
}

Result<bool> Engine::Step() {
  if (impl_->stepping) return Invalid("Step was called from a sink");
  impl_->stepping = true;
  impl_->EndCancelled();
  impl_->Admit();
  Status status = impl_->SubmitReady();
  const bool any = !impl_->in_chain.empty();
  if (status.ok() && any) status = impl_->TakeNext();
  impl_->stepping = false;
  if (!status.ok()) return status.error();
  return any;
}

const RequestTimes& Engine::times(RequestId id) const {
  static const RequestTimes kUnknown;
  const auto found = impl_->times.find(id);
  return found == impl_->times.end() ? kUnknown : found->second;
}

int64_t Engine::passes() const { return static_cast<int64_t>(impl_->next_pass); }
int Engine::free_pages() const { return impl_->pages.free_pages(); }

}  // namespace lodestone
