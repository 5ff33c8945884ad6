// One request from Add to its end, and its choices.
#pragma once

#include <cstdint>
#include <vector>

#include "engine/engine.h"
#include "engine/output_text.h"
#include "engine/prefix_index.h"

namespace lodestone {

struct RequestState;

// One choice of a request: tokens with KV pages of their own.
struct Sequence {
  RequestState* request = nullptr;
  int choice = 0;
  uint64_t age = 0;  // its place in the order of arrival: the lower, the older
  int seats = 1;     // places it needs among the admitted: those of choices that begin with its first token counted
  uint64_t sampling_key = 0;
  OutputText text;
  RequestTimes times;
  std::vector<int32_t> tokens;      // prompt and output; empty where cards do not compute
  std::vector<int32_t> pages;       // of positions 0 …; empty until admitted
  int published = 0;                // leading pages that are in the prefix index
  PageCopy copy{kNoPage, kNoPage};  // of the next pass, or of that which is inside; `from` is held until it leaves
  int64_t to_chunk = 0;             // tokens that are fed in chunks: those known when it was admitted
  int64_t fed = 0;                  // positions 0 … fed − 1 went into the cards
  int group = -1;                   // −1: not admitted
  bool begun = false;               // choice 0 is; the others when the prompt has been computed
  bool in_pass = false;             // one of its passes is inside
  bool leaves = false;              // gives its pages back when its pass leaves
  bool stalled = false;             // waits for a page
  bool ended = false;

  int64_t length() const { return times.prompt_tokens + times.generated; }
  bool decodes() const { return fed >= to_chunk; }
};

struct RequestState {
  RequestId id = 0;
  Request request;  // its prompt is moved to choice 0
  Sink sink;
  std::vector<Sequence> choices;
  int living = 0;  // choices that have not ended
  bool cancelled = false;
};

}  // namespace lodestone
