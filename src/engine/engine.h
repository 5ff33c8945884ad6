// Requests in, tokens out: batches users into passes, gives them KV pages, samples, stops.
//
// Users are dealt to min(M, N) micro-batches, the groups that take turns in the chain: a group has one pass in flight,
// other groups fill the other cards. Users join and leave between passes. A pass carries one row for every user of the
// group that decodes, and up to `prefill_chunk` prompt tokens of those that do not yet, first come first served: so a
// running user waits for at most one chunk between two tokens, and a prompt only for those before it. Which users share
// a pass never changes a user's tokens.
//
// KV pages are taken as they are needed, and prompts that begin alike share them (scheduler.h). When they are short,
// the youngest users give theirs back, wait, and go on later with the same tokens.
//
// Over cards that do not compute, a request has a prompt length only, each pass makes a token without a value, and a
// request ends at its token limit: same schedule, same times.
#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "appliance/appliance.h"
#include "base/status.h"
#include "engine/logprobs.h"
#include "engine/sampler.h"
#include "text/tokenizer.h"

namespace lodestone {

using RequestId = uint64_t;

inline constexpr int kMostChoices = 128;  // of one request

struct Request {
  std::vector<int32_t> prompt;  // ids; with cards that do not compute only the length counts
  int64_t max_tokens = 0;       // generated tokens at most
  Sampling sampling;
  uint64_t sampling_key = 0;     // keys the random numbers; the user's own number, whoever else is there
  std::vector<int32_t> eos_ids;  // end the request, unless ignore_eos
  bool ignore_eos = false;
  std::vector<std::string> stop;  // texts that end the request; the text ends before the match
  int n = 1;                      // choices: outputs that are drawn apart. Choice 0 is what n = 1 gives
  int logprobs = -1;              // of the token and of this many most likely ones; −1: none
};

enum class FinishReason { kNone, kStop, kLength, kCancelled, kError };
const char* ToString(FinishReason reason);  // "none", "stop", "length", "cancelled", "error"

// Life of one choice of a request, for the measures.
struct RequestTimes {
  Time added, admitted;        // queued by Add; given KV pages for the first time
  Time first_token, finished;  // as the sink heard
  int64_t prompt_tokens = 0, generated = 0;
  int64_t cached_tokens = 0;  // prompt tokens that an earlier request had computed
  int preemptions = 0;        // how often it gave its pages back and began again
  std::vector<Time> token_times;
};

// What a sink hears, of each choice in order: one call a token, the last with a reason. A token that ends the request
// by its id comes with that id and the text held back so far. kCancelled and kError come without a token.
struct TokenEvent {
  RequestId request = 0;
  int choice = 0;             // 0 … n − 1; choices are heard in turns
  std::optional<int32_t> id;  // none when cards do not compute
  std::string text;           // what may be shown now: whole characters, nothing that could still become a stop text
  Time time;                  // when it left the appliance
  FinishReason finish = FinishReason::kNone;
  std::optional<Logprobs> logprobs;     // of a token, if the request wants them
  std::string error;                    // with kError: why
  const RequestTimes* times = nullptr;  // with the last event, valid during the call: the engine forgets the choice
};
using Sink = std::function<void(const TokenEvent&)>;

struct EngineOptions {
  int micro_batches = 1;
  int prefill_chunk = 128;                            // prompt tokens in a pass
  int pages = 0;                                      // in the KV store of every card
  int64_t max_positions = 0;                          // of the model; longer requests are refused
  int vocab = 0;                                      // ids outside are refused
  int max_users = std::numeric_limits<int>::max();    // admitted at once, choices counted: bounds the rows of a pass
  int max_waiting = std::numeric_limits<int>::max();  // requests that may wait
  bool prefix_sharing = true;  // prompts that begin with pages still known skip their computation
  bool reserve_pages = false;  // admit a request only with pages for all its tokens: nobody ever gives way
};

struct EngineStats {
  int64_t passes = 0;       // submitted
  int64_t preemptions = 0;  // users who gave their pages back and began again
  int requests = 0;         // not ended
  int running = 0;          // choices with KV pages
  int waiting = 0;          // choices in line for them
  int free_pages = 0;       // not held by anybody
  int idle_pages = 0;       // of those, pages whose contents may be used again
};

// For one thread. A sink may call Add and Cancel, but not Step.
class Engine {
 public:
  // `appliance` is configured, has no other user and outlives the engine; `tokenizer` may be null (no text, no stop
  // texts). A new request joins the micro-batch with the fewest users.
  Engine(Appliance& appliance, std::shared_ptr<const Tokenizer> tokenizer, EngineOptions options);
  ~Engine();

  // Queues a request. Refused: an empty prompt, ids out of range, prompt + max_tokens beyond the model's positions or
  // the whole KV store, max_tokens < 1, n < 1 or beyond max_users or kMostChoices, sampling or logprobs out of range, a
  // stop text that is empty or not UTF-8, options out of range. Requests wait, first come first served, while pages are
  // short; kBusy if `max_waiting` do already.
  Result<RequestId> Add(Request request, Sink sink);
  // Ends a request at the next pass boundary; its sink hears kCancelled of every choice that goes on. Unknown or ended
  // ids are ignored.
  void Cancel(RequestId id);
  // Does the next thing: submits what can be submitted, then takes one finished pass. False when nothing is left to do.
  // An error ends the requests that it concerns with kError (all of a pass that a card refused; one whose logits are
  // not numbers) and gives their pages back; the others go on with the next Step.
  Result<bool> Step();
  // The first half of Step: admits and submits what can be submitted now, takes nothing. For callers who look at
  // Appliance::NextFinish before they step, because something may arrive first. An error concerns requests as in Step.
  Status Submit();

  EngineStats stats() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace lodestone
